/* SPDX-License-Identifier: Apache-2.0 */
/* sliding_window   distance <= left                                (Longformer's window, causal
 * half) sink_window      key < sinks or distance <= left                 (Xiao et al. 2023) strided
 * distance < local or stride divides distance     (Child et al. 2019) block_sparse     by blocks:
 * |qb - kb| < local, kb < global, or stride divides kb + head topk             a needle whose logit
 * is the row's largest is always among the k best exact kernels    every key */
#include "closed_form.h"

#include <string.h>

/* A parameter by name; a name that is not there is -1, which no form below takes for a value. */
static int64_t value(const att_variant_part *part, const char *name)
{
    const att_param *table = part->kernel->params;

    for (size_t i = 0; table && table[i].name; i++)
        if (strcmp(table[i].name, name) == 0)
            return part->values[i].i;
    return -1;
}

static int all(const att_variant_part *part, closed_pair pair)
{
    (void)part, (void)pair;
    return 1;
}

static int window(const att_variant_part *part, closed_pair pair)
{
    return pair.query - pair.key <= value(part, "left");
}

static int sinks(const att_variant_part *part, closed_pair pair)
{
    return pair.key < value(part, "sinks") || window(part, pair);
}

static int strided(const att_variant_part *part, closed_pair pair)
{
    int64_t stride = value(part, "stride"), local = value(part, "local");
    int64_t distance = pair.query - pair.key;

    return distance < (local ? local : stride) || distance % stride == 0;
}

static int blocks(const att_variant_part *part, closed_pair pair)
{
    int64_t block = value(part, "block"), stride = value(part, "stride");
    int64_t key = pair.key / block, between = pair.query / block - key;

    return between < value(part, "local") || key < value(part, "global") ||
           (stride > 0 && (key + pair.head) % stride == 0);
}

static const struct {
    const char *kernel;
    int (*sees)(const att_variant_part *part, closed_pair pair);
} forms[] = {{"sliding_window", window}, {"sink_window", sinks}, {"strided", strided},
             {"block_sparse", blocks},   {"topk", all},          {"knn_memory", all}};

int closed_form_sees(const att_variant_part *part, closed_pair pair)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].kernel, part->kernel->name) == 0)
            return forms[i].sees(part, pair);
    return part->kernel->class_ == ATT_EXACT ? 1 : -1;
}
