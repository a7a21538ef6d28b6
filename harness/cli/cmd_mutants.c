/* SPDX-License-Identifier: Apache-2.0 */
/* attest mutants: does the suite see a small wrong change that nobody thought of?
 *
 * ci/scripts/mutate.py builds the mutants and their manifest.  Each runs through the numeric
 * cases of a suite until one fails, kernel by kernel where it changes several. Those
 * that live on are listed with what ci/mutants/explained.tsv says of them: "equivalent: ..." (no
 * input can show it) or another reason; a survivor without an explanation fails the command, and so
 * does a score below --least.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "core/run.h"
#include "session.h"
#include "tables.h"

#define BATCH   32 /* mutants that share a plan, and with it the oracle's answers */
#define COLUMNS 8

typedef struct options {
    const char *suite, *explained;
    att_list only;
    double least;
    int64_t seed, workers;
    bool json, quiet;
} options;

static const att_option table[] = {
    {"suite", ATT_OPTION_TEXT, offsetof(options, suite), "NAME", NULL,
     "whose numeric cases; default: gate"},
    {"seed", ATT_OPTION_INT, offsetof(options, seed), "N", "0:9007199254740991",
     "in place of the suite's seeds"},
    {"explained", ATT_OPTION_TEXT, offsetof(options, explained), "FILE", NULL,
     "why survivors live; default: ci/mutants/explained.tsv"},
    {"only", ATT_OPTION_LIST, offsetof(options, only), "GLOB", NULL,
     "only mutants whose key or FILE:LINE it matches"},
    {"least", ATT_OPTION_REAL, offsetof(options, least), "SCORE", "0:1",
     "fail below this score; default: 0"},
    {"workers", ATT_OPTION_INT, offsetof(options, workers), "N", "1:64",
     "processes; default: one a processor"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "the summary as JSON"},
    {"quiet", ATT_OPTION_FLAG, offsetof(options, quiet), NULL, NULL, "no progress"},
    {0}};

/* A row of the manifest, and what came of it. */
typedef struct mutant {
    const char *key, *plugin, *runs, *place, *operator_, *before, *after, *line;
    const char *why;   /* from the explanations; NULL = none */
    char by[64];       /* "parity bound_ratio", "parity crash"; "" = lives */
    char kernel[4096]; /* as the plan names the one of `runs` in turn */
    size_t judged;
} mutant;

typedef struct herd {
    char *text, *reasons; /* the files, cut into fields */
    mutant *at;
    size_t n, killed, explained, equivalent;
} herd;

/* Cuts a line at its tabs; returns the number of fields. */
static size_t cut(char *line, char *field[], size_t most)
{
    size_t n = 0;

    for (char *rest = line; rest && n < most; n++) {
        field[n] = strsep(&rest, "\t");
    }
    return n;
}

static bool wanted(const att_list *only, const char *key, const char *place)
{
    for (size_t i = 0; i < only->n; i++)
        if (att_glob(only->at[i], key) || att_glob(only->at[i], place))
            return true;
    return only->n == 0;
}

static att_status read_manifest(const char *folder, const att_list *only, herd *h, att_why *why)
{
    char path[4096], *field[COLUMNS], *rest;
    size_t length = 0, line = 0;

    snprintf(path, sizeof path, "%s/manifest.tsv", folder);
    h->text = att_file_read(path, (size_t)1 << 26, &length);
    if (!h->text) {
        att_why_set(why, "%s: %s (ci/scripts/mutate.py makes it)", path, strerror(errno));
        return ATT_IO;
    }
    for (const char *c = h->text; *c; c++)
        line += *c == '\n';
    h->at = calloc(line + 1, sizeof *h->at);
    if (!h->at)
        return ATT_NO_MEMORY;
    rest = h->text;
    for (line = 1; rest && *rest; line++) {
        if (cut(strsep(&rest, "\n"), field, COLUMNS) != COLUMNS) {
            att_why_set(why, "%s:%zu: %d columns are expected", path, line, COLUMNS);
            return ATT_CORRUPT;
        }
        if (!wanted(only, field[0], field[3]))
            continue;
        mutant *m = &h->at[h->n++];
        *m = (mutant){.key = field[0],
                      .plugin = field[1],
                      .runs = field[2],
                      .place = field[3],
                      .operator_ = field[4],
                      .before = field[5],
                      .after = field[6],
                      .line = field[7]};
    }
    return ATT_OK;
}

/* Lines "key TAB source line TAB reason"; one whose key no survivor has, or whose line now reads
 * otherwise, explains nothing. */
static att_status read_reasons(const char *path, herd *h, att_why *why)
{
    char *field[3], *rest;
    size_t length = 0, line = 0;

    h->reasons = att_file_read(path, (size_t)1 << 26, &length);
    if (!h->reasons) {
        att_why_set(why, "%s: %s", path, strerror(errno));
        return ATT_IO;
    }
    for (rest = h->reasons, line = 1; rest && *rest; line++) {
        char *row = strsep(&rest, "\n");
        if (*row == '#' || !*row)
            continue;
        if (cut(row, field, 3) != 3) {
            att_why_set(why, "%s:%zu: key, source line and reason are expected", path, line);
            return ATT_CORRUPT;
        }
        for (size_t i = 0; i < h->n; i++)
            if (strcmp(h->at[i].key, field[0]) == 0 && strcmp(h->at[i].line, field[1]) == 0)
                h->at[i].why = field[2];
    }
    return ATT_OK;
}

static const char *first_metric(const att_record *r)
{
    for (size_t m = 0; m < r->n_metrics; m++)
        if (r->metrics[m].verdict == 0)
            return r->metrics[m].name;
    return att_outcome_name(r->status);
}

/* Records name a plugin's kernel too: plugin:PATH#NAME{...}. */
static bool is_of(const mutant *m, const char *kernel)
{
    size_t length = strlen(m->plugin);

    return strncmp(kernel, "plugin:", 7) == 0 && strncmp(kernel + 7, m->plugin, length) == 0 &&
           kernel[7 + length] == '#';
}

/* Puts the kernel whose turn it is; false: there are fewer.  No kernels named: the plugin's only.
 */
static bool take_turn(mutant *m, size_t turn)
{
    const char *at = m->runs;

    for (size_t i = 0; i < turn && *at; i++) {
        at += strcspn(at, " ");
        at += *at == ' ';
    }
    if (turn && !*at)
        return false;
    snprintf(m->kernel, sizeof m->kernel, "plugin:%s%s%.*s", m->plugin, *at ? "#" : "",
             (int)strcspn(at, " "), at);
    return true;
}

static void note(const att_result *result, mutant *const *m, size_t n)
{
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        bool bad = r->status == ATT_FAIL || r->status == ATT_CRASH || r->status == ATT_TIMEOUT ||
                   r->status == ATT_ERROR; /* that fails a run too */
        for (size_t k = 0; k < n; k++) {
            if (!is_of(m[k], r->kernel))
                continue;
            m[k]->judged += bad || r->status == ATT_PASS;
            if (bad && !*m[k]->by)
                snprintf(m[k]->by, sizeof m[k]->by, "%.30s %.30s", r->measure, first_metric(r));
        }
    }
}

static att_status run_batch(const att_cli *cli, const options *o, mutant *const *m, size_t n,
                            int *number, att_why *why)
{
    const char *kernels[BATCH + 1] = {NULL};
    att_arena arena = {0};
    const char **evals = att_cli_evals(cli, (const char *[]){"numeric"}, 1, &arena);
    att_tables tables = att_cli_tables(cli);
    att_plugin_source plugins = att_cli_plugins(cli);
    att_registry *registry = NULL;
    att_run_plan plan = {0};
    att_result result = {0};
    uint64_t seed = (uint64_t)o->seed;
    att_run_options run = {
        .command = {cli->self, NULL, "datasets", "/dev/null", ATT_MEMORY_GIB * 0x1p30},
        .workers = o->workers ? (int)o->workers : (int)sysconf(_SC_NPROCESSORS_ONLN),
        .timeout = 3 * ATT_SLOWER,
        .give_up = 1,
        .give_up_on_failure = true,
        .stamp = "",
        .quiet = true};

    for (size_t k = 0; k < n; k++)
        kernels[k] = m[k]->kernel;
    att_plan_filter filter = {evals, kernels, o->seed >= 0 ? &seed : NULL};
    att_status status = evals ? att_registry_make(&tables, &plugins, &registry, why)
                              : ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = att_cli_add_suite(&plan, registry, o->suite, &filter, why);
    if (status == ATT_OK)
        status = att_plan_finish(&plan, why);
    for (size_t i = 0; i < plan.n_rows; i++)
        plan.rows[i].budget = 0;
    if (status == ATT_OK)
        status = att_run_plan_measure(&plan, &run, &result, number, why);
    if (status == ATT_OK)
        note(&result, m, n);
    att_result_clear(&result);
    att_plan_drop(&plan);
    att_registry_drop(registry);
    att_arena_drop(&arena);
    return status;
}

/* Batch after batch, those that live on with their next kernel. */
static att_status run_all(const att_cli *cli, const options *o, herd *h, int *number, att_why *why)
{
    att_status status = ATT_OK;
    size_t some = 1;

    for (size_t turn = 0; some && status == ATT_OK && !*number; turn++) {
        some = 0;
        for (size_t i = 0; i < h->n && status == ATT_OK && !*number;) {
            mutant *m[BATCH];
            size_t n = 0;
            for (; i < h->n && n < BATCH; i++)
                if (!*h->at[i].by && take_turn(&h->at[i], turn))
                    m[n++] = &h->at[i];
            if (n)
                status = run_batch(cli, o, m, n, number, why);
            if (n && !o->quiet)
                fprintf(stderr, "kernel %zu of each: %zu of %zu mutants\n", turn + 1, i, h->n);
            some += n;
        }
    }
    return status;
}

static void count(herd *h)
{
    for (size_t i = 0; i < h->n; i++) {
        h->killed += *h->at[i].by != 0;
        if (*h->at[i].by || !h->at[i].why)
            continue;
        h->explained++;
        h->equivalent += strncmp(h->at[i].why, "equivalent:", 11) == 0;
    }
}

/* Of what could be killed: equivalent ones can't. */
static double score(const herd *h)
{
    return h->n > h->equivalent ? (double)h->killed / (double)(h->n - h->equivalent) : 0;
}

/* Killed and all of those whose operator (or file, up to the colon of its place) is that of i;
 * false where an earlier one has told it. */
static bool tally(const herd *h, size_t i, bool by_file, size_t *killed, size_t *all)
{
    const mutant *m = &h->at[i];
    size_t length = by_file ? strcspn(m->place, ":") : strlen(m->operator_);

    *killed = *all = 0;
    for (size_t k = 0; k < h->n; k++) {
        const char *a = by_file ? m->place : m->operator_;
        const char *b = by_file ? h->at[k].place : h->at[k].operator_;
        if (strncmp(a, b, length) != 0 || (b[length] && b[length] != ':'))
            continue;
        if (k < i)
            return false;
        ++*all;
        *killed += *h->at[k].by != 0;
    }
    return true;
}

static void print_text(const herd *h)
{
    size_t killed, all;

    for (int by_file = 1; by_file >= 0; by_file--)
        for (size_t i = 0; i < h->n; i++)
            if (tally(h, i, by_file, &killed, &all))
                printf("%-32.*s %4zu of %zu killed\n",
                       by_file ? (int)strcspn(h->at[i].place, ":") : 32,
                       by_file ? h->at[i].place : h->at[i].operator_, killed, all);
    for (size_t i = 0; i < h->n; i++)
        if (!*h->at[i].by)
            printf("lives: %s  '%s' -> '%s'  (%zu cases)\n       %s\n       %s\n", h->at[i].place,
                   h->at[i].before, h->at[i].after, h->at[i].judged, h->at[i].key,
                   h->at[i].why ? h->at[i].why : "NOT EXPLAINED");
    printf("%zu of %zu mutants killed; %zu live: %zu equivalent, %zu explained otherwise, %zu not; "
           "score without the equivalent ones: %.3f\n",
           h->killed, h->n, h->n - h->killed, h->equivalent, h->explained - h->equivalent,
           h->n - h->killed - h->explained, score(h));
}

static void print_json(const herd *h)
{
    size_t killed, all;

    printf("{\"mutants\":%zu,\"killed\":%zu,\"equivalent\":%zu,\"explained\":%zu,\"score\":%.17g",
           h->n, h->killed, h->equivalent, h->explained, score(h));
    for (int by_file = 1; by_file >= 0; by_file--) {
        const char *between = "";
        printf(",\"%s\":{", by_file ? "by_file" : "by_operator");
        for (size_t i = 0; i < h->n; i++) {
            const char *text = by_file ? h->at[i].place : h->at[i].operator_;
            if (!tally(h, i, by_file, &killed, &all))
                continue;
            printf("%s\"%.*s\":{\"killed\":%zu,\"mutants\":%zu}", between, (int)strcspn(text, ":"),
                   text, killed, all);
            between = ",";
        }
        putchar('}');
    }
    fputs(",\"rows\":[", stdout);
    for (size_t i = 0; i < h->n; i++) {
        const mutant *m = &h->at[i];
        const char *const names[] = {"key", "place", "operator", "before", "after", "by", "why"};
        const char *const values[] = {m->key,   m->place, m->operator_,        m->before,
                                      m->after, m->by,    m->why ? m->why : ""};
        for (size_t c = 0; c < sizeof names / sizeof *names; c++) {
            printf("%s\"%s\":", c ? "," : i ? ",{" : "{", names[c]);
            att_json_put_text(stdout, values[c]);
        }
        printf(",\"cases\":%zu}", m->judged);
    }
    puts("]}");
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.suite = "gate", .explained = "ci/mutants/explained.tsv", .seed = -1};
    herd h = {0};
    att_why why = {""};
    int first = 0, number = 0, code = att_options_read(&att_verb_mutants, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first + 1 < argc)
        return att_usage(&att_verb_mutants, "one folder of mutants is expected");
    att_status status =
        read_manifest(first < argc ? argv[first] : "build/mutants", &o.only, &h, &why);
    if (status == ATT_OK)
        status = read_reasons(o.explained, &h, &why);
    if (status == ATT_OK)
        status = run_all(cli, &o, &h, &number, &why);
    if (status == ATT_OK && !number) {
        count(&h);
        (o.json ? print_json : print_text)(&h);
        code = !h.n                                                      ? ATT_EXIT_NOTHING
               : h.killed + h.explained < h.n || !(score(&h) >= o.least) ? ATT_EXIT_FAIL
                                                                         : ATT_EXIT_PASS;
    } else {
        fprintf(stderr, "attest mutants: %s\n", number ? "interrupted" : why.text);
        code = number == SIGTERM ? ATT_EXIT_TERMINATED
               : number          ? ATT_EXIT_INTERRUPT
                                 : att_exit_of(status);
    }
    free(h.at);
    free(h.text);
    free(h.reasons);
    return code;
}

const att_verb att_verb_mutants = {
    "mutants", "[FOLDER]", "does the suite see small wrong changes of our own kernels",
    table,     run,        false};
