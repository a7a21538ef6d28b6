/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of summary.md, each a section with its own heading, or nothing. */
#ifndef ATT_MARKDOWN_H
#define ATT_MARKDOWN_H

#include "base/str.h"
#include "gate/audit.h"
#include "reports/sheet.h"

/* Whether there is room for another block; says so once where there is none. */
bool att_md_room(att_buf *out, const char *what);

void att_md_kernels(att_buf *out, const att_result *result);
/* What the controls of the run say of a measure: which it punishes; blind; no power; not audited.
 */
void att_md_audit(att_buf *out, const att_audit *audit, const char *measure);
/* All probes in one table (matrix.h). */
void att_md_matrix(att_buf *out, const att_result *result);
void att_md_tasks(att_buf *out, const att_result *result, const att_sheet *sheet);
void att_md_comparisons(att_buf *out, const att_result *result);
void att_md_effective(att_buf *out, const att_result *result);
void att_md_numerics(att_buf *out, const att_sheet *sheet);
void att_md_precision(att_buf *out, const att_result *result);
void att_md_holes(att_buf *out, const att_result *result);

#endif
