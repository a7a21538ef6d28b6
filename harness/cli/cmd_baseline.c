/* SPDX-License-Identifier: Apache-2.0 */
/* attest baseline diff | accept | prune: what a suite's cases ended as when somebody agreed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "cli.h"
#include "gate/baseline.h"
#include "gate_files.h"

typedef struct options {
    const char *baseline, *filter, *reason, *scores;
    bool json;
} options;

static const att_option table[] = {
    {"baseline", ATT_OPTION_TEXT, offsetof(options, baseline), "FILE", NULL,
     "default: ci/baselines/SUITE.json of the run's suite"},
    {"filter", ATT_OPTION_TEXT, offsetof(options, filter), "GLOB", NULL,
     "only cases whose line (without its seed) matches"},
    {"reason", ATT_OPTION_TEXT, offsetof(options, reason), "TEXT", NULL,
     "accept: why the change is right; it is kept in the file"},
    {"scores", ATT_OPTION_TEXT, offsetof(options, scores), "GLOB", NULL,
     "accept: keep the items' scores of these cases, for the policy's \"scores\"; default: lm.*"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "diff: one object on stdout"},
    {.name = NULL}};

extern const att_verb att_verb_baseline;

/* What a subcommand works on. */
typedef struct job {
    const options *o;
    const char *folder;
    char path[4096];
    att_result result;
    bool done;
    att_baseline was, is; /* the file, if there is one; what the run says */
    bool exists;
} job;

static bool matches(const options *o, const char *id)
{
    return !o->filter || att_glob(o->filter, id);
}

/* ------------------------------------------------------------------------------------ diff */

typedef struct counts {
    size_t added, missing, changed;
} counts;

static void print_row(const options *o, const counts *c, char sign, const char *id,
                      const char *change)
{
    if (!o->json) {
        printf("%c %s%s%s\n", sign, id, *change ? ": " : "", change);
        return;
    }
    fputs(c->added + c->missing + c->changed > 1 ? "," : "", stdout);
    fputs("{\"change\":", stdout);
    att_json_put_text(stdout, *change ? change : sign == '+' ? "new" : "missing");
    fputs(",\"id\":", stdout);
    att_json_put_text(stdout, id);
    fputc('}', stdout);
}

/* Both lists are sorted by id. */
static counts print_rows(const job *j)
{
    counts c = {0};

    for (size_t i = 0; i < j->is.n_cases; i++) {
        const att_baseline_case *is = &j->is.cases[i], *was = att_baseline_find(&j->was, is->id);
        char change[400] = "";
        if (!matches(j->o, is->id))
            continue;
        if (was)
            att_baseline_change(was, is, change, sizeof change);
        if (was && !*change)
            continue;
        ++*(was ? &c.changed : &c.added);
        print_row(j->o, &c, was ? '~' : '+', is->id, change);
    }
    for (size_t i = 0; i < j->was.n_cases; i++) {
        const char *id = j->was.cases[i].id;
        if (!matches(j->o, id) || att_baseline_find(&j->is, id))
            continue;
        c.missing++;
        print_row(j->o, &c, '-', id, "");
    }
    return c;
}

static int diff(job *j, att_why *why)
{
    (void)why;
    if (j->o->json)
        fputs("{\"rows\":[", stdout);
    const counts c = print_rows(j);
    if (j->o->json)
        printf("],\"added\":%zu,\"changed\":%zu,\"missing\":%zu}\n", c.added, c.changed, c.missing);
    else
        printf("%zu new, %zu changed, %zu missing of %zu cases in %s\n", c.added, c.changed,
               c.missing, j->was.n_cases, j->exists ? j->path : "no baseline yet");
    return c.added + c.changed + c.missing ? ATT_EXIT_FAIL : ATT_EXIT_PASS;
}

/* -------------------------------------------------------------------------- accept and prune */

/* Whether the run may change a baseline; what forbids it to *why. */
static int check_run(const job *j, att_why *why)
{
    if (att_gate_in_ci()) {
        att_why_set(why, "a baseline is changed by people, not in CI (CI is set)");
        return ATT_EXIT_USAGE;
    }
    if (!j->done || strcmp(j->result.status, "complete") != 0 || j->result.shards != 1) {
        att_why_set(why, "%s is not a whole run: %s", j->folder,
                    !j->done                ? "DONE is missing"
                    : j->result.shards != 1 ? "it is a shard"
                                            : j->result.status);
        return ATT_EXIT_INCOMPLETE;
    }
    for (size_t i = 0; i < j->result.n_records; i++)
        if (j->result.records[i].status == ATT_NOT_RUN) {
            att_why_set(why, "%s is not a whole run: not run: %s", j->folder,
                        j->result.records[i].line);
            return ATT_EXIT_INCOMPLETE;
        }
    return ATT_EXIT_PASS;
}

static bool is_broken(const att_record *r)
{
    return r->status == ATT_FAIL || r->status == ATT_CRASH || r->status == ATT_TIMEOUT ||
           r->status == ATT_ERROR;
}

static int save(const job *j, att_why *why)
{
    char folder[4096];
    const char *slash = strrchr(j->path, '/');

    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - j->path) : 1,
             slash ? j->path : ".");
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        att_why_set(why, "%s: %s", folder, strerror(errno));
        return ATT_EXIT_INCOMPLETE;
    }
    return att_exit_of(att_baseline_write(&j->was, j->path, why));
}

static int accept(job *j, att_why *why)
{
    size_t taken = 0;
    int code = check_run(j, why);

    if (code != ATT_EXIT_PASS)
        return code;
    if (!j->o->reason || !*j->o->reason) {
        att_why_set(why, "--reason is missing: why is the change right?");
        return ATT_EXIT_USAGE;
    }
    for (size_t i = 0; i < j->result.n_records; i++)
        if (is_broken(&j->result.records[i]) && matches(j->o, j->result.records[i].id)) {
            att_why_set(why, "a broken contract is not accepted: %s: %s",
                        att_outcome_name(j->result.records[i].status), j->result.records[i].line);
            return ATT_EXIT_FAIL;
        }
    att_status status = att_baseline_accept(&j->was, &j->is, j->o->filter, j->o->reason, &taken);
    if (status != ATT_OK) {
        att_why_set(why, "no memory");
        return att_exit_of(status);
    }
    if ((code = save(j, why)) == ATT_EXIT_PASS)
        printf("%zu of %zu cases taken into %s, which holds %zu\n", taken, j->is.n_cases, j->path,
               j->was.n_cases);
    return code;
}

static int prune(job *j, att_why *why)
{
    int code = check_run(j, why);

    if (code != ATT_EXIT_PASS)
        return code;
    size_t removed = att_baseline_prune(&j->was, &j->is, j->o->filter);
    if ((code = save(j, why)) == ATT_EXIT_PASS)
        printf("%zu cases removed from %s, which holds %zu\n", removed, j->path, j->was.n_cases);
    return code;
}

/* ---------------------------------------------------------------------------------- the verb */

static const struct {
    const char *name;
    int (*run)(job *j, att_why *why);
    bool needs_file;
} jobs[] = {{"diff", diff, false}, {"accept", accept, false}, {"prune", prune, true}};

static att_status read_all(job *j, att_why *why)
{
    att_status status = att_gate_read_run(j->folder, &j->result, &j->done, why);

    if (status != ATT_OK)
        return status;
    att_gate_baseline_path(j->o->baseline, &j->result, j->path, sizeof j->path);
    j->exists = access(j->path, F_OK) == 0;
    if (j->exists && (status = att_baseline_read(j->path, &j->was, why)) != ATT_OK)
        return status;
    return att_baseline_make(&j->result, NULL, NULL, &j->is, why);
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.scores = "lm.*"};
    job j = {.o = &o, .folder = "runs/latest"};
    att_why why = {""};
    size_t which = 0;
    int first = 0, code = att_options_read(&att_verb_baseline, argc, argv, &o, &first);

    (void)cli;
    if (code >= 0)
        return code;
    const char *name = first < argc ? argv[first] : "";
    while (which < sizeof jobs / sizeof *jobs && strcmp(jobs[which].name, name) != 0)
        which++;
    if (which == sizeof jobs / sizeof *jobs || argc - first > 2)
        return att_usage(&att_verb_baseline, "diff, accept or prune, and one run, are expected%s%s",
                         *name ? ", not " : "", name);
    if (first + 1 < argc)
        j.folder = argv[first + 1];
    att_status status = read_all(&j, &why);
    if (status == ATT_OK && jobs[which].needs_file && !j.exists) {
        att_why_set(&why, "%s: there is no such baseline", j.path);
        status = ATT_IO;
    }
    code = status == ATT_OK ? jobs[which].run(&j, &why) : att_exit_of(status);
    if (code != ATT_EXIT_PASS && *why.text)
        fprintf(stderr, "attest baseline: %s\n", why.text);
    att_baseline_drop(&j.was);
    att_baseline_drop(&j.is);
    att_result_clear(&j.result);
    return code;
}

const att_verb att_verb_baseline = {
    .name = "baseline",
    .operands = "diff|accept|prune [RUNDIR]",
    .summary = "what a suite's cases are held to: see, accept, prune",
    .options = table,
    .run = run};
