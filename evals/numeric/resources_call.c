/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/numeric/resources.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/fp.h"
#include "base/heap.h"
#include "core/watch.h"

static att_tensor rows_of(const resources_shape *s, void *data, size_t page)
{
    att_tensor t = att_tensor_dense(data, s->dtype, 1, s->hkv, s->capacity, s->d);

    if (s->apart) {
        t.stride[2] = (int64_t)(page / att_dtype_size(s->dtype));
        t.stride[1] = t.stride[2] * s->capacity;
        t.stride[0] = t.stride[1] * s->hkv;
    }
    return t;
}

static bool make_keys(const resources_shape *s, att_touch *t, att_tensor *out)
{
    const long page = sysconf(_SC_PAGESIZE);
    const size_t row = (size_t)s->d * att_dtype_size(s->dtype);
    const size_t step = s->apart ? (size_t)page : row;

    if (row > (size_t)page || !att_touch_make(t, (size_t)(s->hkv * s->capacity) * step))
        return false;
    *out = rows_of(s, t->data, (size_t)page);
    return true;
}

/* The same thousand numbers again and again: what is counted here does not depend on them. */
static void put_numbers(const att_tensor *t, int64_t rows, att_rng *rng)
{
    double some[997];
    size_t n = 0;

    for (size_t i = 0; i < sizeof some / sizeof *some; i++)
        some[i] = att_rng_normal(rng);
    for (int64_t h = 0; h < t->shape[1]; h++)
        for (int64_t i = 0; i < rows; i++)
            for (int64_t d = 0; d < t->shape[3]; d++)
                att_fp_store(t->data, t->dtype, att_tensor_at(t, 0, h, i, d),
                             some[n++ % (sizeof some / sizeof *some)]);
}

att_status resources_make(att_ctx *x, const resources_shape *s, resources_inputs *in)
{
    const size_t rows = (size_t)(s->hq * s->sq), size = att_dtype_size(s->dtype);
    att_rng rng = att_ctx_rng(x, "numbers");

    *in = (resources_inputs){.shape = *s, .p = att_problem_init(), .length = (int32_t)s->length};
    in->k.slot = in->v.slot = in->scratch.slot = -1;
    in->q = malloc(rows * (size_t)s->d * size + 1);
    in->out = malloc(rows * (size_t)s->d * size + 1);
    in->lse = malloc(rows * sizeof(float) + 1);
    att_problem *p = &in->p;
    if (!in->q || !in->out || !in->lse || !make_keys(s, &in->k, &p->k) ||
        !make_keys(s, &in->v, &p->v)) {
        att_ctx_why(x, "no memory for the inputs");
        return ATT_NO_MEMORY;
    }
    p->batch = 1;
    p->heads_q = s->hq;
    p->heads_kv = s->hkv;
    p->q_len = s->sq;
    p->kv_len = s->capacity;
    p->head_dim = p->value_dim = s->d;
    p->causal = ATT_CAUSAL_BOTTOM_RIGHT;
    p->window_left = s->left;
    p->q = att_tensor_dense(in->q, s->dtype, 1, s->hq, s->sq, s->d);
    p->out = att_tensor_dense(in->out, s->dtype, 1, s->hq, s->sq, s->d);
    p->lse = att_tensor_dense(in->lse, ATT_F32, 1, 1, s->hq, s->sq);
    if (att_ctx_kernel(x)->class_ == ATT_OWN)
        p->lse = (att_tensor){0};
    if (s->length < s->capacity)
        p->kv_lengths = att_tensor_dense(&in->length, ATT_I32, 1, 1, 1, 1);
    put_numbers(&p->q, s->sq, &rng);
    put_numbers(&p->k, s->length, &rng);
    put_numbers(&p->v, s->length, &rng);
    return ATT_OK;
}

void resources_drop(resources_inputs *in)
{
    att_touch_drop(&in->k);
    att_touch_drop(&in->v);
    att_touch_drop(&in->scratch);
    free(in->q);
    free(in->out);
    free(in->lse);
}

att_status resources_support(att_ctx *x, const resources_inputs *in)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    const att_kernel *k = part->kernel;
    att_reason reason = {""};

    if (!k->attend) {
        att_ctx_why(x, "%s does not offer this operator", k->name);
        return ATT_UNSUPPORTED;
    }
    const att_status status = k->supports(k, ATT_OP_ATTEND, &in->p, part->values, &reason);
    reason.text[sizeof reason.text - 1] = '\0';
    if (status != ATT_OK)
        att_ctx_why(x, "%s", *reason.text ? reason.text : "no reason given");
    return status;
}

/* Rows from `from` on that were touched, over all heads. */
static int64_t rows_touched(const resources_inputs *in, const att_touch *t, int64_t from)
{
    const resources_shape *s = &in->shape;
    int64_t rows = 0;

    for (int64_t h = 0; h < s->hkv && from < s->capacity; h++)
        rows += (int64_t)att_touch_count(t, (size_t)(h * s->capacity + from) * t->page,
                                         (size_t)(s->capacity - from) * t->page);
    return rows;
}

static void count(const resources_inputs *in, resources_use *use)
{
    const att_touch *scratch = &in->scratch;
    const int64_t k = rows_touched(in, &in->k, 0), v = rows_touched(in, &in->v, 0);
    const int64_t page = (int64_t)in->k.page;
    const int64_t own = scratch->data ? (int64_t)att_touch_count(scratch, 0, scratch->bytes) : 0;

    use->rows_read = k > v ? k : v;
    use->rows_past = rows_touched(in, &in->k, in->shape.length) +
                     rows_touched(in, &in->v, in->shape.length);
    use->heap_bytes = att_heap_most();
    use->pages = k + v + own + use->heap_bytes / page;
    use->written_bytes = own * page + use->heap_bytes;
}

/* Operator with inputs and scratch closed, so that every page that is touched is counted. */
static att_status operate(att_ctx *x, resources_inputs *in, att_scratch *s, resources_use *use)
{
    const att_kernel *k = att_ctx_kernel(x);
    const bool counted = use && in->shape.apart;

    if (counted && (!att_touch_close(&in->k, false) || !att_touch_close(&in->v, false) ||
                    (in->scratch.data && !att_touch_close(&in->scratch, true))))
        return ATT_NO_MEMORY;
    if (use)
        att_heap_begin();
    att_watch_begin();
    const att_status status = k->attend(k, &in->p, s);
    att_watch_end();
    if (use) {
        att_heap_end();
        if (counted)
            count(in, use);
        use->heap_bytes = att_heap_most();
    }
    att_touch_open(&in->k);
    att_touch_open(&in->v);
    att_touch_open(&in->scratch);
    return status;
}

att_status resources_call(att_ctx *x, resources_inputs *in, resources_use *use)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    const att_kernel *k = part->kernel;
    att_plan plan = {0};
    att_scratch s = {.params = part->values, .host = att_ctx_host(x)};
    att_status status = ATT_OK;

    if (use)
        *use = (resources_use){0};
    if (k->plan)
        status = k->plan(k, ATT_OP_ATTEND, &in->p, part->values, &plan);
    s.handle = plan.handle;
    s.bytes = plan.scratch_bytes;
    if (status == ATT_OK && plan.scratch_bytes) {
        if (in->scratch.bytes < plan.scratch_bytes) {
            att_touch_drop(&in->scratch);
            status = att_touch_make(&in->scratch, plan.scratch_bytes) ? ATT_OK : ATT_NO_MEMORY;
        }
        s.data = in->scratch.data;
    }
    if (status == ATT_OK && use)
        use->scratch_bytes = (int64_t)plan.scratch_bytes;
    if (status == ATT_OK)
        status = operate(x, in, &s, use);
    if (k->drop && plan.handle)
        k->drop(k, plan.handle);
    if (status != ATT_OK)
        att_ctx_why(x, "%s: a call failed", k->name);
    return status;
}
