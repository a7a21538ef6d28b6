/* SPDX-License-Identifier: Apache-2.0 */
/* attest alarms and attest power on few seeds, as a script sees them. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/exit.h"

static char room[PATH_MAX];
static char file[] = "/tmp/att_trials_XXXXXX"; /* made by main */

/* What `attest ARGUMENTS` prints; free() it. */
static char *attest(const char *arguments, int code)
{
    char command[2 * PATH_MAX];
    size_t n = 0;

    snprintf(command, sizeof command, "'%s/attest' %s >%s 2>/dev/null", room, arguments, file);
    int status = system(command);
    CU_ASSERT_EQUAL(WIFEXITED(status) ? WEXITSTATUS(status) : -1, code);
    return att_file_read(file, 1 << 22, &n);
}

static cJSON *parsed(const char *text)
{
    cJSON *json = NULL;
    att_why why = {""};

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL_FATAL(att_json_parse(text, strlen(text), file, &json, &why), ATT_OK);
    return json;
}

static double number(const cJSON *object, const char *key)
{
    double x = -1;

    att_json_real(object, key, &x);
    return x;
}

#define SMALL "--quiet --json --task needle --lengths 512 --seeds 12 "

static void a_kernel_against_itself_raises_no_more_alarms_than_the_levels_allow(void)
{
    char *text = attest("alarms " SMALL "--trials 200", ATT_EXIT_PASS);
    cJSON *json = parsed(text);
    const cJSON *row;
    int n = 0;

    CU_ASSERT_EQUAL(number(json, "trials"), 200);
    const cJSON *task = cJSON_GetArrayItem(att_json_get(json, "tasks"), 0);
    CU_ASSERT_TRUE(number(task, "differ") > 0.1); /* else nothing would be proved */
    cJSON_ArrayForEach(row, att_json_get(json, "alarms"))
    {
        const cJSON *ci = att_json_get(row, "ci");
        n++;
        CU_ASSERT_EQUAL(number(row, "of"), 200);
        CU_ASSERT_TRUE(ci->child->valuedouble <= number(row, "level"));
    }
    CU_ASSERT_EQUAL(n, 9);
    cJSON_Delete(json);
    free(text);
}

static void a_planted_loss_is_found_as_often_as_declared(void)
{
    char *text = attest("power " SMALL "--trials 60 --loss 0.05", ATT_EXIT_PASS);
    cJSON *json = parsed(text);
    const cJSON *row;
    int n = 0;

    CU_ASSERT_EQUAL(number(json, "declared"), 0.8);
    cJSON_ArrayForEach(row, att_json_get(json, "rows"))
    {
        const cJSON *ci = att_json_get(row, "ci");
        n++;
        CU_ASSERT_EQUAL(number(row, "trials"), 60);
        CU_ASSERT_TRUE(number(row, "needed") > 200);
        CU_ASSERT_TRUE(ci->child->next->valuedouble >= 0.8);
        CU_ASSERT_DOUBLE_EQUAL(number(row, "loss"), 0.05, 0.01);
    }
    CU_ASSERT_EQUAL(n, 3);
    cJSON_Delete(json);
    free(text);
}

static void the_same_seed_gives_the_same_answer_and_another_one_another(void)
{
    char *once = attest("power " SMALL "--trials 20 --loss 0.05", ATT_EXIT_PASS);
    char *again = attest("power " SMALL "--trials 20 --loss 0.05 --workers 1", ATT_EXIT_PASS);
    char *other = attest("power " SMALL "--trials 20 --loss 0.05 --seed 2", ATT_EXIT_PASS);

    CU_ASSERT_PTR_NOT_NULL_FATAL(once);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_PTR_NOT_NULL_FATAL(other);
    CU_ASSERT_STRING_EQUAL(once, again);
    CU_ASSERT_STRING_NOT_EQUAL(once, other);
    free(once);
    free(again);
    free(other);
}

static void a_kernel_or_task_that_there_is_not_is_a_usage_error(void)
{
    free(attest("alarms --quiet nokernel", ATT_EXIT_USAGE));
    free(attest("power --quiet --task nothing", ATT_EXIT_USAGE));
    free(attest("power --quiet --lengths 0", ATT_EXIT_USAGE));
    free(attest("alarms --quiet based topk", ATT_EXIT_USAGE));
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a kernel against itself raises no more alarms than the levels allow",
         a_kernel_against_itself_raises_no_more_alarms_than_the_levels_allow},
        {"a planted loss is found as often as declared",
         a_planted_loss_is_found_as_often_as_declared},
        {"the same seed gives the same answer, and another one another",
         the_same_seed_gives_the_same_answer_and_another_one_another},
        {"a kernel or task that there is not is a usage error",
         a_kernel_or_task_that_there_is_not_is_a_usage_error},
        CU_TEST_INFO_NULL};

    test_room(room);
    int made = mkstemp(file);
    if (made < 0)
        return 1;
    close(made);
    int code = att_suite_run("trials", tests);
    unlink(file);
    return code;
}
