/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/param.h"
#include "core/tests/made_tables.h"

static int opened;

static att_registry *registry(void)
{
    att_plugin_source source = {&opened, made_open, NULL};
    att_registry *r = NULL;

    CU_ASSERT_EQUAL_FATAL(att_registry_make(&made_tables, &source, &r, NULL), ATT_OK);
    return r;
}

static att_status take(void *arg, const char *text, att_why *why)
{
    att_buf *b = arg;

    (void)why;
    att_buf_printf(b, "%s%s", b->length ? " " : "", text);
    return ATT_OK;
}

static void patterns_choose_kernels(void)
{
    static const struct {
        const char *pattern, *texts; /* NULL: INVALID */
    } rows[] = {{"*", "flash_f32 sink_window mixed"},
                {"*_*", "flash_f32 sink_window"},
                {"mi?ed", "mixed"},
                {"zoo:*", "causal_off_by_one"},
                {"controls:uni*", "uniform"},
                {"caus*", NULL},
                {"zoo:mixed*", NULL},
                {"sink_window{left=3}", "sink_window{left=3}"},
                {"anything", "anything"}, /* taken as a name; the parser refuses it */
                {"plan:0-3=dense;4=mixed", "plan:0-3=dense;4=mixed"},
                {"plugin:it.so", "plugin:it.so#flash_f32 plugin:it.so#mixed"},
                {"plugin:it.so#mixed", "plugin:it.so#mixed"},
                {"plugin:'one file.so'", "plugin:'one file.so'#uniform"},
                {"plugin:nowhere.so", NULL}};
    att_registry *r = registry();

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        att_buf texts = {0};
        att_why why = {""};
        att_status st = att_registry_match(r, rows[i].pattern, take, &texts, &why);
        if (rows[i].texts) {
            CU_ASSERT_EQUAL(st, ATT_OK);
            CU_ASSERT_STRING_EQUAL(texts.data ? texts.data : "", rows[i].texts);
        } else {
            CU_ASSERT_EQUAL(st, ATT_INVALID);
            CU_ASSERT(*why.text != '\0');
        }
        att_buf_drop(&texts);
    }
    att_registry_drop(r);
}

static void a_plugin_is_opened_once(void)
{
    att_registry *r = registry();
    const att_kernel *k = NULL;

    opened = 0;
    CU_ASSERT_EQUAL(att_registry_plugin(r, "it.so", "mixed", &k, NULL), ATT_OK);
    CU_ASSERT_PTR_EQUAL(k, &mixed);
    CU_ASSERT_EQUAL(att_registry_plugin(r, "it.so", "flash_f32", &k, NULL), ATT_OK);
    CU_ASSERT_EQUAL(opened, 1);
    att_registry_drop(r);
}

static void names_are_found_in_their_tables(void)
{
    att_registry *r = registry();

    CU_ASSERT_PTR_EQUAL(att_registry_kernel(r, "dense", NULL), &flash_f32);
    CU_ASSERT_PTR_EQUAL(att_registry_kernel(r, "causal_off_by_one", NULL), &causal_off_by_one);
    CU_ASSERT_PTR_EQUAL(att_registry_kernel(r, "controls:uniform", NULL), &uniform);
    CU_ASSERT_PTR_NULL(att_registry_kernel(r, "zoo:uniform", NULL));
    CU_ASSERT_PTR_EQUAL(att_registry_eval(r, "lm", NULL), &lm_);
    CU_ASSERT_PTR_NULL(att_registry_eval(r, "lm.needle", NULL));
    att_registry_drop(r);
}

static void broken_descriptors_are_told(void)
{
    static const att_param twice[] = {{"a", ATT_PARAM_INT, 0, "", "1", "", NULL, ""},
                                      {"a", ATT_PARAM_INT, 0, "", "1", "", NULL, ""},
                                      {0}};
    static const att_param outside[] = {{"a", ATT_PARAM_INT, 0, "", "9", "0:5", NULL, ""}, {0}};
    static const att_param seed[] = {{"seed", ATT_PARAM_INT, 0, "", "1", "", NULL, ""}, {0}};
    att_kernel k = mixed;

    CU_ASSERT_STRING_EQUAL(att_kernel_fault(&k), "");
    CU_ASSERT_PTR_NOT_NULL(strstr(att_kernel_fault(NULL), "NULL"));
#define BROKEN(field, value, word)                                                                 \
    k = mixed;                                                                                     \
    k.field = value;                                                                               \
    CU_ASSERT_PTR_NOT_NULL(strstr(att_kernel_fault(&k), word))
    BROKEN(struct_size, 8, "struct_size");
    BROKEN(abi, (ATT_ABI_MAJOR + 1) << 16, "abi");
    BROKEN(name, "with space", "name");
    BROKEN(name, NULL, "name");
    BROKEN(family, NULL, "family");
    BROKEN(class_, 3, "class_");
    BROKEN(supports, NULL, "supports");
    BROKEN(attend, NULL, "no operator");
    BROKEN(params, twice, "twice");
    BROKEN(params, outside, "outside its domain");
    BROKEN(params, seed, "seed");
#undef BROKEN
}

static void two_kernels_of_one_name_are_refused(void)
{
    static const att_kernel *const both[] = {&mixed, NULL};
    static const att_eval *const none[] = {NULL};
    att_tables t = {.kernels = both, .zoo = both, .evals = none, .dense = "flash_f32"};
    att_registry *r = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL(att_registry_make(&t, NULL, &r, &why), ATT_INVALID);
    CU_ASSERT_PTR_NULL(r);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "mixed: the name is taken"));
}

static void empty_tables_and_no_plugins_are_fine(void)
{
    att_tables t = {0};
    att_registry *r = NULL;
    const att_kernel *k = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(att_registry_make(&t, NULL, &r, &why), ATT_OK);
    CU_ASSERT_PTR_NULL(att_registry_kernel(r, "mixed", &why));
    CU_ASSERT_STRING_EQUAL(why.text, "unknown kernel mixed");
    CU_ASSERT_EQUAL(att_registry_plugin(r, "it.so", "", &k, &why), ATT_INVALID);
    att_registry_drop(r);
}

/* ------------------------------------------------------------------------------ parameters */

static void values_print_in_the_fewest_digits_that_return(void)
{
    static const struct {
        int param; /* of made_mixed */
        const char *text, *printed;
    } rows[] = {{0, "007", "7"},
                {0, "-9223372036854775808", "-9223372036854775808"},
                {1, "0.1000", "0.1"},
                {1, "1e-3", "0.001"},
                {1, "1.0000000000000002", "1.0000000000000002"},
                {1, "-0", "0"},
                {2, "blue", "blue"},
                {3, "", "''"},
                {3, "a;b", "'a;b'"},
                {3, "a.b#c", "a.b#c"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const att_param *p = &made_mixed[rows[i].param];
        att_arena arena = {0};
        att_buf out = {0};
        att_value v = {0};
        att_why why = {""};
        CU_ASSERT_EQUAL(att_param_parse(p, rows[i].text, &arena, &v, &why), ATT_OK);
        att_param_print(p, &v, &out);
        CU_ASSERT_STRING_EQUAL(out.data, rows[i].printed);
        att_buf_drop(&out);
        att_arena_drop(&arena);
    }
}

static void the_nearest_parameter_is_named(void)
{
    CU_ASSERT_STRING_EQUAL(att_param_nearest(made_mixed, "wrod"), "word");
    CU_ASSERT_PTR_NULL(att_param_nearest(NULL, "wrod"));
    CU_ASSERT_EQUAL(att_param_index(made_mixed, "x"), 1);
    CU_ASSERT_EQUAL(att_param_index(made_mixed, "X"), -1);
    CU_ASSERT_EQUAL(att_param_count(NULL), 0);
    CU_ASSERT_EQUAL(att_param_count(made_mixed), 4);
}

static void a_word_with_quotes_or_line_ends_is_refused(void)
{
    static const char *const bad[] = {"a'b", "a\nb", "a\tb", "a\rb"};

    for (size_t i = 0; i < 4; i++) {
        att_arena arena = {0};
        att_value v = {.i = 77};
        CU_ASSERT_EQUAL(att_param_parse(&made_mixed[3], bad[i], &arena, &v, NULL), ATT_INVALID);
        CU_ASSERT_EQUAL(v.i, 77);
        att_arena_drop(&arena);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"patterns_choose_kernels", patterns_choose_kernels},
        {"a_plugin_is_opened_once", a_plugin_is_opened_once},
        {"names_are_found_in_their_tables", names_are_found_in_their_tables},
        {"broken_descriptors_are_told", broken_descriptors_are_told},
        {"two_kernels_of_one_name_are_refused", two_kernels_of_one_name_are_refused},
        {"empty_tables_and_no_plugins_are_fine", empty_tables_and_no_plugins_are_fine},
        {"values_print_in_the_fewest_digits_that_return",
         values_print_in_the_fewest_digits_that_return},
        {"the_nearest_parameter_is_named", the_nearest_parameter_is_named},
        {"a_word_with_quotes_or_line_ends_is_refused", a_word_with_quotes_or_line_ends_is_refused},
        CU_TEST_INFO_NULL};
    return att_suite_run("registry", tests);
}
