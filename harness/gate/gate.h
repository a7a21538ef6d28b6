/* SPDX-License-Identifier: Apache-2.0 */
/* A run against its baseline under a policy: what blocks, grouped by cause.
 *
 * In order, fail-closed, a case at a time: integrity; absolute contracts (as the run's verdicts
 * say); cases in which nothing is different are unchanged; the rest is paired with the baseline on
 * the same items; speed where it was measured interleaved. */
#ifndef ATT_GATE_H
#define ATT_GATE_H

#include "base/arena.h"
#include "gate/baseline.h"
#include "gate/policy.h"

/* How much slower a kernel is on the cases of a measure, measured on both sides in turn. */
typedef struct att_gate_time {
    const att_record *record; /* one of the cases */
    double ratio, lo, hi;     /* median of own over base, and its interval */
    size_t pairs;
} att_gate_time;

typedef struct att_gate_ask {
    const att_result *result;
    bool done; /* the run's DONE is there */
    const att_baseline *baseline;
    const att_policy *policy;
    const att_waivers *waivers; /* NULL = none */
    const char *today;          /* YYYY-MM-DD */
    const att_gate_time *times;
    size_t n_times;
} att_gate_ask;

/* One thing that is wrong with one case. */
typedef struct att_finding {
    att_gate_kind kind;
    const char *id, *measure, *kernel;
    const att_record *record;              /* NULL where the run lacks the case */
    const char *cause;                     /* what it shares with others: they are one entry */
    const char *text;                      /* in words; "" = the cause says it */
    const char *metric;                    /* NULL = none */
    double value, limit, baseline, lo, hi; /* NAN = none */
    int64_t n;
    bool advisory;
    const att_waiver *waiver;   /* NULL = none */
    const att_diagnosis *named; /* the fault that explains it and its kernel; NULL = none */
} att_finding;

/* Findings with one kind and cause, all of them blocking, or advisory, or waived. */
typedef struct att_gate_entry {
    const att_finding *first; /* members lie together, the smallest case first */
    size_t members, kernels;
    size_t of;                  /* the run's cases of those kernels and measures; missing: 0 */
    size_t explained;           /* members that `named` explains */
    const att_diagnosis *named; /* a fault; NULL = nothing known */
} att_gate_entry;

typedef struct att_gate {
    att_finding *findings;
    size_t n_findings, room;
    att_gate_entry *entries; /* blocking ones first, then advisory, then waived; larger first */
    size_t n_entries;
    size_t compared;  /* cases on both sides */
    size_t unchanged; /* of them nothing is different */
    size_t paired;    /* items */
    size_t timed;     /* measures whose speed was judged */
    size_t gained;    /* cases that pass and did not */
    int code;         /* att_exit */
    att_arena arena;
} att_gate;

/* The result, baseline, policy and waivers must outlive it.  NO_MEMORY. */
att_status att_gate_judge(const att_gate_ask *ask, att_gate *out, att_why *why);
void att_gate_drop(att_gate *g);

#endif
