/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of kernels, one set an ISA level, and the choice among them.
 *
 * Why: every kernel file is compiled once a level (the Makefile renames its descriptor
 * att_kernel_<stem> to att_kernel_<stem>_<level> and defines ATT_LEVEL_<level> here), so that one
 * binary is fast on new machines and runs on old ones. */
#include "table.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#ifdef ATT_LEVEL_plain
#define HAS_PLAIN     " plain"
#define ATT_KERNEL(x) extern const att_kernel att_kernel_##x##_plain;
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
#else
#define HAS_PLAIN ""
#endif

#ifdef ATT_LEVEL_v3
#define HAS_V3        " v3"
#define ATT_KERNEL(x) extern const att_kernel att_kernel_##x##_v3;
#include "controls/controls.def"
#include "different/different.def"
#include "kernels.def"
#include "zoo/zoo.def"
#undef ATT_KERNEL
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
#else
#define HAS_V3 ""
#endif

#ifdef ATT_LEVEL_v4
#define HAS_V4        " v4"
#define ATT_KERNEL(x) extern const att_kernel att_kernel_##x##_v4;
#include "controls/controls.def"
#include "different/different.def"
#include "kernels.def"
#include "zoo/zoo.def"
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
#else
#define HAS_V4 ""
#endif

#define ATT_VARIANT(need, name, kernel, shown) {need, name, kernel, shown},
const att_variant_row att_variant_rows[] = {
#include "variants.def"
    {0}};
#undef ATT_VARIANT

/* The levels of this build, worst first; what a machine needs for each. */
static const struct {
    int need;
    att_kernel_tables tables;
} levels[] = {
#ifdef ATT_LEVEL_plain
    {0, {kernels_plain, zoo_plain, controls_plain, different_plain, "plain"}},
#endif
#ifdef ATT_LEVEL_v3
    {1, {kernels_v3, zoo_v3, controls_v3, different_v3, "v3"}},
#endif
#ifdef ATT_LEVEL_v4
    {2, {kernels_v4, zoo_v4, controls_v4, different_v4, "v4"}},
#endif
};

/* What this machine has.  Whoever has AVX2 and FMA also has the rest of v3. */
static int level_here(void)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi2"))
        return 0;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return 1;
    return 2;
#else
    return 0;
#endif
}

const att_kernel_tables *att_kernel_table(const char **why)
{
    static const char *const valid[] = {
        "names no level of this build and machine, which has:" HAS_PLAIN,
        "names no level of this build and machine, which has:" HAS_PLAIN HAS_V3,
        "names no level of this build and machine, which has:" HAS_PLAIN HAS_V3 HAS_V4,
    };
    const int here = level_here();
    const char *asked = getenv("ATT_ISA");
    const att_kernel_tables *best = NULL;

    for (size_t i = 0; i < sizeof levels / sizeof *levels && levels[i].need <= here; i++)
        if (!asked || !*asked || !strcmp(asked, levels[i].tables.isa))
            best = &levels[i].tables;
    if (!best && why)
        *why = valid[here];
    return best;
}
