/* SPDX-License-Identifier: Apache-2.0 */
/* A run's results in memory: what the journal holds, what result.json says, what reports print. */
#ifndef ATT_RESULT_H
#define ATT_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "attn.h"
#include "base/why.h"
#include "core/eval.h"

#define ATT_RESULT_MAJOR 1
#define ATT_RESULT_MINOR 2

/* What a case can end as. */
typedef enum att_outcome {
    ATT_PASS = 0,
    ATT_FAIL,
    ATT_ERROR,
    ATT_CRASH,
    ATT_TIMEOUT,
    ATT_NOT_RUN,
    ATT_HOLE, /* unsupported */
    ATT_NO_POWER,
    ATT_INCONCLUSIVE,
    ATT_OUTCOMES
} att_outcome;
const char *att_outcome_name(att_outcome outcome); /* "pass" ... "unsupported" ... */
int att_outcome_named(const char *name);           /* -1 if unknown */

typedef struct att_metric {
    char *name, *unit;
    att_better better;
    double value;
    int64_t n;       /* 0 = not a sample */
    double lo, hi;   /* interval; NAN = none */
    double limit;    /* NAN = not judged */
    double baseline; /* NAN = none */
    int verdict;     /* 1 holds, 0 violated, -1 not judged */
} att_metric;

typedef struct att_item {
    uint8_t hit;
    int32_t cluster;
    double score, at; /* NAN = none */
    char *note;       /* NULL = none */
} att_item;

typedef struct att_diagnosis {
    char *fault, *text;
    double ratio;
} att_diagnosis;

/* One case.  Strings are owned, NULL where there is nothing to say. */
typedef struct att_record {
    char *line;    /* with seed */
    char *id;      /* without */
    char *measure; /* "lm.needle" */
    char *kernel;  /* canonical, with parameters */
    char *family;  /* of the kernel: "sparse", "control" ... */
    char *params;  /* all parameters of the eval, defaults written out */
    uint64_t seed;
    int32_t class_; /* att_class of the kernel */
    double margin;  /* its declared non-inferiority margin; 0 = none */
    bool required;
    att_outcome status;
    char *reason;
    char *smallest; /* line of the smallest case found that fails alike */
    int signal;     /* 0 = none */
    att_metric *metrics;
    size_t n_metrics;
    att_item *items;
    size_t n_items;
    att_diagnosis *diagnoses;
    size_t n_diagnoses;
    double chance;         /* NAN = not a probe */
    double seconds;        /* of it, inside kernels and inside the oracle: */
    double kernel_seconds; /* what the eval and the harness need is the rest */
    double oracle_seconds;
    int64_t peak_bytes;
} att_record;

/* A kernel against dense over the paired items of one measure (pooled over lengths and depths). */
typedef struct att_comparison {
    char *measure, *kernel;
    int64_t n, wins, losses;
    double difference, lo, hi; /* accuracy minus dense's, clustered interval */
    double p;                  /* one-sided exact McNemar over items: worse than dense */
    double p_context;          /* the same over contexts, where items share them */
    double p_holm;             /* p_context, adjusted over the measures of the kernel */
    double p_better;           /* the same for "better" */
    double score_difference;   /* mean paired score (margin) difference; NAN = none */
    double score_p;            /* one-sided sign-flip test of it over contexts; NAN = none */
    double effect;             /* design effect of the differences */
    double detectable;         /* smallest true loss found with ATT_COMPARE_POWER; NAN = none is */
    double margin;             /* of non-inferiority; 0 = none declared */
    int inferior;              /* than -margin: 1 yes, 0 no, -1 too few items, or no margin */
    int64_t needed;       /* items that the margin needs at what was seen; -1 = no number does */
    int64_t seeds_needed; /* a loss that is no verdict: how many seeds of such contexts would find
                           * it with ATT_COMPARE_POWER; -1 = no number does; 0 = there is none */
    char *verdict;        /* "same", "worse", "better", "cannot tell", "no power" */
} att_comparison;

/* What a kernel promises of itself.  Types: att_dtype; ATT_DTYPES = that of the call's tensors. */
typedef struct att_declaration {
    char *kernel; /* canonical, with parameters */
    int32_t class_, acc, prob, out;
    double margin;
    int64_t align, over_read;
} att_declaration;

typedef struct att_text_pair {
    char *key, *value;
} att_text_pair;

typedef struct att_result {
    char *run_id;
    char *suite;
    char *plan_hash;
    int64_t shard, shards;              /* 1 of 1 unless sharded */
    char *status;                       /* "complete", "incomplete", "interrupted" */
    att_text_pair *tool, *env, *inputs; /* inputs: name, sha256 */
    size_t n_tool, n_env, n_inputs;
    char *env_class;
    att_record *records; /* in plan order */
    size_t n_records;
    att_comparison *comparisons;
    size_t n_comparisons;
    att_declaration *declarations; /* sorted by kernel; none in results of version 1.0 */
    size_t n_declarations;
    char *gate; /* what a gate said of it, a JSON object in one line; NULL = none did */
    double seconds;
} att_result;

/* NULL if absent. */
const att_metric *att_record_metric(const att_record *record, const char *name);
/* Value of `name=` in the case's parameters as text into out[size]; false if it has none. */
bool att_record_param(const att_record *record, const char *name, char *out, size_t size);
/* Context length of a probe's record; NAN where it has none. */
double att_record_length(const att_record *record);

void att_record_clear(att_record *record);
void att_result_clear(att_result *result);

/* result.json: one case a line, sorted keys, numbers that round-trip; what cases have in common
 * stands in "evals" and "variants" (core/record_base.h).  Written through a temporary file. */
att_status att_result_write(const att_result *result, const char *path, att_why *why);
/* Refuses unknown majors, duplicate keys, damaged files. */
att_status att_result_read(const char *path, att_result *out, att_why *why);

#endif
