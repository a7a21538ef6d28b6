/* SPDX-License-Identifier: Apache-2.0 */
/* attest merge: shards together are the run that nobody cut, and what is not all the shards of one
 * plan is refused by name. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/exit.h"

static char room[PATH_MAX];   /* build/PROFILE */
static char folder[PATH_MAX]; /* of this binary's runs */

/* Runs a shell line in `folder`; `run DIR I/N` measures a shard of a small plan there, `merge` is
 * attest merge.  Its exit code; what it says on stderr goes to said[512]. */
static int shell(const char *line, char said[512])
{
    static const char head[] =
        "cd '%s' || exit 99; run() { out=$1; part=$2; set --; for sq in 1 2 3 4 5 6 7 8; do set -- "
        "\"$@\" --case "
        "\"parity naive_blas sq=$sq $more\" --case \"parity causal_top_left sq=$sq sk=9 "
        "causal=br $more\"; done; '%s/attest' run --quiet --workers 1 --shard $part --out $out "
        "\"$@\" >/dev/null 2>&1; }; merge() { '%s/attest' merge \"$@\" --json; }; %s";
    char command[4 * PATH_MAX];

    snprintf(command, sizeof command, head, folder, room, room, line);
    char *whole = NULL;
    if (asprintf(&whole, "( %s ) 2>&1 >'%s/stdout'", command, folder) < 0)
        return -1;
    FILE *out = popen(whole, "r");
    free(whole);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    said[fread(said, 1, 511, out)] = '\0';
    const int status = pclose(out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* `smallest` is looked for by the clock. */
#define STILL                                                                                      \
    "still() { sed -E 's/(, )?\"(time|kernel_time|oracle_time|peak|seconds|run_id|smallest)\": "   \
    "(\"[^\"]*\"|[^,}]*)//g' $1/latest/result.json; }; "

static void merged_shards_are_the_unsharded_run_but_for_times(void)
{
    char said[512];

    CU_ASSERT_EQUAL(shell("run whole 1/1; for i in 1 2 3; do run s$i $i/3; done; "
                          "merge s3/latest s1/latest s2/latest --out merged",
                          said),
                    ATT_EXIT_FAIL); /* the cases of a bug fail */
    CU_ASSERT_EQUAL(
        shell(STILL "still whole >a; still merged >b; [ $(wc -c <a) -gt 4000 ] && cmp a b", said),
        0);
    CU_ASSERT_STRING_EQUAL(said, "");
    CU_ASSERT_EQUAL(shell("for f in DONE run.db plan.json junit.xml summary.md; do [ -e "
                          "merged/latest/$f ] || exit 1; done",
                          said),
                    0);
}

static void what_is_not_all_the_shards_of_one_plan_is_refused_by_name(void)
{
    static const struct {
        const char *line, *names;
        int code;
    } rows[] = {
        {"merge s1/latest s3/latest --out no", "shard 2 of 3 is missing", ATT_EXIT_INCOMPLETE},
        {"merge s1/latest s2/latest s3/latest s2/latest --out no", "the same shard as s2/latest",
         ATT_EXIT_CORRUPT},
        {"more=d=40 run other 2/3; merge s1/latest other/latest s3/latest --out no",
         "other/latest (shard 2 of 3): of another plan", ATT_EXIT_CORRUPT},
        {"run half 1/2; merge s1/latest half/latest --out no", "half/latest (shard 1 of 2)",
         ATT_EXIT_CORRUPT},
        {"cp -rL s2/latest open; rm open/DONE; merge s1/latest open s3/latest --out no",
         "open (shard 2 of 3): not finished", ATT_EXIT_INCOMPLETE},
        {"merge s1/latest nowhere --out no", "nowhere/plan.json", ATT_EXIT_INCOMPLETE},
        {"cp -rL s2/latest built; sed -i 's/\"stamp\": \"[0-9a-f]*/&0/' built/plan.json; merge "
         "s1/latest built s3/latest --out no",
         "built (shard 2 of 3): measured by another build", ATT_EXIT_CORRUPT},
        {"cp -rL s2/latest cut; printf '{' >cut/result.json; merge s1/latest cut s3/latest --out "
         "no",
         "cut/result.json", ATT_EXIT_CORRUPT},
        {"cp -rL s2/latest empty; : >empty/run.db; merge s1/latest empty s3/latest --out no",
         "empty/run.db", ATT_EXIT_CORRUPT},
    };
    char said[512];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CU_ASSERT_EQUAL(shell(rows[i].line, said), rows[i].code);
        CU_ASSERT_PTR_NOT_NULL(strstr(said, rows[i].names));
        CU_ASSERT_EQUAL(shell("[ ! -e no/latest ]", said), 0);
    }
}

static void a_run_goes_on_only_in_a_folder_of_its_own_shard(void)
{
    char said[512];

    CU_ASSERT_EQUAL(shell("run x '2/3 --resume s1/latest'", said), ATT_EXIT_USAGE);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"merged shards are the unsharded run but for times",
         merged_shards_are_the_unsharded_run_but_for_times},
        {"what is not all the shards of one plan is refused by name",
         what_is_not_all_the_shards_of_one_plan_is_refused_by_name},
        {"a run goes on only in a folder of its own shard",
         a_run_goes_on_only_in_a_folder_of_its_own_shard},
        CU_TEST_INFO_NULL};
    char remove[PATH_MAX + 16];

    test_room(room);
    strcpy(folder, "/tmp/att_merge_XXXXXX");
    if (!mkdtemp(folder))
        return 1;
    const int code = att_suite_run("merge", tests);
    snprintf(remove, sizeof remove, "rm -rf '%s'", folder);
    return system(remove) == 0 ? code : 1;
}
