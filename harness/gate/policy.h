/* SPDX-License-Identifier: Apache-2.0 */
/* What a gate blocks for: a small file, so that an old result can be judged anew.  And what is let
 * through for a while, by name and with a date. */
#ifndef ATT_POLICY_H
#define ATT_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn.h"
#include "base/why.h"

#define ATT_POLICY_MAJOR 1

/* Why a case is shown, in the order in which a gate looks. */
typedef enum att_gate_kind {
    ATT_GATE_WAIVER = 0, /* a waiver whose day is over */
    ATT_GATE_CRASH,
    ATT_GATE_TIMEOUT,
    ATT_GATE_ERROR, /* the harness's or the input's; or not run */
    ATT_GATE_NONFINITE,
    ATT_GATE_MISSING,      /* the baseline holds it, the run doesn't */
    ATT_GATE_EXTRA,        /* the other way round */
    ATT_GATE_CONTRACT,     /* an absolute limit */
    ATT_GATE_LOST,         /* passed; now unsupported, or without power */
    ATT_GATE_LOOSENED,     /* a kernel declares less than it did */
    ATT_GATE_ITEMS,        /* other items than the baseline's: nothing can be paired */
    ATT_GATE_FLIP,         /* an exact kernel clearly misses an item that it hit */
    ATT_GATE_WORSE,        /* the paired test */
    ATT_GATE_MARGIN,       /* the margin of non-inferiority */
    ATT_GATE_DRIFT,        /* a judged number moved by more than its tolerance */
    ATT_GATE_SLOWER,       /* an interleaved ratio */
    ATT_GATE_INCONCLUSIVE, /* too few items to say; shown only where it is required */
    ATT_GATE_KINDS
} att_gate_kind;
const char *att_gate_kind_name(att_gate_kind kind); /* "crash" ... */
int att_gate_kind_exit(att_gate_kind kind);         /* att_exit of a gate that blocks for it */
/* Whether a policy may make it advisory.  The others can only be waived. */
bool att_gate_kind_soft(att_gate_kind kind);

/* What holds for the cases whose id matches a glob; of several the first that matches. */
typedef struct att_policy_rule {
    char *cases;
    char *metric;       /* glob; NULL where the rule has none */
    att_gate_kind kind; /* of an advisory rule */
    double value;       /* margin, tolerance, epsilon */
} att_policy_rule;

typedef struct att_policy_rules {
    att_policy_rule *at;
    size_t n;
} att_policy_rules;

typedef struct att_policy {
    char *name;
    uint64_t hash;     /* of the file's bytes */
    double alpha;      /* family level of the paired tests */
    double confidence; /* of intervals, two-sided */
    bool family_run;   /* Holm over all tests of the run, not those of a kernel */
    double speed;      /* by what share a case may be slower; NAN = speed is not judged */
    att_policy_rules required, advisory, margins, scores, tolerances, flips;
} att_policy;

/* CORRUPT, with file and line: another major version, an unknown or repeated member, a number out
 * of range.  IO. */
att_status att_policy_read(const char *path, att_policy *out, att_why *why);
att_status att_policy_parse(const char *text, size_t length, const char *name, att_policy *out,
                            att_why *why);
void att_policy_drop(att_policy *p);

/* The first rule for an id (and a metric, where it has one); NULL = none. */
const att_policy_rule *att_policy_rule_for(const att_policy_rules *rules, const char *id,
                                           const char *metric);
bool att_policy_advises(const att_policy *p, att_gate_kind kind, const char *id);

typedef struct att_waiver {
    char *cases; /* glob of ids */
    char *reason, *issue, *expires;
    int kind; /* att_gate_kind, -1 = any */
    size_t line;
} att_waiver;

typedef struct att_waivers {
    att_waiver *at;
    size_t n;
} att_waivers;

/* The same errors. */
att_status att_waivers_read(const char *path, att_waivers *out, att_why *why);
att_status att_waivers_parse(const char *text, size_t length, const char *name, att_waivers *out,
                             att_why *why);
void att_waivers_drop(att_waivers *w);

/* A day as YYYY-MM-DD; false: it is none. */
bool att_day_is(const char *text);
/* Whether a waiver no longer holds on a day: it holds up to its day. */
bool att_waiver_over(const att_waiver *w, const char *today);

#endif
