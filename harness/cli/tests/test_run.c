/* SPDX-License-Identifier: Apache-2.0 */
/* attest run with kernels that misbehave: each is named for what it did, and a good kernel's case
 * beside it is measured all the same. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "cli/session.h"
#include "core/exit.h"
#include "core/result.h"

static char room[PATH_MAX]; /* build/PROFILE */

/* Runs a plugin's case and a good kernel's; the exit code, and the result if there is one. */
static int run(const char *plugin, att_result *result)
{
    char command[3 * PATH_MAX], folder[] = "/tmp/att_run_XXXXXX", path[PATH_MAX];
    att_why why = {""};

    test_room(room);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(
        command, sizeof command,
        "'%s/attest' run --quiet --timeout %g --out '%s' --case 'parity "
        "plugin:%s/harness/core/tests/plugins/%s.so#ill lse=0' --case 'parity naive_blas lse=0' "
        ">'%s/out' 2>'%s/err'",
        room, 2 * ATT_SLOWER, folder, room, plugin, folder, folder);
    int status = system(command);
    snprintf(path, sizeof path, "%s/latest/result.json", folder);
    if (access(path, R_OK) == 0)
        CU_ASSERT_EQUAL_FATAL(att_result_read(path, result, &why), ATT_OK);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CU_ASSERT_EQUAL(system(command), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The plugin's record; the other one has passed. */
static const att_record *culprit(const att_result *result)
{
    CU_ASSERT_EQUAL_FATAL(result->n_records, 2);
    const att_record *a = &result->records[0], *b = &result->records[1];
    const att_record *ill = strncmp(a->kernel, "plugin:", 7) == 0 ? a : b;
    CU_ASSERT_EQUAL((ill == a ? b : a)->status, ATT_PASS);
    return ill;
}

static void a_crash_is_recorded_with_its_signal(void)
{
    att_result result = {0};

    CU_ASSERT_EQUAL(run("crashes", &result), ATT_EXIT_FAIL);
    const att_record *r = culprit(&result);
    CU_ASSERT_EQUAL(r->status, ATT_CRASH);
    CU_ASSERT_EQUAL(r->signal, 11);
    att_result_clear(&result);
}

static void a_hang_is_a_timeout(void)
{
    att_result result = {0};

    CU_ASSERT_EQUAL(run("hangs", &result), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(culprit(&result)->status, ATT_TIMEOUT);
    att_result_clear(&result);
}

/* By the processor time that it used, however little of it a busy machine gives. */
static void a_spin_is_a_timeout(void)
{
    att_result result = {0};

    CU_ASSERT_EQUAL(run("spins", &result), ATT_EXIT_FAIL);
    CU_ASSERT_EQUAL(culprit(&result)->status, ATT_TIMEOUT);
    CU_ASSERT(culprit(&result)->seconds >= 2);
    att_result_clear(&result);
}

/* Five cases of a kernel that hangs cost two timeouts, not five. */
static void a_kernel_that_hangs_is_given_up(void)
{
    char command[3 * PATH_MAX], folder[] = "/tmp/att_run_XXXXXX", path[PATH_MAX];
    size_t hung = 0, left = 0, passed = 0;
    att_result result = {0};
    att_why why = {""};

    test_room(room);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(command, sizeof command,
             "cd '%s' && set --; for sq in 1 2 3 4 5; do set -- \"$@\" --case \"parity "
             "plugin:%s/harness/core/tests/plugins/hangs.so#ill sq=$sq lse=0\" --case \"parity "
             "naive_blas sq=$sq lse=0\"; done; '%s/attest' run --quiet --workers 1 --timeout %g "
             "--give-up 2 --out '%s' \"$@\" >out 2>err",
             folder, room, room, ATT_SLOWER, folder);
    int status = system(command);
    CU_ASSERT_TRUE(WIFEXITED(status));
    CU_ASSERT_EQUAL(WEXITSTATUS(status), ATT_EXIT_INCOMPLETE);
    snprintf(path, sizeof path, "%s/latest/result.json", folder);
    CU_ASSERT_EQUAL_FATAL(att_result_read(path, &result, &why), ATT_OK);
    CU_ASSERT_EQUAL(result.n_records, 10);
    for (size_t i = 0; i < result.n_records; i++) {
        hung += result.records[i].status == ATT_TIMEOUT;
        left += result.records[i].status == ATT_NOT_RUN;
        passed += result.records[i].status == ATT_PASS;
    }
    CU_ASSERT_EQUAL(hung, 2);
    CU_ASSERT_EQUAL(left, 3);
    CU_ASSERT_EQUAL(passed, 5);
    att_result_clear(&result);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

/* Past the output lies a red zone or a page that can't be written: both name the kernel. */
static void a_write_past_the_output_is_attributed(void)
{
    att_result result = {0};

    CU_ASSERT_EQUAL(run("overwrites", &result), ATT_EXIT_FAIL);
    const att_record *r = culprit(&result);
    const att_metric *red = att_record_metric(r, "redzone");
    CU_ASSERT_TRUE(r->status == ATT_CRASH || (r->status == ATT_FAIL && red && red->value > 0));
    att_result_clear(&result);
}

static void a_nan_is_counted_and_fails(void)
{
    att_result result = {0};

    CU_ASSERT_EQUAL(run("nans", &result), ATT_EXIT_FAIL);
    const att_record *r = culprit(&result);
    const att_metric *m = att_record_metric(r, "nonfinite");
    CU_ASSERT_EQUAL(r->status, ATT_FAIL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT_EQUAL(m->value, 16 * 8);
    att_result_clear(&result);
}

static void hunger_is_a_crash_that_says_out_of_memory(void)
{
    att_result result = {0};

    CU_ASSERT_EQUAL(run("hungry", &result), ATT_EXIT_FAIL);
    const att_record *r = culprit(&result);
    CU_ASSERT_EQUAL(r->status, ATT_CRASH);
    CU_ASSERT_PTR_NOT_NULL_FATAL(r->reason);
    CU_ASSERT_PTR_NOT_NULL(strstr(r->reason, "out of memory"));
    att_result_clear(&result);
}

static void a_plugin_that_does_not_load_is_a_usage_error(void)
{
    static const char *const plugins[] = {"dies_loading", "other_abi", "nowhere"};
    att_result result = {0};

    for (size_t i = 0; i < sizeof plugins / sizeof *plugins; i++) {
        CU_ASSERT_EQUAL(run(plugins[i], &result), ATT_EXIT_USAGE);
        CU_ASSERT_EQUAL(result.n_records, 0);
    }
}

/* What repro prints of a known bug names it; its exit code is the case's. */
static void repro_names_the_fault_of_a_known_bug(void)
{
    char command[3 * PATH_MAX];

    test_room(room);
    snprintf(
        command, sizeof command,
        "out=$('%s/attest' repro 'parity causal_top_left sq=8 sk=33 causal=br seed=7'); code=$?; "
        "case $out in *'looks like causal_top_left'*) exit $code;; esac; exit 99",
        room);
    int status = system(command);
    CU_ASSERT_TRUE(WIFEXITED(status));
    CU_ASSERT_EQUAL(WEXITSTATUS(status), ATT_EXIT_FAIL);
}

/* Lines of a dry run of a suite that hold a text. */
static long planned_of(const char *suite, const char *options, const char *text)
{
    char command[3 * PATH_MAX], path[] = "/tmp/att_suite_XXXXXX";
    long lines = 0;
    int file = mkstemp(path);

    test_room(room);
    CU_ASSERT_FATAL(file >= 0);
    CU_ASSERT_EQUAL(write(file, suite, strlen(suite)), (ssize_t)strlen(suite));
    close(file);
    snprintf(command, sizeof command,
             "'%s/attest' run --suite '%s' --dry-run --quiet %s 2>&1 | grep -c '%s'", room, path,
             options, text);
    FILE *out = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_EQUAL(fscanf(out, "%ld", &lines), 1);
    pclose(out);
    unlink(path);
    return lines;
}

/* Cases of a suite that keeps naive_blas apart, planned with these options. */
static long planned(const char *options)
{
    static const char suite[] =
        "{\"schema_version\": 1, \"name\": \"apart\", \"by_name\": [\"naive_*\"], \"rows\": ["
        "{\"measure\": \"parity\", \"kernels\": [\"*\"], \"params\": {}, \"seeds\": [1]}, "
        "{\"measure\": \"parity\", \"kernels\": [\"naive_blas\"], \"params\": {\"sk\": [9]}, "
        "\"seeds\": [1]}]}";

    return planned_of(suite, options, "parity naive_blas");
}

static void kernels_kept_by_name_run_where_a_row_or_the_command_names_them(void)
{
    CU_ASSERT_EQUAL(planned(""), 1);
    CU_ASSERT_EQUAL(planned("--kernel '*'"), 1);
    CU_ASSERT_EQUAL(planned("--kernel 'naive*'"), 2);
    CU_ASSERT_EQUAL(planned("--kernel naive_blas"), 2);
}

#define ROW(measure)                                                                               \
    "{\"schema_version\": 1, \"name\": \"all\", \"rows\": [{\"measure\": \"" measure               \
    "\", \"kernels\": [\"flash_f32\"], \"seeds\": [1]}]}"

static void a_star_stands_for_every_task_of_an_eval(void)
{
    CU_ASSERT_EQUAL(planned_of(ROW("probe.*"), "", "probe\\.needle flash_f32"), 1);
    CU_ASSERT_EQUAL(planned_of(ROW("probe.*"), "", "probe\\.citation flash_f32"), 1);
    CU_ASSERT_EQUAL(planned_of(ROW("probe.*"), "--eval probe.needle", "probe\\."), 1);
    CU_ASSERT_EQUAL(planned_of(ROW("parity.*"), "", "rows.0.: parity has no tasks"), 1);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_crash_is_recorded_with_its_signal", a_crash_is_recorded_with_its_signal},
        {"a_hang_is_a_timeout", a_hang_is_a_timeout},
        {"a_spin_is_a_timeout", a_spin_is_a_timeout},
        {"a_kernel_that_hangs_is_given_up", a_kernel_that_hangs_is_given_up},
        {"a_write_past_the_output_is_attributed", a_write_past_the_output_is_attributed},
        {"a_nan_is_counted_and_fails", a_nan_is_counted_and_fails},
        {"hunger_is_a_crash_that_says_out_of_memory", hunger_is_a_crash_that_says_out_of_memory},
        {"a_plugin_that_does_not_load_is_a_usage_error",
         a_plugin_that_does_not_load_is_a_usage_error},
        {"repro_names_the_fault_of_a_known_bug", repro_names_the_fault_of_a_known_bug},
        {"kernels_kept_by_name_run_where_a_row_or_the_command_names_them",
         kernels_kept_by_name_run_where_a_row_or_the_command_names_them},
        {"a_star_stands_for_every_task_of_an_eval", a_star_stands_for_every_task_of_an_eval},
        CU_TEST_INFO_NULL};

    return att_suite_run("run", tests);
}
