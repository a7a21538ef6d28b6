/* SPDX-License-Identifier: Apache-2.0 */
/* Recall as published: the reach of windows, and how many pairs a state tells apart. */
#include "evals/tests/probe_house.h"

/* The published mix of contexts (Arora et al. 2023): tokens and pairs. */
static const int mix[][2] = {{64, 4},   {64, 8},    {64, 16},   {128, 32},
                             {256, 64}, {512, 128}, {1024, 256}};

/* Recall of a window on the mix, and how far chance may carry it: four standard errors. */
static double recall_of(int window, double *most)
{
    double sum = 0, variance = 0;

    for (size_t i = 0; i < 7; i++) {
        char kernel[64], params[64];
        snprintf(kernel, sizeof kernel, "sliding_window{left=%d}", window);
        snprintf(params, sizeof params, "len=%d facts=%d contexts=%d", mix[i][0], mix[i][1],
                 256 / mix[i][1] > 1 ? 256 / mix[i][1] : 1);
        att_record r = probe_measure("mqar", kernel, params, 1);
        const double right = probe_metric(&r, "accuracy");
        CU_ASSERT_EQUAL(right, probe_metric(&r, "accuracy_predicted"));
        CU_ASSERT_EQUAL(probe_metric(&r, "unexplained"), 0);
        sum += right;
        variance += right * (1 - right) / (double)r.n_items;
        att_record_clear(&r);
    }
    *most = 4 * sqrt(variance) / 7 + 0.0005; /* the points have three digits */
    return sum / 7;
}

static void windows_reach_what_was_published_of_them(void)
{
    static const struct {
        int window;
        double recall;
    } known[] = {{8, .058},   {16, .145},  {32, .309},  {64, .514},
                 {128, .655}, {256, .797}, {512, .936}, {1024, 1.0}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double most = 0, recall = recall_of(known[i].window, &most);
        if (!(fabs(recall - known[i].recall) <= most))
            printf("window %d: %g\n", known[i].window, recall);
        CU_ASSERT_TRUE(fabs(recall - known[i].recall) <= most);
        CU_ASSERT_TRUE(most < 0.05);
    }
}

/* Is `known` within the interval of four standard errors of what a kernel recalls? */
static void check_capacity(const char *kernel, const char *params, double known)
{
    att_record r = probe_measure("capacity", kernel, params, 1);
    const att_metric *m = att_record_metric(&r, "accuracy");

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    const double error = 4 * sqrt(known * (1 - known) / (double)m->n);
    if (!(fabs(m->value - known) <= error + 0.01))
        printf("%s: %g\n", r.line, m->value);
    CU_ASSERT_TRUE(fabs(m->value - known) <= error + 0.01);
    CU_ASSERT_TRUE(m->lo <= m->value && m->value <= m->hi);
    att_record_clear(&r);
}

static void states_hold_as_many_pairs_as_known(void)
{
    check_capacity("linear", "len=64 contexts=16", 0.999);
    check_capacity("linear", "len=256 contexts=16", 0.55);
    check_capacity("linear_elu1", "len=4 contexts=64", 0.86);
    check_capacity("linear_elu1", "len=16 contexts=16", 0.17);
    check_capacity("linear_elu1", "len=4 match=0.125 norm=1 contexts=64", 0.27);
    check_capacity("based", "len=64 dims=16 contexts=16", 0.98);
    check_capacity("based", "len=256 dims=16 contexts=16", 0.33);
    check_capacity("delta", "len=64 contexts=16", 0.86);
    check_capacity("delta", "len=256 contexts=16", 0.22);
    check_capacity("flash_f32", "len=512 match=8 contexts=16", 1);
}

static void dense_recalls_every_pair(void)
{
    static const char *const asked[] = {
        "len=256", "len=1024", "len=1024 hay=noise", "len=256 hay=prose", "len=256 hay=needles",
        NULL};
    static const char *const pairs[] = {"len=16", "len=256", "len=1024", NULL};

    dense_is_right("mqar", asked);
    dense_is_right("capacity", pairs);
}

static void the_closed_form_holds_for_pairs(void)
{
    closed_form_holds("mqar");
    closed_form_holds("capacity");
}

static void recall_punishes_every_control_that_keeps_or_draws_few(void)
{
    static const char *const controls[] = {"uniform", "first_k", "last_k", "random", "sink_only"};

    for (size_t i = 0; i < 5; i++)
        is_punished("capacity", controls[i], 0.2);
    is_punished("mqar", "uniform", 0.2); /* the first 32 tokens hold all pairs: first_k may */
    is_punished("mqar", "last_k", 0.5);
    is_punished("mqar", "sink_only", 0.2);
    is_punished("mqar", "random", 0.7); /* sees most of the short ranges of early rows */
}

static void pairs_follow_the_seed(void)
{
    items_follow_the_seed("mqar");
    items_follow_the_seed("capacity");
}

static void nothing_is_no_answer(void)
{
    /* A window that has left every pair sees zeros: nearest to every code alike, so a miss. */
    att_record r = probe_measure("mqar", "sliding_window{left=0}", "len=256", 1);

    CU_ASSERT_EQUAL(probe_metric(&r, "accuracy"), 0);
    CU_ASSERT_EQUAL(probe_metric(&r, "masked"), (double)r.n_items);
    att_record_clear(&r);
}

static void open_house(void)
{
    house_open(1, NULL);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"windows reach what was published of them", windows_reach_what_was_published_of_them},
        {"states hold as many pairs as known", states_hold_as_many_pairs_as_known},
        {"dense recalls every pair", dense_recalls_every_pair},
        {"the closed form holds for pairs", the_closed_form_holds_for_pairs},
        {"recall punishes every control that keeps or draws few",
         recall_punishes_every_control_that_keeps_or_draws_few},
        {"pairs follow the seed", pairs_follow_the_seed},
        {"nothing is no answer", nothing_is_no_answer},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_recall", tests);
}
