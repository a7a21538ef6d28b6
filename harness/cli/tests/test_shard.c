/* SPDX-License-Identifier: Apache-2.0 */
/* attest run --shard, by hand and as schedulers ask for it. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/exit.h"

static char room[PATH_MAX]; /* build/PROFILE */

/* What `environment attest run --suite smoke --dry-run options` says on stderr, into said[256]; its
 * exit code. */
static int asked(const char *environment, const char *options, char said[256])
{
    char command[2 * PATH_MAX];

    test_room(room);
    snprintf(command, sizeof command,
             "env -u CI_NODE_INDEX -u TEST_SHARD_INDEX -u SLURM_ARRAY_TASK_ID %s '%s/attest' run "
             "--suite smoke --dry-run %s 2>&1 >/dev/null",
             environment, room, options);
    FILE *out = popen(command, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    said[fread(said, 1, 255, out)] = '\0';
    const int status = pclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void schedulers_say_which_shard_and_the_flag_wins(void)
{
    static const struct {
        const char *environment, *options, *want; /* NULL: nothing is said */
    } rows[] = {
        {"", "", NULL},
        {"", "--shard 2/3", "shard 2 of 3 (--shard)"},
        {"SLURM_ARRAY_TASK_ID=4 SLURM_ARRAY_TASK_MIN=0 SLURM_ARRAY_TASK_STEP=2 "
         "SLURM_ARRAY_TASK_COUNT=3",
         "", "shard 3 of 3 (SLURM_ARRAY_TASK_ID)"},
        {"SLURM_ARRAY_TASK_ID=1 SLURM_ARRAY_TASK_MIN=1 SLURM_ARRAY_TASK_COUNT=2", "",
         "shard 1 of 2 (SLURM_ARRAY_TASK_ID)"},
        {"TEST_SHARD_INDEX=0 TEST_TOTAL_SHARDS=2", "", "shard 1 of 2 (TEST_SHARD_INDEX)"},
        {"CI_NODE_INDEX=2 CI_NODE_TOTAL=2", "", "shard 2 of 2 (CI_NODE_INDEX)"},
        {"CI_NODE_INDEX=2 CI_NODE_TOTAL=2", "--shard 1/4", "shard 1 of 4 (--shard)"},
    };
    char said[256];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CU_ASSERT_EQUAL(asked(rows[i].environment, rows[i].options, said), ATT_EXIT_PASS);
        CU_ASSERT_TRUE(rows[i].want ? strstr(said, rows[i].want) != NULL : *said == '\0');
    }
}

static void a_shard_that_makes_no_sense_is_a_usage_error_that_says_what_said_it(void)
{
    static const char *const rows[][3] = {
        {"", "--shard 0/3", "--shard 0/3"},
        {"", "--shard 4/3", "--shard 4/3"},
        {"", "--shard 1", "--shard 1"},
        {"", "--shard 1/2x", "--shard 1/2x"},
        {"", "--shard 99999999999999999999/2", "--shard"},
        {"CI_NODE_INDEX=0 CI_NODE_TOTAL=2", "", "CI_NODE_INDEX=0"},
        {"TEST_SHARD_INDEX=2 TEST_TOTAL_SHARDS=2", "", "TEST_SHARD_INDEX=2"},
        {"SLURM_ARRAY_TASK_ID=3", "", "SLURM_ARRAY_TASK_COUNT"},
        {"TEST_SHARD_INDEX=one TEST_TOTAL_SHARDS=2", "", "TEST_SHARD_INDEX=one"},
    };
    char said[256];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CU_ASSERT_EQUAL(asked(rows[i][0], rows[i][1], said), ATT_EXIT_USAGE);
        CU_ASSERT_PTR_NOT_NULL(strstr(said, rows[i][2]));
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"schedulers say which shard and the flag wins",
         schedulers_say_which_shard_and_the_flag_wins},
        {"a shard that makes no sense is a usage error that says what said it",
         a_shard_that_makes_no_sense_is_a_usage_error_that_says_what_said_it},
        CU_TEST_INFO_NULL};

    return att_suite_run("shard", tests);
}
