/* SPDX-License-Identifier: Apache-2.0 */
/* Does a kernel with an indexer keep the keys of largest index score, the same for all heads?
 *
 *   I_ts = sum_j w_tj relu(q^I_tj . k^I_s)
 *
 * of the problem's index section, or by the default that parameters {k, dim} promise where there is
 * none: q^I_j the first `dim` channels of query head j, k^I their mean over the KV heads (summed in
 * f32 in order), w = 1/Hq.  Hi heads of Di channels in f32 are off by at most
 *
 *   |e| <= (Di + Hi + 4) u sum_j |w_j| sum_d |q_jd k_d| */
#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "core/names.h"
#include "evals/numeric/parity_own.h"

/* What scores: dense doubles. */
typedef struct indexer {
    int64_t heads, dim;
    double *q, *k, *w; /* [B,Sq,Hi,Di] [B,Skv,Di] [B,Sq,Hi] */
} indexer;

static bool indexer_make(const parity_inputs *in, const att_problem *p, int64_t dim, indexer *x)
{
    const parity_spec *s = &in->spec;

    *x = (indexer){.heads = p->index ? p->index->index_q.shape[1] : s->hq,
                   .dim = p->index     ? p->index->index_q.shape[3]
                          : dim < s->d ? dim
                                       : s->d};
    x->q = calloc((size_t)(s->b * s->sq * x->heads * x->dim) + 1, sizeof(double));
    x->k = calloc((size_t)(s->b * s->sk * x->dim) + 1, sizeof(double));
    x->w = calloc((size_t)(s->b * s->sq * x->heads) + 1, sizeof(double));
    return x->q && x->k && x->w;
}

static void indexer_drop(indexer *x)
{
    free(x->q);
    free(x->k);
    free(x->w);
}

static void by_default(const parity_inputs *in, indexer *x)
{
    const parity_spec *s = &in->spec;

    for (int64_t n = 0; n < s->b * s->sq * x->heads; n++) {
        const int64_t h = n % x->heads, i = n / x->heads % s->sq, b = n / x->heads / s->sq;
        x->w[n] = (double)(1.0f / (float)x->heads);
        for (int64_t d = 0; d < x->dim; d++)
            x->q[n * x->dim + d] = in->q[((b * s->hq + h) * s->sq + i) * s->d + d];
    }
    for (int64_t n = 0; n < s->b * s->sk * x->dim; n++) {
        const int64_t d = n % x->dim, j = n / x->dim % s->sk, b = n / x->dim / s->sk;
        float sum = 0.0f;
        for (int64_t h = 0; h < s->hkv; h++)
            sum += (float)in->k[((b * s->hkv + h) * s->sk + j) * s->d + d];
        x->k[n] = (double)(s->hkv > 1 ? sum / (float)s->hkv : sum);
    }
}

static double load(const att_tensor *t, int64_t i0, int64_t i1, int64_t i2, int64_t i3)
{
    return att_fp_load(t->data, t->dtype, att_tensor_at(t, i0, i1, i2, i3));
}

static void by_section(const parity_inputs *in, const att_index *from, indexer *x)
{
    const parity_spec *s = &in->spec;
    int64_t i0, i2;

    for (int64_t b = 0; b < s->b; b++) {
        for (int64_t n = 0; n < in->nq[b] * x->heads; n++) {
            const int64_t h = n % x->heads, i = n / x->heads;
            const int64_t at = (b * s->sq + i) * x->heads + h;
            parity_query_row(in, b, i, &i0, &i2);
            x->w[at] = load(&from->index_w, i0, h, i2, 0);
            for (int64_t d = 0; d < x->dim; d++)
                x->q[at * x->dim + d] = load(&from->index_q, i0, h, i2, d);
        }
        for (int64_t j = 0; j < in->nk[b]; j++) {
            parity_key_row(in, b, j, &i0, &i2);
            for (int64_t d = 0; d < x->dim; d++)
                x->k[(b * s->sk + j) * x->dim + d] = load(&from->index_k, i0, 0, i2, d);
        }
    }
}

/* What a reading of the scores does otherwise. */
typedef struct reading {
    const char *name, *text;
    bool no_relu, by_head; /* by_head: query head h goes by index head h mod Hi alone */
} reading;

static void score(const indexer *x, const reading *how, int64_t head, const double *q,
                  const double *w, const double *k, double u, double *s, double *err)
{
    double size = 0;

    *s = 0;
    for (int64_t h = 0; h < x->heads; h++) {
        double dot = 0, terms = 0;
        if (how->by_head && h != head % x->heads)
            continue;
        for (int64_t d = 0; d < x->dim; d++) {
            dot += q[h * x->dim + d] * k[d];
            terms += fabs(q[h * x->dim + d] * k[d]);
        }
        *s += w[h] * (dot > 0 || isnan(dot) || how->no_relu ? dot : 0);
        size += fabs(w[h]) * terms;
    }
    *err = (double)(x->dim + x->heads + 4) * (u * size + 0x1p-149);
}

/* All heads of a row against its scores; *apart: pairs that a head keeps and the first does not, or
 * the other way. */
static void check_rows(const parity_inputs *in, const parity_inputs *own, const indexer *x,
                       const reading *how, int64_t k, double u, parity_scores *r, parity_tally *c,
                       int64_t *apart)
{
    const parity_spec *s = &in->spec;

    for (int64_t row = 0; row < s->b * s->sq; row++) {
        const int64_t b = row / s->sq, i = row % s->sq;
        if (i >= in->nq[b])
            continue;
        for (int64_t h = 0; h < s->hq; h++) {
            for (int64_t j = 0; j < in->nk[b] && (h == 0 || how->by_head); j++)
                score(x, how, h, x->q + row * x->heads * x->dim, x->w + row * x->heads,
                      x->k + (b * s->sk + j) * x->dim, u, &r->s[j], &r->err[j]);
            const int64_t at = ((b * s->hq + h) * s->sq + i) * s->sk;
            const int64_t first = (b * s->hq * s->sq + i) * s->sk;
            parity_scores_add(c, r, k, in->allowed + at, own->allowed + at);
            for (int64_t j = 0; j < s->sk; j++)
                *apart += in->allowed[at + j] && in->allowed[first + j] &&
                          own->allowed[at + j] != own->allowed[first + j];
        }
    }
}

/* Which known slip explains the choice?  Tables and scores are those of the check. */
static void explain_index(att_ctx *x, const parity_inputs *in, const parity_inputs *own,
                          const indexer *index, int64_t k, double u, parity_scores *r)
{
    static const reading readings[] = {
        {"relu_missing", "index scores are summed without relu", true, false},
        {"chosen_by_head", "each query head chooses its own keys", false, true},
    };
    bool named = false;

    for (size_t i = 0; i < sizeof readings / sizeof *readings; i++) {
        parity_tally c = {0};
        int64_t apart = 0;
        check_rows(in, own, index, &readings[i], k, u, r, &c, &apart);
        if (!parity_tally_holds(&c) || (apart && !readings[i].by_head))
            continue;
        att_ctx_diagnose(x, readings[i].name, c.gap, readings[i].text);
        named = true;
    }
    if (!named)
        att_ctx_diagnose(x, ATT_UNKNOWN, (double)INFINITY, "no reading explains the choice");
}

att_status parity_check_index(att_ctx *x, const parity_inputs *in, const att_problem *p,
                              const parity_inputs *own, double u_acc, bool explain)
{
    static const reading as_meant = {0};
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    const int64_t k = parity_value(part, "k"), dim = parity_value(part, "dim");
    parity_tally c = {0};
    int64_t apart = 0;
    indexer index;

    if (k < 0 || !(part->kernel->traits & ATT_TRAIT_INDEXED) || (!p->index && dim < 1))
        return ATT_OK;
    parity_scores r = {.n = in->spec.sk,
                       .s = calloc((size_t)in->spec.sk + 1, sizeof(double)),
                       .err = calloc((size_t)in->spec.sk + 1, sizeof(double))};
    const bool made = indexer_make(in, p, dim, &index) && r.s && r.err;
    if (made) {
        if (p->index)
            by_section(in, p->index, &index);
        else
            by_default(in, &index);
        check_rows(in, own, &index, &as_meant, k, u_acc, &r, &c, &apart);
        parity_tally_record(x, &c);
        att_ctx_record(x, "select_pattern", (double)apart);
        if (explain && (!parity_tally_holds(&c) || apart) && parity_choice_turn(x))
            explain_index(x, in, own, &index, k, u_acc, &r);
    }
    indexer_drop(&index);
    free(r.s);
    free(r.err);
    return made ? ATT_OK : ATT_NO_MEMORY;
}
