/* SPDX-License-Identifier: Apache-2.0 */
/* attest compare --before, as a script sees it. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

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
    static const char was[] = "\"name\": \"acc_declared\", \"unit\": \"bits\", \"value\": 24";
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

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a run against itself has loosened nothing", a_run_against_itself_has_loosened_nothing},
        {"a coarser declaration is named, and exit 1", a_coarser_declaration_is_named_and_exit_1},
        {"an older run that is not there is no pass", an_older_run_that_is_not_there_is_no_pass},
        CU_TEST_INFO_NULL};
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    int code = att_suite_run("compare", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}
