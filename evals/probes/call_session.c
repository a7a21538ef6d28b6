/* SPDX-License-Identifier: Apache-2.0 */
/* A KV cache under test: opened, filled STEP tokens an append, asked for the last rows, as a
 * prefill is that asks nothing before its end.  Where it rounds what it keeps or evicts, what comes
 * back shows it.  A session that refuses to see everything is opened with a window. */
#include <stdlib.h>

#include "evals/probes/call_parts.h"

#define STEP  64
#define ALIGN 64

static int64_t step_of(const probe_circuit *c)
{
    const int64_t most = c->rows > STEP ? c->rows : STEP;

    return most < c->len ? most : c->len;
}

/* As a session is opened: sizes and types, no data. */
static att_problem opened(const probe_circuit *c, int64_t window)
{
    att_problem p = probe_problem(c);

    p.q_len = step_of(c);
    p.window_left = window;
    p.k.data = p.v.data = NULL;
    p.q = att_tensor_dense(NULL, ATT_F32, 1, p.heads_q, p.q_len, PROBE_CODE);
    p.out = att_tensor_dense(NULL, ATT_F32, 1, p.heads_q, p.q_len, c->width);
    return p;
}

static bool takes(const att_variant_part *part, const probe_circuit *c, int64_t window,
                  att_reason *why)
{
    const att_problem p = opened(c, window);

    *why = (att_reason){""};
    return part->kernel->supports(part->kernel, ATT_OP_SESSION, &p, part->values, why) == ATT_OK;
}

int64_t probe_window(const att_variant_part *part, const probe_circuit *c)
{
    const att_kernel *k = part->kernel;
    att_reason why;

    if (k->attend || k->mix || !k->session || takes(part, c, -1, &why))
        return -1;
    return takes(part, c, PROBE_WINDOW, &why) ? PROBE_WINDOW : -1;
}

/* Tokens [from, from + n), views of the circuit. */
static att_status append(const probe_asking *a, att_session *session, const att_problem *as,
                         int64_t from, int64_t n)
{
    const probe_circuit *c = a->c;
    att_problem p = *as;

    p.kv_len = n;
    p.q = p.out = (att_tensor){.dtype = ATT_F32};
    p.k = att_tensor_dense(c->k + from * PROBE_CODE, ATT_F32, 1, c->contexts, c->len, PROBE_CODE);
    p.v = att_tensor_dense(c->v + from * c->width, ATT_F32, 1, c->contexts, c->len, c->width);
    p.k.shape[2] = p.v.shape[2] = n;
    return a->part->kernel->session->append(session, &p);
}

static att_status attend(const probe_asking *a, att_session *session, const att_problem *as,
                         float *out)
{
    const probe_circuit *c = a->c;
    const int64_t n = probe_rows(c) * PROBE_CODE;
    att_problem p = *as;
    float *q = malloc((size_t)n * sizeof *q);

    if (!q)
        return ATT_NO_MEMORY;
    probe_times(q, a->q, a->fit.q, n);
    p.q_len = c->rows;
    p.q = att_tensor_dense(q, ATT_F32, 1, p.heads_q, c->rows, PROBE_CODE);
    p.out = att_tensor_dense(out, ATT_F32, 1, p.heads_q, c->rows, c->width);
    p.k = p.v = (att_tensor){.dtype = ATT_F32};
    const att_status status = a->part->kernel->session->attend(session, &p);
    free(q);
    return status;
}

static att_status converse(const probe_asking *a, att_session *session, const att_problem *p,
                           probe_wanted w)
{
    const probe_circuit *c = a->c;
    const int64_t step = step_of(c);
    float *out = w.out ? w.out : malloc((size_t)(probe_rows(c) * c->width) * sizeof *out);
    att_status status = out ? ATT_OK : ATT_NO_MEMORY;

    for (int64_t from = 0; from < c->len && status == ATT_OK; from += step)
        status = append(a, session, p, from, step < c->len - from ? step : c->len - from);
    if (status == ATT_OK)
        status = attend(a, session, p, out);
    if (status == ATT_OK && w.allowed)
        status = a->part->kernel->session->seen(session, w.allowed);
    if (!w.out)
        free(out);
    return status;
}

static bool lend(const att_plan *plan, att_scratch *s)
{
    const size_t align = plan->scratch_align > ALIGN ? plan->scratch_align : ALIGN;

    s->handle = plan->handle;
    s->bytes = plan->scratch_bytes;
    if (s->bytes)
        s->data = aligned_alloc(align, (s->bytes + align - 1) / align * align);
    return !s->bytes || s->data;
}

att_status probe_session(const probe_asking *a, probe_wanted w)
{
    const att_kernel *k = a->part->kernel;
    const att_problem p = opened(a->c, probe_window(a->part, a->c));
    att_scratch s = {.params = a->part->values, .host = att_ctx_host(a->x)};
    att_plan plan = {0};
    att_session *session = NULL;
    att_reason why;

    if (!takes(a->part, a->c, p.window_left, &why)) {
        why.text[sizeof why.text - 1] = '\0';
        att_ctx_why(a->x, "%s", *why.text ? why.text : "no reason given");
        return ATT_UNSUPPORTED;
    }
    att_status status = k->plan ? k->plan(k, ATT_OP_SESSION, &p, a->part->values, &plan) : ATT_OK;
    if (status == ATT_OK)
        status = lend(&plan, &s) ? k->session->open(k, &p, &s, &session) : ATT_NO_MEMORY;
    if (k->drop && plan.handle)
        k->drop(k, plan.handle);
    if (status == ATT_OK)
        status = converse(a, session, &p, w);
    if (session)
        k->session->close(session);
    free(s.data);
    if (status != ATT_OK)
        att_ctx_why(a->x, "%s: a step of the session failed", k->name);
    return status;
}
