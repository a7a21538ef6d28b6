/* SPDX-License-Identifier: Apache-2.0 */
/* One call of attention with K and V closed, what it touched, and what was declared. */
#include <stdlib.h>
#include <string.h>

#include "evals/cost/cost.h"

/* Gives c->p K and V on pages, apart where the kernel takes such strides. */
static att_status lay_out(att_ctx *x, cost_call *c)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    const att_kernel *kernel = part->kernel;
    att_status status = ATT_NO_MEMORY;

    for (int apart = 1; apart >= 0; apart--) {
        att_reason why = {""};
        cost_side_drop(&c->v);
        cost_side_drop(&c->k);
        if (!cost_side_make(&c->in->given.k, apart, &c->k))
            return ATT_NO_MEMORY;
        if (parity_is(c->in->spec.layout, "shared"))
            cost_side_share(&c->k, c->in->spec.dv, &c->v);
        else if (!cost_side_make(&c->in->given.v, apart, &c->v))
            return ATT_NO_MEMORY;
        c->p.k = c->k.view;
        c->p.v = c->v.view;
        status = kernel->supports(kernel, ATT_OP_ATTEND, &c->p, part->values, &why);
        why.text[sizeof why.text - 1] = '\0';
        if (status != ATT_OK)
            att_ctx_why(x, "%s", *why.text ? why.text : "no reason given");
        if (status != ATT_UNSUPPORTED)
            break;
    }
    return status;
}

static att_status call(att_ctx *x, cost_call *c)
{
    att_status status = ATT_NO_MEMORY;

    if (cost_side_close(&c->k) && cost_side_close(&c->v))
        status = att_ctx_attend(x, &c->p);
    cost_side_open(&c->k);
    cost_side_open(&c->v); /* where shared, what K's rows show */
    return status;
}

/* What is declared, and whether K or V was looked at for it. */
static att_status declare(att_ctx *x, cost_call *c)
{
    const att_variant_part *part = att_ctx_variant(x)->part;

    att_touch *const memory[] = {&c->k.memory, c->v.shared ? NULL : &c->v.memory};
    bool closed = true;

    for (int i = 0; i < 2; i++)
        closed = closed && (!memory[i] || att_touch_close(memory[i], false));
    c->cost = att_cost_of(part->kernel, &c->p, part->values);
    for (int i = 0; i < 2; i++) {
        if (!memory[i])
            continue;
        att_touch_open(memory[i]);
        c->cost_pages += att_touch_count(memory[i], 0, memory[i]->bytes);
    }
    return closed ? ATT_OK : ATT_NO_MEMORY;
}

/* The pairs attended to: those that the kernel reports, or all that are allowed. */
static att_status attended(att_ctx *x, cost_call *c)
{
    const parity_spec *s = &c->in->spec;
    const att_kernel *kernel = att_ctx_kernel(x);
    const size_t n = (size_t)(s->b * s->hq * s->sq * s->sk);

    if (!kernel->select && kernel->class_ != ATT_EXACT)
        return ATT_OK;
    c->pairs = calloc(n + 1, 1);
    c->want = calloc((size_t)c->k.rows + 1, 1);
    if (!c->pairs || !c->want)
        return ATT_NO_MEMORY;
    memcpy(c->pairs, c->in->allowed, n);
    if (kernel->select) {
        att_status status =
            att_ctx_call(x, att_ctx_variant(x)->part, ATT_OP_SELECT, &c->p, c->pairs);
        if (status != ATT_OK)
            return status;
    }
    const uint8_t *pair = c->pairs;
    for (int64_t b = 0; b < s->b; b++)
        for (int64_t h = 0; h < s->hq; h++)
            for (int64_t i = 0; i < s->sq; i++)
                for (int64_t j = 0; j < s->sk; j++)
                    if (*pair++ && i < c->in->nq[b] && j < c->in->nk[b]) {
                        c->want[cost_row_of(c, b, h / (s->hq / s->hkv), j)] = 1;
                        c->n_pairs++;
                    }
    return ATT_OK;
}

/* Do two tokens lie in one row? */
static att_status find_shared(cost_call *c)
{
    const parity_spec *s = &c->in->spec;
    uint8_t *owned = calloc((size_t)c->k.rows + 1, 1);

    for (int64_t b = 0; owned && b < s->b; b++)
        for (int64_t h = 0; h < s->hkv; h++)
            for (int64_t j = 0; j < c->in->nk[b]; j++) {
                uint8_t *one = owned + cost_row_of(c, b, h, j);
                c->twice |= *one != 0;
                *one = 1;
            }
    const bool held = owned != NULL;
    free(owned);
    return held ? ATT_OK : ATT_NO_MEMORY;
}

att_status cost_reads(att_ctx *x, parity_inputs *in)
{
    const att_kernel *kernel = att_ctx_kernel(x);
    cost_call c = {.in = in, .p = in->given};
    parity_outputs o = {0};
    att_status status = ATT_NO_MEMORY;

    if (!kernel->attend || !kernel->cost) {
        att_ctx_why(x, "%s", kernel->attend ? "declares no cost" : "does not attend");
        return ATT_UNSUPPORTED;
    }
    if (parity_outputs_make(in, &c.p, &o)) {
        if (kernel->class_ == ATT_OWN)
            c.p.lse = (att_tensor){0};
        status = lay_out(x, &c);
    }
    if (status == ATT_OK)
        status = call(x, &c);
    if (status == ATT_OK)
        status = declare(x, &c);
    if (status == ATT_OK)
        status = find_shared(&c);
    if (status == ATT_OK)
        status = attended(x, &c);
    if (status == ATT_OK)
        cost_judge(x, &c);
    parity_outputs_drop(&o);
    cost_side_drop(&c.v);
    cost_side_drop(&c.k);
    free(c.pairs);
    free(c.want);
    return status;
}
