/* SPDX-License-Identifier: Apache-2.0 */
/* What a session keeps: one is opened, filled and asked once (what cuts a prompt does it then), and
 * the memory that it took is held to the declared state_bytes.  It may hold more, for room to grow
 * or lists of pages; not less than it says. */
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "base/heap.h"
#include "evals/cost/cost.h"

enum { BOOKS = 4096 }; /* bytes that a session may need beside its tokens */

/* Tokens of an append, all alike, and their scales; a query and room for its answer. */
typedef struct tokens {
    void *data;
    float *scales;
    void *query, *out;
} tokens;

static att_problem opened(const parity_spec *s)
{
    const int32_t dtype = parity_is(s->quant, "i8tok") ? ATT_I8 : s->dtype;
    att_problem p = att_problem_init();

    p.batch = s->b;
    p.heads_q = s->hq;
    p.heads_kv = s->hkv;
    p.q_len = s->sq;
    p.kv_len = s->sk;
    p.head_dim = s->d;
    p.value_dim = s->dv;
    p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    p.window_left = s->left;
    p.q = att_tensor_dense(NULL, s->dtype, s->b, s->hq, s->sq, s->d);
    p.out = att_tensor_dense(NULL, s->dtype, s->b, s->hq, s->sq, s->dv);
    p.k = att_tensor_dense(NULL, dtype, s->b, s->hkv, s->sk, s->d);
    p.v = att_tensor_dense(NULL, dtype, s->b, s->hkv, s->sk, s->dv);
    if (dtype == ATT_I8)
        p.k_quant = p.v_quant = (att_quant){.scheme = ATT_QUANT_AFFINE, .axis = 2, .group = 1};
    return p;
}

static att_status append(att_ctx *x, const att_problem *as, att_session *session, int64_t n,
                         const tokens *t)
{
    att_problem p = *as;

    p.kv_len = n;
    p.k = att_tensor_dense(t->data, as->k.dtype, p.batch, p.heads_kv, n, p.head_dim);
    p.v = att_tensor_dense(t->data, as->v.dtype, p.batch, p.heads_kv, n, p.value_dim);
    if (p.k_quant.scheme)
        p.k_quant.scales = p.v_quant.scales =
            att_tensor_dense(t->scales, ATT_F32, p.batch, p.heads_kv, n, 1);
    return att_ctx_kernel(x)->session->append(session, &p);
}

/* The last token's query, all zeros. */
static att_status ask(att_ctx *x, const att_problem *as, att_session *session, const tokens *t)
{
    att_problem p = *as;

    p.q_len = 1;
    p.k = p.v = (att_tensor){.dtype = as->k.dtype};
    p.k_quant = p.v_quant = (att_quant){0};
    p.q = att_tensor_dense(t->query, as->q.dtype, p.batch, p.heads_q, 1, p.head_dim);
    p.out = att_tensor_dense(t->out, as->out.dtype, p.batch, p.heads_q, 1, p.value_dim);
    return att_ctx_kernel(x)->session->attend(session, &p);
}

/* Bytes held by a session that was opened for p, filled and asked. */
static att_status fill(att_ctx *x, const att_problem *p, const tokens *t, att_scratch *s,
                       double *held)
{
    const att_session_ops *ops = att_ctx_kernel(x)->session;
    att_session *session = NULL;

    att_heap_begin();
    att_status status = ops->open(att_ctx_kernel(x), p, s, &session);
    for (int64_t at = 0; at < p->kv_len && status == ATT_OK; at += p->q_len)
        status = append(x, p, session, at + p->q_len < p->kv_len ? p->q_len : p->kv_len - at, t);
    if (status == ATT_OK && p->kv_len > 0)
        status = ask(x, p, session, t);
    *held = (double)att_heap_now() + (double)s->bytes;
    att_heap_end();
    if (session)
        ops->close(session);
    return status;
}

static att_status measure(att_ctx *x, const att_problem *p, const tokens *t)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    const att_kernel *k = part->kernel;
    att_scratch s = {.params = part->values, .host = att_ctx_host(x)};
    att_plan plan = {0};
    double held = 0;
    att_status status = k->plan ? k->plan(k, ATT_OP_SESSION, p, part->values, &plan) : ATT_OK;

    s.handle = plan.handle;
    s.bytes = plan.scratch_bytes;
    if (s.bytes && status == ATT_OK) {
        const size_t align = plan.scratch_align > 64 ? plan.scratch_align : 64;
        s.data = aligned_alloc(align, (s.bytes + align - 1) / align * align);
        status = s.data ? ATT_OK : ATT_NO_MEMORY;
    }
    if (status == ATT_OK)
        status = fill(x, p, t, &s, &held);
    if (k->drop && plan.handle)
        k->drop(k, plan.handle);
    free(s.data);
    if (status != ATT_OK) {
        att_ctx_why(x, "%s: a step of the session failed", k->name);
        return status;
    }
    const double said = att_cost_of(k, p, part->values).state_bytes;
    att_ctx_record(x, "held_bytes", held);
    att_ctx_record(x, "unheld", said > held ? said - held : held >= said ? 0 : (double)NAN);
    att_ctx_record(x, "held_ratio", held > BOOKS ? (held - BOOKS) / said : 0);
    return ATT_OK;
}

att_status cost_held(att_ctx *x, const parity_spec *s)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    const att_kernel *k = part->kernel;
    const att_problem p = opened(s);
    const int64_t rows = s->b * s->hkv * s->sq, width = s->d > s->dv ? s->d : s->dv;
    att_reason why = {""};

    if (!k->session || !k->cost) {
        att_ctx_why(x, "%s", k->session ? "declares no cost" : "has no sessions");
        return ATT_UNSUPPORTED;
    }
    if (!att_heap_counts()) {
        att_ctx_why(x, "malloc is not counted in this program");
        return ATT_UNSUPPORTED;
    }
    att_status status = s->sq < 1 ? ATT_INVALID
                                  : k->supports(k, ATT_OP_SESSION, &p, part->values, &why);
    if (status != ATT_OK) {
        why.text[sizeof why.text - 1] = '\0';
        att_ctx_why(x, "%s", *why.text ? why.text : "a step moves no token, or no reason given");
        return status;
    }
    tokens t = {calloc((size_t)(rows * width) + 1, sizeof(double)),
                calloc((size_t)rows + 1, sizeof(float)),
                calloc((size_t)(s->b * s->hq * s->d) + 1, sizeof(double)),
                calloc((size_t)(s->b * s->hq * s->dv) + 1, sizeof(double))};
    status = t.data && t.scales && t.query && t.out ? measure(x, &p, &t) : ATT_NO_MEMORY;
    free(t.data);
    free(t.scales);
    free(t.query);
    free(t.out);
    return status;
}
