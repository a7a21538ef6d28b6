/* SPDX-License-Identifier: Apache-2.0 */
/* H2O as a session: a KV cache that never holds more than `budget` keys a sequence and KV head, but
 * for the tokens of the step in work.
 *
 *   append  stores tokens; those whose queries can't come any more are admitted at once
 *   attend  row by row: the row's key is admitted, the row answered on what is held, its weights
 *           added to the masses
 *   admit   before a key enters a full cache: evict argmin of mass_j, j <= t - recent
 *           (ties: the oldest)
 *
 * Why: what h2o.c replays, with the memory really given back; what is evicted is overwritten.
 * Bound: as plain f32 attention on the keys that `seen` reports.  Complexity: O(budget (Dk + Dv)) a
 * query and head; KV cache: budget + q_len rows a sequence and KV head, and a mass each.
 * Source: Zhang et al. 2023, "H2O: heavy-hitter oracle for efficient generative inference". */
#include "common/evict.h"
#include "common/kv.h"

/* One KV head of a sequence. */
typedef struct head {
    att_evict e;          /* what is admitted: places 0 .. n of the rows */
    unsigned char *kv[2]; /* [slots][Dk], [slots][Dv]; behind the admitted rows those that wait */
    int64_t *report;      /* [q_len][slots + 1]: a count and the positions that a row saw */
} head;

typedef struct sequence {
    int64_t length; /* tokens appended; those from heads[].e's last on wait */
    int64_t waiting;
    head *heads;
} sequence;

typedef struct cache {
    att_problem p;                       /* as opened; batch is today's */
    int64_t budget, recent, slots, rows; /* rows: of the last attend */
    sequence *seq;
} cache;

static cache *cache_of(const att_session *s)
{
    return (cache *)(uintptr_t)s;
}

static size_t row_bytes(const cache *c, int side)
{
    return (size_t)(side ? c->p.value_dim : c->p.head_dim) * att_dtype_size(c->p.k.dtype);
}

/* --------------------------------------------------------------------------- memory */

static void drop(const cache *c, sequence *s)
{
    for (int64_t g = 0; s->heads && g < c->p.heads_kv; g++) {
        head *h = s->heads + g;
        void *owned[] = {h->e.j, h->e.mass, h->kv[0], h->kv[1], h->report};
        for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
            free(owned[i]);
    }
    free(s->heads);
    *s = (sequence){0};
}

static bool make(const cache *c, sequence *s)
{
    const size_t n = (size_t)c->slots + 1, reports = (size_t)(c->p.q_len * (c->slots + 1)) + 1;
    bool good = (s->heads = calloc((size_t)c->p.heads_kv + 1, sizeof *s->heads)) != NULL;

    for (int64_t g = 0; good && g < c->p.heads_kv; g++) {
        head *h = s->heads + g;
        h->e = (att_evict){.budget = c->budget,
                           .recent = c->recent,
                           .j = calloc(n, sizeof *h->e.j),
                           .mass = calloc(n, sizeof *h->e.mass)};
        h->report = calloc(reports, sizeof *h->report);
        for (int side = 0; side < 2; side++)
            h->kv[side] = calloc(n, row_bytes(c, side));
        good = h->e.j && h->e.mass && h->report && h->kv[0] && h->kv[1];
    }
    return good;
}

static att_status resize(cache *c, int64_t batch)
{
    for (int64_t b = batch; b < c->p.batch; b++)
        drop(c, c->seq + b);
    c->p.batch = att_min(c->p.batch, batch);
    sequence *seq = realloc(c->seq, (size_t)(batch + 1) * sizeof *seq);
    if (!seq)
        return ATT_NO_MEMORY;
    c->seq = seq;
    for (; c->p.batch < batch; c->p.batch++) {
        seq[c->p.batch] = (sequence){0};
        if (!make(c, seq + c->p.batch)) {
            drop(c, seq + c->p.batch);
            return ATT_NO_MEMORY;
        }
    }
    return ATT_OK;
}

static void close(att_session *session)
{
    cache *c = cache_of(session);

    for (int64_t b = 0; c && b < c->p.batch; b++)
        drop(c, c->seq + b);
    if (c)
        free(c->seq);
    free(c);
}

static att_status open(const att_kernel *self, const att_problem *p, const att_scratch *s,
                       att_session **out)
{
    cache *c = calloc(1, sizeof *c);

    (void)self;
    if (!c)
        return ATT_NO_MEMORY;
    c->p = *p;
    c->p.batch = 0;
    c->budget = att_min(s->params[ATT_EVICT_BUDGET].i, att_max(1, p->kv_len));
    c->recent = att_min(s->params[ATT_EVICT_RECENT].i, c->budget);
    c->slots = c->budget + att_max(1, p->q_len);
    const att_status status = resize(c, p->batch);
    if (status == ATT_OK)
        *out = (att_session *)c;
    else
        close((att_session *)c);
    return status;
}

/* --------------------------------------------------------------------------- append */

/* The first waiting token of a sequence enters its caches. */
static void admit(const cache *c, sequence *s)
{
    static const att_evict_way way = {0};
    const int64_t t = s->length - s->waiting;

    for (int64_t g = 0; g < c->p.heads_kv; g++) {
        head *h = s->heads + g;
        if (h->e.n == h->e.budget)
            for (int side = 0; side < 2; side++) {
                const size_t bytes = row_bytes(c, side);
                const int64_t gone = att_evict_victim(&h->e, t);
                memmove(h->kv[side] + (size_t)gone * bytes,
                        h->kv[side] + (size_t)(gone + 1) * bytes,
                        (size_t)(h->e.n + s->waiting - gone - 1) * bytes);
            }
        att_evict_append(&way, &h->e, t);
    }
    s->waiting--;
}

static bool appendable(const cache *c, const att_problem *p)
{
    const att_tensor *t[2] = {&p->k, &p->v};
    bool yes = p->batch >= 0 && p->kv_len >= 0;

    for (int side = 0; side < 2 && yes; side++)
        yes = t[side]->dtype == c->p.k.dtype && att_given(t[side]) &&
              att_shaped(t[side], p->batch, c->p.heads_kv, p->kv_len,
                         side ? c->p.value_dim : c->p.head_dim);
    for (int64_t b = 0; b < p->batch && yes; b++) {
        const int64_t n = p->kv_lengths.data ? att_i32_at(&p->kv_lengths, b) : p->kv_len;
        const int64_t had = b < c->p.batch ? c->seq[b].length : 0;
        yes = n >= 0 && n <= p->kv_len && n <= c->p.kv_len - had;
    }
    return yes;
}

static void store(const cache *c, sequence *s, const att_problem *p, int64_t b, int64_t i)
{
    if (s->waiting == c->slots - c->budget)
        admit(c, s);
    for (int64_t g = 0; g < c->p.heads_kv; g++)
        for (int side = 0; side < 2; side++) {
            const att_tensor *t = side ? &p->v : &p->k;
            const size_t size = att_dtype_size(t->dtype), bytes = row_bytes(c, side);
            unsigned char *to = s->heads[g].kv[side] +
                                (size_t)(s->heads[g].e.n + s->waiting) * bytes;
            for (int64_t d = 0; d < t->shape[3]; d++)
                memcpy(to + (size_t)d * size,
                       (const unsigned char *)t->data +
                           att_tensor_at(t, b, g, i, d) * (int64_t)size,
                       size);
        }
    s->waiting++;
    s->length++;
}

static att_status append(att_session *session, const att_problem *p)
{
    cache *c = cache_of(session);

    if (!appendable(c, p))
        return ATT_INVALID;
    const att_status status = p->batch == c->p.batch ? ATT_OK : resize(c, p->batch);
    for (int64_t b = 0; b < p->batch && status == ATT_OK; b++) {
        const int64_t n = p->kv_lengths.data ? att_i32_at(&p->kv_lengths, b) : p->kv_len;
        for (int64_t i = 0; i < n; i++)
            store(c, c->seq + b, p, b, i);
    }
    return status;
}

/* --------------------------------------------------------------------------- attend */

/* One query head over the admitted keys up to `position`, its weights added to mass. */
static void answer(const cache *c, const att_problem *p, const att_seq *seq, const att_row *row,
                   const head *h, int64_t n, double *mass, float *x)
{
    const int64_t dk = p->head_dim, dv = p->value_dim, padded = att_round_up(n, ATT_W);
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    float *q = x + padded + ATT_W, *one = q + dk, *o = one + att_max(dk, dv), top = -INFINITY;
    float sum = 0;

    att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, seq->at, row->h, row->i, 0),
                 p->q.stride[3], dk, q);
    for (int64_t c0 = 0; c0 < n; c0++) {
        att_load_row(h->kv[0], c->p.k.dtype, c0 * dk, 1, dk, one);
        x[c0] = att_dot(q, one, dk) * rules.scale;
    }
    if (rules.cap > 0)
        att_logits_cap(&rules, n, x);
    for (int64_t c0 = n; c0 < padded; c0++)
        x[c0] = -INFINITY;
    if (n) {
        top = att_softmax_top(top, x, padded);
        sum = att_softmax_weights(top, x, padded);
    }
    memset(o, 0, (size_t)dv * sizeof *o);
    for (int64_t c0 = 0; c0 < n; c0++) {
        att_load_row(h->kv[1], c->p.k.dtype, c0 * dv, 1, dv, one);
        att_axpy(x[c0], one, dv, o);
        mass[c0] += top == -INFINITY ? NAN : (double)x[c0] / (double)sum;
    }
    att_softmax_finish(p, seq, row, n == 0, top, sum, o);
}

static void attend_sequence(const cache *c, const att_problem *p, int64_t b, float *x)
{
    sequence *s = c->seq + b;
    const int64_t group = p->heads_q / p->heads_kv;
    const att_seq seq = {.b = b, .at = b, .kv_at = b, .q_len = p->q_len, .kv_len = s->length};

    for (int64_t i = 0; i < p->q_len; i++) {
        const int64_t t = s->length - p->q_len + i;
        while (s->waiting && s->length - s->waiting <= t)
            admit(c, s);
        for (int64_t g = 0; g < p->heads_kv; g++) {
            head *h = s->heads + g;
            int64_t n = 0, *report = h->report + i * (c->slots + 1);
            while (n < h->e.n && h->e.j[n] <= t)
                n++;
            report[0] = n;
            memcpy(report + 1, h->e.j, (size_t)n * sizeof *report);
            for (int64_t e = 0; e < group; e++) {
                const att_row row = {.h = g * group + e, .i = i, .position = t, .hi = n};
                answer(c, p, &seq, &row, h, n, h->e.mass, x);
            }
        }
    }
}

static bool askable(const cache *c, const att_problem *p)
{
    return p->batch == c->p.batch && p->heads_q == c->p.heads_q && p->heads_kv == c->p.heads_kv &&
           p->head_dim == c->p.head_dim && p->value_dim == c->p.value_dim && p->q_len >= 0 &&
           p->q_len <= c->p.q_len && p->q.dtype == c->p.q.dtype && p->causal == c->p.causal &&
           p->window_left == c->p.window_left && p->heads_kv > 0 &&
           att_shaped(&p->q, p->batch, p->heads_q, p->q_len, p->head_dim) &&
           att_shaped(&p->out, p->batch, p->heads_q, p->q_len, p->value_dim) && att_given(&p->q) &&
           att_given(&p->out);
}

static att_status attend(att_session *session, const att_problem *p)
{
    cache *c = cache_of(session);

    if (p->mask.data || p->bias.data || p->block_mask.data || p->q_positions.data ||
        p->k_positions.data || p->q_lengths.data || p->cu_q.data || p->alibi_slopes.data)
        return ATT_UNSUPPORTED;
    if (!askable(c, p))
        return ATT_INVALID;
    const int64_t floats = c->slots + 4 * ATT_W + 2 * (p->head_dim + p->value_dim);
    float *x = malloc((size_t)floats * sizeof *x);
    if (!x)
        return ATT_NO_MEMORY;
    c->rows = p->q_len;
    for (int64_t b = 0; b < p->batch; b++)
        attend_sequence(c, p, b, x);
    free(x);
    return ATT_OK;
}

static att_status seen(const att_session *session, uint8_t *allowed)
{
    const cache *c = cache_of(session);
    const int64_t group = c->p.heads_q / c->p.heads_kv;
    int64_t most = 0;

    for (int64_t b = 0; b < c->p.batch; b++)
        most = att_max(most, c->seq[b].length);
    for (int64_t n = 0; n < c->p.batch * c->p.heads_q * c->rows; n++) {
        const int64_t b = n / c->rows / c->p.heads_q, h = n / c->rows % c->p.heads_q;
        const int64_t *report = c->seq[b].heads[h / group].report + n % c->rows * (c->slots + 1);
        memset(allowed + n * most, 0, (size_t)most);
        for (int64_t e = 1; e <= report[0]; e++)
            allowed[n * most + report[e]] = 1;
    }
    return ATT_OK;
}

/* What was evicted is gone: only to nothing. */
static att_status rollback(att_session *session, int64_t length)
{
    cache *c = cache_of(session);
    bool any = false;

    for (int64_t b = 0; b < c->p.batch; b++)
        any |= c->seq[b].length > length;
    if (length < 0)
        return ATT_INVALID;
    if (any && length > 0)
        return ATT_UNSUPPORTED;
    for (int64_t b = 0; any && b < c->p.batch; b++) {
        for (int64_t g = 0; g < c->p.heads_kv; g++)
            c->seq[b].heads[g].e.n = 0;
        c->seq[b].length = c->seq[b].waiting = 0;
    }
    return ATT_OK;
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    const att_status status = att_kv_supports(self, op, p, params, why);

    if (status == ATT_OK && (p->window_left >= 0 || p->k.dtype == ATT_I8))
        return att_refuse(why, ATT_UNSUPPORTED, "a window, or int8 rows");
    return status;
}

static const att_param PARAMS[] = {ATT_EVICT_PARAMS("256", "128"), {0}};

/* Held: the budget, and the tokens of a step. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const int64_t budget = params[ATT_EVICT_BUDGET].i;
    const att_status status = att_stream_cost(p, budget, false, out);

    (void)self;
    out->state_bytes = att_cache_bytes(p, att_min(p->kv_len, budget) + att_max(1, p->q_len));
    return status;
}

static const att_session_ops session = {.open = open,
                                        .append = append,
                                        .attend = attend,
                                        .rollback = rollback,
                                        .close = close,
                                        .seen = seen};

const att_kernel att_kernel_h2o_cache = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "h2o_cache",
    .family = "memory",
    .summary = "H2O as a session: recent keys and heavy hitters, the rest evicted",
    .source = "Zhang et al. 2023, H2O",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .cost = cost,
    .session = &session,
};
