/* SPDX-License-Identifier: Apache-2.0 */
/* One problem in several forms: keys closed by a mask, by a bias of -inf or by leaving them out; an
 * all-true mask and a window wider than the keys, which are none; a sink as one more key; a
 * constant added to a row's logits; keys in parts, merged. */
#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "evals/numeric/laws.h"

static bool is_top_left(const parity_spec *s)
{
    return parity_is(s->causal, "tl");
}

/* -------------------------------------------------- mask = -inf bias = shortened keys */

static void close_by_mask(parity_inputs *in, void *arg)
{
    const att_tensor *m = &in->given.mask;

    for (int64_t b = 0; b < m->shape[0]; b++)
        for (int64_t j = 0; j < m->shape[3]; j++)
            ((uint8_t *)m->data)[att_tensor_at(m, b, 0, 0, j)] = j < *(const int64_t *)arg;
}

static void close_by_bias(parity_inputs *in, void *arg)
{
    const att_tensor *t = &in->given.bias;

    for (int64_t b = 0; b < t->shape[0]; b++)
        for (int64_t h = 0; h < t->shape[1]; h++)
            for (int64_t i = 0; i < t->shape[2]; i++)
                for (int64_t j = *(const int64_t *)arg; j < t->shape[3]; j++)
                    att_fp_store(t->data, t->dtype, att_tensor_at(t, b, h, i, j),
                                 -(double)INFINITY);
}

static att_status mask_forms(law_case *c)
{
    int64_t keys = c->spec.sk - 1 - (int64_t)att_rng_below(&c->rng, (uint64_t)c->spec.sk / 2);
    parity_spec by_bias = c->spec, shorter = c->spec;
    att_status status = law_base(c, close_by_mask, &keys);

    by_bias.mask = shorter.mask = "none";
    by_bias.bias = "full";
    shorter.sk = keys;
    if (status == ATT_OK)
        status = law_side_like(c, &by_bias, close_by_bias, &keys);
    return status == ATT_OK ? law_side_like(c, &shorter, NULL, NULL) : status;
}

static void with_tail(parity_spec *s)
{
    law_without_lengths(s);
    law_without_blocks(s);
    s->sk = s->sk < 2 ? 2 : s->sk;
    s->mask = "keys";
    if (!is_top_left(s)) /* other positions count from the last key */
        law_explicit_positions(s);
}

/* ------------------------------------------------------------------ what forbids nothing */

static att_status mask_ones(law_case *c)
{
    static const char *const kinds[] = {"full", "keys", "column"};
    att_status status = law_base(c, NULL, NULL);

    for (size_t n = 0; status == ATT_OK && n < sizeof kinds / sizeof *kinds; n++) {
        parity_spec spec = c->spec;
        spec.mask = kinds[n];
        status = law_side_like(c, &spec, NULL, NULL);
    }
    return status;
}

static void without_mask(parity_spec *s)
{
    s->mask = "none";
}

static att_status window_full(law_case *c)
{
    const int64_t wide = c->spec.sq + c->spec.sk;
    const int64_t to[3][2] = {{wide, wide}, {(int64_t)1 << 40, -1}, {wide, 0}};
    att_status status = law_base(c, NULL, NULL);
    int causal = !parity_is(c->spec.causal, "none");

    for (int n = 0; status == ATT_OK && n < 2 + causal; n++) {
        parity_spec spec = c->spec;
        spec.left = to[n][0];
        spec.right = to[n][1];
        status = law_side_like(c, &spec, NULL, NULL);
    }
    return status;
}

static void without_window(parity_spec *s)
{
    s->left = s->right = -1;
}

/* ---------------------------------------------------------------------------- sinks */

/* The last key: score 0, value 0, and the sink's logit as its bias. */
static void bias_last_key(parity_inputs *in, void *arg)
{
    const att_tensor *t = &in->given.bias, *sinks = arg;
    int64_t last = in->spec.sk - 1;

    for (int64_t b = 0; b < t->shape[0]; b++)
        for (int64_t h = 0; h < t->shape[1]; h++)
            for (int64_t i = 0; i < t->shape[2]; i++)
                att_fp_store(t->data, t->dtype, att_tensor_at(t, b, h, i, last),
                             att_fp_load(sinks->data, sinks->dtype, h));
    for (int64_t b = 0; in->given.k_positions.data && b < in->spec.b; b++)
        ((int64_t *)in->given.k_positions.data)[b * in->spec.sk + last] = -((int64_t)1 << 40);
}

static att_status sink_key(law_case *c)
{
    parity_spec spec = c->spec;
    att_status status = law_base(c, NULL, NULL);

    spec.sk++;
    spec.sinks = "none";
    spec.bias = "full";
    if (!parity_is(spec.mask, "none"))
        spec.mask = "full";
    return status == ATT_OK ? law_side_like(c, &spec, bias_last_key, &c->base->given.sinks)
                            : status;
}

static void with_sink(parity_spec *s)
{
    law_without_lengths(s);
    law_without_blocks(s);
    without_window(s);
    s->alibi = "none";
    law_explicit_positions(s);
    if (parity_is(s->sinks, "none"))
        s->sinks = "mixed";
}

/* ----------------------------------------------------------------------- logit shift */

static void bias_rows(parity_inputs *in, void *arg)
{
    const att_tensor *t = &in->given.bias;

    for (int64_t i = 0; i < t->shape[2]; i++)
        att_fp_store(t->data, t->dtype, att_tensor_at(t, 0, 0, i, 0), ((const double *)arg)[i]);
}

static att_status logit_shift(law_case *c)
{
    const int64_t sq = c->spec.sq;
    parity_spec spec = c->spec;
    double *by = calloc((size_t)sq + 1, sizeof *by);
    att_status status = by ? law_base(c, NULL, NULL) : ATT_NO_MEMORY;
    law_side *side = NULL;

    spec.bias = "column";
    for (int64_t i = 0; by && i < sq; i++)
        by[i] = (double)(int64_t)att_rng_below(&c->rng, 65) - 32;
    if (status == ATT_OK && !(side = law_open(c, &spec)))
        status = ATT_NO_MEMORY;
    if (side) {
        side->shift = calloc((size_t)law_rows(&c->spec) + 1, sizeof *side->shift);
        for (int64_t r = 0; side->shift && r < law_rows(&c->spec); r++)
            side->shift[r] = by[r % sq];
        status = side->shift ? law_close(c, side, bias_rows, by) : ATT_NO_MEMORY;
    }
    free(by);
    return status;
}

static void without_bias_and_sinks(parity_spec *s)
{
    s->bias = "none";
    s->sinks = "none";
}

/* ----------------------------------------------------------------------- split, merge */

static att_status split_merge(law_case *c)
{
    const int64_t n = c->spec.sk;
    const int64_t a = (int64_t)att_rng_below(&c->rng, (uint64_t)n + 1);
    const int64_t b = a + (int64_t)att_rng_below(&c->rng, (uint64_t)(n - a) + 1);
    const int64_t cut[4] = {0, a, b, n};
    att_status status = law_base(c, NULL, NULL);

    for (int part = 0; status == ATT_OK && part < 3; part++) {
        parity_spec spec = c->spec;
        spec.sinks = "none"; /* the merge adds it once */
        spec.sk = cut[part + 1] - cut[part];
        law_side *side = law_open(c, &spec);
        if (!side)
            return ATT_NO_MEMORY;
        for (int64_t j = 0; j < spec.sk; j++)
            side->at.j[j] = cut[part] + j;
        status = law_close(c, side, NULL, NULL);
    }
    return status;
}

static void with_lse(parity_spec *s)
{
    law_without_lengths(s);
    law_without_blocks(s);
    law_explicit_positions(s);
    s->lse = true;
}

const law laws_forms[] = {
    {"mask_forms", "keys masked, biased by -inf or left out give the same", ATT_BINDS_EXACT,
     LAW_EQUAL, true, with_tail, mask_forms},
    {"mask_ones", "a mask that allows all is none", ATT_BINDS_EXACT | ATT_BINDS_APPROX, LAW_EQUAL,
     true, without_mask, mask_ones},
    {"window_full", "a window wider than the keys is none", ATT_BINDS_EXACT | ATT_BINDS_APPROX,
     LAW_EQUAL, true, without_window, window_full},
    {"sink_key", "a sink is one more key of value 0", ATT_BINDS_EXACT, LAW_EQUAL, false, with_sink,
     sink_key},
    {"logit_shift", "a constant added to a row's logits moves its LSE alone", ATT_BINDS_EXACT,
     LAW_EQUAL, true, without_bias_and_sinks, logit_shift},
    {"split_merge", "keys in parts, merged by their LSEs, give the whole", ATT_BINDS_EXACT,
     LAW_MERGE, true, with_lse, split_merge},
    {0},
};
