/* SPDX-License-Identifier: Apache-2.0 */
/* Entities: boxes followed through the operations that touch them. */
#include "evals/tests/made_probe.h"
#include "evals/tests/probe_house.h"

extern const probe_task probe_task_entities;

static void open_house(void)
{
    house_open(1, NULL);
}

static void dense_knows_what_every_box_holds(void)
{
    static const char *const lengths[] = {"len=256", "len=1024", "len=4096", NULL};

    dense_is_right("entities", lengths);
}

static void a_box_is_followed_by_those_who_see_every_operation_on_it(void)
{
    closed_form_holds("entities");
}

static void every_control_is_punished_by_operations(void)
{
    static const char *const controls[] = {"uniform", "first_k", "last_k", "random", "sink_only"};

    for (size_t i = 0; i < 5; i++)
        is_punished("entities", controls[i], 0.25);
}

static void items_are_the_seed_s(void)
{
    items_follow_the_seed("entities");
}

/* Hops of question i: the states that its operations lead to, then what the box holds. */
static void tell_the_story(const probe_circuit *c, float *out, int64_t i)
{
    const probe_question *a = &c->asked[i];

    for (int64_t t = 0; t < a->kind; t++)
        made_say(c, out, t, i, probe_drawn(c, a->context, a->head * 6 + t + 1));
    made_say(c, out, a->kind, i, a->answer);
    made_row(c, out, a->kind, i)[a->mark] = 1;
}

static int64_t touched(const probe_circuit *c, int64_t times)
{
    for (int64_t i = 0; i < c->n_asked; i++)
        if (c->asked[i].kind == times)
            return i;
    CU_FAIL_FATAL("no box is touched so often");
    return -1;
}

static void a_box_says_at_which_operation_it_was_lost(void)
{
    probe_circuit *c = made_circuit(&probe_task_entities, 512, 1);
    const int64_t i = touched(c, 3);
    float *out = made_out(c, probe_task_entities.hops);

    tell_the_story(c, out, i);
    CU_ASSERT_EQUAL(probe_task_entities.judge(c, i, out).hit, 1);
    made_row(c, out, 3, i)[c->asked[i].mark] = 0;
    CU_ASSERT_STRING_EQUAL(probe_task_entities.judge(c, i, out).note, "right by luck");
    made_say(c, out, 1, i, 4000);
    CU_ASSERT_STRING_EQUAL(probe_task_entities.judge(c, i, out).note, "right by luck");
    made_say(c, out, 3, i, 4000);
    CU_ASSERT_STRING_EQUAL(probe_task_entities.judge(c, i, out).note, "lost at operation 2");
    free(out);
    made_circuit_drop(c);
}

static void boxes_are_touched_from_never_to_five_times(void)
{
    int64_t n[6] = {0};

    for (uint64_t seed = 1; seed <= 8; seed++) {
        probe_circuit *c = made_circuit(&probe_task_entities, 256, seed);
        for (int64_t i = 0; i < c->n_asked; i++) {
            const probe_question *a = &c->asked[i];
            CU_ASSERT_TRUE_FATAL(a->kind >= 0 && a->kind < 6);
            CU_ASSERT_EQUAL(a->n_evidence, a->kind + 1);
            for (int64_t e = 1; e < a->n_evidence; e++) /* in the order of the story */
                CU_ASSERT_TRUE(a->evidence[e] > a->evidence[e - 1]);
            n[a->kind]++;
        }
        made_circuit_drop(c);
    }
    for (int t = 0; t < 6; t++)
        CU_ASSERT_TRUE(n[t] > 0);
}

static void a_window_loses_boxes_that_are_touched_often_first(void)
{
    static const char window[] = "sliding_window{left=400}", len[] = "len=1024";

    CU_ASSERT_TRUE(probe_number("entities", window, len, "right_touched_few") >
                   probe_number("entities", window, len, "right_touched_often"));
    CU_ASSERT_EQUAL(probe_number("entities", "dense", len, "right_touched_often"), 1);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"dense knows what every box holds", dense_knows_what_every_box_holds},
        {"a box is followed by those who see every operation on it",
         a_box_is_followed_by_those_who_see_every_operation_on_it},
        {"every control is punished by operations", every_control_is_punished_by_operations},
        {"items are the seed's", items_are_the_seed_s},
        {"a box says at which operation it was lost", a_box_says_at_which_operation_it_was_lost},
        {"boxes are touched from never to five times", boxes_are_touched_from_never_to_five_times},
        {"a window loses boxes that are touched often first",
         a_window_loses_boxes_that_are_touched_often_first},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_entities", tests);
}
