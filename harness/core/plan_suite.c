/* SPDX-License-Identifier: Apache-2.0 */
/* A suite's rows (cases.md: kernels x parameter sets x seeds) become cases of a plan. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "core/cover.h"
#include "core/param.h"
#include "plan_own.h"

#define SUITE_LIMIT ((size_t)4 << 20)

/* One row being expanded: kernels x parameter sets x seeds. */
typedef struct expansion {
    att_run_plan *plan;
    att_registry *registry;
    const att_plan_filter *filter;
    const char *measure, *params;
    const cJSON *by_name; /* kernels that "*" does not stand for */
    bool all;             /* kernels come from "*" */
    bool pattern; /* kernels come from a pattern: those without the eval's operator are left out */
    uint64_t seed;
    bool required;
} expansion;

/* Does one of the case's kernels offer an operator that its eval asks for? */
static bool offers(const att_case *c)
{
    uint32_t ops = c->eval->ops;
    for (size_t t = 0; c->eval->task_ops && c->eval->tasks[t]; t++)
        if (strcmp(c->eval->tasks[t], c->task) == 0)
            ops = c->eval->task_ops[t];
    bool any = ops == 0;

    for (size_t i = 0; i < c->variant->parts; i++)
        for (int op = 0; op < ATT_OPS; op++)
            any |= (ops >> op & 1u) && att_kernel_offers(c->variant->part[i].kernel, (att_op)op);
    return any;
}

static bool only_by_name(const expansion *x, const char *text)
{
    const cJSON *name;

    cJSON_ArrayForEach(name, x->by_name) if (cJSON_IsString(name) &&
                                             att_glob(name->valuestring, text)) return true;
    return false;
}

static att_status take(void *arg, const char *text, att_why *why)
{
    expansion *x = arg;
    att_case *c = NULL;

    if (x->all && only_by_name(x, text))
        return ATT_OK;
    att_status status = att_case_make(x->registry, x->measure, text, x->params, &x->seed, &c, why);

    if (status == ATT_OK && x->pattern && !offers(c)) {
        att_case_drop(c);
        return ATT_OK;
    }
    return status == ATT_OK ? att_plan_take(x->plan, c, x->plan->n_rows - 1, x->required, why)
                            : status;
}

/* Takes the kernels that a pattern or a kernel's own text stands for. */
static att_status match(expansion *x, const char *text, att_why *why)
{
    x->all = strcmp(text, "*") == 0;
    x->pattern = strpbrk(text, "*?") || (strncmp(text, "plugin:", 7) == 0 && !strpbrk(text, "#{"));
    return att_registry_match(x->registry, text, take, x, why);
}

static bool is_plain_glob(const char *text)
{
    return strpbrk(text, "*?") && !strchr(text, ':');
}

static bool listed(const char *const *patterns, const char *text)
{
    for (; *patterns; patterns++)
        if (att_glob(*patterns, text))
            return true;
    return false;
}

/* Is a kernel's text (its name without parameters) named by one of the patterns? */
static bool named(const char *const *patterns, const char *text)
{
    char name[128];

    snprintf(name, sizeof name, "%.*s", (int)strcspn(text, "{"), text);
    return listed(patterns, text) || listed(patterns, name) ||
           (strcmp(name, "dense") == 0 && listed(patterns, "flash_f32"));
}

/* The row's kernels, narrowed by the filter. */
static att_status each_kernel(expansion *x, const cJSON *kernels, att_why *why)
{
    const char *const *only = x->filter->kernels;
    att_status status = ATT_OK;
    const cJSON *k;

    cJSON_ArrayForEach(k, kernels)
    {
        if (!cJSON_IsString(k)) {
            att_why_set(why, "kernels: a list of texts is expected");
            return ATT_CORRUPT;
        }
        bool all = strcmp(k->valuestring, "*") == 0;
        for (size_t i = 0; all && only && only[i] && status == ATT_OK; i++)
            status = match(x, only[i], why);
        if (only && (all || !named(only, k->valuestring)))
            continue;
        if (status == ATT_OK)
            status = match(x, k->valuestring, why);
        if (status != ATT_OK)
            return status;
    }
    for (size_t i = 0; only && only[i] && status == ATT_OK; i++) {
        bool all = false; /* a kernel of the user's own joins rows that list their kernels */
        cJSON_ArrayForEach(k, kernels) all = all || strcmp(k->valuestring, "*") == 0;
        if (!all && !is_plain_glob(only[i]) && strchr(only[i], ':'))
            status = match(x, only[i], why);
    }
    return status;
}

/* A JSON value as the text of a parameter's value. */
static bool value_text(const cJSON *v, att_buf *out)
{
    out->length = 0;
    if (cJSON_IsString(v))
        att_buf_puts(out, v->valuestring);
    else if (cJSON_IsNumber(v) && v->valuedouble == (double)(int64_t)v->valuedouble)
        att_buf_printf(out, "%" PRId64, (int64_t)v->valuedouble);
    else if (cJSON_IsNumber(v))
        att_buf_printf(out, "%.17g", v->valuedouble);
    else
        return false;
    return !out->failed;
}

/* "name=value" appended to a list of parameters, quoted where the grammar asks. */
static void put_pair(att_buf *out, const char *name, const char *value)
{
    att_buf_printf(out, "%s%s=", out->length ? " " : "", name);
    att_word_print(value, out);
}

/* Every combination of the listed values from member `at` on. */
static att_status each_value(expansion *x, const cJSON *at, const att_buf *before,
                             const cJSON *kernels, att_why *why)
{
    att_status status = ATT_OK;
    att_buf params = {0}, text = {0};
    const cJSON *v;

    if (!at) {
        x->params = before->length ? before->data : "";
        return each_kernel(x, kernels, why);
    }
    if (!cJSON_IsArray(at)) {
        att_why_set(why, "params.%s: a list is expected", at->string);
        return ATT_CORRUPT;
    }
    cJSON_ArrayForEach(v, at)
    {
        params.length = 0;
        if (before->length)
            att_buf_add(&params, before->data, before->length);
        if (!value_text(v, &text)) {
            att_why_set(why, "params.%s: a list of numbers or texts is expected", at->string);
            status = ATT_CORRUPT;
        } else {
            put_pair(&params, at->string, text.data ? text.data : "");
            status = params.failed ? att_plan_no_memory(why)
                                   : each_value(x, at->next, &params, kernels, why);
        }
        if (status != ATT_OK)
            break;
    }
    att_buf_drop(&params);
    att_buf_drop(&text);
    return status;
}

/* Levels that the row gives in place of the declared ones, as cover.h wants them. */
static att_status row_levels(const att_param *table, const cJSON *params, char **levels,
                             att_why *why)
{
    const cJSON *member, *v;
    att_buf text = {0};

    cJSON_ArrayForEach(member, params)
    {
        if (strcmp(member->string, "cover") == 0 || strcmp(member->string, "strong") == 0)
            continue;
        int i = att_param_index(table, member->string);
        if (i < 0 || !cJSON_IsArray(member)) {
            att_why_set(why, "params.%s: %s", member->string,
                        i < 0 ? "no such parameter" : "a list is expected");
            return ATT_INVALID;
        }
        att_buf all = {0};
        cJSON_ArrayForEach(v, member) if (value_text(v, &text))
            att_buf_printf(&all, "%s%s", all.length ? " " : "", text.data);
        levels[i] = all.data;
    }
    att_buf_drop(&text);
    return ATT_OK;
}

static att_status each_covered(expansion *x, const cJSON *params, const cJSON *kernels,
                               att_why *why)
{
    char name[128];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(x->measure, "."), x->measure);
    const att_eval *eval = att_registry_eval(x->registry, name, why);
    size_t n = eval ? att_param_count(eval->params) : 0;
    char **levels = calloc(n + 1, sizeof *levels);
    const char *strong = NULL;
    att_cover_cases cases = {0};
    att_status status = !eval ? ATT_INVALID : levels ? ATT_OK : att_plan_no_memory(why);

    att_json_text(params, "strong", &strong);
    if (status == ATT_OK)
        status = row_levels(eval->params, params, levels, why);
    if (status == ATT_OK)
        status = att_cover_params(eval->params, (const char *const *)levels, strong,
                                  eval->covers ? eval->covers : eval->valid, x->seed, &cases, why);
    for (size_t i = 0; status == ATT_OK && i < cases.count; i++) {
        att_buf text = {0};
        for (size_t j = 0; j < cases.params; j++)
            put_pair(&text, eval->params[j].name, cases.value[i * cases.params + j]);
        x->params = text.data ? text.data : "";
        status = text.failed ? att_plan_no_memory(why) : each_kernel(x, kernels, why);
        att_buf_drop(&text);
    }
    att_cover_cases_drop(&cases);
    for (size_t i = 0; levels && i < n; i++)
        free(levels[i]);
    free(levels);
    return status;
}

/* The row for the one measure of x. */
static att_status each_seed(expansion *x, const cJSON *row, att_why *why)
{
    const cJSON *kernels = att_json_get(row, "kernels"), *params = att_json_get(row, "params");
    const cJSON *seeds = att_json_get(row, "seeds"), *s;
    att_status status = ATT_OK;
    att_buf none = {0};

    if (x->filter->evals && !listed(x->filter->evals, x->measure))
        return ATT_OK;
    cJSON_ArrayForEach(s, seeds)
    {
        if (status != ATT_OK || (x->filter->seed && s != seeds->child))
            break;
        x->seed = x->filter->seed ? *x->filter->seed : (uint64_t)s->valuedouble;
        status = att_json_get(params, "cover")
                     ? each_covered(x, params, kernels, why)
                     : each_value(x, params ? params->child : NULL, &none, kernels, why);
    }
    return status;
}

/* "probe.*": the row for every task of the eval. */
static att_status each_task(expansion *x, const char *measure, const cJSON *row, att_why *why)
{
    char name[128], task[160];
    const size_t length = strcspn(measure, ".");

    if (strcmp(measure + length, ".*") != 0 || length >= sizeof name) {
        x->measure = measure;
        return each_seed(x, row, why);
    }
    snprintf(name, sizeof name, "%.*s", (int)length, measure);
    const att_eval *eval = att_registry_eval(x->registry, name, why);
    att_status status = !eval ? ATT_INVALID : ATT_OK;
    if (eval && !eval->tasks) {
        att_why_set(why, "%s has no tasks", name);
        status = ATT_INVALID;
    }
    for (size_t i = 0; status == ATT_OK && eval->tasks[i]; i++) {
        snprintf(task, sizeof task, "%s.%s", name, eval->tasks[i]);
        x->measure = task;
        status = each_seed(x, row, why);
    }
    return status;
}

static att_status suite_row(att_run_plan *plan, att_registry *r, const cJSON *row,
                            const cJSON *by_name, const att_plan_filter *filter, att_why *why)
{
    expansion x = {.plan = plan,
                   .registry = r,
                   .filter = filter,
                   .by_name = by_name,
                   .required = !cJSON_IsFalse(att_json_get(row, "required"))};
    const char *measure = NULL;
    double budget = 0;

    if (!att_json_text(row, "measure", &measure) || !cJSON_IsArray(att_json_get(row, "kernels")) ||
        !cJSON_IsArray(att_json_get(row, "seeds"))) {
        att_why_set(why, "measure (text), kernels (list) and seeds (list) are required");
        return ATT_CORRUPT;
    }
    att_json_real(row, "budget", &budget);
    att_status status = att_plan_add_row(plan, budget, why);
    return status == ATT_OK ? each_task(&x, measure, row, why) : status;
}

att_status att_plan_add_suite(att_run_plan *plan, att_registry *r, const char *path,
                              const att_plan_filter *filter, att_why *why)
{
    cJSON *suite = NULL;
    const char *name = path;
    size_t i = 0;
    att_why inner = {""};
    att_status status = att_json_read(path, SUITE_LIMIT, &suite, why);

    if (status != ATT_OK)
        return status;
    const cJSON *rows = att_json_get(suite, "rows"), *row;
    att_json_text(suite, "name", &name);
    free(plan->suite);
    plan->suite = strdup(name);
    if (!cJSON_IsArray(rows)) {
        att_why_set(why, "%s: rows (a list) are missing", path);
        status = ATT_CORRUPT;
    }
    cJSON_ArrayForEach(row, rows)
    {
        if (status != ATT_OK)
            break;
        if ((status = suite_row(plan, r, row, att_json_get(suite, "by_name"), filter, &inner)) !=
            ATT_OK)
            att_why_set(why, "%s: rows[%zu]: %.400s", path, i, inner.text);
        i++;
    }
    cJSON_Delete(suite);
    return status;
}
