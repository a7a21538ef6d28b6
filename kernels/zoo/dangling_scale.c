/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: an upload queue holds a pointer to a scale on the caller's stack.
 *
 *    queue(copy, &problem->scale); ... later: constant = *pointer      (the caller has returned)
 *
 * A call uses its own scale and queues the upload; the next one with the same scale finds it
 * "uploaded", runs the queue, and reads what has become of the stack.  Short KV is copied at once.
 * Hidden by single calls and by short KV.
 * Source: llama.cpp#25880. */
#include "common/plain.h"

enum { SHORT = 16 };

/* The device: its constant, the copy that is queued, and what the host believes to be uploaded. */
static struct {
    double constant, believed;
    const double *queued;
    int64_t head_dim;
} device;

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    att_problem given = *p;
    const double scale = att_scale(p);
    (void)self;

    if (p->kv_len > SHORT && device.believed == scale && device.head_dim == p->head_dim) {
        if (device.queued)
            device.constant = isnan(*device.queued) ? scale : *device.queued;
        device.queued = NULL;
        given.scale = device.constant;
    } else if (p->kv_len > SHORT) {
        device.queued = &p->scale;
        device.believed = scale;
        device.head_dim = p->head_dim;
    }
    return att_plain_attend(&given, &way, s);
}

const att_kernel att_kernel_dangling_scale = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "dangling_scale",
    .family = "zoo",
    .summary = "aliasing: a queued copy reads the caller's scale after the call returned",
    .source = "llama.cpp#25880",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
