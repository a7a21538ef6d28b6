/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin of another major version. */
#include "attn.h"

static const att_kernel foreign = {.struct_size = sizeof foreign,
                                   .abi = 7u << 16,
                                   .name = "foreign",
                                   .family = "exact",
                                   .summary = "-"};
static const att_kernel *const kernels[] = {&foreign};

const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count);

const att_kernel *const *att_plugin(uint32_t host_abi, size_t *count)
{
    (void)host_abi;
    *count = 1;
    return kernels;
}
