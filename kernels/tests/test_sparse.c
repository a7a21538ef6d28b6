/* SPDX-License-Identifier: Apache-2.0 */
/* Sparse kernels and controls: `select` against the written definition of each pattern, and the
 * output against a plain f64 loop over the selected pairs. */
#include "base/tests/suite.h"
#include "loop.h"

#define SHAPE(B, HQ, HKV, SQ, SKV, DK, DV)                                                         \
    .b = B, .hq = HQ, .hkv = HKV, .sq = SQ, .skv = SKV, .dk = DK, .dv = DV

/* Problems with every feature that may meet a pattern. */
static const try_spec SPECS[] = {
    {SHAPE(1, 2, 2, 70, 70, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT},
    {SHAPE(2, 6, 2, 13, 150, 20, 12), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .sinks = 1, .alibi = 1},
    {SHAPE(2, 4, 2, 9, 40, 8, 8)},
    {SHAPE(1, 4, 1, 30, 12, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT},
    {SHAPE(1, 2, 1, 33, 90, 8, 8), .causal = ATT_CAUSAL_TOP_LEFT, .bias = 1, .mask = 2, .cap = 5},
    {SHAPE(1, 4, 2, 20, 80, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .left1 = 31, .mask = 4},
    {SHAPE(3, 2, 2, 12, 50, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .lengths = 1, .block = 7},
    {SHAPE(1, 6, 2, 1, 600, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .layout = TRY_BSHD},
    {SHAPE(1, 2, 2, 16, 40, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .layout = TRY_SPREAD,
     .dtype = ATT_F16},
    {SHAPE(2, 2, 1, 4, 0, 8, 8)},
    {SHAPE(1, 2, 1, 0, 9, 8, 8)},
};
#define N_SPECS ((int)(sizeof SPECS / sizeof *SPECS))

/* Does the pattern keep key j for a query at position p of head h? */
typedef bool (*pattern)(const att_value *v, int64_t h, int64_t p, int64_t j);

static bool in_window(const att_value *v, int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return p - j <= v[0].i;
}

static bool in_sink_window(const att_value *v, int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j < v[0].i || p - j <= v[1].i;
}

static bool in_stride(const att_value *v, int64_t h, int64_t p, int64_t j)
{
    const int64_t local = v[1].i ? v[1].i : v[0].i;
    (void)h;
    return llabs(p - j) < local || (p - j) % v[0].i == 0;
}

static bool in_blocks(const att_value *v, int64_t h, int64_t p, int64_t j)
{
    const int64_t side = v[0].i, qb = p < 0 ? -1 : p / side, kb = j / side;
    return llabs(qb - kb) < v[1].i || kb < v[2].i || (v[3].i && (kb + h) % v[3].i == 0);
}

static bool global_or_near(const att_value *v, int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return llabs(p - j) <= v[1].i || j < v[0].i || (p >= 0 && p < v[0].i);
}

static bool in_first(const att_value *v, int64_t h, int64_t p, int64_t j)
{
    (void)h, (void)p;
    return j < v[0].i;
}

static bool in_last(const att_value *v, int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return p - j < v[0].i;
}

static bool at_sinks(const att_value *v, int64_t h, int64_t p, int64_t j)
{
    (void)h;
    return j < v[0].i || p <= j;
}

static uint8_t *selected(const att_kernel *k, const try_problem *t, const att_value *v,
                         const att_host *host)
{
    const try_spec *s = &t->spec;
    uint8_t *pairs = malloc((size_t)(s->b * s->hq * s->sq * s->skv) + 1);
    memset(pairs, 9, (size_t)(s->b * s->hq * s->sq * s->skv) + 1);
    CU_ASSERT_EQUAL_FATAL(try_call(k, ATT_OP_SELECT, &t->p, v, host, pairs), ATT_OK);
    CU_ASSERT_EQUAL(pairs[s->b * s->hq * s->sq * s->skv], 9);
    return pairs;
}

/* Pairs that differ from pattern and rules together. */
static int64_t wrong_pairs(const try_problem *t, const uint8_t *pairs, const att_value *v,
                           pattern keeps)
{
    const att_problem *p = &t->p;
    int64_t wrong = 0;
    for (int64_t b = 0; b < p->batch; b++) {
        const try_sequence s = try_sequence_of(p, b);
        for (int64_t h = 0; h < p->heads_q; h++)
            for (int64_t i = 0; i < p->q_len; i++)
                for (int64_t j = 0; j < p->kv_len; j++) {
                    const bool want = i < s.nq && try_allowed(p, &s, b, h, i, j) &&
                                      keeps(v, h, try_position(p, &s, b, i), j);
                    wrong += *pairs++ != want;
                }
    }
    return wrong;
}

static void pattern_holds(const char *name, const att_value *v, pattern keeps)
{
    const att_kernel *k = try_kernel(name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(k);
    for (int c = 0; c < N_SPECS; c++)
        for (int threads = 1; threads < 4; threads += 2) {
            try_problem t;
            att_host host;
            try_make(&t, &SPECS[c], (uint64_t)c);
            CU_ASSERT_EQUAL_FATAL(att_host_make(threads, &host), ATT_OK);
            uint8_t *pairs = selected(k, &t, v, &host);
            if (keeps)
                CU_ASSERT_EQUAL(wrong_pairs(&t, pairs, v, keeps), 0);
            CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, v, &host, NULL), ATT_OK);
            const double worst = try_worst(&t, pairs);
            if (!(worst <= 1))
                printf("%s, problem %d: %g times the bound\n", name, c, worst);
            CU_ASSERT(worst <= 1);
            free(pairs);
            att_host_drop(&host);
            try_drop(&t);
        }
}

static void sliding_window_keeps_left_and_its_own(void)
{
    static const int64_t left[] = {0, 1, 17, 64};
    for (int c = 0; c < 4; c++)
        pattern_holds("sliding_window", (att_value[]){{.i = left[c]}}, in_window);
}

static void sink_window_keeps_sinks_and_window(void)
{
    static const int64_t sinks[] = {0, 1, 4, 300}, left[] = {5, 0, 30, 3};
    for (int c = 0; c < 4; c++)
        pattern_holds("sink_window", (att_value[]){{.i = sinks[c]}, {.i = left[c]}},
                      in_sink_window);
}

static void strided_keeps_neighbours_and_columns(void)
{
    static const int64_t stride[] = {1, 7, 8, 100}, local[] = {0, 3, 0, 1};
    for (int c = 0; c < 4; c++)
        pattern_holds("strided", (att_value[]){{.i = stride[c]}, {.i = local[c]}}, in_stride);
}

static void block_sparse_keeps_its_blocks(void)
{
    pattern_holds("block_sparse", (att_value[]){{.i = 16}, {.i = 1}, {.i = 0}, {.i = 3}},
                  in_blocks);
    pattern_holds("block_sparse", (att_value[]){{.i = 64}, {.i = 1}, {.i = 0}, {.i = 0}},
                  in_blocks);
    pattern_holds("block_sparse", (att_value[]){{.i = 5}, {.i = 2}, {.i = 1}, {.i = 4}}, in_blocks);
}

static void longformer_keeps_globals_and_window(void)
{
    static const int64_t global[] = {0, 3, 16, 300}, side[] = {5, 0, 30, 3};
    for (int c = 0; c < 4; c++)
        pattern_holds("longformer", (att_value[]){{.i = global[c]}, {.i = side[c]}},
                      global_or_near);
}

static void bigbird_output_is_exact_on_its_own_pairs(void)
{
    for (int64_t random = 0; random < 4; random++)
        pattern_holds("bigbird",
                      (att_value[]){{.i = 8}, {.i = 1}, {.i = random}, {.i = 1}, {.i = 5}}, NULL);
}

static void chosen_blocks_are_attended_to_exactly(void)
{
    for (int64_t budget = 1; budget < 4; budget++)
        for (int64_t side = 1; side < 20; side += 6) {
            pattern_holds("quest", (att_value[]){{.i = side}, {.i = budget}}, NULL);
            pattern_holds("moba", (att_value[]){{.i = side}, {.i = budget}}, NULL);
        }
}

static void controls_keep_what_they_say(void)
{
    pattern_holds("first_k", (att_value[]){{.i = 6}}, in_first);
    pattern_holds("last_k", (att_value[]){{.i = 6}}, in_last);
    pattern_holds("sink_only", (att_value[]){{.i = 3}}, at_sinks);
    pattern_holds("random", (att_value[]){{.i = 9}, {.i = 1}}, NULL);
    pattern_holds("top_one", NULL, NULL);
}

static void topk_output_is_exact_on_its_own_pairs(void)
{
    pattern_holds("topk", (att_value[]){{.i = 1}}, NULL);
    pattern_holds("topk", (att_value[]){{.i = 9}}, NULL);
    pattern_holds("topk", (att_value[]){{.i = 100000}}, NULL);
}

/* As many as asked for (or all), and none left out that scores more than the bound above one kept.
 * The control top_one is the case of one. */
static void topk_keeps_the_k_best(void)
{
    static const int64_t budget[] = {1, 3, 10, 64, 1};
    for (int c = 0; c < N_SPECS; c++)
        for (int n = 0; n < 5; n++) {
            const att_kernel *k = try_kernel(n < 4 ? "topk" : "top_one");
            const att_value v[] = {{.i = budget[n]}};
            try_problem t;
            att_host host;
            try_make(&t, &SPECS[c], 3);
            CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
            uint8_t *pairs = selected(k, &t, v, &host), *at = pairs;
            for (int64_t b = 0; b < t.p.batch; b++)
                for (int64_t h = 0; h < t.p.heads_q; h++)
                    for (int64_t i = 0; i < t.p.q_len; i++, at += t.p.kv_len) {
                        const try_sequence s = try_sequence_of(&t.p, b);
                        int64_t kept = 0, allowed = 0;
                        double low = INFINITY, high = -(double)INFINITY;
                        for (int64_t j = 0; j < t.p.kv_len && i < s.nq; j++) {
                            if (!try_allowed(&t.p, &s, b, h, i, j)) {
                                CU_ASSERT_EQUAL(at[j], 0);
                                continue;
                            }
                            const try_key key = try_logit(&t.p, &s, b, h, i, j);
                            allowed++, kept += at[j];
                            if (at[j])
                                low = fmin(low, key.s + key.b);
                            else
                                high = fmax(high, key.s - key.b);
                        }
                        CU_ASSERT_EQUAL(kept, allowed < v[0].i ? allowed : v[0].i);
                        CU_ASSERT(kept == 0 || high <= low);
                    }
            free(pairs);
            att_host_drop(&host);
            try_drop(&t);
        }
}

static void equal_scores_are_a_legal_choice(void)
{
    const att_kernel *k = try_kernel("topk");
    const att_value v[] = {{.i = 5}};
    const try_spec spec = {SHAPE(1, 1, 1, 3, 40, 8, 8)};
    try_problem t;
    att_host host;
    try_make(&t, &spec, 3);
    CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
    t.p.k.stride[2] = 0; /* all keys alike */
    uint8_t *pairs = selected(k, &t, v, &host);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 40; j++)
            CU_ASSERT_EQUAL(pairs[i * 40 + j], j < 5);
    free(pairs);
    att_host_drop(&host);
    try_drop(&t);
}

static void topk_lets_nan_through(void)
{
    const att_kernel *k = try_kernel("topk");
    const att_value v[] = {{.i = 2}};
    const try_spec spec = {SHAPE(1, 1, 1, 8, 8, 8, 8), .causal = ATT_CAUSAL_TOP_LEFT};
    try_problem t;
    att_host host;
    try_make(&t, &spec, 3);
    CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
    try_put(&t.p.k, 0, 0, 5, 1, -(double)NAN);
    CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, v, &host, NULL), ATT_OK);
    for (int i = 0; i < 8; i++)
        CU_ASSERT_EQUAL(isnan(try_get(&t.p.out, 0, 0, i, 0)) != 0, i >= 5);
    att_host_drop(&host);
    try_drop(&t);
}

/* With a budget that covers everything each of them is dense attention. */
static void full_budgets_are_dense(void)
{
    static const struct {
        const char *name;
        att_value v[5];
    } full[] = {{"sliding_window", {{.i = 1000}}},
                {"sink_window", {{.i = 0}, {.i = 1000}}},
                {"sink_window", {{.i = 1000}, {.i = 0}}},
                {"strided", {{.i = 1}, {.i = 1}}},
                {"block_sparse", {{.i = 16}, {.i = 1}, {.i = 100}, {.i = 0}}},
                {"longformer", {{.i = 0}, {.i = 1000}}},
                {"longformer", {{.i = 1000}, {.i = 0}}},
                {"bigbird", {{.i = 4}, {.i = 1000}, {.i = 0}, {.i = 0}, {.i = 1}}},
                {"bigbird", {{.i = 16}, {.i = 0}, {.i = 64}, {.i = 0}, {.i = 1}}},
                {"quest", {{.i = 5}, {.i = 1000}}},
                {"moba", {{.i = 16}, {.i = 1000}}},
                {"topk", {{.i = 1000}}},
                {"split_kv", {{.i = 1}}},
                {"split_kv", {{.i = 7}}},
                {"split_kv", {{.i = 1000}}}};
    for (int c = 0; c < N_SPECS; c++)
        for (size_t n = 0; n < sizeof full / sizeof *full; n++) {
            const att_kernel *k = try_kernel(full[n].name);
            try_problem t;
            att_host host;
            try_make(&t, &SPECS[c], 4);
            CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
            CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, full[n].v, &host, NULL), ATT_OK);
            CU_ASSERT(try_worst(&t, NULL) <= 1);
            att_host_drop(&host);
            try_drop(&t);
        }
}

/* A key outside the pattern may hold NaN; one inside spoils the row. */
static void nan_outside_the_pattern_does_not_leak(void)
{
    static const struct {
        const char *name;
        att_value v[5];
    } kernels[] = {{"sliding_window", {{.i = 3}}},
                   {"longformer", {{.i = 2}, {.i = 3}}},
                   {"bigbird", {{.i = 4}, {.i = 0}, {.i = 1}, {.i = 1}, {.i = 2}}},
                   {"sink_window", {{.i = 2}, {.i = 3}}},
                   {"block_sparse", {{.i = 4}, {.i = 1}, {.i = 0}, {.i = 0}}},
                   {"strided", {{.i = 50}, {.i = 4}}},
                   {"last_k", {{.i = 4}}}};
    for (size_t n = 0; n < sizeof kernels / sizeof *kernels; n++)
        for (int in_v = 0; in_v < 2; in_v++) {
            const att_kernel *k = try_kernel(kernels[n].name);
            const try_spec spec = {SHAPE(1, 2, 1, 20, 20, 8, 8), .causal = ATT_CAUSAL_TOP_LEFT};
            try_problem t;
            att_host host;
            try_make(&t, &spec, 4);
            CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
            try_put(in_v ? &t.p.v : &t.p.k, 0, 0, 10, 2, NAN);
            uint8_t *pairs = selected(k, &t, kernels[n].v, &host);
            CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, kernels[n].v, &host, NULL), ATT_OK);
            for (int i = 0; i < 20; i++)
                CU_ASSERT_EQUAL(isnan(try_get(&t.p.out, 0, 1, i, 2)) != 0,
                                pairs[(20 + i) * 20 + 10]);
            free(pairs);
            att_host_drop(&host);
            try_drop(&t);
        }
}

static void uniform_is_the_mean_of_allowed_values(void)
{
    const att_kernel *k = try_kernel("uniform");
    const try_spec spec = {SHAPE(2, 4, 2, 30, 90, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT,
                           .mask = 1};
    try_problem t;
    att_host host;
    try_make(&t, &spec, 4);
    CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
    CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, &t.p, NULL, &host, NULL), ATT_OK);
    t.p.scale = 0; /* the plain loop with equal logits */
    CU_ASSERT(try_worst(&t, NULL) <= 1);
    att_host_drop(&host);
    try_drop(&t);
}

/* Costs: keys read by the closed form of the pattern, at 512 causal tokens of one head. */
static void cost_counts_the_keys_really_read(void)
{
    static const struct {
        const char *name;
        att_value v[5];
        double keys, kept;
    } want[] = {
        {"flash_f32", {{0}}, 512.0 * 513 / 2, 512},
        {"sliding_window", {{.i = 31}}, 512.0 * 32 - 32.0 * 31 / 2, 32},
        {"sink_window", {{.i = 4}, {.i = 27}}, 512.0 * 32 - 32.0 * 31 / 2, 32},
        {"topk", {{.i = 8}}, 512.0 * 513 / 2, 512},
        {"longformer", {{.i = 4}, {.i = 27}}, 512.0 * 32 - 32.0 * 31 / 2, 32},
        {"bigbird", {{.i = 64}, {.i = 0}, {.i = 0}, {.i = 0}, {.i = 1}}, 8.0 * 64 * 65 / 2, 512},
        {"strided", {{.i = 512}, {.i = 32}}, 512.0 * 32 - 32.0 * 31 / 2, 512},
        {"block_sparse", {{.i = 64}, {.i = 1}, {.i = 0}, {.i = 0}}, 8.0 * 64 * 65 / 2, 512}};
    for (size_t n = 0; n < sizeof want / sizeof *want; n++) {
        const att_kernel *k = try_kernel(want[n].name);
        att_problem p = att_problem_init();
        att_cost cost = {0};
        p.batch = p.heads_q = p.heads_kv = 1;
        p.q_len = p.kv_len = 512, p.head_dim = p.value_dim = 64;
        p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
        CU_ASSERT_EQUAL(k->cost(k, &p, want[n].v, &cost), ATT_OK);
        CU_ASSERT_DOUBLE_EQUAL(cost.keys_read, want[n].keys, 1e-6);
        CU_ASSERT_DOUBLE_EQUAL(cost.state_bytes, want[n].kept * 128 * 4, 1e-6);
        CU_ASSERT(cost.flops_executed >= cost.flops_useful);
        CU_ASSERT(cost.kv_bytes_read > 0);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"sliding_window_keeps_left_and_its_own", sliding_window_keeps_left_and_its_own},
        {"sink_window_keeps_sinks_and_window", sink_window_keeps_sinks_and_window},
        {"strided_keeps_neighbours_and_columns", strided_keeps_neighbours_and_columns},
        {"block_sparse_keeps_its_blocks", block_sparse_keeps_its_blocks},
        {"longformer_keeps_globals_and_window", longformer_keeps_globals_and_window},
        {"bigbird_output_is_exact_on_its_own_pairs", bigbird_output_is_exact_on_its_own_pairs},
        {"chosen_blocks_are_attended_to_exactly", chosen_blocks_are_attended_to_exactly},
        {"controls_keep_what_they_say", controls_keep_what_they_say},
        {"topk_output_is_exact_on_its_own_pairs", topk_output_is_exact_on_its_own_pairs},
        {"topk_keeps_the_k_best", topk_keeps_the_k_best},
        {"equal_scores_are_a_legal_choice", equal_scores_are_a_legal_choice},
        {"topk_lets_nan_through", topk_lets_nan_through},
        {"full_budgets_are_dense", full_budgets_are_dense},
        {"nan_outside_the_pattern_does_not_leak", nan_outside_the_pattern_does_not_leak},
        {"uniform_is_the_mean_of_allowed_values", uniform_is_the_mean_of_allowed_values},
        {"cost_counts_the_keys_really_read", cost_counts_the_keys_really_read},
        CU_TEST_INFO_NULL};
    return att_suite_run("sparse kernels", tests);
}
