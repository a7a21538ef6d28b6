/* SPDX-License-Identifier: Apache-2.0 */
/* cases.csv and cases.ndjson: one case a line. */
#include "base/tests/suite.h"
#include "core/writer.h"
#include "folder.h"
#include "gate/tests/made.h"
#include "reports/escape.h"

extern const att_writer att_writer_csv, att_writer_ndjson;

static att_result two_cases(void)
{
    att_result r = made_result();
    att_record *bad = made_record(&r, "parity", "=cmd|' /C calc'!A0", "note='a,b'", 7, ATT_FAIL);

    made_metric(bad, "sigma_ratio", "ratio", 9300, 6);
    bad->reason = strdup("said \"no\",\nthen stopped");
    made_items(made_record(&r, "lm.needle", "flash_f32", "length=256", 1, ATT_PASS), "1101", 2);
    return r;
}

static void a_csv_field_is_quoted_and_no_formula(void)
{
    static const struct {
        const char *text, *field;
    } fields[] = {{"", ""},
                  {"plain", "plain"},
                  {"a,b", "\"a,b\""},
                  {"say \"x\"", "\"say \"\"x\"\"\""},
                  {"two\nlines", "\"two\nlines\""},
                  {"=1+1", "'=1+1"},
                  {"+1", "'+1"},
                  {"-1", "'-1"},
                  {"@SUM(A1)", "'@SUM(A1)"},
                  {"\tx", "'\tx"},
                  {"=A1,B1", "\"'=A1,B1\""},
                  {"\xff", "\xef\xbf\xbd"}};

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        att_buf out = {0};
        att_csv_put(&out, fields[i].text);
        CU_ASSERT_STRING_EQUAL(out.data ? out.data : "", fields[i].field);
        att_buf_drop(&out);
    }
}

static void the_table_has_a_head_and_a_line_a_case(void)
{
    char dir[64];
    att_result r = two_cases();

    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_csv.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "cases.csv");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(occurrences(text, "\r\n"), 3);
    CU_ASSERT_EQUAL(strncmp(text, "status,measure,kernel,", 22), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\r\nfail,parity,'=cmd|' /C calc'!A0,"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ",sigma_ratio,9300,6,"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ",\"said \"\"no\"\",\nthen stopped\","));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "length=256,1,256,4,3,"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void every_line_of_ndjson_is_a_case(void)
{
    char dir[64];
    att_result r = two_cases();

    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_ndjson.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "cases.ndjson");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(occurrences(text, "\n"), 2);
    CU_ASSERT_EQUAL(text[0], '{');
    CU_ASSERT_EQUAL(occurrences(text, "}\n"), 2);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"status\": \"fail\""));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void a_folder_that_cannot_be_written_is_named(void)
{
    att_why why;
    att_result r = two_cases();

    CU_ASSERT_EQUAL(att_writer_csv.write(&r, "/nonexistent/run", &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nonexistent/run/cases.csv"));
    CU_ASSERT_EQUAL(att_writer_ndjson.write(&r, "/nonexistent/run", &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nonexistent/run/cases.ndjson"));
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_csv_field_is_quoted_and_no_formula", a_csv_field_is_quoted_and_no_formula},
        {"the_table_has_a_head_and_a_line_a_case", the_table_has_a_head_and_a_line_a_case},
        {"every_line_of_ndjson_is_a_case", every_line_of_ndjson_is_a_case},
        {"a_folder_that_cannot_be_written_is_named", a_folder_that_cannot_be_written_is_named},
        CU_TEST_INFO_NULL};

    return att_suite_run("lines", tests);
}
