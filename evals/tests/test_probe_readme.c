/* SPDX-License-Identifier: Apache-2.0 */
/* README.md tells of every task of the operator track what the task says of itself. */
#include "base/tests/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "evals/table.h"

static const att_eval *probe(void)
{
    for (const att_eval *const *e = att_evals; *e; e++)
        if (strcmp((*e)->name, "probe") == 0)
            return *e;
    return NULL;
}

/* Tests run from the root of the repository. */
static char *section(void)
{
    size_t n = 0;
    char *text = att_file_read("README.md", 1u << 20, &n);

    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    char *from = strstr(text, "\n## The probes");
    CU_ASSERT_PTR_NOT_NULL_FATAL(from);
    char *to = strstr(from + 1, "\n## ");
    char *own = strndup(from, to ? (size_t)(to - from) : strlen(from));
    free(text);
    return own;
}

static void every_task_has_a_row_that_says_what_it_exposes_and_who_is_spared(void)
{
    const att_eval *eval = probe();
    char *text = section(), row[512];
    size_t tasks = 0, rows = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(eval);
    for (const char *const *t = eval->tasks; *t; t++, tasks++) {
        const att_task_note note = eval->note(*t);
        snprintf(row, sizeof row, "\n| `%s` | %s | %s |\n", *t, note.exposes,
                 *note.spares ? note.spares : "-");
        if (!strstr(text, row)) {
            printf("README.md lacks %s", row);
            CU_FAIL("a task without its row");
        }
    }
    for (const char *at = text; (at = strstr(at, "\n| `")); at++)
        rows++;
    CU_ASSERT_EQUAL(rows, tasks);
    CU_ASSERT(tasks > 20);
    free(text);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every_task_has_a_row_that_says_what_it_exposes_and_who_is_spared",
         every_task_has_a_row_that_says_what_it_exposes_and_who_is_spared},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_readme", tests);
}
