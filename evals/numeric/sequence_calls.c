/* SPDX-License-Identifier: Apache-2.0 */
/* Calls in sequence on one kernel: what one leaves behind must not reach the next.
 *
 *   c call with new numbers   r the same call again     a lets the next inputs lie elsewhere
 *   p forget the plans        s scale   k softcap   m mask   e bias   h sinks   z causality
 *   w window to the left   l lengths   b batch   q queries   n keys   y layout   u storage
 *
 * A plan is kept for each set of sizes and strides and reused as the contract allows; scratch is
 * the one of the call before, as dirty as it was left; problem, scratch and parameters lie in a
 * frame that is overwritten as soon as the call returns.  Every call is judged by the numeric rule,
 * as in parity. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/sequence.h"

#define PLANS   6
#define FRAMES  2
#define EARLIER SEQUENCE_MOST
#define PARAMS  16

/* What a caller keeps on its stack during a call. */
typedef struct frame {
    att_problem p;
    att_scratch s;
    att_value values[PARAMS];
} frame;

typedef struct kept_plan {
    bool used;
    parity_spec of;
    att_plan plan;
} kept_plan;

typedef struct calls {
    att_ctx *x;
    const att_variant_part *part;
    att_units units;
    parity_spec spec;
    kept_plan plan[PLANS];
    size_t next_plan, frames;
    att_guard frame[FRAMES], scratch;
    parity_inputs *in; /* of the last call */
    parity_outputs out;
    parity_spec earlier[EARLIER];
    size_t n_earlier, judged, refused;
    uint64_t draws;
    bool elsewhere, explain;
} calls;

/* ------------------------------------------------------------------------- settings */

static const char *word(const char *const *words, size_t n, int64_t i)
{
    return words[(size_t)(i < 0 ? 0 : i) % n];
}

static void set(parity_spec *s, const sequence_step *step)
{
    static const char *const masks[] = {"none", "rows", "heads", "full", "empty"};
    static const char *const biases[] = {"none", "heads", "full"};
    static const char *const causal[] = {"none", "tl", "br"}, *const lens[] = {"none", "keys",
                                                                               "both"};
    static const char *const sinks[] = {"none", "low", "mixed"};
    static const char *const layouts[] = {"bhsd", "bshd", "padded"};
    static const char *const stores[] = {"dense", "packed", "page16"};
    static const double scales[] = {0, 3, 0.25};

    switch (step->what) {
    case 's':
        s->scale = scales[(step->n < 0 ? 0 : step->n) % 3];
        break;
    case 'k':
        s->softcap = (double)(step->n < 0 ? 0 : step->n);
        break;
    case 'm':
        s->mask = word(masks, 5, step->n);
        break;
    case 'e':
        s->bias = word(biases, 3, step->n);
        break;
    case 'h':
        s->sinks = word(sinks, 3, step->n);
        break;
    case 'z':
        s->causal = word(causal, 3, step->n);
        break;
    case 'w':
        s->left = step->n;
        break;
    case 'l':
        s->lens = word(lens, 3, step->n);
        break;
    case 'b':
        s->b = step->n;
        break;
    case 'q':
        s->sq = step->n;
        break;
    case 'n':
        s->sk = step->n;
        break;
    case 'y':
        s->layout = word(layouts, 3, step->n);
        break;
    default:
        s->store = word(stores, 3, step->n);
        s->page = parity_is(s->store, "page16") ? 16 : 0;
    }
}

/* ---------------------------------------------------------------------- plan, scratch */

/* Whether a plan for `a` may serve `b`. */
static bool same_shape(const parity_spec *a, const parity_spec *b)
{
    return a->b == b->b && a->sq == b->sq && a->sk == b->sk && a->page == b->page &&
           parity_is(a->layout, b->layout) && parity_is(a->store, b->store) &&
           (!parity_is(a->store, "packed") ||
            (parity_is(a->lens, "none") && parity_is(b->lens, "none")));
}

static void forget(calls *c, kept_plan *k)
{
    const att_kernel *kernel = c->part->kernel;

    if (k->used && k->plan.handle && kernel->drop)
        kernel->drop(kernel, k->plan.handle);
    *k = (kept_plan){0};
}

static att_status plan_for(calls *c, const att_problem *p, const att_plan **out)
{
    const att_kernel *kernel = c->part->kernel;
    kept_plan *k = c->plan;

    while (k < c->plan + PLANS && !(k->used && same_shape(&k->of, &c->spec)))
        k++;
    if (k == c->plan + PLANS) {
        k = &c->plan[c->next_plan++ % PLANS];
        forget(c, k);
        att_status status = kernel->plan
                                ? kernel->plan(kernel, ATT_OP_ATTEND, p, c->part->values, &k->plan)
                                : ATT_OK;
        if (status != ATT_OK) {
            att_ctx_why(c->x, "%s: plan failed", kernel->name);
            return status;
        }
        k->used = true;
        k->of = c->spec;
    }
    *out = &k->plan;
    return ATT_OK;
}

/* The scratch of the call before where it is as large; else a new one that begins with its bytes.
 */
static bool lend(calls *c, const att_plan *plan, void **data)
{
    size_t align = plan->scratch_align > 64 ? plan->scratch_align : 0, bytes;
    att_guard next = {0};

    *data = NULL;
    if (plan->scratch_bytes == 0)
        return true;
    if (__builtin_add_overflow(plan->scratch_bytes, align, &bytes))
        return false;
    if (!c->scratch.map || c->scratch.bytes != bytes) {
        if (!att_guard_make(&next, bytes, ATT_PLACE_ALIGNED))
            return false;
        if (c->scratch.map)
            memcpy(next.data, c->scratch.data, bytes < c->scratch.bytes ? bytes : c->scratch.bytes);
        att_guard_drop(&c->scratch);
        c->scratch = next;
    }
    *data = c->scratch.data;
    if (align)
        *data = (char *)*data + (align - (uintptr_t)*data % align) % align;
    return true;
}

/* ----------------------------------------------------------------------------- a call */

static void bury(att_guard *dead)
{
    const double pattern = SEQUENCE_DEAD;

    for (size_t i = 0; i + sizeof pattern <= dead->bytes; i += sizeof pattern)
        memcpy((char *)dead->data + i, &pattern, sizeof pattern);
}

/* plan and operator, from a frame that is gone when they return. */
static att_status operate(calls *c, const att_problem *p)
{
    const att_kernel *kernel = c->part->kernel;
    att_guard *lent = &c->frame[c->frames++ % FRAMES];
    frame *f = lent->data;
    const att_plan *plan = NULL;
    void *data = NULL;

    f->p = *p;
    att_status status = plan_for(c, &f->p, &plan);
    if (status == ATT_OK && !lend(c, plan, &data))
        status = ATT_NO_MEMORY;
    if (status == ATT_OK) {
        size_t n = 0;
        while (kernel->params && kernel->params[n].name && n < PARAMS) {
            f->values[n] = c->part->values[n];
            n++;
        }
        f->s = (att_scratch){.data = data,
                             .bytes = plan->scratch_bytes,
                             .handle = plan->handle,
                             .params = n ? f->values : NULL,
                             .host = att_ctx_host(c->x)};
        status = kernel->attend(kernel, &f->p, &f->s);
        if (status != ATT_OK)
            att_ctx_why(c->x, "%s: %s", kernel->name,
                        kernel->last_error ? kernel->last_error(kernel) : "no reason given");
    }
    bury(lent);
    if (status == ATT_OK && data && att_guard_changed(&c->scratch)) {
        att_ctx_why(c->x, "%s wrote past its %zu bytes of scratch", kernel->name,
                    plan->scratch_bytes);
        status = ATT_FAILED;
    }
    return status;
}

/* Elements of two outputs of one call whose bits differ. */
static double differing(const parity_outputs *a, const parity_outputs *b, const parity_spec *s)
{
    size_t size = att_dtype_size(s->dtype), n = (size_t)(s->b * s->hq * s->sq * s->dv);
    double differ = 0;

    for (size_t i = 0; i < n; i++)
        differ += memcmp((char *)a->got.data + i * size, (char *)b->got.data + i * size, size) != 0;
    return differ;
}

static att_status judge(calls *c, const att_problem *p, parity_outputs *o)
{
    att_status status = parity_judge(c->x, c->in, p, o, &c->units, false);

    if (status != ATT_OK)
        return status;
    c->judged++;
    if (!att_ctx_holds(c->x) && c->explain && att_ctx_kernel(c->x)->class_ == ATT_EXACT)
        sequence_explain(c->x, c->in, c->earlier, c->n_earlier, o, &c->units);
    return ATT_OK;
}

/* One call on c->in; again: its output must be that of the call before, bit for bit. */
static att_status call(calls *c, bool again)
{
    att_problem p = c->in->given;
    parity_outputs o = {0};
    att_status status = ATT_NO_MEMORY;

    if (!parity_outputs_make(c->in, &p, &o))
        goto done;
    if (att_ctx_kernel(c->x)->class_ == ATT_OWN)
        p.lse = (att_tensor){0};
    status = operate(c, &p);
    if (status == ATT_OK)
        status = judge(c, &p, &o);
    if (status == ATT_OK && again && c->out.got.data &&
        (c->part->kernel->traits & ATT_TRAIT_DETERMINISTIC)) /* rows past a length stay unwritten */
        att_ctx_record(c->x, "repeat_differs",
                       parity_is(c->spec.lens, "both") ? 0 : differing(&c->out, &o, &c->spec));
    if (status == ATT_OK) {
        parity_outputs_drop(&c->out);
        c->out = o;
        c->earlier[c->n_earlier++ % EARLIER] = c->in->spec;
        return ATT_OK;
    }
done:
    parity_outputs_drop(&o);
    return status;
}

static bool supported(calls *c)
{
    att_reason why = {""};
    att_problem p = c->in->given;
    parity_outputs o = {0};
    bool yes = parity_outputs_make(c->in, &p, &o);

    if (att_ctx_kernel(c->x)->class_ == ATT_OWN)
        p.lse = (att_tensor){0};
    yes = yes && c->part->kernel->supports(c->part->kernel, ATT_OP_ATTEND, &p, c->part->values,
                                           &why) == ATT_OK;
    why.text[sizeof why.text - 1] = '\0';
    if (!yes)
        att_ctx_why(c->x, "%s", *why.text ? why.text : "no reason given");
    parity_outputs_drop(&o);
    return yes;
}

static att_status fresh_call(calls *c)
{
    parity_inputs *old = c->in, *in = NULL;

    c->spec.draw = ++c->draws;
    if (parity_nonsense(&c->spec))
        return ATT_OK;
    if (!c->elsewhere)
        parity_inputs_drop(old), old = NULL;
    c->in = NULL;
    att_status status = parity_inputs_make(c->x, &c->spec, &in);
    parity_inputs_drop(old);
    c->elsewhere = false;
    parity_outputs_drop(&c->out);
    c->out = (parity_outputs){0};
    if (status != ATT_OK)
        return status;
    c->in = in;
    if (!supported(c)) {
        c->refused++;
        parity_inputs_drop(in);
        c->in = NULL;
        return ATT_OK;
    }
    return call(c, false);
}

static att_status take(calls *c, const sequence_step *step)
{
    switch (step->what) {
    case 'c':
        return fresh_call(c);
    case 'r':
        return c->in ? call(c, true) : ATT_OK;
    case 'a':
        c->elsewhere = true;
        return ATT_OK;
    case 'p':
        for (size_t i = 0; i < PLANS; i++)
            forget(c, &c->plan[i]);
        return ATT_OK;
    default:
        set(&c->spec, step);
        return ATT_OK;
    }
}

att_status sequence_calls(att_ctx *x, void *arg)
{
    const sequence_plan *plan = arg;
    calls *c = calloc(1, sizeof *c);
    att_status status = c ? ATT_OK : ATT_NO_MEMORY;
    size_t i = 0;

    if (!c)
        return status;
    c->x = x;
    c->part = &att_ctx_variant(x)->part[0];
    c->spec = plan->spec;
    c->explain = plan->explain;
    if (!c->part->kernel->attend) {
        att_ctx_why(x, "%s does not offer attend", c->part->kernel->name);
        status = ATT_UNSUPPORTED;
    }
    if (status == ATT_OK)
        status = parity_ready(x, &c->spec, &c->units);
    for (size_t k = 0; k < FRAMES && status == ATT_OK; k++)
        status = att_guard_make(&c->frame[k], sizeof(frame), ATT_PLACE_ALIGNED) ? ATT_OK
                                                                                : ATT_NO_MEMORY;
    for (; i < plan->steps.n && status == ATT_OK && att_ctx_holds(x); i++)
        status = take(c, &plan->steps.step[i]);
    if (status == ATT_OK && c->judged == 0)
        status = ATT_UNSUPPORTED;
    att_ctx_record(x, "calls", (double)c->judged);
    att_ctx_record(x, "steps", (double)i);
    parity_inputs_drop(c->in);
    parity_outputs_drop(&c->out);
    for (size_t k = 0; k < PLANS; k++)
        forget(c, &c->plan[k]);
    for (size_t k = 0; k < FRAMES; k++)
        att_guard_drop(&c->frame[k]);
    att_guard_drop(&c->scratch);
    free(c);
    return status;
}
