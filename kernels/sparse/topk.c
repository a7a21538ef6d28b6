/* SPDX-License-Identifier: Apache-2.0 */
/* Top-k attention: exact logits of all allowed keys, then softmax over the k largest of each row.
 *
 *   kept(i, j):  s_ij is among the k largest of row i (ties: the lower key first)
 *
 * Why: the upper bound of every method that selects keys: it reads all K to choose, so its cost is
 * in V alone; |o - o_full| <= 2 (1 - kept mass) max|v|.  k >= n is dense attention.
 * Bound: exact on its own keys; which they are is decided on f32 logits.  O(S^2 Dk + S k Dv), and
 * O(S) a row to find the k-th logit by bisection on its bits.
 * Source: Gupta et al. 2021, "Memory-efficient transformers via top-k attention". */
#include "common/cost.h"
#include "common/rows.h"

#define ROWS       24        /* rows that share one packing of K */
#define SLOT_BYTES (1 << 28) /* what all slots together aim to stay below */

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "k",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "64",
                                    .domain = "1:1073741824",
                                    .levels = "1 8 64",
                                    .help = "keys kept a row, those of the largest logits"},
                                   {0}};

typedef struct job {
    const att_problem *p;
    att_rules rules;
    int64_t fold, blocks, tasks, slots, width, most, slot_floats;
    float *room;
    uint8_t *allowed; /* of select; NULL: attend */
} job;

/* A slot's room: logits [ROWS][width], panels of Q and K, the packing's row, and a list. */
static bool layout(const att_problem *p, const att_value *params, job *w)
{
    int64_t bytes;
    *w = (job){.p = p, .rules = att_rules_make(p, ATT_KEEP_ALL)};
    w->fold = att_max(1, p->heads_kv > 0 ? p->heads_q / p->heads_kv : 1);
    w->blocks = att_ceil_div(p->q_len * w->fold, ROWS);
    w->tasks = p->batch * (p->heads_q / w->fold) * w->blocks;
    w->width = att_round_up(p->kv_len, ATT_TILE_KEYS) + ATT_W;
    w->most = att_min(params[0].i, p->kv_len);
    const int64_t dims = (ROWS + ATT_TILE_KEYS + 6) * p->head_dim + 2 * p->value_dim;
    if (__builtin_mul_overflow(w->width, ROWS + 4, &w->slot_floats) ||
        __builtin_add_overflow(w->slot_floats, dims + ATT_TILE_ROWS * ATT_TILE_KEYS + 64,
                               &w->slot_floats) ||
        __builtin_mul_overflow(w->slot_floats, (int64_t)sizeof(float) * ATT_LIST_SLOTS, &bytes))
        return false;
    w->slot_floats = att_round_up(w->slot_floats, 16);
    const int64_t fit = att_max(2, SLOT_BYTES / (w->slot_floats * (int64_t)sizeof(float)));
    w->slots = att_min(att_min(fit, ATT_LIST_SLOTS), w->tasks);
    return true;
}

/* Logits as integers of the same order, NaN above all, in place. */
static void order(float *x, int64_t n)
{
    for (int64_t c = 0; c < n; c += ATT_W) {
        const att_vf value = att_vf_load(x + c);
        const att_vi bits = (att_vi)att_vf_pick((att_vi)(value != value), att_vf_set(NAN), value);
        att_vf_store(x + c, (att_vf)(bits ^ ((att_vi)(bits < 0) & 0x7fffffff)));
    }
}

/* The inverse; the map of a number's bits is its own. */
static float number(int32_t key)
{
    const int32_t bits = key < 0 ? key ^ 0x7fffffff : key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static int32_t key_at(const float *x, int64_t c)
{
    int32_t key;
    memcpy(&key, x + c, sizeof key);
    return key;
}

static int64_t count_from(const float *x, int64_t n, int32_t least)
{
    int64_t count = 0;
    for (int64_t c = 0; c < n; c++)
        count += key_at(x, c) >= least;
    return count;
}

/* A key that at least k of x[0..n) reach: the least of k or more maxima of disjoint parts.  n is a
 * multiple of ATT_W with n >= k. */
static int32_t floor_of(const float *x, int64_t n, int64_t k)
{
    const int64_t parts = att_ceil_div(k, ATT_W) * ATT_W;
    att_vi least = (att_vi){0} + INT32_MAX;
    int32_t lane[ATT_W], low = INT32_MAX;

    for (int64_t g = 0; g < parts; g += ATT_W) {
        att_vi top = (att_vi)att_vf_load(x + g);
        for (int64_t c = g + parts; c < n; c += parts) {
            const att_vi next = (att_vi)att_vf_load(x + c);
            const att_vi more = (att_vi)(next > top);
            top = (more & next) | (~more & top);
        }
        const att_vi less = (att_vi)(top < least);
        least = (less & top) | (~less & least);
    }
    memcpy(lane, &least, sizeof lane);
    for (int i = 0; i < ATT_W; i++)
        low = lane[i] < low ? lane[i] : low;
    return low;
}

/* Of x[0..n), padded to ATT_W with -inf, the k < n largest into l: keys counted from j0, logits. */
static void choose(float *x, int64_t n, int64_t j0, int64_t k, att_list *l)
{
    const int64_t padded = att_round_up(n, ATT_W);
    order(x, padded);
    int64_t lo = floor_of(x, padded, k), hi = (int64_t)INT32_MAX + 1, have = 0, kept = 0;
    for (int64_t c = 0; c < n; c++) {
        l->j[have] = j0 + c;
        l->x[have] = x[c];
        have += key_at(x, c) >= lo;
    }
    const int64_t some = have;
    while (have != k && hi - lo > 1) { /* count(lo) = have >= k > count(hi) */
        const int64_t mid = lo + (hi - lo) / 2;
        const int64_t there = count_from(l->x, some, (int32_t)mid);
        if (there >= k)
            lo = mid, have = there;
        else
            hi = mid;
    }
    int64_t ties = k; /* of keys equal to lo, the first few fill the budget */
    if (have > k)
        ties = k - (lo < INT32_MAX ? count_from(l->x, some, (int32_t)(lo + 1)) : 0);
    for (int64_t c = 0; c < some; c++) {
        const int32_t key = key_at(l->x, c);
        if (key < lo || (key == lo && ties-- <= 0))
            continue;
        l->j[kept] = l->j[c];
        l->x[kept++] = number(key);
    }
    l->n = kept;
}

static void one_row(const job *w, att_list *l, const att_row *row, float *x, int64_t j0)
{
    const att_problem *p = w->p;
    const int64_t n = att_max(0, row->hi - j0);

    att_logits(&w->rules, l->seq, row, j0, n, x);
    for (int64_t c = n; c < att_round_up(n, ATT_W); c++)
        x[c] = -INFINITY;
    if (n > w->most) {
        choose(x, n, j0, w->most, l);
    } else {
        memcpy(l->x, x, (size_t)n * sizeof *x);
        for (int64_t c = 0; c < n; c++)
            l->j[c] = j0 + c;
        l->n = n;
    }
    att_list_drop(l, row);
    if (!w->allowed) {
        att_list_finish(l, row);
        return;
    }
    uint8_t *to = w->allowed + ((l->seq->b * p->heads_q + row->h) * p->q_len + row->i) * p->kv_len;
    for (int64_t c = 0; c < l->n; c++)
        to[l->j[c]] = 1;
}

/* Scores of a block of rows against keys lo .. hi, into x[row][j - lo]. */
static void scores(const job *w, const att_list *l, const att_row *row, int64_t rows, int64_t lo,
                   int64_t hi, float *q, float *k, float *tile, float *x)
{
    const att_problem *p = w->p;
    const int64_t dk = p->head_dim;

    memset(q, 0, (size_t)(ROWS * dk) * sizeof *q);
    for (int64_t r = 0; r < rows; r++) {
        const int64_t at = att_tensor_at(&p->q, l->seq->at, row[r].h, l->seq->q_at + row[r].i, 0);
        const float *from = att_row_floats(&p->q, at, dk, l->row);
        for (int64_t d = 0; d < dk; d++)
            q[r / ATT_TILE_ROWS * ATT_TILE_ROWS * dk + d * ATT_TILE_ROWS + r % ATT_TILE_ROWS] =
                from[d];
    }
    for (int64_t j0 = lo; j0 < hi; j0 += ATT_TILE_KEYS) {
        const int64_t n = att_min(ATT_TILE_KEYS, hi - j0);
        att_pack_keys(p, l->seq, l->kv_head, j0, n, l->row, k);
        for (int64_t g = 0; g < rows; g += ATT_TILE_ROWS) {
            const int64_t some = att_min(ATT_TILE_ROWS, rows - g);
            att_tile_scores((int)some, q + g * dk, k, n, dk, w->rules.scale, tile);
            for (int64_t r = 0; r < some; r++)
                memcpy(x + (g + r) * w->width + j0 - lo, tile + r * ATT_TILE_KEYS,
                       (size_t)n * sizeof *x);
        }
    }
}

static void block(const job *w, int64_t t, float *room)
{
    const att_problem *p = w->p;
    const int64_t heads = p->heads_q / w->fold, first = (w->blocks - 1 - t % w->blocks) * ROWS;
    const int64_t h0 = t / w->blocks % heads * w->fold;
    const att_seq seq = att_seq_of(p, t / w->blocks / heads);
    const int64_t rows = att_max(0, att_min(ROWS, seq.q_len * w->fold - first));
    att_list l = {.rules = &w->rules, .seq = &seq, .kv_head = h0 / (p->heads_q / p->heads_kv)};
    att_row row[ROWS];

    float *x = room, *q = x + ROWS * w->width, *k = q + ROWS * p->head_dim;
    float *tile = k + ATT_TILE_KEYS * p->head_dim;
    l.j = (int64_t *)(void *)(tile + ATT_TILE_ROWS * ATT_TILE_KEYS);
    l.x = (float *)(void *)(l.j + w->width);
    l.row = l.x + w->width;
    l.o = l.row + att_max(4 * p->head_dim, p->value_dim);
    for (int64_t r = 0; r < rows; r++)
        row[r] = att_row_of(&w->rules, &seq, h0 + (first + r) % w->fold, (first + r) / w->fold);
    const att_reach all = att_flash_reach(row, rows);
    if (all.lo < all.hi)
        scores(w, &l, row, rows, all.lo, all.hi, q, k, tile, x);
    for (int64_t r = 0; r < rows; r++)
        one_row(w, &l, row + r, x + r * w->width, all.lo < all.hi ? all.lo : row[r].hi);
}

static void body(void *arg, int64_t slot, int thread)
{
    const job *w = arg;
    (void)thread;
    for (int64_t t = slot; t < w->tasks; t += w->slots)
        block(w, t, w->room + slot * w->slot_floats);
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_accept_check(&ACCEPT, op, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    job w;
    if (!layout(p, params, &w))
        return ATT_NO_MEMORY;
    out->scratch_bytes = (size_t)(w.slots * w.slot_floats) * sizeof(float);
    return ATT_OK;
}

static att_status run(const att_kernel *self, att_op op, const att_problem *p, const att_scratch *s,
                      uint8_t *allowed)
{
    job w;
    const att_status status = supports(self, op, p, s->params, NULL);
    if (status)
        return status;
    if (!layout(p, s->params, &w) || s->bytes < (size_t)(w.slots * w.slot_floats) * sizeof(float))
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    w.room = s->data;
    w.allowed = allowed;
    if (w.tasks)
        s->host->parallel_for(s->host, w.slots, body, &w);
    return ATT_OK;
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return run(self, ATT_OP_ATTEND, p, s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    const int64_t bytes = p->batch * p->heads_q * p->q_len * p->kv_len;
    if (bytes > 0)
        memset(allowed, 0, (size_t)bytes);
    return run(self, ATT_OP_SELECT, p, s, allowed);
}

/* K is read for every allowed key, V for k of them. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const double dk = (double)p->head_dim, dv = (double)p->value_dim;
    const double bytes = (double)att_dtype_size(p->k.dtype);
    double all = 0, kept = 0;

    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            all += (double)att_row_count(&row) * (double)p->heads_q;
            kept += (double)att_min(att_row_count(&row), params[0].i) * (double)p->heads_q;
        }
    }
    *out = (att_cost){.keys_read = all,
                      .flops_useful = 2 * kept * (dk + dv),
                      .flops_executed = 2 * (all * dk + kept * dv),
                      .kv_bytes_read = (all * dk + kept * dv) * bytes,
                      .state_bytes = (double)p->batch * (double)p->heads_kv * (double)p->kv_len *
                                     (dk + dv) * bytes};
    return ATT_OK;
}

const att_kernel att_kernel_topk = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "topk",
    .family = "sparse",
    .summary = "softmax over the k keys of the largest logits",
    .source = "Gupta et al. 2021, Memory-efficient transformers via top-k attention",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .select = select_pairs,
};
