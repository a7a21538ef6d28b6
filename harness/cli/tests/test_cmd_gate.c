/* SPDX-License-Identifier: Apache-2.0 */
/* attest baseline and attest gate, as a pull request's job sees them. */
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

#define CASES   "--case 'parity flash_f32 d=24' --case 'parity flash_f32 d=16' "
#define RIGHT   "run --quiet --out runs " CASES
#define TOO_FEW "run --quiet --out runs --case 'parity flash_f32 d=24'"
#define POLICY  "--policy policy.json "

static char room[PATH_MAX], root[PATH_MAX];    /* build/PROFILE, the checkout */
static char folder[] = "/tmp/att_gate_XXXXXX"; /* made by main */

/* `BEFORE attest ARGUMENTS` in the folder; its exit code. */
static int attest_with(const char *before, const char *arguments)
{
    char command[4 * PATH_MAX];

    snprintf(command, sizeof command, "cd '%s' && env -u CI %s '%s/attest' %s >out 2>err", folder,
             before, room, arguments);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int attest(const char *arguments)
{
    return attest_with("", arguments);
}

static bool holds(const char *name, const char *part)
{
    char path[PATH_MAX];
    size_t n = 0;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *text = att_file_read(path, 1 << 22, &n);
    const bool found = text && strstr(text, part);
    if (!found)
        printf("%s does not hold %s:\n%s\n", name, part, text ? text : "(nothing)");
    free(text);
    return found;
}

static void change(const char *script)
{
    char command[4 * PATH_MAX];

    snprintf(command, sizeof command, "cd '%s' && %s", folder, script);
    CU_ASSERT_EQUAL(system(command), 0);
}

static void clean(void)
{
    change("rm -rf runs ci && mkdir ci");
}

static void accept_first(void)
{
    clean();
    CU_ASSERT_EQUAL(attest(RIGHT), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("baseline accept runs/latest --reason 'the first'"), ATT_EXIT_PASS);
    CU_ASSERT_TRUE(holds("ci/baselines/cases.json", "parity flash_f32 d=16"));
}

static void what_is_accepted_keeps_to_its_schema(void)
{
    char command[4 * PATH_MAX];

    clean();
    CU_ASSERT_EQUAL(attest(RIGHT "--case 'probe.needle flash_f32 len=256'"), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("baseline accept --reason r --scores '*'"), ATT_EXIT_PASS);
    CU_ASSERT_TRUE(holds("ci/baselines/cases.json", "\"scores\""));
    snprintf(command, sizeof command,
             "python3 '%s/ci/scripts/check_schema.py' '%s/ci/baselines/baseline.schema.json' "
             "'%s/ci/baselines/cases.json'",
             root, root, folder);
    int status = system(command);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        att_suite_skip("the Python module jsonschema is not installed");
    else
        CU_ASSERT_EQUAL(status, 0);
}

static void without_a_baseline_nothing_is_decided(void)
{
    clean();
    CU_ASSERT_EQUAL(attest(RIGHT), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("gate " POLICY), ATT_EXIT_INCONCLUSIVE);
    CU_ASSERT_TRUE(holds("err", "there is no such baseline"));
    CU_ASSERT_EQUAL(attest("baseline diff"), ATT_EXIT_FAIL);
}

static void an_accepted_run_passes_its_gate(void)
{
    accept_first();
    CU_ASSERT_EQUAL(attest("baseline diff"), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("gate " POLICY), ATT_EXIT_PASS);
    CU_ASSERT_TRUE(holds("out", "2 cases compared, 2 unchanged"));
}

static void accepting_is_refused_in_ci_without_a_reason_and_of_half_a_run(void)
{
    accept_first();
    CU_ASSERT_EQUAL(attest_with("CI=true", "baseline accept --reason r"), ATT_EXIT_USAGE);
    CU_ASSERT_TRUE(holds("err", "not in CI"));
    CU_ASSERT_EQUAL(attest("baseline accept"), ATT_EXIT_USAGE);
    change("rm runs/latest/DONE");
    CU_ASSERT_EQUAL(attest("baseline accept --reason r"), ATT_EXIT_INCOMPLETE);
    CU_ASSERT_EQUAL(attest("gate " POLICY), ATT_EXIT_INCOMPLETE);
}

static void a_broken_contract_is_not_accepted_and_blocks(void)
{
    accept_first();
    change("sed -i '0,/\"status\": \"pass\"/s//\"reason\": \"x\", \"status\": \"fail\"/' "
           "runs/latest/result.json");
    CU_ASSERT_EQUAL(attest("baseline accept --reason r"), ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(holds("err", "a broken contract is not accepted"));
    CU_ASSERT_EQUAL(attest("gate " POLICY), ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(holds("out", "FAIL   contract  parity  flash_f32     1 of 2 cases"));
    CU_ASSERT_TRUE(holds("out", "attest repro 'parity flash_f32 d=24 seed=1'"));
}

static void a_case_that_is_gone_blocks_until_it_is_pruned(void)
{
    accept_first();
    CU_ASSERT_EQUAL(attest(TOO_FEW), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("gate " POLICY), ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(holds("out", "missing"));
    CU_ASSERT_EQUAL(attest("baseline prune"), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("gate " POLICY), ATT_EXIT_PASS);
}

static void json_says_verdict_failures_and_how_many_were_compared(void)
{
    char path[PATH_MAX];
    cJSON *json = NULL;
    att_why why = {""};
    const char *verdict = "", *kind = "";
    double compared = 0;

    accept_first();
    change("sed -i '0,/\"status\": \"pass\"/s//\"signal\": 11, \"status\": \"crash\"/' "
           "runs/latest/result.json");
    CU_ASSERT_EQUAL(attest("gate --json " POLICY), ATT_EXIT_FAIL);
    snprintf(path, sizeof path, "%s/out", folder);
    CU_ASSERT_EQUAL_FATAL(att_json_read(path, 1 << 20, &json, &why), ATT_OK);
    CU_ASSERT_TRUE(att_json_text(json, "verdict", &verdict));
    CU_ASSERT_STRING_EQUAL(verdict, "fail");
    CU_ASSERT_TRUE(att_json_real(json, "compared", &compared) && compared == 2);
    const cJSON *first = cJSON_GetArrayItem(att_json_get(json, "failures"), 0);
    CU_ASSERT_TRUE(att_json_text(first, "kind", &kind));
    CU_ASSERT_STRING_EQUAL(kind, "crash");
    cJSON_Delete(json);
}

static void a_verdict_is_kept_in_the_run_where_asked(void)
{
    accept_first();
    CU_ASSERT_EQUAL(attest("gate --record " POLICY), ATT_EXIT_PASS);
    CU_ASSERT_TRUE(
        holds("runs/latest/result.json", "\"gate\": {\"failures\":[],\"policy\":\"default\""));
    CU_ASSERT_TRUE(holds("runs/latest/result.json", "\"verdict\":\"pass\"}"));
    CU_ASSERT_EQUAL(attest("gate --record " POLICY), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("baseline diff"), ATT_EXIT_PASS);
}

static void damaged_files_are_named_with_their_line_and_exit_6(void)
{
    accept_first();
    change("sed 's/\"seed\": 1/\"seed\": \"NaN\"/' ci/baselines/cases.json > bad.json");
    CU_ASSERT_EQUAL(attest("gate --baseline bad.json " POLICY), ATT_EXIT_CORRUPT);
    CU_ASSERT_TRUE(holds("err", "bad.json:3: \"seed\" is not an integer"));
    change("sed 's/\"alpha\": 0.001/\"alpha\": 1e999/' policy.json > bad_policy.json");
    CU_ASSERT_EQUAL(attest("gate --policy bad_policy.json"), ATT_EXIT_CORRUPT);
    CU_ASSERT_TRUE(holds("err", "bad_policy.json:"));
    change("echo '{\"schema_version\": \"1.0\", \"waivers\": [{}]}' > bad_waivers.json");
    CU_ASSERT_EQUAL(attest("gate --waivers bad_waivers.json " POLICY), ATT_EXIT_CORRUPT);
    CU_ASSERT_TRUE(holds("err", "bad_waivers.json:1: \"cases\" is missing"));
}

static void two_right_kernels_pass_and_a_bug_is_named_without_a_baseline(void)
{
    char arguments[2 * PATH_MAX];
    static const char form[] = "gate " POLICY "--quiet --suite '%s/ci/suites/mini.json' --seed 5 "
                               "--eval parity --base %s --head %s";

    clean();
    snprintf(arguments, sizeof arguments, form, root, "different:tiles_of_17",
             "different:reversed_keys");
    CU_ASSERT_EQUAL(attest(arguments), ATT_EXIT_PASS);
    snprintf(arguments, sizeof arguments, form, root, "flash_f32", "zoo:causal_top_left");
    CU_ASSERT_EQUAL(attest(arguments), ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(holds("out", "looks like   causal_top_left"));
    snprintf(arguments, sizeof arguments, form, root, "flash_f32", "flash_f32");
    CU_ASSERT_EQUAL(attest(arguments), ATT_EXIT_USAGE);
    CU_ASSERT_TRUE(holds("err", "do not pair"));
}

static void speed_is_judged_over_rounds_against_the_policy(void)
{
    char arguments[2 * PATH_MAX];

    clean();
    snprintf(arguments, sizeof arguments,
             "gate " POLICY "--quiet --suite '%s/ci/suites/mini.json' --eval probe.mqar "
             "--rounds 15 --base flash_f32 --head different:key_by_key",
             root);
    CU_ASSERT_EQUAL(attest(arguments), ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(holds("out", "FAIL   slower  probe.mqar  key_by_key"));
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"without a baseline nothing is decided", without_a_baseline_nothing_is_decided},
        {"what is accepted keeps to its schema", what_is_accepted_keeps_to_its_schema},
        {"an accepted run passes its gate", an_accepted_run_passes_its_gate},
        {"accepting is refused in CI, without a reason and of half a run",
         accepting_is_refused_in_ci_without_a_reason_and_of_half_a_run},
        {"a broken contract is not accepted and blocks",
         a_broken_contract_is_not_accepted_and_blocks},
        {"a case that is gone blocks until it is pruned",
         a_case_that_is_gone_blocks_until_it_is_pruned},
        {"json says verdict, failures and how many were compared",
         json_says_verdict_failures_and_how_many_were_compared},
        {"a verdict is kept in the run where asked", a_verdict_is_kept_in_the_run_where_asked},
        {"damaged files are named with their line and exit 6",
         damaged_files_are_named_with_their_line_and_exit_6},
        {"two right kernels pass, and a bug is named, without a baseline",
         two_right_kernels_pass_and_a_bug_is_named_without_a_baseline},
        {"speed is judged over rounds, against the policy",
         speed_is_judged_over_rounds_against_the_policy},
        CU_TEST_INFO_NULL};
    char command[2 * PATH_MAX];

    if (!getcwd(root, sizeof root) || !mkdtemp(folder))
        return 1;
    test_room(room);
    snprintf(command, sizeof command, "cp '%s/ci/policies/default.json' '%s/policy.json'", root,
             folder);
    if (system(command) != 0)
        return 1;
    int code = att_suite_run("cmd_gate", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}
