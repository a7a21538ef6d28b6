/* SPDX-License-Identifier: Apache-2.0 */
/* Longformer attention: a window around the query, and a few global tokens that everyone sees and
 * that see everyone.
 *
 *   kept(i, j):  |p_i - j| <= side  or  j < global  or  0 <= p_i < global
 *                                                               (and the problem's own rules)
 *
 * Why: a window alone loses what lies beyond it; global tokens (a question, a class token) gather
 * the whole sequence and hand it on in two layers.
 * Bound: exact on its own keys (that of common/rows.h); only they are read.
 * Cost: O(S (2 side + 1 + global) + global S) pairs; the KV cache of a decoder is that of
 * side + 1 + global tokens.
 * Source: Beltagy et al. 2020, "Longformer: the long-document transformer". */
#include "common/cost.h"
#include "common/listed.h"

enum { GLOBAL, SIDE };

static const att_param PARAMS[] = {
    {.name = "global",
     .type = ATT_PARAM_INT,
     .unit = "keys",
     .fallback = "16",
     .domain = "0:1048576",
     .levels = "0 2 16",
     .help = "first tokens, which all queries see and which see all"},
    {.name = "side",
     .type = ATT_PARAM_INT,
     .role = ATT_ROLE_BUDGET,
     .unit = "keys",
     .fallback = "256",
     .domain = "0:1073741824",
     .levels = "0 1 16 256",
     .help = "keys each side of the query, beside its own"},
    {0}};

/* The row's keys: j < head and near <= j < past, with head <= near. */
typedef struct spans {
    int64_t head, near, past;
} spans;

static spans spans_of(const att_value *params, const att_row *row)
{
    const int64_t global = params[GLOBAL].i, side = params[SIDE].i, p = row->position;
    if (p >= 0 && p < global)
        return (spans){.head = row->lo, .near = row->lo, .past = row->hi};
    const int64_t head = att_max(row->lo, att_min(row->hi, global));
    const int64_t near = att_max(head, att_add_clamped(p, -side));
    return (spans){head, near, att_min(row->hi, att_add_clamped(p, side + 1))};
}

static int64_t fill(const void *arg, const att_row *row, int64_t *j)
{
    const spans s = spans_of(arg, row);
    int64_t n = 0;

    for (int64_t c = row->lo; c < s.head; c++)
        j[n++] = c;
    for (int64_t c = s.near; c < s.past; c++)
        j[n++] = c;
    return n;
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_keep keep = {.first = params[GLOBAL].i, .left = params[SIDE].i};
    const att_status status = att_listed_cost(self, p, params, out);

    if (p->causal)
        out->state_bytes = att_cache_bytes(p, att_tokens_kept(p, &keep));
    return status;
}

const att_kernel att_kernel_longformer = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "longformer",
    .family = "sparse",
    .summary = "a window around the query, and global tokens that see and are seen by all",
    .source = "Beltagy et al. 2020, Longformer",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_listed_supports,
    .plan = att_listed_plan,
    .cost = cost,
    .attend = att_listed_attend,
    .select = att_listed_select,
};
