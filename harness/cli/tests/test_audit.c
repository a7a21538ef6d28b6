/* SPDX-License-Identifier: Apache-2.0 */
/* `attest audit`: the matrix of tasks and controls, from the command line. */
#include "base/tests/suite.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "base/str.h"
#include "base/tests/room.h"
#include "core/exit.h"
#include "kernels/table.h"

static char room[PATH_MAX];                     /* build/PROFILE */
static char folder[] = "/tmp/att_audit_XXXXXX"; /* made by main */

/* `attest ARGUMENTS` in this directory; its exit code.  What it printed goes to *out; free() it. */
static int attest(const char *arguments, char **out)
{
    char command[4 * PATH_MAX], path[PATH_MAX];
    size_t n = 0;

    snprintf(command, sizeof command, "'%s/attest' %s >'%s/out' 2>'%s/err'", room, arguments,
             folder, folder);
    const int status = system(command);
    snprintf(path, sizeof path, "%s/out", folder);
    *out = att_file_read(path, 1 << 24, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(*out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool is_true(const cJSON *object, const char *member)
{
    return cJSON_IsTrue(att_json_get(object, member));
}

static const cJSON *control_of(const cJSON *cell, const char *name)
{
    const cJSON *control;
    const char *kernel = NULL;

    cJSON_ArrayForEach(control, att_json_get(cell, "controls"))
    {
        CU_ASSERT_FATAL(att_json_text(control, "kernel", &kernel));
        if (strncmp(kernel, name, strlen(name)) == 0)
            return control;
    }
    return NULL;
}

static void needles_punish_every_control_but_the_one_that_needs_no_other_row(void)
{
    static const char *const blind_to_content[] = {"uniform", "first_k", "last_k", "random",
                                                   "sink_only"};
    char *out = NULL;
    double hits = 1, n = 0;

    CU_ASSERT_EQUAL(attest("audit --quiet --json --task needle --len 512 --seeds 2", &out),
                    ATT_EXIT_PASS);
    cJSON *tree = cJSON_Parse(out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    CU_ASSERT_TRUE(is_true(tree, "sound"));
    const cJSON *cells = att_json_get(tree, "cells"), *cell = cJSON_GetArrayItem(cells, 0);
    CU_ASSERT_EQUAL_FATAL(cJSON_GetArraySize(cells), 1);
    CU_ASSERT_TRUE(is_true(cell, "power") && is_true(cell, "chance_holds"));
    for (size_t i = 0; i < sizeof blind_to_content / sizeof *blind_to_content; i++) {
        const cJSON *control = control_of(cell, blind_to_content[i]);
        CU_ASSERT_PTR_NOT_NULL_FATAL(control);
        CU_ASSERT_TRUE(is_true(control, "punished") && !is_true(control, "spared"));
    }
    const cJSON *one = control_of(cell, "top_one");
    CU_ASSERT_PTR_NOT_NULL_FATAL(one);
    CU_ASSERT_TRUE(!is_true(one, "punished") && is_true(one, "spared"));
    CU_ASSERT_TRUE(att_json_real(att_json_get(cell, "guess"), "n", &n) && n == 48);
    CU_ASSERT_TRUE(att_json_real(att_json_get(cell, "guess"), "hits", &hits) && hits == 0);
    CU_ASSERT_PTR_NULL(control_of(cell, "guess"));
    cJSON_Delete(tree);
    free(out);
}

/* No gap is wide enough for an interval that ends above 0: nothing is punished then. */
static void a_task_that_punishes_nothing_is_called_blind_and_ends_the_audit_with_1(void)
{
    char *out = NULL;

    CU_ASSERT_EQUAL(attest("audit --quiet --task needle --len 512 --seeds 1 --gap 0.99", &out),
                    ATT_EXIT_FAIL);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "needle is BLIND: it punishes no control\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "uniform is not punished"));
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "\nNOT SOUND\n"));
    free(out);
}

static void every_task_meets_every_control(void)
{
    const size_t n_controls = 6;
    size_t n = 0;
    char *out = NULL;
    const cJSON *cell;

    for (const att_kernel *const *k = att_kernel_table(NULL)->controls; *k; k++)
        n++;
    CU_ASSERT_EQUAL(n, n_controls + 1); /* and the guess */
    attest("audit --quiet --json --len 256 --seeds 1", &out);
    cJSON *tree = cJSON_Parse(out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    CU_ASSERT(cJSON_GetArraySize(att_json_get(tree, "cells")) >= 2);
    cJSON_ArrayForEach(cell, att_json_get(tree, "cells"))
    {
        CU_ASSERT_EQUAL(cJSON_GetArraySize(att_json_get(cell, "controls")), (int)n_controls);
        CU_ASSERT(att_json_real(att_json_get(cell, "guess"), "n", &(double){0}));
    }
    cJSON_Delete(tree);
    free(out);
}

static void a_task_that_is_not_there_is_a_usage_error(void)
{
    char *out = NULL;

    CU_ASSERT_EQUAL(attest("audit --quiet --task haystack", &out), ATT_EXIT_USAGE);
    free(out);
}

#define TEST(x)                                                                                    \
    {                                                                                              \
#x, x                                                                                      \
    }

int main(void)
{
    static const CU_TestInfo tests[] = {
        TEST(needles_punish_every_control_but_the_one_that_needs_no_other_row),
        TEST(a_task_that_punishes_nothing_is_called_blind_and_ends_the_audit_with_1),
        TEST(every_task_meets_every_control),
        TEST(a_task_that_is_not_there_is_a_usage_error),
        CU_TEST_INFO_NULL,
    };
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    const int failed = att_suite_run("audit", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? failed : 1;
}
