/* SPDX-License-Identifier: Apache-2.0 */
/* Policies and waivers: what they say, what is refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"
#include "base/tests/suite.h"
#include "gate/policy.h"

#define HEAD                                                                                       \
    "{\"schema_version\": \"1.0\",\n\"name\": \"n\", \"confidence\": 0.95, \"family\": "           \
    "\"kernel\"\n"

static void the_policy_that_is_shipped_is_read(void)
{
    att_policy p = {0};
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(att_policy_read("ci/policies/default.json", &p, &why), ATT_OK);
    CU_ASSERT_STRING_EQUAL(p.name, "default");
    CU_ASSERT_EQUAL(p.alpha, 0.001);
    CU_ASSERT_TRUE(att_policy_advises(&p, ATT_GATE_DRIFT, "parity a"));
    CU_ASSERT_FALSE(att_policy_advises(&p, ATT_GATE_CONTRACT, "parity a"));
    att_policy_drop(&p);
    att_waivers w = {0};
    CU_ASSERT_EQUAL(att_waivers_read("ci/waivers.json", &w, &why), ATT_OK);
    att_waivers_drop(&w);
}

/* Exit code of the schema's check of a file; 77: it can't run here. */
static int schema_says(const char *file)
{
    char command[512];

    snprintf(
        command, sizeof command,
        "python3 ci/scripts/check_schema.py ci/policies/policy.schema.json '%s' >/dev/null 2>&1",
        file);
    int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void schema_and_reader_agree(void)
{
    char path[] = "/tmp/att_policy_XXXXXX";
    static const char *const texts[] = {HEAD ", \"alpha\": 0.01}",
                                        HEAD ", \"alpha\": 0.5}",
                                        HEAD ", \"alpha\": 0.01, \"advisry\": []}",
                                        HEAD ", \"alpha\": 0.01, \"advisory\": [{\"cases\": \"*\", "
                                             "\"kind\": \"crash\"}]}",
                                        HEAD ", \"alpha\": 0.01, \"scores\": [{\"cases\": \"*\", "
                                             "\"margin\": 2}]}",
                                        HEAD ", \"alpha\": 0.01, \"margins\": [{\"cases\": \"*\", "
                                             "\"margin\": 2}]}"};

    if (schema_says("ci/policies/default.json") == 77) {
        att_suite_skip("the Python module jsonschema is not installed");
        return;
    }
    CU_ASSERT_EQUAL(schema_says("ci/policies/default.json"), 0);
    CU_ASSERT_EQUAL(system("python3 ci/scripts/check_schema.py ci/policies/waivers.schema.json "
                           "ci/waivers.json"),
                    0);
    int file = mkstemp(path);
    CU_ASSERT_TRUE_FATAL(file >= 0);
    close(file);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        att_policy p = {0};
        const size_t n = strlen(texts[i]);
        CU_ASSERT_TRUE_FATAL(att_file_write(path, texts[i], n));
        const bool taken = att_policy_parse(texts[i], n, "f", &p, NULL) == ATT_OK;
        CU_ASSERT_EQUAL(schema_says(path) == 0, taken);
        att_policy_drop(&p);
    }
    unlink(path);
}

static void the_first_rule_that_matches_counts(void)
{
    static const char text[] = HEAD ", \"alpha\": 0.01, \"tolerances\": [{\"cases\": \"lm.*\", "
                                    "\"metric\": \"kl\", \"tolerance\": 1}, {\"cases\": \"*\", "
                                    "\"metric\": \"*\", \"tolerance\": 2}]}";
    att_policy p = {0};

    CU_ASSERT_EQUAL_FATAL(att_policy_parse(text, strlen(text), "f", &p, NULL), ATT_OK);
    CU_ASSERT_EQUAL(att_policy_rule_for(&p.tolerances, "lm.drift a", "kl")->value, 1);
    CU_ASSERT_EQUAL(att_policy_rule_for(&p.tolerances, "lm.drift a", "x")->value, 2);
    CU_ASSERT_PTR_NULL(att_policy_rule_for(&p.margins, "lm.drift a", NULL));
    CU_ASSERT_TRUE(isnan(p.speed));
    att_policy_drop(&p);
}

static void a_policy_that_is_not_understood_is_refused(void)
{
    static const char *const bad[][2] = {
        {HEAD "}", "\"alpha\" is missing"},
        {HEAD ", \"alpha\": \"NaN\"}", "f:3: \"alpha\" is not a number"},
        {HEAD ", \"alpha\": 0.5}", "f:3: \"alpha\" is not within"},
        {HEAD ", \"alpha\": 0.01, \"advisry\": []}", "f:3: \"advisry\" is unknown here"},
        {HEAD ", \"alpha\": 0.01, \"alpha\": 0.02}", "f:3: a repeated key: alpha"},
        {HEAD ", \"alpha\": 0.01, \"advisory\": [{\"cases\": \"*\", \"kind\": \"crash\"}]}",
         "can be waived, never advisory"},
        {HEAD ", \"alpha\": 0.01, \"advisory\": [{\"cases\": \"*\", \"kind\": \"odd\"}]}",
         "kind \"odd\" is unknown"},
        {HEAD ", \"alpha\": 0.01, \"margins\": [\n{\"cases\": \"*\", \"margin\": 2}]}",
         "f:4: \"margin\" is not within"},
        {HEAD ", \"alpha\": 0.01, \"required\": [{\"case\": \"*\"}]}", "\"case\" is unknown here"},
        {HEAD ", \"alpha\": 0.01", "f:3:"},
        {"[]", "\"schema_version\" is missing"},
        {"{\"schema_version\": \"2.0\"}",
         "f:1: schema version \"2.0\"; this attest reads policies"},
        {"{\"schema_version\": 1}", "schema version"},
    };
    att_policy p = {0};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        att_why why = {""};
        CU_ASSERT_EQUAL(att_policy_parse(bad[i][0], strlen(bad[i][0]), "f", &p, &why), ATT_CORRUPT);
        if (!strstr(why.text, bad[i][1]))
            printf("%s\n  said: %s\n", bad[i][0], why.text);
        CU_ASSERT_PTR_NOT_NULL(strstr(why.text, bad[i][1]));
    }
}

static void a_waiver_needs_reason_issue_and_a_day(void)
{
    static const char *const bad[][2] = {
        {"{\"cases\": \"*\", \"issue\": \"#1\", \"expires\": \"2030-01-01\"}",
         "\"reason\" is missing"},
        {"{\"cases\": \"*\", \"issue\": \"\", \"reason\": \"r\", \"expires\": \"2030-01-01\"}",
         "\"issue\" is not a text that is not empty"},
        {"{\"cases\": \"*\", \"issue\": \"#1\", \"reason\": \"r\", \"expires\": \"2030-02-30\"}",
         "f:2: \"expires\" is not a day"},
        {"{\"cases\": \"*\", \"issue\": \"#1\", \"reason\": \"r\", \"expires\": \"soon\"}",
         "\"expires\" is not a day"},
        {"{\"cases\": \"*\", \"issue\": \"#1\", \"reason\": \"r\", \"expires\": \"2030-01-01\", "
         "\"kind\": \"waiver_expired\"}",
         "is unknown"}};
    att_waivers w = {0};
    char text[400];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        att_why why = {""};
        snprintf(text, sizeof text, "{\"schema_version\": \"1.0\", \"waivers\": [\n%s]}",
                 bad[i][0]);
        CU_ASSERT_EQUAL(att_waivers_parse(text, strlen(text), "f", &w, &why), ATT_CORRUPT);
        CU_ASSERT_PTR_NOT_NULL(strstr(why.text, bad[i][1]));
    }
    snprintf(text, sizeof text,
             "{\"schema_version\": \"1.0\", \"waivers\": [{\"cases\": \"a*\", \"issue\": \"#1\", "
             "\"reason\": \"r\", \"expires\": \"2030-01-31\", \"kind\": \"worse\"}]}");
    CU_ASSERT_EQUAL_FATAL(att_waivers_parse(text, strlen(text), "f", &w, NULL), ATT_OK);
    CU_ASSERT_EQUAL(w.at[0].kind, ATT_GATE_WORSE);
    CU_ASSERT_FALSE(att_waiver_over(&w.at[0], "2030-01-31"));
    CU_ASSERT_TRUE(att_waiver_over(&w.at[0], "2030-02-01"));
    att_waivers_drop(&w);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the policy that is shipped is read", the_policy_that_is_shipped_is_read},
        {"schema and reader agree", schema_and_reader_agree},
        {"the first rule that matches counts", the_first_rule_that_matches_counts},
        {"a policy that is not understood is refused", a_policy_that_is_not_understood_is_refused},
        {"a waiver needs reason, issue and a day", a_waiver_needs_reason_issue_and_a_day},
        CU_TEST_INFO_NULL};

    return att_suite_run("policy", tests);
}
