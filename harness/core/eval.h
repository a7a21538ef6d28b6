/* SPDX-License-Identifier: Apache-2.0 */
/* An eval measures; it never judges.  One file, one `const att_eval att_eval_<stem>` at its end,
 * one row in evals/evals.def.  Limits are declared in the metric table; core/verdict applies
 * them. */
#ifndef ATT_EVAL_H
#define ATT_EVAL_H

#include <stdbool.h>

#include "attn.h"
#include "core/ctx.h"

typedef enum att_better { ATT_LOWER = -1, ATT_NEITHER = 0, ATT_HIGHER = 1 } att_better;

/* A number an eval records.  `limit`: the contract, value <= limit (LOWER) or >= limit (HIGHER),
 * fail-closed; NAN = shown, not judged.  `contract_of`: which classes the limit binds. */
#define ATT_BINDS_EXACT  1u
#define ATT_BINDS_APPROX 2u
#define ATT_BINDS_OWN    4u
#define ATT_BINDS_ALL    7u
typedef struct att_metric_spec {
    const char *name; /* NULL ends the table */
    const char *unit; /* "count", "ratio", "share", "nats", "keys", "bytes", "s" ... */
    att_better better;
    double limit;
    unsigned binds; /* ATT_BINDS_* */
    const char *help;
} att_metric_spec;

/* Which room of evals/ it comes from, and with that whom its cases concern: numeric ones
 * and those of costs hold every kernel to its contract, so deliberate bugs must fall to them. */
typedef enum att_track {
    ATT_TRACK_NUMERIC = 0,
    ATT_TRACK_PROBE,
    ATT_TRACK_MODEL,
    ATT_TRACK_COST
} att_track;

/* What a task is for. */
typedef struct att_task_note {
    const char *exposes; /* the failure, in a few words */
    const char *spares;  /* controls, space separated, that it cannot punish by its nature */
} att_task_note;

typedef struct att_eval {
    const char *name; /* "parity", "needle", "lm" ... */
    const char *summary;
    const char *const *tasks; /* "lm.needle": task "needle" of eval "lm"; NULL ends, NULL = none */
    att_task_note (*note)(const char *task); /* NULL = nothing to say */
    const att_param *params;                 /* ends with name == NULL */
    const att_metric_spec *metrics;
    const char *group_by; /* parameters, space separated, that make a group beside seed and
                           * (for group_kernel) the kernel; NULL = no sharing */
    bool group_kernel;    /* the kernel is part of the group key */
    bool apart;   /* runs kernels through att_ctx_apart alone (core/apart.h), and wants a worker
                   * in which none has run */
    uint32_t ops; /* 1u << att_op: a glob takes only kernels that offer one of them; 0 = all */
    const uint32_t *task_ops; /* the same, one a task; NULL = ops for all of them */
    double chance;            /* accuracy by guessing, for the items; NAN = not a probe (may be
                               * overridden by recording metric "chance") */
    /* false: this combination makes no sense: a usage error by hand, left out of covering arrays.
     * NULL = all valid. */
    bool (*valid)(const att_value *params);
    /* What covering arrays take; NULL = whatever is valid.  Leaves out what takes much longer than
     * the rest but may be asked for by hand. */
    bool (*covers)(const att_value *params);
    /* Estimated seconds on one core, for the plan and the timeout; NULL = 0.01. */
    double (*seconds)(const char *task, const att_value *params);
    /* Seconds that a case may take beyond 20 times its estimate before it counts as hung; 0 = 30.
     */
    double grace;
    /* OK: measured.  UNSUPPORTED: a hole.  NO_MEMORY, FAILED, others: with att_ctx_why. */
    att_status (*run)(att_ctx *x);
    att_track track;
} att_eval;

#endif
