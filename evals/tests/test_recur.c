/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include "common/recur.h"

/* ------------------------------------------------- kernels that see another problem than asked */

static att_status recur_as(const att_problem *p, const att_scratch *s, const att_recur *other)
{
    static const att_recur_way way = {0};
    att_problem changed = *p;

    changed.recur = other;
    return att_recur_run(&changed, &way, s);
}

static att_status forgets(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_recur other = *p->recur;

    (void)self;
    other.state_in.data = other.z_in.data = NULL;
    return recur_as(p, s, &other);
}

static att_status never_ages(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_recur other = *p->recur;

    (void)self;
    if (other.rule == ATT_RULE_RETENTION)
        other.rule = ATT_RULE_LINEAR;
    return recur_as(p, s, &other);
}

static att_status hides_state(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_recur other = *p->recur;

    (void)self;
    other.state_out.data = other.z_out.data = NULL;
    return recur_as(p, s, &other);
}

static att_status idles(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p, (void)s;
    return ATT_OK;
}

#define MADE(of)                                                                                   \
    static const att_kernel of##_kernel = {                                                        \
        .struct_size = sizeof(att_kernel),                                                         \
        .abi = ATT_ABI,                                                                            \
        .name = #of,                                                                               \
        .family = "made",                                                                          \
        .summary = "a recurrence done wrong",                                                      \
        .class_ = ATT_OWN,                                                                         \
        .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},                         \
        .supports = att_recur_supports,                                                            \
        .plan = att_recur_plan,                                                                    \
        .recur = of}
MADE(forgets);
MADE(never_ages);
MADE(hides_state);
MADE(idles);

static void open_house(void)
{
    static const att_kernel *const made[] = {&forgets_kernel, &never_ages_kernel,
                                             &hides_state_kernel, &idles_kernel, NULL};

    house_open(2, made);
}

/* ------------------------------------------------------------------------------- tests */

static void every_rule_is_right_however_it_is_called(void)
{
    static const char *const kernels[] = {"recur_step", "recur_chunk", "recur_chunk{chunk=16}"};
    static const char *const rules[] = {"linear", "linear_elu1", "retention", "gla",
                                        "delta",  "gated_delta", "ssd"};
    static const char *const calls[] = {"whole", "by1", "by15", "ragged"};
    char params[128];
    size_t passed = 0;

    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < 7; i++)
            for (size_t c = 0; c < 4; c++) {
                snprintf(params, sizeof params, "rule=%s calls=%s b=2 hq=6 hkv=3 t=65 dv=24",
                         rules[i], calls[c]);
                att_record r = house_case("recur", kernels[k], params, 11);
                if (r.status != ATT_PASS)
                    printf("%s: %s\n", r.line, r.reason ? r.reason : "");
                passed += r.status == ATT_PASS;
                att_record_clear(&r);
            }
    CU_ASSERT_EQUAL(passed, 3 * 7 * 4);
}

/* The case fails, and `fault` is the first thing said of it. */
static void is_named(const char *kernel, const char *params, const char *fault)
{
    att_record r = house_case("recur", kernel, params, 11);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_FATAL(r.n_diagnoses > 0);
    CU_ASSERT_STRING_EQUAL(r.diagnoses[0].fault, fault);
    att_record_clear(&r);
}

static void a_state_that_is_not_read_is_named(void)
{
    is_named("forgets", "t=17", "state_forgotten");
    att_record r = house_case("recur", "forgets", "t=17 state=none", 11);
    CU_ASSERT_EQUAL(r.status, ATT_PASS); /* nothing to forget */
    att_record_clear(&r);
}

static void a_decay_that_is_left_out_is_named(void)
{
    is_named("never_ages", "rule=retention hq=2 t=65", "decay_missing");
}

static void a_state_that_is_not_written_is_named(void)
{
    is_named("hides_state", "t=16", "state_never_written");
}

static void a_kernel_that_writes_nothing_fails(void)
{
    att_record r = house_case("recur", "idles", "t=17", 11);
    const att_metric *m = att_record_metric(&r, "nonfinite");

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT(m->value >= 17 * 8);
    att_record_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"every rule is right however it is called", every_rule_is_right_however_it_is_called},
        {"a state that is not read is named", a_state_that_is_not_read_is_named},
        {"a decay that is left out is named", a_decay_that_is_left_out_is_named},
        {"a state that is not written is named", a_state_that_is_not_written_is_named},
        {"a kernel that writes nothing fails", a_kernel_that_writes_nothing_fails},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};
    return att_suite_run("recur", tests);
}
