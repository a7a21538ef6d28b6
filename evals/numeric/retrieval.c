/* SPDX-License-Identifier: Apache-2.0 */
/* Retrieval: how many of the keys that exact search would keep does a kernel keep?
 *
 *   recall@k of a row = kept keys among the k of the largest logits in float64, over k
 *
 * of keys outside the near ones, where the kernel's parameters say {local}; k is the kernel's own.
 * Ties with the k-th are hits, either way.  Rows with no choice to make (k or fewer keys) are left
 * out.  A kernel that searches lists says {probes}: it is asked again with 1, 2, 4, ... of them on
 * the same items; more probes may lose no neighbour, and all of them must find every one.
 * Beside it the cost: keys read as the kernel declares them, over those of dense attention.
 * Keys: "clustered" lie around sk / 32 centres, the queries too; "normal" have no structure, the
 * hardest case of a search by lists.  O(rows sk d) a step. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "core/eval.h"
#include "core/param.h"
#include "evals/numeric/parity_own.h"

enum { P_HQ, P_HKV, P_SQ, P_SK, P_D, P_VALUES };

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD
#define NEAR 0x1p-18 /* logits nearer than this, of their size, may be taken for each other */

static const att_param params[] = {
    {"hq", INT, 0, "heads", "4", "1:64", "4", "query heads"},
    {"hkv", INT, 0, "heads", "2", "1:64", "2", "key/value heads"},
    {"sq", INT, 0, "tokens", "16", "1:1024", "16", "queries, the last positions"},
    {"sk", INT, 0, "keys", "1024", "2:65536", "1024 4096", "keys"},
    {"d", INT, 0, "", "32", "1:256", "32", "head_dim"},
    {"values", WORD, 0, "", "clustered", "clustered|normal", "clustered normal",
     "how keys and queries lie"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"recall", "share", ATT_HIGHER, (double)NAN, ATT_BINDS_APPROX,
     "exact search's keys that the kernel keeps, with its own parameters"},
    {"recall_all", "share", ATT_HIGHER, 1, ATT_BINDS_APPROX, "the same with every list probed"},
    {"recall_fell", "rows", ATT_LOWER, 0, ATT_BINDS_APPROX, "rows that more probes find fewer for"},
    {"recall_one", "share", ATT_HIGHER, (double)NAN, ATT_BINDS_APPROX, "the same with one probe"},
    {"select_illegal", "pairs", ATT_LOWER, 0, ATT_BINDS_APPROX, "kept pairs that are not allowed"},
    {"keys_share", "share", ATT_LOWER, (double)NAN, ATT_BINDS_APPROX,
     "keys read, as declared, over those of dense attention"},
    {"kept_share", "share", ATT_LOWER, (double)NAN, ATT_BINDS_APPROX, "allowed keys that are kept"},
    {0},
};

static parity_spec spec_of(const att_value *v)
{
    return (parity_spec){
        .b = 1,
        .hq = v[P_HQ].i,
        .hkv = v[P_HKV].i,
        .sq = v[P_SQ].i,
        .sk = v[P_SK].i,
        .d = v[P_D].i,
        .dv = v[P_D].i,
        .left = -1,
        .right = -1,
        .causal = "br",
        .mask = "none",
        .bias = "none",
        .block = "none",
        .sinks = "none",
        .alibi = "none",
        .lens = "none",
        .store = "dense",
        .layout = "bhsd",
        .values = "normal",
        .dtype = ATT_F32,
        .place = ATT_PLACE_ALIGNED,
        .lse = true,
    };
}

static bool valid(const att_value *values)
{
    const parity_spec s = spec_of(values);

    return !parity_nonsense(&s);
}

static double seconds(const char *task, const att_value *values)
{
    const parity_spec s = spec_of(values);

    (void)task;
    return 0.01 + parity_work(&s) * 4e-8;
}

/* Rows around centres: 0.8 of a centre's direction, 0.6 of their own. */
static void cluster(parity_inputs *in, void *arg)
{
    const parity_spec *s = &in->spec;
    const int64_t centres = s->sk / 32 + 1, d = s->d;
    att_rng *rng = arg;
    double *centre = calloc((size_t)(centres * d), sizeof *centre);

    for (int64_t n = 0; centre && n < centres * d; n++)
        centre[n] = 2 * att_rng_normal(rng);
    for (int side = 0; centre && side < 2; side++) {
        double *x = side ? in->k : in->q;
        for (int64_t r = 0; r < (side ? s->hkv * s->sk : s->hq * s->sq); r++) {
            const int64_t at = (int64_t)att_rng_below(rng, (uint64_t)centres);
            for (int64_t c = 0; c < d; c++)
                x[r * d + c] = 0.8 * centre[at * d + c] + 0.6 * x[r * d + c];
        }
    }
    free(centre);
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    att_rng rng = att_ctx_group_rng(x, "clusters");
    const bool clusters = parity_is(att_ctx_values(x)[P_VALUES].s, "clustered");
    parity_inputs *in = NULL;
    att_status status =
        parity_inputs_make_edited(x, arg, clusters ? cluster : NULL, clusters ? &rng : NULL, &in);

    *out = in;
    return status;
}

/* ---------------------------------------------------------------------------- a search */

/* One kernel on one case; exact: [rows] the k-th far logit, NaN where there is no choice. */
typedef struct search {
    att_ctx *x;
    const parity_inputs *in;
    att_variant_part part;
    int64_t k, local;
    double *logit, *exact; /* [rows][Skv]; [rows] */
    float *out;            /* that no selection writes */
    uint8_t *kept;
    double illegal, pairs;
} search;

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

static bool is_far(const search *w, int64_t row, int64_t j)
{
    const int64_t at = parity_position(w->in, 0, row % w->in->spec.sq);

    return w->in->allowed[row * w->in->spec.sk + j] &&
           (w->local < 0 || (at > j ? at - j : j - at) >= w->local);
}

static bool look(search *w)
{
    const parity_spec *s = &w->in->spec;
    const int64_t rows = s->hq * s->sq, n = s->sk;
    double *far = calloc((size_t)n, sizeof *far);

    for (int64_t r = 0; far && r < rows; r++) {
        const double *q = w->in->q + r * s->d;
        const double *k = w->in->k + r / s->sq / (s->hq / s->hkv) * n * s->d;
        int64_t count = 0;
        for (int64_t j = 0; j < n; j++) {
            double dot = 0;
            for (int64_t d = 0; d < s->d; d++)
                dot += q[d] * k[j * s->d + d];
            w->logit[r * n + j] = dot;
            if (is_far(w, r, j))
                far[count++] = dot;
        }
        qsort(far, (size_t)count, sizeof *far, by_size);
        w->exact[r] = count > w->k ? far[w->k - 1] : (double)NAN;
    }
    free(far);
    return far != NULL;
}

/* hits[row]: how many of the k the kernel keeps. */
static att_status ask(search *w, int64_t *hits)
{
    const parity_spec *s = &w->in->spec;
    const int64_t rows = s->hq * s->sq, n = s->sk;
    att_problem p = w->in->given;
    att_status status = ATT_OK;

    p.out = att_tensor_dense(w->out, ATT_F32, 1, s->hq, s->sq, s->dv);
    memset(w->kept, 0, (size_t)(rows * n));
    status = att_ctx_call(w->x, &w->part, ATT_OP_SELECT, &p, w->kept);
    w->pairs = 0;
    for (int64_t r = 0; status == ATT_OK && r < rows; r++) {
        const double least = w->exact[r] - NEAR * (fabs(w->exact[r]) + 1);
        hits[r] = 0;
        for (int64_t j = 0; j < n; j++) {
            const bool kept = w->kept[r * n + j] != 0;
            w->pairs += kept;
            w->illegal += kept && !w->in->allowed[r * n + j];
            hits[r] += kept && is_far(w, r, j) && w->logit[r * n + j] >= least;
        }
        hits[r] = isnan(w->exact[r]) ? 0 : hits[r] < w->k ? hits[r] : w->k;
    }
    return status;
}

static void record_share(search *w, const char *name, const int64_t *hits)
{
    const int64_t rows = w->in->spec.hq * w->in->spec.sq;
    int64_t hit = 0, all = 0;

    for (int64_t r = 0; r < rows; r++) {
        hit += hits[r];
        all += isnan(w->exact[r]) ? 0 : w->k;
    }
    if (all == 0)
        return;
    const att_interval ci = att_wilson((double)hit, (double)all, 0.95);
    att_ctx_record_n(w->x, name, (double)hit / (double)all, all, ci.lo, ci.hi);
}

/* 1, 2, 4, ... and all probes on the same rows. */
static att_status climb(search *w, int probes, att_value *values, int64_t *hits, int64_t *before)
{
    const int64_t rows = w->in->spec.hq * w->in->spec.sq;
    att_status status = ATT_OK;
    double fell = 0;

    for (int64_t n = 1; status == ATT_OK; n = n * 2 < w->in->spec.sk ? n * 2 : w->in->spec.sk) {
        values[probes].i = n;
        values[probes].f = (double)n;
        status = ask(w, hits);
        for (int64_t r = 0; status == ATT_OK && r < rows; r++) {
            fell += n > 1 && hits[r] < before[r];
            before[r] = hits[r];
        }
        if (status == ATT_OK && n == 1)
            record_share(w, "recall_one", hits);
        if (n == w->in->spec.sk)
            break;
    }
    if (status == ATT_OK) {
        record_share(w, "recall_all", hits);
        att_ctx_record(w->x, "recall_fell", fell);
    }
    return status;
}

static void record_cost(search *w, const att_problem *p)
{
    const parity_spec *s = &w->in->spec;
    const att_kernel *kernel = w->part.kernel;
    att_cost cost = {0};
    double allowed = 0;

    for (int64_t n = 0; n < s->hq * s->sq * s->sk; n++)
        allowed += w->in->allowed[n] != 0;
    att_ctx_record(w->x, "kept_share", w->pairs / allowed);
    if (kernel->cost && kernel->cost(kernel, p, w->part.values, &cost) == ATT_OK)
        att_ctx_record(w->x, "keys_share", cost.keys_read / allowed);
}

static att_status run_kernel(search *w)
{
    const parity_spec *s = &w->in->spec;
    const size_t rows = (size_t)(s->hq * s->sq), n = (size_t)s->sk;
    const size_t count = att_param_count(w->part.kernel->params);
    att_value *values = malloc((count + 1) * sizeof *values);
    int64_t *hits = calloc(rows + 1, sizeof *hits), *before = calloc(rows + 1, sizeof *hits);
    int probes = -1;
    att_status status = ATT_NO_MEMORY;

    w->logit = calloc(rows * n + 1, sizeof *w->logit);
    w->exact = calloc(rows + 1, sizeof *w->exact);
    w->out = calloc(rows * (size_t)s->dv + 1, sizeof *w->out);
    w->kept = calloc(rows * n + 1, 1);
    if (!values || !hits || !before || !w->logit || !w->exact || !w->out || !w->kept || !look(w))
        goto done;
    memcpy(values, w->part.values, count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        if (parity_is(w->part.kernel->params[i].name, "probes"))
            probes = (int)i;
    status = ask(w, hits);
    if (status != ATT_OK)
        goto done;
    record_share(w, "recall", hits);
    record_cost(w, &w->in->given);
    w->part.values = values;
    if (probes >= 0)
        status = climb(w, probes, values, hits, before);
    att_ctx_record(w->x, "select_illegal", w->illegal);
done:
    free(values);
    free(hits);
    free(before);
    free(w->logit);
    free(w->exact);
    free(w->out);
    free(w->kept);
    return status;
}

static att_status run(att_ctx *x)
{
    parity_spec spec = spec_of(att_ctx_values(x));
    const char *wrong = parity_nonsense(&spec);
    search w = {.x = x, .part = att_ctx_variant(x)->part[0]};
    void *shared = NULL;

    if (wrong) {
        att_ctx_why(x, "%s", wrong);
        return ATT_INVALID;
    }
    w.k = parity_value(&w.part, "k");
    w.local = parity_value(&w.part, "local");
    if (w.k < 1 || !w.part.kernel->select) {
        att_ctx_why(x, "%s promises no k keys", w.part.kernel->name);
        return ATT_UNSUPPORTED;
    }
    const att_status status =
        att_ctx_shared(x, "inputs", make_shared, &spec, parity_inputs_drop, &shared);
    if (status != ATT_OK)
        return status;
    ((parity_inputs *)shared)->spec = spec;
    w.in = shared;
    return run_kernel(&w);
}

const att_eval att_eval_retrieval = {
    .name = "retrieval",
    .summary = "how many of the keys that exact search would keep a kernel keeps, and at what cost",
    .params = params,
    .metrics = metrics,
    .group_by = "hq hkv sq sk d values",
    .ops = 1u << ATT_OP_SELECT,
    .chance = (double)NAN,
    .valid = valid,
    .seconds = seconds,
    .run = run,
};
