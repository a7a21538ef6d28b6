/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: growing the batch rewrites the strides of the scales and leaves the scales where they are.
 *
 *    scale(j, b) = scales[j * B + b]      (B is the new batch, the scales lie by the old one)
 *
 * Codes are moved.  Hidden by batches that stay as they began.
 * Source: openvino#37381. */
#include "common/kv_steps.h"

/* Room for the new strides; what is there stays where it is. */
static bool move_scales(att_kv *c, int64_t batch)
{
    const int64_t heads = c->p.heads_kv, n = c->slots * batch * heads;
    const int64_t had = c->slots * c->p.batch * heads;

    for (int side = 0; side < 2; side++) {
        float *to = calloc((size_t)att_max(n, had) + 1, sizeof *to);
        if (!to)
            return false;
        if (c->scale[side])
            memcpy(to, c->scale[side], (size_t)att_min(n, had) * sizeof *to);
        free(c->scale[side]);
        c->scale[side] = to;
    }
    return true;
}

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    static const att_kv_way way = {.move_scales = move_scales};
    (void)self, (void)s;
    return att_kv_open(&way, p, out);
}

static const att_session_ops session = ATT_KV_SESSION(open);

const att_kernel att_kernel_scale_grow_batch = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "scale_grow_batch",
    .family = "zoo",
    .summary = "quantisation: a larger batch rewrites the scales' strides without moving them",
    .source = "openvino#37381",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_kv_supports,
    .session = &session,
};
