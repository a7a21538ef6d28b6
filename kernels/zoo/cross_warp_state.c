/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: each worker makes the state of its share of the keys, then merges a share of the value
 * dimensions over all states, without waiting until the others have made theirs.
 *
 * Hidden on one thread and behind loose tolerances.  The real kernel holds the state of a linear
 * attention; here it is that of an online softmax (maximum, sum, output).
 * Source: flashinfer#3439. */
#include <pthread.h>

#include "common/plain.h"

enum { WORKERS = 4 };

typedef struct shared {
    const att_problem *p;
    const att_rules *rules;
    pthread_barrier_t end; /* of a row */
    float *state;          /* [WORKERS][Dv + 2]: o, top, sum */
    float *o;              /* [Dv], merged */
    float *room;           /* [WORKERS][2 Dk + Dv] */
} shared;

typedef struct worker {
    shared *all;
    int index;
    pthread_t thread;
} worker;

/* The online softmax over keys index, index + WORKERS, ... */
static void make_state(att_plain_row *w, const shared *all, int index)
{
    const int64_t dv = all->p->value_dim;
    float *o = all->state + index * (dv + 2), *top = o + dv, *sum = top + 1;

    memset(o, 0, (size_t)dv * sizeof *o);
    *top = -INFINITY;
    *sum = 0.0f;
    for (int64_t j = index; j < w->seq->kv_len; j += WORKERS) {
        if (!att_plain_allowed(w, j))
            continue;
        att_plain_key(w, &all->p->k, j, w->k);
        att_plain_key(w, &all->p->v, j, w->v);
        const float x = att_plain_logit(w, j, att_plain_score(w));
        if (x > *top || isnan(x)) {
            const float keep = *top == -INFINITY ? 0.0f : expf(*top - x);
            for (int64_t d = 0; d < dv; d++)
                o[d] *= keep;
            *sum *= keep;
            *top = x;
        }
        const float weight = *top == -INFINITY ? 0.0f : expf(x - *top);
        *sum += weight;
        att_axpy(weight, w->v, dv, o);
    }
}

/* This worker's dimensions over all states; worker 0 stores the row. */
static void merge(const att_plain_row *w, shared *all, int index)
{
    const int64_t dv = all->p->value_dim, width = dv + 2;
    float top = -INFINITY, sum = 0.0f;

    for (int s = 0; s < WORKERS; s++)
        top = fmaxf(top, all->state[s * width + dv]);
    for (int64_t d = index; d < dv; d += WORKERS)
        all->o[d] = 0.0f;
    for (int s = 0; s < WORKERS; s++) {
        const float own = all->state[s * width + dv];
        const float weight = own == -INFINITY ? 0.0f : expf(own - top);
        sum += weight * all->state[s * width + dv + 1];
        for (int64_t d = index; d < dv && weight != 0.0f; d += WORKERS)
            all->o[d] += weight * all->state[s * width + d];
    }
    pthread_barrier_wait(&all->end);
    if (index == 0)
        att_softmax_finish(all->p, w->seq, &w->row, !att_row_any(w->rules, w->seq, &w->row), top,
                           sum, all->o);
    pthread_barrier_wait(&all->end);
}

static void *work(void *arg)
{
    static const att_plain way = {0};
    const worker *me = arg;
    shared *all = me->all;
    const att_problem *p = all->p;
    att_plain_row w = {.way = &way, .rules = all->rules};

    w.q = all->room + me->index * (2 * p->head_dim + p->value_dim);
    w.k = w.q + p->head_dim;
    w.v = w.k + p->head_dim;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        w.seq = &seq;
        for (int64_t r = 0; r < p->heads_q * seq.q_len; r++) {
            const int64_t h = r / seq.q_len, i = r % seq.q_len;
            w.kv_head = h / (p->heads_q / p->heads_kv);
            w.row = att_row_of(w.rules, w.seq, h, i);
            att_load_row(p->q.data, p->q.dtype, att_tensor_at(&p->q, seq.at, h, seq.q_at + i, 0),
                         p->q.stride[3], p->head_dim, w.q);
            make_state(&w, all, me->index);
            /* meant: pthread_barrier_wait(&all->made) */
            merge(&w, all, me->index);
        }
    }
    return NULL;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    const int64_t floats = WORKERS * (p->value_dim + 2) + p->value_dim +
                           WORKERS * (2 * p->head_dim + p->value_dim);
    (void)self, (void)op, (void)params;
    out->scratch_bytes = (size_t)floats * sizeof(float);
    return ATT_OK;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    shared all = {.p = p, .rules = &rules, .state = s->data};
    worker workers[WORKERS];

    (void)self;
    all.o = all.state + WORKERS * (p->value_dim + 2);
    all.room = all.o + p->value_dim;
    pthread_barrier_init(&all.end, NULL, WORKERS);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.all = &all, .index = i};
        if (i && pthread_create(&workers[i].thread, NULL, work, &workers[i]))
            return ATT_NO_MEMORY;
    }
    work(&workers[0]);
    for (int i = 1; i < WORKERS; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_barrier_destroy(&all.end);
    return ATT_OK;
}

const att_kernel att_kernel_cross_warp_state = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "cross_warp_state",
    .family = "zoo",
    .summary = "race: slices of the state are read before the workers that make them have met",
    .source = "flashinfer#3439",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .attend = attend,
};
