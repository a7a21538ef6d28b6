/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include "common/plain.h"

/* ------------------------------------------------- kernels that only these tests have */

static att_status plain_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    (void)self;
    return att_plain_attend(p, &way, s);
}

/* Loads every row, allowed or not. */
static bool greedy_allowed(const att_plain_row *w, int64_t j)
{
    att_plain_key(w, &w->rules->p->k, j, w->k);
    att_plain_key(w, &w->rules->p->v, j, w->v);
    return att_plain_allowed(w, j);
}

static att_status greedy_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.allowed = greedy_allowed};
    (void)self;
    return att_plain_attend(p, &way, s);
}

/* Takes rows without gaps alone. */
static att_status dense_supports(const att_kernel *self, att_op op, const att_problem *p,
                                 const att_value *params, att_reason *why)
{
    if (p->k.stride[2] != p->head_dim || p->v.stride[2] != p->value_dim)
        return att_refuse(why, ATT_UNSUPPORTED, "rows with gaps");
    return att_plain_supports(self, op, p, params, why);
}

static att_status all_cost(const att_kernel *self, const att_problem *p, const att_value *params,
                           att_cost *out)
{
    const att_status status = att_plain_cost(self, p, params, out);
    out->k_rows = out->v_rows = (double)(p->batch * p->heads_kv * p->kv_len);
    return status;
}

static att_status peeking_cost(const att_kernel *self, const att_problem *p,
                               const att_value *params, att_cost *out)
{
    const volatile float first = *(const float *)p->k.data;
    (void)first;
    return att_plain_cost(self, p, params, out);
}

/* Of a contract that had no rows. */
static att_status older_cost(const att_kernel *self, const att_problem *p, const att_value *params,
                             att_cost *out)
{
    att_cost now;
    const att_status status = att_plain_cost(self, p, params, &now);
    memcpy(out, &now, offsetof(att_cost, k_rows));
    return status;
}

static att_status fewer_flops(const att_kernel *self, const att_problem *p, const att_value *params,
                              att_cost *out)
{
    const att_status status = att_plain_cost(self, p, params, out);
    out->flops_useful /= 2;
    return status;
}

#define MADE(name_, cost_, attend_, supports_)                                                     \
    static const att_kernel name_ = {                                                              \
        .struct_size = sizeof(att_kernel),                                                         \
        .abi = ATT_ABI,                                                                            \
        .name = #name_,                                                                            \
        .family = "exact",                                                                         \
        .summary = "made for a test",                                                              \
        .source = "test",                                                                          \
        .class_ = ATT_EXACT,                                                                       \
        .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},                         \
        .supports = supports_,                                                                     \
        .plan = att_plain_plan_of,                                                                 \
        .cost = cost_,                                                                             \
        .attend = attend_}
MADE(made_plain, att_plain_cost, plain_attend, att_plain_supports);
MADE(made_silent, NULL, plain_attend, att_plain_supports);
MADE(made_greedy, att_plain_cost, greedy_attend, att_plain_supports);
MADE(made_boast, all_cost, plain_attend, att_plain_supports);
MADE(made_peeks, peeking_cost, plain_attend, att_plain_supports);
MADE(made_older, older_cost, plain_attend, att_plain_supports);
MADE(made_older_greedy, older_cost, greedy_attend, att_plain_supports);
MADE(made_fewer, fewer_flops, plain_attend, att_plain_supports);
MADE(made_dense, att_plain_cost, plain_attend, dense_supports);
MADE(made_dense_greedy, att_plain_cost, greedy_attend, dense_supports);

static void open_house(void)
{
    static const att_kernel *const made[] = {&made_plain,        &made_silent, &made_greedy,
                                             &made_boast,        &made_peeks,  &made_older,
                                             &made_older_greedy, &made_fewer,  &made_dense,
                                             &made_dense_greedy, NULL};

    house_open(2, made);
}

/* Measured and judged; the caller clears it. */
static att_record run_case(const char *kernel, const char *params)
{
    return house_case("cost.reads", kernel, params, 3);
}

static double number(const att_record *r, const char *metric)
{
    const att_metric *m = att_record_metric(r, metric);

    return m ? m->value : (double)NAN;
}

static bool names(const att_record *r, const char *fault)
{
    for (size_t d = 0; d < r->n_diagnoses; d++)
        if (strcmp(r->diagnoses[d].fault, fault) == 0)
            return true;
    return false;
}

static void expect(const char *kernel, const char *params, att_outcome status, const char *metric,
                   double value)
{
    att_record r = run_case(kernel, params);

    if (r.status != status || (metric && number(&r, metric) != value))
        printf("%s %s: %s, %s %g: %s\n", kernel, params, att_outcome_name(r.status),
               metric ? metric : "", metric ? number(&r, metric) : 0, r.reason ? r.reason : "");
    CU_ASSERT_EQUAL(r.status, status);
    if (metric)
        CU_ASSERT_EQUAL(number(&r, metric), value);
    att_record_clear(&r);
}

#define STEP "hq=4 hkv=2 sq=1 sk=512 d=16 causal=br"

static void rows_are_counted_one_by_one(void)
{
    expect("made_plain", STEP, ATT_PASS, "k_rows", 1024);
    expect("made_plain", STEP " wl=64", ATT_PASS, "k_rows", 130);
    expect("flash_f32", STEP " wl=64", ATT_PASS, "v_rows", 130);
    expect("sliding_window{left=31}", STEP, ATT_PASS, "k_rows", 64);
    expect("naive_blas", STEP " wl=64", ATT_PASS, "k_rows", 1024);
    expect("topk{k=8}", "hq=2 sq=1 sk=300 d=16", ATT_PASS, "v_rows", 16);
}

static void right_kernels_pass(void)
{
    static const char *const kernels[] = {"flash_f32",
                                          "split_kv",
                                          "naive_blas",
                                          "flash_p8",
                                          "sliding_window{left=70}",
                                          "sink_window{sinks=3,left=40}",
                                          "strided{stride=9,local=5}",
                                          "topk{k=8}",
                                          "block_sparse{block=16}",
                                          "block_sparse{block=48,local=1}",
                                          "pool_kv",
                                          "linear_elu1",
                                          "performer{m=16}",
                                          "kv_quant",
                                          "flash_bf16",
                                          NULL};
    static const char *const cases[] = {STEP,
                                        STEP " wl=100",
                                        "hq=2 sq=130 sk=300 d=8 causal=br wl=20",
                                        "hq=4 hkv=2 sq=200 sk=200 d=8 causal=tl",
                                        "b=3 hq=4 hkv=2 sq=9 sk=150 d=8 causal=br lens=both",
                                        "b=3 hq=2 sq=9 sk=150 d=8 store=packed causal=br",
                                        "b=2 hq=4 hkv=1 sq=5 sk=150 d=8 store=page16 lens=keys",
                                        "hq=2 sq=40 sk=300 d=8 causal=pos wl=9",
                                        "b=2 hq=2 sq=70 sk=200 d=8 block=full",
                                        "b=2 hq=2 sq=70 sk=200 d=8 mask=full bias=inf",
                                        "hq=2 sq=1 sk=150 d=8 dv=24 dtype=bf16",
                                        "b=2 hq=2 sq=0 sk=40 d=8",
                                        "b=0 hq=2 sq=3 sk=40 d=8",
                                        NULL};

    for (size_t c = 0; cases[c]; c++)
        for (size_t i = 0; kernels[i]; i++) {
            att_record r = run_case(kernels[i], cases[c]);
            const bool fine = r.status == ATT_PASS || r.status == ATT_HOLE;
            if (!fine)
                printf("%s %s: %s\n", kernels[i], cases[c], r.reason ? r.reason : "");
            CU_ASSERT(fine);
            att_record_clear(&r);
        }
}

static void quantised_rows_are_counted_too(void)
{
    static const char *const schemes[] = {"i8tok", "q8_0", "q4_0", "e4m3", "kivi", "i8k_q4v"};

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        char params[160];
        snprintf(params, sizeof params, "hq=2 sq=1 sk=100 d=40 causal=br wl=20 quant=%s",
                 schemes[i]);
        expect("kv_quant", params, ATT_PASS, "k_rows", 42);
        snprintf(params, sizeof params, "b=2 hq=2 sq=5 sk=60 d=64 store=page16 quant=%s",
                 schemes[i]);
        expect("kv_quant", params, ATT_PASS, "unread", 0);
    }
}

static void a_window_counted_in_rows_of_queries_is_caught(void)
{
    expect("group_size_forgotten", STEP " wl=64", ATT_FAIL, "undeclared", 4 * 65);
    att_record r = run_case("group_size_forgotten", STEP " wl=64");
    CU_ASSERT(names(&r, "group_size_forgotten"));
    att_record_clear(&r);
    expect("group_size_forgotten", "hq=2 sq=1 sk=512 d=16 causal=br wl=64", ATT_PASS, NULL, 0);
}

static void who_claims_to_be_sparse_and_reads_everything_is_caught_and_named(void)
{
    static const char *const kernels[] = {"window_masked_only", "made_greedy",
                                          "blocks_masked_only"};

    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
        att_record r = run_case(kernels[i], STEP " wl=64");
        CU_ASSERT_EQUAL(r.status, i < 2 ? ATT_FAIL : ATT_PASS); /* its pattern is wider there */
        att_record_clear(&r);
        r = run_case(kernels[i], "hq=2 sq=3 sk=700 d=16 wl=1");
        CU_ASSERT_EQUAL(r.status, i < 2 ? ATT_FAIL : ATT_PASS);
        att_record_clear(&r);
    }
    att_record r = run_case("blocks_masked_only", STEP);
    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT(names(&r, "reads_everything"));
    CU_ASSERT_EQUAL(number(&r, "undeclared"), 2 * 2 * (512 - 3 * 64));
    att_record_clear(&r);
    r = run_case("window_masked_only", STEP " wl=64");
    CU_ASSERT(names(&r, "reads_everything"));
    att_record_clear(&r);
}

static void a_cost_that_is_not_true_is_caught(void)
{
    expect("made_boast", STEP " wl=64", ATT_FAIL, "unread", 2 * 2 * (512 - 65));
    expect("made_peeks", STEP, ATT_FAIL, "cost_pages", 1);
    expect("made_fewer", STEP, ATT_FAIL, "flops_off", 0.5);
    expect("made_silent", STEP, ATT_HOLE, NULL, 0);
}

static void costs_of_an_older_contract_are_held_to_their_bytes(void)
{
    expect("made_older", STEP " wl=64", ATT_PASS, "bytes_off", 0);
    expect("made_older_greedy", STEP " wl=64", ATT_FAIL, "k_rows", 1024);
}

static void rows_without_gaps_are_judged_by_their_pages(void)
{
    expect("made_dense", STEP, ATT_PASS, "undeclared", 0);
    expect("made_dense", STEP " wl=64", ATT_PASS, "undeclared", 0);
    expect("made_dense_greedy", "hq=2 sq=1 sk=2048 d=64 causal=br wl=64", ATT_FAIL, NULL, 0);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the house opens", open_house},
        {"rows are counted one by one", rows_are_counted_one_by_one},
        {"right kernels pass", right_kernels_pass},
        {"quantised rows are counted too", quantised_rows_are_counted_too},
        {"a window counted in rows of queries is caught",
         a_window_counted_in_rows_of_queries_is_caught},
        {"who claims to be sparse and reads everything is caught and named",
         who_claims_to_be_sparse_and_reads_everything_is_caught_and_named},
        {"a cost that is not true is caught", a_cost_that_is_not_true_is_caught},
        {"costs of an older contract are held to their bytes",
         costs_of_an_older_contract_are_held_to_their_bytes},
        {"rows without gaps are judged by their pages",
         rows_without_gaps_are_judged_by_their_pages},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("cost", tests);
}
