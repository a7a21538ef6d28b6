/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of cascade attention: groups of paged sequences that begin with the same page, what each
 * group shares, and the two partials of every row (common/part.h), with steps that a kernel may
 * replace.
 *
 * Why: kernels that share prefixes go wrong where partials are put together or where the rest of a
 * sequence begins and ends, and in little else. */
#ifndef ATT_COMMON_CASCADE_H
#define ATT_COMMON_CASCADE_H

#include "common/part.h"

/* The steps; NULL = done right. */
typedef struct att_cascade {
    void (*merge)(const att_parts *w, const att_part_rows *r);
    int64_t (*end)(const att_problem *p, const att_seq *s); /* of a sequence's own keys */
} att_cascade;

typedef struct att_cascade_job {
    att_parts w;
    const att_cascade *way;
} att_cascade_job;

static inline int64_t att_cascade_first_page(const att_problem *p, const att_seq *s)
{
    return p->block_table.data && s->kv_len > 0 ? att_page_of(p, s, 0) : -1;
}

/* Is a the first sequence that begins with its page? */
static inline bool att_cascade_leads(const att_problem *p, const att_seq *a)
{
    for (int64_t b = 0; b < a->b && att_cascade_first_page(p, a) >= 0; b++) {
        const att_seq other = att_seq_of(p, b);
        if (att_cascade_first_page(p, &other) == att_cascade_first_page(p, a))
            return false;
    }
    return true;
}

static inline bool att_cascade_follows(const att_problem *p, const att_seq *leader, int64_t b)
{
    const att_seq s = att_seq_of(p, b);
    return b == leader->b || (b > leader->b && att_cascade_first_page(p, leader) >= 0 &&
                              att_cascade_first_page(p, &s) == att_cascade_first_page(p, leader));
}

/* Keys that all of a leader's group begin with; 0 where it is alone. */
static inline int64_t att_cascade_shared_keys(const att_problem *p, const att_seq *leader)
{
    int64_t shared = leader->kv_len;
    bool alone = true;

    for (int64_t b = leader->b + 1; b < p->batch; b++) {
        const att_seq s = att_seq_of(p, b);
        int64_t j = 0;
        if (!att_cascade_follows(p, leader, b))
            continue;
        alone = false;
        while (j < att_min(shared, s.kv_len) && att_page_of(p, &s, j) == att_page_of(p, leader, j))
            j += p->page_size;
        shared = att_min(att_min(shared, s.kv_len), j);
    }
    return alone ? 0 : shared;
}

static inline void att_cascade_group(const att_cascade_job *job, const att_seq *leader,
                                     int64_t kv_head, int64_t slot)
{
    const att_parts *w = &job->w;
    const att_problem *p = w->p;
    const int64_t shared = att_cascade_shared_keys(p, leader);

    for (int64_t b = leader->b; b < p->batch; b++) {
        const att_seq s = att_seq_of(p, b);
        const att_part_rows rows = {s, kv_head, 0, s.q_len};
        for (int side = 0; side < 2 && att_cascade_follows(p, leader, b); side++)
            att_part_clear(w, &rows, side);
    }
    for (int64_t j = 0; j < shared; j += ATT_PART_KEYS) {
        bool read = false; /* once for all of the group */
        for (int64_t b = leader->b; b < p->batch; b++) {
            const att_seq s = att_seq_of(p, b);
            const att_part_rows rows = {s, kv_head, 0, s.q_len};
            if (att_cascade_follows(p, leader, b))
                att_part_tile(w, &rows, 0, slot, j, att_min(ATT_PART_KEYS, shared - j), &read);
        }
    }
    for (int64_t b = leader->b; b < p->batch; b++) {
        const att_seq s = att_seq_of(p, b);
        att_part_rows rows = {s, kv_head, 0, s.q_len};
        if (!att_cascade_follows(p, leader, b))
            continue;
        if (job->way->end)
            rows.seq.kv_len = job->way->end(p, &s);
        att_part_span(w, &rows, 1, slot, shared, rows.seq.kv_len);
        (job->way->merge ? job->way->merge : att_part_merge)(w, &rows);
        att_part_finish(w, &rows);
    }
}

static inline void att_cascade_body(void *arg, int64_t slot, int thread)
{
    const att_cascade_job *job = arg;
    const att_problem *p = job->w.p;

    (void)thread;
    for (int64_t t = slot; t < p->batch * p->heads_kv; t += job->w.slots) {
        const att_seq leader = att_seq_of(p, t / p->heads_kv);
        if (att_cascade_leads(p, &leader))
            att_cascade_group(job, &leader, t % p->heads_kv, slot);
    }
}

static inline att_status att_cascade_attend(const att_problem *p, const att_cascade *way,
                                            const att_scratch *s)
{
    att_cascade_job job = {.way = way};
    const att_status status = att_parts_open(p, s, &job.w);

    if (status == ATT_OK && job.w.rows > 0)
        s->host->parallel_for(s->host, job.w.slots, att_cascade_body, &job);
    return status;
}

/* ---- `supports` and `plan` of such kernels */

static inline att_status att_cascade_supports(const att_kernel *self, att_op op,
                                              const att_problem *p, const att_value *params,
                                              att_reason *why)
{
    static const att_accept accept = {
        .ops = 1u << ATT_OP_ATTEND, .can = ATT_CAN_ALL, .dtypes = ATT_HALVES_AND_SINGLE};
    const att_status status = att_accept_check(&accept, op, p, why);
    (void)self, (void)params;
    if (status == ATT_OK && !p->block_table.data)
        return att_refuse(why, ATT_UNSUPPORTED, "no block table: nothing tells what is shared");
    return status;
}

static inline att_status att_cascade_plan(const att_kernel *self, att_op op, const att_problem *p,
                                          const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_parts_plan(p, out);
}

#endif
