/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel that writes one float past its output (a dense f32 one). */
#include "ill.h"

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const int64_t n = p->batch * p->heads_q * p->q_len * p->value_dim;
    float *out = p->out.data;

    (void)self, (void)s;
    for (int64_t i = 0; i <= n; i++)
        out[i] = 0;
    return ATT_OK;
}
