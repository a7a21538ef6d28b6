/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over keys that an indexer picks: one cheap score a query and key, and one choice for
 * all query heads of a row.
 *
 *   I_ts = sum_j w_tj relu(q^I_tj . k^I_s);   kept: the k allowed keys of largest I (ties: lower)
 *
 * Inputs: the problem's index section, or where there is none a training-free default: q^I_j the
 * first Di channels of query head j, k^I their mean over the KV heads, w = 1/Hq.
 * Why a way: the zoo's wrong indexers replace single steps.  Scores are f32, in the order of heads.
 * O(S^2 Hi Di + S k Hq (Dk + Dv)); scratch O(16 S) a slot. */
#ifndef ATT_COMMON_INDEXED_H
#define ATT_COMMON_INDEXED_H

#include "common/choose.h"
#include "common/rows.h"

#define ATT_INDEXED_ROWS 16 /* query rows a task */

/* Rows of a parameter table: k, with this default, and dim. */
#define ATT_INDEXED_PARAMS(keys)                                                                   \
    {.name = "k",                                                                                  \
     .type = ATT_PARAM_INT,                                                                        \
     .role = ATT_ROLE_BUDGET,                                                                      \
     .unit = "keys",                                                                               \
     .fallback = keys,                                                                             \
     .domain = "1:1073741824",                                                                     \
     .levels = "1 8 64",                                                                           \
     .help = "keys kept a row, the same for all heads"},                                           \
    {                                                                                              \
        .name = "dim", .type = ATT_PARAM_INT, .unit = "", .fallback = "64", .domain = "1:65536",   \
        .levels = "4 64",                                                                          \
        .help = "channels of q and k that score where no index is given; at most head_dim"         \
    }

typedef struct att_indexed {
    float (*gate)(float dot); /* NULL: relu */
    bool apart;               /* each query head chooses by its own term */
} att_indexed;

/* A task's room, and what it scores with. */
typedef struct att_indexed_work {
    const att_problem *p;
    const att_indexed *way;
    att_rules rules;
    int64_t k, heads, dim; /* keys kept, Hi, Di */
    int64_t tasks, slots, slot_floats;
    float *room;
    uint8_t *allowed; /* of select; NULL: attend */
} att_indexed_work;

static inline bool att_indexed_layout(const att_problem *p, int64_t k, int64_t dim,
                                      att_indexed_work *w)
{
    int64_t bytes;
    *w = (att_indexed_work){.p = p, .rules = att_rules_make(p, ATT_KEEP_ALL), .k = k};
    const bool given = p->index != NULL;
    w->heads = given ? p->index->index_q.shape[1] : p->heads_q;
    w->dim = given ? p->index->index_q.shape[3] : att_min(dim, p->head_dim);
    w->tasks = p->batch * att_ceil_div(p->q_len, ATT_INDEXED_ROWS);
    w->slots = att_min(ATT_LIST_SLOTS, w->tasks);
    const int64_t own = ATT_INDEXED_ROWS * w->heads * (w->dim + 1) + 2 * w->dim;
    const int64_t list = 2 * p->head_dim + 2 * p->value_dim + 64;
    if (__builtin_mul_overflow(p->kv_len + 2 * ATT_W, ATT_INDEXED_ROWS + 6, &w->slot_floats) ||
        __builtin_add_overflow(w->slot_floats, own + list, &w->slot_floats))
        return false;
    w->slot_floats = (w->slot_floats + 15) / 16 * 16;
    return !__builtin_mul_overflow(w->slots * (int64_t)sizeof(float), w->slot_floats, &bytes);
}

/* q^I and w of a block of rows, [rows][Hi][Di] and [rows][Hi]. */
static inline void att_indexed_queries(const att_indexed_work *w, const att_seq *seq, int64_t first,
                                       int64_t rows, float *q, float *weight)
{
    const att_problem *p = w->p;
    const att_tensor *from = p->index ? &p->index->index_q : &p->q;

    for (int64_t r = 0; r < rows; r++)
        for (int64_t h = 0; h < w->heads; h++) {
            const int64_t i = seq->q_at + first + r;
            att_load_row(from->data, from->dtype, att_tensor_at(from, seq->at, h, i, 0),
                         from->stride[3], w->dim, q + (r * w->heads + h) * w->dim);
            weight[r * w->heads + h] = 1.0f / (float)w->heads;
            if (p->index) {
                const att_tensor *t = &p->index->index_w;
                weight[r * w->heads + h] =
                    att_load(t->data, t->dtype, att_tensor_at(t, seq->at, h, i, 0));
            }
        }
}

/* k^I of key j into k; `one` is room for a head's. */
static inline void att_indexed_key(const att_indexed_work *w, const att_seq *seq, int64_t j,
                                   float *one, float *k)
{
    const att_problem *p = w->p;
    const att_tensor *from = p->index ? &p->index->index_k : &p->k;
    const int64_t heads = p->index ? 1 : p->heads_kv;

    for (int64_t h = 0; h < heads; h++) {
        att_load_row(from->data, from->dtype, att_key_at(p, from, seq, h, j), from->stride[3],
                     w->dim, one);
        for (int64_t d = 0; d < w->dim; d++)
            k[d] = h ? k[d] + one[d] : one[d];
    }
    for (int64_t d = 0; d < w->dim && heads > 1; d++)
        k[d] /= (float)heads;
}

/* I of one row and key, or one head's term of it (h >= 0). */
static inline float att_indexed_score(const att_indexed_work *w, const float *q,
                                      const float *weight, const float *k, int64_t h)
{
    const int64_t from = h < 0 ? 0 : h % w->heads, to = h < 0 ? w->heads : from + 1;
    float sum = 0.0f;

    for (int64_t j = from; j < to; j++) {
        const float dot = att_dot(q + j * w->dim, k, w->dim);
        const float gated = w->way->gate ? w->way->gate(dot) : dot > 0 || isnan(dot) ? dot : 0.0f;
        sum += weight[j] * gated;
    }
    return sum;
}

/* Attends to the chosen keys, or reports them. */
static inline void att_indexed_use(const att_indexed_work *w, att_list *l, const att_row *row,
                                   const int64_t *chosen, int64_t n)
{
    const att_problem *p = w->p;

    l->n = 0;
    for (int64_t c = 0; c < n; c++)
        if (att_pair_allowed(&w->rules, l->seq, row, chosen[c]))
            l->j[l->n++] = chosen[c];
    if (w->allowed) {
        uint8_t *to = w->allowed +
                      ((l->seq->b * p->heads_q + row->h) * p->q_len + row->i) * p->kv_len;
        for (int64_t c = 0; c < l->n; c++)
            to[l->j[c]] = 1;
        return;
    }
    att_list_scores(l, row);
    att_list_finish(l, row);
}

/* Scores x[0..n) of the keys from lo on, -inf where not allowed, to the choice. */
static inline int64_t att_indexed_choose(const att_indexed_work *w, const att_seq *seq,
                                         const att_row *row, int64_t n, float *x, int64_t *chosen,
                                         float *score)
{
    for (int64_t c = 0; c < n; c++)
        if (!att_pair_allowed(&w->rules, seq, row, row->lo + c))
            x[c] = -INFINITY;
    return att_choose(x, n, row->lo, w->k, chosen, score);
}

static inline void att_indexed_block(const att_indexed_work *w, int64_t b, int64_t first,
                                     float *room)
{
    const att_problem *p = w->p;
    const att_seq seq = att_seq_of(p, b);
    const int64_t rows = att_min(ATT_INDEXED_ROWS, seq.q_len - first), width = p->kv_len + ATT_W;
    int64_t *chosen = (int64_t *)(void *)room;
    att_list l = {.rules = &w->rules, .seq = &seq, .j = chosen + p->kv_len + 1};
    float *x = (float *)(void *)(l.j + p->kv_len + 1), *score = x + ATT_INDEXED_ROWS * width;
    float *q = score + width, *weight = q + ATT_INDEXED_ROWS * w->heads * w->dim;
    float *k = weight + ATT_INDEXED_ROWS * w->heads, *one = k + w->dim;

    l.x = score; /* done with when logits are made */
    l.q = one + w->dim;
    l.row = l.q + p->head_dim;
    l.o = l.row + att_max(p->head_dim, p->value_dim);
    att_indexed_queries(w, &seq, first, rows, q, weight);
    for (int64_t h = w->way->apart ? 0 : -1; h < (w->way->apart ? p->heads_q : 0); h++) {
        att_row row[ATT_INDEXED_ROWS];
        int64_t lo = INT64_MAX, hi = 0;
        for (int64_t r = 0; r < rows; r++) {
            row[r] = att_row_of(&w->rules, &seq, att_max(h, 0), first + r);
            lo = att_min(lo, row[r].lo), hi = att_max(hi, row[r].hi);
        }
        for (int64_t j = lo; j < hi; j++) {
            bool loaded = false;
            for (int64_t r = 0; r < rows; r++) {
                if (j < row[r].lo || j >= row[r].hi)
                    continue;
                if (!loaded)
                    att_indexed_key(w, &seq, j, one, k);
                loaded = true;
                x[r * width + j - row[r].lo] =
                    att_indexed_score(w, q + r * w->heads * w->dim, weight + r * w->heads, k, h);
            }
        }
        for (int64_t r = 0; r < rows; r++) {
            const int64_t n = att_indexed_choose(w, &seq, row + r, row[r].hi - row[r].lo,
                                                 x + r * width, chosen, score);
            for (int64_t g = att_max(h, 0); g < (h < 0 ? p->heads_q : h + 1); g++) {
                row[r].h = g;
                l.kv_head = g / (p->heads_q / p->heads_kv);
                att_indexed_use(w, &l, row + r, chosen, n);
            }
        }
    }
}

static inline void att_indexed_body(void *arg, int64_t slot, int thread)
{
    const att_indexed_work *w = arg;
    const int64_t blocks = att_ceil_div(w->p->q_len, ATT_INDEXED_ROWS);
    (void)thread;
    for (int64_t t = slot; t < w->tasks; t += w->slots)
        att_indexed_block(w, t / blocks, t % blocks * ATT_INDEXED_ROWS,
                          w->room + slot * w->slot_floats);
}

/* ---- supports, plan and the operators ---- */

static inline bool att_indexed_shaped(const att_problem *p)
{
    const att_index *x = p->index;
    const int64_t hi = x->index_q.shape[1], di = x->index_q.shape[3];

    return hi > 0 && di > 0 && x->index_q.data && x->index_k.data && x->index_w.data &&
           att_shaped(&x->index_q, p->q.shape[0], hi, p->q.shape[2], di) &&
           att_shaped(&x->index_w, p->q.shape[0], hi, p->q.shape[2], 1) &&
           att_shaped(&x->index_k, p->k.shape[0], 1, p->k.shape[2], di);
}

static inline att_status att_indexed_supports(const att_kernel *self, att_op op,
                                              const att_problem *p, const att_value *params,
                                              att_reason *why)
{
    static const att_accept accept = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                      .can = ATT_CAN_ALL,
                                      .dtypes = ATT_HALVES_AND_SINGLE};
    const att_tensor *hides[] = {&p->mask, &p->bias, &p->block_mask};
    const att_status status = att_accept_check(&accept, op, p, why);

    (void)self, (void)params;
    for (int t = 0; status == ATT_OK && t < 3; t++)
        if (hides[t]->data && hides[t]->shape[1] > 1)
            return att_refuse(why, ATT_UNSUPPORTED, "masks or bias a head: heads share their keys");
    if (status != ATT_OK || !p->index)
        return status;
    if (!att_is_float(p->index->index_q.dtype, accept.dtypes) ||
        !att_is_float(p->index->index_k.dtype, accept.dtypes) ||
        !att_is_float(p->index->index_w.dtype, accept.dtypes))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of the index section");
    if (!att_indexed_shaped(p))
        return att_refuse(why, ATT_INVALID, "the index section's shapes are not the problem's");
    return ATT_OK;
}

static inline att_status att_indexed_plan(const att_problem *p, int64_t k, int64_t dim,
                                          att_plan *out)
{
    att_indexed_work w;
    if (!att_indexed_layout(p, k, dim, &w))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)(w.slots * w.slot_floats) * sizeof(float);
    return ATT_OK;
}

static inline att_status att_indexed_run(const att_kernel *self, att_op op, const att_problem *p,
                                         const att_indexed *way, int64_t k, int64_t dim,
                                         const att_scratch *s, uint8_t *allowed)
{
    const int64_t bytes = p->batch * p->heads_q * p->q_len * p->kv_len;
    att_indexed_work w;
    const att_status status = att_indexed_supports(self, op, p, s->params, NULL);

    if (status != ATT_OK)
        return status;
    if (!att_indexed_layout(p, k, dim, &w) ||
        s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w.way = way;
    w.room = s->data;
    w.allowed = allowed;
    if (allowed && bytes > 0)
        memset(allowed, 0, (size_t)bytes);
    if (w.tasks && p->heads_q)
        s->host->parallel_for(s->host, w.slots, att_indexed_body, &w);
    return ATT_OK;
}

#endif
