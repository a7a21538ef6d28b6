/* SPDX-License-Identifier: Apache-2.0 */
/* The comparisons of a whole run, a line each. */
#ifndef ATT_CLI_COMPARE_FLAT_H
#define ATT_CLI_COMPARE_FLAT_H

#include "core/result.h"
#include "gate/loosened.h"

/* To stdout.  base: whom the comparisons are with; NULL = each kernel with itself before. */
void att_flat_print_rows(const att_result *result, const char *base);
void att_flat_print_json(const att_result *result);
void att_flat_print_loosened(const att_loosened *rows, size_t n, bool json);

#endif
