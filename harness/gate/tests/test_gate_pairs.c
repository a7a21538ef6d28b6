/* SPDX-License-Identifier: Apache-2.0 */
/* The gate's step 4: a case against itself in the baseline. */
#include "base/rng.h"
#include "made_gate.h"

static void twelve_losses_of_twelve_block_and_churn_does_not(void)
{
    static const struct {
        size_t lost, won;
        int code;
    } rows[] = {{12, 0, ATT_EXIT_FAIL}, {9, 0, ATT_EXIT_PASS},  {12, 12, ATT_EXIT_PASS},
                {40, 5, ATT_EXIT_FAIL}, {0, 40, ATT_EXIT_PASS}, {6, 2, ATT_EXIT_PASS}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench b = make();
        add_items(&b, "probe.needle", "len=9", 100, rows[i].lost, rows[i].won);
        for (int other = 0; other < 40; other++) { /* cells where nothing differs */
            char params[16];
            snprintf(params, sizeof params, "len=%d", 100 + other);
            add_items(&b, "probe.mqar", params, 100, 0, 0);
        }
        CU_ASSERT_EQUAL(judge(&b), rows[i].code);
        CU_ASSERT_EQUAL(b.gate.n_entries, rows[i].code != ATT_EXIT_PASS);
        drop(&b);
    }
}

static void an_average_never_rescues_a_case(void)
{
    bench b = make();

    add_items(&b, "probe.needle", "len=9", 100, 20, 0);
    add_items(&b, "probe.needle", "len=10", 100, 0, 50);
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_WORSE);
    CU_ASSERT_STRING_EQUAL(top(&b).first->id, "probe.needle a len=9");
    CU_ASSERT_EQUAL(top(&b).first->value, -0.2);
    drop(&b);
}

static void a_small_loss_in_every_case_of_a_task_blocks(void)
{
    bench b = make();

    for (int i = 0; i < 8; i++) {
        char params[16];
        snprintf(params, sizeof params, "len=%d", i);
        add_items(&b, "probe.needle", params, 100, 4, 0);
    }
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).members, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(top(&b).first->text, "cases of the task together"));
    drop(&b);
}

/* Cells of 64 items in contexts of two, on which both sides hit `right` of the contexts at random,
 * and `churn` of them anew on the second; `loss` is taken from the first cell's hits. */
static int churned(att_rng *rng, int cells, double churn, double loss)
{
    bench b = make();

    for (int c = 0; c < cells; c++) {
        char was[65] = "", is[65] = "", params[16];
        for (int i = 0; i < 64; i += 2) {
            const char hit = att_rng_unit(rng) < 0.6 ? '1' : '0';
            const bool anew = att_rng_unit(rng) < churn, lost = c == 0 && att_rng_unit(rng) < loss;
            was[i] = was[i + 1] = hit;
            is[i] = is[i + 1] = lost ? '0' : anew ? (att_rng_unit(rng) < 0.6 ? '1' : '0') : hit;
        }
        snprintf(params, sizeof params, "len=%d", c);
        made_items(made_record(&b.was, "probe.needle", "a", params, 1, ATT_PASS), was, 2);
        made_items(made_record(&b.is, "probe.needle", "a", params, 1, ATT_PASS), is, 2);
    }
    const int code = judge(&b);
    drop(&b);
    return code;
}

static void a_thousand_gates_without_a_loss_block_no_more_often_than_the_level(void)
{
    att_rng rng = att_rng_make(1, "gates");
    int blocked = 0;

    for (int i = 0; i < 1000; i++)
        blocked += churned(&rng, 12, 0.3, 0) != ATT_EXIT_PASS;
    printf("%d of 1,000 gates without a loss blocked, level 0.001\n", blocked);
    CU_ASSERT_TRUE(blocked <= 5); /* P(6 or more at the level) < 1e-3 */
}

static void a_large_loss_in_one_cell_of_twelve_blocks(void)
{
    att_rng rng = att_rng_make(2, "gates");
    int blocked = 0;

    for (int i = 0; i < 100; i++)
        blocked += churned(&rng, 12, 0.05, 0.9) == ATT_EXIT_FAIL;
    printf("%d of 100 gates with 0.9 of one cell lost blocked\n", blocked);
    CU_ASSERT_TRUE(blocked >= 90);
}

static void items_that_are_others_cannot_be_paired(void)
{
    bench b = make();

    add_items(&b, "probe.needle", "len=9", 20, 0, 0);
    b.is.records[0].items[3].at = 0.77;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_ITEMS);
    drop(&b);
}

static void one_clear_flip_blocks_who_claims_to_be_exact(void)
{
    bench b = make();

    add_items(&b, "flip", "len=9", 100, 1, 0);
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_FLIP);
    b.is.records[0].items[0].score = -0.4; /* a tie, as far as the policy goes */
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_PASS);
    b.is.records[0].items[0].score = -1;
    b.is.records[0].class_ = ATT_APPROX;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_PASS);
    drop(&b);
}

static void a_margin_is_violated_kept_or_open(void)
{
    static const struct {
        const char *measure;
        size_t lost;
        int code;
    } rows[] = {{"margin", 30, ATT_EXIT_FAIL},
                {"margin", 0, ATT_EXIT_PASS},
                {"margin", 4, ATT_EXIT_PASS},
                {"margin.must", 4, ATT_EXIT_INCONCLUSIVE}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench b = make();
        add_items(&b, rows[i].measure, "len=9", 200, rows[i].lost, 0);
        CU_ASSERT_EQUAL(judge(&b), rows[i].code);
        drop(&b);
    }
}

static void a_score_may_fall_as_far_as_its_margin(void)
{
    static const struct {
        const char *measure;
        double fall, spread;
        int code;
    } rows[] = {{"score", 0.05, 0.01, ATT_EXIT_PASS},
                {"score", 0.2, 0.01, ATT_EXIT_FAIL},
                {"score", 0.2, 1, ATT_EXIT_PASS},
                {"score.must", 0.2, 1, ATT_EXIT_INCONCLUSIVE},
                {"else", 0.2, 0.01, ATT_EXIT_PASS}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bench b = make();
        add_items(&b, rows[i].measure, "len=9", 40, 0, 0);
        for (size_t k = 0; k < 40; k++)
            b.is.records[0].items[k].score -= rows[i].fall + (k % 2 ? 1 : -1) * rows[i].spread;
        CU_ASSERT_EQUAL(judge(&b), rows[i].code);
        if (rows[i].code == ATT_EXIT_FAIL) {
            CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_MARGIN);
            CU_ASSERT_DOUBLE_EQUAL(top(&b).first->value, -0.2, 1e-12);
        }
        drop(&b);
    }
}

static void a_number_may_drift_as_far_as_its_tolerance(void)
{
    bench b = make();

    made_metric(add(&b, "parity", "a", "d=8"), "ratio", "ratio", 0.7, 1);
    made_metric(&b.was.records[0], "ratio", "ratio", 0.3, 1);
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_PASS);
    b.is.records[0].metrics[0].value = 0.9;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(top(&b).first->kind, ATT_GATE_DRIFT);
    CU_ASSERT_EQUAL(top(&b).first->baseline, 0.3);
    b.is.records[0].metrics[0].value = NAN;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_FAIL);
    b.is.records[0].metrics[0].value = 0.1;
    CU_ASSERT_EQUAL(judge(&b), ATT_EXIT_PASS);
    drop(&b);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"twelve losses of twelve block and churn does not",
         twelve_losses_of_twelve_block_and_churn_does_not},
        {"an average never rescues a case", an_average_never_rescues_a_case},
        {"a small loss in every case of a task blocks",
         a_small_loss_in_every_case_of_a_task_blocks},
        {"a thousand gates without a loss block no more often than the level",
         a_thousand_gates_without_a_loss_block_no_more_often_than_the_level},
        {"a large loss in one cell of twelve blocks", a_large_loss_in_one_cell_of_twelve_blocks},
        {"items that are others cannot be paired", items_that_are_others_cannot_be_paired},
        {"one clear flip blocks who claims to be exact",
         one_clear_flip_blocks_who_claims_to_be_exact},
        {"a margin is violated, kept or open", a_margin_is_violated_kept_or_open},
        {"a score may fall as far as its margin", a_score_may_fall_as_far_as_its_margin},
        {"a number may drift as far as its tolerance", a_number_may_drift_as_far_as_its_tolerance},
        CU_TEST_INFO_NULL};

    return att_suite_run("gate_pairs", tests);
}
