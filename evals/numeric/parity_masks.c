/* SPDX-License-Identifier: Apache-2.0 */
/* Masks with a shape of their own, from actual lengths: documents packed into one row, each causal
 * and blind to the others; and the tree of a speculative step, whose nodes (the last positions) see
 * the whole prefix and their own ancestors.
 *
 *   document(i, j) = doc(p_i) = doc(j) and j <= p_i
 *   tree(i, j)     = j <= p_i, and j lies in the prefix or is an ancestor of p_i, or itself
 *
 * with p_i = i + kv_len - q_len.
 * Source: Krell et al. 2021, "Efficient sequence packing"; Miao et al. 2023, "SpecInfer". */
#include <stdlib.h>

#include "evals/numeric/parity.h"

#define NODES 24 /* of a tree, at most */

/* up[j]: the first key of j's document, or the parent of node j (-1: the prefix). */
static void plant(const parity_spec *s, att_rng *rng, int64_t prefix, int64_t n, int64_t *up)
{
    bool tree = parity_is(s->mask, "tree");

    for (int64_t j = 0; j < n; j++) {
        bool opens = j == 0 || att_rng_below(rng, (uint64_t)(n / 4 + 1)) == 0;
        int64_t any = prefix - 1 +
                      (int64_t)att_rng_below(rng, (uint64_t)(j < prefix ? 1 : j - prefix + 1));
        if (!tree)
            up[j] = opens ? j : up[j - 1];
        else if (j < prefix)
            up[j] = -1;
        else
            up[j] = att_rng_below(rng, 2) ? j - 1 : any;
    }
}

static bool sees(const parity_spec *s, const int64_t *up, int64_t prefix, int64_t p, int64_t j)
{
    if (j > p)
        return false;
    if (!parity_is(s->mask, "tree"))
        return up[p] == up[j];
    while (p > j && p >= prefix)
        p = up[p];
    return p == j || j < prefix;
}

bool parity_mask_planted(const char *kind)
{
    return parity_is(kind, "document") || parity_is(kind, "tree");
}

bool parity_mask_plant(const parity_inputs *in, att_rng *rng, const att_tensor *m)
{
    static const uint8_t yes[3] = {1, 2, 255};
    const parity_spec *s = &in->spec;
    int64_t *up = malloc((size_t)(s->sk + 1) * sizeof *up);

    for (int64_t b = 0; up && b < s->b; b++) {
        int64_t nq = in->nq[b], nk = in->nk[b], nodes = nq < nk ? nq : nk;
        int64_t prefix = nk - (nodes < NODES ? nodes : NODES);
        plant(s, rng, prefix, nk, up);
        for (int64_t i = 0; i < s->sq; i++)
            for (int64_t j = 0; j < s->sk; j++) {
                int64_t p = i + nk - nq;
                bool on = i < nq && j < nk && p >= 0 && sees(s, up, prefix, p, j);
                ((uint8_t *)m->data)[att_tensor_at(m, b, 0, i, j)] = on ? yes[(i + j) % 3] : 0;
            }
    }
    free(up);
    return up != NULL;
}
