/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's first attention against dense attention, and what its own selection explains of it.
 *
 *   p' = p / kept on the chosen keys:  TV(p, p') = 1 - kept,  |o' - o| <= 2 (1 - kept) max|v|
 *   JS = (kept ln(2 kept / (kept + 1)) + (1 - kept) ln 2 + ln(2 / (kept + 1))) / 2
 *
 * The bound is asserted for whatever selects, plus what rounding may do. */
#include "evals/probes/diagnose.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "base/stats.h"

/* Sums over the questions looked at. */
typedef struct sums {
    int64_t n, nonfinite;
    double off, size, cosine; /* squared norms */
    double *error;            /* [n] of each row */
    double entropy, effective, keys_95;
    double mass, least, share, recall, recall_95, js, error_selected;
    int64_t broken, chosen; /* chosen: rows with a selection */
    double rounding;
} sums;

/* The n-th largest of x (0-based), which is put in some other order. */
static double nth_largest(double *x, int64_t count, int64_t n)
{
    int64_t from = 0, to = count - 1;

    while (from < to) {
        const double pivot = x[(from + to) / 2];
        int64_t i = from, j = to;
        while (i <= j) {
            while (x[i] > pivot)
                i++;
            while (x[j] < pivot)
                j--;
            if (i <= j) {
                const double swap = x[i];
                x[i++] = x[j];
                x[j--] = swap;
            }
        }
        if (n <= j)
            to = j;
        else if (n >= i)
            from = i;
        else
            break;
    }
    return x[n];
}

/* Of the `best` largest weights, the share chosen; keys that tie with the last count alike. */
static double recall_of(const double *weight, const uint8_t *chosen, int64_t keys, int64_t best,
                        double *room)
{
    int64_t hits = 0;

    if (best < 1)
        return 0;
    memcpy(room, weight, (size_t)keys * sizeof *room);
    const double least = nth_largest(room, keys, best - 1);
    for (int64_t j = 0; j < keys; j++)
        hits += chosen[j] && weight[j] >= least;
    return fmin(1, (double)hits / (double)best);
}

probe_kept probe_kept_of(const double *weight, const uint8_t *chosen, int64_t keys, int64_t keys_95,
                         double *room)
{
    probe_kept kept = {0};
    int64_t n = 0;

    for (int64_t j = 0; j < keys; j++) {
        n += chosen[j] != 0;
        kept.mass += chosen[j] ? weight[j] : 0;
    }
    kept.keys = (double)n;
    kept.mass = fmin(1, kept.mass);
    kept.recall = recall_of(weight, chosen, keys, n, room);
    kept.js = 0.5 * ((1 - kept.mass) * log(2) + log(2 / (kept.mass + 1)));
    if (kept.mass > 0)
        kept.js += 0.5 * kept.mass * log(2 * kept.mass / (kept.mass + 1));
    kept.recall_95 = recall_of(weight, chosen, keys, keys_95, room);
    return kept;
}

static double unit_of(int32_t dtype, double store)
{
    return dtype == ATT_DTYPES ? store : att_fp_format(dtype).unit;
}

double probe_rounding(const att_variant_part *part, const probe_circuit *c, const probe_manner *how)
{
    const att_precision *u = &part->kernel->precision;
    const double match = probe_match(how->match), store = probe_store_unit(part, c, how);
    const double acc = unit_of(u->acc, store);
    const double logit = acc * ((PROBE_CODE + 3) * match + 2 * (1 + 2 * match)) + 2 * store * match;

    return expm1(2 * logit) + (double)c->len * acc + 2 * unit_of(u->prob, store) +
           unit_of(u->out, store) + store;
}

/* One question's selection; *off: how far its output lies from dense's. */
static void add_selection(const probe_circuit *c, const probe_dense *d, int64_t s, const float *row,
                          const uint8_t *chosen, double off, double *room, sums *t)
{
    const probe_question *a = &c->asked[d->which[s]];
    const int64_t keys = probe_position(c, a) + 1;
    const double *w = d->weight + s * c->len, longest = d->longest[a->context];
    const probe_kept k = probe_kept_of(w, chosen, keys, (int64_t)d->keys_95[s], room);
    double own[PROBE_CODE], apart = 0;
    const double sum = probe_dense_mix(c, a->context, w, chosen, own);

    for (int64_t e = 0; e < PROBE_CODE; e++) {
        const double by = (double)row[e] - (sum > 0 ? own[e] / sum : 0);
        apart += by * by;
    }
    t->chosen++;
    t->mass += k.mass;
    t->least = fmin(t->least, k.mass);
    t->share += k.keys / (double)keys;
    t->recall += k.recall;
    t->recall_95 += k.recall_95;
    t->js += k.js;
    t->error_selected = fmax(t->error_selected, sqrt(apart) / longest);
    if (!(off <= (2 * (1 - k.mass) + t->rounding) * longest))
        t->broken++;
}

static void add(const probe_circuit *c, const probe_dense *d, int64_t s, const float *out,
                const uint8_t *seen, double *room, sums *t)
{
    const probe_question *a = &c->asked[d->which[s]];
    const float *row = probe_row(c, a, out);
    const double *want = d->out + s * PROBE_CODE;
    double off = 0, size = 0, own = 0, dot = 0;

    for (int64_t e = 0; e < PROBE_CODE; e++) {
        const double got = (double)row[e];
        off += (got - want[e]) * (got - want[e]);
        size += want[e] * want[e];
        own += got * got;
        dot += got * want[e];
    }
    t->entropy += d->entropy[s];
    t->effective += d->keys_effective[s];
    t->keys_95 += d->keys_95[s];
    if (!isfinite(off)) {
        t->nonfinite++;
        return;
    }
    const double longest = d->longest[a->context];
    t->error[t->n++] = sqrt(off / (size > 0 ? size : longest * longest));
    t->off += off;
    t->size += size;
    t->cosine += own > 0 && size > 0 ? dot / sqrt(own * size) : 0;
    if (seen) {
        const int64_t r = (a->context * c->heads + a->head) * c->rows + a->row;
        add_selection(c, d, s, row, seen + r * c->len, sqrt(off), room, t);
    }
}

static void record_selection(att_ctx *x, const sums *t)
{
    const double n = (double)t->chosen;

    att_ctx_record(x, "kept_mass", t->mass / n);
    att_ctx_record(x, "kept_mass_least", t->least);
    att_ctx_record(x, "kept_share", t->share / n);
    att_ctx_record(x, "kept_recall", t->recall / n);
    att_ctx_record(x, "kept_recall_95", t->recall_95 / n);
    att_ctx_record(x, "weights_js", t->js / n);
    att_ctx_record(x, "selection_error", t->error_selected);
    if (!isnan(t->rounding))
        att_ctx_record(x, "bound_broken", (double)t->broken);
}

static void record(att_ctx *x, const probe_dense *d, const sums *t)
{
    att_ctx_record(x, "rows_nonfinite", (double)t->nonfinite);
    att_ctx_record(x, "dense_entropy", t->entropy / (double)d->n);
    att_ctx_record(x, "dense_keys", t->effective / (double)d->n);
    att_ctx_record(x, "dense_keys_95", t->keys_95 / (double)d->n);
    if (t->n == 0)
        return;
    if (t->size > 0)
        att_ctx_record(x, "dense_l2", sqrt(t->off / t->size));
    att_ctx_record(x, "dense_cosine", t->cosine / (double)t->n);
    att_ctx_record(x, "row_error_p50", att_quantile(t->error, (size_t)t->n, 0.5));
    att_ctx_record(x, "row_error_p99", att_quantile(t->error, (size_t)t->n, 0.99));
    att_ctx_record(x, "row_error_max", att_quantile(t->error, (size_t)t->n, 1));
    if (t->chosen)
        record_selection(x, t);
}

att_status probe_diagnose(att_ctx *x, const probe_circuit *c, const probe_manner *how,
                          const float *out, const uint8_t *seen)
{
    const probe_dense *d = NULL;
    att_status status = probe_dense_answer(x, c, probe_match(how->match), &d);

    if (status != ATT_OK)
        return status;
    sums t = {.least = 1,
              .error = malloc((size_t)(d->n + 1) * sizeof(double)),
              .rounding = probe_rounding(&att_ctx_variant(x)->part[0], c, how)};
    double *room = malloc((size_t)c->len * sizeof *room);
    status = t.error && room ? ATT_OK : ATT_NO_MEMORY;
    for (int64_t s = 0; s < d->n && status == ATT_OK; s++)
        add(c, d, s, out, seen, room, &t);
    if (status == ATT_OK && d->n)
        record(x, d, &t);
    free(t.error);
    free(room);
    return status;
}
