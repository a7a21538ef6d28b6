/* SPDX-License-Identifier: Apache-2.0 */
/* How far a kernel's answers lie from dense attention's, and what its choice of keys costs. */
#ifndef ATT_PROBES_DIAGNOSE_H
#define ATT_PROBES_DIAGNOSE_H

#include "evals/probes/call.h"
#include "evals/probes/dense.h"

/* Records the metrics of diagnose.def for the first attention's outputs `out`; `seen`: which keys
 * each row sees (probe_seen), NULL = not known. */
att_status probe_diagnose(att_ctx *x, const probe_circuit *c, const probe_manner *how,
                          const float *out, const uint8_t *seen);

/* What a row's selection keeps of dense attention.  A softmax over `chosen` alone renormalises what
 * it keeps: the total variation of the weights is 1 - mass, and
 *   |o' - o| <= 2 (1 - mass) max|v|. */
typedef struct probe_kept {
    double mass;      /* of dense's weights, on the chosen keys */
    double keys;      /* how many they are */
    double recall;    /* of dense's best keys, as many as are chosen: the share chosen */
    double recall_95; /* of the fewest keys that hold 95 % of its weight */
    double js;        /* Jensen-Shannon divergence of the weights, nats */
} probe_kept;
/* weight, chosen: of `keys` keys, keys_95 of which hold 95 %; room [keys]. */
probe_kept probe_kept_of(const double *weight, const uint8_t *chosen, int64_t keys, int64_t keys_95,
                         double *room);

/* How far rounding may move an output, as a share of the longest value: with logits up to `match`
 * and the roundings that a kernel declares; NAN: it stores less than floats. */
double probe_rounding(const att_variant_part *part, const probe_circuit *c,
                      const probe_manner *how);

#endif
