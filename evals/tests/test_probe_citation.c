/* SPDX-License-Identifier: Apache-2.0 */
/* Citations: dense cites what it read, made kernels that read elsewhere drift by as much, and one
 * of the house's own variants drifts. */
#include "evals/tests/probe_house.h"

enum { LEN = 1024, DOCUMENT = 60 }; /* 1,024 tokens: 32 of none, 16 documents of 60, 32 of none */

/* The value of the best key, the source columns of `behind` tokens before it. */
static att_status read_behind(const att_problem *p, int64_t value, int64_t source)
{
    const int64_t group = p->heads_q / p->heads_kv, width = p->value_dim;

    for (int64_t h = 0; h < p->heads_q; h++) {
        const int64_t g = h / group;
        const int64_t j = best_key(p, (const float *)p->q.data + h * p->head_dim, g);
        const float *v = (const float *)p->v.data + g * p->kv_len * width;
        float *out = (float *)p->out.data + h * width;
        memcpy(out, v + (j > value ? j - value : 0) * width, 64 * sizeof *out);
        memcpy(out + 64, v + (j > source ? j - source : 0) * width + 64,
               (size_t)(width - 64) * sizeof *out);
    }
    return ATT_OK;
}

static att_status drift_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    return read_behind(p, 0, DOCUMENT);
}

static att_status stray_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    return read_behind(p, LEN, LEN);
}

static const att_kernel drifts = PROBE_MADE("drifts", drift_attend);
static const att_kernel strays = PROBE_MADE("strays", stray_attend);

static void open_house(void)
{
    static const att_kernel *const made[] = {&drifts, &strays, NULL};

    house_open(1, made);
}

static void dense_gives_every_fact_and_its_document(void)
{
    static const char *const params[] = {"len=256", "len=1024", "len=4096", NULL};

    dense_is_right("citation", params);
    CU_ASSERT_EQUAL(probe_number("citation", "dense", "len=1024", "off_by_one"), 0);
    CU_ASSERT_EQUAL(probe_number("citation", "dense", "len=1024", "offset_mean"), 0);
    CU_ASSERT_TRUE(probe_number("citation", "dense", "len=1024", "mass_gold") > 0.95);
}

static void what_a_mask_hides_is_not_cited(void)
{
    closed_form_holds("citation");
}

static void every_control_is_punished(void)
{
    static const char *const controls[] = {"uniform", "first_k", "last_k", "random", "sink_only"};

    for (size_t i = 0; i < 5; i++)
        is_punished("citation", controls[i], 0.25);
}

static void a_source_read_one_document_early_is_off_by_one(void)
{
    att_record r = probe_measure("citation", "drifts", "len=1024", 3);
    size_t before = 0;

    for (size_t i = 0; i < r.n_items; i++)
        before += r.items[i].note && strcmp(r.items[i].note, "offset -1") == 0;
    CU_ASSERT_EQUAL(probe_metric(&r, "answer_right"), 1);
    CU_ASSERT_EQUAL(probe_metric(&r, "accuracy"), 0);
    CU_ASSERT_EQUAL(probe_metric(&r, "source_right"), 0);
    CU_ASSERT_EQUAL(probe_metric(&r, "offset_mean"), -1);
    CU_ASSERT_EQUAL(probe_metric(&r, "off_by_one"), (double)before / (double)r.n_items);
    /* the first document has none before it */
    CU_ASSERT_EQUAL(probe_metric(&r, "out_of_range") + probe_metric(&r, "off_by_one"), 1);
    CU_ASSERT_EQUAL(probe_metric(&r, "mass_before"), probe_metric(&r, "off_by_one"));
    att_record_clear(&r);
}

static void a_source_outside_all_documents_is_out_of_range(void)
{
    CU_ASSERT_EQUAL(probe_number("citation", "strays", "len=1024", "out_of_range"), 1);
    CU_ASSERT_EQUAL(probe_number("citation", "strays", "len=1024", "mass_outside"), 1);
    CU_ASSERT_EQUAL(probe_number("citation", "strays", "len=1024", "answer_right"), 0);
}

static void pages_chosen_by_bounds_drift_to_the_documents_beside(void)
{
    double near = 0, answered = 0, sourced = 0;

    for (uint64_t seed = 1; seed <= 4; seed++) {
        att_record r = probe_measure("citation", "quest", "len=4096", seed);
        near += probe_metric(&r, "off_by_one") / 4;
        answered += probe_metric(&r, "answer_right") / 4;
        sourced += probe_metric(&r, "source_right") / 4;
        att_record_clear(&r);
    }
    CU_ASSERT_TRUE(answered > 0.5);
    CU_ASSERT_TRUE(sourced < 0.9);
    CU_ASSERT_TRUE(near > 2 * (1 - answered * sourced) * 2 / 15); /* 2 of the 15 wrong ones */
}

static void items_are_the_seed_s(void)
{
    items_follow_the_seed("citation");
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"dense gives every fact and its document", dense_gives_every_fact_and_its_document},
        {"what a mask hides is not cited", what_a_mask_hides_is_not_cited},
        {"every control is punished", every_control_is_punished},
        {"a source read one document early is off by one",
         a_source_read_one_document_early_is_off_by_one},
        {"a source outside all documents is out of range",
         a_source_outside_all_documents_is_out_of_range},
        {"pages chosen by bounds drift to the documents beside",
         pages_chosen_by_bounds_drift_to_the_documents_beside},
        {"items are the seed's", items_are_the_seed_s},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_citation", tests);
}
