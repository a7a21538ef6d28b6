/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison as people read it: every task by length, then all of it in one table, cost beside
 * quality. */
#ifndef ATT_CLI_COMPARE_VIEW_H
#define ATT_CLI_COMPARE_VIEW_H

#include "core/registry.h"
#include "gate/compare.h"
#include "gate/effective.h"

#define ATT_VIEW_LENGTHS 16

/* One length of a row, or all of them. */
typedef struct att_view_cell {
    double length; /* NAN = all */
    int64_t n, wins, losses;
    double base, own; /* accuracies over the paired items; NAN where there are none */
    double lo, hi;    /* of the difference */
    double keys;      /* share of the keys that one query reads; NAN = not declared */
    const char *note; /* "no power", "unsupported" ...; "" = every case has items */
} att_view_cell;

/* A kernel and a task. */
typedef struct att_view_row {
    const att_comparison *c;
    const att_effective *effective; /* NULL = one length */
    att_view_cell all, at[ATT_VIEW_LENGTHS];
    size_t n_at;
} att_view_row;

/* What a query costs a kernel after each of the view's lengths. */
typedef struct att_view_cost {
    const char *kernel;
    double kv_bytes_per_token;
    struct {
        double keys, flops, state_bytes;
    } at[ATT_VIEW_LENGTHS];
} att_view_cost;

/* Texts point into the result and the caller's. */
typedef struct att_view {
    att_compare_how how;
    const att_result *result;
    att_effective *effective;
    size_t n_effective;
    att_view_row *rows;
    size_t n_rows;
    double lengths[ATT_VIEW_LENGTHS]; /* of all tasks, ascending */
    size_t n_lengths;
    att_view_cost *costs;
    size_t n_costs;
} att_view;

/* From a result whose comparisons were filled by `how`.  kernels: canonical texts to show, NULL at
 * the end; NULL = all.  registry: for costs.  NO_MEMORY. */
att_status att_view_make(const att_result *result, const att_compare_how *how,
                         att_registry *registry, const char *const *kernels, att_view *out,
                         att_why *why);
void att_view_drop(att_view *v);

/* To stdout.  Blocks: one a task; summary: one row a task and kernel, then costs. */
void att_view_print_blocks(const att_view *v);
void att_view_print_summary(const att_view *v);
void att_view_print_json(const att_view *v);

#endif
