/* SPDX-License-Identifier: Apache-2.0 */
/* The heads of the kernels' files: formula, why, bound, cost, paper.  The table is generated while
 * the program is built (ci/scripts/heads.awk). */
#ifndef ATT_HEADS_H
#define ATT_HEADS_H

typedef struct att_head {
    const char *kernel; /* NULL ends the table */
    const char *text;   /* lines, each ended by \n */
} att_head;

extern const att_head att_heads[];

#endif
