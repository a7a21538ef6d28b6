/* SPDX-License-Identifier: Apache-2.0 */
/* Trials of the comparison on items made by hand. */
#include "base/rng.h"
#include "base/stats.h"
#include "base/tests/suite.h"
#include "gate/compare.h"
#include "gate/independence.h"
#include "gate/trial.h"
#include "made.h"

#define SEEDS 12

/* Two tasks of 12 seeds: six contexts of four items each, which a kernel gets right or wrong by
 * chance, and by context as a whole where `sticky`. */
static att_result pool_of(bool sticky)
{
    att_result r = made_result();
    att_rng rng = att_rng_make(5, "pool");
    static const char *const tasks[] = {"probe.one", "probe.two"};

    for (int t = 0; t < 2; t++)
        for (uint64_t seed = 1; seed <= SEEDS; seed++) {
            char hits[25] = "";
            bool hit = false;
            for (int i = 0; i < 24; i++) {
                if (!sticky || i % 4 == 0)
                    hit = att_rng_unit(&rng) < 0.6;
                hits[i] = hit ? '1' : '0';
            }
            att_record *c = made_record(&r, tasks[t], "own", "len=8", seed, ATT_PASS);
            made_items(c, hits, 4);
            for (int i = 0; i < 24; i++)
                c->items[i].score = NAN; /* no sign flips to wait for */
        }
    return r;
}

static att_trial_pool made_pool(const att_result *r)
{
    att_trial_pool pool = {0};

    CU_ASSERT_EQUAL_FATAL(att_trial_pool_make(r, "own", &pool, NULL), ATT_OK);
    return pool;
}

static void a_pool_counts_items_hits_and_contexts(void)
{
    att_result r = pool_of(false);
    att_trial_pool pool = made_pool(&r), none = {0};
    att_why why = {""};

    CU_ASSERT_EQUAL(pool.n, 2);
    CU_ASSERT_EQUAL(pool.tasks[0].n, SEEDS);
    CU_ASSERT_EQUAL(pool.tasks[0].items, 24 * SEEDS);
    CU_ASSERT_EQUAL(pool.tasks[0].contexts, 6 * SEEDS);
    CU_ASSERT_DOUBLE_EQUAL((double)pool.tasks[1].hits / (24 * SEEDS), 0.6, 0.1);
    CU_ASSERT_EQUAL(att_trial_pool_make(&r, "nobody", &none, &why), ATT_INVALID);
    att_trial_pool_drop(&pool);
    att_result_clear(&r);
}

/* Dealing moves items, it makes and loses none. */
static void all_items_are_dealt_once(void)
{
    att_result r = pool_of(false);
    att_trial_pool pool = made_pool(&r);
    att_rng rng = att_rng_make(1, "deal");
    att_trial t = {0};
    size_t hits = 0;

    CU_ASSERT_EQUAL_FATAL(att_trial_same(&pool, &rng, &t), ATT_OK);
    CU_ASSERT_EQUAL(t.result.n_records, 2 * SEEDS);
    for (size_t i = 0; i < t.result.n_records; i++)
        for (size_t k = 0; k < 24; k++)
            hits += t.result.records[i].items[k].hit;
    CU_ASSERT_EQUAL(hits, pool.tasks[0].hits + pool.tasks[1].hits);
    CU_ASSERT_EQUAL_FATAL(t.result.n_comparisons, 2);
    CU_ASSERT_EQUAL(t.result.comparisons[0].n, 24 * SEEDS / 2);
    CU_ASSERT(t.result.comparisons[0].wins > 0 && t.result.comparisons[0].losses > 0);
    att_trial_drop(&t);
    att_trial_pool_drop(&pool);
    att_result_clear(&r);
}

/* Alarms of 2,000 A/A comparisons at 0.05; by items where contexts do not count. */
static void count_alarms(bool sticky, int *by_contexts, int *by_items)
{
    att_result r = pool_of(sticky);
    att_trial_pool pool = made_pool(&r);
    att_rng root = att_rng_make(3, "same");

    *by_contexts = *by_items = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        att_rng rng = att_rng_split(&root, i);
        att_trial t = {0};
        CU_ASSERT_EQUAL_FATAL(att_trial_same(&pool, &rng, &t), ATT_OK);
        *by_contexts += t.result.comparisons[0].p_context <= 0.05;
        *by_items += t.result.comparisons[0].p <= 0.05;
        att_trial_drop(&t);
    }
    att_trial_pool_drop(&pool);
    att_result_clear(&r);
}

static void the_test_over_contexts_keeps_its_level_and_that_over_items_does_not(void)
{
    int contexts = 0, items = 0;

    count_alarms(false, &contexts, &items);
    CU_ASSERT_TRUE(att_wilson(contexts, 2000, 0.99).lo <= 0.05);
    CU_ASSERT_TRUE(att_wilson(items, 2000, 0.99).lo <= 0.05);
    count_alarms(true, &contexts, &items);
    CU_ASSERT_TRUE(att_wilson(contexts, 2000, 0.99).lo <= 0.05);
    CU_ASSERT_TRUE(att_wilson(items, 2000, 0.99).lo > 0.1); /* what counting contexts is for */
}

static void check_planting(const att_trial_pool *pool, att_trial_plant plant)
{
    att_rng root = att_rng_make(9, "plant");
    int found = 0;
    double loss = 0;
    att_why why = {""};

    plant.items = att_trial_needs(pool, 1, &plant, 0.8);
    CU_ASSERT_TRUE_FATAL(plant.items > 0);
    for (uint64_t i = 0; i < 400; i++) {
        att_rng rng = att_rng_split(&root, i);
        att_trial t = {0};
        CU_ASSERT_EQUAL_FATAL(att_trial_planted(pool, 1, &plant, &rng, &t, &why), ATT_OK);
        CU_ASSERT_EQUAL_FATAL(t.result.n_comparisons, 2); /* Holm over both tasks */
        const att_comparison *c = &t.result.comparisons[0];
        CU_ASSERT_TRUE(c->n >= plant.items && c->n < plant.items + 24);
        found += strcmp(c->verdict, "worse") == 0;
        loss -= c->difference / 400;
        att_trial_drop(&t);
    }
    CU_ASSERT_DOUBLE_EQUAL(loss, plant.loss, 0.1 * plant.loss);
    CU_ASSERT_TRUE(att_wilson(found, 400, 0.99).hi >= 0.8);
    CU_ASSERT_TRUE(found < 400); /* the number of items is not far too large either */
}

static void a_planted_loss_is_found_with_the_power_at_the_number_of_items_it_needs(void)
{
    att_result r = pool_of(false);
    att_trial_pool pool = made_pool(&r);

    check_planting(&pool, (att_trial_plant){.loss = 0.05});
    check_planting(&pool, (att_trial_plant){.loss = 0.05, .churn = 0.02});
    check_planting(&pool, (att_trial_plant){.loss = 0.05, .contexts = true});
    att_trial_pool_drop(&pool);
    att_result_clear(&r);
}

/* Contexts drawn apart, and contexts of a case that are copies of one another. */
static void contexts_of_a_case_that_fall_together_are_seen(void)
{
    att_result r = pool_of(true);
    att_trial_pool pool = made_pool(&r);
    att_rng rng = att_rng_make(2, "cases");
    att_independence apart, alike;

    CU_ASSERT_EQUAL(att_independence_of(&pool.tasks[0], 999, &rng, &apart), ATT_OK);
    CU_ASSERT_TRUE(apart.p > 0.01);
    CU_ASSERT_TRUE(apart.ratio > 0.4 && apart.ratio < 2);
    for (size_t i = 0; i < r.n_records; i++)
        for (size_t k = 4; k < 24; k++)
            r.records[i].items[k].hit = r.records[i].items[k % 4].hit;
    CU_ASSERT_EQUAL(att_independence_of(&pool.tasks[0], 999, &rng, &alike), ATT_OK);
    CU_ASSERT_EQUAL(alike.p, 0.001);
    CU_ASSERT_DOUBLE_EQUAL(alike.ratio, 6, 1e-9);
    for (size_t i = 0; i < r.n_records; i++)
        for (size_t k = 0; k < 24; k++)
            r.records[i].items[k].hit = 1;
    CU_ASSERT_EQUAL(att_independence_of(&pool.tasks[0], 999, &rng, &alike), ATT_OK);
    CU_ASSERT_TRUE(isnan(alike.ratio) && alike.p == 1);
    att_trial_pool_drop(&pool);
    att_result_clear(&r);
}

static void what_leaves_no_room_for_a_loss_is_refused(void)
{
    att_result r = pool_of(false);
    att_trial_pool pool = made_pool(&r);
    const att_trial_plant plant = {.loss = 0.9, .items = 100};
    att_rng rng = att_rng_make(1, "x");
    att_trial t = {0};
    att_why why = {""};

    CU_ASSERT_EQUAL(att_trial_needs(&pool, 0, &plant, 0.8), -1);
    CU_ASSERT_EQUAL(att_trial_planted(&pool, 0, &plant, &rng, &t, &why), ATT_INVALID);
    att_trial_drop(&t);
    att_trial_pool_drop(&pool);
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a pool counts items, hits and contexts", a_pool_counts_items_hits_and_contexts},
        {"all items are dealt once", all_items_are_dealt_once},
        {"the test over contexts keeps its level, and that over items does not",
         the_test_over_contexts_keeps_its_level_and_that_over_items_does_not},
        {"a planted loss is found with the power at the number of items it needs",
         a_planted_loss_is_found_with_the_power_at_the_number_of_items_it_needs},
        {"contexts of a case that fall together are seen",
         contexts_of_a_case_that_fall_together_are_seen},
        {"what leaves no room for a loss is refused", what_leaves_no_room_for_a_loss_is_refused},
        CU_TEST_INFO_NULL};

    return att_suite_run("trial", tests);
}
