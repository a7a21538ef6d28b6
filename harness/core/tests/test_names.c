/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel's failing cases agree on. */
#include <math.h>
#include <string.h>

#include "base/tests/suite.h"
#include "core/names.h"

#define MOST 8

static att_record records[MOST];
static att_diagnosis given[MOST][4];
static att_result result;

static void start(void)
{
    memset(records, 0, sizeof records);
    memset(given, 0, sizeof given);
    result = (att_result){.records = records};
}

/* One failing case of `kernel`; then what the dictionary says of it. */
static void failing(const char *kernel, const char *measure, att_outcome status)
{
    records[result.n_records] = (att_record){.kernel = (char *)kernel,
                                             .measure = (char *)measure,
                                             .status = status,
                                             .diagnoses = given[result.n_records]};
    result.n_records++;
}

static void says(const char *fault, double ratio)
{
    att_record *r = &records[result.n_records - 1];

    r->diagnoses[r->n_diagnoses++] = (att_diagnosis){(char *)fault, (char *)"why", ratio};
}

static const char *first(size_t *tied)
{
    static char name[64];
    att_names names;

    CU_ASSERT_EQUAL_FATAL(att_names_of(&result, "k", &names), ATT_OK);
    *tied = att_names_tied(&names);
    snprintf(name, sizeof name, "%s", names.n ? names.name[0].fault : "");
    att_names_drop(&names);
    return name;
}

static void a_fault_that_explains_all_cases_beats_one_that_explains_a_few(void)
{
    size_t tied = 0;

    start();
    for (int i = 0; i < 3; i++) {
        failing("k", "parity", ATT_FAIL);
        if (i == 0)
            says("few", 0.01);
        says("all", 0.2);
        says("first_bad", 7);
    }
    CU_ASSERT_STRING_EQUAL(first(&tied), "all");
    CU_ASSERT_EQUAL(tied, 1);
}

static void cases_that_cannot_tell_two_faults_apart_leave_them_tied(void)
{
    size_t tied = 0;

    start();
    failing("k", "parity", ATT_FAIL);
    says("a", 0.2);
    says("b", 0.1);
    CU_ASSERT_STRING_EQUAL(first(&tied), "b");
    CU_ASSERT_EQUAL(tied, 2);
    failing("k", "parity", ATT_FAIL);
    says("a", 0.2);
    CU_ASSERT_STRING_EQUAL(first(&tied), "a");
    CU_ASSERT_EQUAL(tied, 1);
}

static void a_fault_that_most_cases_contradict_is_not_believed(void)
{
    size_t tied = 1;

    start();
    for (int i = 0; i < 4; i++) {
        failing("k", "parity", ATT_FAIL);
        says(i == 0 ? "chance" : ATT_UNKNOWN, i == 0 ? 0 : (double)INFINITY);
    }
    CU_ASSERT_STRING_EQUAL(first(&tied), "chance");
    CU_ASSERT_EQUAL(tied, 0);
}

static void each_eval_is_asked_apart(void)
{
    size_t tied = 0;

    start();
    for (int i = 0; i < 4; i++) {
        failing("k", "parity", ATT_FAIL);
        says(ATT_UNKNOWN, (double)INFINITY);
    }
    failing("k", "repeat.again", ATT_FAIL);
    says("race", 0);
    CU_ASSERT_STRING_EQUAL(first(&tied), "race");
    CU_ASSERT_EQUAL(tied, 1);
}

/* A tile of 16 explains both cases, other sizes one of them: the name stands once, with 16. */
static void one_number_must_explain_all_cases(void)
{
    size_t tied = 0;
    att_names names;

    start();
    failing("k", "parity", ATT_FAIL);
    says("tile{8}", 0.1);
    says("tile{16}", 0.1);
    says("other", 0.1);
    failing("k", "parity", ATT_FAIL);
    says("tile{16}", 0.1);
    says("tile{32}", 0.1);
    failing("k", "parity", ATT_FAIL);
    says("tile{16}", 0.1);
    says("other", 0.1);
    CU_ASSERT_STRING_EQUAL(first(&tied), "tile{16}");
    CU_ASSERT_EQUAL(tied, 1);
    CU_ASSERT_EQUAL_FATAL(att_names_of(&result, "k", &names), ATT_OK);
    CU_ASSERT_EQUAL(names.n, 2);
    CU_ASSERT_EQUAL(names.name[0].explained, 3);
    att_names_drop(&names);
    CU_ASSERT_TRUE(att_fault_same("tile{8}", "tile"));
    CU_ASSERT_FALSE(att_fault_same("tile", "tiles{8}"));
}

static void locators_and_cases_that_hold_and_other_kernels_say_nothing(void)
{
    att_names names;

    start();
    failing("k", "parity", ATT_FAIL);
    says("law future", 12);
    failing("k", "parity", ATT_PASS);
    says("a", 0);
    failing("other", "parity", ATT_FAIL);
    says("a", 0);
    failing("k", "parity", ATT_CRASH);
    CU_ASSERT_EQUAL_FATAL(att_names_of(&result, "k", &names), ATT_OK);
    CU_ASSERT_EQUAL(names.failed, 2);
    CU_ASSERT_EQUAL(names.looked, 0);
    CU_ASSERT_EQUAL(names.n, 0);
    CU_ASSERT_EQUAL(att_names_tied(&names), 0);
    att_names_drop(&names);
    CU_ASSERT_PTR_NULL(att_record_named(&records[0]));
}

static void a_line_says_what_kind_of_thing_is_said(void)
{
    char line[128];
    const att_diagnosis named = {(char *)"x", (char *)"why", 0.25};
    const att_diagnosis nothing = {(char *)ATT_UNKNOWN, (char *)"why", (double)INFINITY};
    const att_diagnosis where = {(char *)"first_bad", (char *)"b=0", 9};

    att_diagnosis_line(&named, line, sizeof line);
    CU_ASSERT_STRING_EQUAL(line, "looks like x: why (to 0.25 of what rounding allows)");
    att_diagnosis_line(&nothing, line, sizeof line);
    CU_ASSERT_STRING_EQUAL(line, "looks like nothing known");
    att_diagnosis_line(&where, line, sizeof line);
    CU_ASSERT_STRING_EQUAL(line, "first bad: b=0");
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a fault that explains all cases beats one that explains a few",
         a_fault_that_explains_all_cases_beats_one_that_explains_a_few},
        {"cases that cannot tell two faults apart leave them tied",
         cases_that_cannot_tell_two_faults_apart_leave_them_tied},
        {"a fault that most cases contradict is not believed",
         a_fault_that_most_cases_contradict_is_not_believed},
        {"each eval is asked apart", each_eval_is_asked_apart},
        {"one number must explain all cases", one_number_must_explain_all_cases},
        {"locators and cases that hold and other kernels say nothing",
         locators_and_cases_that_hold_and_other_kernels_say_nothing},
        {"a line says what kind of thing is said", a_line_says_what_kind_of_thing_is_said},
        CU_TEST_INFO_NULL};

    return att_suite_run("names", tests);
}
