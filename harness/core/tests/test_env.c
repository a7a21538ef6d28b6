/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/tests/suite.h"
#include "core/env.h"

static const char *value(const att_text_pair *pairs, size_t n, const char *key)
{
    const char *found = "";

    for (size_t i = 0; i < n; i++)
        if (strcmp(pairs[i].key, key) == 0)
            found = pairs[i].value;
    return found;
}

static void what_matters_is_named(void)
{
    static const char *const env[] = {"cpu",          "isa",          "kernel",
                                      "libc",         "blas",         "blas_core",
                                      "blas_threads", "memory_bytes", "subnormals"};
    static const char *const tool[] = {"version", "git_sha", "dirty", "compiler", "flags"};
    att_result r = {0};

    CU_ASSERT_EQUAL_FATAL(att_env_fill("v3", &r, NULL), ATT_OK);
    for (size_t i = 0; i < sizeof env / sizeof *env; i++)
        CU_ASSERT_STRING_NOT_EQUAL(value(r.env, r.n_env, env[i]), "");
    for (size_t i = 0; i < sizeof tool / sizeof *tool; i++)
        CU_ASSERT_STRING_NOT_EQUAL(value(r.tool, r.n_tool, tool[i]), "");
    CU_ASSERT_STRING_EQUAL(value(r.env, r.n_env, "isa"), "v3");
    CU_ASSERT_STRING_EQUAL(value(r.env, r.n_env, "subnormals"), "kept");
    CU_ASSERT(strtod(value(r.env, r.n_env, "memory_bytes"), NULL) > 0x1p26);
    att_result_clear(&r);
}

static void the_class_depends_on_the_level_and_not_on_the_hour(void)
{
    att_result a = {0}, b = {0}, c = {0};

    CU_ASSERT_EQUAL_FATAL(att_env_fill("v3", &a, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_env_fill("v3", &b, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_env_fill("plain", &c, NULL), ATT_OK);
    CU_ASSERT_STRING_EQUAL(a.env_class, b.env_class);
    CU_ASSERT_STRING_NOT_EQUAL(a.env_class, c.env_class);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.env_class, value(a.env, a.n_env, "blas_core")));
    att_result_clear(&a);
    att_result_clear(&b);
    att_result_clear(&c);
}

static void variables_that_change_results_are_recorded(void)
{
    att_result r = {0};

    setenv("OMP_NUM_THREADS", "3 \"and\" more", 1);
    CU_ASSERT_EQUAL_FATAL(att_env_fill("v3", &r, NULL), ATT_OK);
    CU_ASSERT_STRING_EQUAL(value(r.env, r.n_env, "OMP_NUM_THREADS"), "3 \"and\" more");
    att_result_clear(&r);
    unsetenv("OMP_NUM_THREADS");
    CU_ASSERT_EQUAL_FATAL(att_env_fill("v3", &r, NULL), ATT_OK);
    CU_ASSERT_STRING_EQUAL(value(r.env, r.n_env, "OMP_NUM_THREADS"), "");
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"what_matters_is_named", what_matters_is_named},
        {"the_class_depends_on_the_level_and_not_on_the_hour",
         the_class_depends_on_the_level_and_not_on_the_hour},
        {"variables_that_change_results_are_recorded", variables_that_change_results_are_recorded},
        CU_TEST_INFO_NULL};
    return att_suite_run("env", tests);
}
