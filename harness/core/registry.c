/* SPDX-License-Identifier: Apache-2.0 */
#include "registry.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/param.h"

typedef struct plugin {
    char *path;
    const att_kernel *const *kernels;
    size_t n;
    struct plugin *next;
} plugin;

struct att_registry {
    att_tables tables;
    att_plugin_source source;
    plugin *plugins;
};

static const att_kernel *const no_kernels[] = {NULL};
static const att_eval *const no_evals[] = {NULL};

static bool is_name(const char *text)
{
    if (!text || !*text)
        return false;
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && *text != '_')
            return false;
    return true;
}

/* "" or what is wrong with a table of parameters. */
static const char *params_fault(const att_param *table)
{
    att_arena arena = {0};
    att_value *values = NULL;
    const char *fault = "";

    for (size_t i = 0; i < att_param_count(table); i++) {
        if (!is_name(table[i].name) || strcmp(table[i].name, "seed") == 0)
            fault = "a parameter's name is not made of letters, digits and _, or is seed";
        else if (att_param_index(table, table[i].name) != (int)i)
            fault = "a parameter is declared twice";
        else if (table[i].type < ATT_PARAM_INT || table[i].type > ATT_PARAM_WORD)
            fault = "a parameter's type is unknown";
    }
    if (!*fault && att_param_defaults(table, &arena, &values, NULL) != ATT_OK)
        fault = "a parameter's default lies outside its domain";
    att_arena_drop(&arena);
    return fault;
}

bool att_kernel_offers(const att_kernel *k, att_op op)
{
    switch (op) {
    case ATT_OP_ATTEND:
        return k->attend != NULL;
    case ATT_OP_ATTEND_BACKWARD:
        return k->attend_backward != NULL;
    case ATT_OP_RECUR:
        return k->recur != NULL;
    case ATT_OP_SELECT:
        return k->select != NULL;
    case ATT_OP_ROPE:
        return k->rope != NULL;
    case ATT_OP_MERGE:
        return k->merge != NULL;
    case ATT_OP_MIX:
        return k->mix != NULL;
    case ATT_OP_QUANTISE:
        return k->quantise != NULL;
    case ATT_OP_DEQUANTISE:
        return k->dequantise != NULL;
    case ATT_OP_SESSION:
        return k->session != NULL;
    default:
        return false;
    }
}

const char *att_kernel_fault(const att_kernel *k)
{
    if (!k)
        return "the descriptor is NULL";
    if (k->struct_size < sizeof *k)
        return "struct_size is smaller than att_kernel of this ABI";
    if (k->abi >> 16 != ATT_ABI_MAJOR)
        return "abi is of another major version";
    if (!is_name(k->name))
        return "name is not made of letters, digits and _";
    if (!k->family || !k->summary)
        return "family or summary is missing";
    if (k->class_ < ATT_EXACT || k->class_ > ATT_OWN)
        return "class_ is unknown";
    if (!k->supports)
        return "supports is NULL";
    bool any = false;
    for (int op = 0; op < ATT_OPS; op++)
        any |= att_kernel_offers(k, (att_op)op);
    if (!any)
        return "no operator is offered";
    if (k->plan == NULL && k->drop != NULL)
        return "drop without plan";
    return params_fault(k->params);
}

const att_tables *att_registry_tables(const att_registry *r)
{
    return &r->tables;
}

static const att_kernel *find(const att_kernel *const *table, const char *name)
{
    for (; *table; table++)
        if (strcmp((*table)->name, name) == 0)
            return *table;
    return NULL;
}

static att_status check(const att_tables *t, att_why *why)
{
    const att_kernel *const *tables[] = {t->kernels, t->zoo, t->controls, t->different};

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const att_kernel *const *k = tables[i]; *k; k++) {
            const char *fault = att_kernel_fault(*k);
            for (size_t j = 0; j <= i && !*fault; j++) {
                const att_kernel *same = find(tables[j], (*k)->name);
                if ((same && same != *k) || (same && j != i) || strcmp((*k)->name, "dense") == 0)
                    fault = "the name is taken";
            }
            if (*fault) {
                att_why_set(why, "kernel %s: %s", (*k)->name ? (*k)->name : "?", fault);
                return ATT_INVALID;
            }
        }
    for (const att_eval *const *e = t->evals; *e; e++) {
        const char *fault = !is_name((*e)->name)           ? "the name is not letters, digits and _"
                            : !(*e)->run || !(*e)->metrics ? "run or metrics is NULL"
                                                           : params_fault((*e)->params);
        if (*fault) {
            att_why_set(why, "eval %s: %s", (*e)->name ? (*e)->name : "?", fault);
            return ATT_INVALID;
        }
    }
    return ATT_OK;
}

att_status att_registry_make(const att_tables *tables, const att_plugin_source *plugins,
                             att_registry **out, att_why *why)
{
    att_registry *r = calloc(1, sizeof *r);

    if (!r) {
        att_why_set(why, "no memory for the registry");
        return ATT_NO_MEMORY;
    }
    r->tables = *tables;
    if (!r->tables.kernels)
        r->tables.kernels = no_kernels;
    if (!r->tables.zoo)
        r->tables.zoo = no_kernels;
    if (!r->tables.controls)
        r->tables.controls = no_kernels;
    if (!r->tables.different)
        r->tables.different = no_kernels;
    if (!r->tables.evals)
        r->tables.evals = no_evals;
    if (plugins)
        r->source = *plugins;
    att_status status = check(&r->tables, why);
    if (status != ATT_OK) {
        free(r);
        return status;
    }
    *out = r;
    return ATT_OK;
}

void att_registry_drop(att_registry *r)
{
    while (r && r->plugins) {
        plugin *next = r->plugins->next;
        if (r->source.close)
            r->source.close(r->source.arg, r->plugins->kernels);
        free(r->plugins->path);
        free(r->plugins);
        r->plugins = next;
    }
    free(r);
}

const att_eval *att_registry_eval(const att_registry *r, const char *name, att_why *why)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    for (const att_eval *const *e = r->tables.evals; *e; e++) {
        size_t d = att_str_distance((*e)->name, name);
        if (d == 0)
            return *e;
        if (d < best) {
            best = d;
            nearest = (*e)->name;
        }
    }
    att_why_set(why, nearest ? "unknown eval %s; the nearest is %s" : "unknown eval %s", name,
                nearest ? nearest : "");
    return NULL;
}

#define TABLES 4

/* Does a text begin with "zoo:", "controls:" or "different:"?  The table it picks, or NULL. */
static const att_kernel *const *prefix_table(const att_registry *r, const char *text,
                                             size_t *length)
{
    const struct {
        const char *prefix;
        const att_kernel *const *table;
    } of[] = {{"zoo:", r->tables.zoo},
              {"controls:", r->tables.controls},
              {"different:", r->tables.different}};

    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        if (strncmp(text, of[i].prefix, strlen(of[i].prefix)) == 0) {
            *length = strlen(of[i].prefix);
            return of[i].table;
        }
    return NULL;
}

/* A prefix picks one table; without it all are looked at. */
static size_t pick_tables(const att_registry *r, const char **name,
                          const att_kernel *const *tables[TABLES])
{
    size_t length = 0;

    tables[0] = prefix_table(r, *name, &length);
    *name += length;
    if (tables[0])
        return 1;
    tables[0] = r->tables.kernels;
    tables[1] = r->tables.zoo;
    tables[2] = r->tables.controls;
    tables[3] = r->tables.different;
    return TABLES;
}

const att_kernel *att_registry_kernel(const att_registry *r, const char *written, att_why *why)
{
    const att_kernel *const *tables[TABLES];
    const char *name = written, *nearest = NULL;
    size_t best = SIZE_MAX, n = pick_tables(r, &name, tables);

    if (strcmp(name, "dense") == 0 && r->tables.dense)
        name = r->tables.dense;
    for (size_t i = 0; i < n; i++) {
        const att_kernel *k = find(tables[i], name);
        if (k)
            return k;
        for (const att_kernel *const *at = tables[i]; *at; at++) {
            size_t d = att_str_distance((*at)->name, name);
            if (d < best) {
                best = d;
                nearest = (*at)->name;
            }
        }
    }
    if (nearest)
        att_why_set(why, "unknown kernel %s; the nearest is %s", written, nearest);
    else
        att_why_set(why, "unknown kernel %s", written);
    return NULL;
}

static att_status open_plugin(att_registry *r, const char *path, const plugin **out, att_why *why)
{
    for (const plugin *p = r->plugins; p; p = p->next)
        if (strcmp(p->path, path) == 0) {
            *out = p;
            return ATT_OK;
        }
    if (!r->source.open) {
        att_why_set(why, "%s: plugins can't be loaded here", path);
        return ATT_INVALID;
    }
    plugin *p = calloc(1, sizeof *p);
    if (!p || !(p->path = strdup(path))) {
        free(p);
        att_why_set(why, "%s: no memory", path);
        return ATT_NO_MEMORY;
    }
    att_status status = r->source.open(r->source.arg, path, &p->kernels, &p->n, why);
    if (status != ATT_OK) {
        free(p->path);
        free(p);
        return status;
    }
    p->next = r->plugins;
    r->plugins = p;
    *out = p;
    return ATT_OK;
}

att_status att_registry_plugin(att_registry *r, const char *path, const char *name,
                               const att_kernel **out, att_why *why)
{
    const plugin *p = NULL;
    att_status status = open_plugin(r, path, &p, why);
    const char *nearest = "";
    size_t best = SIZE_MAX;

    if (status != ATT_OK)
        return status;
    if (!*name && p->n == 1) {
        *out = p->kernels[0];
        return ATT_OK;
    }
    for (size_t i = 0; i < p->n; i++) {
        size_t d = att_str_distance(p->kernels[i]->name, name);
        if (d == 0) {
            *out = p->kernels[i];
            return ATT_OK;
        }
        if (d < best) {
            best = d;
            nearest = p->kernels[i]->name;
        }
    }
    if (*name)
        att_why_set(why, "%s holds no kernel %s; the nearest is %s", path, name, nearest);
    else
        att_why_set(why, "%s holds %zu kernels; choose one, like #%s", path, p->n, nearest);
    return ATT_INVALID;
}

/* "plugin:PATH" with neither name nor parameters: all its kernels. */
static att_status match_plugin(att_registry *r, const char *pattern,
                               att_status (*take)(void *arg, const char *text, att_why *why),
                               void *arg, att_why *why)
{
    const plugin *p = NULL;
    char *path = strdup(pattern + strlen("plugin:"));
    att_status status = path ? ATT_OK : ATT_NO_MEMORY;

    if (path && path[0] == '\'' && strlen(path) > 1 && path[strlen(path) - 1] == '\'') {
        path[strlen(path) - 1] = '\0';
        memmove(path, path + 1, strlen(path));
    }
    if (status == ATT_OK)
        status = open_plugin(r, path, &p, why);
    bool quoted = path && strpbrk(path, " {},=;#");
    for (size_t i = 0; status == ATT_OK && i < p->n; i++) {
        att_buf text = {0};
        att_buf_printf(&text, quoted ? "plugin:'%s'#%s" : "plugin:%s#%s", path,
                       p->kernels[i]->name);
        status = text.failed ? ATT_NO_MEMORY : take(arg, text.data, why);
        att_buf_drop(&text);
    }
    free(path);
    return status;
}

att_status att_registry_match(att_registry *r, const char *pattern,
                              att_status (*take)(void *arg, const char *text, att_why *why),
                              void *arg, att_why *why)
{
    const att_kernel *const *tables[TABLES];
    const char *glob = pattern;
    size_t matched = 0, length;

    if (strncmp(pattern, "plugin:", 7) == 0 && !strpbrk(pattern, "#{"))
        return match_plugin(r, pattern, take, arg, why);
    if (strchr(pattern, ':') != NULL && !prefix_table(r, pattern, &length))
        return take(arg, pattern, why);
    if (strchr(pattern, '{') || !strpbrk(pattern, "*?"))
        return take(arg, pattern, why);
    pick_tables(r, &glob, tables);
    for (const att_kernel *const *k = tables[0]; *k; k++)
        if (att_glob(glob, (*k)->name)) {
            matched++;
            att_status status = take(arg, (*k)->name, why);
            if (status != ATT_OK)
                return status;
        }
    if (matched == 0) {
        att_why_set(why, "no kernel matches %s", pattern);
        return ATT_INVALID;
    }
    return ATT_OK;
}
