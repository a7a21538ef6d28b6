/* SPDX-License-Identifier: Apache-2.0 */
/* attest audit: can the probes tell a kernel from one that is crippled on purpose?
 *
 * Every task of the operator track meets dense and every control on the same items.  A control is
 * punished where the upper end of its interval lies more than a gap below the lower end of dense's
 * (harness/gate/audit).  A task that punishes none is blind; one whose controls solve it must say
 * so itself (`spares`); the chance level that it declares must be what a kernel gets that guesses.
 */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "audit_print.h"
#include "base/str.h"
#include "core/verdict.h"
#include "session.h"
#include "tables.h"

#define EVAL "probe"

typedef struct options {
    att_list tasks, lengths;
    int64_t seeds, workers;
    double gap;
    bool json, quiet;
} options;

static const att_option table[] = {
    {"task", ATT_OPTION_LIST, offsetof(options, tasks), "GLOB", NULL, "only these; default: all"},
    {"len", ATT_OPTION_LIST, offsetof(options, lengths), "N", NULL,
     "keys of a context; default: 256 and 1024"},
    {"seeds", ATT_OPTION_INT, offsetof(options, seeds), "N", "1:1000",
     "seeds 1 to N, their items pooled; default: 3"},
    {"gap", ATT_OPTION_REAL, offsetof(options, gap), "SHARE", "0:1",
     "between dense's interval and that of a control punished; default: 0.1"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one object"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {0}};

extern const att_verb att_verb_audit;

static const att_eval *eval_of(const att_cli *cli)
{
    for (const att_eval *const *e = cli->evals; *e; e++)
        if (strcmp((*e)->name, EVAL) == 0)
            return *e;
    return NULL;
}

static bool is_wanted(const att_list *globs, const char *task)
{
    bool wanted = globs->n == 0;

    for (size_t i = 0; i < globs->n; i++)
        wanted |= att_glob(globs->at[i], task);
    return wanted;
}

/* The cases of one task: dense and the controls, at every length and seed. */
static att_status add_task(const att_cli *cli, const options *o, att_registry *registry,
                           const char *task, att_run_plan *plan, att_why *why)
{
    static const char *const usual[] = {"256", "1024"};
    const att_kernel *const *controls = cli->kernels->controls;
    const char *const *lengths = o->lengths.n ? o->lengths.at : usual;
    const size_t n = o->lengths.n ? o->lengths.n : 2;
    att_status status = ATT_OK;
    char line[512];

    for (size_t l = 0; l < n; l++)
        for (int64_t seed = 1; seed <= o->seeds; seed++)
            for (size_t k = 0; status == ATT_OK && (k == 0 || controls[k - 1]); k++) {
                snprintf(line, sizeof line, EVAL ".%s %s len=%s seed=%lld", task,
                         k ? controls[k - 1]->name : ATT_VERDICT_DENSE, lengths[l],
                         (long long)seed);
                status = att_plan_add_line(plan, registry, line, why);
            }
    return status;
}

static att_status measure(const att_cli *cli, const options *o, att_registry *registry,
                          att_result *result, int *number, att_why *why)
{
    const char *const *task = eval_of(cli)->tasks;
    att_run_plan plan = {0};
    att_status status = ATT_OK;

    for (; *task && status == ATT_OK; task++)
        if (is_wanted(&o->tasks, *task))
            status = add_task(cli, o, registry, *task, &plan, why);
    if (status == ATT_OK && plan.n == 0) {
        status = ATT_INVALID;
        char measure[160];
        snprintf(measure, sizeof measure, EVAL ".%s", o->tasks.at[0]);
        const char *asked = measure;
        if (att_cli_evals_check(cli, &asked, 1, why) == ATT_OK)
            att_why_set(why, "no task of the eval " EVAL " matches %s", o->tasks.at[0]);
    }
    if (status == ATT_OK)
        status = att_plan_finish(&plan, why);
    if (status == ATT_OK)
        status = att_cli_measure(cli, &plan, NULL, o->workers, o->quiet, result, number, why);
    att_plan_drop(&plan);
    return status;
}

/* What the records say beside the audit: a broken closed form, a case that was lost. */
static int lost(const att_result *result)
{
    int code = ATT_EXIT_PASS;

    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (r->status == ATT_PASS || r->status == ATT_HOLE || r->status == ATT_NO_POWER)
            continue;
        fprintf(stderr, "attest audit: %s: %s%s%s\n", r->line, att_outcome_name(r->status),
                r->reason ? ": " : "", r->reason ? r->reason : "");
        code = att_exit_worse(code, r->status == ATT_FAIL ? ATT_EXIT_FAIL : ATT_EXIT_INCOMPLETE);
    }
    return code;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.seeds = 3, .gap = ATT_AUDIT_GAP};
    att_registry *registry = NULL;
    att_result result = {0};
    att_audit audit = {0};
    att_why why = {""};
    int first = 0, number = 0, code = att_options_read(&att_verb_audit, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_audit, "unexpected operand %s", argv[first]);
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK)
        status = measure(cli, &o, registry, &result, &number, &why);
    if (status == ATT_OK)
        status = att_audit_make(&result, o.gap, &audit, &why);
    if (status != ATT_OK) {
        fprintf(stderr, "attest audit: %s\n", why.text);
        code = att_exit_of(status);
    } else if (number) {
        code = number == SIGTERM ? ATT_EXIT_TERMINATED : ATT_EXIT_INTERRUPT;
    } else {
        const att_audit_report report = {eval_of(cli), &audit, o.gap};
        code =
            att_exit_worse(lost(&result), att_audit_sound(&report) ? ATT_EXIT_PASS : ATT_EXIT_FAIL);
        (o.json ? att_audit_print_json : att_audit_print_text)(&report);
    }
    att_audit_drop(&audit);
    att_result_clear(&result);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_audit = {.name = "audit",
                                 .operands = "",
                                 .summary = "which probes punish which crippled kernels",
                                 .options = table,
                                 .run = run};
