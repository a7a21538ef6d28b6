/* SPDX-License-Identifier: Apache-2.0 */
/* A profile's inside: shared by the file that makes it and the one that judges with it. */
#ifndef ATT_ERROR_PROFILE_H
#define ATT_ERROR_PROFILE_H

#include "core/error_row.h"

struct att_profile {
    int64_t batch, heads, group, q_len, kv_len, dk, dv, wide, rows;
    double u_acc;
    bool sink;
    const double *out, *lse;   /* the oracle's */
    int64_t *n;                /* [rows] keys, the sink among them; -1 = not to be judged */
    int64_t *first;            /* [rows] where its pairs begin */
    double *s, *a, *x, *drift; /* [pairs] */
    int32_t *key;              /* [pairs]; -1 = the sink */
    double *values;            /* [B Hkv][Skv][wide] */
    double *zeros;             /* [wide] */
    double *sums;              /* [rows][ATT_SUMS][wide] */
    double *lse_bound;         /* [rows], the oracle's own error included */
    int32_t *groups, *largest; /* [rows] */
    void *room;
    const double **pointers; /* [Skv + 1] */
    double *variance;        /* [wide] */
};

/* The keys of row r as the rule wants them, and its sums. */
att_error_keys att_profile_keys(const att_profile *f, int64_t r);
att_error_sums att_profile_sums(const att_profile *f, int64_t r);

#endif
