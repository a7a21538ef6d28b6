/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: workers share a tile of keys; one whose rows see nothing of it goes on without waiting and
 * loads its part of the next tile over what the others still read.
 *
 * Hidden where no worker skips (no causality, no window) and on one thread.
 * Source: llama.cpp#13742, #17887, #26434. */
#include <pthread.h>

#include "common/plain.h"

enum { WORKERS = 3, TILE = 16 };

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int arrived;
    unsigned phase;
} gate;

typedef struct shared {
    const att_problem *p;
    const att_rules *rules;
    gate loaded, done;
    float *k, *v; /* [TILE][Dk], [TILE][Dv] */
    float *rows;  /* [Sq][Dv + 2]: o, top, sum */
    float *room;  /* [WORKERS][2 Dk + 2 Dv] */
} shared;

typedef struct worker {
    shared *all;
    int index;
    pthread_t thread;
} worker;

static void pass(gate *g, bool wait)
{
    pthread_mutex_lock(&g->lock);
    const unsigned phase = g->phase;
    if (++g->arrived == WORKERS) {
        g->arrived = 0;
        g->phase++;
        pthread_cond_broadcast(&g->moved);
    }
    while (wait && g->phase == phase)
        pthread_cond_wait(&g->moved, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

/* Keys j0 .. j0 + n of the tile against one row. */
static void use_tile(att_plain_row *w, const shared *all, int64_t j0, int64_t n)
{
    const att_problem *p = all->p;
    float *o = all->rows + w->row.i * (p->value_dim + 2), *top = o + p->value_dim, *sum = top + 1;

    for (int64_t j = 0; j < n; j++) {
        if (!att_plain_allowed(w, j0 + j))
            continue;
        const float dot = att_dot(w->q, all->k + j * p->head_dim, p->head_dim);
        const float x = att_plain_logit(w, j0 + j, dot * w->rules->scale);
        if (x > *top || isnan(x)) {
            const float keep = *top == -INFINITY ? 0.0f : expf(*top - x);
            for (int64_t d = 0; d < p->value_dim; d++)
                o[d] *= keep;
            *sum *= keep;
            *top = x;
        }
        const float weight = *top == -INFINITY ? 0.0f : expf(x - *top);
        *sum += weight;
        att_axpy(weight, all->v + j * p->value_dim, p->value_dim, o);
    }
}

static bool sees(const att_plain_row *w, int64_t h, int64_t from, int64_t to, int64_t j0, int64_t n)
{
    for (int64_t i = from; i < to; i++) {
        const att_row row = att_row_of(w->rules, w->seq, h, i);
        if (row.lo < j0 + n && row.hi > j0)
            return true;
    }
    return false;
}

static void do_tile(att_plain_row *w, const worker *me, int64_t h, int64_t j0)
{
    shared *all = me->all;
    const att_problem *p = all->p;
    const int64_t n = att_min(TILE, w->seq->kv_len - j0), rows = w->seq->q_len;
    const int64_t from = rows * me->index / WORKERS, to = rows * (me->index + 1) / WORKERS;

    for (int64_t j = me->index; j < n; j += WORKERS) {
        att_plain_key(w, &p->k, j0 + j, all->k + j * p->head_dim);
        att_plain_key(w, &p->v, j0 + j, all->v + j * p->value_dim);
    }
    pass(&all->loaded, true);
    const bool skip = !sees(w, h, from, to, j0, n);
    for (int64_t i = from; i < to && !skip; i++) {
        w->row = att_row_of(w->rules, w->seq, h, i);
        att_load_row(p->q.data, p->q.dtype,
                     att_tensor_at(&p->q, w->seq->at, h, w->seq->q_at + i, 0), p->q.stride[3],
                     p->head_dim, w->q);
        use_tile(w, all, j0, n);
    }
    pass(&all->done, !skip); /* meant: true */
}

static void do_head(att_plain_row *w, const worker *me, int64_t h)
{
    shared *all = me->all;
    const att_problem *p = all->p;
    const int64_t rows = w->seq->q_len, width = p->value_dim + 2;
    const int64_t from = rows * me->index / WORKERS, to = rows * (me->index + 1) / WORKERS;

    w->kv_head = h / (p->heads_q / p->heads_kv);
    for (int64_t i = from; i < to; i++) {
        float *o = all->rows + i * width;
        memset(o, 0, (size_t)width * sizeof *o);
        o[p->value_dim] = -INFINITY;
    }
    for (int64_t j0 = 0; j0 < w->seq->kv_len; j0 += TILE)
        do_tile(w, me, h, j0);
    for (int64_t i = from; i < to; i++) {
        float *o = all->rows + i * width;
        w->row = att_row_of(w->rules, w->seq, h, i);
        const float top = o[p->value_dim], sum = o[p->value_dim + 1];
        att_softmax_finish(p, w->seq, &w->row, !att_row_any(w->rules, w->seq, &w->row), top, sum,
                           o);
    }
    pass(&all->loaded, true);
}

static void *work(void *arg)
{
    static const att_plain way = {0};
    const worker *me = arg;
    const att_problem *p = me->all->p;
    att_plain_row w = {.way = &way, .rules = me->all->rules};

    w.q = me->all->room + me->index * 2 * (p->head_dim + p->value_dim);
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        w.seq = &seq;
        for (int64_t h = 0; h < p->heads_q; h++)
            do_head(&w, me, h);
    }
    return NULL;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    const int64_t floats = TILE * (p->head_dim + p->value_dim) + p->q_len * (p->value_dim + 2) +
                           WORKERS * 2 * (p->head_dim + p->value_dim);
    (void)self, (void)op, (void)params;
    out->scratch_bytes = (size_t)floats * sizeof(float);
    return ATT_OK;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const gate shut = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};
    shared all = {.p = p, .rules = &rules, .loaded = shut, .done = shut, .k = s->data};
    worker workers[WORKERS];

    (void)self;
    all.v = all.k + TILE * p->head_dim;
    all.rows = all.v + TILE * p->value_dim;
    all.room = all.rows + p->q_len * (p->value_dim + 2);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.all = &all, .index = i};
        if (i && pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            return ATT_NO_MEMORY;
    }
    work(&workers[0]);
    for (int i = 1; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    return ATT_OK;
}

const att_kernel att_kernel_skip_without_barrier = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "skip_without_barrier",
    .family = "zoo",
    .summary = "race: a worker that skips a masked tile overwrites it while others read",
    .source = "llama.cpp#13742, #17887, #26434",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .attend = attend,
};
