/* SPDX-License-Identifier: Apache-2.0 */
/* attest points: what is known, what is measured, and what was not measured at all. */
#include "base/tests/suite.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "base/str.h"
#include "base/tests/room.h"
#include "core/exit.h"

static const char suite[] =
    "{\"schema_version\": 1, \"name\": \"small\", \"rows\": [\n"
    "{\"measure\": \"probe.capacity\", \"kernels\": [\"linear\"], \"params\": {\"len\": [64], "
    "\"contexts\": [8]}, \"seeds\": [1], \"budget\": 20, \"required\": true},\n"
    "{\"measure\": \"probe.capacity\", \"kernels\": [\"delta\"], \"params\": {\"len\": [256], "
    "\"contexts\": [8]}, \"seeds\": [1], \"budget\": 20, \"required\": true},\n"
    "{\"measure\": \"probe.mqar\", \"kernels\": [\"sliding_window{left=8}\"], \"params\": "
    "{\"len\": [64], \"facts\": [4, 16], \"contexts\": [4]}, \"seeds\": [1], \"budget\": 20, "
    "\"required\": true}]}\n";

/* `attest points` of a suite of three points, in JSON; its exit code in *code. */
static cJSON *measured(int *code)
{
    char room[PATH_MAX], folder[] = "/tmp/att_points_XXXXXX", path[64], command[2 * PATH_MAX];
    size_t n = 0;

    test_room(room);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/small.json", folder);
    CU_ASSERT_TRUE_FATAL(att_file_write(path, suite, strlen(suite)));
    snprintf(command, sizeof command,
             "'%s/attest' points --quiet --json --workers 1 --suite '%s' >'%s/out'", room, path,
             folder);
    const int status = system(command);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    snprintf(path, sizeof path, "%s/out", folder);
    char *text = att_file_read(path, 1 << 20, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    cJSON *tree = cJSON_Parse(text);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    free(text);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CU_ASSERT_EQUAL(system(command), 0);
    return tree;
}

static const cJSON *point_of(const cJSON *all, const char *what)
{
    const cJSON *row;
    const char *text = NULL;

    cJSON_ArrayForEach(row, all) if (att_json_text(row, "what", &text) &&
                                     strcmp(text, what) == 0) return row;
    CU_FAIL_FATAL("a point that is not there");
    return NULL;
}

static double number(const cJSON *point, const char *key)
{
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(point, key);

    CU_ASSERT_TRUE_FATAL(cJSON_IsNumber(x));
    return x->valuedouble;
}

static bool flag(const cJSON *point, const char *key)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(point, key));
}

static void a_constant_that_is_met_holds_and_one_not_measured_fails(void)
{
    int code = 0;
    cJSON *all = measured(&code);
    const cJSON *linear = point_of(all, "no feature map, 64 pairs");
    const cJSON *delta = point_of(all, "delta rule, 256 pairs");
    const cJSON *window = point_of(all, "window of 8"), *none = point_of(all, "window of 16");

    CU_ASSERT_EQUAL(code, ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(flag(linear, "held"));
    CU_ASSERT_EQUAL(number(linear, "items"), 128);
    CU_ASSERT_TRUE(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(linear, "form")));
    CU_ASSERT_DOUBLE_EQUAL(number(delta, "measured"), 0.22, 0.15);
    CU_ASSERT_EQUAL(number(window, "cases"), 2);
    CU_ASSERT_EQUAL(number(window, "items"), 80);
    CU_ASSERT_EQUAL(number(window, "form"), number(window, "measured"));
    CU_ASSERT_FALSE(flag(none, "held"));
    CU_ASSERT_EQUAL(number(none, "cases"), 0);
    CU_ASSERT_TRUE(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(none, "measured")));
    cJSON_Delete(all);
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"a constant that is met holds and one not measured fails",
                                         a_constant_that_is_met_holds_and_one_not_measured_fails},
                                        CU_TEST_INFO_NULL};

    return att_suite_run("points", tests);
}
