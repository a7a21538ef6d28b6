/* SPDX-License-Identifier: Apache-2.0 */
/* Linear attention with the feature map phi(x) = elu(x) + 1, as a recurrence.
 *
 *   S += phi(k) v^T    z += phi(k)    o = S^T phi(q) / (z . phi(q))      S [Dk,Dv], z [Dk] in f32
 *
 * Why: a state of constant size instead of a KV cache; a function of its own, not an approximation
 * of softmax.  `recur` carries the state in and out (any chunking); `attend` starts from nothing:
 * with causality row i reads the state after the keys up to its position, without it after all
 * keys. Bound: |e| <= u_out |o| + u (t (Dk + 8) + Dk + 2) M, M the recurrence on absolute values.
 * O(S Dk Dv (1 + Hq/Hkv)) a kv head.
 * Source: Katharopoulos et al. 2020, "Transformers are RNNs". */
#include "common/rows.h"

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_RECUR,
                                  .can = ATT_CAN_PACKED | ATT_CAN_PAGED,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

typedef struct job {
    const att_problem *p;
    int64_t columns, slots, slot_floats;
    float *room;
    bool carried; /* recur: the state comes in and goes out */
} job;

/* The state of one (sequence, kv head), and rows in work. */
typedef struct state {
    float *s, *z, *k, *v, *q, *o; /* [Dk][columns] [Dk] [Dk] [columns] [Dk] [columns] */
} state;

static void layout(const att_problem *p, job *w)
{
    *w = (job){.p = p, .columns = att_ceil_div(p->value_dim, ATT_W) * ATT_W};
    w->slots = att_min(ATT_LIST_SLOTS, p->batch * p->heads_kv);
    w->slot_floats = p->head_dim * (w->columns + 3) + 2 * w->columns;
}

static state state_of(const job *w, int64_t slot)
{
    const int64_t dk = w->p->head_dim;
    state st = {.s = w->room + slot * w->slot_floats};
    st.z = st.s + dk * w->columns;
    st.k = st.z + dk;
    st.q = st.k + dk;
    st.v = st.q + dk;
    st.o = st.v + w->columns;
    return st;
}

static void features(const att_tensor *t, int64_t at, int64_t n, float *out)
{
    att_load_row(t->data, t->dtype, at, t->stride[3], n, out);
    for (int64_t d = 0; d < n; d++)
        out[d] = out[d] > 0.0f ? out[d] + 1.0f : att_exp(out[d]);
}

static float state_element(const att_tensor *t, int64_t b, int64_t h, int64_t c, int64_t d)
{
    return ((const float *)t->data)[att_tensor_at(t, b, h, c, d)];
}

static void state_start(const job *w, state *st, int64_t b, int64_t h)
{
    const att_problem *p = w->p;
    memset(st->s, 0, (size_t)w->slot_floats * sizeof(float));
    for (int64_t c = 0; c < p->head_dim && w->carried; c++) {
        if (p->recur->z_in.data)
            st->z[c] = state_element(&p->recur->z_in, b, h, 0, c);
        for (int64_t d = 0; d < p->value_dim && p->recur->state_in.data; d++)
            st->s[c * w->columns + d] = state_element(&p->recur->state_in, b, h, c, d);
    }
}

static void state_end(const job *w, const state *st, int64_t b, int64_t h)
{
    const att_recur *r = w->p->recur;
    for (int64_t c = 0; c < w->p->head_dim && w->carried; c++) {
        if (r->z_out.data)
            ((float *)r->z_out.data)[att_tensor_at(&r->z_out, b, h, 0, c)] = st->z[c];
        for (int64_t d = 0; d < w->p->value_dim && r->state_out.data; d++)
            ((float *)r->state_out.data)[att_tensor_at(&r->state_out, b, h, c, d)] =
                st->s[c * w->columns + d];
    }
}

static void state_add(const job *w, state *st, const att_seq *seq, int64_t h, int64_t j)
{
    const att_problem *p = w->p;
    const int64_t dk = p->head_dim;

    features(&p->k, att_key_at(p, &p->k, seq, h, j), dk, st->k);
    att_load_row(p->v.data, p->v.dtype, att_key_at(p, &p->v, seq, h, j), p->v.stride[3],
                 p->value_dim, st->v);
    for (int64_t c = 0; c < dk; c++) {
        st->z[c] += st->k[c];
        att_axpy(st->k[c], st->v, w->columns, st->s + c * w->columns);
    }
}

/* Row i of the head's query heads, from the state as it is; `empty`: no key yet. */
static void state_read(const job *w, state *st, const att_seq *seq, int64_t h, int64_t i,
                       bool empty)
{
    const att_problem *p = w->p;
    const int64_t group = p->heads_q / p->heads_kv, dk = p->head_dim;

    for (int64_t hq = h * group; hq < (h + 1) * group; hq++) {
        memset(st->o, 0, (size_t)w->columns * sizeof(float));
        if (!empty) {
            features(&p->q, att_tensor_at(&p->q, seq->at, hq, seq->q_at + i, 0), dk, st->q);
            for (int64_t c = 0; c < dk; c++)
                att_axpy(st->q[c], st->s + c * w->columns, w->columns, st->o);
            const float norm = att_dot(st->q, st->z, dk);
            for (int64_t d = 0; d < p->value_dim; d++)
                st->o[d] /= norm;
        }
        att_store_row(p->out.data, p->out.dtype,
                      att_tensor_at(&p->out, seq->at, hq, seq->q_at + i, 0), p->out.stride[3],
                      p->value_dim, st->o);
    }
}

static void body(void *arg, int64_t slot, int thread)
{
    const job *w = arg;
    const att_problem *p = w->p;
    state st = state_of(w, slot);

    (void)thread;
    for (int64_t t = slot; t < p->batch * p->heads_kv; t += w->slots) {
        const int64_t b = t / p->heads_kv, h = t % p->heads_kv;
        const att_seq seq = att_seq_of(p, b);
        int64_t seen = 0;
        state_start(w, &st, b, h);
        for (int64_t i = 0; i < seq.q_len; i++) {
            int64_t upto = seq.kv_len;
            if (w->carried)
                upto = i + 1;
            else if (p->causal)
                upto = att_min(upto, att_query_position(p, &seq, i) + 1);
            for (; seen < upto; seen++)
                state_add(w, &st, &seq, h, seen);
            state_read(w, &st, &seq, h, i, seen == 0);
        }
        state_end(w, &st, b, h);
    }
}

static bool state_shaped(const att_tensor *t, int64_t b, int64_t h, int64_t n, int64_t d)
{
    return !t->data || (t->dtype == ATT_F32 && att_shaped(t, b, h, n, d));
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    const att_status status = att_accept_check(&ACCEPT, op, p, why);
    if (status)
        return status;
    if (p->lse.data)
        return att_refuse(why, ATT_UNSUPPORTED, "linear attention has no LSE");
    if (p->causal == ATT_CAUSAL_POSITIONS)
        return att_refuse(why, ATT_UNSUPPORTED, "given positions");
    if (op != ATT_OP_RECUR)
        return ATT_OK;
    const att_recur *r = p->recur;
    const int64_t B = p->batch, H = p->heads_kv;
    if (!r)
        return att_refuse(why, ATT_INVALID, "recur without its section");
    if (r->rule != ATT_RULE_LINEAR_ELU1)
        return att_refuse(why, ATT_UNSUPPORTED, "a rule other than linear_elu1");
    if (p->q_lengths.data || p->kv_lengths.data || p->cu_q.data || p->q_len != p->kv_len)
        return att_refuse(why, ATT_UNSUPPORTED, "recur over lengths that differ");
    if (!state_shaped(&r->state_in, B, H, p->head_dim, p->value_dim) ||
        !state_shaped(&r->state_out, B, H, p->head_dim, p->value_dim) ||
        !state_shaped(&r->z_in, B, H, 1, p->head_dim) ||
        !state_shaped(&r->z_out, B, H, 1, p->head_dim))
        return att_refuse(why, ATT_INVALID, "state must be f32 [B,Hkv,Dk,Dv], z f32 [B,Hkv,1,Dk]");
    return ATT_OK;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    job w;
    int64_t bytes;
    layout(p, &w);
    if (__builtin_mul_overflow(w.slots * (int64_t)sizeof(float), w.slot_floats, &bytes))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)bytes;
    return ATT_OK;
}

static att_status run(const att_kernel *self, att_op op, const att_problem *p, const att_scratch *s)
{
    job w;
    const att_status status = supports(self, op, p, s->params, NULL);
    if (status)
        return status;
    layout(p, &w);
    if (s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w.room = s->data;
    w.carried = op == ATT_OP_RECUR;
    if (w.slots)
        s->host->parallel_for(s->host, w.slots, body, &w);
    return ATT_OK;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return run(self, ATT_OP_ATTEND, p, s);
}

static att_status recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return run(self, ATT_OP_RECUR, p, s);
}

/* A step reads the state, not the keys: one row of K and V a new token. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self, (void)params;
    const double tokens = (double)p->batch * (double)p->kv_len, dk = (double)p->head_dim;
    const double size = dk * (double)p->value_dim + dk;
    const double steps =
        2 * size *
        (tokens * (double)p->heads_kv + (double)p->batch * (double)p->q_len * (double)p->heads_q);
    *out = (att_cost){.keys_read = tokens * (double)p->heads_q,
                      .flops_useful = steps,
                      .flops_executed = steps,
                      .kv_bytes_read = tokens * (double)p->heads_kv *
                                       (double)(p->head_dim + p->value_dim) *
                                       (double)att_dtype_size(p->k.dtype),
                      .state_bytes = (double)p->batch * (double)p->heads_kv * size * 4};
    return ATT_OK;
}

const att_kernel att_kernel_linear_elu1 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "linear_elu1",
    .family = "linear",
    .summary = "linear attention, feature map elu + 1, f32 state",
    .source = "Katharopoulos et al. 2020, Transformers are RNNs",
    .class_ = ATT_OWN,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .recur = recur,
};
