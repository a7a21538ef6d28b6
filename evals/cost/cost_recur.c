/* SPDX-License-Identifier: Apache-2.0 */
/* One call of a recurrence with K and V closed.  Each token is read, its work is that of the rule,
 * and what must be kept is the state. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/cost/cost.h"
#include "evals/numeric/recur.h"

static recur_spec spec_of(const parity_spec *s, const char *rule)
{
    static const char *const rules[] = {"linear", "linear_elu1", "retention", "gla",
                                        "delta",  "gated_delta", "ssd",       "based"};
    recur_spec r = {.b = s->b,
                    .hq = s->hq,
                    .hkv = s->hkv,
                    .t = s->sk,
                    .d = s->d,
                    .dv = s->dv,
                    .gates = "mild",
                    .betas = "mixed",
                    .values = "normal",
                    .layout = "bhsd",
                    .calls = "whole",
                    .scale = (double)NAN,
                    .dtype = s->dtype,
                    .place = ATT_PLACE_ALIGNED,
                    .starts = true,
                    .returns = true};

    while (r.rule < ATT_RULE_BASED && !parity_is(rules[r.rule], rule))
        r.rule++;
    return r;
}

static double over(double a, double b)
{
    return a > b ? a - b : 0;
}

/* FLOPs of all tokens. */
static double work_of(const recur_spec *s)
{
    const double width = (double)recur_features(s), pairs = width * (double)s->dv;
    const double normed = recur_normed(s->rule) ? width : 0;
    const double update = (recur_delta(s->rule) ? 2 : 1) * pairs + normed;

    return 2 * (double)s->b * (double)s->t *
           ((double)s->hkv * update + (double)s->hq * (pairs + normed));
}

static void judge(att_ctx *x, const recur_spec *s, const cost_side *k, const cost_side *v,
                  const att_cost *c)
{
    const double seen_k = (double)cost_side_count(k), seen_v = (double)cost_side_count(v);
    const double rows = fmax(seen_k, seen_v), bytes = seen_k * k->bytes + seen_v * v->bytes;
    const double queries = (double)s->t * (double)(s->hkv ? s->hq / s->hkv : 0);
    const double normed = recur_normed(s->rule) ? 1 : 0, want = work_of(s);
    const double state = 4.0 * (double)(s->b * s->hkv * recur_features(s)) *
                         ((double)s->dv + normed);

    att_ctx_record(x, "k_rows", seen_k);
    att_ctx_record(x, "v_rows", seen_v);
    att_ctx_record(x, "rows", (double)k->rows);
    att_ctx_record(x, "undeclared", over(seen_k, c->k_rows) + over(seen_v, c->v_rows));
    att_ctx_record(x, "unread", over(c->k_rows, seen_k) + over(c->v_rows, seen_v));
    att_ctx_record(x, "keys_off",
                   over(rows, c->keys_read) + over(c->keys_read, fmax(rows, rows * queries)));
    att_ctx_record(x, "bytes_off",
                   over(bytes, c->kv_bytes_read) +
                       over(c->kv_bytes_read, fmax(bytes, bytes * queries)));
    att_ctx_record(x, "flops_off", fabs(c->flops_useful - want) / fmax(want, 1));
    att_ctx_record(x, "flops_short", c->flops_useful <= c->flops_executed ? 0 : c->flops_useful);
    att_ctx_record(x, "state_off", fabs(c->state_bytes - state));
}

static att_status call(att_ctx *x, const recur_inputs *in, recur_outputs *o, cost_side *k,
                       cost_side *v)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    const bool normed = recur_normed(in->spec.rule);
    att_problem p = in->given;
    att_recur r = in->section;
    att_status status = ATT_NO_MEMORY;

    if (!recur_outputs_make(&in->spec, o) || !cost_side_make(&p.k, true, k) ||
        !cost_side_make(&p.v, true, v))
        return status;
    p.q_len = p.kv_len = in->spec.t;
    p.k = k->view;
    p.v = v->view;
    p.out = o->out.at;
    p.recur = &r;
    r.state_out = o->s.at;
    if (normed)
        r.z_out = o->z.at;
    if (cost_side_close(k) && cost_side_close(v))
        status = att_ctx_call(x, part, ATT_OP_RECUR, &p, NULL);
    cost_side_open(k);
    cost_side_open(v);
    const att_cost c = att_cost_of(part->kernel, &p, part->values);
    if (status == ATT_OK)
        judge(x, &in->spec, k, v, &c);
    return status;
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    recur_inputs *in = NULL;
    att_status status = recur_inputs_make(x, arg, &in);

    *out = in;
    return status;
}

att_status cost_recur(att_ctx *x, const parity_spec *s, const char *rule)
{
    const att_kernel *kernel = att_ctx_kernel(x);
    recur_spec spec = spec_of(s, rule);
    recur_outputs o = {0};
    cost_side k = {0}, v = {0};
    void *in = NULL;

    if (!kernel->recur || !kernel->cost) {
        att_ctx_why(x, "%s", kernel->recur ? "declares no cost" : "has no recurrence");
        return ATT_UNSUPPORTED;
    }
    att_status status = att_ctx_shared(x, "recurrence", make_shared, &spec, recur_inputs_drop, &in);
    if (status != ATT_OK)
        return status;
    ((recur_inputs *)in)->spec = spec; /* the same words, in this case's memory */
    status = call(x, in, &o, &k, &v);
    recur_outputs_drop(&o);
    cost_side_drop(&k);
    cost_side_drop(&v);
    return status;
}
