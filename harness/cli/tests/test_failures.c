/* SPDX-License-Identifier: Apache-2.0 */
/* What attest repro and attest run print of failures, as a user sees it. */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/exit.h"

static char room[PATH_MAX];                        /* build/PROFILE */
static char folder[] = "/tmp/att_failures_XXXXXX"; /* made by main */
static char text[1 << 16];                         /* what the last command printed */

/* `attest COMMAND`; its exit code, stdout and stderr in `text`. */
static int attest(const char *command)
{
    char whole[2 * PATH_MAX];

    snprintf(whole, sizeof whole, "'%s/attest' %s 2>&1", room, command);
    FILE *f = popen(whole, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    int status = pclose(f);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool printed(const char *part)
{
    return strstr(text, part) != NULL;
}

static void a_mask_bug_comes_down_to_one_query_and_two_keys(void)
{
    CU_ASSERT_EQUAL(
        attest("repro --shrink --seconds 60 'parity causal_top_left b=2 hq=4 hkv=2 sq=9 "
               "sk=65 d=40 causal=br softcap=50 layout=bshd threads=2 seed=1'"),
        ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(printed("looks like causal_top_left: "));
    CU_ASSERT_TRUE(printed("first bad: b=0 h=0 i=0 d=0: got "));
    CU_ASSERT_TRUE(
        printed("  attest repro 'parity causal_top_left sq=1 sk=2 d=1 causal=br seed=1'\n"));
}

/* Tiled heads need two heads of keys for four of queries, and nothing else. */
static void a_head_mapping_bug_keeps_its_heads(void)
{
    CU_ASSERT_EQUAL(attest("repro --shrink --seconds 60 'parity gqa_tile_order b=2 hq=6 hkv=2 "
                           "sq=17 sk=33 d=8 causal=br store=packed seed=1'"),
                    ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(
        printed("  attest repro 'parity gqa_tile_order hq=4 hkv=2 sq=1 sk=1 d=1 seed=1'"));
}

static void the_budget_ends_the_search(void)
{
    CU_ASSERT_EQUAL(attest("repro --shrink --seconds 0.1 'parity gqa_tile_order b=2 hq=6 hkv=2 "
                           "sq=640 sk=640 d=64 seed=1'"),
                    ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(printed("fail  parity gqa_tile_order"));
}

static void a_crash_is_looked_at_again_over_open_guards(void)
{
    CU_ASSERT_EQUAL(
        attest("repro 'parity mqa_fold_bias_stride b=3 hq=6 hkv=1 sq=1 sk=129 bias=full "
               "store=page1 layout=bshd dtype=f16 place=flush seed=1'"),
        ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(printed("crash  parity mqa_fold_bias_stride"));
    CU_ASSERT_TRUE(printed("killed by signal"));
    CU_ASSERT_TRUE(printed("looks like mqa_fold_bias_stride: "));
}

static void a_run_ends_with_the_name_and_the_smallest_case(void)
{
    char command[2 * PATH_MAX];

    snprintf(command, sizeof command,
             "run --quiet --out '%s' --case 'parity causal_top_left sq=4 sk=9 causal=br' "
             "--case 'parity causal_top_left hq=2 sq=5 sk=33 causal=br'",
             folder);
    CU_ASSERT_EQUAL(attest(command), ATT_EXIT_FAIL);
    CU_ASSERT_TRUE(printed("causal_top_left: 2 failing cases, 2 looked into: causal_top_left"));
    CU_ASSERT_TRUE(printed("smallest: attest repro 'parity causal_top_left "));
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a mask bug comes down to one query and two keys",
         a_mask_bug_comes_down_to_one_query_and_two_keys},
        {"a head mapping bug keeps its heads", a_head_mapping_bug_keeps_its_heads},
        {"the budget ends the search", the_budget_ends_the_search},
        {"a crash is looked at again over open guards",
         a_crash_is_looked_at_again_over_open_guards},
        {"a run ends with the name and the smallest case",
         a_run_ends_with_the_name_and_the_smallest_case},
        CU_TEST_INFO_NULL};
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    int code = att_suite_run("failures", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}
