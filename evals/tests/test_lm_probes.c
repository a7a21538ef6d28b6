/* SPDX-License-Identifier: Apache-2.0 */
/* The probes of the language model as a user runs them, short. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/result.h"

#define MODEL "datasets/models/SmolLM2-135M-Instruct.Q4_1.gguf"

static char folder[] = "/tmp/att_lm_XXXXXX";

/* `attest run` with these arguments; its exit code, and the result if there is one. */
static int run(const char *arguments, att_result *result)
{
    char self[PATH_MAX], command[2 * PATH_MAX];
    att_why why = {""};

    test_room(self);
    strcpy(folder, "/tmp/att_lm_XXXXXX");
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(command, sizeof command, "'%s/attest' run --quiet --out '%s' %s >'%s/out' 2>&1", self,
             folder, arguments, folder);
    int status = system(command);
    snprintf(command, sizeof command, "%s/latest/result.json", folder);
    if (access(command, R_OK) == 0)
        CU_ASSERT_EQUAL_FATAL(att_result_read(command, result, &why), ATT_OK);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CU_ASSERT_EQUAL(system(command), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static double metric(const att_result *result, size_t i, const char *name)
{
    const att_metric *m = i < result->n_records ? att_record_metric(&result->records[i], name)
                                                : NULL;

    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    return m->value;
}

static void every_task_has_items_a_chance_level_and_numbers(void)
{
    static const size_t items[] = {4, 4, 6};
    att_result result = {0};

    if (access(MODEL, R_OK) != 0) {
        att_suite_skip("no model: make model");
        return;
    }
    run("--case 'lm.needle dense len=256' --case 'lm.citation dense len=256' "
        "--case 'lm.coreference dense len=256'",
        &result);
    CU_ASSERT_EQUAL_FATAL(result.n_records, 3);
    for (size_t i = 0; i < 3; i++) {
        CU_ASSERT_TRUE(result.records[i].status == ATT_PASS ||
                       result.records[i].status == ATT_NO_POWER);
        CU_ASSERT_EQUAL(result.records[i].n_items, items[i]);
        CU_ASSERT_TRUE(result.records[i].chance > 0 && result.records[i].chance <= 0.5);
    }
    CU_ASSERT(metric(&result, 0, "nll_within") < 1); /* a guess is ln 10 = 2.3 */
    CU_ASSERT(metric(&result, 1, "accuracy") >= 0.5);
    CU_ASSERT(metric(&result, 2, "contrast") > 0);
    att_result_clear(&result);
}

/* The first tokens have left both windows: four sinks are what keeps the model sane. */
static void sinks_are_load_bearing(void)
{
    att_result result = {0};

    if (access(MODEL, R_OK) != 0) {
        att_suite_skip("no model: make model");
        return;
    }
    run("--case 'lm.drift sliding_window{left=64} len=256' "
        "--case 'lm.drift sink_window{sinks=4,left=60} len=256'",
        &result);
    CU_ASSERT(metric(&result, 0, "kl_to_dense") > 2 * metric(&result, 1, "kl_to_dense"));
    att_result_clear(&result);
}

static void an_exact_kernel_drifts_by_rounding_alone(void)
{
    att_result result = {0};

    if (access(MODEL, R_OK) != 0) {
        att_suite_skip("no model: make model");
        return;
    }
    CU_ASSERT_EQUAL(run("--case 'lm.drift naive_blas len=128'", &result), 0);
    CU_ASSERT(metric(&result, 0, "logit_drift") > 0); /* it is another implementation */
    CU_ASSERT_EQUAL(metric(&result, 0, "top1_same"), 1);
    att_result_clear(&result);
}

static void a_missing_model_is_an_error_that_names_it(void)
{
    att_result result = {0};

    CU_ASSERT_EQUAL(run("--model /nowhere/x.gguf --case 'lm.drift dense len=128'", &result), 5);
    CU_ASSERT_EQUAL_FATAL(result.n_records, 1);
    CU_ASSERT_EQUAL(result.records[0].status, ATT_ERROR);
    CU_ASSERT_PTR_NOT_NULL_FATAL(result.records[0].reason);
    CU_ASSERT_PTR_NOT_NULL(strstr(result.records[0].reason, "/nowhere/x.gguf"));
    att_result_clear(&result);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every_task_has_items_a_chance_level_and_numbers",
         every_task_has_items_a_chance_level_and_numbers},
        {"sinks_are_load_bearing", sinks_are_load_bearing},
        {"an_exact_kernel_drifts_by_rounding_alone", an_exact_kernel_drifts_by_rounding_alone},
        {"a_missing_model_is_an_error_that_names_it", a_missing_model_is_an_error_that_names_it},
        CU_TEST_INFO_NULL};

    return att_suite_run("lm_probes", tests);
}
