/* SPDX-License-Identifier: Apache-2.0 */
/* attest mutants on a handful of plugins, as a script sees it. */
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

static char room[PATH_MAX];                       /* build/PROFILE */
static char folder[] = "/tmp/att_mutants_XXXXXX"; /* made by main */

static void write_file(const char *name, const char *text)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs(text, f);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

/* Two mutants: one answers NaN, one computes attention. */
static void write_manifest(void)
{
    char text[4 * PATH_MAX];

    snprintf(text, sizeof text,
             "a.c:f:bound:<-><=#1\t%s/harness/core/tests/plugins/"
             "nans.so\t\ta.c:3\tbound\t<\t<=\tif (x < 1)\n"
             "b.c:g:stale:x=1->#1\t%s/kernels/plugin/template.so\t\tb.c:9\tstale\tx=1\t\tx = 1;\n",
             room, room);
    write_file("manifest.tsv", text);
    write_file("suite.json",
               "{\"schema_version\": 1, \"name\": \"small\", \"rows\": [{\"measure\": \"parity\", "
               "\"kernels\": [\"*\"], \"params\": {\"sq\": [3], \"sk\": [5, 17], \"lse\": [0]}, "
               "\"seeds\": "
               "[7]}]}\n");
}

static int mutants(const char *options, cJSON **json, char **err)
{
    char command[8 * PATH_MAX], path[PATH_MAX];
    size_t n = 0;
    att_why why = {""};

    snprintf(command, sizeof command,
             "'%s/attest' mutants --quiet --workers 1 --suite '%s/suite.json' --explained "
             "'%s/explained.tsv' "
             "'%s' %s >'%s/out' 2>'%s/err'",
             room, folder, folder, folder, options, folder, folder);
    int status = system(command);
    snprintf(path, sizeof path, "%s/%s", folder, json ? "out" : "err");
    char *text = att_file_read(path, 1 << 22, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    if (json)
        CU_ASSERT_EQUAL_FATAL(att_json_parse(text, n, "mutants", json, &why), ATT_OK);
    if (err)
        *err = text;
    else
        free(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static double number(const cJSON *json, const char *name)
{
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(json, name));
}

static void a_survivor_without_an_explanation_fails(void)
{
    cJSON *json = NULL;

    write_manifest();
    write_file("explained.tsv", "# key, line, reason\n");
    CU_ASSERT_EQUAL(mutants("--json", &json, NULL), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(number(json, "mutants"), 2);
    CU_ASSERT_EQUAL(number(json, "killed"), 1);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "rows");
    const char *by =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(rows, 0), "by"));
    CU_ASSERT_STRING_EQUAL(by, "parity nonfinite");
    CU_ASSERT_EQUAL(number(cJSON_GetArrayItem(rows, 0), "cases"), 1);
    CU_ASSERT_EQUAL(number(cJSON_GetArrayItem(rows, 1), "cases"), 2);
    cJSON_Delete(json);
}

static void an_equivalent_survivor_leaves_the_score_alone(void)
{
    cJSON *json = NULL;

    write_manifest();
    write_file("explained.tsv", "b.c:g:stale:x=1->#1\tx = 1;\tequivalent: x is not read again\n");
    CU_ASSERT_EQUAL(mutants("--json", &json, NULL), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "equivalent"), 1);
    CU_ASSERT_EQUAL(number(json, "score"), 1);
    cJSON_Delete(json);
}

static void another_explanation_still_counts_against_the_score(void)
{
    cJSON *json = NULL;

    write_manifest();
    write_file("explained.tsv", "b.c:g:stale:x=1->#1\tx = 1;\tout of reach: nobody reads x yet\n");
    CU_ASSERT_EQUAL(mutants("--json", &json, NULL), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "score"), 0.5);
    cJSON_Delete(json);
}

static void an_explanation_of_another_line_explains_nothing(void)
{
    cJSON *json = NULL;

    write_manifest();
    write_file("explained.tsv", "b.c:g:stale:x=1->#1\ty = x = 1;\tequivalent: not read again\n");
    CU_ASSERT_EQUAL(mutants("--json", &json, NULL), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(number(json, "explained"), 0);
    cJSON_Delete(json);
}

static void measures_that_have_tasks_judge_mutants_too(void)
{
    cJSON *json = NULL;

    write_file("suite.json",
               "{\"schema_version\": 1, \"name\": \"small\", \"rows\": [{\"measure\": "
               "\"sequence.calls\", \"kernels\": [\"*\"], \"params\": {}, \"seeds\": [1]}]}\n");
    CU_ASSERT_EQUAL(mutants("--json --only 'a.c:*'", &json, NULL), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "killed"), 1);
    cJSON_Delete(json);
    write_manifest();
}

static void a_pattern_picks_mutants(void)
{
    cJSON *json = NULL;

    write_manifest();
    write_file("explained.tsv", "# key, line, reason\n");
    CU_ASSERT_EQUAL(mutants("--json --only 'a.c:*'", &json, NULL), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(json, "mutants"), 1);
    CU_ASSERT_EQUAL(number(json, "killed"), 1);
    cJSON_Delete(json);
    CU_ASSERT_EQUAL(mutants("--json --only '*:stale:*'", &json, NULL), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(number(json, "mutants"), 1);
    CU_ASSERT_EQUAL(number(json, "killed"), 0);
    cJSON_Delete(json);
    CU_ASSERT_EQUAL(mutants("--only 'c.c:*'", NULL, NULL), ATT_EXIT_NOTHING);
}

static void a_mutant_runs_with_each_kernel_it_changes(void)
{
    cJSON *json = NULL;
    char text[4 * PATH_MAX];

    write_manifest();
    snprintf(text, sizeof text,
             "a.h:f:bound:<-><=#1\t%s/harness/core/tests/plugins/pair.so\tunable idle\ta.h:3\tbound"
             "\t<\t<=\t\n"
             "a.h:g:bound:<-><=#1\t%s/harness/core/tests/plugins/pair.so\tunable\ta.h:5\tbound\t<"
             "\t<=\t\n",
             room, room);
    write_file("manifest.tsv", text);
    write_file("explained.tsv", "# key, line, reason\n");
    CU_ASSERT_EQUAL(mutants("--json", &json, NULL), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(number(json, "mutants"), 2);
    CU_ASSERT_EQUAL(number(json, "killed"), 1);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(json, "rows");
    CU_ASSERT_EQUAL(number(cJSON_GetArrayItem(rows, 0), "cases"), 1);
    CU_ASSERT_EQUAL(number(cJSON_GetArrayItem(rows, 1), "cases"), 0);
    cJSON_Delete(json);
}

static void a_score_below_the_least_fails(void)
{
    write_manifest();
    write_file("explained.tsv", "b.c:g:stale:x=1->#1\tx = 1;\tout of reach: nobody reads x yet\n");
    CU_ASSERT_EQUAL(mutants("--least 0.5", NULL, NULL), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(mutants("--least 0.51", NULL, NULL), ATT_EXIT_FAIL);
}

static void a_broken_manifest_is_refused_with_file_and_line(void)
{
    char *err = NULL;

    write_manifest();
    write_file("manifest.tsv", "only\ttwo\n");
    CU_ASSERT_EQUAL(mutants("", NULL, &err), ATT_EXIT_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(err, "manifest.tsv:1: 8 columns"));
    free(err);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_survivor_without_an_explanation_fails", a_survivor_without_an_explanation_fails},
        {"an_equivalent_survivor_leaves_the_score_alone",
         an_equivalent_survivor_leaves_the_score_alone},
        {"another_explanation_still_counts_against_the_score",
         another_explanation_still_counts_against_the_score},
        {"an_explanation_of_another_line_explains_nothing",
         an_explanation_of_another_line_explains_nothing},
        {"measures_that_have_tasks_judge_mutants_too", measures_that_have_tasks_judge_mutants_too},
        {"a_pattern_picks_mutants", a_pattern_picks_mutants},
        {"a_mutant_runs_with_each_kernel_it_changes", a_mutant_runs_with_each_kernel_it_changes},
        {"a_score_below_the_least_fails", a_score_below_the_least_fails},
        {"a_broken_manifest_is_refused_with_file_and_line",
         a_broken_manifest_is_refused_with_file_and_line},
        CU_TEST_INFO_NULL};
    char clean[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    int code = att_suite_run("mutants", tests);
    snprintf(clean, sizeof clean, "rm -r '%s'", folder);
    return system(clean) == 0 ? code : 1;
}
