/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of kernels, one set an ISA level, and the choice among them.
 *
 * Why: every kernel file is compiled once a level (the Makefile renames its descriptor
 * att_kernel_<stem> to att_kernel_<stem>_<level>), so that one binary is fast on new machines and
 * runs on old ones. */
#include "table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#define ATT_KERNEL(x)                                                                              \
    extern const att_kernel att_kernel_##x##_plain, att_kernel_##x##_v3, att_kernel_##x##_v4;
#else
#define ATT_KERNEL(x) extern const att_kernel att_kernel_##x##_plain;
#endif
#include "controls/controls.def"
#include "different/different.def"
#include "kernels.def"
#include "zoo/zoo.def"
#undef ATT_KERNEL

#define ATT_KERNEL(x) &att_kernel_##x##_plain,
static const att_kernel *const kernels_plain[] = {
#include "kernels.def"
    NULL};
static const att_kernel *const zoo_plain[] = {
#include "zoo/zoo.def"
    NULL};
static const att_kernel *const controls_plain[] = {
#include "controls/controls.def"
    NULL};
static const att_kernel *const different_plain[] = {
#include "different/different.def"
    NULL};
#undef ATT_KERNEL

#ifdef __x86_64__
#define ATT_KERNEL(x) &att_kernel_##x##_v3,
static const att_kernel *const kernels_v3[] = {
#include "kernels.def"
    NULL};
static const att_kernel *const zoo_v3[] = {
#include "zoo/zoo.def"
    NULL};
static const att_kernel *const controls_v3[] = {
#include "controls/controls.def"
    NULL};
static const att_kernel *const different_v3[] = {
#include "different/different.def"
    NULL};
#undef ATT_KERNEL

#define ATT_KERNEL(x) &att_kernel_##x##_v4,
static const att_kernel *const kernels_v4[] = {
#include "kernels.def"
    NULL};
static const att_kernel *const zoo_v4[] = {
#include "zoo/zoo.def"
    NULL};
static const att_kernel *const controls_v4[] = {
#include "controls/controls.def"
    NULL};
static const att_kernel *const different_v4[] = {
#include "different/different.def"
    NULL};
#undef ATT_KERNEL
#endif

#define ATT_VARIANT(need, name, kernel, shown) {need, name, kernel, shown},
const att_variant_row att_variant_rows[] = {
#include "variants.def"
    {0}};
#undef ATT_VARIANT

/* Worst first. */
static const att_kernel_tables levels[] = {
    {kernels_plain, zoo_plain, controls_plain, different_plain, "plain"},
#ifdef __x86_64__
    {kernels_v3, zoo_v3, controls_v3, different_v3, "v3"},
    {kernels_v4, zoo_v4, controls_v4, different_v4, "v4"},
#endif
};

/* How many of the levels this machine has.  Whoever has AVX2 and FMA also has the rest of v3. */
static size_t levels_here(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi2"))
        return 1;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return 2;
    return 3;
#else
    return 1;
#endif
}

const att_kernel_tables *att_kernel_table(const char **why)
{
    static const char *const valid[] = {
        "ATT_ISA names no level of this machine, which has: plain",
        "ATT_ISA names no level of this machine, which has: plain, v3",
        "ATT_ISA names no level of this machine, which has: plain, v3, v4",
    };
    const size_t here = levels_here();
    const char *asked = getenv("ATT_ISA");

    if (!asked || !*asked)
        return &levels[here - 1];
    for (size_t i = 0; i < here; i++)
        if (!strcmp(asked, levels[i].isa))
            return &levels[i];
    if (why)
        *why = valid[here - 1];
    return NULL;
}
