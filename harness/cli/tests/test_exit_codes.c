/* SPDX-License-Identifier: Apache-2.0 */
/* Every exit code of the table, from the program. */
#include <string.h>

#include "core/exit.h"
#include "said.h"

#define HANGS "--case \"parity plugin:$ROOM/harness/core/tests/plugins/hangs.so#ill lse=0\" "

static void each_code_comes_from_what_the_table_says(void)
{
    static const struct {
        int code;
        const char *line;
    } rows[] = {
        {ATT_EXIT_PASS, "$A run --quiet --case 'parity naive_blas sq=2'"},
        {ATT_EXIT_FAIL, "$A run --quiet --case 'parity zoo:causal_top_left sk=2 causal=br'"},
        {ATT_EXIT_FAIL,
         "$A run --quiet --case \"parity plugin:$ROOM/harness/core/tests/plugins/crashes.so#ill\""},
        {ATT_EXIT_USAGE, "$A lits"},
        {ATT_EXIT_USAGE, "$A run --jsno"},
        {ATT_EXIT_USAGE, "$A run --quiet --case 'parity flash_f23'"},
        {ATT_EXIT_USAGE, "cd root && $A run --suite gat"},
        {ATT_EXIT_USAGE, "$A run --plugin ./nothing.so --case 'parity dense'"},
        {ATT_EXIT_INCONCLUSIVE,
         "cd root && $A compare --quiet dense topk --task needle --lengths 256 --seeds 1 --margin "
         "0.0005"},
        {ATT_EXIT_INCONCLUSIVE,
         "$A run --quiet --out based --case 'parity naive_blas' && cd root && "
         "$A gate $OLDPWD/based/latest --baseline none.json"},
        {ATT_EXIT_NOTHING, "$A run --quiet --case 'parity flash_f32 dtype=f16'"},
        {ATT_EXIT_NOTHING, "cd root && $A run --suite smoke --eval 'nothing*'"},
        {ATT_EXIT_INCOMPLETE, "$A run --quiet --case 'parity naive_blas' --out /proc/none"},
        {ATT_EXIT_INCOMPLETE, "$A list >/dev/full"},
        {ATT_EXIT_CORRUPT, "mkdir -p bad && echo '{' >bad/result.json && $A report bad"},
        {ATT_EXIT_CORRUPT, "printf GGUF >lies.gguf; echo x >x.txt; "
                           "$A lm tokens --text-file x.txt --model lies.gguf"},
        {ATT_EXIT_INTERRUPT,
         "timeout --preserve-status -s INT 2 $A run --quiet --timeout 60 " HANGS},
        {ATT_EXIT_TERMINATED,
         "timeout --preserve-status -s TERM 2 $A run --quiet --timeout 60 " HANGS}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int code = said(rows[i].line, NULL);
        CU_ASSERT_EQUAL(code, rows[i].code);
        if (code != rows[i].code)
            printf("%s -> %d, not %d\n", rows[i].line, code, rows[i].code);
    }
}

static void an_interrupted_run_goes_on(void)
{
    must("set -- --quiet --timeout 60 --workers 1 --out interrupted --case 'parity "
         "naive_blas' " HANGS "; timeout --preserve-status -s INT 3 $A run \"$@\"; [ $? = 130 ]");
    must("set -- --quiet --workers 1 --resume interrupted/latest --case 'parity naive_blas' " HANGS
         "; $A run --timeout 1 \"$@\"; [ $? = 1 ] && grep -q '2 cases: 1 pass 1 timeout' said");
}

static void of_several_the_gravest_is_told(void)
{
    must("$A run --quiet --case 'parity flash_f32 dtype=f16' --case 'parity naive_blas'");
    CU_ASSERT_EQUAL(said("$A run --quiet --case 'parity flash_f32 dtype=f16' "
                         "--case 'parity zoo:causal_top_left sk=2 causal=br'",
                         NULL),
                    ATT_EXIT_FAIL);
}

static void every_code_is_in_the_manual_and_in_the_readme(void)
{
    size_t n = 0;
    char *readme = att_file_read("root/README.md", 1 << 20, &n), *manual = NULL, row[128];

    CU_ASSERT_PTR_NOT_NULL_FATAL(readme);
    CU_ASSERT_EQUAL(said("$A manual", &manual), 0);
    for (int code = 0; code <= 143; code++) {
        snprintf(row, sizeof row, "\n.B %d\n", code);
        const bool in_manual = strstr(manual, row) != NULL;
        snprintf(row, sizeof row, code == 130 || code == 143 ? "| 130, 143 |" : "\n| %d |", code);
        CU_ASSERT_EQUAL(in_manual, strstr(readme, row) != NULL);
        CU_ASSERT_EQUAL(in_manual, code <= 6 || code == 130 || code == 143);
    }
    free(readme);
    free(manual);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"each_code_comes_from_what_the_table_says", each_code_comes_from_what_the_table_says},
        {"an_interrupted_run_goes_on", an_interrupted_run_goes_on},
        {"of_several_the_gravest_is_told", of_several_the_gravest_is_told},
        {"every_code_is_in_the_manual_and_in_the_readme",
         every_code_is_in_the_manual_and_in_the_readme},
        CU_TEST_INFO_NULL};
    said_begin();
    return said_end(att_suite_run("exit codes", tests));
}
