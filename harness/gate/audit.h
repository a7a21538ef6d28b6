/* SPDX-License-Identifier: Apache-2.0 */
/* Can the tasks tell a kernel from one that is crippled on purpose?  Looks at the probes of a run
 * that holds dense and controls (kernels of the family "control") on the same items. */
#ifndef ATT_AUDIT_H
#define ATT_AUDIT_H

#include <stdbool.h>

#include "core/result.h"

#define ATT_AUDIT_GAP        0.1   /* between dense's interval and that of a control punished */
#define ATT_AUDIT_CONFIDENCE 0.95  /* of the intervals, two-sided */
#define ATT_AUDIT_LEVEL      0.001 /* of the check of chance, over all its cells together */
/* The control that answers at random: it checks the chance level, and says nothing about
 * blindness. */
#define ATT_AUDIT_GUESS "guess"

/* Items of one cell and kernel, seeds pooled. */
typedef struct att_audit_rate {
    int64_t n, hits;
    double effective; /* n over the design effect of items that share a context */
    double share, lo, hi;
} att_audit_rate;

typedef struct att_audit_control {
    const char *kernel;
    att_audit_rate rate;
    bool punished; /* its interval ends more than the gap below dense's */
} att_audit_control;

/* One measure with its parameters, seeds pooled. */
typedef struct att_audit_cell {
    const char *measure, *params;
    att_audit_rate dense;
    double chance;
    bool power; /* dense's interval lies above chance */
    att_audit_control *controls;
    size_t n_controls;    /* the guess left out */
    att_audit_rate guess; /* n = 0: none */
    double above_p;       /* of so many hits by the guess or more, at the chance level */
    double below_p;       /* of so few or fewer, by whichever of guess and controls has most */
    bool chance_holds;    /* neither is too rare, or there was no guess */
} att_audit_cell;

typedef struct att_audit {
    att_audit_cell *cells; /* in the order of the records; cells without dense are left out */
    size_t n;
} att_audit;

/* Of the probes of a result, which must outlive it.  NO_MEMORY. */
att_status att_audit_make(const att_result *result, double gap, att_audit *out, att_why *why);
void att_audit_drop(att_audit *audit);

typedef enum att_sight {
    ATT_SIGHT_UNKNOWN = 0, /* no control met it */
    ATT_SIGHT_SEES,        /* it punishes a control, somewhere */
    ATT_SIGHT_BLIND,       /* none, wherever dense has power */
    ATT_SIGHT_NO_POWER     /* dense does not clear chance anywhere */
} att_sight;
const char *att_sight_name(att_sight sight); /* "not audited", "sees", "BLIND", "no power" */

/* Of a measure over all its cells. */
att_sight att_audit_sight(const att_audit *audit, const char *measure);

#endif
