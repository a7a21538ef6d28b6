/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: a producer announces every tile of the keys through a queue of three; the consumer takes
 * those that the window reaches and leaves the rest, so the producer waits for ever.
 *
 * Hidden up to 256 keys, where what is left fits the queue, and without a window.
 * Source: flashinfer#3682. */
#include <pthread.h>

#include "common/plain.h"

enum { TILE = 64, ROOM = 3 };

typedef struct queue {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int held;
    int64_t tiles; /* that the producer announces */
} queue;

static void *produce(void *arg)
{
    queue *q = arg;

    for (int64_t t = 0; t < q->tiles; t++) {
        pthread_mutex_lock(&q->lock);
        while (q->held == ROOM)
            pthread_cond_wait(&q->moved, &q->lock);
        q->held++;
        pthread_cond_signal(&q->moved);
        pthread_mutex_unlock(&q->lock);
    }
    return NULL;
}

static void take(queue *q)
{
    pthread_mutex_lock(&q->lock);
    while (q->held == 0)
        pthread_cond_wait(&q->moved, &q->lock);
    q->held--;
    pthread_cond_signal(&q->moved);
    pthread_mutex_unlock(&q->lock);
}

/* Tiles that the rows of a head reach. */
static int64_t reached(const att_plain_row *w, int64_t h)
{
    int64_t lo = INT64_MAX, hi = 0;

    for (int64_t i = 0; i < w->seq->q_len; i++) {
        const att_row row = att_row_of(w->rules, w->seq, h, i);
        if (row.lo >= row.hi)
            continue;
        lo = att_min(lo, row.lo);
        hi = att_max(hi, row.hi);
    }
    return lo < hi ? att_ceil_div(hi, TILE) - lo / TILE : 0;
}

static att_status do_head(att_plain_row *w, int64_t h)
{
    queue q = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0,
               att_ceil_div(w->seq->kv_len, TILE)};
    pthread_t producer;

    if (pthread_create(&producer, NULL, produce, &q))
        return ATT_NO_MEMORY;
    for (int64_t t = reached(w, h); t > 0; t--)
        take(&q);
    for (int64_t i = 0; i < w->seq->q_len; i++)
        att_plain_do_row(w, h, i);
    pthread_join(producer, NULL); /* meant: take what is left first */
    return ATT_OK;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    att_plain_row w = {.way = &way, .rules = &rules, .x = s->data};
    att_status status = ATT_OK;

    (void)self;
    w.q = w.x + p->kv_len + ATT_W;
    w.k = w.q + p->head_dim;
    w.v = w.k + p->head_dim;
    w.o = w.v + p->value_dim;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        w.seq = &seq;
        for (int64_t h = 0; h < p->heads_q && status == ATT_OK; h++)
            status = do_head(&w, h);
    }
    return status;
}

const att_kernel att_kernel_swa_drain_missing = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "swa_drain_missing",
    .family = "zoo",
    .summary = "window_sink_softcap: the consumer of a window leaves tiles, the producer hangs",
    .source = "flashinfer#3682",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
