/* SPDX-License-Identifier: Apache-2.0 */
/* Exit codes, and which one wins when several apply. */
#ifndef ATT_EXIT_H
#define ATT_EXIT_H

#include "attn.h"

typedef enum att_exit {
    ATT_EXIT_PASS = 0,
    ATT_EXIT_FAIL = 1,  /* a contract or gate failed: a crash, timeout or NaN of a kernel too */
    ATT_EXIT_USAGE = 2, /* an unknown name or flag, a plugin that does not load */
    ATT_EXIT_INCONCLUSIVE = 3, /* a required cell with too few items, no usable baseline */
    ATT_EXIT_NOTHING = 4,      /* no case ended pass or fail */
    ATT_EXIT_INCOMPLETE = 5,   /* a case, shard or file lost; output not writable */
    ATT_EXIT_CORRUPT = 6,      /* a damaged or untrusted input */
    ATT_EXIT_INTERRUPT = 130,  /* resumable */
    ATT_EXIT_TERMINATED = 143
} att_exit;

/* Every code and what it means, in the order of the codes; a NULL meaning ends the table. */
typedef struct att_exit_row {
    att_exit code;
    const char *meaning;
} att_exit_row;
extern const att_exit_row att_exit_rows[];

/* The worse of two by 6 > 5 > 4 > 1 > 3 > 0; an interrupt or a usage error stops a run, so they win
 * over all. */
int att_exit_worse(int a, int b);
/* What a verb returns when a call it depends on failed. */
int att_exit_of(att_status status);

#endif
