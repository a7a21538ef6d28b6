/* SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/lex.h"
#include "core/param.h"

static att_status no_memory(att_why *why)
{
    att_why_set(why, "no memory for a case");
    return ATT_NO_MEMORY;
}

/* measure = eval [ "." task ] */
static att_status parse_measure(att_registry *r, const char *text, att_case *c, att_why *why)
{
    const char *dot = strchr(text, '.'), *nearest = NULL;
    char *name = att_arena_span(&c->arena, text, dot ? (size_t)(dot - text) : strlen(text));
    size_t best = SIZE_MAX;

    if (!name || !(c->measure = att_arena_text(&c->arena, text)))
        return no_memory(why);
    if (!(c->eval = att_registry_eval(r, name, why)))
        return ATT_INVALID;
    c->task = dot ? c->measure + (dot - text) + 1 : "";
    if (!c->eval->tasks && *c->task == '\0' && !dot)
        return ATT_OK;
    for (const char *const *t = c->eval->tasks; t && *t; t++) {
        size_t d = att_str_distance(*t, c->task);
        if (d == 0)
            return ATT_OK;
        if (d < best) {
            best = d;
            nearest = *t;
        }
    }
    if (!nearest)
        att_why_set(why, "%s: %s has no tasks", text, name);
    else if (!dot)
        att_why_set(why, "%s needs a task, like %s.%s", name, name, c->eval->tasks[0]);
    else
        att_why_set(why, "unknown task %s; the nearest is %s.%s", text, name, nearest);
    return ATT_INVALID;
}

static att_status parse_seed(const char *text, uint64_t *out, att_why *why)
{
    char *end = NULL;
    unsigned long long x = strtoull(text, &end, 10);

    if (*text < '0' || *text > '9' || *end || x >= ATT_SEED_MAX || strlen(text) > 16) {
        att_why_set(why, "seed=%s: an integer within 0:%" PRIu64 " is expected", text,
                    ATT_SEED_MAX - 1);
        return ATT_INVALID;
    }
    *out = x;
    return ATT_OK;
}

/* Everything after the kernel. */
static att_status parse_params(att_lex *x, att_case *c, att_value *values, att_why *why)
{
    const att_param *table = c->eval->params;
    bool *given = att_arena_zeros(&c->arena, att_param_count(table) + 1, sizeof *given);
    bool seeded = false;

    if (!given)
        return no_memory(why);
    for (att_lex_blanks(x); x->at < x->end; att_lex_blanks(x)) {
        char *text = NULL, *key = att_lex_name(x, false, &c->arena);
        if (!key || !att_lex_take(x, '=')) {
            att_why_set(why, "key=value is expected at '%.*s'", (int)(x->end - x->at), x->at);
            return ATT_INVALID;
        }
        att_status status = att_lex_value(x, "", &c->arena, &text, why);
        if (status == ATT_OK && strcmp(key, "seed") == 0) {
            if (seeded) {
                att_why_set(why, "seed is given twice");
                return ATT_INVALID;
            }
            seeded = true;
            status = parse_seed(text, &c->seed, why);
        } else if (status == ATT_OK) {
            status = att_lex_assign(table, c->measure, key, text, given, &c->arena, values, why);
        }
        if (status != ATT_OK)
            return status;
    }
    return ATT_OK;
}

/* Whether a space-separated list of names holds `name`. */
static bool listed(const char *list, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = list; at && *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == n && strncmp(at, name, n) == 0)
            return true;
    return false;
}

/* The strings a case is known by. */
static att_status print_case(att_case *c, att_why *why)
{
    const att_param *table = c->eval->params;
    att_value *defaults = NULL;
    att_buf params = {0}, all = {0}, group = {0}, line = {0};
    att_status status = att_param_defaults(table, &c->arena, &defaults, why);

    att_buf_puts(&params, "");
    att_buf_puts(&all, "");
    att_buf_printf(&group, "%s", c->eval->name);
    for (size_t i = 0; status == ATT_OK && i < att_param_count(table); i++) {
        att_buf_printf(&all, "%s%s=", all.length ? " " : "", table[i].name);
        att_param_print(&table[i], &c->values[i], &all);
        if (!att_param_same(&table[i], &c->values[i], &defaults[i])) {
            att_buf_printf(&params, "%s%s=", params.length ? " " : "", table[i].name);
            att_param_print(&table[i], &c->values[i], &params);
        }
        if (c->eval->group_by && listed(c->eval->group_by, table[i].name)) {
            att_buf_printf(&group, " %s=", table[i].name);
            att_param_print(&table[i], &c->values[i], &group);
        }
    }
    if (status != ATT_OK || params.failed || all.failed || group.failed)
        goto done;
    const char *gap = params.length ? " " : "";
    c->params = att_arena_text(&c->arena, params.data);
    c->all_params = att_arena_text(&c->arena, all.data);
    c->group_items = att_arena_text(&c->arena, group.data);
    att_buf_printf(&line, "%s %s%s%s", c->measure, c->variant->text, gap, params.data);
    c->id = line.failed ? NULL : att_arena_text(&c->arena, line.data);
    att_buf_printf(&line, " seed=%" PRIu64, c->seed);
    c->line = line.failed ? NULL : att_arena_text(&c->arena, line.data);
    line.length = 0;
    att_buf_printf(&line, "%s%s%s", c->measure, gap, params.data);
    c->items = line.failed ? NULL : att_arena_text(&c->arena, line.data);
    if (!c->eval->group_by) {
        c->group = c->line;
    } else {
        att_buf_printf(&group, " seed=%" PRIu64 " %s%s%s", c->seed, c->measure,
                       c->eval->group_kernel ? " " : "",
                       c->eval->group_kernel ? c->variant->text : "");
        c->group = group.failed ? NULL : att_arena_text(&c->arena, group.data);
    }
done:
    if (status == ATT_OK && (!c->params || !c->all_params || !c->group_items || !c->id ||
                             !c->line || !c->items || !c->group))
        status = no_memory(why);
    att_buf_drop(&params);
    att_buf_drop(&all);
    att_buf_drop(&group);
    att_buf_drop(&line);
    return status;
}

att_status att_case_make(att_registry *r, const char *measure, const char *kernel,
                         const char *params, const uint64_t *seed, att_case **out, att_why *why)
{
    att_case *c = calloc(1, sizeof *c);
    att_value *values = NULL;
    att_lex x = {params, params + strlen(params)};
    att_status status;

    if (!c)
        return no_memory(why);
    c->seed = 1;
    if ((status = parse_measure(r, measure, c, why)) != ATT_OK ||
        (status = att_variant_parse(r, kernel, &c->arena, &c->variant, why)) != ATT_OK ||
        (status = att_param_defaults(c->eval->params, &c->arena, &values, why)) != ATT_OK)
        goto done;
    c->values = values;
    if ((status = parse_params(&x, c, values, why)) != ATT_OK)
        goto done;
    if (seed)
        c->seed = *seed;
    if (c->eval->valid && !c->eval->valid(values)) {
        att_why_set(why, "%s %s: this combination of parameters makes no sense", measure, params);
        status = ATT_INVALID;
        goto done;
    }
    c->seconds = c->eval->seconds ? c->eval->seconds(c->task, values) : 0.01;
    if (!(c->seconds >= 0.0 && c->seconds < 1e6))
        c->seconds = 0.01;
    status = print_case(c, why);
done:
    if (status != ATT_OK)
        att_case_drop(c);
    else
        *out = c;
    return status;
}

att_status att_case_parse(att_registry *r, const char *line, att_case **out, att_why *why)
{
    att_arena arena = {0};
    att_lex x = {line, line + strlen(line)};
    att_status status = ATT_INVALID;

    att_lex_blanks(&x);
    char *measure = att_lex_name(&x, true, &arena);
    att_lex_blanks(&x);
    const char *end = att_lex_piece(&x, ' ');
    char *kernel = att_arena_span(&arena, x.at, (size_t)(end - x.at));
    if (!measure || !kernel || !*kernel) {
        att_why_set(why, "a case reads: measure kernel key=value ... seed=n; not '%s'", line);
        goto done;
    }
    status = att_case_make(r, measure, kernel, end, NULL, out, why);
done:
    att_arena_drop(&arena);
    return status;
}

void att_case_drop(att_case *c)
{
    if (!c)
        return;
    att_arena_drop(&c->arena);
    free(c);
}
