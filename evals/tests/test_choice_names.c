/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that choose their keys: what a wrong choice is called, by the rule of its parameters. */
#include "core/names.h"
#include "evals/tests/house.h"

static const char *const cases[] = {
    "hq=4 hkv=2 sq=33 sk=65 causal=br",
    "hq=2 sq=17 sk=40",
    "hq=2 sq=17 sk=18",
    "b=2 hq=2 sq=9 sk=40 d=5",
    "b=3 hq=4 hkv=2 sq=17 sk=38 causal=br lens=both",
    "hq=2 sq=17 sk=33 causal=tl mask=full",
};

static void open_house(void)
{
    house_open(1, NULL);
}

/* Failing cases that the dictionary was tried on, and of them those that `fault` explains, and
 * those that anything else does. */
typedef struct told {
    int looked, right, wrong;
} told;

static told ask(const char *kernel, const char *fault)
{
    told t = {0};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        att_record r = house_case("parity", kernel, cases[i], 1);
        bool right = false, wrong = false, looked = false;
        for (size_t d = 0; r.status == ATT_FAIL && d < r.n_diagnoses; d++) {
            const att_diagnosis *is = &r.diagnoses[d];
            looked |= att_diagnosis_explains(is) || strcmp(is->fault, ATT_UNKNOWN) == 0;
            right |= att_diagnosis_explains(is) && strcmp(is->fault, fault) == 0;
            wrong |= att_diagnosis_explains(is) && strcmp(is->fault, fault) != 0;
        }
        t.looked += looked;
        t.right += right;
        t.wrong += wrong;
        att_record_clear(&r);
    }
    return t;
}

static const struct wrong {
    const char *kernel, *fault;
} wrongs[] = {
    {"zoo:quest_page_stale{page=4,pages=2}", "first_key_for_block"},
    {"zoo:quest_maxima_alone{page=4,pages=2}", "maxima_alone"},
    {"zoo:quest_budget_in_keys{page=4,pages=3}", "budget_in_keys"},
    {"zoo:quest_future_in_page{page=4,pages=2}", "block_of_unseen"},
    {"zoo:moba_own_not_forced{block=4,blocks=2}", "own_block_missing"},
    {"zoo:moba_mean_of_padding{block=4,blocks=2}", "mean_over_whole_block"},
    {"zoo:topk_one_short{k=5}", "keep_off_by_one"},
    {"zoo:topp_stops_short{p=0.8}", "crossing_key_left"},
    {"zoo:longformer_globals_blind{global=3,side=2}", "global_rows_blind"},
    {"zoo:bigbird_heads_alike{block=4,random=2}", "pattern_of_first_head"},
    {"zoo:dsa_relu_missing{k=8}", "relu_missing"},
    {"zoo:dsa_per_head{k=8}", "chosen_by_head"},
    {"zoo:snapkv_pool_shifted{budget=12,window=4,pool=3}", "pool_shifted"},
    {"zoo:h2o_evicts_recent{budget=12,recent=4}", "recent_not_spared"},
};

static void a_wrong_choice_is_called_by_its_slip_and_by_no_other_as_often(void)
{
    for (size_t k = 0; k < sizeof wrongs / sizeof *wrongs; k++) {
        const told t = ask(wrongs[k].kernel, wrongs[k].fault);
        if (!(2 * t.right > t.looked && t.right > t.wrong))
            printf("%s: %d of %d, others %d\n", wrongs[k].kernel, t.right, t.looked, t.wrong);
        CU_ASSERT(t.looked > 0);
        CU_ASSERT(2 * t.right > t.looked);
        CU_ASSERT(t.right > t.wrong);
    }
}

static void a_choice_that_no_reading_explains_is_called_unknown(void)
{
    const told t = ask("zoo:bigbird_drawn_anew{block=4,random=2}", "");

    CU_ASSERT(t.looked > 0);
    CU_ASSERT_EQUAL(t.wrong, 0);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the_kernels_of_the_house_come_together", open_house},
        {"a_wrong_choice_is_called_by_its_slip_and_by_no_other_as_often",
         a_wrong_choice_is_called_by_its_slip_and_by_no_other_as_often},
        {"a_choice_that_no_reading_explains_is_called_unknown",
         a_choice_that_no_reading_explains_is_called_unknown},
        {"nothing_is_left_of_what_cases_shared", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("choice names", tests);
}
