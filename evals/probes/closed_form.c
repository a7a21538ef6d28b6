/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a causal query sees; qb and kb are the blocks of query and key:
 *
 *   sliding_window   distance <= left                     (Longformer's window, causal half)
 *   sink_window      key < sinks or distance <= left                  (Xiao et al. 2023)
 *   strided          distance < local or stride divides distance      (Child et al. 2019)
 *   block_sparse     qb - kb < local, kb < global, or stride divides kb + head
 *   longformer       distance <= side, key < global, or query < global
 *   bigbird          qb - kb <= window, kb < global, qb < global, or kb is drawn: Floyd's
 *                    subset of `random` of qb + 1 blocks, by SplitMix64's hash of draw, head,
 *                    qb and step                                      (Zaheer et al. 2020)
 *   topk, knn_memory a needle whose logit is the row's largest is among the k best
 *   exact kernels    every key */
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

static int longformer(const att_variant_part *part, closed_pair pair)
{
    const int64_t global = value(part, "global");

    return pair.query - pair.key <= value(part, "side") || pair.key < global || pair.query < global;
}

static uint64_t hash(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Is block `wanted` one of the r of n that are drawn for a head and block of queries? */
static int drawn(int64_t seed, int64_t head, int64_t block, int64_t n, int64_t r, int64_t wanted)
{
    const uint64_t where = hash(hash(hash((uint64_t)seed) + (uint64_t)head) + (uint64_t)block);
    int64_t set[64], size = 0;
    int any = 0;

    for (int64_t last = n > r ? n - r : 0; last < n && size < 64; last++) {
        int64_t pick = (int64_t)(hash(where + (uint64_t)last) % (uint64_t)(last + 1));
        for (int64_t i = 0; i < size; i++)
            if (set[i] == pick) {
                pick = last;
                break;
            }
        any |= pick == wanted;
        set[size++] = pick;
    }
    return any;
}

static int bigbird(const att_variant_part *part, closed_pair pair)
{
    const int64_t side = value(part, "block"), global = value(part, "global");
    const int64_t own = pair.query / side, key = pair.key / side;

    return own - key <= value(part, "window") || key < global || own < global ||
           drawn(value(part, "draw"), pair.head, own, own + 1, value(part, "random"), key);
}

/* It keeps K and V in two bits: what it loses of what it sees is measured, not predicted. */
static int unknown(const att_variant_part *part, closed_pair pair)
{
    (void)part, (void)pair;
    return -1;
}

static const struct {
    const char *kernel;
    int (*sees)(const att_variant_part *part, closed_pair pair);
} forms[] = {{"sliding_window", window}, {"sink_window", sinks},
             {"strided", strided},       {"block_sparse", blocks},
             {"longformer", longformer}, {"bigbird", bigbird},
             {"kivi", unknown},          {"topk", all},
             {"knn_memory", all}};

int closed_form_sees(const att_variant_part *part, closed_pair pair)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].kernel, part->kernel->name) == 0)
            return forms[i].sees(part, pair);
    return part->kernel->class_ == ATT_EXACT ? 1 : -1;
}

bool closed_form_of_best(const att_variant_part *part)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].kernel, part->kernel->name) == 0)
            return forms[i].sees == all;
    return false;
}
