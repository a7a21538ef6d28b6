/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of kernels, one a house room, expanded from the .def files; each ends with NULL. */
#ifndef ATT_TABLE_H
#define ATT_TABLE_H

#include "attn.h"

typedef struct att_kernel_tables {
    const att_kernel *const *kernels;   /* kernels.def: the variants */
    const att_kernel *const *zoo;       /* zoo/zoo.def: deliberately wrong ones */
    const att_kernel *const *controls;  /* controls/controls.def: crippled ones */
    const att_kernel *const *different; /* different/different.def: right in other ways */
    const char *isa;                    /* the level in use: "plain", "v3", "v4" */
} att_kernel_tables;

/* The best ISA level of this machine, or the one that the variable ATT_ISA names; NULL, with the
 * valid names in *why, where ATT_ISA names one that the machine or the build lacks. */
const att_kernel_tables *att_kernel_table(const char **why);

/* A row of variants.def: what the field knows, which kernel here does it, and a case of it. */
typedef struct att_variant_row {
    const char *need;   /* "M" must, "S" should, "C" could, "A" asked beside them; NULL ends */
    const char *name;   /* of the variant */
    const char *kernel; /* "" = none */
    const char *shown;  /* a case line; without a kernel: why there is none */
} att_variant_row;

extern const att_variant_row att_variant_rows[];

#endif
