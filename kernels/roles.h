/* SPDX-License-Identifier: Apache-2.0 */
/* Beside the contract: what a parameter means for an approximation, the value of att_param's
 * `reserved` (INT alone).
 *
 * Why: an eval that asks whether more budget brings an approximation nearer to dense attention must
 * know which parameter the budget is, of kernels that it has never seen. */
#ifndef ATT_ROLES_H
#define ATT_ROLES_H

typedef enum att_role {
    ATT_ROLE_NONE = 0,
    ATT_ROLE_BUDGET,  /* what is kept: more of it keeps no less, and as many as the problem has (of
                       * the parameter's unit: keys, blocks, heads) is dense attention */
    ATT_ROLE_SAMPLES, /* random draws: the mean error falls with their root */
    ATT_ROLE_SEED     /* draws anew */
} att_role;

#endif
