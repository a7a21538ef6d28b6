/* SPDX-License-Identifier: Apache-2.0 */
/* attest zoo on small suites, as a script sees it. */
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

static char room[PATH_MAX];                   /* build/PROFILE */
static char folder[] = "/tmp/att_zoo_XXXXXX"; /* made by main */

/* Cases that two mask bugs, a scale bug and every right kernel can be told apart by. */
static void write_suite(const char *rows)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/suite.json", folder);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fprintf(f, "{\"schema_version\": 1, \"name\": \"small\", \"rows\": [%s]}\n", rows);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

#define ROW(params)                                                                                \
    "{\"measure\": \"parity\", \"kernels\": [\"*\"], \"params\": {" params "}, \"seeds\": [7]}"
#define CAUSAL ROW("\"sq\": [8], \"sk\": [33], \"causal\": [\"br\"], \"lse\": [0, 1]")

/* `attest zoo --suite FOLDER/suite.json OPTIONS`; its exit code, and stdout as JSON if asked. */
static int zoo(const char *options, cJSON **json)
{
    char command[4 * PATH_MAX], out[PATH_MAX];
    size_t n = 0;
    att_why why = {""};

    snprintf(out, sizeof out, "%s/out", folder);
    snprintf(command, sizeof command,
             "'%s/attest' zoo --quiet --suite '%s/suite.json' %s >'%s' 2>'%s/err'", room, folder,
             options, out, folder);
    int status = system(command);
    char *text = att_file_read(out, 1 << 22, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    if (json)
        CU_ASSERT_EQUAL_FATAL(att_json_parse(text, n, "zoo", json, &why), ATT_OK);
    free(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static double number(const cJSON *object, const char *name)
{
    double x = -1;

    CU_ASSERT_TRUE(att_json_real(object, name, &x));
    return x;
}

static const cJSON *row_of(const cJSON *json, const char *id)
{
    const cJSON *row;

    cJSON_ArrayForEach(row, att_json_get(json, "rows"))
    {
        const char *text = "";
        if (att_json_text(row, "id", &text) && strcmp(text, id) == 0)
            return row;
    }
    return NULL;
}

static void a_bug_that_the_cases_show_is_caught_and_named(void)
{
    cJSON *json = NULL;
    const char *by = "";

    write_suite(CAUSAL);
    CU_ASSERT_EQUAL(zoo("--json --kernel zoo:causal_top_left --kernel 'flash_*'", &json),
                    ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "bugs"), 1);
    CU_ASSERT_EQUAL(number(json, "caught"), 1);
    CU_ASSERT_EQUAL(number(json, "named"), 1);
    CU_ASSERT_EQUAL(number(json, "misnamed"), 0);
    CU_ASSERT_EQUAL(number(json, "false_alarms"), 0);
    CU_ASSERT_TRUE(number(json, "clean_cases") >= 2);
    const cJSON *row = row_of(json, "causal_top_left");
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_TRUE(cJSON_IsTrue(att_json_get(row, "caught")));
    CU_ASSERT_TRUE(att_json_text(row, "named", &by) && strcmp(by, "right") == 0);
    CU_ASSERT_TRUE(att_json_text(row, "by_eval", &by) && strcmp(by, "parity") == 0);
    CU_ASSERT_EQUAL(number(row, "failed"), 2);
    const cJSON *mask = att_json_get(att_json_get(json, "by_class"), "mask");
    CU_ASSERT_EQUAL(number(mask, "bugs"), 1);
    CU_ASSERT_EQUAL(number(mask, "caught"), 1);
    cJSON_Delete(json);
}

/* One key hides every scale. */
static void a_bug_that_no_case_shows_is_missed_and_exit_1(void)
{
    cJSON *json = NULL;

    write_suite(ROW("\"sk\": [1]"));
    CU_ASSERT_EQUAL(zoo("--json --kernel zoo:log2e_missing --kernel flash_f32", &json),
                    ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(number(json, "caught"), 0);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(att_json_get(json, "missed")), 1);
    CU_ASSERT_EQUAL(number(json, "false_alarms"), 0);
    cJSON_Delete(json);
}

/* A probe in the suite is no numeric case: it takes no part. */
static void probes_of_the_suite_are_left_out(void)
{
    cJSON *json = NULL;

    write_suite(CAUSAL
                ", {\"measure\": \"probe.needle\", \"kernels\": [\"*\"], \"params\": {\"len\": "
                "[256]}, \"seeds\": [1]}");
    CU_ASSERT_EQUAL(zoo("--json --kernel zoo:causal_top_left --kernel flash_f32", &json),
                    ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "clean_cases"), 2);
    CU_ASSERT_EQUAL(number(row_of(json, "causal_top_left"), "cases"), 2);
    cJSON_Delete(json);
}

static void rows_that_list_kernels_meet_the_bugs_too(void)
{
    cJSON *json = NULL;

    write_suite("{\"measure\": \"parity\", \"kernels\": [\"flash_f32\"], \"params\": {\"sq\": [8], "
                "\"sk\": [33], \"causal\": [\"br\"]}, \"seeds\": [7]}");
    CU_ASSERT_EQUAL(zoo("--json --kernel zoo:causal_top_left --kernel 'flash_*'", &json),
                    ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "caught"), 1);
    CU_ASSERT_EQUAL(number(json, "clean_cases"), 1);
    cJSON_Delete(json);
}

/* Ties, one value of V for all keys, 40,000 equal keys summed in order: a right kernel may do it in
 * its own way, and coarser where it says so. */
static void right_but_different_kernels_raise_no_alarm(void)
{
    cJSON *json = NULL;

    write_suite(ROW("\"sk\": [40000], \"sq\": [1], \"values\": [\"equal\", \"coded\"]") ", " ROW(
        "\"sk\": [640], \"sq\": [40], \"dtype\": [\"f32\", \"f16\", \"bf16\"], "
        "\"values\": [\"constant\", \"zero\", \"late\", \"heavy\"]") ", " ROW("\"sk\": [65], "
                                                                              "\"sq\": [17], "
                                                                              "\"d\": [40], "
                                                                              "\"bias\": "
                                                                              "[\"lowest\"]"));
    CU_ASSERT_EQUAL(zoo("--json --kernel 'different:*'", &json), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "bugs"), 0);
    CU_ASSERT_EQUAL(number(json, "false_alarms"), 0);
    CU_ASSERT_TRUE(number(json, "clean_cases") >= 14 * 15);
    cJSON_Delete(json);
}

/* Equal rows of V make all keys' roundings one: this row's mean squared error is large, and right.
 */
static void equal_values_are_one_degree_of_freedom(void)
{
    cJSON *json = NULL;

    write_suite("{\"measure\": \"parity\", \"kernels\": [\"*\"], \"params\": {\"sk\": [640], "
                "\"sq\": [640], \"values\": [\"constant\"]}, \"seeds\": [2]}");
    CU_ASSERT_EQUAL(zoo("--json --kernel 'different:probs_*'", &json), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "clean_cases"), 3);
    cJSON_Delete(json);
}

static void the_plot_lies_beside_its_data(void)
{
    char options[PATH_MAX], path[PATH_MAX];
    size_t n = 0;

    write_suite(CAUSAL);
    snprintf(options, sizeof options,
             "--kernel zoo:causal_top_left --kernel flash_f32 --plot '%s/score.svg'", folder);
    CU_ASSERT_EQUAL(zoo(options, NULL), ATT_EXIT_PASS);
    snprintf(path, sizeof path, "%s/score.tsv", folder);
    char *text = att_file_read(path, 1 << 16, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "1\tmask\t1\t1\t0"));
    free(text);
    snprintf(path, sizeof path, "%s/score.svg", folder);
    CU_ASSERT_EQUAL(access(path, R_OK), 0);
    CU_ASSERT_EQUAL(zoo("--kernel zoo:causal_top_left --kernel flash_f32 --plot nowhere.png", NULL),
                    ATT_EXIT_USAGE);
}

static void a_bug_may_be_left_at_its_first_failure(void)
{
    cJSON *json = NULL;

    write_suite(ROW("\"sq\": [8, 7, 6, 5], \"sk\": [33], \"causal\": [\"br\"]"));
    CU_ASSERT_EQUAL(zoo("--json --first --workers 1 --kernel zoo:causal_top_left", &json),
                    ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "caught"), 1);
    CU_ASSERT(number(row_of(json, "causal_top_left"), "cases") < 4);
    cJSON_Delete(json);
}

static void the_share_of_a_fuller_suite_is_told(void)
{
    cJSON *json = NULL;
    char options[2 * PATH_MAX], move[2 * PATH_MAX];

    write_suite(CAUSAL);
    CU_ASSERT_EQUAL(zoo("--json --kernel zoo:causal_top_left --kernel zoo:log2e_missing", NULL),
                    ATT_EXIT_PASS);
    snprintf(move, sizeof move, "mv '%s/out' '%s/full.json'", folder, folder);
    CU_ASSERT_EQUAL_FATAL(system(move), 0);
    write_suite(ROW("\"sq\": [8], \"sk\": [33]")); /* without causality */
    snprintf(options, sizeof options,
             "--json --kernel zoo:causal_top_left --kernel zoo:log2e_missing --against "
             "'%s/full.json' --keep 0.5",
             folder);
    CU_ASSERT_EQUAL(zoo(options, &json), ATT_EXIT_PASS);
    const cJSON *against = att_json_get(json, "against");
    CU_ASSERT_PTR_NOT_NULL_FATAL(against);
    CU_ASSERT_EQUAL(number(against, "caught"), 2);
    CU_ASSERT_EQUAL(number(against, "kept"), 1);
    CU_ASSERT_EQUAL(number(against, "share"), 0.5);
    const cJSON *lost = cJSON_GetArrayItem(att_json_get(against, "lost"), 0);
    CU_ASSERT_STRING_EQUAL(cJSON_GetStringValue(lost), "causal_top_left");
    cJSON_Delete(json);
    strcat(options, "1");
    CU_ASSERT_EQUAL(zoo(options, NULL), ATT_EXIT_FAIL); /* 0.51 is asked for */
    CU_ASSERT_EQUAL(zoo("--kernel zoo:log2e_missing --against nowhere.json", NULL),
                    ATT_EXIT_INCOMPLETE);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_bug_that_the_cases_show_is_caught_and_named",
         a_bug_that_the_cases_show_is_caught_and_named},
        {"a_bug_that_no_case_shows_is_missed_and_exit_1",
         a_bug_that_no_case_shows_is_missed_and_exit_1},
        {"probes_of_the_suite_are_left_out", probes_of_the_suite_are_left_out},
        {"rows_that_list_kernels_meet_the_bugs_too", rows_that_list_kernels_meet_the_bugs_too},
        {"right_but_different_kernels_raise_no_alarm", right_but_different_kernels_raise_no_alarm},
        {"equal_values_are_one_degree_of_freedom", equal_values_are_one_degree_of_freedom},
        {"a_bug_may_be_left_at_its_first_failure", a_bug_may_be_left_at_its_first_failure},
        {"the_share_of_a_fuller_suite_is_told", the_share_of_a_fuller_suite_is_told},
        {"the_plot_lies_beside_its_data", the_plot_lies_beside_its_data},
        CU_TEST_INFO_NULL};
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    int code = att_suite_run("zoo", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}
