/* SPDX-License-Identifier: Apache-2.0 */
/* A small house of kernels and evals for the tests of cases and names; nothing in it computes. */
#ifndef MADE_TABLES_H
#define MADE_TABLES_H

#include <string.h>

#include "base/tests/suite.h"
#include "core/registry.h"

static att_status made_supports(const att_kernel *self, att_op op, const att_problem *p,
                                const att_value *params, att_reason *why)
{
    (void)self;
    (void)op;
    (void)p;
    (void)params;
    (void)why;
    return ATT_OK;
}

static att_status made_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self;
    (void)p;
    (void)s;
    return ATT_OK;
}

static att_status made_run(att_ctx *x)
{
    (void)x;
    return ATT_OK;
}

#define MADE_KERNEL(stem, table)                                                                   \
    static const att_kernel stem = {.struct_size = sizeof(att_kernel),                             \
                                    .abi = ATT_ABI,                                                \
                                    .name = #stem,                                                 \
                                    .family = "made",                                              \
                                    .summary = "made",                                             \
                                    .params = table,                                               \
                                    .supports = made_supports,                                     \
                                    .attend = made_attend}

static const att_param made_window[] = {
    {"sinks", ATT_PARAM_INT, 0, "keys", "4", "0:1000", "4", "first keys kept"},
    {"left", ATT_PARAM_INT, 0, "keys", "252", "0:100000", NULL, "window"},
    {0}};
static const att_param made_mixed[] = {
    {"n", ATT_PARAM_INT, 0, "", "-3", ":", NULL, "any integer"},
    {"x", ATT_PARAM_REAL, 0, "", "0.5", "-1e9:1e9", NULL, "a number"},
    {"word", ATT_PARAM_WORD, 0, "", "red", "red|green|blue", NULL, "a colour"},
    {"text", ATT_PARAM_WORD, 0, "", "", "", NULL, "any text"},
    {0}};

MADE_KERNEL(flash_f32, NULL);
MADE_KERNEL(sink_window, made_window);
MADE_KERNEL(mixed, made_mixed);
MADE_KERNEL(causal_off_by_one, NULL);
MADE_KERNEL(uniform, NULL);

static const att_metric_spec made_metrics[] = {
    {"ratio", "ratio", ATT_LOWER, 1.0, ATT_BINDS_ALL, ""}, {0}};
static const char *const made_tasks[] = {"needle", "citation", NULL};

static bool made_valid(const att_value *v)
{
    return v[0].i != 13;
}

static double made_seconds(const char *task, const att_value *v)
{
    return *task == 'c' ? NAN : (double)v[0].i;
}

static const att_eval parity_ = {.name = "parity",
                                 .summary = "made",
                                 .params = made_mixed,
                                 .metrics = made_metrics,
                                 .valid = made_valid,
                                 .chance = NAN,
                                 .run = made_run};
static const att_eval lm_ = {.name = "lm",
                             .summary = "made",
                             .tasks = made_tasks,
                             .params = made_mixed,
                             .metrics = made_metrics,
                             .group_by = "n text",
                             .group_kernel = true,
                             .seconds = made_seconds,
                             .chance = 0.5,
                             .run = made_run};

static const att_kernel *const made_kernels[] = {&flash_f32, &sink_window, &mixed, NULL};
static const att_kernel *const made_zoo[] = {&causal_off_by_one, NULL};
static const att_kernel *const made_controls[] = {&uniform, NULL};
static const att_eval *const made_evals[] = {&parity_, &lm_, NULL};
static const att_tables made_tables = {.kernels = made_kernels,
                                       .zoo = made_zoo,
                                       .controls = made_controls,
                                       .evals = made_evals,
                                       .isa = "plain",
                                       .dense = "flash_f32",
                                       .oracle = "reference_f64"};

/* A plugin source that knows "it.so" (kernels flash_f32, mixed) and "one file.so" (uniform). */
static att_status made_open(void *arg, const char *path, const att_kernel *const **kernels,
                            size_t *n, att_why *why)
{
    static const att_kernel *const two[] = {&flash_f32, &mixed};
    static const att_kernel *const one[] = {&uniform};

    (*(int *)arg)++;
    if (strcmp(path, "it.so") == 0) {
        *kernels = two;
        *n = 2;
        return ATT_OK;
    }
    if (strcmp(path, "one file.so") == 0) {
        *kernels = one;
        *n = 1;
        return ATT_OK;
    }
    att_why_set(why, "%s: no such file", path);
    return ATT_INVALID;
}

#endif
