/* SPDX-License-Identifier: Apache-2.0 */
/* kernel = name [params] | "plugin:" path ["#" name] [params] | "plan:" range "=" kernel *(";" ...)
 * The canonical text leaves defaults out and names a plugin's kernel always. */
#include "variant.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/lex.h"
#include "core/param.h"
#include "core/registry.h"

const att_variant_part *att_variant_layer(const att_variant *variant, int64_t layer)
{
    for (size_t i = 0; i < variant->parts; i++)
        if (layer >= variant->part[i].first && layer <= variant->part[i].last)
            return &variant->part[i];
    return NULL;
}

static bool starts(att_lex *x, const char *prefix)
{
    size_t n = strlen(prefix);

    if ((size_t)(x->end - x->at) < n || strncmp(x->at, prefix, n) != 0)
        return false;
    x->at += n;
    return true;
}

static void print_params(const att_param *table, const att_value *values, const char *open,
                         const char *between, const char *close, att_buf *out)
{
    att_arena arena = {0};
    att_value *defaults = NULL;
    bool any = false;

    if (att_param_defaults(table, &arena, &defaults, NULL) == ATT_OK)
        for (size_t i = 0; i < att_param_count(table); i++) {
            if (att_param_same(&table[i], &values[i], &defaults[i]))
                continue;
            att_buf_printf(out, "%s%s=", any ? between : open, table[i].name);
            att_param_print(&table[i], &values[i], out);
            any = true;
        }
    if (any)
        att_buf_puts(out, close);
    att_arena_drop(&arena);
}

/* One kernel that is no plan; its canonical text goes to `text`. */
static att_status parse_part(att_registry *r, att_lex *x, att_arena *arena, att_variant_part *part,
                             att_buf *text, att_why *why)
{
    att_status status = ATT_OK;
    char *path = NULL, *name = NULL;

    if (starts(x, "exec:")) {
        att_why_set(why, "exec: kernels in a process of their own can't be run yet; use plugin:");
        return ATT_INVALID;
    }
    if (starts(x, "plugin:")) {
        if ((status = att_lex_value(x, "#{", arena, &path, why)) != ATT_OK)
            return status;
        name = att_lex_take(x, '#') ? att_lex_name(x, false, arena) : att_arena_text(arena, "");
        if (!name) {
            att_why_set(why, "plugin:%s#: a kernel's name is expected", path);
            return ATT_INVALID;
        }
        if ((status = att_registry_plugin(r, path, name, &part->kernel, why)) != ATT_OK)
            return status;
        att_buf_puts(text, "plugin:");
        bool quoted = strpbrk(path, " {},=;#") != NULL;
        att_buf_printf(text, quoted ? "'%s'#%s" : "%s#%s", path, part->kernel->name);
    } else {
        const char *from = x->at;
        if (!starts(x, "zoo:") && !starts(x, "controls:"))
            starts(x, "different:");
        if (att_lex_name(x, false, arena))
            name = att_arena_span(arena, from, (size_t)(x->at - from));
        if (!name) {
            att_why_set(why, "a kernel's name is expected at '%.*s'", (int)(x->end - from), from);
            return ATT_INVALID;
        }
        if (!(part->kernel = att_registry_kernel(r, name, why)))
            return ATT_INVALID;
        att_buf_puts(text, part->kernel->name);
    }
    status = att_lex_params(x, part->kernel->params, part->kernel->name, arena, &part->values, why);
    if (status == ATT_OK)
        print_params(part->kernel->params, part->values, "{", ",", "}", text);
    return status;
}

static bool parse_range(att_lex *x, att_variant_part *part)
{
    char *end = NULL;

    if (x->at >= x->end || *x->at < '0' || *x->at > '9')
        return false;
    part->first = part->last = strtoll(x->at, &end, 10);
    x->at = end;
    if (att_lex_take(x, '-')) {
        if (x->at >= x->end || *x->at < '0' || *x->at > '9')
            return false;
        part->last = strtoll(x->at, &end, 10);
        x->at = end;
    }
    return part->last >= part->first && part->last <= 100000;
}

static att_status parse_plan(att_registry *r, att_lex *x, att_arena *arena, att_variant *out,
                             att_buf *text, att_why *why)
{
    size_t n = 1;
    int64_t after = -1;
    att_variant_part *part;

    for (const char *c = x->at; c < x->end; c++)
        n += *c == ';';
    if (!(part = att_arena_zeros(arena, n, sizeof *part)))
        return ATT_NO_MEMORY;
    out->part = part;
    att_buf_puts(text, "plan:");
    do {
        att_lex piece = {x->at, att_lex_piece(x, ';')};
        att_variant_part *p = &part[out->parts];
        if (!parse_range(&piece, p) || !att_lex_take(&piece, '=') || p->first <= after) {
            att_why_set(why, "plan: an ascending range of layers like 0-3= is expected at '%.*s'",
                        (int)(piece.end - x->at), x->at);
            return ATT_INVALID;
        }
        after = p->last;
        att_buf_printf(text, p->first == p->last ? "%s%" PRId64 : "%s%" PRId64 "-%" PRId64,
                       out->parts ? ";" : "", p->first, p->last);
        att_buf_puts(text, "=");
        att_status status = parse_part(r, &piece, arena, p, text, why);
        if (status != ATT_OK)
            return status;
        if (piece.at != piece.end) {
            att_why_set(why, "plan: unexpected text '%.*s'", (int)(piece.end - piece.at), piece.at);
            return ATT_INVALID;
        }
        out->parts++;
        x->at = piece.end;
    } while (att_lex_take(x, ';'));
    return ATT_OK;
}

att_status att_variant_parse(att_registry *r, const char *source, att_arena *arena,
                             const att_variant **out, att_why *why)
{
    att_lex x = {source, source + strlen(source)};
    att_variant *variant = att_arena_zeros(arena, 1, sizeof *variant);
    att_variant_part *part = att_arena_zeros(arena, 1, sizeof *part);
    att_buf text = {0};
    att_status status = ATT_NO_MEMORY;

    att_why_set(why, "no memory for %s", source);
    if (!variant || !part)
        goto done;
    if (starts(&x, "plan:")) {
        status = parse_plan(r, &x, arena, variant, &text, why);
    } else {
        part->last = INT64_MAX;
        variant->part = part;
        variant->parts = 1;
        status = parse_part(r, &x, arena, part, &text, why);
    }
    if (status != ATT_OK)
        goto done;
    if (x.at != x.end) {
        att_why_set(why, "kernel %s: unexpected text '%s'", source, x.at);
        status = ATT_INVALID;
        goto done;
    }
    variant->text = text.failed ? NULL : att_arena_text(arena, text.data);
    status = variant->text ? ATT_OK : ATT_NO_MEMORY;
    *out = variant;
done:
    att_buf_drop(&text);
    return status;
}
