/* SPDX-License-Identifier: Apache-2.0 */
/* Answers without evidence, and documents against the prior: dense abstains and adheres, windows
 * and sinks err as theory says, made kernels are told what they did. */
#include "evals/tests/probe_house.h"

/* The value of the best key and that of token 0: o = w v_best + first v_0. */
static void mix(const att_problem *p, float w, float first)
{
    const int64_t group = p->heads_q / p->heads_kv, width = p->value_dim;

    for (int64_t h = 0; h < p->heads_q; h++) {
        const int64_t g = h / group;
        const int64_t j = best_key(p, (const float *)p->q.data + h * p->head_dim, g);
        const float *v = (const float *)p->v.data + g * p->kv_len * width;
        float *out = (float *)p->out.data + h * width;
        for (int64_t d = 0; d < width; d++)
            out[d] = w * v[j * width + d] + first * v[d];
    }
}

static att_status timid_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    mix(p, 0.4f, 0.6f);
    return ATT_OK;
}

static att_status faint_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    mix(p, 0.4f, 0);
    return ATT_OK;
}

static att_status nan_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p, (void)s; /* the output stays as it was: NaN */
    return ATT_OK;
}

static const att_kernel timid = PROBE_MADE("timid", timid_attend);
static const att_kernel faint = PROBE_MADE("faint", faint_attend);
static const att_kernel silent = PROBE_MADE("silent", nan_attend);

static void open_house(void)
{
    static const att_kernel *const made[] = {&timid, &faint, &silent, NULL};

    house_open(1, made);
}

static const char *const lengths[] = {"len=256", "len=1024", "len=4096", NULL};

static void dense_answers_with_evidence_and_abstains_without(void)
{
    dense_is_right("grounding", lengths);
    CU_ASSERT_EQUAL(probe_number("grounding", "dense", "len=1024", "true_refusal"), 1);
    CU_ASSERT_EQUAL(probe_number("grounding", "dense", "len=1024", "over_refusal"), 0);
    CU_ASSERT_TRUE(probe_number("grounding", "dense", "len=1024", "abstain_margin") > 0.9);
    CU_ASSERT_TRUE(probe_number("grounding", "dense", "len=1024", "answer_margin") > 0.9);
}

static void evidence_seen_or_null_token_seen_is_what_counts(void)
{
    closed_form_holds("grounding");
    closed_form_holds("adherence");
}

static void a_window_without_sinks_answers_and_one_with_them_refuses(void)
{
    const char *window = "sliding_window{left=64}", *sinks = "sink_window{left=60}";

    CU_ASSERT_EQUAL(probe_number("grounding", window, "len=4096", "true_refusal"), 0);
    CU_ASSERT_EQUAL(probe_number("grounding", window, "len=4096", "over_refusal"), 0);
    CU_ASSERT_EQUAL(probe_number("grounding", sinks, "len=4096", "true_refusal"), 1);
    CU_ASSERT_TRUE(probe_number("grounding", sinks, "len=4096", "over_refusal") > 0.8);
}

static void the_right_controls_are_punished(void)
{
    static const char *const controls[] = {"uniform", "last_k", "random", "first_k", "sink_only"};

    for (size_t i = 0; i < 5; i++) {
        is_punished("grounding", controls[i], i < 3 ? 0.2 : 0.65); /* the last two always refuse */
        is_punished("adherence", controls[i], 0.3);
    }
}

static void a_kernel_that_gives_most_weight_to_the_null_token_refuses_everything(void)
{
    CU_ASSERT_EQUAL(probe_number("grounding", "timid", "len=512", "true_refusal"), 1);
    CU_ASSERT_EQUAL(probe_number("grounding", "timid", "len=512", "over_refusal"), 1);
    CU_ASSERT_EQUAL(probe_number("grounding", "timid", "len=512", "accuracy"), 0.5);
}

static void a_prior_is_believed_where_it_outweighs_the_document(void)
{
    /* 0.4 on the document lies between a prior of 1/4 and one of 1/2 */
    CU_ASSERT_EQUAL(probe_number("adherence", "faint", "len=512", "adherence_weak"), 1);
    CU_ASSERT_EQUAL(probe_number("adherence", "faint", "len=512", "adherence_even"), 0);
    CU_ASSERT_EQUAL(probe_number("adherence", "faint", "len=512", "adherence_strong"), 0);
    CU_ASSERT_TRUE(probe_number("adherence", "uniform", "len=4096", "prior_taken") > 0.95);
}

static void what_is_not_finite_is_neither_answer_nor_refusal(void)
{
    CU_ASSERT_EQUAL(probe_number("grounding", "silent", "len=512", "accuracy"), 0);
    CU_ASSERT_EQUAL(probe_number("grounding", "silent", "len=512", "true_refusal"), 0);
    CU_ASSERT_EQUAL(probe_number("adherence", "silent", "len=512", "accuracy"), 0);
}

static void items_are_the_seed_s(void)
{
    items_follow_the_seed("grounding");
    items_follow_the_seed("adherence");
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"dense answers with evidence and abstains without",
         dense_answers_with_evidence_and_abstains_without},
        {"evidence seen or null token seen is what counts",
         evidence_seen_or_null_token_seen_is_what_counts},
        {"a window without sinks answers and one with them refuses",
         a_window_without_sinks_answers_and_one_with_them_refuses},
        {"the right controls are punished", the_right_controls_are_punished},
        {"a kernel that gives most weight to the null token refuses everything",
         a_kernel_that_gives_most_weight_to_the_null_token_refuses_everything},
        {"a prior is believed where it outweighs the document",
         a_prior_is_believed_where_it_outweighs_the_document},
        {"what is not finite is neither answer nor refusal",
         what_is_not_finite_is_neither_answer_nor_refusal},
        {"items are the seed's", items_are_the_seed_s},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_grounding", tests);
}
