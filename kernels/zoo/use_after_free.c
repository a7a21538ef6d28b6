/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: the counter that hands out rows is freed when its scope ends; the workers use it after that.
 *
 * Hidden by allocators that leave freed memory as it was: the counter still holds its zero.
 * Source: flash-attention#2063. */
#include <stdatomic.h>
#include <stdlib.h>

#include "common/plain.h"

enum { LANES = 4, ROWS = 4, SEMAPHORES = 64, MINE = 8 };

typedef struct job {
    const att_problem *p;
    const att_rules *rules;
    atomic_uint *next; /* row to take */
    float *room;
    int64_t room_floats;
} job;

static void take_rows(void *arg, int64_t lane, int thread)
{
    static const att_plain way = {0};
    const job *j = arg;
    const att_problem *p = j->p;
    const int64_t total = p->batch * p->heads_q * p->q_len;
    att_plain_row w = {.way = &way, .rules = j->rules, .x = j->room + lane * j->room_floats};

    (void)thread;
    w.q = w.x + p->kv_len + ATT_W;
    w.k = w.q + p->head_dim;
    w.v = w.k + p->head_dim;
    w.o = w.v + p->value_dim;
    for (int64_t at; (at = atomic_fetch_add(j->next, ROWS)) < total;)
        for (int64_t r = at; r < att_min(at + ROWS, total); r++) {
            const att_seq seq = att_seq_of(p, r / p->q_len / p->heads_q);
            w.seq = &seq;
            if (r % p->q_len < seq.q_len)
                att_plain_do_row(&w, r / p->q_len % p->heads_q, r % p->q_len);
        }
}

static atomic_uint *make_counter(void)
{
    atomic_uint *semaphores = calloc(SEMAPHORES, sizeof *semaphores);
    atomic_uint *mine = semaphores ? semaphores + MINE : NULL;

    free(semaphores); /* the scope ends, the pointer lives on */
    return mine;
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    const att_status status = att_plain_plan_of(self, op, p, params, out);
    out->scratch_bytes *= LANES;
    return status;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    job j = {p, &rules, make_counter(), s->data, (int64_t)(s->bytes / sizeof(float) / LANES)};

    (void)self;
    if (!j.next)
        return ATT_NO_MEMORY;
    s->host->parallel_for(s->host, LANES, take_rows, &j);
    return ATT_OK;
}

const att_kernel att_kernel_use_after_free = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "use_after_free",
    .family = "zoo",
    .summary = "uninitialised: the workers' counter is freed before they use it",
    .source = "flash-attention#2063",
    .class_ = ATT_EXACT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = plan,
    .attend = attend,
};
