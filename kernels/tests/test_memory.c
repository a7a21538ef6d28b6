/* SPDX-License-Identifier: Apache-2.0 */
/* Memory kernels: `select` against the written definition, and the output against a plain f64 loop
 * over the selected pairs. */
#include "base/tests/suite.h"
#include "loop.h"

#define SHAPE(B, HQ, HKV, SQ, SKV, DK, DV)                                                         \
    .b = B, .hq = HQ, .hkv = HKV, .sq = SQ, .skv = SKV, .dk = DK, .dv = DV

/* Problems of prefixes: each row sees the keys before a place that moves on with the rows. */
static const try_spec SPECS[] = {
    {SHAPE(1, 2, 2, 70, 70, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT},
    {SHAPE(2, 6, 2, 13, 150, 20, 12), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .sinks = 1, .alibi = 1},
    {SHAPE(2, 4, 2, 9, 40, 8, 8)},
    {SHAPE(1, 4, 1, 30, 12, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT},
    {SHAPE(1, 2, 1, 33, 90, 8, 8), .causal = ATT_CAUSAL_TOP_LEFT, .cap = 5},
    {SHAPE(3, 2, 2, 12, 50, 8, 8), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .lengths = 1},
    {SHAPE(1, 6, 2, 1, 600, 16, 16), .causal = ATT_CAUSAL_BOTTOM_RIGHT, .layout = TRY_BSHD},
    {SHAPE(2, 2, 1, 4, 0, 8, 8)},
    {SHAPE(1, 2, 1, 0, 9, 8, 8)},
};
#define N_SPECS ((int)(sizeof SPECS / sizeof *SPECS))

/* One row of what a kernel selected, and whether it is right. */
typedef void (*row_check)(const try_problem *t, const try_sequence *s, int64_t b, int64_t h,
                          int64_t i, const att_value *v, const uint8_t *kept);

static void rows_hold(const char *name, const att_value *v, row_check check)
{
    const att_kernel *k = try_kernel(name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(k);
    for (int c = 0; c < N_SPECS; c++)
        for (int threads = 1; threads < 4; threads += 2) {
            try_problem t;
            att_host host;
            try_make(&t, &SPECS[c], (uint64_t)c);
            const att_problem *p = &t.p;
            CU_ASSERT_EQUAL_FATAL(att_host_make(threads, &host), ATT_OK);
            uint8_t *pairs = malloc((size_t)(p->batch * p->heads_q * p->q_len * p->kv_len) + 1);
            CU_ASSERT_EQUAL_FATAL(try_call(k, ATT_OP_SELECT, p, v, &host, pairs), ATT_OK);
            CU_ASSERT_EQUAL(try_call(k, ATT_OP_ATTEND, p, v, &host, NULL), ATT_OK);
            CU_ASSERT(try_worst(&t, pairs) <= 1);
            for (int64_t r = 0; r < p->batch * p->heads_q * p->q_len; r++) {
                const int64_t b = r / p->heads_q / p->q_len, i = r % p->q_len;
                const try_sequence s = try_sequence_of(p, b);
                if (i < s.nq)
                    check(&t, &s, b, r / p->q_len % p->heads_q, i, v, pairs + r * p->kv_len);
            }
            free(pairs);
            att_host_drop(&host);
            try_drop(&t);
        }
}

static void near_and_best_far(const try_problem *t, const try_sequence *s, int64_t b, int64_t h,
                              int64_t i, const att_value *v, const uint8_t *kept)
{
    const int64_t at = try_position(&t->p, s, b, i);
    int64_t far = 0, have = 0;
    double low = INFINITY, high = -(double)INFINITY;

    for (int64_t j = 0; j < t->p.kv_len; j++) {
        const bool allowed = try_allowed(&t->p, s, b, h, i, j);
        if (!allowed || llabs(at - j) < v[1].i) {
            CU_ASSERT_EQUAL(kept[j], allowed);
            continue;
        }
        const try_key key = try_logit(&t->p, s, b, h, i, j);
        far++, have += kept[j];
        if (kept[j])
            low = fmin(low, key.s - key.b);
        else
            high = fmax(high, key.s - key.b);
    }
    CU_ASSERT_EQUAL(have, far < v[0].i ? far : v[0].i);
    CU_ASSERT(have == 0 || high <= low);
}

static void knn_memory_keeps_near_keys_and_the_best_far_ones(void)
{
    static const int64_t k[] = {1, 4, 32, 4}, local[] = {1, 3, 128, 0};
    for (int c = 0; c < 4; c++)
        rows_hold("knn_memory", (att_value[]){{.i = k[c]}, {.i = local[c]}}, near_and_best_far);
}

/* Is j, counted from 0, among the k largest of x[0..n)?  Equal ones: the lower first. */
static bool among(const double *x, int64_t n, int64_t k, int64_t j)
{
    int64_t better = 0;
    for (int64_t c = 0; c < n; c++)
        better += x[c] > x[j] || (x[c] == x[j] && c < j);
    return better < k;
}

static int64_t reach(const try_problem *t, const try_sequence *s, int64_t b, int64_t i)
{
    int64_t hi = 0;
    while (hi < s->nk && try_allowed(&t->p, s, b, 0, i, hi))
        hi++;
    return hi;
}

static void best_indexed(const try_problem *t, const try_sequence *s, int64_t b, int64_t h,
                         int64_t i, const att_value *v, const uint8_t *kept)
{
    const att_problem *p = &t->p;
    const int64_t hi = reach(t, s, b, i), dim = v[1].i < p->head_dim ? v[1].i : p->head_dim;
    double *score = calloc((size_t)p->kv_len + 1, sizeof *score);

    (void)h;
    for (int64_t j = 0; j < hi; j++)
        for (int64_t g = 0; g < p->heads_q; g++) {
            double dot = 0;
            for (int64_t d = 0; d < dim; d++) {
                double k = 0;
                for (int64_t kv = 0; kv < p->heads_kv; kv++)
                    k += try_key_element(p, s, &p->k, b, kv, j, d) / (double)p->heads_kv;
                dot += k * try_get(&p->q, s->at, g, s->q0 + i, d);
            }
            score[j] += fmax(dot, 0) / (double)p->heads_q;
        }
    for (int64_t j = 0; j < p->kv_len; j++)
        CU_ASSERT_EQUAL(kept[j], j < hi && among(score, hi, v[0].i, j));
    free(score);
}

static void dsa_keeps_the_best_by_index_for_all_heads(void)
{
    rows_hold("dsa", (att_value[]){{.i = 9}, {.i = 64}}, best_indexed);
    rows_hold("dsa", (att_value[]){{.i = 64}, {.i = 4}}, best_indexed);
    rows_hold("dsa", (att_value[]){{.i = 1000}, {.i = 8}}, best_indexed);
}

/* Adds softmax's weights of the group of head h over the keys of `on` to mass. */
static void add_mass(const try_problem *t, const try_sequence *s, int64_t b, int64_t h, int64_t i,
                     const uint8_t *on, int64_t hi, double *mass)
{
    const int64_t group = t->p.heads_q / t->p.heads_kv;
    double *w = calloc((size_t)hi + 1, sizeof *w);

    for (int64_t g = h / group * group; g < h / group * group + group; g++) {
        double top = -INFINITY, sum = 0;
        for (int64_t j = 0; j < hi; j++) {
            w[j] = on[j] ? try_logit(&t->p, s, b, g, i, j).s : -INFINITY;
            top = fmax(top, w[j]);
        }
        for (int64_t j = 0; j < hi; j++)
            sum += w[j] = exp(w[j] - top);
        for (int64_t j = 0; j < hi; j++)
            mass[j] += w[j] / sum;
    }
    free(w);
}

/* The whole trace up to row i, replayed. */
static void heavy_and_recent(const try_problem *t, const try_sequence *s, int64_t b, int64_t h,
                             int64_t i, const att_value *v, const uint8_t *kept)
{
    const int64_t n = t->p.kv_len;
    double *mass = calloc((size_t)n + 1, sizeof *mass);
    uint8_t *held = calloc((size_t)n + 1, 1);
    int64_t next = 0, count = 0;

    for (int64_t r = 0; r <= i; r++) {
        const int64_t hi = reach(t, s, b, r);
        for (; next < hi; next++) {
            int64_t least = -1;
            for (int64_t j = 0; j < next && j <= next - v[1].i; j++)
                if (held[j] && (least < 0 || mass[j] < mass[least]))
                    least = j;
            if (count == v[0].i)
                held[least] = 0, count--;
            held[next] = 1, count++;
        }
        if (r < i)
            add_mass(t, s, b, h, r, held, hi, mass);
    }
    CU_ASSERT(memcmp(held, kept, (size_t)n) == 0);
    free(mass);
    free(held);
}

static void h2o_keeps_recent_keys_and_heavy_hitters(void)
{
    rows_hold("h2o", (att_value[]){{.i = 12}, {.i = 4}}, heavy_and_recent);
    rows_hold("h2o", (att_value[]){{.i = 8}, {.i = 8}}, heavy_and_recent);
    rows_hold("h2o", (att_value[]){{.i = 1000}, {.i = 1}}, heavy_and_recent);
}

static void window_and_votes(const try_problem *t, const try_sequence *s, int64_t b, int64_t h,
                             int64_t i, const att_value *v, const uint8_t *kept)
{
    const int64_t hi = reach(t, s, b, i), near = v[0].i < v[1].i ? v[0].i : v[1].i;
    const int64_t keys = hi > near ? hi - near : 0, half = v[2].i / 2;
    double *votes = calloc((size_t)t->p.kv_len + 1, sizeof *votes);
    double *pooled = calloc((size_t)t->p.kv_len + 1, sizeof *votes);
    uint8_t *on = malloc((size_t)t->p.kv_len + 1);

    memset(on, 1, (size_t)t->p.kv_len + 1);
    for (int64_t r = i < v[1].i ? 0 : i - v[1].i + 1; r <= i; r++)
        add_mass(t, s, b, h, r, on, reach(t, s, b, r), votes);
    for (int64_t j = 0; j < keys; j++)
        for (int64_t c = j - half; c <= j + half; c++)
            pooled[j] += c >= 0 && c < keys ? votes[c] : 0;
    for (int64_t j = 0; j < t->p.kv_len; j++)
        CU_ASSERT_EQUAL(kept[j], j < hi && (j >= keys || among(pooled, keys, v[0].i - near, j)));
    free(votes);
    free(pooled);
    free(on);
}

static void snapkv_keeps_its_window_and_what_it_votes_for(void)
{
    rows_hold("snapkv", (att_value[]){{.i = 12}, {.i = 4}, {.i = 3}}, window_and_votes);
    rows_hold("snapkv", (att_value[]){{.i = 30}, {.i = 16}, {.i = 5}}, window_and_votes);
    rows_hold("snapkv", (att_value[]){{.i = 3}, {.i = 8}, {.i = 1}}, window_and_votes);
}

/* Far keys are among the best only of what was probed; with every list probed they are the best. */
static void near_and_no_more_far(const try_problem *t, const try_sequence *s, int64_t b, int64_t h,
                                 int64_t i, const att_value *v, const uint8_t *kept)
{
    const int64_t at = try_position(&t->p, s, b, i);
    int64_t far = 0;

    for (int64_t j = 0; j < t->p.kv_len; j++) {
        const bool allowed = try_allowed(&t->p, s, b, h, i, j);
        if (!allowed || llabs(at - j) < v[1].i) {
            CU_ASSERT_EQUAL(kept[j], allowed);
        } else {
            far += kept[j];
        }
    }
    CU_ASSERT(far <= v[0].i);
}

static void knn_ivf_is_exact_with_every_list_probed(void)
{
    rows_hold("knn_ivf", (att_value[]){{.i = 4}, {.i = 3}, {.i = 4}, {.i = 1}},
              near_and_no_more_far);
    rows_hold("knn_ivf", (att_value[]){{.i = 4}, {.i = 3}, {.i = 4}, {.i = 1000}},
              near_and_best_far);
    rows_hold("knn_ivf", (att_value[]){{.i = 9}, {.i = 1}, {.i = 64}, {.i = 1000}},
              near_and_best_far);
}

/* One token at a time, a session gives what the replay of its trace gives. */
static void h2o_cache_decodes_what_h2o_replays(void)
{
    enum { N = 40, H = 4, G = 2, D = 8 };
    const try_spec spec = {SHAPE(1, H, G, N, N, D, D), .causal = ATT_CAUSAL_BOTTOM_RIGHT};
    const att_kernel *whole = try_kernel("h2o"), *steps = try_kernel("h2o_cache");
    const att_value v[] = {{.i = 9}, {.i = 3}};
    uint8_t pairs[H * N * N], seen[H * N];
    float out[H * D];
    try_problem t;
    att_host host;
    att_session *session = NULL;

    try_make(&t, &spec, 5);
    CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
    CU_ASSERT_EQUAL(try_call(whole, ATT_OP_SELECT, &t.p, v, &host, pairs), ATT_OK);
    CU_ASSERT_EQUAL(try_call(whole, ATT_OP_ATTEND, &t.p, v, &host, NULL), ATT_OK);
    att_problem p = t.p;
    const att_scratch scratch = {.params = v, .host = &host};
    p.q_len = 1;
    p.lse = (att_tensor){0};
    CU_ASSERT_EQUAL_FATAL(steps->session->open(steps, &p, &scratch, &session), ATT_OK);
    for (int64_t i = 0; i < N; i++) {
        att_problem one = p;
        one.kv_len = 1;
        one.k.shape[2] = one.v.shape[2] = one.q.shape[2] = 1;
        one.k.data = (float *)t.p.k.data + att_tensor_at(&t.p.k, 0, 0, i, 0);
        one.v.data = (float *)t.p.v.data + att_tensor_at(&t.p.v, 0, 0, i, 0);
        CU_ASSERT_EQUAL(steps->session->append(session, &one), ATT_OK);
        one.kv_len = i + 1;
        one.q.data = (float *)t.p.q.data + att_tensor_at(&t.p.q, 0, 0, i, 0);
        one.out = att_tensor_dense(out, ATT_F32, 1, H, 1, D);
        CU_ASSERT_EQUAL(steps->session->attend(session, &one), ATT_OK);
        CU_ASSERT_EQUAL(steps->session->seen(session, seen), ATT_OK);
        for (int64_t h = 0; h < H; h++) {
            CU_ASSERT(memcmp(seen + h * (i + 1), pairs + (h * N + i) * N, (size_t)i + 1) == 0);
            for (int64_t d = 0; d < D; d++)
                CU_ASSERT_DOUBLE_EQUAL(out[h * D + d], try_get(&t.p.out, 0, h, i, d), 1e-5);
        }
    }
    steps->session->close(session);
    att_host_drop(&host);
    try_drop(&t);
}

/* The prompt is cut to what its last row chooses; what is generated joins, and nothing else. */
static void snapkv_cache_keeps_what_snapkv_chooses_for_the_prompts_last_row(void)
{
    enum { N = 40, MORE = 5, H = 4, G = 2, D = 8, LAST = N + MORE };
    const try_spec spec = {SHAPE(1, H, G, LAST, LAST, D, D), .causal = ATT_CAUSAL_BOTTOM_RIGHT};
    const att_kernel *whole = try_kernel("snapkv"), *steps = try_kernel("snapkv_cache");
    const att_value v[] = {{.i = 12}, {.i = 4}, {.i = 3}};
    uint8_t pairs[H * LAST * LAST], seen[H * N * LAST];
    float out[H * N * D];
    try_problem t;
    att_host host;
    att_session *session = NULL;

    try_make(&t, &spec, 5);
    CU_ASSERT_EQUAL_FATAL(att_host_make(1, &host), ATT_OK);
    CU_ASSERT_EQUAL(try_call(whole, ATT_OP_SELECT, &t.p, v, &host, pairs), ATT_OK);
    att_problem p = t.p;
    const att_scratch scratch = {.params = v, .host = &host};
    p.q_len = N;
    p.lse = (att_tensor){0};
    CU_ASSERT_EQUAL_FATAL(steps->session->open(steps, &p, &scratch, &session), ATT_OK);
    for (int64_t i = 0; i < 1 + MORE; i++) { /* the prompt, then token by token */
        const int64_t n = i ? 1 : N, first = i ? N + i - 1 : 0, length = N + i;
        att_problem one = p;
        one.kv_len = one.q_len = n;
        one.k.shape[2] = one.v.shape[2] = one.q.shape[2] = n;
        one.k.data = (float *)t.p.k.data + att_tensor_at(&t.p.k, 0, 0, first, 0);
        one.v.data = (float *)t.p.v.data + att_tensor_at(&t.p.v, 0, 0, first, 0);
        CU_ASSERT_EQUAL(steps->session->append(session, &one), ATT_OK);
        one.kv_len = length;
        one.q.data = (float *)t.p.q.data + att_tensor_at(&t.p.q, 0, 0, first, 0);
        one.out = att_tensor_dense(out, ATT_F32, 1, H, n, D);
        CU_ASSERT_EQUAL(steps->session->attend(session, &one), ATT_OK);
        CU_ASSERT_EQUAL(steps->session->seen(session, seen), ATT_OK);
        for (int64_t h = 0; h < H; h++)
            for (int64_t r = 0; r < n; r++)
                for (int64_t j = 0; j < length; j++) {
                    const bool kept = j >= N || pairs[(h * LAST + N - 1) * LAST + j];
                    CU_ASSERT_EQUAL(seen[(h * n + r) * length + j], i ? kept : j <= r);
                }
    }
    steps->session->close(session);
    att_host_drop(&host);
    try_drop(&t);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"knn_memory_keeps_near_keys_and_the_best_far_ones",
         knn_memory_keeps_near_keys_and_the_best_far_ones},
        {"dsa_keeps_the_best_by_index_for_all_heads", dsa_keeps_the_best_by_index_for_all_heads},
        {"h2o_keeps_recent_keys_and_heavy_hitters", h2o_keeps_recent_keys_and_heavy_hitters},
        {"snapkv_keeps_its_window_and_what_it_votes_for",
         snapkv_keeps_its_window_and_what_it_votes_for},
        {"knn_ivf_is_exact_with_every_list_probed", knn_ivf_is_exact_with_every_list_probed},
        {"h2o_cache_decodes_what_h2o_replays", h2o_cache_decodes_what_h2o_replays},
        {"snapkv_cache_keeps_what_snapkv_chooses_for_the_prompts_last_row",
         snapkv_cache_keeps_what_snapkv_chooses_for_the_prompts_last_row},
        CU_TEST_INFO_NULL};
    return att_suite_run("memory kernels", tests);
}
