/* SPDX-License-Identifier: Apache-2.0 */
/* Several sequences told apart by a mask alone: a document packed with others answers as it does
 * by itself, and a path of a speculative tree as the causal sequence of its prefix and its nodes.
 * What belongs together is read off the mask, row by row. */
#include <stdlib.h>

#include "evals/numeric/laws.h"

static bool sees(const law_case *c, int64_t b, int64_t i, int64_t j)
{
    const att_tensor *m = &c->base->given.mask;

    return ((const uint8_t *)m->data)[att_tensor_at(m, b, 0, i, j)] != 0;
}

/* The last n rows of sequence b's queries among `rows`, over keys j[0..keys), causal, alone. */
static att_status alone(law_case *c, int64_t b, const int64_t *i, int64_t rows, const int64_t *j,
                        int64_t keys)
{
    parity_spec spec = c->spec;

    spec.b = 1;
    spec.sq = rows;
    spec.sk = keys;
    spec.mask = "none";
    spec.causal = "br";
    spec.store = "dense";
    law_side *side = law_open(c, &spec);
    if (!side)
        return ATT_NO_MEMORY;
    side->at.b[0] = b;
    for (int64_t n = 0; n < rows; n++)
        side->at.i[n] = i[n];
    for (int64_t n = 0; n < keys; n++)
        side->at.j[n] = j[n];
    return law_close(c, side, NULL, NULL);
}

/* Row i's keys into j; returns their number.  rows: how many of them, the last, are queries too. */
static int64_t keys_of(const law_case *c, int64_t b, int64_t i, int64_t *j, int64_t *rows)
{
    int64_t n = 0;

    *rows = 0;
    for (int64_t k = 0; k < c->spec.sk; k++)
        if (sees(c, b, i, k)) {
            j[n++] = k;
            *rows += k >= c->spec.sk - c->spec.sq;
        }
    return n;
}

/* Does no later query see the key at which query i stands? */
static bool is_last(const law_case *c, int64_t b, int64_t i)
{
    bool last = true;

    for (int64_t later = i + 1; last && later < c->spec.sq; later++)
        last = !sees(c, b, later, i + c->spec.sk - c->spec.sq);
    return last;
}

/* A side for each query that nothing follows: all that it sees, by itself. */
static att_status each_end(law_case *c)
{
    const int64_t sq = c->spec.sq, sk = c->spec.sk;
    int64_t *j = calloc((size_t)(sk + sq) + 1, sizeof *j), *i = j ? j + sk : NULL;
    att_status status = j ? law_base(c, NULL, NULL) : ATT_NO_MEMORY;

    for (int64_t b = 0; status == ATT_OK && b < c->spec.b; b++)
        for (int64_t q = sq - 1; status == ATT_OK && q >= 0 && c->sides < LAW_SIDES; q--) {
            int64_t rows, keys = keys_of(c, b, q, j, &rows);
            if (keys == 0 || !is_last(c, b, q))
                continue;
            for (int64_t n = 0; n < rows; n++)
                i[n] = j[keys - rows + n] - (sk - sq);
            status = alone(c, b, i, rows, j, keys);
        }
    free(j);
    return status;
}

static void packed_alone(parity_spec *s)
{
    law_without_lengths(s);
    law_without_blocks(s);
    s->causal = s->causal[0] == 'b' ? s->causal : "none";
}

static void with_documents(parity_spec *s)
{
    packed_alone(s);
    s->mask = "document";
}

static void with_tree(parity_spec *s)
{
    packed_alone(s);
    s->mask = "tree";
    s->left = s->right = -1; /* nodes are nearer to each other on a path than in the row */
    s->alibi = "none";
}

const law laws_packed[] = {
    {"documents", "a document packed with others answers as it does alone", ATT_BINDS_EXACT,
     LAW_EQUAL, true, with_documents, each_end},
    {"tree_paths", "a path of a speculative tree answers as the causal sequence alone",
     ATT_BINDS_EXACT, LAW_EQUAL, true, with_tree, each_end},
    {0},
};
