/* SPDX-License-Identifier: Apache-2.0 */
#include "lex.h"

#include <ctype.h>
#include <string.h>

#include "core/param.h"

bool att_lex_take(att_lex *x, char c)
{
    if (x->at < x->end && *x->at == c) {
        x->at++;
        return true;
    }
    return false;
}

void att_lex_blanks(att_lex *x)
{
    while (x->at < x->end && (*x->at == ' ' || *x->at == '\t' || *x->at == '\n'))
        x->at++;
}

char *att_lex_name(att_lex *x, bool dots, att_arena *arena)
{
    const char *from = x->at;

    while (x->at < x->end &&
           (isalnum((unsigned char)*x->at) || *x->at == '_' || (dots && *x->at == '.')))
        x->at++;
    return x->at > from ? att_arena_span(arena, from, (size_t)(x->at - from)) : NULL;
}

att_status att_lex_value(att_lex *x, const char *stops, att_arena *arena, char **out, att_why *why)
{
    const char *from = x->at, *to;

    if (att_lex_take(x, '\'')) {
        from = x->at;
        to = memchr(from, '\'', (size_t)(x->end - from));
        if (!to) {
            att_why_set(why, "a quote is not closed: '%.*s", (int)(x->end - from), from);
            return ATT_INVALID;
        }
        x->at = to + 1;
        if (x->at < x->end && *x->at != ' ' && !strchr(stops, *x->at)) {
            att_why_set(why, "text after a closing quote: %.*s", (int)(x->end - x->at), x->at);
            return ATT_INVALID;
        }
    } else {
        while (x->at < x->end && *x->at != ' ' && !strchr(stops, *x->at) &&
               !strchr("{},=;'", *x->at))
            x->at++;
        to = x->at;
        if (x->at < x->end && *x->at != ' ' && !strchr(stops, *x->at)) {
            att_why_set(why, "a value that holds %c needs quotes: %.*s", *x->at,
                        (int)(x->end - from), from);
            return ATT_INVALID;
        }
        if (to == from) {
            att_why_set(why, "a value is missing (an empty one is written '')");
            return ATT_INVALID;
        }
    }
    if (!(*out = att_arena_span(arena, from, (size_t)(to - from)))) {
        att_why_set(why, "no memory");
        return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

const char *att_lex_piece(const att_lex *x, char stop)
{
    int depth = 0;
    bool quoted = false;
    const char *c = x->at;

    for (; c < x->end; c++) {
        if (*c == '\'')
            quoted = !quoted;
        else if (!quoted && depth == 0 && *c == stop)
            break;
        else if (!quoted && (*c == '{' || *c == '}'))
            depth += *c == '{' ? 1 : -1;
    }
    return c;
}

att_status att_lex_assign(const att_param *table, const char *owner, const char *key,
                          const char *text, bool *given, att_arena *arena, att_value *values,
                          att_why *why)
{
    int i = att_param_index(table, key);
    att_why inner = {{0}};

    if (i < 0) {
        const char *nearest = att_param_nearest(table, key);
        if (nearest)
            att_why_set(why, "%s has no parameter %s; the nearest is %s", owner, key, nearest);
        else
            att_why_set(why, "%s has no parameters, so not %s", owner, key);
        return ATT_INVALID;
    }
    if (given[i]) {
        att_why_set(why, "%s: %s is given twice", owner, key);
        return ATT_INVALID;
    }
    given[i] = true;
    att_status status = att_param_parse(&table[i], text, arena, &values[i], &inner);
    if (status != ATT_OK)
        att_why_set(why, "%s: %s", owner, inner.text);
    return status;
}

att_status att_lex_params(att_lex *x, const att_param *table, const char *owner, att_arena *arena,
                          const att_value **out, att_why *why)
{
    att_value *values = NULL;
    bool *given = att_arena_zeros(arena, att_param_count(table) + 1, sizeof *given);
    att_status status = given ? att_param_defaults(table, arena, &values, why) : ATT_NO_MEMORY;

    if (status != ATT_OK || !att_lex_take(x, '{'))
        goto done;
    do {
        char *text = NULL, *key = att_lex_name(x, false, arena);
        if (!key || !att_lex_take(x, '=')) {
            att_why_set(why, "%s{...}: key=value is expected at '%.*s'", owner,
                        (int)(x->end - x->at), x->at);
            status = ATT_INVALID;
            goto done;
        }
        if ((status = att_lex_value(x, ",}", arena, &text, why)) != ATT_OK ||
            (status = att_lex_assign(table, owner, key, text, given, arena, values, why)) != ATT_OK)
            goto done;
    } while (att_lex_take(x, ','));
    if (!att_lex_take(x, '}')) {
        att_why_set(why, "%s{...}: '}' is missing", owner);
        status = ATT_INVALID;
    }
done:
    *out = status == ATT_OK ? values : NULL;
    return status;
}
