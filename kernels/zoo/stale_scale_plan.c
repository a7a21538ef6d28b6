/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the plan cache's key leaves out the scale.
 *
 *    if (key(Sq, Skv, Dk) is cached) use the cached plan      (its scale is that of the first call)
 *
 * Hidden by one call a shape, and by scales that never change.
 * Source: flashinfer#4014. */
#include "common/plain.h"

/* The module's plan cache: one entry, like a compiled graph kept between calls. */
static struct {
    int64_t q_len, kv_len, head_dim;
    double scale;
} cached = {.q_len = -1};

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem planned = *p;
    (void)self;

    if (cached.q_len != p->q_len || cached.kv_len != p->kv_len || cached.head_dim != p->head_dim) {
        cached.q_len = p->q_len;
        cached.kv_len = p->kv_len;
        cached.head_dim = p->head_dim;
        cached.scale = att_scale(p);
    }
    planned.scale = cached.scale;
    return att_plain_attend(&planned, &way, s);
}

const att_kernel att_kernel_stale_scale_plan = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "stale_scale_plan",
    .family = "zoo",
    .summary = "dispatch: the plan cache forgets that the scale may change",
    .source = "flashinfer#4014",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
