/* SPDX-License-Identifier: Apache-2.0 */
/* Typed parameters: text to value and back, by the declared tables of kernels and evals
 * (att_param). */
#ifndef ATT_PARAM_H
#define ATT_PARAM_H

#include <stdbool.h>

#include "attn.h"
#include "base/arena.h"
#include "base/str.h"
#include "base/why.h"

/* Rows of a table that may be NULL. */
size_t att_param_count(const att_param *table);
/* Index of a name; -1 if it is not there. */
int att_param_index(const att_param *table, const char *name);
/* The name of the table nearest to `name`; NULL for an empty table. */
const char *att_param_nearest(const att_param *table, const char *name);

/* Text to a value; INVALID, naming the domain, where it does not fit.  WORDs are copied into the
 * arena. */
att_status att_param_parse(const att_param *p, const char *text, att_arena *arena, att_value *out,
                           att_why *why);
/* The values of a table's defaults, NULL for an empty table.  *out lies in the arena. */
att_status att_param_defaults(const att_param *table, att_arena *arena, att_value **out,
                              att_why *why);
/* The shortest text that parses to the same value; words are quoted where the grammar asks. */
void att_param_print(const att_param *p, const att_value *value, att_buf *out);
bool att_param_same(const att_param *p, const att_value *a, const att_value *b);

/* A word as a case line writes it: quoted where it holds a space or one of { } , = ; or is empty.
 */
void att_word_print(const char *word, att_buf *out);

#endif
