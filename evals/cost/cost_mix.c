/* SPDX-License-Identifier: Apache-2.0 */
/* One call of a mix with K and V closed.  Which keys a kind attends to is known but for those that
 * it chooses by what they score, and of these how many they are. */
#include <math.h>
#include <stdlib.h>

#include "evals/cost/cost.h"
#include "evals/numeric/mix.h"

static mix_spec spec_of(const parity_spec *s, const cost_mixed *m)
{
    static const char *const kinds[] = {"differential", "gated", "forgetting", "nsa", "memory"};
    mix_spec x = {.b = s->b,
                  .hq = s->hq,
                  .hkv = s->hkv,
                  .sq = s->sq,
                  .sk = s->sk,
                  .d = s->d,
                  .dv = s->dv,
                  .left = s->left,
                  .block = m->block,
                  .keep = m->keep,
                  .window = m->window,
                  .causal = s->causal,
                  .lens = s->lens,
                  .mask = "none",
                  .values = "normal",
                  .layout = "bhsd",
                  .lambdas = "normal",
                  .gates = "normal",
                  .per = "full",
                  .decays = "mild",
                  .scale = (double)NAN,
                  .dtype = s->dtype,
                  .aux = ATT_F32,
                  .place = ATT_PLACE_ALIGNED};

    while (x.kind < ATT_MIX_MEMORY && !parity_is(kinds[x.kind], m->kind))
        x.kind++;
    return x;
}

const char *cost_mix_nonsense(const parity_spec *s, const cost_mixed *m)
{
    const mix_spec x = spec_of(s, m);

    if (x.kind == ATT_MIX_DIFFERENTIAL && s->d % 2)
        return "differential attention has two halves";
    if (x.kind >= ATT_MIX_FORGETTING && !parity_is(s->causal, "br"))
        return "this mix is causal, bottom-right";
    if (parity_is(s->causal, "pos") || parity_is(s->lens, "both"))
        return "a mix is measured without positions, on whole queries";
    return mix_selects(x.kind) && s->left >= 0 ? "this mix has no other rules" : NULL;
}

static double over(double a, double b)
{
    return a > b ? a - b : 0;
}

/* Keys whose values a query of position p of n keys gets, of NSA's two parts together. */
static double kept_of(const mix_spec *s, int64_t p, int64_t n)
{
    const bool causal = !parity_is(s->causal, "none");
    const int64_t hi = causal && p + 1 < n ? p + 1 : n;
    const int64_t lo = s->left >= 0 && p - s->left > 0 ? p - s->left : 0, seen = hi - lo;

    if (seen <= 0)
        return 0;
    const int64_t near = seen < s->window ? seen : s->window, far = seen - near;
    if (s->kind == ATT_MIX_MEMORY)
        return (double)(near + (far < s->keep ? far : s->keep));
    if (s->kind != ATT_MIX_NSA)
        return (double)seen;
    const int64_t before = p / s->block, own = p % s->block + 1;
    const int64_t blocks = before < s->keep - 1 ? before : s->keep - 1;
    return (double)(blocks * s->block + own + near);
}

/* Over all queries and heads; *blocks: the rows of NSA's means. */
static double pairs_of(const mix_inputs *in, double *blocks)
{
    const mix_spec *s = &in->spec;
    double pairs = 0;

    *blocks = 0;
    for (int64_t b = 0; b < s->b; b++) {
        const int64_t n = in->numbers.nk[b];
        const int64_t off = parity_is(s->causal, "tl") ? 0 : n - in->numbers.nq[b];
        for (int64_t i = 0; i < in->numbers.nq[b]; i++) {
            pairs += (double)s->hq * kept_of(s, i + off, n);
            if (s->kind == ATT_MIX_NSA && i + off >= 0)
                *blocks += (double)(s->hq * ((i + off + 1) / s->block));
        }
    }
    return pairs;
}

static void judge(att_ctx *x, const mix_inputs *in, const cost_side *k, const cost_side *v,
                  const att_cost *c)
{
    const mix_spec *s = &in->spec;
    const double seen_k = (double)cost_side_count(k), seen_v = (double)cost_side_count(v);
    const double rows = fmax(seen_k, seen_v), bytes = seen_k * k->bytes + seen_v * v->bytes;
    const bool nsa = s->kind == ATT_MIX_NSA; /* reads for a block's mean, the block, the window */
    const double queries = fmax(1, (double)(s->hkv ? s->hq / s->hkv * s->sq : 0));
    double blocks, pairs = pairs_of(in, &blocks);
    const double want = 2 * (pairs + blocks) * (double)(s->d + s->dv);
    const double least = nsa ? pairs : fmax(seen_v, pairs);

    att_ctx_record(x, "k_rows", seen_k);
    att_ctx_record(x, "v_rows", seen_v);
    att_ctx_record(x, "rows", (double)k->rows);
    att_ctx_record(x, "undeclared", over(seen_k, c->k_rows) + over(seen_v, c->v_rows));
    if (c->v_run == 0)
        att_ctx_record(x, "unread", over(c->k_rows, seen_k) + over(c->v_rows, seen_v));
    att_ctx_record(x, "keys_off",
                   over(least, c->keys_read) + over(c->keys_read, rows * queries * (nsa ? 2 : 1)));
    att_ctx_record(x, "bytes_off",
                   over(bytes, c->kv_bytes_read) +
                       over(c->kv_bytes_read, bytes * queries * (nsa ? 3 : 1)));
    att_ctx_record(
        x, "flops_off",
        (mix_selects(s->kind) ? over(want, c->flops_useful) : fabs(c->flops_useful - want)) /
            fmax(want, 1));
    att_ctx_record(x, "flops_short", c->flops_useful <= c->flops_executed ? 0 : c->flops_useful);
    att_ctx_record(x, "state_short", s->sq == 1 ? over(bytes, c->state_bytes) : 0);
    if (over(seen_k, c->k_rows) + over(seen_v, c->v_rows) > 0 && seen_k == (double)k->rows &&
        seen_v == (double)v->rows)
        att_ctx_diagnose(x, "reads_everything", 0.0,
                         "every row is read, though the kernel declares fewer");
}

static att_status call(att_ctx *x, const mix_inputs *in, void *out, cost_side *k, cost_side *v)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    const mix_spec *s = &in->spec;
    att_problem p = in->given;
    att_mix m = in->section;
    att_status status = ATT_NO_MEMORY;

    if (!cost_side_make(&p.k, true, k) || !cost_side_make(&p.v, true, v))
        return status;
    p.k = k->view;
    p.v = v->view;
    p.mix = &m;
    p.out = att_tensor_dense(out, s->dtype, s->b, s->hq, s->sq, s->dv);
    if (cost_side_close(k) && cost_side_close(v))
        status = att_ctx_call(x, part, ATT_OP_MIX, &p, NULL);
    cost_side_open(k);
    cost_side_open(v);
    if (status != ATT_OK)
        return status;
    const att_cost c = att_cost_of(part->kernel, &p, part->values);
    judge(x, in, k, v, &c);
    return ATT_OK;
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    mix_inputs *in = NULL;
    att_status status = mix_inputs_make(x, arg, &in);

    *out = in;
    return status;
}

att_status cost_mix(att_ctx *x, const parity_spec *s, const cost_mixed *m)
{
    const att_kernel *kernel = att_ctx_kernel(x);
    mix_spec spec = spec_of(s, m);
    cost_side k = {0}, v = {0};
    void *in = NULL;

    if (!kernel->mix || !kernel->cost) {
        att_ctx_why(x, "%s", kernel->mix ? "declares no cost" : "mixes nothing");
        return ATT_UNSUPPORTED;
    }
    att_status status = att_ctx_shared(x, "mix", make_shared, &spec, mix_inputs_drop, &in);
    if (status != ATT_OK)
        return status;
    ((mix_inputs *)in)->spec = spec; /* the same words, in this case's memory */
    void *out = calloc((size_t)(s->b * s->hq * s->sq * s->dv) + 1, sizeof(double));
    status = out ? call(x, in, out, &k, &v) : ATT_NO_MEMORY;
    free(out);
    cost_side_drop(&k);
    cost_side_drop(&v);
    return status;
}
