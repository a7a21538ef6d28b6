/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"
#include "reports/escape.h"

#define SAME(put, text, want)                                                                      \
    do {                                                                                           \
        att_buf b = {0};                                                                           \
        put(&b, text);                                                                             \
        CU_ASSERT_STRING_EQUAL(b.data ? b.data : "", want);                                        \
        att_buf_drop(&b);                                                                          \
    } while (0)

static void xml_holds_what_xml_can_hold(void)
{
    SAME(att_xml_put, "a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c'");
    SAME(att_xml_put, "x\n\ty", "x&#10;&#9;y");
    SAME(att_xml_put, "\x01 \x1b[31m", "\xef\xbf\xbd \xef\xbf\xbd[31m");
    SAME(att_xml_put, "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82",
         "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x99\x82");
}

static void broken_utf8_becomes_the_replacement_character(void)
{
    SAME(att_xml_put, "\xff", "\xef\xbf\xbd");
    SAME(att_xml_put, "\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd");                 /* overlong '/' */
    SAME(att_xml_put, "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd");                 /* cut short */
    SAME(att_xml_put, "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* surrogate */
    SAME(att_xml_put, "\xef\xbf\xbf", "\xef\xbf\xbd");                         /* U+FFFF */
}

static void markdown_cannot_be_started_by_text(void)
{
    SAME(att_md_put, "# a | b", "\\# a \\| b");
    SAME(att_md_put, "<img src=x>", "&lt;img src=x&gt;");
    SAME(att_md_put, "[x](http://y)", "\\[x\\]\\(http://y\\)");
    SAME(att_md_put, "line\n# head", "line \\# head");
    SAME(att_md_put, "lm.sink_window", "lm.sink\\_window");
}

static void code_spans_are_fenced_longer_than_what_they_hold(void)
{
    att_buf b = {0};

    att_md_code(&b, "a`b``c|d", true);
    CU_ASSERT_STRING_EQUAL(b.data, "``` a`b``c\\|d ```");
    att_buf_drop(&b);
    att_md_code(&b, "plain|", false);
    CU_ASSERT_STRING_EQUAL(b.data, "`plain|`");
    att_buf_drop(&b);
}

static void a_shell_word_survives_single_quotes(void)
{
    SAME(att_shell_put, "parity k{a='x y'} $HOME `id`", "'parity k{a='\\''x y'\\''} $HOME `id`'");
}

static void gnuplot_constants_hold_no_commands(void)
{
    SAME(att_gnuplot_put, "it's `id`\nsystem(\"x\")", "'it''s `id` system(\"x\")'");
}

static void table_fields_hold_no_separators(void)
{
    SAME(att_tsv_put, "a\tb\nc\"d", "a b c d");
}

static void file_names_are_plain_and_never_empty(void)
{
    SAME(att_slug_put, "../../etc/passwd", "etc-passwd");
    SAME(att_slug_put, "-rf plugin:./a.so#x{k=1}", "rf-plugin-.-a.so-x-k-1");
    SAME(att_slug_put, "", "unnamed");
    SAME(att_slug_put, "///", "unnamed");
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"xml_holds_what_xml_can_hold", xml_holds_what_xml_can_hold},
        {"broken_utf8_becomes_the_replacement_character",
         broken_utf8_becomes_the_replacement_character},
        {"markdown_cannot_be_started_by_text", markdown_cannot_be_started_by_text},
        {"code_spans_are_fenced_longer_than_what_they_hold",
         code_spans_are_fenced_longer_than_what_they_hold},
        {"a_shell_word_survives_single_quotes", a_shell_word_survives_single_quotes},
        {"gnuplot_constants_hold_no_commands", gnuplot_constants_hold_no_commands},
        {"table_fields_hold_no_separators", table_fields_hold_no_separators},
        {"file_names_are_plain_and_never_empty", file_names_are_plain_and_never_empty},
        CU_TEST_INFO_NULL};

    return att_suite_run("escape", tests);
}
