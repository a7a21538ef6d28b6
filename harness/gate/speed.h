/* SPDX-License-Identifier: Apache-2.0 */
/* How much slower is one kernel than another, where both were measured in turn?  A pair is a case
 * in a round, and says head over base.  What is concluded is the median of the pairs of a measure
 * with its distribution-free interval (sign test), so that a round that was disturbed moves
 * nothing. */
#ifndef ATT_SPEED_H
#define ATT_SPEED_H

#include "gate/gate.h"

#define ATT_SPEED_LEVEL 0.001 /* of all intervals together, two-sided (Bonferroni) */

typedef struct att_speed_clock {
    char *measure, *kernel; /* the head's */
    double *ratio;          /* seconds inside kernels, head over base, a pair each */
    size_t n, room;
} att_speed_clock;

/* Zero-initialise; att_speed_drop frees. */
typedef struct att_speed {
    att_speed_clock *at;
    size_t n;
} att_speed;

/* Adds a round: cases of equal measure, parameters and seed that kernels base[i] and head[i] both
 * passed.  false: no memory. */
bool att_speed_add(att_speed *all, const att_result *round, const char *const *base,
                   const char *const *head, size_t pairs);
/* A row a measure and kernel that has pairs enough for an interval; records point into `head`.
 * free() it; NULL: no memory. */
att_gate_time *att_speed_conclude(att_speed *all, const att_result *head, size_t *n);
void att_speed_drop(att_speed *all);

#endif
