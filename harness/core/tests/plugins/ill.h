/* SPDX-License-Identifier: Apache-2.0 */
/* What the ill-behaved plugins share: a kernel that takes everything, and the export. */
#ifndef ATT_TEST_ILL_H
#define ATT_TEST_ILL_H

#include "attn.h"

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)p, (void)params, (void)why;
    return op == ATT_OP_ATTEND ? ATT_OK : ATT_UNSUPPORTED;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s);

static const att_kernel ill = {.struct_size = sizeof ill,
                               .abi = ATT_ABI,
                               .name = "ill",
                               .family = "exact",
                               .summary = "misbehaves on purpose",
                               .class_ = ATT_EXACT,
                               .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
                               .supports = supports,
                               .attend = attend};

static const att_kernel *const kernels[] = {&ill};

const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count);

const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count)
{
    *count = 1;
    return host_abi >> 16 == ATT_ABI_MAJOR ? kernels : NULL;
}

#endif
