/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all probes: what a cell says, and what it says where there is no number. */
#include "base/tests/suite.h"
#include "gate/compare.h"
#include "gate/tests/made.h"
#include "reports/matrix.h"

#define ALL  "111111111111111111111111111111111111"
#define NONE "000000000000000000000000000000000000"
#define HALF "101010101010101010101010101010101010"

static void add(att_result *r, const char *measure, const char *kernel, int length,
                const char *hits, att_outcome status)
{
    char params[32];

    snprintf(params, sizeof params, "len=%d", length);
    made_items(made_record(r, measure, kernel, params, 1, status), hits, 1);
}

/* needle at 1,024 and 131,072 keys, ordinals at 1,000. */
static att_result probed(void)
{
    att_result r = made_result();
    static const char *const right[] = {"flash_f32", "one", "two"};

    for (size_t k = 0; k < 3; k++) {
        add(&r, "probe.needle", right[k], 1024, ALL, ATT_PASS);
        add(&r, "probe.needle", right[k], 131072, ALL, ATT_PASS);
        add(&r, "probe.ordinals", right[k], 1000, ALL, ATT_PASS);
        add(&r, "probe.needle_multi_key", right[k], 1024, NONE, ATT_NO_POWER);
    }
    add(&r, "probe.needle", "window", 1024, HALF, ATT_PASS);
    add(&r, "probe.needle", "window", 131072, NONE, ATT_PASS);
    add(&r, "probe.needle", "short", 1024, ALL, ATT_PASS);
    add(&r, "probe.needle", "short", 131072, "", ATT_HOLE);
    add(&r, "probe.ordinals", "short", 1000, "", ATT_HOLE);
    add(&r, "probe.ordinals", "window", 1000, "", ATT_CRASH);
    return r;
}

/* The cells of a variant's row as the table has them, or "". */
static void row_of(const att_result *r, const char *kernel, char *out, size_t size)
{
    att_matrix m;

    *out = '\0';
    CU_ASSERT_EQUAL_FATAL(att_matrix_make(r, "flash_f32", NULL, &m), ATT_OK);
    for (size_t k = 0; k < m.n_kernels; k++)
        for (size_t i = 0; strcmp(m.kernels[k], kernel) == 0 && i < m.n_columns; i++) {
            const size_t at = strlen(out);
            snprintf(out + at, size - at, "%s%s", i ? " " : "", m.cells[k * m.n_columns + i].text);
        }
    att_matrix_drop(&m);
}

static void a_cell_is_the_share_of_the_base_at_the_longest_length_or_why_there_is_none(void)
{
    static const struct {
        const char *kernel, *cells;
    } rows[] = {{"flash_f32", "100 100 np"},
                {"one", "100 100 np"},
                {"window", "0w16 ! ."},
                {"short", "<100 u ."}};
    att_result r = probed();
    char text[128];

    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, "flash_f32", NULL), ATT_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        row_of(&r, rows[i].kernel, text, sizeof text);
        if (strcmp(text, rows[i].cells) != 0)
            printf("%s: %s\n", rows[i].kernel, text);
        CU_ASSERT_STRING_EQUAL(text, rows[i].cells);
    }
    att_result_clear(&r);
}

static bool has(const char *text, const char *part)
{
    const bool found = strstr(text, part) != NULL;

    if (!found)
        printf("%s\n%s", part, text);
    return found;
}

static void rows_that_are_alike_are_one_and_codes_are_explained(void)
{
    att_result r = probed();
    att_buf out = {0};

    CU_ASSERT_EQUAL_FATAL(att_compare_fill(&r, "flash_f32", NULL), ATT_OK);
    att_matrix_put(&out, &r, "flash_f32", NULL);
    CU_ASSERT_FALSE_FATAL(out.failed);
    CU_ASSERT(has(out.data, " need ordi nmk\n"));
    CU_ASSERT(has(out.data, " 128k 1000   -\n"));
    CU_ASSERT(has(out.data, "\none (+1) "));
    CU_ASSERT(has(out.data, "like one in all: two"));
    CU_ASSERT(has(out.data, "nmk probe.needle_multi_key"));
    CU_ASSERT_PTR_NULL(strstr(out.data, "\ntwo"));
    att_buf_drop(&out);
    att_result_clear(&r);
}

static void only_those_asked_for_are_shown_and_nothing_where_nothing_was_answered(void)
{
    static const char *const kernels[] = {"window", NULL};
    att_result r = probed(), empty = made_result();
    att_buf out = {0};

    att_matrix_put(&out, &r, "flash_f32", kernels);
    CU_ASSERT(has(out.data, "\nwindow "));
    CU_ASSERT_PTR_NULL(strstr(out.data, "\nshort"));
    att_buf_drop(&out);
    add(&empty, "probe.needle", "flash_f32", 1024, "", ATT_HOLE);
    att_matrix_put(&out, &empty, "flash_f32", NULL);
    CU_ASSERT_EQUAL(out.length, 0);
    att_buf_drop(&out);
    att_result_clear(&empty);
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a cell is the share of the base at the longest length, or why there is none",
         a_cell_is_the_share_of_the_base_at_the_longest_length_or_why_there_is_none},
        {"rows that are alike are one, and codes are explained",
         rows_that_are_alike_are_one_and_codes_are_explained},
        {"only those asked for are shown, and nothing where nothing was answered",
         only_those_asked_for_are_shown_and_nothing_where_nothing_was_answered},
        CU_TEST_INFO_NULL};

    return att_suite_run("matrix", tests);
}
