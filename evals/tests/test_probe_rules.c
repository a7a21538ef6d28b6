/* SPDX-License-Identifier: Apache-2.0 */
/* Rules against later instructions, and constraints over turns: dense keeps them, what is lost is
 * lost by distance or by being outweighed, and each is told from the other. */
#include "evals/tests/probe_house.h"

/* o = the value of the key that is last among the kernel's near ones (cosine > 0.7). */
static att_status latest_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const int64_t group = p->heads_q / p->heads_kv, width = p->value_dim;

    (void)self, (void)s;
    for (int64_t h = 0; h < p->heads_q; h++) {
        const float *q = (const float *)p->q.data + h * p->head_dim;
        const float *k = (const float *)p->k.data + h / group * p->kv_len * p->head_dim;
        int64_t best = 0;
        for (int64_t j = 0; j < p->kv_len; j++) {
            float dot = 0;
            for (int64_t d = 0; d < p->head_dim; d++)
                dot += q[d] * k[j * p->head_dim + d];
            if (dot > 0.7f * 192) /* queries have a norm of 192 */
                best = j;
        }
        memcpy((float *)p->out.data + h * width,
               (const float *)p->v.data + (h / group * p->kv_len + best) * width,
               (size_t)width * sizeof(float));
    }
    return ATT_OK;
}

static const att_kernel latest = PROBE_MADE("latest", latest_attend);

static void open_house(void)
{
    static const att_kernel *const made[] = {&latest, NULL};

    house_open(1, made);
}

static const char *const lengths[] = {"len=256", "len=1024", "len=4096", NULL};

static void dense_keeps_rules_and_constraints(void)
{
    dense_is_right("hierarchy", lengths);
    dense_is_right("constraint", lengths);
    CU_ASSERT_EQUAL(probe_number("hierarchy", "dense", "len=1024", "conflict_effect"), 0);
    CU_ASSERT_EQUAL(probe_number("constraint", "dense", "len=1024", "turns_kept"), 1);
}

static void what_is_seen_is_kept(void)
{
    closed_form_holds("hierarchy");
    closed_form_holds("constraint");
}

static void every_control_is_punished(void)
{
    static const char *const controls[] = {"uniform", "first_k", "last_k", "random", "sink_only"};

    for (size_t i = 0; i < 5; i++) {
        is_punished("hierarchy", controls[i], 0.4);
        is_punished("constraint", controls[i], 0.4);
    }
}

static void whoever_follows_the_latest_is_overridden_only_in_conflict(void)
{
    CU_ASSERT_EQUAL(probe_number("hierarchy", "latest", "len=512", "rule_reference"), 1);
    CU_ASSERT_EQUAL(probe_number("hierarchy", "latest", "len=512", "rule_aligned"), 1);
    CU_ASSERT_EQUAL(probe_number("hierarchy", "latest", "len=512", "rule_conflict"), 0);
    CU_ASSERT_EQUAL(probe_number("hierarchy", "latest", "len=512", "overridden"), 1);
    CU_ASSERT_EQUAL(probe_number("hierarchy", "latest", "len=512", "conflict_effect"), -1);
}

static void a_window_that_lost_the_rule_finds_it_in_an_aligned_instruction(void)
{
    const char *window = "sliding_window{left=400}";

    CU_ASSERT_EQUAL(probe_number("hierarchy", window, "len=1024", "conflict_effect"), 0);
    CU_ASSERT_TRUE(probe_number("hierarchy", window, "len=1024", "rule_aligned") >
                   probe_number("hierarchy", window, "len=1024", "rule_reference"));
    CU_ASSERT_TRUE(probe_number("hierarchy", window, "len=1024", "overridden") > 0);
}

static void half_of_the_constraints_survive_as_far_as_a_window_reaches(void)
{
    att_record r = probe_measure("constraint", "sliding_window{left=256}", "len=4096", 3);
    const att_metric *half = att_record_metric(&r, "half_life");

    CU_ASSERT_PTR_NOT_NULL_FATAL(half);
    CU_ASSERT_TRUE(half->value > 128 && half->value < 512);
    CU_ASSERT_TRUE(half->lo <= half->value && half->value <= half->hi);
    CU_ASSERT_EQUAL(probe_metric(&r, "survival_far"), 0);
    CU_ASSERT_EQUAL(probe_metric(&r, "survival_near"), 1);
    att_record_clear(&r);
}

static void a_half_life_beyond_what_was_asked_is_a_lower_bound(void)
{
    att_record all = probe_measure("constraint", "dense", "len=1024", 3);
    att_record none = probe_measure("constraint", "uniform", "len=1024", 3);
    const att_metric *far = att_record_metric(&all, "half_life");
    const att_metric *near = att_record_metric(&none, "half_life");

    CU_ASSERT_PTR_NOT_NULL_FATAL(far);
    CU_ASSERT_PTR_NOT_NULL_FATAL(near);
    CU_ASSERT_TRUE(far->value > 512 && far->value < 1024);
    CU_ASSERT_TRUE(far->lo == far->value && isinf(far->hi));
    CU_ASSERT_TRUE(near->value < 16 && near->lo == 0 && near->hi == near->value);
    att_record_clear(&all);
    att_record_clear(&none);
}

static void items_are_the_seed_s(void)
{
    items_follow_the_seed("hierarchy");
    items_follow_the_seed("constraint");
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"dense keeps rules and constraints", dense_keeps_rules_and_constraints},
        {"what is seen is kept", what_is_seen_is_kept},
        {"every control is punished", every_control_is_punished},
        {"whoever follows the latest is overridden only in conflict",
         whoever_follows_the_latest_is_overridden_only_in_conflict},
        {"a window that lost the rule finds it in an aligned instruction",
         a_window_that_lost_the_rule_finds_it_in_an_aligned_instruction},
        {"half of the constraints survive as far as a window reaches",
         half_of_the_constraints_survive_as_far_as_a_window_reaches},
        {"a half-life beyond what was asked is a lower bound",
         a_half_life_beyond_what_was_asked_is_a_lower_bound},
        {"items are the seed's", items_are_the_seed_s},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_rules", tests);
}
