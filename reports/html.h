/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of report.html.  A row or a section that the filter may hide says what it holds in
 * data-variant, data-task, data-length and data-verdict; what it leaves out it is not asked for. */
#ifndef ATT_HTML_H
#define ATT_HTML_H

#include "reports/sheet.h"

#define ATT_HTML_MOST_BYTES (4608u * 1024u)

/* Whether there is room for another row; says so once a section where there is none. */
bool att_html_room(const att_buf *out);
/* " data-<name>="value"", escaped; nothing for NULL. */
void att_html_data(att_buf *out, const char *name, const char *value);
/* <td>, escaped. */
void att_html_cell(att_buf *out, const char *text);
/* Opens a table in a region that scrolls: a caption and heads, separated by '|'; a head that begins
 * with '#' sorts by number.  att_html_table_end closes it. */
void att_html_table(att_buf *out, const char *caption, const char *heads);
void att_html_table_end(att_buf *out);

void att_html_variants(att_buf *out, const att_result *result, const att_sheet *sheet);
void att_html_tasks(att_buf *out, const att_result *result, const att_sheet *sheet);
void att_html_depths(att_buf *out, const att_sheet *sheet);
void att_html_numerics(att_buf *out, const att_sheet *sheet);

#endif
