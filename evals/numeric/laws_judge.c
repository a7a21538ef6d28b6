/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel makes of a law: its answers to the base and to every side, each judged against the
 * oracle as in parity (the law's partner: a wrong kernel may keep a law), then against each other.
 *
 * Two right answers to one exact value are at most B1 + B2 apart, and 6 (sigma1 + sigma2) but for
 * chance.  A merge o = sum c_s o_s, c_s = e^(LSE_s - LSE), adds what LSE errors beta do to the
 * weights: sum c_s |o_s - o| expm1(2 max beta).  What may not matter must not move a bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/laws.h"
#include "evals/numeric/parity_own.h"

/* One problem and the kernel's answer to it. */
typedef struct answer {
    parity_outputs o;
    parity_inputs *in;    /* what it is held to: the case's, or own */
    parity_inputs own;    /* of an approximation: its own keys, or pooled heads */
    att_profile *profile; /* NULL where the law needs none */
} answer;

typedef struct totals {
    att_error partner;                  /* folded over base and sides */
    double redzone, illegal, near, far; /* moved elements: by roundings, and further */
    double moved, nonfinite, bound, sigma, lse, compared, reselected;
    bool broken;
    char first[200]; /* the first element that breaks the law */
    double ratio;
} totals;

typedef struct judging {
    att_ctx *x;
    law_case *c;
    const att_units *u;
    answer *base, *side;
    totals t;
    bool explained;
} judging;

/* ---------------------------------------------------------------------------- answers */

static att_status hold_to_own(judging *w, answer *a, const att_problem *p)
{
    bool pools = parity_pools(att_ctx_kernel(w->x));
    parity_inputs *in = a->in;

    a->in = &a->own;
    return pools ? parity_on_pooled(w->x, in, &a->own)
                 : parity_on_own_keys(w->x, in, p, &a->own, &w->t.illegal);
}

static void fold(att_error *all, const att_error *e)
{
    all->nonfinite += e->nonfinite;
    all->hull += e->hull;
    all->elements += e->elements;
    all->sigma_ratio = att_error_fold(all->sigma_ratio, e->sigma_ratio);
    all->bound_ratio = att_error_fold(all->bound_ratio, e->bound_ratio);
    all->row_ratio = att_error_fold(all->row_ratio, e->row_ratio);
    all->lse_ratio = att_error_fold(all->lse_ratio, e->lse_ratio);
    all->max_abs = att_error_fold(all->max_abs, e->max_abs);
}

static att_status partner(judging *w, answer *a)
{
    att_error e;
    att_status status = parity_profile(w->x, a->in, w->u->acc, &a->profile);

    if (status == ATT_OK)
        status = att_error_judge(a->profile, &a->o.got, &a->o.got_lse, w->u, &e);
    if (status != ATT_OK)
        return status;
    fold(&w->t.partner, &e);
    if (!e.bad || w->explained || att_ctx_kernel(w->x)->class_ != ATT_EXACT)
        return ATT_OK;
    w->explained = true; /* the dictionary looks at the first wrong answer alone */
    parity_diagnose(w->x, a->in, &a->o, w->u, &e, true);
    return ATT_OK;
}

/* Of a kernel that knows one form alone: the oracle's answer to the base, as it would store it. */
static void stand_in(const parity_inputs *in, parity_outputs *o)
{
    for (int64_t n = 0; n < law_rows(&in->spec) * in->spec.dv; n++)
        att_fp_store(o->got.data, o->got.dtype, n, in->out[n]);
    for (int64_t r = 0; r < law_rows(&in->spec); r++)
        ((float *)o->got_lse.data)[r] = (float)in->lse[r];
}

static att_status ask(judging *w, parity_inputs *in, bool held, answer *a)
{
    int32_t class_ = parity_class(att_ctx_kernel(w->x));
    att_problem p = in->given;

    a->in = in;
    if (!parity_outputs_make(in, &p, &a->o))
        return ATT_NO_MEMORY;
    if (class_ == ATT_OWN)
        p.lse = (att_tensor){0};
    att_status status = att_ctx_attend(w->x, &p);
    if (status == ATT_UNSUPPORTED && in == w->c->base && w->c->one_form) {
        stand_in(in, &a->o);
        return partner(w, a);
    }
    if (status != ATT_OK)
        return status;
    parity_outputs_collect(in, &p, &a->o);
    w->t.redzone += (double)parity_outputs_changed(&a->o);
    if (!p.lse.data)
        a->o.got_lse.data = (free(a->o.got_lse.data), NULL);
    if (!held)
        return ATT_OK;
    if (class_ == ATT_OWN)
        return parity_own(w->x, in, &a->o.got, w->u);
    if (class_ == ATT_APPROX)
        status = hold_to_own(w, a, &p);
    return status == ATT_OK ? partner(w, a) : status;
}

/* ---------------------------------------------------------------------------- the law */

/* What a row of the base is compared with. */
typedef struct expected {
    int64_t row;
    size_t from, to; /* sides */
    double weight[LAW_SIDES];
    double spread; /* expm1(2 max beta) of a merge */
} expected;

static void blame(judging *w, int64_t row, int64_t d, double got, double want, double ratio)
{
    const parity_spec *s = &w->c->spec;
    char where[48] = "LSE";

    if (w->t.broken)
        return;
    w->t.broken = true;
    w->t.ratio = ratio;
    if (d >= 0)
        snprintf(where, sizeof where, "out, d=%lld", (long long)d);
    snprintf(w->t.first, sizeof w->t.first, "%s: b=%lld h=%lld i=%lld %s is %.9g, should be %.9g",
             w->c->law->text, (long long)(row / (s->hq * s->sq)), (long long)(row / s->sq % s->hq),
             (long long)(row % s->sq), where, got, want);
}

static double value(const att_tensor *t, int64_t at)
{
    return att_fp_load(t->data, t->dtype, at);
}

static int64_t element(const judging *w, size_t s, int64_t row, int64_t d)
{
    const law_side *side = &w->c->side[s];
    int64_t h = row / w->c->spec.sq % w->c->spec.hq;

    if (side->channel)
        d = side->channel[h * w->c->spec.dv + d];
    return side->row[row] * side->spec.dv + d;
}

static double lse_of(const judging *w, size_t s, int64_t row)
{
    const law_side *side = &w->c->side[s];

    return value(&w->side[s].o.got_lse, side->row[row]) - (side->shift ? side->shift[row] : 0);
}

static void compare(judging *w, int64_t row, int64_t d, double got, double want, double sigma,
                    double bound)
{
    double apart = fabs(got - want);

    if (!isfinite(got) || !isfinite(want)) {
        bool over = isinf(got) != isinf(want) &&
                    fabs(isinf(got) ? want : got) + bound > w->u->out_largest;
        if ((isfinite(got) || isfinite(want)) && !(d >= 0 && over)) {
            w->t.nonfinite++;
            blame(w, row, d, got, want, (double)INFINITY);
        }
        return;
    }
    double bounds = apart == 0 ? 0 : bound > 0 ? apart / bound : (double)INFINITY;
    double sigmas = apart == 0 ? 0 : sigma > 0 ? apart / sigma : (double)INFINITY;
    if (d < 0) {
        w->t.lse = att_error_fold(w->t.lse, bounds);
    } else {
        w->t.bound = att_error_fold(w->t.bound, bounds);
        w->t.sigma = att_error_fold(w->t.sigma, sigmas);
    }
    if (!(bounds <= 1))
        blame(w, row, d, got, want, bounds);
    if (d >= 0 && !(sigmas <= 6))
        blame(w, row, d, got, want, sigmas / 6);
}

/* Weights of the sides in a merge, or their factors; the LSE they make. */
static double weigh(const judging *w, expected *e)
{
    const att_tensor *sinks = &w->c->base->plain.sinks;
    double top = -(double)INFINITY, total = 0, beta = 0, z = -(double)INFINITY;
    int64_t h = e->row / w->c->spec.sq % w->c->spec.hq;

    for (size_t s = e->from; s < e->to; s++)
        e->weight[s] = w->c->side[s].times;
    e->spread = 0;
    if (w->c->law->kind != LAW_MERGE)
        return w->side[e->from].o.got_lse.data ? lse_of(w, e->from, e->row) : 0;
    for (size_t s = e->from; s < e->to; s++) {
        double l = lse_of(w, s, e->row);
        top = isnan(l) || l > top ? l : top;
        beta =
            fmax(beta, att_profile_lse_bound(w->side[s].profile, w->c->side[s].row[e->row], w->u));
    }
    if (sinks->data)
        z = att_fp_load(sinks->data, sinks->dtype, h);
    for (size_t s = e->from; s < e->to && top != -(double)INFINITY; s++)
        total += e->weight[s] = exp(lse_of(w, s, e->row) - top);
    for (size_t s = e->from; s < e->to; s++)
        e->weight[s] = total > 0 || isnan(total) ? e->weight[s] / (total + exp(z - top)) : 0;
    e->spread = expm1(2 * beta);
    return top == -(double)INFINITY ? top : top + log(total);
}

/* One row of the base against sides e->from .. e->to together. */
static void compare_row(judging *w, expected *e)
{
    int64_t dv = w->c->spec.dv, r = e->row;
    double lse = weigh(w, e);

    for (int64_t d = 0; d < dv; d++) {
        double got = value(&w->base->o.got, r * dv + d), want = 0, sigma, bound, apart = 0;
        att_profile_element(w->base->profile, r, d, w->u, &sigma, &bound);
        for (size_t s = e->from; s < e->to; s++) {
            int64_t at = element(w, s, r, d), wide = w->c->side[s].spec.dv;
            double more_sigma, more_bound;
            if (e->weight[s] == 0) /* a part that holds nothing is not read */
                continue;
            want += e->weight[s] * value(&w->side[s].o.got, at);
            att_profile_element(w->side[s].profile, at / wide, at % wide, w->u, &more_sigma,
                                &more_bound);
            sigma += fabs(e->weight[s]) * more_sigma;
            bound += fabs(e->weight[s]) * more_bound;
        }
        for (size_t s = e->from; e->spread > 0 && s < e->to; s++)
            if (e->weight[s] > 0)
                apart += e->weight[s] * fabs(value(&w->side[s].o.got, element(w, s, r, d)) - want);
        compare(w, r, d, got, want, sigma + e->spread * apart / 6, bound + e->spread * apart);
        w->t.compared++;
    }
    if (!w->c->law->lse || !w->base->o.got_lse.data || !w->side[e->from].o.got_lse.data)
        return;
    double slack = att_profile_lse_bound(w->base->profile, r, w->u), widest = 0;
    for (size_t s = e->from; s < e->to; s++)
        widest =
            fmax(widest, att_profile_lse_bound(w->side[s].profile, w->c->side[s].row[r], w->u));
    double got = value(&w->base->o.got_lse, r);
    if (got != lse) /* -inf and -inf among them */
        compare(w, r, -1, got, lse, 0, slack + widest);
}

/* Is what moved off by no more than two right answers may be? */
static void weigh_move(judging *w, int64_t r, int64_t d, double got, double want)
{
    double sigma, bound;

    if (!isfinite(got) || !isfinite(want) || !w->base->profile)
        return;
    att_profile_element(w->base->profile, r, d, w->u, &sigma, &bound);
    *(fabs(got - want) <= 12 * sigma ? &w->t.near : &w->t.far) += 1;
}

static void compare_bits(judging *w, int64_t r, size_t s)
{
    const answer *a = w->base, *b = &w->side[s];
    int64_t dv = w->c->spec.dv, other = w->c->side[s].row[r];
    size_t size = att_dtype_size(a->o.got.dtype);

    for (int64_t d = 0; d < dv; d++, w->t.compared++) {
        const unsigned char *x = a->o.got.data, *y = b->o.got.data;
        if (memcmp(x + (size_t)(r * dv + d) * size, y + (size_t)(other * dv + d) * size, size) == 0)
            continue;
        const double got = value(&b->o.got, other * dv + d), want = value(&a->o.got, r * dv + d);
        w->t.moved++;
        weigh_move(w, r, d, got, want);
        blame(w, r, d, got, want, (double)INFINITY);
    }
    if (!a->o.got_lse.data || !b->o.got_lse.data)
        return;
    const float *x = a->o.got_lse.data, *y = b->o.got_lse.data;
    if (memcmp(x + r, y + other, sizeof *x) != 0) {
        w->t.moved++;
        blame(w, r, -1, (double)y[other], (double)x[r], (double)INFINITY);
    }
}

static void compare_known(judging *w, int64_t r)
{
    int64_t dv = w->c->spec.dv, n = w->c->spec.sk;
    bool any = n > 0 && memchr(w->base->in->allowed + r * n, 1, (size_t)n); /* its own keys */

    for (int64_t d = 0; d < dv; d++) {
        double sigma, bound, want = any ? w->c->want[r * dv + d] : 0;
        att_profile_element(w->base->profile, r, d, w->u, &sigma, &bound);
        compare(w, r, d, value(&w->base->o.got, r * dv + d), want, sigma, bound);
        w->t.compared++;
    }
}

/* Is the answer to be the same bit for bit whatever keys were kept? */
static bool whatever_is_kept(const judging *w)
{
    return w->c->law->kind == LAW_BITWISE &&
           !(att_ctx_kernel(w->x)->traits & ATT_TRAIT_LOOKS_AHEAD);
}

/* An approximation answers alike where it kept the same keys; elsewhere the law is silent. */
static bool kept_the_same(judging *w, int64_t r, size_t s)
{
    const law_side *side = &w->c->side[s];
    const parity_inputs *a = w->base->in, *b = w->side[s].in;
    int64_t n = side->spec.sk;

    if (parity_class(att_ctx_kernel(w->x)) != ATT_APPROX || whatever_is_kept(w))
        return true;
    for (int64_t j = 0; j < n; j++)
        if (side->at.j[j] < 0 ||
            b->allowed[side->row[r] * n + j] != a->allowed[r * w->c->spec.sk + side->at.j[j]]) {
            w->t.reselected++;
            return false;
        }
    return true;
}

static void apply(judging *w)
{
    const law_case *c = w->c;
    int64_t rows = law_rows(&c->spec);

    for (int64_t r = 0; r < rows; r++) {
        bool known = r % c->spec.sq < c->base->nq[r / (c->spec.hq * c->spec.sq)], all = true;
        if (c->law->kind == LAW_KNOWN && known)
            compare_known(w, r);
        for (size_t s = 0; s < c->sides; s++) {
            expected e = {.row = r, .from = s, .to = s + 1};
            bool meets = c->side[s].row[r] >= 0 && kept_the_same(w, r, s);
            all &= meets;
            if (!meets)
                continue;
            if (c->law->kind == LAW_BITWISE)
                compare_bits(w, r, s);
            if (c->law->kind == LAW_EQUAL)
                compare_row(w, &e);
        }
        if ((c->law->kind == LAW_SUM || c->law->kind == LAW_MERGE) && all)
            compare_row(w, &(expected){.row = r, .from = 0, .to = c->sides});
    }
}

/* --------------------------------------------------------------------------- recording */

static void record(const judging *w)
{
    att_ctx *x = w->x;
    const totals *t = &w->t;
    int32_t class_ = parity_class(att_ctx_kernel(x));

    if (w->c->law->kind == LAW_BITWISE) {
        att_ctx_record(x, "law_moved", t->moved);
    } else {
        att_ctx_record(x, "law_nonfinite", t->nonfinite);
        att_ctx_record(x, "law_bound", t->bound);
        att_ctx_record(x, "law_sigma", t->sigma);
        att_ctx_record(x, "law_lse", t->lse);
    }
    att_ctx_record(x, "redzone", t->redzone);
    if (class_ == ATT_APPROX) {
        att_ctx_record(x, "select_illegal", t->illegal);
        att_ctx_record(x, "reselected", t->reselected);
    }
    if (class_ != ATT_OWN) { /* parity_own has recorded */
        att_ctx_record(x, "nonfinite", (double)t->partner.nonfinite);
        att_ctx_record(x, "sigma_ratio", t->partner.sigma_ratio);
        att_ctx_record(x, "bound_ratio", t->partner.bound_ratio);
        att_ctx_record(x, "row_ratio", t->partner.row_ratio);
        att_ctx_record(x, "hull", (double)t->partner.hull);
        att_ctx_record(x, "lse_ratio", t->partner.lse_ratio);
        att_ctx_record(x, "max_abs", t->partner.max_abs);
        att_ctx_record(x, "elements", (double)t->partner.elements);
    }
    att_ctx_record(x, "law_elements", t->compared);
    if (t->near > 0 && t->far == 0)
        att_ctx_diagnose(x, "future_leak_by_scale", 0,
                         "moved by roundings alone: what may not matter shares a scale");
    if (t->broken) {
        char name[64];
        snprintf(name, sizeof name, "law %s", w->c->law->name);
        att_ctx_diagnose(x, name, t->ratio, t->first);
    }
}

static void drop_answer(answer *a)
{
    parity_outputs_drop(&a->o);
    parity_drop_own(&a->own);
}

att_status law_judge(law_case *c, att_ctx *x, const att_units *units)
{
    answer *all = calloc(c->sides + 1, sizeof *all);
    judging w = {.x = x, .c = c, .u = units, .base = all, .side = all + 1};
    bool held = !whatever_is_kept(&w);
    att_status status = all ? ask(&w, c->base, true, w.base) : ATT_NO_MEMORY;

    for (size_t s = 0; status == ATT_OK && s < c->sides; s++)
        status = ask(&w, c->side[s].in, held, &w.side[s]);
    if (status == ATT_OK) {
        apply(&w);
        record(&w);
    }
    for (size_t a = 0; all && a <= c->sides; a++)
        drop_answer(&all[a]);
    free(all);
    return status;
}
