/* SPDX-License-Identifier: Apache-2.0 */
/* KV-cache sessions under test: what each holds after any history is known, and every attend is
 * judged by the numeric rule, as in parity, on just that.
 *
 *   a<n> append n tokens   u<n> append up to n, each sequence its own number   t<n> attend, n
 * queries r<n> roll the last n back   z roll everything back   v<n> append n NaN tokens and roll
 * them back g<n> the next append has n sequences   s<n> scale   f fork, go on with the fork x<n> go
 * on with session n   c close; without a session the next step opens one
 *
 * Steps are cut to what the session was opened for.  What an append is handed is gone when it
 * returns. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/sequence_session.h"

/* --------------------------------------------------------------------------------- open */

static bool lend(sessions *c, const att_plan *plan, att_scratch *s)
{
    att_guard *g = &c->scratch[c->n_scratch];
    size_t align = plan->scratch_align > 64 ? plan->scratch_align : 0;

    s->bytes = plan->scratch_bytes;
    s->handle = plan->handle;
    if (!plan->scratch_bytes)
        return true;
    if (!att_guard_make(g, plan->scratch_bytes + align, ATT_PLACE_ALIGNED))
        return false;
    c->n_scratch++;
    s->data = g->data;
    if (align)
        s->data = (char *)s->data + (align - (uintptr_t)s->data % align) % align;
    return true;
}

static att_status open_one(sessions *c)
{
    const att_kernel *k = c->part->kernel;
    const parity_spec *s = &c->log.spec;
    att_problem p = session_problem(c, s->b);
    att_scratch scratch = {.params = c->part->values, .host = att_ctx_host(c->x)};
    att_plan plan = {0};
    att_reason why = {""};
    live *l = &c->live[c->n_live];

    p.q_len = s->sq;
    p.kv_len = s->sk;
    att_status status = k->supports(k, ATT_OP_SESSION, &p, c->part->values, &why);
    if (status != ATT_OK) {
        why.text[sizeof why.text - 1] = '\0';
        att_ctx_why(c->x, "%s", *why.text ? why.text : "no reason given");
        return status;
    }
    status = k->plan ? k->plan(k, ATT_OP_SESSION, &p, c->part->values, &plan) : ATT_OK;
    if (status != ATT_OK || !lend(c, &plan, &scratch))
        return status != ATT_OK ? status : ATT_NO_MEMORY;
    *l = (live){.number = c->log.sessions, .batch = s->b};
    status = c->ops->open(k, &p, &scratch, &l->session);
    if (k->drop && plan.handle)
        k->drop(k, plan.handle);
    if (status != ATT_OK)
        return session_refused(c, "open", status);
    c->n_live++;
    c->now = l;
    c->log.sessions++;
    session_told(c, 'o')->batch = s->b;
    return ATT_OK;
}

/* ------------------------------------------------------------------------------- attend */

typedef struct content {
    sessions *c;
    const session_log *log;
    const session_view *view;
    att_status status;
} content;

/* One more opinion of what is held, of a session that rounds: it must be near to what was appended,
 * and is what its answer is held to.  side: 0 keys, 1 values. */
static void take_held(const content *of, int side, const float *held, double *x)
{
    const session_view *v = of->view;
    const session_log *log = of->log;
    const int64_t width = session_width(&log->spec, side), row = log->spec.hkv * width;
    double most = 0, steps = 0, off = 0, size = 0;

    for (int64_t n = 0; n < log->tokens * row; n++)
        most = isfinite(log->code[side][n]) ? fmax(most, fabs(log->code[side][n])) : most;
    for (int64_t n = 0; n < v->batch * v->most * row; n++) {
        if (n / width % v->most >= v->length[n / (v->most * row)])
            continue;
        double moved = fabs((double)held[n] - x[n]);
        if (!(moved == 0))
            steps = att_error_fold(steps, most > 0 ? moved * 3 / most : (double)INFINITY);
        off += moved * moved;
        size += x[n] * x[n];
        x[n] = (double)held[n];
    }
    att_ctx_record(of->c->x, "held_steps", steps);
    att_ctx_record(of->c->x, side ? "held_loss_v" : "held_loss_k", off > 0 ? sqrt(off / size) : 0);
}

static void ask_held(content *of, parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    const att_kernel *kernel = of->c->part->kernel;
    att_problem p = session_problem(of->c, s->b);
    const size_t rows = (size_t)(s->b * s->hkv * s->sk);
    float *k, *v;

    if ((kernel->abi & 0xffffu) < 2 || !of->c->ops->held)
        return;
    k = calloc(rows * (size_t)s->d + 1, sizeof *k);
    v = calloc(rows * (size_t)s->dv + 1, sizeof *v);
    p.kv_len = s->sk;
    p.k = att_tensor_dense(k, ATT_F32, s->b, s->hkv, s->sk, s->d);
    p.v = att_tensor_dense(v, ATT_F32, s->b, s->hkv, s->sk, s->dv);
    of->status = k && v ? of->c->ops->held(of->c->now->session, &p) : ATT_NO_MEMORY;
    if (of->status == ATT_OK) {
        take_held(of, 0, k, in->k);
        take_held(of, 1, v, in->v);
    }
    free(k);
    free(v);
}

/* The case's keys, values and lengths become those that the session holds. */
static void hold(parity_inputs *in, void *arg)
{
    content *of = arg;

    session_view_fill(of->log, of->view, 0, in->k);
    session_view_fill(of->log, of->view, 1, in->v);
    ask_held(of, in);
    for (int64_t b = 0; b < of->view->batch; b++) {
        in->nk[b] = of->view->length[b];
        ((int32_t *)in->plain.kv_lengths.data)[b] = of->view->length[b];
    }
}

/* The problem as a session is asked: what it holds it knows itself. */
static att_problem asked(const sessions *c, const parity_inputs *in)
{
    att_problem p = in->given;

    p.k = (att_tensor){.dtype = c->dtype};
    p.v = p.k;
    p.kv_lengths = (att_tensor){0};
    if (c->dtype == ATT_I8)
        p.k_quant = p.v_quant = (att_quant){.scheme = ATT_QUANT_AFFINE, .axis = 2, .group = 1};
    return p;
}

static att_status ask(sessions *c, parity_inputs *in)
{
    att_problem p = asked(c, in);
    parity_outputs o = {0};
    att_status status = ATT_NO_MEMORY;

    if (!parity_outputs_make(in, &p, &o))
        goto done;
    status = c->ops->attend(c->now->session, &p);
    if (status != ATT_OK) {
        status = session_refused(c, "attend", status);
        goto done;
    }
    status = session_evicts(c) ? session_judge_seen(c, in, &p, &o)
                               : parity_judge(c->x, in, &p, &o, &c->units, false);
    c->judged++;
    if (status == ATT_OK && !att_ctx_holds(c->x) && c->explain && !session_evicts(c))
        session_explain(c->x, &c->log, c->now->number, in, &o, &c->units);
done:
    parity_outputs_drop(&o);
    return status;
}

static att_status attend(sessions *c, int64_t queries)
{
    static const session_rules right = {0};
    parity_spec spec = c->log.spec;
    parity_inputs *in = NULL;
    session_view held;
    content of = {c, &c->log, &held, ATT_OK};
    att_status status = ATT_NO_MEMORY;

    if (session_replay(&c->log, &right, c->now->number, &held)) {
        spec.b = held.batch;
        spec.sq = queries < 1 ? 1 : queries < spec.sq ? queries : spec.sq;
        spec.sk = held.most;
        spec.causal = "br";
        spec.lens = "keys";
        spec.draw = ++c->draws;
        status = parity_inputs_make_edited(c->x, &spec, hold, &of, &in);
    }
    if (status == ATT_OK && of.status != ATT_OK)
        status = session_refused(c, "held", of.status);
    else if (status == ATT_OK)
        status = ask(c, in);
    parity_inputs_drop(in);
    session_view_drop(&held);
    return status;
}

/* ----------------------------------------------------------------- rollback, fork, close */

/* Keeps the first `length` tokens, or as few as a window lets the session go back to. */
static att_status roll_back(sessions *c, int64_t length)
{
    live *l = c->now;
    int64_t top = session_most(l->longest, l->batch) - c->log.spec.sq;

    if (length > 0 && c->log.spec.left >= 0 && length < top)
        length = top;
    if (length < 0)
        length = 0;
    if (!c->ops->rollback || length > session_most(l->length, l->batch))
        return ATT_OK;
    att_status status = c->ops->rollback(l->session, length);
    if (status == ATT_UNSUPPORTED && length > 0 && session_evicts(c))
        return ATT_OK;
    session_forget(c);
    if (status != ATT_OK)
        return session_refused(c, "rollback", status);
    session_told(c, 'r')->n = length;
    for (int64_t b = 0; b < l->batch; b++)
        if (l->length[b] > length) {
            l->length[b] = length;
            l->longest[b] = length ? l->longest[b] : 0;
        }
    return ATT_OK;
}

/* NaN tokens come and go, as drafts that a verifier refuses. */
static att_status draft(sessions *c, const sequence_step *step)
{
    live *l = c->now;
    const int64_t before = session_most(l->length, l->batch);

    for (int64_t b = 0; b < l->batch; b++)
        if (l->length[b] < before) /* a rollback would not take them all back */
            return ATT_OK;
    if (!c->ops->rollback || session_evicts(c) || c->next_batch > l->batch ||
        (c->log.spec.left >= 0 && before > 0 &&
         session_most(l->longest, l->batch) > before + c->log.spec.sq))
        return ATT_OK;
    att_status status = session_append(c, step, true);
    return status == ATT_OK && att_ctx_holds(c->x) ? roll_back(c, before) : status;
}

static att_status fork_now(sessions *c)
{
    live *l = &c->live[c->n_live];

    if (!c->ops->fork || c->n_live == SESSION_LIVE)
        return ATT_OK;
    *l = *c->now;
    att_status status = c->ops->fork(c->now->session, &l->session);
    if (status != ATT_OK)
        return session_refused(c, "fork", status);
    session_told(c, 'f');
    l->number = c->log.sessions++;
    c->n_live++;
    c->now = l;
    return ATT_OK;
}

static void close_now(sessions *c)
{
    session_told(c, 'c');
    c->ops->close(c->now->session);
    *c->now = c->live[--c->n_live];
    c->now = c->n_live ? &c->live[c->n_live - 1] : NULL;
}

/* -------------------------------------------------------------------------------- steps */

static att_status take(sessions *c, const sequence_step *step)
{
    static const double scales[] = {0, 3, 0.25};
    const int64_t n = step->n < 0 ? 0 : step->n;
    att_status status = c->now ? ATT_OK : open_one(c);

    if (status != ATT_OK || !c->now)
        return status;
    switch (step->what) {
    case 'a':
    case 'u':
        return session_append(c, step, false);
    case 't':
        return attend(c, n);
    case 'r':
        return roll_back(c, session_most(c->now->length, c->now->batch) - n);
    case 'z':
        return roll_back(c, 0);
    case 'v':
        return draft(c, step);
    case 'f':
        return fork_now(c);
    case 'c':
        close_now(c);
        return ATT_OK;
    case 'x':
        c->now = &c->live[(size_t)n % c->n_live];
        return ATT_OK;
    case 'g':
        c->next_batch = n < 1 ? 1 : n < SESSION_BATCH ? n : SESSION_BATCH;
        return ATT_OK;
    default:
        c->log.spec.scale = scales[n % 3];
        return ATT_OK;
    }
}

static void drop(sessions *c)
{
    while (c->now)
        close_now(c);
    session_forget(c);
    for (size_t i = 0; i < c->n_scratch; i++)
        att_guard_drop(&c->scratch[i]);
    for (int side = 0; side < 2; side++) {
        free(c->log.code[side]);
        free(c->log.scale[side]);
    }
    free(c);
}

att_status sequence_session(att_ctx *x, void *arg)
{
    const sequence_plan *plan = arg;
    sessions *c = calloc(1, sizeof *c);
    att_status status = ATT_OK;
    size_t i = 0;

    if (!c)
        return ATT_NO_MEMORY;
    c->x = x;
    c->part = &att_ctx_variant(x)->part[0];
    c->ops = c->part->kernel->session;
    c->log.spec = plan->spec;
    c->dtype = plan->spec.dtype;
    c->explain = plan->explain;
    if (c->dtype == ATT_I8)
        c->log.spec.dtype = ATT_F32;
    if (!c->ops || !c->ops->open || !c->ops->append || !c->ops->attend || !c->ops->close) {
        att_ctx_why(x, "%s does not offer sessions", c->part->kernel->name);
        status = ATT_UNSUPPORTED;
    }
    if (status == ATT_OK && plan->spec.b > SESSION_BATCH) {
        att_ctx_why(x, "a session has at most %d sequences", SESSION_BATCH);
        status = ATT_INVALID;
    }
    if (status == ATT_OK)
        status = parity_ready(x, &c->log.spec, &c->units);
    for (; i < plan->steps.n && status == ATT_OK && att_ctx_holds(x); i++)
        status = take(c, &plan->steps.step[i]);
    att_ctx_record(x, "calls", (double)c->judged);
    att_ctx_record(x, "steps", (double)i);
    drop(c);
    return status;
}
