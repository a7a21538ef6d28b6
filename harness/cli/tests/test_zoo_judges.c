/* SPDX-License-Identifier: Apache-2.0 */
/* attest zoo --judges on small suites, as a script sees it. */
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

static char room[PATH_MAX];                      /* build/PROFILE */
static char folder[] = "/tmp/att_judges_XXXXXX"; /* made by main */

static void write_suite(const char *name, const char *rows)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s.json", folder, name);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fprintf(f, "{\"schema_version\": 1, \"name\": \"small\", \"rows\": [%s]}\n", rows);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

/* Own: fewer queries than keys.  Popular: as many, on loose memory. */
static void write_suites(void)
{
    write_suite("own", "{\"measure\": \"parity\", \"kernels\": [\"*\"], \"params\": {\"sq\": [8], "
                       "\"sk\": [33], \"d\": [40], \"causal\": [\"br\"], \"dtype\": [\"f32\", "
                       "\"bf16\"]}, \"seeds\": [7]}");
    write_suite("popular", "{\"measure\": \"judges\", \"kernels\": [\"*\"], \"params\": {\"sq\": "
                           "[64], \"sk\": [64], \"d\": [64], \"causal\": [\"br\"], \"dtype\": "
                           "[\"f32\", \"bf16\"], \"place\": [\"loose\"]}, \"seeds\": [7]}");
}

/* The exit code; stdout in *text if asked, to free(). */
static int zoo(const char *options, char **text)
{
    char command[4 * PATH_MAX], out[PATH_MAX];
    size_t n = 0;

    snprintf(out, sizeof out, "%s/out", folder);
    snprintf(command, sizeof command,
             "'%s/attest' zoo --quiet --suite '%s/own.json' --popular '%s/popular.json' %s >'%s' "
             "2>'%s/err'",
             room, folder, folder, options, out, folder);
    int status = system(command);
    if (text)
        *text = att_file_read(out, 1 << 22, &n);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static cJSON *matrix(const char *options)
{
    char *text = NULL;
    cJSON *json = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL(zoo(options, &text), ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL_FATAL(att_json_parse(text, strlen(text), "zoo", &json, &why), ATT_OK);
    free(text);
    return json;
}

/* What stands at a path of up to four names. */
static double at(const cJSON *json, const char *a, const char *b, const char *c, const char *d)
{
    const char *path[] = {a, b, c, d};
    double x = -1;

    for (size_t i = 0; i < 3 && path[i + 1]; i++)
        json = att_json_get(json, path[i]);
    for (size_t i = 4; i-- > 0;)
        if (path[i]) {
            CU_ASSERT_TRUE(att_json_real(json, path[i], &x));
            break;
        }
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
    CU_FAIL_FATAL("no such row");
    return NULL;
}

static void each_rule_has_its_say_and_none_decides(void)
{
    cJSON *json = matrix("--judges all --json --kernel zoo:causal_top_left --kernel "
                         "zoo:prescale_in_half --kernel different:dot_in_order");
    const cJSON *row = row_of(json, "causal_top_left");

    CU_ASSERT_EQUAL(at(json, "bugs", NULL, NULL, NULL), 2);
    /* where queries are fewer than keys everybody sees it; where they are as many nobody can */
    CU_ASSERT_EQUAL(at(row, "own", "cases", NULL, NULL), 2);
    CU_ASSERT_EQUAL(at(row, "own", "caught", "attest", NULL), 2);
    CU_ASSERT_EQUAL(at(row, "own", "caught", "ggml_nmse", NULL), 2);
    CU_ASSERT_EQUAL(at(row, "popular", "caught", "attest", NULL), 0);
    /* a rounding too many hides below a mean square */
    row = row_of(json, "prescale_in_half");
    CU_ASSERT(at(row, "own", "caught", "attest", NULL) >= 1);
    CU_ASSERT_EQUAL(at(row, "own", "caught", "ggml_nmse", NULL), 0);
    CU_ASSERT_EQUAL(at(row, "popular", "caught", "ggml_nmse", NULL), 0);
    CU_ASSERT_EQUAL(at(json, "caught", "own", "attest", NULL), 2);
    CU_ASSERT_EQUAL(at(json, "right", "own", "cases", NULL), 2);
    CU_ASSERT_EQUAL(at(json, "right", "own", "caught", "attest"), 0);
    CU_ASSERT_EQUAL(at(json, "right", "popular", "caught", "attest"), 0);
    cJSON_Delete(json);
}

/* Probabilities in bf16, as declared, are beyond 1e-5 of an f32 result. */
static void a_rule_that_fails_right_kernels_catches_nothing(void)
{
    write_suite("own", "{\"measure\": \"parity\", \"kernels\": [\"*\"], \"params\": {\"sq\": [8], "
                       "\"sk\": [33], \"d\": [40], \"causal\": [\"br\"]}, \"seeds\": [7]}");
    cJSON *json = matrix("--judges all --json --kernel zoo:causal_top_left --kernel "
                         "different:probs_bf16");
    const cJSON *row = row_of(json, "causal_top_left");

    CU_ASSERT_EQUAL(at(json, "right", "own", "caught", "torch_close"), 1);
    CU_ASSERT_EQUAL(at(row, "own", "caught", "torch_close", NULL), 0);
    CU_ASSERT_EQUAL(at(json, "right", "own", "caught", "attest"), 0);
    CU_ASSERT_EQUAL(at(row, "own", "caught", "attest", NULL), 1);
    cJSON_Delete(json);
    write_suites();
}

static void judges_are_chosen_by_name(void)
{
    char *text = NULL;
    cJSON *json = matrix("--judges ggml_nmse --judges attest --json --kernel zoo:causal_top_left");

    CU_ASSERT_EQUAL(cJSON_GetArraySize(att_json_get(json, "judges")), 2);
    cJSON_Delete(json);
    CU_ASSERT_EQUAL(zoo("--judges ggml_nmse --kernel zoo:causal_top_left", &text), ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "causal_top_left"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "ggml_nmse"));
    CU_ASSERT_PTR_NULL(strstr(text, "torch_close"));
    free(text);
}

static void an_unknown_judge_is_a_usage_error(void)
{
    CU_ASSERT_EQUAL(zoo("--judges nobody --kernel zoo:causal_top_left", NULL), ATT_EXIT_USAGE);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the suites are written", write_suites},
        {"each rule has its say and none decides", each_rule_has_its_say_and_none_decides},
        {"a rule that fails right kernels catches nothing",
         a_rule_that_fails_right_kernels_catches_nothing},
        {"judges are chosen by name", judges_are_chosen_by_name},
        {"an unknown judge is a usage error", an_unknown_judge_is_a_usage_error},
        CU_TEST_INFO_NULL};
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    int code = att_suite_run("zoo_judges", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}
