/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the operator track's tasks have in common: the laws of every task, and made
 * kernels that go wrong in one known way. */
#ifndef ATT_EVALS_TESTS_PROBE_HOUSE_H
#define ATT_EVALS_TESTS_PROBE_HOUSE_H

#include <math.h>

#include "evals/tests/house.h"

/* The task measured on a kernel; a case that can't be measured is fatal.  The caller clears it. */
static inline att_record probe_measure(const char *task, const char *kernel, const char *params,
                                       uint64_t seed)
{
    char measure[64];
    snprintf(measure, sizeof measure, "probe.%s", task);
    att_record r = house_case(measure, kernel, params, seed);

    if (r.status != ATT_PASS && r.status != ATT_FAIL) {
        printf("%s: %s\n", r.line, r.reason ? r.reason : "");
        CU_FAIL_FATAL("a case that can't be measured");
    }
    return r;
}

static inline double probe_metric(const att_record *r, const char *name)
{
    const att_metric *m = att_record_metric(r, name);

    return m ? m->value : (double)NAN;
}

/* One number of one case; NAN where it was not recorded. */
static inline double probe_number(const char *task, const char *kernel, const char *params,
                                  const char *metric)
{
    att_record r = probe_measure(task, kernel, params, 3);
    const double value = probe_metric(&r, metric);

    att_record_clear(&r);
    return value;
}

static inline void dense_is_right(const char *task, const char *const *params)
{
    for (; *params; params++)
        for (uint64_t seed = 1; seed <= 3; seed++) {
            att_record r = probe_measure(task, "dense", *params, seed);
            CU_ASSERT_EQUAL(probe_metric(&r, "accuracy"), 1);
            CU_ASSERT_TRUE(probe_metric(&r, "chance") <= 0.5);
            att_record_clear(&r);
        }
}

/* A control answers at most `most` right. */
static inline void is_punished(const char *task, const char *control, double most)
{
    const double right = probe_number(task, control, "len=1024", "accuracy");

    if (!(right <= most))
        printf("%s: %s %g\n", task, control, right);
    CU_ASSERT_TRUE(right <= most);
}

/* What is seen is answered and nothing else, by kernels that are exact on their own keys. */
static inline void closed_form_holds(const char *task)
{
    static const char *const kernels[] = {"sliding_window{left=100}",
                                          "sliding_window{left=1024}",
                                          "sink_window{left=252}",
                                          "strided{stride=16}",
                                          "block_sparse",
                                          "topk",
                                          "knn_memory",
                                          "flash_f32"};
    static const char *const params[] = {"len=256", "len=1000", "len=2048"};
    double seen = 0;

    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t l = 0; l < 3; l++)
            for (uint64_t seed = 1; seed <= 2; seed++) {
                att_record r = probe_measure(task, kernels[k], params[l], seed);
                CU_ASSERT_EQUAL(probe_metric(&r, "unexplained"), 0);
                const double right = probe_metric(&r, "accuracy");
                const double more = right - probe_metric(&r, "accuracy_predicted");
                CU_ASSERT_TRUE(more > -1e-9); /* a masked value is guessed once in 4,096 */
                CU_ASSERT_TRUE(more * (double)r.n_items < 1 + 1e-9);
                seen += right;
                att_record_clear(&r);
            }
    CU_ASSERT_TRUE(seen > 0 && seen < (double)(sizeof kernels / sizeof *kernels * 6));
}

static inline bool same_number(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static inline bool same_items(const att_record *a, const att_record *b)
{
    bool same = a->n_items == b->n_items;

    for (size_t i = 0; same && i < a->n_items; i++)
        same = a->items[i].hit == b->items[i].hit && same_number(a->items[i].at, b->items[i].at) &&
               same_number(a->items[i].score, b->items[i].score);
    return same;
}

static inline void items_follow_the_seed(const char *task)
{
    att_record one = probe_measure(task, "dense", "len=512", 1);
    att_record other = probe_measure(task, "dense", "len=512", 2);
    att_record window = probe_measure(task, "sliding_window", "len=512", 1);
    att_shelf_keep(&shelf, NULL); /* made afresh, not found where the first left it */
    att_record again = probe_measure(task, "dense", "len=512", 1);

    CU_ASSERT_TRUE(one.n_items > 0 && same_items(&one, &again));
    CU_ASSERT_FALSE(same_items(&one, &other));
    CU_ASSERT_EQUAL_FATAL(one.n_items, window.n_items);
    for (size_t i = 0; i < one.n_items; i++)
        CU_ASSERT_EQUAL(one.items[i].at, window.items[i].at);
    att_record_clear(&one);
    att_record_clear(&other);
    att_record_clear(&window);
    att_record_clear(&again);
}

/* ---------------------------------------------------------------- made kernels */
/* The token of kv head g that query row q meets best. */
static inline int64_t best_key(const att_problem *p, const float *q, int64_t g)
{
    const float *k = (const float *)p->k.data + g * p->kv_len * p->head_dim;
    int64_t best = 0;
    float most = -INFINITY;

    for (int64_t j = 0; j < p->kv_len; j++) {
        float dot = 0;
        for (int64_t d = 0; d < p->head_dim; d++)
            dot += q[d] * k[j * p->head_dim + d];
        if (dot > most) {
            most = dot;
            best = j;
        }
    }
    return best;
}

static inline att_status made_supports(const att_kernel *self, att_op op, const att_problem *p,
                                       const att_value *params, att_reason *why)
{
    (void)self, (void)p, (void)params, (void)why;
    return op == ATT_OP_ATTEND ? ATT_OK : ATT_UNSUPPORTED;
}

/* The descriptor of one: its name and how it attends. */
#define PROBE_MADE(id, how)                                                                        \
    {                                                                                              \
        .struct_size = sizeof(att_kernel), .abi = ATT_ABI, .name = id, .family = "made",           \
        .summary = "made for a test", .class_ = ATT_APPROX,                                        \
        .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},                         \
        .supports = made_supports, .attend = how                                                   \
    }

#endif
