/* SPDX-License-Identifier: Apache-2.0 */
/* All probes of a run in one table of plain text: a row a variant, a column a task. */
#ifndef ATT_REPORTS_MATRIX_H
#define ATT_REPORTS_MATRIX_H

#include "base/str.h"
#include "core/result.h"

/* "97", "<80w12", "np": what the legend of att_matrix_put says. */
typedef struct att_matrix_cell {
    char text[16];
} att_matrix_cell;

/* One task. */
typedef struct att_matrix_column {
    const char *measure;
    char code[24];
    double longest; /* length that the base answered; 0: it has none; -1: none answered */
    char span[24];  /* the same as text */
    int width;
    const att_record **base; /* the base's records, within the table's */
    size_t n_base;
} att_matrix_column;

typedef struct att_matrix {
    const att_result *result;
    const char *base;
    att_matrix_column *columns;
    size_t n_columns;
    const char **kernels; /* the base first */
    size_t n_kernels;
    const att_record **records; /* the base's, a column after another */
    att_matrix_cell *cells;     /* [n_kernels,n_columns] */
} att_matrix;

/* A cell is the accuracy in percent of the base's on the same items, at the longest length that
 * both answered, with the verdict of result->comparisons over all lengths; or why there is none.
 * base: canonical text of a kernel of the result; kernels: those to show, NULL at the end; NULL =
 * all.  Points into the result; att_matrix_drop frees, after an error too.  NO_MEMORY. */
att_status att_matrix_make(const att_result *result, const char *base, const char *const *kernels,
                           att_matrix *m);
void att_matrix_drop(att_matrix *m);

/* The table and its legend; variants whose cells are all alike share a row.  Nothing is put where
 * the base answered no probe. */
void att_matrix_put(att_buf *out, const att_result *result, const char *base,
                    const char *const *kernels);

#endif
