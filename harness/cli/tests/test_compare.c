/* SPDX-License-Identifier: Apache-2.0 */
/* attest compare, as a script sees it. */
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/exit.h"

static char room[PATH_MAX];                       /* build/PROFILE */
static char folder[] = "/tmp/att_compare_XXXXXX"; /* made by main */

/* `attest ARGUMENTS` in the folder; its exit code. */
static int attest(const char *arguments)
{
    char command[4 * PATH_MAX];

    snprintf(command, sizeof command, "cd '%s' && '%s/attest' %s >out 2>err", folder, room,
             arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static char *text_of(const char *name, size_t *n)
{
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return att_file_read(path, 1 << 22, n);
}

/* An older run that says the kernel declared sums of 53 bits. */
static void make_finer(void)
{
    static const char was[] = "\"name\": \"acc_declared\", \"value\": 24";
    char path[PATH_MAX];
    size_t n = 0;
    char *text = text_of("runs/latest/result.json", &n);

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    char *at = strstr(text, was);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    memcpy(at + strlen(was) - 2, "53", 2);
    snprintf(path, sizeof path, "%s/finer", folder);
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/finer/result.json", folder);
    CU_ASSERT_TRUE(att_file_write(path, text, n));
    free(text);
}

static void a_run_against_itself_has_loosened_nothing(void)
{
    CU_ASSERT_EQUAL(attest("run --quiet --case 'precision flash_f32 d=8' --out runs"),
                    ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("compare runs/latest --before runs/latest"), ATT_EXIT_PASS);
}

static void a_coarser_declaration_is_named_and_exit_1(void)
{
    size_t n = 0;

    make_finer();
    CU_ASSERT_EQUAL(attest("compare runs/latest --before finer"), ATT_EXIT_FAIL);
    char *text = text_of("out", &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "precision flash_f32 d=8"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "acc_declared   24 bits, was 53"));
    free(text);
    CU_ASSERT_EQUAL(attest("compare finer --before runs/latest"), ATT_EXIT_PASS);
}

static void an_older_run_that_is_not_there_is_no_pass(void)
{
    CU_ASSERT_NOT_EQUAL(attest("compare runs/latest --before nowhere"), ATT_EXIT_PASS);
}

/* The object that `attest compare ARGUMENTS --json` prints. */
static cJSON *compared(const char *arguments, int code)
{
    char command[1024];
    size_t n = 0;
    cJSON *json = NULL;
    att_why why = {""};

    snprintf(command, sizeof command, "compare --quiet --json %s", arguments);
    CU_ASSERT_EQUAL(attest(command), code);
    char *text = text_of("out", &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL_FATAL(att_json_parse(text, n, "out", &json, &why), ATT_OK);
    free(text);
    return json;
}

static const cJSON *at(const cJSON *object, const char *array, int i)
{
    return cJSON_GetArrayItem(att_json_get(object, array), i);
}

static double number(const cJSON *object, const char *key)
{
    double x = -1e300;

    att_json_real(object, key, &x);
    return x;
}

static bool says(const cJSON *object, const char *key, const char *want)
{
    const char *text = "";

    return att_json_text(object, key, &text) && strcmp(text, want) == 0;
}

#define NEEDLES "--suite ./probes.json --seeds 6 "

/* Three in four of the needles of the longest context lie outside a window of 1024. */
static void a_window_loses_what_lies_outside_and_costs_what_it_reads(void)
{
    cJSON *json = compared(NEEDLES "'sliding_window{left=1024}'", ATT_EXIT_PASS);
    const cJSON *row = at(json, "rows", 0), *cost = at(json, "cost", 1);

    CU_ASSERT_TRUE(says(json, "base", "flash_f32"));
    CU_ASSERT_EQUAL(cJSON_GetArraySize(att_json_get(json, "rows")), 1);
    CU_ASSERT_TRUE(says(row, "verdict", "worse"));
    CU_ASSERT_TRUE(number(row, "n") > 0);
    CU_ASSERT_EQUAL(number(row, "wins"), 0);
    CU_ASSERT_EQUAL(number(row, "losses") + number(row, "ties"), number(row, "n"));
    CU_ASSERT_EQUAL(number(row, "effective_length"), 1024);
    CU_ASSERT_EQUAL(number(row, "base_accuracy"), 1);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(att_json_get(row, "lengths")), 3);
    CU_ASSERT_EQUAL(number(at(row, "lengths", 0), "accuracy"), 1);
    CU_ASSERT_DOUBLE_EQUAL(number(at(row, "lengths", 2), "accuracy"), 0.25, 0.15);
    CU_ASSERT_DOUBLE_EQUAL(number(at(row, "lengths", 2), "keys_share"), 1025.0 / 4096, 1e-12);
    CU_ASSERT_EQUAL(number(at(cost, "at", 2), "keys_read"), 1025);
    CU_ASSERT_EQUAL(number(at(cost, "at", 0), "length"), 256);
    cJSON_Delete(json);
}

static void the_first_of_several_kernels_is_the_base(void)
{
    cJSON *json = compared(NEEDLES "'sliding_window{left=1024}' topk dense", ATT_EXIT_PASS);

    CU_ASSERT_TRUE(says(json, "base", "sliding_window{left=1024}"));
    CU_ASSERT_EQUAL(cJSON_GetArraySize(att_json_get(json, "rows")), 2);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(says(at(json, "rows", i), "verdict", "better"));
        CU_ASSERT_TRUE(number(at(json, "rows", i), "p_better") < 1e-3);
        CU_ASSERT_EQUAL(number(at(json, "rows", i), "losses"), 0);
    }
    cJSON_Delete(json);
}

/* Without a loss the lower bound of n items is -z sqrt(2) / (n + 2): 553 for a margin of 0.005. */
static void too_few_items_for_a_margin_are_exit_3_and_say_what_it_needs(void)
{
    char arguments[256];
    cJSON *few = compared("--suite ./probes.json --lengths 256 --seeds 1 topk --margin 0.005",
                          ATT_EXIT_INCONCLUSIVE);
    const cJSON *row = at(few, "rows", 0);

    CU_ASSERT_TRUE(says(row, "inferior", "inconclusive"));
    CU_ASSERT_EQUAL(number(row, "needed"), 553);
    snprintf(arguments, sizeof arguments,
             "--suite ./probes.json --lengths 256 --seeds %d topk --margin 0.005",
             (int)ceil(553 / number(row, "n")));
    cJSON *enough = compared(arguments, ATT_EXIT_PASS);
    CU_ASSERT_TRUE(says(at(enough, "rows", 0), "inferior", "no"));
    cJSON *lost = compared(NEEDLES "'sliding_window{left=100}' --margin 0.02", ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(says(at(lost, "rows", 0), "inferior", "yes"));
    cJSON_Delete(few);
    cJSON_Delete(enough);
    cJSON_Delete(lost);
}

static void one_screen_shows_a_task_by_length_with_tests_and_costs(void)
{
    static const char *const shown[] = {"won/lost/tied",  "minus base",       "keys read",
                                        "p (Holm)",       "effective length", "KV bytes a token",
                                        "would be found", "bytes kept"};
    size_t n = 0, lines = 0;

    CU_ASSERT_EQUAL(attest("compare --quiet " NEEDLES "'sliding_window{left=1024}'"),
                    ATT_EXIT_PASS);
    char *text = text_of("out", &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        CU_ASSERT_PTR_NOT_NULL(strstr(text, shown[i]));
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    CU_ASSERT_TRUE(lines <= 40);
    free(text);
}

static void two_runs_are_compared_kernel_by_kernel(void)
{
    static const char once[] = "run --quiet --suite ./probes.json --kernel flash_f32 "
                               "--kernel 'sliding_window{left=1024}' --out twice";

    CU_ASSERT_EQUAL(attest(once), ATT_EXIT_PASS);
    cJSON *json = compared("twice/latest twice/latest", ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(att_json_get(json, "rows")), 2);
    for (int i = 0; i < 2; i++) {
        CU_ASSERT_TRUE(number(at(json, "rows", i), "n") > 0);
        CU_ASSERT_EQUAL(number(at(json, "rows", i), "wins"), 0);
        CU_ASSERT_EQUAL(number(at(json, "rows", i), "losses"), 0);
        CU_ASSERT_FALSE(says(at(json, "rows", i), "verdict", "worse"));
    }
    cJSON_Delete(json);
    json = compared("twice/latest 'sliding_window{left=1024}'", ATT_EXIT_PASS);
    CU_ASSERT_TRUE(number(at(json, "rows", 0), "losses") > 0);
    CU_ASSERT_EQUAL(number(at(json, "rows", 0), "effective_length"), 1024);
    cJSON_Delete(json);
    json = compared("twice/latest 'sliding_window{left=1024}' --lengths 256 --task needle",
                    ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(number(at(json, "rows", 0), "losses"), 0);
    CU_ASSERT_EQUAL(cJSON_GetArraySize(att_json_get(at(json, "rows", 0), "lengths")), 1);
    cJSON_Delete(json);
    CU_ASSERT_EQUAL(attest("compare twice/latest --task nothing"), ATT_EXIT_USAGE);
    CU_ASSERT_EQUAL(attest("compare twice/latest --seeds 3"), ATT_EXIT_USAGE);
}

static void what_is_not_there_is_a_usage_error(void)
{
    CU_ASSERT_EQUAL(attest("compare --quiet nokernel"), ATT_EXIT_USAGE);
    CU_ASSERT_EQUAL(attest("compare no/such/run"), ATT_EXIT_USAGE);
    CU_ASSERT_EQUAL(attest("compare --quiet topk --suite ./probes.json --lengths 77"),
                    ATT_EXIT_USAGE);
    CU_ASSERT_EQUAL(attest("compare --quiet topk --suite ./probes.json --lengths 1,x"),
                    ATT_EXIT_USAGE);
    CU_ASSERT_EQUAL(attest("compare --quiet topk --suite ./probes.json --task nothing"),
                    ATT_EXIT_USAGE);
}

static bool make_suite(void)
{
    static const char suite[] =
        "{\"name\": \"probes\", \"rows\": [{\"measure\": \"probe.needle\", \"kernels\": [\"*\"], "
        "\"params\": {\"len\": [256, 1024, 4096]}, \"seeds\": [1], \"required\": true}]}";
    char path[PATH_MAX];

    snprintf(path, sizeof path, "%s/probes.json", folder);
    return att_file_write(path, suite, sizeof suite - 1);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a run against itself has loosened nothing", a_run_against_itself_has_loosened_nothing},
        {"a coarser declaration is named, and exit 1", a_coarser_declaration_is_named_and_exit_1},
        {"an older run that is not there is no pass", an_older_run_that_is_not_there_is_no_pass},
        {"a window loses what lies outside, and costs what it reads",
         a_window_loses_what_lies_outside_and_costs_what_it_reads},
        {"the first of several kernels is the base", the_first_of_several_kernels_is_the_base},
        {"too few items for a margin are exit 3, and say what it needs",
         too_few_items_for_a_margin_are_exit_3_and_say_what_it_needs},
        {"one screen shows a task by length, with tests and costs",
         one_screen_shows_a_task_by_length_with_tests_and_costs},
        {"two runs are compared kernel by kernel", two_runs_are_compared_kernel_by_kernel},
        {"what is not there is a usage error", what_is_not_there_is_a_usage_error},
        CU_TEST_INFO_NULL};
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder) || !make_suite())
        return 1;
    int code = att_suite_run("compare", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}
