/* SPDX-License-Identifier: Apache-2.0 */
#include "param.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

size_t att_param_count(const att_param *table)
{
    size_t n = 0;

    while (table && table[n].name)
        n++;
    return n;
}

int att_param_index(const att_param *table, const char *name)
{
    for (int i = 0; table && table[i].name; i++)
        if (strcmp(table[i].name, name) == 0)
            return i;
    return -1;
}

const char *att_param_nearest(const att_param *table, const char *name)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    for (; table && table->name; table++) {
        size_t d = att_str_distance(table->name, name);
        if (d < best) {
            best = d;
            nearest = table->name;
        }
    }
    return nearest;
}

/* "lo:hi", inclusive; either side may be left empty. */
static bool int_allowed(const char *domain, int64_t x)
{
    const char *colon = domain ? strchr(domain, ':') : NULL;

    if (!colon)
        return true;
    return (colon == domain || x >= strtoll(domain, NULL, 10)) &&
           (!colon[1] || x <= strtoll(colon + 1, NULL, 10));
}

static bool real_allowed(const char *domain, double x)
{
    const char *colon = domain ? strchr(domain, ':') : NULL;

    if (!isfinite(x))
        return false;
    if (!colon)
        return true;
    return (colon == domain || x >= strtod(domain, NULL)) &&
           (!colon[1] || x <= strtod(colon + 1, NULL));
}

static att_status parse_word(const att_param *p, const char *text, att_arena *arena, att_value *out,
                             att_why *why)
{
    char nearest[64] = "";

    if (strchr(text, '\'') || strpbrk(text, "\n\r\t")) {
        att_why_set(why, "%s: a word can't hold quotes, tabs or line ends", p->name);
        return ATT_INVALID;
    }
    if (p->domain && *p->domain && !att_str_choice(p->domain, text, nearest)) {
        att_why_set(why, "%s=%s: one of %s is expected; the nearest is %s", p->name, text,
                    p->domain, nearest);
        return ATT_INVALID;
    }
    char *copy = att_arena_text(arena, text);
    if (!copy) {
        att_why_set(why, "%s: no memory", p->name);
        return ATT_NO_MEMORY;
    }
    *out = (att_value){.s = copy};
    return ATT_OK;
}

att_status att_param_parse(const att_param *p, const char *text, att_arena *arena, att_value *out,
                           att_why *why)
{
    const char *kind = p->type == ATT_PARAM_INT ? "an integer" : "a number";
    char *end = NULL;
    bool good;
    att_value value = {0};

    if (p->type == ATT_PARAM_WORD)
        return parse_word(p, text, arena, out, why);
    bool plain = *text && !strpbrk(text, " \t\n\r\f\vxXnN"); /* no blanks, hex, nan or inf */
    errno = 0;
    if (p->type == ATT_PARAM_INT) {
        value.i = strtoll(text, &end, 10);
        value.f = (double)value.i;
        good = plain && !*end && !errno && int_allowed(p->domain, value.i);
    } else {
        value.f = strtod(text, &end);
        good = plain && !*end && real_allowed(p->domain, value.f);
        value.f += 0.0; /* -0 and 0 are one value */
    }
    if (!good) {
        bool bounded = p->domain && *p->domain;
        att_why_set(why, "%s=%s: %s%s%s is expected", p->name, text, kind,
                    bounded ? " within " : "", bounded ? p->domain : "");
        return ATT_INVALID;
    }
    *out = value;
    return ATT_OK;
}

att_status att_param_defaults(const att_param *table, att_arena *arena, att_value **out,
                              att_why *why)
{
    size_t n = att_param_count(table);
    att_value *values = NULL;

    if (n > 0 && !(values = att_arena_zeros(arena, n, sizeof *values))) {
        att_why_set(why, "no memory for parameters");
        return ATT_NO_MEMORY;
    }
    for (size_t i = 0; i < n; i++) {
        att_status status = att_param_parse(&table[i], table[i].fallback ? table[i].fallback : "",
                                            arena, &values[i], why);
        if (status != ATT_OK)
            return status;
    }
    *out = values;
    return ATT_OK;
}

void att_word_print(const char *word, att_buf *out)
{
    bool quoted = !*word || strpbrk(word, " {},=;");

    att_buf_printf(out, quoted ? "'%s'" : "%s", word);
}

void att_param_print(const att_param *p, const att_value *value, att_buf *out)
{
    char text[40];

    if (p->type == ATT_PARAM_WORD) {
        att_word_print(value->s ? value->s : "", out);
        return;
    }
    if (p->type == ATT_PARAM_INT) {
        att_buf_printf(out, "%" PRId64, value->i);
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value->f);
        if (strtod(text, NULL) == value->f)
            break;
    }
    att_buf_puts(out, text);
}

bool att_param_same(const att_param *p, const att_value *a, const att_value *b)
{
    if (p->type == ATT_PARAM_WORD)
        return strcmp(a->s ? a->s : "", b->s ? b->s : "") == 0;
    return p->type == ATT_PARAM_INT ? a->i == b->i : a->f == b->f;
}
