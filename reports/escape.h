/* SPDX-License-Identifier: Apache-2.0 */
/* Text from kernels, cases and files on its way into XML, Markdown, shells, gnuplot and file names.
 * Nothing that arrives here is trusted: plugin names, reasons and notes are other people's. */
#ifndef ATT_ESCAPE_H
#define ATT_ESCAPE_H

#include "base/str.h"

/* XML 1.0 character data and attribute values; what XML can't hold (control characters, broken
 * UTF-8) becomes U+FFFD. */
void att_xml_put(att_buf *out, const char *text);

/* Markdown text, on one line: every character that could start markup is escaped. */
void att_md_put(att_buf *out, const char *text);
/* A Markdown code span, on one line.  `in_table`: a bar is escaped, as tables need. */
void att_md_code(att_buf *out, const char *text, bool in_table);

/* One word for a POSIX shell, in single quotes. */
void att_shell_put(att_buf *out, const char *text);

/* A gnuplot string constant in single quotes, where neither commands nor escapes are read. */
void att_gnuplot_put(att_buf *out, const char *text);

/* One field of a tab-separated table: tabs, line ends and double quotes become spaces. */
void att_tsv_put(att_buf *out, const char *text);

/* One field of a CSV table (RFC 4180), in double quotes where it needs them.  What a spreadsheet
 * would run as a formula, text that begins with = + - @, tab or carriage return, begins with '. */
void att_csv_put(att_buf *out, const char *text);

/* A file name: letters, digits, '_', '-' and '.' stay, runs of others become one '-'; at most 80
 * characters, never empty, never beginning with '.' or '-'. */
void att_slug_put(att_buf *out, const char *text);

#endif
