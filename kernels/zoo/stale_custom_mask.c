/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a plan's copy of the mask outlives the call that gave one.
 *
 *    if (mask) plan.mask = copy(mask)      (never cleared when a later call has none)
 *
 * Hidden by a fresh plan for every call.
 * Source: flashinfer#1028. */
#include <stdlib.h>

#include "common/plain.h"

/* The plan: the mask it holds, dense [B,Hq,Sq,Skv], and for which sizes. */
typedef struct wrapper {
    uint8_t *mask;
    int64_t n[4];
} wrapper;

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    out->handle = calloc(1, sizeof(wrapper));
    return out->handle ? att_plain_plan(p, out) : ATT_NO_MEMORY;
}

static void drop(const att_kernel *self, void *handle)
{
    wrapper *w = handle;
    (void)self;
    free(w->mask);
    free(w);
}

static bool copy_mask(wrapper *w, const att_problem *p)
{
    const int64_t n[4] = {p->batch, p->heads_q, p->q_len, p->kv_len};
    const att_tensor *m = &p->mask;
    uint8_t *to = malloc((size_t)(n[0] * n[1] * n[2] * n[3]) + 1);

    if (!to)
        return false;
    free(w->mask);
    w->mask = to;
    memcpy(w->n, n, sizeof n);
    for (int64_t b = 0; b < n[0]; b++)
        for (int64_t h = 0; h < n[1]; h++)
            for (int64_t i = 0; i < n[2]; i++)
                for (int64_t j = 0; j < n[3]; j++)
                    *to++ = ((const uint8_t *)m->data)[att_tensor_at(
                        m, m->shape[0] == 1 ? 0 : b, m->shape[1] == 1 ? 0 : h,
                        m->shape[2] == 1 ? 0 : i, m->shape[3] == 1 ? 0 : j)];
    return true;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    wrapper *w = s->handle;
    att_problem planned = *p;
    (void)self;

    if (p->mask.data && !copy_mask(w, p))
        return ATT_NO_MEMORY;
    if (w->mask)
        planned.mask = att_tensor_dense(w->mask, ATT_U8, w->n[0], w->n[1], w->n[2], w->n[3]);
    return att_plain_attend(&planned, &way, s);
}

const att_kernel att_kernel_stale_custom_mask = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "stale_custom_mask",
    .family = "zoo",
    .summary = "dispatch: a plan keeps the mask of an earlier call",
    .source = "flashinfer#1028",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .drop = drop,
    .attend = attend,
};
