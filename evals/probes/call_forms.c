/* SPDX-License-Identifier: Apache-2.0 */
/* The forms in which a kernel that attends is handed a circuit: the same numbers, stored otherwise.
 *
 *   f32, f16, bf16      Q, K, V and out of that type
 *   latent              K row = [V row | key], V the view of its first columns, one KV head: what
 *                       latent attention caches; a context is a sequence, the scale still 1/8
 *   shared              a question's head is a sequence of its own; those of one context share all
 *                       pages, of gcd(len, 64) keys
 *   paged               such pages, one sequence
 *   i8tok ... e5m2      K and V quantised (numeric/parity_quant.c), Q and out f32
 *
 * "auto" is the first that the kernel's `supports` takes, in this order.  Latent and shared change
 * which heads there are, and are for exact kernels, whose keys don't depend on them. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/parity.h"
#include "evals/probes/call_parts.h"

#define OWNED 8
#define ALIGN 64
#define PAGE  64

/* What a kernel is handed; without `real`, shapes and types alone. */
typedef struct handed {
    att_problem p;
    bool real, failed;
    void *owned[OWNED];
    size_t n;
} handed;

typedef struct form form;
struct form {
    const char *name;
    void (*hand)(const probe_asking *a, const form *f, float *out, handed *h);
    int32_t dtype;
    const char *k, *v; /* schemes */
};

/* Memory that lives with the call; a place that nobody reads where nothing is real. */
static void *room(handed *h, size_t bytes)
{
    if (!h->real)
        return h;
    void *data = aligned_alloc(ALIGN, (bytes + ALIGN) / ALIGN * ALIGN);
    if (!data || h->n == OWNED) {
        free(data);
        h->failed = true;
        return h;
    }
    h->owned[h->n++] = data;
    return data;
}

static bool usable(const handed *h)
{
    return h->real && !h->failed;
}

/* n numbers, `by` times, as dtype: where they are, if that will do. */
static void *stored(const probe_asking *a, handed *h, int32_t dtype, const float *from, float by,
                    int64_t n)
{
    const int64_t align = a->part->kernel->align;

    if (dtype == ATT_F32 && by == 1 && (align < 2 || (intptr_t)from % align == 0))
        return (void *)(uintptr_t)from;
    void *to = room(h, (size_t)n * att_dtype_size(dtype));
    if (usable(h) && dtype == ATT_F32)
        probe_times(to, from, by, n);
    for (int64_t i = 0; i < n && usable(h) && dtype != ATT_F32; i++)
        att_fp_store(to, dtype, i, (double)(by * from[i]));
    return to;
}

/* The result's memory, which starts as NaN. */
static void *result(const probe_asking *a, handed *h, int32_t dtype, float *out)
{
    const int64_t align = a->part->kernel->align, n = probe_rows(a->c) * a->c->width;
    const size_t bytes = (size_t)n * att_dtype_size(dtype);

    if (dtype == ATT_F32 && out && (align < 2 || (intptr_t)out % align == 0))
        return out;
    void *to = room(h, bytes);
    if (usable(h))
        memset(to, 0xff, bytes);
    return to;
}

static void hand_queries(const probe_asking *a, int32_t dtype, float *out, handed *h)
{
    const probe_circuit *c = a->c;
    const int64_t heads = c->contexts * c->heads;
    void *q = stored(a, h, dtype, a->q, a->fit.q, probe_rows(c) * PROBE_CODE);

    h->p.q = att_tensor_dense(q, dtype, 1, heads, c->rows, PROBE_CODE);
    h->p.out = att_tensor_dense(result(a, h, dtype, out), dtype, 1, heads, c->rows, c->width);
}

static void hand_plain(const probe_asking *a, const form *f, float *out, handed *h)
{
    const probe_circuit *c = a->c;
    const int64_t n = c->contexts * c->len;

    h->p.k.data = stored(a, h, f->dtype, c->k, 1, n * PROBE_CODE);
    h->p.v.data = stored(a, h, f->dtype, c->v, 1, n * c->width);
    h->p.k.dtype = h->p.v.dtype = f->dtype;
    hand_queries(a, f->dtype, out, h);
}

/* Rows of a and of b side by side; NULL = zeros. */
static void side_by_side(const float *a, int64_t wide, const float *b, float by, int64_t rows,
                         float *to)
{
    for (int64_t r = 0; r < rows; r++, to += wide + PROBE_CODE) {
        if (a)
            memcpy(to, a + r * wide, (size_t)wide * sizeof *to);
        else
            memset(to, 0, (size_t)wide * sizeof *to);
        probe_times(to + wide, b + r * PROBE_CODE, by, PROBE_CODE);
    }
}

static void hand_latent(const probe_asking *a, const form *f, float *out, handed *h)
{
    const probe_circuit *c = a->c;
    const int64_t wide = c->width + PROBE_CODE, tokens = c->contexts * c->len;
    float *k = room(h, (size_t)(tokens * wide) * sizeof *k);
    float *q = room(h, (size_t)(probe_rows(c) * wide) * sizeof *q);
    void *o = result(a, h, f->dtype, out);

    if (usable(h)) {
        side_by_side(c->v, c->width, c->k, 1, tokens, k);
        side_by_side(NULL, c->width, a->q, a->fit.q, probe_rows(c), q);
    }
    h->p.batch = c->contexts;
    h->p.heads_q = c->heads;
    h->p.heads_kv = 1;
    h->p.head_dim = wide;
    h->p.scale = 1.0 / 8;
    h->p.q = att_tensor_dense(q, ATT_F32, c->contexts, c->heads, c->rows, wide);
    h->p.out = att_tensor_dense(o, ATT_F32, c->contexts, c->heads, c->rows, c->width);
    h->p.k = h->p.v = att_tensor_dense(k, ATT_F32, c->contexts, 1, c->len, wide);
    h->p.v.shape[3] = c->width;
}

static int64_t page_of(int64_t len)
{
    int64_t page = PAGE;

    while (len % page)
        page /= 2;
    return page;
}

/* Pages are views: those of a context lie behind each other. */
static void page_keys(const probe_circuit *c, int64_t pages, int64_t heads_kv, att_tensor *t)
{
    const int64_t page = c->len / pages, width = t->shape[3], n = c->contexts * pages / heads_kv;

    t->shape[0] = n;
    t->shape[1] = heads_kv;
    t->shape[2] = page;
    t->stride[0] = page * width;
    t->stride[1] = c->len * width;
}

static void hand_paged(const probe_asking *a, const form *f, float *out, handed *h)
{
    const int64_t page = page_of(a->c->len), pages = a->c->len / page;
    int32_t *table = room(h, (size_t)pages * sizeof *table);

    for (int64_t n = 0; n < pages && usable(h); n++)
        table[n] = (int32_t)n;
    hand_plain(a, f, out, h);
    h->p.page_size = page;
    h->p.block_table = att_tensor_dense(table, ATT_I32, 1, 1, 1, pages);
    page_keys(a->c, pages, a->c->contexts, &h->p.k);
    page_keys(a->c, pages, a->c->contexts, &h->p.v);
}

static void hand_shared(const probe_asking *a, const form *f, float *out, handed *h)
{
    const probe_circuit *c = a->c;
    const int64_t page = page_of(c->len), pages = c->len / page, heads = c->contexts * c->heads;
    int32_t *table = room(h, (size_t)(heads * pages) * sizeof *table);

    for (int64_t n = 0; n < heads * pages && usable(h); n++)
        table[n] = (int32_t)(n / pages / c->heads * pages + n % pages);
    hand_plain(a, f, out, h);
    h->p.batch = heads;
    h->p.heads_q = h->p.heads_kv = 1;
    h->p.page_size = page;
    h->p.block_table = att_tensor_dense(table, ATT_I32, 1, 1, heads, pages);
    h->p.q = att_tensor_dense(h->p.q.data, f->dtype, heads, 1, c->rows, PROBE_CODE);
    h->p.out = att_tensor_dense(h->p.out.data, f->dtype, heads, 1, c->rows, c->width);
    page_keys(c, pages, 1, &h->p.k);
    page_keys(c, pages, 1, &h->p.v);
}

/* One side quantised: scales of all rows first, then codes. */
static void quantise(const probe_circuit *c, const float *from, int64_t width, const char *scheme,
                     handed *h, att_tensor *t, att_quant *q)
{
    const parity_scheme *how = parity_scheme_named(scheme);
    const int64_t n[4] = {1, c->contexts, c->len, width};
    const int64_t units = parity_code_units(how->dtype, width);
    const size_t block = att_fp_block_bytes(how->dtype);
    parity_shape shape = parity_shape_of("bhsd", 1, c->contexts, c->len, units);
    double *row = room(h, (size_t)width * sizeof *row);
    int64_t extents[4];

    *t = parity_code_tensor(&shape, room(h, (size_t)shape.extent * (block ? block : 1)), how->dtype,
                            width);
    *q = parity_quant_of(how, n, extents);
    if (q->scheme == ATT_QUANT_AFFINE) {
        shape = parity_shape_of("bhsd", extents[0], extents[1], extents[2], extents[3]);
        const size_t bytes = (size_t)shape.extent * att_dtype_size(how->scales);
        q->scales = parity_tensor(&shape, room(h, bytes), how->scales);
        if (usable(h))
            memset(q->scales.data, 0, bytes);
    }
    for (int64_t r = 0; r < 2 * c->contexts * c->len && usable(h); r++) {
        const int64_t j = r % (c->contexts * c->len);
        for (int64_t d = 0; d < width; d++)
            row[d] = (double)from[j * width + d];
        (r == j ? parity_scale_row : parity_code_row)(t, q, 0, j / c->len, j % c->len, row);
    }
}

static void hand_quantised(const probe_asking *a, const form *f, float *out, handed *h)
{
    quantise(a->c, a->c->k, PROBE_CODE, f->k, h, &h->p.k, &h->p.k_quant);
    quantise(a->c, a->c->v, a->c->width, f->v, h, &h->p.v, &h->p.v_quant);
    hand_queries(a, ATT_F32, out, h);
}

static const form forms[] = {
    {"f32", hand_plain, ATT_F32, NULL, NULL},
    {"f16", hand_plain, ATT_F16, NULL, NULL},
    {"bf16", hand_plain, ATT_BF16, NULL, NULL},
    {"latent", hand_latent, ATT_F32, NULL, NULL},
    {"shared", hand_shared, ATT_F32, NULL, NULL},
    {"paged", hand_paged, ATT_F32, NULL, NULL},
    {"i8tok", hand_quantised, ATT_F32, "i8tok", "i8tok"},
    {"i8chan", hand_quantised, ATT_F32, "i8chan", "i8chan"},
    {"kivi", hand_quantised, ATT_F32, "i8run", "i8group"},
    {"q8_0", hand_quantised, ATT_F32, "q8_0", "q8_0"},
    {"q4_0", hand_quantised, ATT_F32, "q4_0", "q4_0"},
    {"e4m3", hand_quantised, ATT_F32, "e4m3", "e4m3"},
    {"e5m2", hand_quantised, ATT_F32, "e5m2", "e5m2"},
};
#define FORMS (sizeof forms / sizeof *forms)

static handed hand(const probe_asking *a, const form *f, bool real, float *out)
{
    handed h = {.p = probe_problem(a->c), .real = real};

    f->hand(a, f, out, &h);
    return h;
}

static bool of_other_heads(const form *f)
{
    return f->hand == hand_latent || f->hand == hand_shared;
}

static bool takes(const probe_asking *a, const form *f, att_op op)
{
    const att_kernel *k = a->part->kernel;

    if (of_other_heads(f) && k->class_ != ATT_EXACT)
        return false;
    const handed h = hand(a, f, false, NULL);
    att_reason why;

    return k->supports(k, op, &h.p, a->part->values, &why) == ATT_OK;
}

/* The one that is asked for; the first that the kernel takes; f32, which it will refuse. */
static const form *form_for(const probe_asking *a, att_op op)
{
    const bool any = strcmp(a->store, "auto") == 0;

    for (size_t i = 0; i < FORMS; i++)
        if (any ? takes(a, &forms[i], op) : strcmp(forms[i].name, a->store) == 0)
            return &forms[i];
    return &forms[0];
}

double probe_store_unit(const att_variant_part *part, const probe_circuit *c,
                        const probe_manner *how)
{
    const probe_asking a = {
        .part = part, .c = c, .q = c->q, .fit = {1, 1}, .store = how->store ? how->store : "auto"};
    const form *f = part->kernel->attend ? form_for(&a, ATT_OP_ATTEND) : &forms[0];

    return f->k ? (double)NAN : att_fp_format(f->dtype).unit;
}

att_status probe_attend(const probe_asking *a, probe_wanted w)
{
    const att_op op = w.out ? ATT_OP_ATTEND : ATT_OP_SELECT;
    const form *f = form_for(a, op);

    if (of_other_heads(f) && a->part->kernel->class_ != ATT_EXACT) {
        att_ctx_why(a->x, "store=%s is for exact kernels", f->name);
        return ATT_UNSUPPORTED;
    }
    handed h = hand(a, f, true, w.out);
    att_status status = h.failed ? ATT_NO_MEMORY : att_ctx_call(a->x, a->part, op, &h.p, w.allowed);

    for (int64_t i = 0; w.out && status == ATT_OK && i < probe_rows(a->c) * a->c->width; i++)
        if (h.p.out.data == w.out)
            break;
        else
            w.out[i] = (float)att_fp_load(h.p.out.data, h.p.out.dtype, i);
    while (h.n)
        free(h.owned[--h.n]);
    return status;
}
