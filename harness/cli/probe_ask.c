/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_ask.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "session.h"
#include "tables.h"

bool att_probe_lengths(const char *text, att_probe_ask *ask)
{
    while (*text) {
        char *end = NULL;
        double x = strtod(text, &end);
        if (end == text || !(x > 0) || (*end && *end != ',') || ask->n_lengths == ATT_PROBE_LENGTHS)
            return false;
        ask->lengths[ask->n_lengths++] = x;
        text = *end ? end + 1 : end;
    }
    return ask->n_lengths > 0;
}

/* Length of a case, by the name that its eval gives it; NAN = it has none. */
static double length_of(const att_case *c)
{
    att_record r = {.params = (char *)(uintptr_t)c->all_params};

    return att_record_length(&r);
}

static bool is_asked_task(const att_probe_ask *ask, const att_case *c)
{
    const att_list *tasks = ask->tasks;
    char last[160];

    if (!tasks || tasks->n == 0)
        return c->eval->track == ATT_TRACK_PROBE;
    for (size_t i = 0; i < tasks->n; i++) {
        snprintf(last, sizeof last, "*.%s", tasks->at[i]);
        if (att_glob(tasks->at[i], c->measure) ||
            (c->eval->track == ATT_TRACK_PROBE && att_glob(last, c->measure)))
            return true;
    }
    return false;
}

static bool is_asked_length(const att_probe_ask *ask, double length)
{
    bool wanted = ask->n_lengths == 0 || isnan(length);

    for (size_t i = 0; i < ask->n_lengths && !wanted; i++)
        wanted = ask->lengths[i] == length;
    return wanted;
}

bool att_probe_takes(const att_probe_ask *ask, const att_record *r)
{
    const size_t n = ask->tasks ? ask->tasks->n : 0;
    bool wanted = n == 0;
    char last[160];

    for (size_t i = 0; i < n && !wanted; i++) {
        snprintf(last, sizeof last, "*.%s", ask->tasks->at[i]);
        wanted = att_glob(ask->tasks->at[i], r->measure) || att_glob(last, r->measure);
    }
    return wanted && is_asked_length(ask, att_record_length(r));
}

/* `texts`: canonical ones, NULL at the end. */
static bool is_asked(const att_probe_ask *ask, const char *const *texts, const att_case *c,
                     bool lengths_too)
{
    bool kernel = false;

    for (; *texts && !kernel; texts++)
        kernel = strcmp(*texts, c->variant->text) == 0;
    return kernel && is_asked_task(ask, c) && (!lengths_too || is_asked_length(ask, length_of(c)));
}

/* Says what there was before narrowing by length left nothing. */
static att_status nothing_left(const att_probe_ask *ask, const att_run_plan *plan,
                               const char *const *texts, att_why *why)
{
    double seen[ATT_PROBE_LENGTHS];
    size_t n = 0;
    att_buf list = {0};

    for (size_t i = 0; i < plan->n; i++) {
        double length = length_of(plan->cases[i].c);
        size_t k = 0;
        while (k < n && seen[k] != length)
            k++;
        if (k < n || n == ATT_PROBE_LENGTHS || isnan(length) ||
            !is_asked(ask, texts, plan->cases[i].c, false))
            continue;
        seen[n++] = length;
        att_buf_printf(&list, "%s%g", n > 1 ? ", " : "", length);
    }
    if (n > 0 && !list.failed)
        att_why_set(why, "suite %s has no such length; it has %s", ask->suite, list.data);
    else
        att_why_set(why, "there is no such probe of these kernels%s%s",
                    ask->suite ? " in suite " : "", ask->suite ? ask->suite : "");
    att_buf_drop(&list);
    return ATT_INVALID;
}

/* Leaves in the plan what was asked for. */
static att_status narrow(const att_probe_ask *ask, const char *const *texts, att_run_plan *plan,
                         att_why *why)
{
    size_t kept = 0;

    for (size_t i = 0; i < plan->n; i++)
        kept += is_asked(ask, texts, plan->cases[i].c, true);
    if (kept == 0)
        return nothing_left(ask, plan, texts, why);
    kept = 0;
    for (size_t i = 0; i < plan->n; i++) {
        if (is_asked(ask, texts, plan->cases[i].c, true))
            plan->cases[kept++] = plan->cases[i];
        else
            att_case_drop(plan->cases[i].c);
    }
    plan->n = kept;
    for (size_t i = 0; i < plan->n_rows; i++)
        plan->rows[i].budget = 0; /* what is compared is compared on all items */
    return ATT_OK;
}

/* Every task of a probe at the lengths asked for; a length that a task does not take is left out.
 */
static att_status add_tasks(const att_eval *eval, att_registry *registry, const att_probe_ask *ask,
                            const char *kernel, uint64_t seed, att_run_plan *plan, att_why *why)
{
    static const char *const none[] = {"", NULL};
    att_status status = ATT_OK;

    for (const char *const *t = eval->tasks ? eval->tasks : none; *t; t++)
        for (size_t l = 0; l < ask->n_lengths && status == ATT_OK; l++) {
            char line[512];
            att_case *c = NULL;
            att_why inner = {""};
            snprintf(line, sizeof line, "%s%s%s %s len=%.0f seed=%" PRIu64, eval->name,
                     **t ? "." : "", *t, kernel, ask->lengths[l], seed);
            if (att_case_parse(registry, line, &c, &inner) != ATT_OK)
                continue;
            bool asked = is_asked_task(ask, c);
            att_case_drop(c);
            if (asked)
                status = att_plan_add_line(plan, registry, line, why);
        }
    return status;
}

static att_status add_all_tasks(const att_cli *cli, att_registry *registry,
                                const att_probe_ask *ask, const char *const *texts, uint64_t seed,
                                att_run_plan *plan, att_why *why)
{
    att_status status = ATT_OK;

    for (; *texts; texts++)
        for (size_t i = 0; cli->evals[i] && status == ATT_OK; i++)
            if (cli->evals[i]->track == ATT_TRACK_PROBE)
                status = add_tasks(cli->evals[i], registry, ask, *texts, seed, plan, why);
    return status;
}

/* Patterns of measures to plan with: those asked for, and tasks by their last word. */
static const char **measures(const att_cli *cli, const att_probe_ask *ask, att_arena *arena)
{
    static const char *const probes[] = {"probes"};
    const att_list *tasks = ask->tasks;

    if (!tasks || tasks->n == 0)
        return att_cli_evals(cli, probes, 1, arena);
    const char **out = att_arena_zeros(arena, 2 * tasks->n + 1, sizeof *out);
    for (size_t i = 0; out && i < tasks->n; i++) {
        char last[160];
        snprintf(last, sizeof last, "*.%s", tasks->at[i]);
        out[2 * i] = tasks->at[i];
        if (!(out[2 * i + 1] = att_arena_text(arena, last)))
            return NULL;
    }
    return out;
}

static att_status make_plan(const att_cli *cli, att_registry *registry, const att_probe_ask *ask,
                            att_run_plan *plan, att_why *why)
{
    att_arena arena = {0};
    size_t n = 0;

    while (ask->kernels[n])
        n++;
    const char **evals = measures(cli, ask, &arena);
    const char **texts = att_arena_zeros(&arena, n + 1, sizeof *texts);
    att_status status = evals && texts ? ATT_OK : ATT_NO_MEMORY;
    for (size_t i = 0; i < n && status == ATT_OK; i++) {
        const att_variant *v = NULL;
        status = att_variant_parse(registry, ask->kernels[i], &arena, &v, why);
        texts[i] = status == ATT_OK ? v->text : NULL;
    }
    for (int64_t s = 0; s < (ask->seeds ? ask->seeds : 1) && status == ATT_OK; s++) {
        const uint64_t seed = (uint64_t)(ask->from + s);
        const att_plan_filter filter = {evals, ask->kernels, ask->seeds ? &seed : NULL};
        status = ask->suite ? att_cli_add_suite(plan, registry, ask->suite, &filter, why)
                            : add_all_tasks(cli, registry, ask, texts, seed, plan, why);
    }
    if (status == ATT_OK)
        status = narrow(ask, texts, plan, why);
    if (status == ATT_OK)
        status = att_plan_finish(plan, why);
    att_arena_drop(&arena);
    return status;
}

att_status att_probe_measure(const att_cli *cli, att_registry *registry, const att_probe_ask *ask,
                             att_result *result, int *number, att_why *why)
{
    att_run_plan plan = {0};
    att_status status = make_plan(cli, registry, ask, &plan, why);

    if (status == ATT_OK)
        status =
            att_cli_measure(cli, &plan, ask->model, ask->workers, ask->quiet, result, number, why);
    att_plan_drop(&plan);
    return status;
}
