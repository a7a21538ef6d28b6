/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of softmax attention in tiles of keys, each tile's probabilities made again from the
 * forward's LSE.
 *
 *   p = e^(x - LSE)   D = dout . out   ds = p (dout.v - D)
 *   dv = sum p dout   dq = scale sum t ds k   dk = scale sum t ds q   dbias = sum ds
 *
 * Why: no Sq x Skv matrix is kept, neither here nor by the forward: memory is O(S).  One task is
 * one key/value head of a sequence with the query heads that read it, so that every sum has one
 * owner and one order: bitwise equal over runs and threads.  A dbias that broadcasts over batch or
 * heads has several; then tasks run one after the other.
 * Bound: f32 sums; the LSE's rounding is a relative 2^-24 |LSE| on p.
 * Source: Dao et al. 2022, FlashAttention, algorithm 4; Dao 2023, FlashAttention-2,
 * algorithm 2. */
#include "common/back.h"

enum { TILE = 32, SLOTS = 32 };

typedef struct job {
    const att_problem *p;
    att_rules rules;
    int64_t tasks, slots, slot_floats;
    float *room, *bias;
} job;

/* One slot's memory.  Of a key/value head: dq [group][Sq][Dk], D and LSE [group][Sq]; of a tile:
 * its rows of K and V with their sums. */
typedef struct slot {
    float *dq, *mean, *lse, *k, *v, *dk, *dv, *q, *dout, *x, *t;
    float *bias;
    const job *j;
    att_seq seq;
    int64_t kv_head, group;
} slot;

static bool layout(const att_problem *p, job *j)
{
    const int64_t group = p->heads_kv ? p->heads_q / p->heads_kv : 1;
    const att_tensor *b = &p->grad->dbias;
    const bool shared =
        b->data && ((b->shape[0] == 1 && p->batch > 1) || (b->shape[1] == 1 && p->heads_q > 1));
    int64_t bytes;

    *j = (job){.p = p, .rules = att_rules_make(p, ATT_KEEP_ALL)};
    j->tasks = p->batch * p->heads_kv;
    j->slots = shared ? att_min(1, j->tasks) : att_min(SLOTS, j->tasks);
    if (__builtin_mul_overflow(group * p->q_len, p->head_dim + 2, &j->slot_floats) ||
        __builtin_add_overflow(j->slot_floats,
                               (2 * TILE + 1) * (p->head_dim + p->value_dim) + 3 * TILE + 16,
                               &j->slot_floats))
        return false;
    j->slot_floats = j->slot_floats / 16 * 16;
    return !__builtin_mul_overflow(j->slots, j->slot_floats, &bytes) &&
           !__builtin_add_overflow(bytes, att_bias_cells(p), &bytes) && bytes < INT64_MAX / 8;
}

static slot slot_of(const job *j, int64_t at)
{
    const att_problem *p = j->p;
    const int64_t dk = p->head_dim, dv = p->value_dim;
    slot s = {.j = j, .group = p->heads_q / p->heads_kv, .bias = j->bias};
    const int64_t rows = s.group * p->q_len;

    s.x = j->room + at * j->slot_floats; /* first: vectors begin on 64 bytes */
    s.t = s.x + TILE;
    s.k = s.t + TILE;
    s.v = s.k + TILE * dk;
    s.dk = s.v + TILE * dv;
    s.dv = s.dk + TILE * dk;
    s.q = s.dv + TILE * dv;
    s.dout = s.q + dk;
    s.dq = s.dout + dv;
    s.mean = s.dq + rows * dk;
    s.lse = s.mean + rows;
    return s;
}

/* D and LSE of every row of the group. */
static void prepare(const slot *s)
{
    const att_problem *p = s->j->p;
    float *out = s->v; /* no tile is in it yet */

    memset(s->dq, 0, (size_t)(s->group * p->q_len * p->head_dim) * sizeof *s->dq);
    for (int64_t g = 0; g < s->group; g++)
        for (int64_t i = 0; i < s->seq.q_len; i++) {
            const int64_t h = s->kv_head * s->group + g, r = g * p->q_len + i;
            att_back_load(p, &p->grad->dout, &s->seq, h, i, s->dout);
            att_back_load(p, &p->out, &s->seq, h, i, out);
            s->mean[r] = att_dot(s->dout, out, p->value_dim);
            s->lse[r] = att_back_lse(p, &s->seq, h, i);
        }
}

/* Logits of keys j0 .. j0 + n into x, and what the cap leaves of their slopes into t. */
static void tile_logits(const slot *s, const att_row *row, int64_t j0, int64_t n)
{
    const att_problem *p = s->j->p;
    const att_rules *r = &s->j->rules;

    for (int64_t c = 0; c < TILE; c++)
        s->x[c] = c < n ? att_dot(s->q, s->k + c * p->head_dim, p->head_dim) * r->scale : 0.0f;
    if (r->cap > 0)
        att_logits_cap(r, TILE, s->x);
    for (int64_t c = 0; c < TILE; c++)
        s->t[c] = r->cap > 0 ? 1.0f - s->x[c] / r->cap * (s->x[c] / r->cap) : 1.0f;
    att_logits_rules(r, &s->seq, row, j0, n, s->x);
}

/* One row of queries on one tile of keys. */
static void tile_row(const slot *s, int64_t h, int64_t i, int64_t j0, int64_t n)
{
    const att_problem *p = s->j->p;
    const int64_t dk = p->head_dim, dv = p->value_dim, r = h % s->group * p->q_len + i;
    const att_row row = att_row_of(&s->j->rules, &s->seq, h, i);

    if (row.lo >= j0 + n || row.hi <= j0)
        return;
    att_back_load(p, &p->q, &s->seq, h, i, s->q);
    att_back_load(p, &p->grad->dout, &s->seq, h, i, s->dout);
    tile_logits(s, &row, j0, n);
    for (int64_t c = 0; c < n; c++) {
        if (s->x[c] == -INFINITY && !att_pair_allowed(&s->j->rules, &s->seq, &row, j0 + c))
            continue;
        const float prob = expf(s->x[c] - s->lse[r]);
        const float ds = prob * (att_dot(s->dout, s->v + c * dv, dv) - s->mean[r]);
        const float du = ds * s->t[c];
        att_axpy(prob, s->dout, dv, s->dv + c * dv);
        att_axpy(du, s->q, dk, s->dk + c * dk);
        att_axpy(du, s->k + c * dk, dk, s->dq + r * dk);
        if (p->grad->dbias.data)
            s->bias[att_bias_cell(&p->grad->dbias, s->seq.b, h, i, j0 + c)] += ds;
    }
}

static void tile(const slot *s, int64_t j0)
{
    const att_problem *p = s->j->p;
    const int64_t n = att_min(TILE, s->seq.kv_len - j0), dk = p->head_dim, dv = p->value_dim;

    for (int64_t c = 0; c < n; c++) {
        att_load_row(p->k.data, p->k.dtype, att_key_at(p, &p->k, &s->seq, s->kv_head, j0 + c),
                     p->k.stride[3], dk, s->k + c * dk);
        att_load_row(p->v.data, p->v.dtype, att_key_at(p, &p->v, &s->seq, s->kv_head, j0 + c),
                     p->v.stride[3], dv, s->v + c * dv);
    }
    memset(s->dk, 0, (size_t)(TILE * dk) * sizeof *s->dk);
    memset(s->dv, 0, (size_t)(TILE * dv) * sizeof *s->dv);
    for (int64_t g = 0; g < s->group; g++)
        for (int64_t i = 0; i < s->seq.q_len; i++)
            tile_row(s, s->kv_head * s->group + g, i, j0, n);
    att_back_store(p, &p->grad->dk, &s->seq, s->kv_head, j0, n, s->j->rules.scale, s->dk);
    att_back_store(p, &p->grad->dv, &s->seq, s->kv_head, j0, n, 1.0f, s->dv);
}

static void body(void *arg, int64_t at, int thread)
{
    const job *j = arg;
    const att_problem *p = j->p;
    const att_tensor *dq = &p->grad->dq;
    slot s = slot_of(j, at);

    (void)thread;
    for (int64_t task = at; task < j->tasks; task += j->slots) {
        s.seq = att_seq_of(p, task / p->heads_kv);
        s.kv_head = task % p->heads_kv;
        prepare(&s);
        for (int64_t j0 = 0; j0 < s.seq.kv_len; j0 += TILE)
            tile(&s, j0);
        for (int64_t r = 0; r < s.group * p->q_len; r++) {
            const int64_t h = s.kv_head * s.group + r / p->q_len, i = r % p->q_len;
            float *row = s.dq + r * p->head_dim;
            if (i >= s.seq.q_len)
                continue;
            for (int64_t d = 0; d < p->head_dim; d++)
                row[d] *= j->rules.scale;
            att_store_row(dq->data, dq->dtype, att_tensor_at(dq, s.seq.at, h, s.seq.q_at + i, 0),
                          dq->stride[3], p->head_dim, row);
        }
    }
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    job j;

    (void)self, (void)op, (void)params;
    if (!layout(p, &j))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)(j.slots * j.slot_floats + att_bias_cells(p)) * sizeof(float);
    return ATT_OK;
}

static att_status attend_backward(const att_kernel *self, const att_problem *p,
                                  const att_scratch *s)
{
    const att_status status = self->supports(self, ATT_OP_ATTEND_BACKWARD, p, s->params, NULL);
    att_plan need = {0};
    job j;

    if (status)
        return status;
    if (plan(self, ATT_OP_ATTEND_BACKWARD, p, NULL, &need) || s->bytes < need.scratch_bytes ||
        !layout(p, &j))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    j.room = s->data;
    j.bias = j.room ? j.room + j.slots * j.slot_floats : NULL;
    for (int64_t c = 0; c < att_bias_cells(p); c++)
        j.bias[c] = 0.0f;
    if (j.tasks)
        s->host->parallel_for(s->host, j.slots, body, &j);
    att_bias_store(p, j.bias);
    return ATT_OK;
}

const att_kernel att_kernel_flash_backward = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "flash_backward",
    .family = "exact",
    .summary = "gradients in tiles of keys, probabilities made again from the LSE, f32 sums",
    .source = "Dao et al. 2022, FlashAttention; Dao 2023, FlashAttention-2",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_back_supports,
    .plan = plan,
    .attend_backward = attend_backward,
};
