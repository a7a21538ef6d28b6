/* SPDX-License-Identifier: Apache-2.0 */
/* attest passport of small runs, as a script sees it. */
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

static char room[PATH_MAX];                        /* build/PROFILE */
static char folder[] = "/tmp/att_passport_XXXXXX"; /* made by main */

/* `attest VERB ARGUMENTS` in the folder; its exit code. */
static int attest(const char *arguments)
{
    char command[4 * PATH_MAX];

    snprintf(command, sizeof command, "cd '%s' && '%s/attest' %s >out 2>err", folder, room,
             arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *output(void)
{
    char path[PATH_MAX];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/out", folder);
    return att_file_read(path, 1 << 22, &n);
}

/* Two storage types of which flash_bf16 takes one, two placements, one captured-free family. */
static void a_run_is_made(void)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/suite.json", folder);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("{\"schema_version\": 1, \"name\": \"small\", \"rows\": [{\"measure\": \"parity\", "
          "\"kernels\": [\"*\"], \"params\": {\"sq\": [1, 17], \"sk\": [17], \"dtype\": [\"f32\", "
          "\"bf16\"], \"place\": [\"aligned\", \"flush\"], \"softcap\": [0, 2]}, \"seeds\": [7]}, "
          "{\"measure\": \"rope\", \"kernels\": [\"flash_bf16\"], \"params\": {\"d\": [8]}, "
          "\"seeds\": [7]}]}\n",
          f);
    CU_ASSERT_EQUAL(fclose(f), 0);
    CU_ASSERT_EQUAL(
        attest(
            "run --quiet --suite ./suite.json --kernel flash_bf16 --kernel flash_f32 --out runs"),
        ATT_EXIT_PASS);
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

static const cJSON *member(const cJSON *list, const char *key, const char *value)
{
    const cJSON *one;

    cJSON_ArrayForEach(one, list) if (says(one, key, value)) return one;
    CU_FAIL_FATAL("no such member");
    return NULL;
}

static cJSON *passport(void)
{
    cJSON *json = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL(attest("passport flash_bf16 runs/latest --json"), ATT_EXIT_PASS);
    char *text = output();
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL_FATAL(att_json_parse(text, strlen(text), "out", &json, &why), ATT_OK);
    free(text);
    return json;
}

static void what_ran_what_was_refused_and_what_nobody_asked_are_told_apart(void)
{
    cJSON *json = passport();
    const cJSON *m = member(att_json_get(json, "measures"), "measure", "parity");
    const cJSON *params = att_json_get(m, "params"), *pairs = att_json_get(m, "pairs");

    CU_ASSERT_TRUE(says(json, "kernel", "flash_bf16"));
    CU_ASSERT_EQUAL(number(m, "pass"), 8);
    CU_ASSERT_EQUAL(number(m, "refused"), 8);
    CU_ASSERT_TRUE(says(att_json_get(params, "dtype"), "bf16", "ran"));
    CU_ASSERT_TRUE(says(att_json_get(params, "dtype"), "f32", "refused"));
    CU_ASSERT_TRUE(says(att_json_get(params, "dtype"), "f16", "not_asked"));
    CU_ASSERT_TRUE(says(att_json_get(params, "values"), "normal", "ran"));
    CU_ASSERT_TRUE(says(att_json_get(params, "values"), "heavy", "not_asked"));
    /* sq, dtype, place and softcap take two values, twenty others one: of the pairs of those that
     * ran, dtype has one value */
    CU_ASSERT(number(pairs, "ran") > 0);
    CU_ASSERT(number(pairs, "refused") > 0);
    CU_ASSERT(number(pairs, "ran") + number(pairs, "refused") < number(pairs, "of"));
    cJSON_Delete(json);
}

static void reasons_are_grouped_and_counted(void)
{
    cJSON *json = passport();
    const cJSON *m = member(att_json_get(json, "measures"), "measure", "parity");
    const cJSON *reasons = att_json_get(m, "reasons");

    CU_ASSERT_EQUAL(cJSON_GetArraySize(reasons), 1);
    CU_ASSERT_EQUAL(number(cJSON_GetArrayItem(reasons, 0), "cases"), 8);
    CU_ASSERT_TRUE(says(cJSON_GetArrayItem(reasons, 0), "reason", "dtype of q, k or v"));
    m = member(att_json_get(json, "measures"), "measure", "rope");
    CU_ASSERT_EQUAL(number(m, "pass"), 0);
    CU_ASSERT_EQUAL(number(m, "refused"), 1);
    cJSON_Delete(json);
}

static void traps_that_were_not_set_say_so(void)
{
    cJSON *json = passport();
    const cJSON *traps =
        att_json_get(member(att_json_get(json, "measures"), "measure", "parity"), "traps");
    const cJSON *flush = member(traps, "name", "guard page");
    const cJSON *captured = member(traps, "name", "captured");

    CU_ASSERT_EQUAL(number(flush, "ran"), 4);
    CU_ASSERT_EQUAL(number(flush, "refused"), 4);
    CU_ASSERT_EQUAL(number(captured, "ran"), 0);
    CU_ASSERT_EQUAL(number(captured, "refused"), 0);
    cJSON_Delete(json);
    CU_ASSERT_EQUAL(attest("passport flash_bf16 runs/latest"), ATT_EXIT_PASS);
    char *text = output();
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "captured          NOT SET, no case asked for it"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "8 cases: dtype of q, k or v"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "bf16 | refused: f32 | not asked: f16"));
    free(text);
}

static void a_kernel_that_did_not_run_is_a_usage_error(void)
{
    CU_ASSERT_EQUAL(attest("passport naive_blas runs/latest"), ATT_EXIT_USAGE);
    CU_ASSERT_EQUAL(attest("passport"), ATT_EXIT_USAGE);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a run is made", a_run_is_made},
        {"what ran, what was refused and what nobody asked are told apart",
         what_ran_what_was_refused_and_what_nobody_asked_are_told_apart},
        {"reasons are grouped and counted", reasons_are_grouped_and_counted},
        {"traps that were not set say so", traps_that_were_not_set_say_so},
        {"a kernel that did not run is a usage error", a_kernel_that_did_not_run_is_a_usage_error},
        CU_TEST_INFO_NULL};
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    int code = att_suite_run("passport", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}
