/* SPDX-License-Identifier: Apache-2.0 */
/* attest doctor: is everything here that a run needs?  Looks and changes nothing. */
#include <cblas.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/json.h"
#include "session.h"

/* The model that suites are written for, as ci/scripts/model.sh fetches it. */
#define MODEL_BYTES  98362432
#define MODEL_SHA256 "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
#define NEEDED_GIB   2.0

typedef struct options {
    const char *model, *out;
    bool json;
} options;

static const att_option table[] = {
    {"model", ATT_OPTION_TEXT, offsetof(options, model), "FILE", NULL, "the GGUF file to look at"},
    {"out", ATT_OPTION_TEXT, offsetof(options, out), "DIR", NULL, "where runs go; default: runs"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "{ok, checks[]}"},
    {0}};

typedef struct check {
    const char *name;
    bool needed; /* a run is impossible without it */
    bool (*look)(const att_cli *cli, const options *o, att_why *said);
} check;

static bool look_isa(const att_cli *cli, const options *o, att_why *said)
{
    const char *forced = getenv("ATT_ISA");

    (void)o;
    att_why_set(said, "kernels of level %s%s%s", cli->kernels->isa,
                forced ? ", by ATT_ISA=" : ", the best of this machine", forced ? forced : "");
    return true;
}

/* Flush-to-zero would make small numbers vanish in every kernel and in the oracle. */
static bool look_subnormals(const att_cli *cli, const options *o, att_why *said)
{
    volatile float tiny = FLT_MIN, half = tiny / 2;
    volatile double deep = DBL_MIN, less = deep / 2;
    bool kept = half > 0.0f && half * 2 == tiny && less > 0.0 && less * 2 == deep;

    (void)cli;
    (void)o;
    att_why_set(said,
                kept ? "subnormal numbers are kept" : "subnormal numbers are flushed to zero");
    return kept;
}

static bool look_blas(const att_cli *cli, const options *o, att_why *said)
{
    const float a[] = {1, 2, 3, 4};
    float c[4] = {0};

    (void)cli;
    (void)o;
    openblas_set_num_threads(1);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 2, 2, 2, 1.0f, a, 2, a, 2, 0.0f, c, 2);
    bool right = c[0] == 7 && c[1] == 10 && c[2] == 15 && c[3] == 22;
    att_why_set(said, "%.200s, core %s%s", openblas_get_config(), openblas_get_corename(),
                right ? "" : ": a 2 x 2 product is wrong");
    return right;
}

static bool look_model(const att_cli *cli, const options *o, att_why *said)
{
    const char *variable = getenv("ATT_MODEL");
    const char *path = o->model ? o->model : variable && *variable ? variable : ATT_MODEL_PATH;
    struct stat s;
    char digest[65] = "";

    (void)cli;
    if (stat(path, &s) != 0) {
        att_why_set(said, "%s: %s; `make model` fetches it", path, strerror(errno));
        return false;
    }
    if (s.st_size != MODEL_BYTES) {
        att_why_set(said, "%s: %lld bytes, %lld are expected; `make model` fetches it", path,
                    (long long)s.st_size, (long long)MODEL_BYTES);
        return false;
    }
    if (!att_sha256_file(path, digest)) {
        att_why_set(said, "%s: %s", path, strerror(errno));
        return false;
    }
    bool same = strcmp(digest, MODEL_SHA256) == 0;
    att_why_set(said, "%s%s", path, same ? "" : ": right size, other SHA-256 than expected");
    return same;
}

static bool look_gnuplot(const att_cli *cli, const options *o, att_why *said)
{
    const char *at = getenv("PATH");
    char path[4096];

    (void)cli;
    (void)o;
    for (at = at ? at : "/usr/bin:/bin"; *at; at += strspn(at, ":")) {
        size_t n = strcspn(at, ":");
        snprintf(path, sizeof path, "%.*s/gnuplot", (int)n, at);
        if (access(path, X_OK) == 0) {
            att_why_set(said, "%.400s", path);
            return true;
        }
        at += n;
    }
    att_why_set(said, "no gnuplot in PATH: reports have no plots; `make deps` installs it");
    return false;
}

static bool look_memory(const att_cli *cli, const options *o, att_why *said)
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[256];
    double gib = NAN;

    (void)cli;
    (void)o;
    while (f && isnan(gib) && fgets(line, sizeof line, f))
        if (strncmp(line, "MemAvailable:", 13) == 0)
            gib = strtod(line + 13, NULL) / 1048576.0;
    if (f)
        fclose(f);
    if (isnan(gib))
        att_why_set(said, "/proc/meminfo does not tell what is available");
    else
        att_why_set(said, "%.1f GiB available, %.0f are needed", gib, NEEDED_GIB);
    return gib >= NEEDED_GIB;
}

/* The folder, or the one it would be made in. */
static bool look_runs(const att_cli *cli, const options *o, att_why *said)
{
    const char *runs = o->out ? o->out : "runs";
    char parent[4096];
    struct stat s;

    (void)cli;
    if (stat(runs, &s) == 0) {
        bool good = S_ISDIR(s.st_mode) && access(runs, W_OK | X_OK) == 0;
        att_why_set(said, "%s %s", runs,
                    good ? "can be written" : "is no folder that can be written");
        return good;
    }
    snprintf(parent, sizeof parent, "%s", runs);
    char *slash = strrchr(parent, '/');
    if (slash && slash != parent)
        *slash = '\0';
    else
        snprintf(parent, sizeof parent, slash ? "/" : ".");
    bool good = access(parent, W_OK | X_OK) == 0;
    att_why_set(said, "%s %s", runs, good ? "can be made" : "can't be made");
    return good;
}

static const check checks[] = {
    {"isa", true, look_isa},         {"subnormals", true, look_subnormals},
    {"blas", true, look_blas},       {"model", true, look_model},
    {"memory", true, look_memory},   {"runs", true, look_runs},
    {"gnuplot", false, look_gnuplot}};

extern const att_verb att_verb_doctor;

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {0};
    int first = 0, code = att_options_read(&att_verb_doctor, argc, argv, &o, &first);
    bool all = true;

    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_doctor, "%s: no operand is expected", argv[first]);
    if (o.json)
        fputs("{\"checks\": [", stdout);
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        att_why said = {""};
        bool ok = checks[i].look(cli, &o, &said);
        all &= ok || !checks[i].needed;
        if (!o.json) {
            printf("%-8s %-12s %s\n",
                   ok                 ? "ok"
                   : checks[i].needed ? "MISSING"
                                      : "without",
                   checks[i].name, said.text);
            continue;
        }
        fputs(i ? ",\n{\"detail\": " : "{\"detail\": ", stdout);
        att_json_put_text(stdout, said.text);
        printf(", \"name\": \"%s\", \"needed\": %s, \"ok\": %s}", checks[i].name,
               checks[i].needed ? "true" : "false", ok ? "true" : "false");
    }
    if (o.json)
        printf("], \"ok\": %s}\n", all ? "true" : "false");
    return all ? ATT_EXIT_PASS : ATT_EXIT_INCOMPLETE;
}

const att_verb att_verb_doctor = {.name = "doctor",
                                  .operands = "",
                                  .summary = "is everything here that a run needs?",
                                  .options = table,
                                  .run = run};
