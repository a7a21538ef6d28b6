/* SPDX-License-Identifier: Apache-2.0 */
/* needle: a key-value pair hidden at a known depth, asked for from the end (operator track).
 *
 * CIRCUITS.md writes the circuit down.  What a variant should lose follows from its mask alone
 * (closed_form.c); the measurement is held against that item by item.  A loss that theory does not
 * explain, and a hit that it forbids, are both `unexplained`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/stats.h"
#include "core/eval.h"
#include "evals/probes/closed_form.h"

#define CODES  4096
#define CODE   64
#define GROUPS 3 /* key/value heads */
#define EACH   8 /* items a key/value head */
#define ITEMS  (GROUPS * EACH)
#define WIDE   (CODE + EACH)
#define BETA   24.0

typedef struct circuit {
    float *code, *q, *k, *v, *out;
    int64_t len;
    int64_t at[ITEMS]; /* the position of each item's needle */
} circuit;

static void make_codes(float *code)
{
    att_rng all = att_rng_make(1, "codes");

    for (int64_t c = 0; c < CODES; c++) {
        att_rng rng = att_rng_split(&all, (uint64_t)c);
        double x[CODE], size = 0;
        for (int d = 0; d < CODE; d++) {
            x[d] = att_rng_normal(&rng);
            size += x[d] * x[d];
        }
        for (int d = 0; d < CODE; d++)
            code[c * CODE + d] = (float)(x[d] / sqrt(size));
    }
}

static void put_code(const circuit *c, int64_t code, float *to)
{
    memcpy(to, c->code + code * CODE, CODE * sizeof *to);
}

/* Where the needles of one key/value head lie: stratified depths, no two in one place. */
static void place(circuit *c, att_rng *rng, int64_t group)
{
    for (int64_t n = 0; n < EACH; n++) {
        int64_t lo = c->len * n / EACH, hi = c->len * (n + 1) / EACH;
        c->at[group * EACH + n] = lo + (int64_t)att_rng_below(rng, (uint64_t)(hi - lo));
    }
}

static void fill(circuit *c, att_rng *rng)
{
    for (int64_t g = 0; g < GROUPS; g++) {
        float *k = c->k + g * c->len * CODE, *v = c->v + g * c->len * WIDE;
        place(c, rng, g);
        for (int64_t j = 0; j < c->len; j++) {
            put_code(c, 2 * EACH + (int64_t)att_rng_below(rng, CODES - 2 * EACH), k + j * CODE);
            put_code(c, 2 * EACH + (int64_t)att_rng_below(rng, CODES - 2 * EACH), v + j * WIDE);
            memset(v + j * WIDE + CODE, 0, EACH * sizeof *v);
        }
        for (int64_t n = 0; n < EACH; n++) {
            int64_t item = g * EACH + n, j = c->at[item];
            put_code(c, n, k + j * CODE);
            put_code(c, EACH + n, v + j * WIDE);
            v[j * WIDE + CODE + n] = 1;
            for (int d = 0; d < CODE; d++)
                c->q[item * CODE + d] = (float)(BETA * sqrt(CODE)) * c->code[n * CODE + d];
        }
    }
}

static bool make(circuit *c, int64_t len)
{
    size_t n = (size_t)len;

    *c = (circuit){.len = len};
    c->code = malloc((size_t)CODES * CODE * sizeof *c->code);
    c->q = malloc((size_t)ITEMS * CODE * sizeof *c->q);
    c->k = malloc(GROUPS * n * CODE * sizeof *c->k);
    c->v = malloc(GROUPS * n * WIDE * sizeof *c->v);
    c->out = malloc((size_t)ITEMS * WIDE * sizeof *c->out);
    return c->code && c->q && c->k && c->v && c->out;
}

static void drop(circuit *c)
{
    free(c->code);
    free(c->q);
    free(c->k);
    free(c->v);
    free(c->out);
}

static att_problem state(const circuit *c)
{
    att_problem p = att_problem_init();

    p.batch = p.q_len = 1;
    p.heads_q = ITEMS;
    p.heads_kv = GROUPS;
    p.kv_len = c->len;
    p.head_dim = CODE;
    p.value_dim = WIDE;
    p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    p.q = att_tensor_dense(c->q, ATT_F32, 1, ITEMS, 1, CODE);
    p.k = att_tensor_dense(c->k, ATT_F32, 1, GROUPS, c->len, CODE);
    p.v = att_tensor_dense(c->v, ATT_F32, 1, GROUPS, c->len, WIDE);
    p.out = att_tensor_dense(c->out, ATT_F32, 1, ITEMS, 1, WIDE);
    return p;
}

/* The code nearest to an output; -1 where a dot product is not a number. */
static int64_t decode(const circuit *c, const float *out)
{
    double best = -(double)INFINITY;
    int64_t found = -1;

    for (int64_t i = 0; i < CODES; i++) {
        double dot = 0;
        for (int d = 0; d < CODE; d++)
            dot += (double)out[d] * (double)c->code[i * CODE + d];
        if (isnan(dot))
            return -1;
        if (dot > best) {
            best = dot;
            found = i;
        }
    }
    return found;
}

typedef struct tally {
    int hits, expected, unexplained, known;
} tally;

static void judge(att_ctx *x, const circuit *c, int item, tally *t)
{
    const float *out = c->out + item * WIDE;
    double mass = (double)out[CODE + item % EACH];
    int hit = decode(c, out) == EACH + item % EACH;
    int seen = closed_form_sees(&att_ctx_variant(x)->part[0],
                                (closed_pair){item, c->len - 1, c->at[item]});
    const char *note = "";

    t->hits += hit;
    if (seen >= 0) {
        int right = seen ? hit && mass > 0.5 : mass == 0;
        t->known++;
        t->expected += seen;
        t->unexplained += !right;
        note = !right ? "unexplained" : seen ? "seen" : "masked";
    } else if (!hit)
        note = mass > 0.5 ? "attended, not decoded" : mass > 0 ? "under-weighted" : "masked";
    att_ctx_item(x, hit, item / EACH, mass, (double)c->at[item] / (double)c->len, note);
}

static void record(att_ctx *x, const att_problem *p, const tally *t)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    att_interval ci = att_wilson(t->hits, ITEMS, 0.95);
    const att_cost cost = att_cost_of(part->kernel, p, part->values);

    att_ctx_record_n(x, "accuracy", (double)t->hits / ITEMS, ITEMS, ci.lo, ci.hi);
    if (t->known) {
        att_ctx_record(x, "accuracy_predicted", (double)t->expected / t->known);
        att_ctx_record(x, "unexplained", t->unexplained);
    }
    if (!isnan(cost.keys_read))
        att_ctx_record(x, "keys_share", cost.keys_read / ((double)p->kv_len * ITEMS));
}

static att_status run(att_ctx *x)
{
    att_rng rng = att_ctx_rng(x, "needle");
    tally t = {0};
    circuit c;
    att_status status = make(&c, att_ctx_int(x, "len")) ? ATT_OK : ATT_NO_MEMORY;

    if (status == ATT_OK) {
        make_codes(c.code);
        fill(&c, &rng);
        att_problem p = state(&c);
        for (int i = 0; i < ITEMS * WIDE; i++)
            c.out[i] = NAN;
        status = att_ctx_attend(x, &p);
        for (int i = 0; i < ITEMS && status == ATT_OK; i++)
            judge(x, &c, i, &t);
        if (status == ATT_OK)
            record(x, &p, &t);
    }
    drop(&c);
    return status;
}

static double seconds(const char *task, const att_value *values)
{
    (void)task;
    return 0.02 + (double)values[0].i * 3e-5;
}

static const att_param params[] = {
    {"len", ATT_PARAM_INT, 0, "keys", "1024", "16:131072", "256 1024 4096 16384", "keys of a head"},
    {0}};

static const att_metric_spec metrics[] = {
    {"accuracy", "share", ATT_HIGHER, (double)NAN, 0, "needles decoded"},
    {"accuracy_predicted", "share", ATT_HIGHER, (double)NAN, 0,
     "needles that the closed form shows"},
    {"unexplained", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "items that contradict the closed form"},
    {"keys_share", "share", ATT_LOWER, (double)NAN, 0, "keys really read, of all"},
    {0}};

const att_eval att_eval_needle = {.name = "needle",
                                  .summary = "a fact at a known depth, asked for from the end",
                                  .params = params,
                                  .metrics = metrics,
                                  .chance = 1.0 / CODES,
                                  .seconds = seconds,
                                  .run = run,
                                  .track = ATT_TRACK_PROBE};
