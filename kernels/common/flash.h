/* SPDX-License-Identifier: Apache-2.0 */
/* The tile engine: softmax attention over whatever keys the rules leave, one block of query rows
 * and one tile of keys at a time, in O(block) memory.
 *
 * Why: dense, windowed, sink-window and block-sparse attention differ only in which tiles a block
 * of rows sees; each of those kernels is this engine with another att_keep.
 * - Rows of a block run over the query heads of a GQA group first, so that in decoding all heads of
 *   a group share one pass over K and V.
 * - Tiles that no row sees are neither read nor multiplied; inside a block the same holds for each
 *   6 rows.
 * - Keys may be split into parts whose partial results are merged (few rows and many keys: decode).
 * - A value that is not finite never meets a row that may not see its key, not even times 0.
 * Blocks and parts depend on the problem alone, so results are the same over thread counts.
 * Bound: f32 throughout; |e| as in online softmax, with one rescaling a tile of 64 keys.
 * Source: Dao et al. 2022, "FlashAttention"; Dao 2023 (FlashDecoding) for the split. */
#ifndef ATT_COMMON_FLASH_H
#define ATT_COMMON_FLASH_H

#include "common/accept.h"
#include "common/cost_rows.h"
#include "common/softmax.h"
#include "common/tile.h"

#define ATT_BLOCK_ROWS 96
#define ATT_SLOTS      32 /* how many blocks can be in work at once: scratch for each */
#define ATT_SPLIT_KEYS 256

/* What a kernel asks of the engine. */
typedef struct att_flash {
    att_keep keep;
    int64_t parts; /* key splits; 0 = the engine's choice */
    bool by_head;  /* `keep` differs between the heads of a group: one head a block */
} att_flash;

typedef struct att_flash_job {
    const att_problem *p;
    att_rules rules;
    int64_t fold, block_rows, blocks, parts, part_keys, tasks, slots, columns;
    int64_t slot_floats, part_floats;
    float *slot_room, *part_room;
} att_flash_job;

/* One block in work: pointers into a slot's scratch. */
typedef struct att_flash_block {
    const att_flash_job *job;
    att_seq seq;
    int64_t kv_head, rows;
    float *q, *k, *v, *x, *row_room, *top, *sum, *o;
    att_row *row;
} att_flash_block;

/* What some rows see together: keys j with lo <= j < hi and (j < head or j >= band). */
typedef struct att_reach {
    int64_t lo, hi, head, band;
} att_reach;

static inline int64_t att_round_up(int64_t n, int64_t to)
{
    return att_ceil_div(n, to) * to;
}

/* Sizes; false on overflow. */
static inline bool att_flash_layout(const att_problem *p, const att_flash *how, att_flash_job *job)
{
    const int64_t group = p->heads_kv > 0 ? p->heads_q / p->heads_kv : 1;
    int64_t fixed, part_total, slot_total, bytes;

    *job = (att_flash_job){.p = p, .rules = att_rules_make(p, how->keep)};
    job->fold = how->by_head ? 1 : att_max(group, 1);
    const int64_t rows = att_max(p->q_len * job->fold, 1);
    job->block_rows = att_min(ATT_BLOCK_ROWS, att_round_up(rows, ATT_TILE_ROWS));
    job->blocks = att_ceil_div(p->q_len * job->fold, job->block_rows);
    const int64_t whole = p->batch * (p->heads_q / job->fold) * job->blocks;
    job->parts = how->parts;
    if (!job->parts) { /* by what a plan may rest on: not by causality or the problem's window */
        const int64_t seen = att_keep_tokens(p, &how->keep);
        job->parts = whole < 16 ? att_max(1, att_min(32, seen / ATT_SPLIT_KEYS)) : 1;
    }
    job->part_keys = att_max(1, att_ceil_div(p->kv_len, job->parts));
    job->tasks = whole * job->parts;
    job->slots = att_min(ATT_SLOTS, job->tasks);
    job->columns = att_round_up(p->value_dim, ATT_TILE_COLS);
    job->part_floats = job->block_rows * (job->columns + 2);

    fixed = ATT_TILE_ROWS * ATT_TILE_KEYS + 16 +
            att_ceil_div(job->block_rows * (int64_t)sizeof(att_row), (int64_t)sizeof(float));
    fixed += p->head_dim * (job->block_rows + ATT_TILE_KEYS + 4);
    fixed += job->columns * (ATT_TILE_KEYS + 1) + job->part_floats;
    job->slot_floats = att_round_up(fixed, 16);
    return !__builtin_mul_overflow(job->slots, job->slot_floats, &slot_total) &&
           !__builtin_mul_overflow(job->parts > 1 ? job->tasks : 0, job->part_floats,
                                   &part_total) &&
           !__builtin_add_overflow(slot_total, part_total, &slot_total) &&
           !__builtin_mul_overflow(slot_total, (int64_t)sizeof(float), &bytes);
}

static inline att_status att_flash_plan(const att_problem *p, const att_flash *how, att_plan *out)
{
    att_flash_job job;
    if (!att_flash_layout(p, how, &job))
        return ATT_NO_MEMORY;
    const int64_t parts = job.parts > 1 ? job.tasks * job.part_floats : 0;
    out->scratch_bytes = (size_t)(job.slots * job.slot_floats + parts) * sizeof(float);
    out->scratch_align = 64;
    return ATT_OK;
}

static inline att_flash_block att_flash_block_of(const att_flash_job *job, int64_t slot)
{
    const int64_t dk = job->p->head_dim, n = job->block_rows;
    att_flash_block b = {.job = job, .q = job->slot_room + slot * job->slot_floats};
    b.k = b.q + n * dk;
    b.v = b.k + ATT_TILE_KEYS * dk;
    b.x = b.v + ATT_TILE_KEYS * job->columns;
    b.row = (att_row *)(void *)(b.x + ATT_TILE_ROWS * ATT_TILE_KEYS);
    b.row_room = (float *)(void *)(b.row + n);
    b.o = b.row_room + att_max(4 * dk, job->columns);
    b.top = b.o + n * job->columns;
    b.sum = b.top + n;
    return b;
}

/* Finds sequence, rows and what each of them may see, for block `whole` of the job.  The last block
 * of rows comes first: under causality it has the most work. */
static inline void att_flash_open(att_flash_block *b, int64_t whole)
{
    const att_flash_job *job = b->job;
    const att_problem *p = job->p;
    const int64_t fold = job->fold, heads = p->heads_q / fold;
    const int64_t first = (job->blocks - 1 - whole % job->blocks) * job->block_rows;
    const int64_t h0 = whole / job->blocks % heads * fold;

    b->seq = att_seq_of(p, whole / job->blocks / heads);
    b->kv_head = h0 / (p->heads_q / p->heads_kv);
    b->rows = att_max(0, att_min(job->block_rows, b->seq.q_len * fold - first));
    for (int64_t r = 0; r < b->rows; r++)
        b->row[r] = att_row_of(&job->rules, &b->seq, h0 + (first + r) % fold, (first + r) / fold);
}

static inline void att_flash_pack_q(att_flash_block *b)
{
    const att_tensor *q = &b->job->p->q;
    const int64_t dk = b->job->p->head_dim;

    memset(b->q, 0, (size_t)(b->job->block_rows * dk) * sizeof *b->q);
    for (int64_t r = 0; r < b->rows; r++) {
        const int64_t at = att_tensor_at(q, b->seq.at, b->row[r].h, b->seq.q_at + b->row[r].i, 0);
        const float *from = att_row_floats(q, at, dk, b->row_room);
        float *to = b->q + r / ATT_TILE_ROWS * ATT_TILE_ROWS * dk + r % ATT_TILE_ROWS;
        for (int64_t d = 0; d < dk; d++)
            to[d * ATT_TILE_ROWS] = from[d];
    }
}

static inline att_reach att_flash_reach(const att_row *row, int64_t n)
{
    att_reach all = {.lo = INT64_MAX, .band = INT64_MAX};
    for (int64_t r = 0; r < n; r++) {
        if (row[r].lo >= row[r].hi)
            continue;
        all.lo = att_min(all.lo, row[r].lo);
        all.hi = att_max(all.hi, row[r].hi);
        all.head = att_max(all.head, row[r].head);
        all.band = att_min(all.band, row[r].band);
    }
    return all;
}

/* Does the problem's block mask open one of the keys j0 .. j0 + n to the row? */
static inline bool att_flash_mask_open(const att_flash_block *b, const att_row *row, int64_t j0,
                                       int64_t n)
{
    const att_problem *p = b->job->p;
    bool open = !p->block_mask.data;

    for (int64_t kb = open ? 0 : j0 / p->block_k; !open && kb * p->block_k < j0 + n; kb++)
        open = att_mask_block(p, &b->seq, row, kb);
    return open;
}

/* Is one of the keys j0 .. j0 + n in a block that is open to the row, in the problem's block mask
 * and in the kernel's pattern? */
static inline bool att_flash_blocks_open(const att_flash_block *b, const att_row *row, int64_t j0,
                                         int64_t n)
{
    const att_keep *keep = &b->job->rules.keep;

    if (!keep->block)
        return att_flash_mask_open(b, row, j0, n);
    for (int64_t kb = j0 / keep->block_k; kb * keep->block_k < j0 + n; kb++) {
        const int64_t from = att_max(j0, kb * keep->block_k);
        const int64_t to = att_min(j0 + n, (kb + 1) * keep->block_k);
        if (keep->block(keep->arg, row->h, row->position, kb) &&
            att_flash_mask_open(b, row, from, to - from))
            return true;
    }
    return false;
}

/* Does the row see one of the keys j0 .. j0 + n, by its ranges and blocks? */
static inline bool att_flash_row_sees(const att_flash_block *b, const att_row *row, int64_t j0,
                                      int64_t n)
{
    const int64_t lo = att_max(j0, row->lo), hi = att_min(j0 + n, row->hi);
    const int64_t head = att_min(hi, row->head), band = att_max(lo, att_max(row->band, row->head));

    return (lo < head && att_flash_blocks_open(b, row, lo, head - lo)) ||
           (band < hi && att_flash_blocks_open(b, row, band, hi - band));
}

/* Does any of the rows? */
static inline bool att_flash_sees(const att_flash_block *b, const att_row *row, int64_t rows,
                                  int64_t j0, int64_t n)
{
    for (int64_t r = 0; r < rows; r++)
        if (att_flash_row_sees(b, row + r, j0, n))
            return true;
    return false;
}

/* o of one row without the keys that it may not see.  The same operations in the same order as in
 * att_tile_values, less those of weight 0, so that what hides in unseen keys does not move a bit.
 */
static inline void att_flash_careful(const att_flash_block *b, int64_t r, const float *x,
                                     int64_t j0, int64_t n, float keep)
{
    const int64_t columns = b->job->columns;
    float *o = b->o + r * columns;
    const float *v = b->v;
    int seen[ATT_TILE_KEYS], count = 0;

    for (int j = 0; j < n; j++)
        if (att_pair_allowed(&b->job->rules, &b->seq, b->row + r, j0 + j))
            seen[count++] = j;
    for (int64_t c = 0; c < columns; c += ATT_TILE_COLS, v += ATT_TILE_KEYS * ATT_TILE_COLS) {
        att_vf low = att_vf_load(o + c) * keep, high = att_vf_load(o + c + ATT_W) * keep;
        for (int s = 0; s < count; s++) {
            const float *at = v + seen[s] * ATT_TILE_COLS;
            const att_vf p = att_vf_set(x[seen[s]]);
            low = att_vf_fma(p, att_vf_load(at), low);
            high = att_vf_fma(p, att_vf_load(at + ATT_W), high);
        }
        att_vf_store(o + c, low);
        att_vf_store(o + c + ATT_W, high);
    }
}

/* Rows g .. g + rows of the block against the packed tile of keys j0 .. j0 + n. */
static inline void att_flash_tile(att_flash_block *b, int64_t g, int rows, int64_t j0, int64_t n,
                                  bool finite)
{
    const att_flash_job *job = b->job;
    const int64_t padded = att_round_up(n, ATT_W);
    float next[16], keep[16];
    bool whole = true;

    att_tile_scores(rows, b->q + g * job->p->head_dim, b->k, n, job->p->head_dim, job->rules.scale,
                    b->x);
    for (int r = 0; r < rows; r++) {
        float *x = b->x + r * ATT_TILE_KEYS;
        const bool covers = att_row_covers(b->row + g + r, j0, n);
        if (!covers || job->rules.pairwise)
            att_logits(&job->rules, &b->seq, b->row + g + r, j0, n, x);
        for (int64_t c = n; c < padded; c++)
            x[c] = -INFINITY;
        whole &= covers && !job->rules.pairwise;
        next[r] = att_softmax_top(b->top[g + r], x, padded);
    }
    att_softmax_keep(b->top + g, next, rows, keep);
    for (int r = 0; r < rows; r++) {
        const float more = att_softmax_weights(next[r], b->x + r * ATT_TILE_KEYS, padded);
        b->sum[g + r] = b->sum[g + r] * keep[r] + more;
        b->top[g + r] = next[r];
    }
    if (finite || whole)
        att_tile_values(rows, b->x, n, b->v, keep, job->columns, b->o + g * job->columns);
    else
        for (int r = 0; r < rows; r++)
            att_flash_careful(b, g + r, b->x + r * ATT_TILE_KEYS, j0, n, keep[r]);
}

/* All rows of the block against keys from .. to (within one span). */
static inline void att_flash_span(att_flash_block *b, int64_t from, int64_t to)
{
    const att_problem *p = b->job->p;
    const bool blocks = p->block_mask.data || b->job->rules.keep.block;
    int64_t end;

    for (int64_t j0 = from; j0 < to; j0 = end) {
        end = blocks ? (j0 / ATT_TILE_KEYS + 1) * ATT_TILE_KEYS : j0 + ATT_TILE_KEYS;
        end = att_min(end, to);
        bool packed = false, finite = false;
        for (int64_t g = 0; g < b->rows; g += ATT_TILE_ROWS) {
            const int64_t rows = att_min(ATT_TILE_ROWS, b->rows - g);
            if (!att_flash_sees(b, b->row + g, rows, j0, end - j0))
                continue;
            if (!packed) {
                att_pack_keys(p, &b->seq, b->kv_head, j0, end - j0, b->row_room, b->k);
                finite = att_pack_values(p, &b->seq, b->kv_head, j0, end - j0, b->job->columns,
                                         b->row_room, b->v);
                packed = true;
            }
            const int64_t hi = att_flash_reach(b->row + g, rows).hi;
            att_flash_tile(b, g, (int)rows, j0, att_min(end, hi) - j0, finite);
        }
    }
}

static inline void att_flash_finish(const att_flash_block *b, int64_t r, float top, float sum,
                                    float *o)
{
    const bool empty = top == -INFINITY && !att_row_any(&b->job->rules, &b->seq, b->row + r);
    att_softmax_finish(b->job->p, &b->seq, b->row + r, empty, top, sum, o);
}

/* Task t of the job: one block of rows over one part of the keys. */
static inline void att_flash_task(const att_flash_job *job, int64_t t, int64_t slot)
{
    const int64_t part = t % job->parts;
    att_flash_block b = att_flash_block_of(job, slot);

    if (job->parts > 1) {
        b.o = job->part_room + t * job->part_floats;
        b.top = b.o + job->block_rows * job->columns;
        b.sum = b.top + job->block_rows;
    }
    att_flash_open(&b, t / job->parts);
    att_flash_pack_q(&b);
    for (int64_t r = 0; r < b.rows; r++) {
        b.top[r] = -INFINITY;
        b.sum[r] = 0.0f;
    }
    memset(b.o, 0, (size_t)(job->block_rows * job->columns) * sizeof *b.o);

    const att_reach all = att_flash_reach(b.row, b.rows);
    const int64_t first = part * job->part_keys, last = first + job->part_keys;
    att_flash_span(&b, att_max(all.lo, first), att_min(all.head, last));
    att_flash_span(&b, att_max(att_max(all.band, all.head), first), att_min(all.hi, last));
    for (int64_t r = 0; r < b.rows && job->parts == 1; r++)
        att_flash_finish(&b, r, b.top[r], b.sum[r], b.o + r * job->columns);
}

/* Row r of a block from its parts; those in which it saw nothing weigh 0 and are not read. */
static inline void att_flash_merge_row(const att_flash_job *job, const att_flash_block *b,
                                       int64_t r, const float *part)
{
    const int64_t tops = job->block_rows * job->columns, sums = tops + job->block_rows;
    float top = -INFINITY, sum = 0.0f, *o = b->o;

    for (int64_t s = 0; s < job->parts; s++) {
        const float own = part[s * job->part_floats + tops + r];
        top = own > top || isnan(own) ? own : top;
        if (isnan(own))
            break;
    }
    memset(o, 0, (size_t)job->columns * sizeof *o);
    for (int64_t s = 0; s < job->parts; s++) {
        const float *from = part + s * job->part_floats;
        if (from[tops + r] == -INFINITY)
            continue;
        const float weight = from[tops + r] == top ? 1.0f : att_exp(from[tops + r] - top);
        sum += weight * from[sums + r];
        for (int64_t c = 0; c < job->columns; c++)
            o[c] += weight * from[r * job->columns + c];
    }
    att_flash_finish(b, r, top, sum, o);
}

static inline void att_flash_merge(const att_flash_job *job, int64_t whole, int64_t slot)
{
    att_flash_block b = att_flash_block_of(job, slot);

    att_flash_open(&b, whole);
    for (int64_t r = 0; r < b.rows; r++)
        att_flash_merge_row(job, &b, r, job->part_room + whole * job->parts * job->part_floats);
}

static inline void att_flash_body(void *arg, int64_t slot, int thread)
{
    const att_flash_job *job = arg;
    (void)thread;
    for (int64_t t = slot; t < job->tasks; t += job->slots)
        att_flash_task(job, t, slot);
}

static inline void att_flash_merge_body(void *arg, int64_t slot, int thread)
{
    const att_flash_job *job = arg;
    (void)thread;
    for (int64_t whole = slot; whole < job->tasks / job->parts; whole += job->slots)
        att_flash_merge(job, whole, slot);
}

static inline att_status att_flash_attend(const att_problem *p, const att_flash *how,
                                          const att_scratch *s)
{
    att_flash_job job;
    att_plan need = {0};
    if (att_flash_plan(p, how, &need) || !att_flash_layout(p, how, &job) ||
        s->bytes < need.scratch_bytes)
        return ATT_NO_MEMORY;
    if (!att_contents_hold(p))
        return ATT_INVALID;
    if (!job.tasks)
        return ATT_OK;
    job.slot_room = s->data;
    job.part_room = job.slot_room + job.slots * job.slot_floats;
    s->host->parallel_for(s->host, job.slots, att_flash_body, &job);
    if (job.parts > 1)
        s->host->parallel_for(s->host, att_min(job.slots, job.tasks / job.parts),
                              att_flash_merge_body, &job);
    return ATT_OK;
}

static inline att_status att_flash_select(const att_problem *p, const att_flash *how,
                                          uint8_t *allowed)
{
    const att_rules rules = att_rules_make(p, how->keep);
    att_rules_select(&rules, allowed);
    return ATT_OK;
}

#endif
