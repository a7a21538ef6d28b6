/* SPDX-License-Identifier: Apache-2.0 */
/* attest calibrate on a small suite, as a script sees it. */
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

static char room[PATH_MAX];                         /* build/PROFILE */
static char folder[] = "/tmp/att_calibrate_XXXXXX"; /* made by main */

/* The exit code; the file that --out wrote, to free(), in *text. */
static int calibrate(const char *options, char **text)
{
    char command[4 * PATH_MAX], path[PATH_MAX];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/suite.json", folder);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("{\"schema_version\": 1, \"name\": \"small\", \"rows\": [{\"measure\": \"parity\", "
          "\"kernels\": [\"*\"], \"params\": {\"sq\": [8], \"sk\": [33], \"causal\": [\"br\"], "
          "\"dtype\": [\"f32\", \"bf16\"]}, \"seeds\": [7]}]}\n",
          f);
    CU_ASSERT_EQUAL(fclose(f), 0);
    snprintf(
        command, sizeof command,
        "cd '%s' && rm -f out.json && '%s/attest' calibrate --quiet --suite ./suite.json --out "
        "out.json %s >table 2>err",
        folder, room, options);
    int status = system(command);
    snprintf(path, sizeof path, "%s/out.json", folder);
    *text = att_file_read(path, 1 << 22, &n);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static double number(const cJSON *object, const char *name)
{
    double x = -1;

    CU_ASSERT_TRUE(att_json_real(object, name, &x));
    return x;
}

static bool says(const cJSON *object, const char *name, const char *value)
{
    const char *text = "";

    return att_json_text(object, name, &text) && strcmp(text, value) == 0;
}

static void right_kernels_raise_no_alarm_and_every_seed_counts(void)
{
    char *text = NULL;
    cJSON *json = NULL;
    const cJSON *row;
    att_why why = {""};
    size_t found = 0;

    CU_ASSERT_EQUAL(
        calibrate("--seeds 3 --kernel naive_blas --kernel different:dot_in_order", &text),
        ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL_FATAL(att_json_parse(text, strlen(text), "out", &json, &why), ATT_OK);
    CU_ASSERT_EQUAL(number(json, "alarms"), 0);
    CU_ASSERT_EQUAL(number(json, "seeds"), 3);
    CU_ASSERT_EQUAL(number(json, "from"), 1000);
    cJSON_ArrayForEach(row, att_json_get(json, "rows"))
    {
        CU_ASSERT_TRUE(number(row, "p999") <= number(row, "largest"));
        CU_ASSERT_TRUE(number(row, "largest") <= 1);
        if (!says(row, "metric", "sigma_ratio") || !says(row, "kernel", "dot_in_order"))
            continue;
        found++;
        CU_ASSERT_EQUAL(number(row, "n"), 3);
        CU_ASSERT_EQUAL(number(row, "limit"), 6);
        CU_ASSERT_TRUE(number(row, "largest") > 0);
    }
    CU_ASSERT_EQUAL(found, 2); /* f32 and bf16 */
    cJSON_Delete(json);
    free(text);
}

static void the_same_command_writes_the_same_file(void)
{
    char *once = NULL, *again = NULL;

    CU_ASSERT_EQUAL(calibrate("--seeds 2 --kernel 'flash_*'", &once), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(calibrate("--seeds 2 --kernel 'flash_*'", &again), ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL_FATAL(once);
    CU_ASSERT_PTR_NOT_NULL_FATAL(again);
    CU_ASSERT_STRING_EQUAL(once, again);
    CU_ASSERT_PTR_NOT_NULL(strstr(once, "attest calibrate --seeds 2 --from 1000"));
    free(once);
    free(again);
}

static void a_wrong_kernel_is_an_alarm_with_its_line_and_exit_1(void)
{
    char *text = NULL;

    CU_ASSERT_EQUAL(calibrate("--seeds 1 --kernel zoo:causal_top_left", &text), ATT_EXIT_FAIL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"alarms\": 2"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "parity causal_top_left sq=8 sk=33 causal=br"));
    free(text);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"right_kernels_raise_no_alarm_and_every_seed_counts",
         right_kernels_raise_no_alarm_and_every_seed_counts},
        {"the_same_command_writes_the_same_file", the_same_command_writes_the_same_file},
        {"a_wrong_kernel_is_an_alarm_with_its_line_and_exit_1",
         a_wrong_kernel_is_an_alarm_with_its_line_and_exit_1},
        CU_TEST_INFO_NULL};
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    int code = att_suite_run("calibrate", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}
