/* SPDX-License-Identifier: Apache-2.0 */
/* The main of a CUnit test binary.
 *
 * CUnit 2.1-3 leaves CU_get_error() at 0 after failed assertions, so the exit code comes from
 * CU_get_number_of_failures(); a binary in which nothing was asserted fails too. */
#ifndef ATT_SUITE_H
#define ATT_SUITE_H

#include <CUnit/CUnit.h>
#include <CUnit/TestDB.h>
#include <CUnit/TestRun.h>
#include <stdio.h>

/* How many tests of this binary said that they can't run here. */
static inline unsigned *att_suite_skips(void)
{
    static unsigned skips;
    return &skips;
}

/* For a test that needs what this machine lacks (a model, a CPU feature): call it, then return
 * before any assertion. */
static inline void att_suite_skip(const char *why)
{
    (*att_suite_skips())++;
    CU_pTest test = CU_get_current_test();
    printf("skipped: %s: %s\n", test ? test->pName : "?", why);
}

/* Runs a table that ends with CU_TEST_INFO_NULL; prints the failed assertions and, last, one line
 * `N passed, N failed, N skipped`.  Returns main's exit code. */
static inline int att_suite_run(const char *name, const CU_TestInfo *tests)
{
    CU_pSuite suite = NULL;
    int code = 1;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (CU_initialize_registry() != CUE_SUCCESS || !(suite = CU_add_suite(name, NULL, NULL))) {
        printf("%s: CUnit: %s\n", name, CU_get_error_msg());
        return 1;
    }
    for (; tests->pName; tests++)
        if (!CU_add_test(suite, tests->pName, tests->pTestFunc)) {
            printf("%s: %s: CUnit: %s\n", name, tests->pName, CU_get_error_msg());
            goto done;
        }
    CU_run_all_tests();
    for (CU_pFailureRecord f = CU_get_failure_list(); f; f = f->pNext)
        printf("%s:%u: %s: %s\n", f->strFileName ? f->strFileName : "?", f->uiLineNumber,
               f->pTest ? f->pTest->pName : name, f->strCondition ? f->strCondition : "?");
    unsigned failed = CU_get_number_of_tests_failed(), skipped = *att_suite_skips();
    if (CU_get_number_of_asserts() > 0 || skipped > 0)
        code = CU_get_number_of_failures() != 0;
    else
        printf("%s: nothing was asserted\n", name);
    printf("%u passed, %u failed, %u skipped\n", CU_get_number_of_tests_run() - failed - skipped,
           failed, skipped);
done:
    CU_cleanup_registry();
    return code;
}

#endif
