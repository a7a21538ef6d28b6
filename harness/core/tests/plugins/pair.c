/* SPDX-License-Identifier: Apache-2.0 */
/* Two kernels: one that can do nothing, and one that writes nothing. */
#include "attn.h"

static att_status refuse(const att_kernel *self, att_op op, const att_problem *p,
                         const att_value *params, att_reason *why)
{
    (void)self, (void)op, (void)p, (void)params, (void)why;
    return ATT_UNSUPPORTED;
}

static att_status accept(const att_kernel *self, att_op op, const att_problem *p,
                         const att_value *params, att_reason *why)
{
    (void)self, (void)p, (void)params, (void)why;
    return op == ATT_OP_ATTEND ? ATT_OK : ATT_UNSUPPORTED;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p, (void)s;
    return ATT_OK;
}

#define KERNEL(name_, supports_)                                                                   \
    {                                                                                              \
        .struct_size = sizeof(att_kernel), .abi = ATT_ABI, .name = name_, .family = "exact",       \
        .summary = "one of two", .class_ = ATT_EXACT,                                              \
        .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES}, .supports = supports_,  \
        .attend = attend                                                                           \
    }

static const att_kernel unable = KERNEL("unable", refuse), idle = KERNEL("idle", accept);
static const att_kernel *const kernels[] = {&unable, &idle};

const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count);

const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count)
{
    *count = 2;
    return host_abi >> 16 == ATT_ABI_MAJOR ? kernels : NULL;
}
