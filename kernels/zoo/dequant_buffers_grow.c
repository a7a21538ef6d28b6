/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: every call converts K and V into a buffer of its own and keeps it for a reuse that never
 * comes; memory grows with every step.
 *
 * Hidden to every numeric check and to one call alone.
 * Source: llama.cpp#19979 (the reporter's cause). */
#include <stdatomic.h>
#include <stdlib.h>

#include "common/plain.h"

typedef struct buffer {
    struct buffer *next;
    float numbers[];
} buffer;

static _Atomic(buffer *) kept; /* by length, that of the last call never found again */

static att_tensor convert(const att_problem *p, const att_tensor *from, float *to)
{
    const att_tensor out =
        att_tensor_dense(to, ATT_F32, p->batch, p->heads_kv, p->kv_len, from->shape[3]);

    for (int64_t b = 0; b < p->batch; b++)
        for (int64_t h = 0; h < p->heads_kv; h++)
            for (int64_t j = 0; j < att_seq_of(p, b).kv_len; j++)
                att_load_row(from->data, from->dtype, att_tensor_at(from, b, h, j, 0),
                             from->stride[3], from->shape[3], to + att_tensor_at(&out, b, h, j, 0));
    return out;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    const int64_t rows = p->batch * p->heads_kv * p->kv_len;
    att_problem whole = *p;

    (void)self;
    if (!p->cu_k.data && !p->page_size) {
        const size_t floats = (size_t)(rows * (p->head_dim + p->value_dim));
        buffer *b = malloc(sizeof *b + floats * sizeof(float));
        if (!b)
            return ATT_NO_MEMORY;
        whole.k = convert(p, &p->k, b->numbers);
        whole.v = convert(p, &p->v, b->numbers + rows * p->head_dim);
        b->next = atomic_load(&kept);
        atomic_store(&kept, b); /* meant: free(b) after the loop */
    }
    return att_plain_attend(&whole, &way, s);
}

const att_kernel att_kernel_dequant_buffers_grow = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "dequant_buffers_grow",
    .family = "zoo",
    .summary = "memory_leak: a converted copy of K and V is kept every call",
    .source = "llama.cpp#19979",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
