/* SPDX-License-Identifier: Apache-2.0 */
/* Probes that add up a whole list: common and frequent words. */
#include "evals/probes/words.h"
#include "evals/tests/made_probe.h"
#include "evals/tests/probe_house.h"

extern const probe_task probe_task_common_words, probe_task_frequent_words;

static const probe_task *const tasks[] = {&probe_task_common_words, &probe_task_frequent_words};
static const char *const controls[] = {"uniform", "first_k", "last_k", "random", "sink_only"};

static void open_house(void)
{
    house_open(1, NULL);
}

static void dense_counts_every_list_right(void)
{
    static const char *const lengths[] = {"len=256", "len=1024", "len=4096", NULL};

    for (size_t t = 0; t < 2; t++) {
        dense_is_right(tasks[t]->name, lengths);
        CU_ASSERT_EQUAL(probe_number(tasks[t]->name, "dense", "len=1024", "set_f1"), 1);
    }
}

static void every_control_is_punished_by_lists(void)
{
    for (size_t i = 0; i < 5; i++) {
        is_punished("common_words", controls[i], 0);
        is_punished("frequent_words", controls[i], 0.25);
        CU_ASSERT_TRUE(probe_number("common_words", controls[i], "len=4096", "set_f1") < 0.6);
        CU_ASSERT_TRUE(probe_number("frequent_words", controls[i], "len=16384", "set_f1") < 0.5);
    }
}

static void a_mask_s_answer_follows_from_the_words_that_it_shows(void)
{
    static const char *const kernels[] = {"sliding_window{left=100}",
                                          "sliding_window{left=1900}",
                                          "sink_window",
                                          "strided{stride=2,local=500}",
                                          "block_sparse",
                                          "bigbird",
                                          "flash_f32",
                                          "flash_p8"};
    static const char *const lengths[] = {"len=256", "len=1000", "len=2048"};
    double known = 0, right = 0;

    for (size_t k = 0; k < sizeof kernels / sizeof *kernels; k++)
        for (size_t l = 0; l < 3; l++)
            for (size_t t = 0; t < 2; t++) {
                att_record r = probe_measure(tasks[t]->name, kernels[k], lengths[l], 4);
                const double share = probe_metric(&r, "accuracy_predicted");
                CU_ASSERT_TRUE(isnan(share) || probe_metric(&r, "unexplained") == 0);
                known += !isnan(share);
                right += isnan(share) ? 0 : share;
                att_record_clear(&r);
            }
    CU_ASSERT_TRUE(known > 30);
    CU_ASSERT_TRUE(right > 10 && right < known - 10);
    /* equal logits: which of them the best are is not in the mask */
    CU_ASSERT_TRUE(isnan(probe_number("common_words", "topk", "len=2048", "accuracy_predicted")));
}

static void items_are_the_seed_s(void)
{
    items_follow_the_seed("common_words");
    items_follow_the_seed("frequent_words");
}

/* How often word w stands in list `list` of context g. */
static int64_t times(const probe_circuit *c, int64_t g, int64_t list, int64_t w)
{
    int64_t n = 0;

    for (int64_t j = 0; j < c->len; j++) {
        const float *v = c->v + (g * c->len + j) * c->width;
        n += v[PROBE_MARKS + list] == 1 && v[w] == 1;
    }
    return n;
}

static void a_long_list_has_ten_words_thirty_times_and_the_others_three_times(void)
{
    probe_circuit *c = made_circuit(&probe_task_common_words, 4096, 1);
    int64_t often = 0, seldom = 0;

    for (int64_t w = 0; w < WORDS_KNOWN; w++) {
        const int64_t n = times(c, 1, 3, w);
        often += n == 30;
        seldom += n == 3;
    }
    CU_ASSERT_EQUAL(often, 10);
    CU_ASSERT_EQUAL(seldom, WORDS_KNOWN - 10);
    made_circuit_drop(c);
}

static void frequent_words_follow_the_inverse_square(void)
{
    probe_circuit *c = made_circuit(&probe_task_frequent_words, 4096, 1);
    int64_t most = 0, fourth = 0;

    for (int64_t w = 0; w < WORDS_KNOWN; w++) {
        const int64_t n = times(c, 0, 0, w);
        most = n > most ? n : most;
        fourth += n == 19; /* 512 / (16 * 1.63) */
    }
    CU_ASSERT_EQUAL(most, 314); /* 512 / 1.63 */
    CU_ASSERT_EQUAL(fourth, 1);
    made_circuit_drop(c);
}

static void lists_that_do_not_fit_are_refused(void)
{
    probe_circuit c = {.len = 64, .facts = 10};
    att_rng rng = att_rng_make(1, "");
    att_why why = {""};

    CU_ASSERT_EQUAL(probe_task_common_words.make(&c, &rng, &why), ATT_UNSUPPORTED);
    c.facts = WORDS_KNOWN;
    c.len = 4096;
    CU_ASSERT_EQUAL(probe_task_common_words.make(&c, &rng, &why), ATT_UNSUPPORTED);
}

/* The three most frequent words of question i, found again by counting. */
static void count_out(const probe_circuit *c, int64_t i, float *row)
{
    for (int64_t w = 0; w < WORDS_KNOWN; w++)
        row[w] = (float)times(c, c->asked[i].context, c->asked[i].head, w);
}

static void all_wanted_words_must_outweigh_all_others(void)
{
    probe_circuit *c = made_circuit(&probe_task_frequent_words, 1024, 1);
    float *out = made_out(c, 1), *row = made_row(c, out, 0, 5);
    int64_t third = -1;

    count_out(c, 5, row);
    CU_ASSERT_EQUAL(words_judge(c, 5, out).hit, 1);
    for (int64_t w = 0; w < WORDS_KNOWN; w++)
        if (row[w] == 8) /* 128 / (9 * 1.63) */
            third = w;
    CU_ASSERT_TRUE_FATAL(third >= 0);
    row[third] = 4; /* as often as the fourth */
    CU_ASSERT_EQUAL(words_judge(c, 5, out).hit, 0);
    row[third] = NAN;
    CU_ASSERT_EQUAL(words_judge(c, 5, out).hit, 0);
    CU_ASSERT_STRING_EQUAL(words_judge(c, 5, out).note, "not a number");
    free(out);
    made_circuit_drop(c);
}

static void guessing_three_of_sixty_four_is_one_in_forty_thousand(void)
{
    CU_ASSERT_DOUBLE_EQUAL(words_chance(3), 1.0 / 41664, 1e-12);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"dense counts every list right", dense_counts_every_list_right},
        {"every control is punished by lists", every_control_is_punished_by_lists},
        {"a mask's answer follows from the words that it shows",
         a_mask_s_answer_follows_from_the_words_that_it_shows},
        {"items are the seed's", items_are_the_seed_s},
        {"a long list has ten words thirty times and the others three times",
         a_long_list_has_ten_words_thirty_times_and_the_others_three_times},
        {"frequent words follow the inverse square", frequent_words_follow_the_inverse_square},
        {"lists that do not fit are refused", lists_that_do_not_fit_are_refused},
        {"all wanted words must outweigh all others", all_wanted_words_must_outweigh_all_others},
        {"guessing three of sixty-four is one in forty thousand",
         guessing_three_of_sixty_four_is_one_in_forty_thousand},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_words", tests);
}
