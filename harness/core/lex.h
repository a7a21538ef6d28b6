/* SPDX-License-Identifier: Apache-2.0 */
/* The tokens of a case line: names, values (quoted where they hold a space or one of { } , = ;). */
#ifndef ATT_LEX_H
#define ATT_LEX_H

#include <stdbool.h>
#include <stddef.h>

#include "attn.h"
#include "base/arena.h"
#include "base/why.h"

typedef struct att_lex {
    const char *at, *end;
} att_lex;

bool att_lex_take(att_lex *x, char c);
void att_lex_blanks(att_lex *x);
/* Letters, digits, _ and '.'; NULL (nothing taken) if there is none. */
char *att_lex_name(att_lex *x, bool dots, att_arena *arena);
/* A value up to one of `stops`, a space or the end; quotes are taken off.  INVALID for an open
 * quote or a character that needs quotes. */
att_status att_lex_value(att_lex *x, const char *stops, att_arena *arena, char **out, att_why *why);
/* The end of a piece that stops at `stop` outside quotes and braces. */
const char *att_lex_piece(const att_lex *x, char stop);
/* "{k=v,...}" or nothing, against a table: values start as the defaults. */
att_status att_lex_params(att_lex *x, const att_param *table, const char *owner, att_arena *arena,
                          const att_value **out, att_why *why);
/* Sets one parameter; *given (a bit set of `n` flags) refuses a repeated key. */
att_status att_lex_assign(const att_param *table, const char *owner, const char *key,
                          const char *text, bool *given, att_arena *arena, att_value *values,
                          att_why *why);

#endif
