/* SPDX-License-Identifier: Apache-2.0 */
/* Other people's rules, only to compare: what their tests would say of the same output.  A rule is
 * a row of judges.def and a function of two arrays; none of them decides anything here. */
#ifndef ATT_JUDGES_H
#define ATT_JUDGES_H

#include <stdint.h>

/* One output beside the exact answer, both finite at all n places. */
typedef struct judge_pair {
    int64_t n;
    const double *got;
    const double *want; /* the oracle's answer, rounded to the storage type */
    const double *low;  /* what plain attention computed in the storage type gives */
    int32_t dtype;      /* of the storage, att_dtype */
} judge_pair;

/* How far the output is from passing: at most 1 = it passes; INFINITY where nothing at all is
 * allowed. */
typedef double (*judge_rule)(const judge_pair *pair);

typedef struct judge {
    const char *name; /* NULL ends the table */
    judge_rule rule;
} judge;

extern const judge judges[];

#endif
