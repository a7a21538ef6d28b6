/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels with a memory: right ones pass whatever the problem, each wrong one is seen by the rule
 * of its parameters, and a session that evicts is held to what it says its rows saw. */
#include "evals/tests/house.h"

static const char *const cases[] = {
    "hq=4 hkv=2 sq=33 sk=65 causal=br",
    "hq=2 sq=17 sk=40",
    "b=3 hq=4 hkv=2 sq=17 sk=38 causal=br lens=both store=page3",
    "b=2 hq=2 sq=33 sk=65 causal=tl store=packed lens=both sinks=mixed",
    "hq=2 sq=33 sk=65 causal=br values=equal",
    "hq=2 sq=40 sk=17 causal=br values=ramp dtype=bf16",
    "hq=3 sq=9 sk=38 d=16 causal=br values=nan",
    "hq=2 sq=1 sk=64 values=late alibi=on softcap=2",
};

static const char *const right[] = {
    "knn_memory{k=4,local=3}",
    "knn_memory{k=1,local=0}",
    "knn_ivf{k=4,local=3,span=8,probes=2}",
    "dsa{k=8}",
    "dsa{k=3,dim=4}",
    "h2o{budget=12,recent=4}",
    "h2o{budget=8,recent=8}",
    "snapkv{budget=12,window=4,pool=3}",
    "snapkv{budget=20,window=16,pool=5}",
};

static void open_house(void)
{
    house_open(1, NULL);
}

static bool passes(const char *measure, const char *kernel, const char *params, uint64_t seed)
{
    att_record r = house_case(measure, kernel, params, seed);
    const bool passed = r.status == ATT_PASS;

    if (!passed)
        printf("%s %s %s seed %d: %s\n", measure, kernel, params, (int)seed,
               r.reason ? r.reason : "");
    att_record_clear(&r);
    return passed;
}

static double number(const char *measure, const char *kernel, const char *params, uint64_t seed,
                     const char *metric)
{
    att_record r = house_case(measure, kernel, params, seed);
    const att_metric *m = att_record_metric(&r, metric);
    const double value = m ? m->value : (double)NAN;

    att_record_clear(&r);
    return value;
}

static void right_memories_raise_no_alarm(void)
{
    for (size_t k = 0; k < sizeof right / sizeof *right; k++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            for (uint64_t seed = 1; seed < 3; seed++)
                CU_ASSERT(passes("parity", right[k], cases[i], seed));
}

static void each_wrong_memory_is_seen_by_the_rule_of_its_parameters(void)
{
    static const struct {
        const char *kernel, *metric;
        double limit;
    } wrongs[] = {
        {"zoo:dsa_relu_missing{k=8}", "select_gap", 1},
        {"zoo:dsa_per_head{k=8}", "select_gap", 1},
        {"zoo:h2o_evicts_recent", "select_pattern", 0},
        {"zoo:evict_slot_neighbour", "bound_ratio", 1},
        {"zoo:snapkv_pool_shifted", "select_gap", 1},
        {"zoo:knn_window_twice", "bound_ratio", 1},
        {"zoo:knn_future_far", "bound_ratio", 1},
    };

    for (size_t k = 0; k < sizeof wrongs / sizeof *wrongs; k++) {
        bool seen = false;
        for (uint64_t seed = 1; seed < 4 && !seen; seed++)
            seen = number("parity", wrongs[k].kernel, cases[0], seed, wrongs[k].metric) >
                   wrongs[k].limit;
        if (!seen)
            printf("%s: not seen by %s\n", wrongs[k].kernel, wrongs[k].metric);
        CU_ASSERT(seen);
    }
}

static void a_given_index_is_what_chooses(void)
{
    static const char *const params[] = {"",
                                         "values=ties",
                                         "values=against",
                                         "values=equal",
                                         "b=2 lens=both store=packed values=mixed",
                                         "b=2 store=page16 mask=rows dtype=f16"};

    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        CU_ASSERT(passes("select", "dsa{k=8}", params[i], 1));
    CU_ASSERT(number("select", "zoo:dsa_relu_missing{k=8}", "values=against", 1, "select_gap") > 1);
    CU_ASSERT(number("select", "zoo:dsa_per_head{k=8}", "", 1, "select_pattern") > 0);
}

static void recall_grows_with_probes_to_one(void)
{
    const char *const kernel = "knn_ivf{k=16,local=8,span=16,probes=2}";
    const double one = number("retrieval", kernel, "sk=256", 1, "recall_one");
    const double own = number("retrieval", kernel, "sk=256", 1, "recall");

    CU_ASSERT(passes("retrieval", kernel, "sk=256", 1));
    CU_ASSERT(passes("retrieval", kernel, "sk=256 values=normal", 2));
    CU_ASSERT(one > 0 && one <= own && own < 1);
    CU_ASSERT_EQUAL(number("retrieval", kernel, "sk=256", 1, "recall_all"), 1);
    CU_ASSERT_EQUAL(number("retrieval", "knn_memory{k=16,local=8}", "sk=256", 1, "recall"), 1);
    CU_ASSERT(number("retrieval", "knn_memory{k=16,local=8}", "sk=256", 1, "keys_share") >
              number("retrieval", kernel, "sk=256", 1, "keys_share"));
}

static void a_session_that_evicts_is_held_to_what_it_saw(void)
{
    for (uint64_t seed = 1; seed < 5; seed++) {
        CU_ASSERT(passes("sequence.session", "h2o_cache{budget=6,recent=3}", "sk=40", seed));
        CU_ASSERT(passes("sequence.session", "h2o_cache{budget=1,recent=1}", "sk=40", seed));
        CU_ASSERT(passes("sequence.session", "h2o_cache", "sk=40", seed));
        CU_ASSERT(passes("sequence.session", "snapkv_cache{capacity=6,window=3}", "sk=40", seed));
        CU_ASSERT(passes("sequence.session", "snapkv_cache{capacity=1,window=1}", "sk=40", seed));
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the_kernels_of_the_house_come_together", open_house},
        {"right_memories_raise_no_alarm", right_memories_raise_no_alarm},
        {"each_wrong_memory_is_seen_by_the_rule_of_its_parameters",
         each_wrong_memory_is_seen_by_the_rule_of_its_parameters},
        {"a_given_index_is_what_chooses", a_given_index_is_what_chooses},
        {"recall_grows_with_probes_to_one", recall_grows_with_probes_to_one},
        {"a_session_that_evicts_is_held_to_what_it_saw",
         a_session_that_evicts_is_held_to_what_it_saw},
        {"nothing_is_left_of_what_cases_shared", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("memory choice", tests);
}
