/* SPDX-License-Identifier: Apache-2.0 */
/* Coreference: ordinals with what they are confused with, pronouns whose twins flip one word. */
#include "evals/tests/made_probe.h"
#include "evals/tests/probe_house.h"

extern const probe_task probe_task_ordinals, probe_task_pronouns;

static const char *const names[] = {"ordinals", "pronouns"};
enum { NAMES = sizeof names / sizeof *names };

/* The token behind the one that is met best. */
static att_status late_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const int64_t group = p->heads_q / p->heads_kv, width = p->value_dim, d = p->head_dim;

    (void)self, (void)s;
    for (int64_t h = 0; h < p->heads_q; h++) {
        const float *q = (const float *)p->q.data + h * d;
        const float *k = (const float *)p->k.data + h / group * p->kv_len * d;
        const float *v = (const float *)p->v.data + h / group * p->kv_len * width;
        const int64_t best = best_key(p, q, h / group);
        int64_t j = best + 1;
        for (; j < p->kv_len; j++) { /* the next that is alike at all: 0.6, half a list's step */
            float dot = 0, size = 0;
            for (int64_t e = 0; e < d; e++) {
                dot += q[e] * k[j * d + e];
                size += q[e] * q[e];
            }
            if (dot > 0.6F * sqrtf(size))
                break;
        }
        memcpy((float *)p->out.data + h * width, v + (j < p->kv_len ? j : best) * width,
               (size_t)width * sizeof *v);
    }
    return ATT_OK;
}

/* Finds what it is asked for, but of a sentence's two antecedents takes the first in the text. */
static att_status first_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const int64_t group = p->heads_q / p->heads_kv, width = p->value_dim, d = p->head_dim;
    enum { ANTECEDENTS = PROBE_MARKS + 6, END = ANTECEDENTS + 12 }; /* columns of pronouns.c */

    (void)self, (void)s;
    for (int64_t h = 0; h < p->heads_q; h++) {
        const float *v = (const float *)p->v.data + h / group * p->kv_len * width;
        int64_t j = best_key(p, (const float *)p->q.data + h * d, h / group);
        for (int64_t m = ANTECEDENTS; m < END; m++) {
            if (v[j * width + m] != 1)
                continue;
            const int64_t other = ANTECEDENTS + ((m - ANTECEDENTS) ^ 1);
            for (int64_t i = 0; i < j; i++)
                if (v[i * width + other] == 1)
                    j = i;
            break;
        }
        memcpy((float *)p->out.data + h * width, v + j * width, (size_t)width * sizeof *v);
    }
    return ATT_OK;
}

static const att_kernel late = PROBE_MADE("late", late_attend);
static const att_kernel first = PROBE_MADE("first", first_attend);

static void open_house(void)
{
    static const att_kernel *const made[] = {&late, &first, NULL};

    house_open(1, made);
}

static void dense_resolves_every_reference(void)
{
    static const char *const lengths[] = {"len=256", "len=1024", "len=4096", NULL};

    for (size_t t = 0; t < NAMES; t++)
        dense_is_right(names[t], lengths);
    CU_ASSERT_EQUAL(probe_number("ordinals", "dense", "len=4096", "off_by_one"), 0);
    CU_ASSERT_EQUAL(probe_number("pronouns", "dense", "len=4096", "twins_right"), 1);
    CU_ASSERT_EQUAL(probe_number("pronouns", "dense", "len=4096", "twins_flipped"), 1);
}

static void what_a_mask_hides_is_not_resolved(void)
{
    for (size_t t = 0; t < NAMES; t++)
        closed_form_holds(names[t]);
}

static void every_control_is_punished_by_references(void)
{
    static const char *const controls[] = {"uniform", "first_k", "last_k", "random", "sink_only"};

    for (size_t t = 0; t < NAMES; t++)
        for (size_t i = 0; i < 5; i++)
            is_punished(names[t], controls[i], 0.25);
    for (size_t i = 0; i < 5; i++)
        CU_ASSERT_TRUE(probe_number("pronouns", controls[i], "len=1024", "twins_right") <= 0.1);
}

static void items_are_the_seed_s(void)
{
    for (size_t t = 0; t < NAMES; t++)
        items_follow_the_seed(names[t]);
}

static void the_next_ordinal_in_place_of_the_one_asked_for_is_off_by_one(void)
{
    att_record r = probe_measure("ordinals", "late", "len=1024", 3);
    size_t third = 0;

    for (size_t i = 0; i < r.n_items; i++)
        third += r.items[i].note && strcmp(r.items[i].note, "4 for 3") == 0;
    CU_ASSERT_EQUAL(third, 3); /* contexts */
    CU_ASSERT_EQUAL(probe_metric(&r, "off_by_one"), 7.0 / 8);
    CU_ASSERT_EQUAL(probe_metric(&r, "offset_mean"), 7.0 / 8);
    CU_ASSERT_EQUAL(probe_metric(&r, "accuracy"), 1.0 / 8); /* the last has none behind it */
    CU_ASSERT_EQUAL(probe_metric(&r, "other_list"), 0);
    att_record_clear(&r);
}

static void a_kernel_that_does_not_follow_the_cue_gets_one_twin_right(void)
{
    att_record r = probe_measure("pronouns", "first", "len=1024", 3);
    size_t wrong = 0;

    CU_ASSERT_EQUAL(probe_metric(&r, "choice"), 0.5);
    CU_ASSERT_EQUAL(probe_metric(&r, "accuracy"), 0.5);
    CU_ASSERT_EQUAL(probe_metric(&r, "twins_right"), 0);
    CU_ASSERT_EQUAL(probe_metric(&r, "twins_flipped"), 0);
    for (size_t i = 0; i < r.n_items; i++)
        wrong += r.items[i].note && strcmp(r.items[i].note, "wrong antecedent") == 0;
    CU_ASSERT_EQUAL(2 * wrong, r.n_items);
    att_record_clear(&r);
}

static void twins_differ_in_one_word_a_sentence(void)
{
    probe_circuit *c = made_circuit(&probe_task_pronouns, 512, 1);
    const size_t row = (size_t)c->width * sizeof *c->v;
    int64_t words = 0;

    CU_ASSERT_EQUAL(
        memcmp(c->k, c->k + c->len * PROBE_CODE, (size_t)(c->len * PROBE_CODE) * sizeof *c->k), 0);
    for (int64_t j = 0; j < c->len; j++)
        words += memcmp(c->v + j * c->width, c->v + (c->len + j) * c->width, row) != 0;
    CU_ASSERT_EQUAL(words, c->facts);
    for (int64_t s = 0; s < c->facts; s++)
        CU_ASSERT_NOT_EQUAL(c->asked[s].answer, c->asked[c->facts + s].answer);
    made_circuit_drop(c);
}

static void right_without_a_look_at_the_cue_is_luck(void)
{
    probe_circuit *c = made_circuit(&probe_task_pronouns, 256, 1);
    const probe_question *a = &c->asked[2];
    float *out = made_out(c, 2), *cue = made_row(c, out, 0, 2);

    made_say(c, out, 1, 2, a->answer);
    made_row(c, out, 1, 2)[a->mark] = 1;
    CU_ASSERT_STRING_EQUAL(probe_task_pronouns.judge(c, 2, out).note, "right by luck");
    cue[PROBE_MARKS + 2] = 1;
    CU_ASSERT_EQUAL(probe_task_pronouns.judge(c, 2, out).hit, 1);
    free(out);
    made_circuit_drop(c);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"dense resolves every reference", dense_resolves_every_reference},
        {"what a mask hides is not resolved", what_a_mask_hides_is_not_resolved},
        {"every control is punished by references", every_control_is_punished_by_references},
        {"items are the seed's", items_are_the_seed_s},
        {"the next ordinal in place of the one asked for is off by one",
         the_next_ordinal_in_place_of_the_one_asked_for_is_off_by_one},
        {"a kernel that does not follow the cue gets one twin right",
         a_kernel_that_does_not_follow_the_cue_gets_one_twin_right},
        {"twins differ in one word a sentence", twins_differ_in_one_word_a_sentence},
        {"right without a look at the cue is luck", right_without_a_look_at_the_cue_is_luck},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_coreference", tests);
}
