/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "suite.h"

static att_status parse(const char *text, att_why *why)
{
    cJSON *tree = NULL;
    att_status status = att_json_parse(text, strlen(text), "test", &tree, why);
    cJSON_Delete(tree);
    return status;
}

static void what_a_strict_parser_takes_is_taken(void)
{
    static const char *const good[] = {"0",
                                       "-0.5e+3",
                                       "[]",
                                       "{}",
                                       " { \"a\" : [1, 2.5, null, true, false] } ",
                                       "\"\\ud83d\\ude00\"",
                                       "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
                                       "{\"a\":1,\"A\":2}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        CU_ASSERT_EQUAL(parse(good[i], NULL), ATT_OK);
}

static void what_cjson_forgives_is_refused(void)
{
    static const char *const bad[] = {"",
                                      "01",
                                      "+1",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "1e999",
                                      "NaN",
                                      "[1,]",
                                      "{\"a\":1,}",
                                      "{\"a\":1} x",
                                      "{\"a\":1,\"a\":2}",
                                      "[{\"b\":{\"x\":1,\"y\":2,\"x\":3}}]",
                                      "\"\\u0000\"",
                                      "\"\\ud800\"",
                                      "\"\\udc00\"",
                                      "\"tab\there\"",
                                      "\"\xff\"",
                                      "\"\xc0\xaf\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"open",
                                      "{\"a\" 1}",
                                      "{a:1}",
                                      "tru",
                                      "'x'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        att_why why = {{0}};
        CU_ASSERT_EQUAL(parse(bad[i], &why), ATT_CORRUPT);
        CU_ASSERT_EQUAL(strncmp(why.text, "test", 4), 0);
    }
    CU_ASSERT_EQUAL(att_json_parse("1\0 2", 4, "test", &(cJSON *){NULL}, NULL), ATT_CORRUPT);
}

static void nesting_is_bounded(void)
{
    char text[2 * 5000 + 1];
    for (int depth = 60; depth <= 5000; depth += 60) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        text[2 * depth] = '\0';
        CU_ASSERT_EQUAL(parse(text, NULL), depth <= 64 ? ATT_OK : ATT_CORRUPT);
    }
}

static void the_message_names_line_and_column(void)
{
    att_why why;
    CU_ASSERT_EQUAL(parse("{\n  \"a\": 01\n}", &why), ATT_CORRUPT);
    CU_ASSERT_STRING_EQUAL(why.text, "test:2:9: a number starts with a needless 0");
    CU_ASSERT_EQUAL(parse("{\"a\": 1, \"a\": 2}", &why), ATT_CORRUPT);
    CU_ASSERT_STRING_EQUAL(why.text, "test:1: a repeated key: a");
}

static void a_node_is_found_on_its_line(void)
{
    static const char text[] = "{\n\"a\": [1, {\"b\\\"\": \"x,}\"},\n [], 2\n],\n\n\"c\": {}}";
    cJSON *tree = NULL, *other = NULL;
    const size_t n = strlen(text);
    CU_ASSERT_EQUAL_FATAL(att_json_parse(text, n, "test", &tree, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_json_parse("1", 1, "test", &other, NULL), ATT_OK);
    const cJSON *a = att_json_get(tree, "a");
    CU_ASSERT_EQUAL(att_json_line(text, n, tree, tree), 1);
    CU_ASSERT_EQUAL(att_json_line(text, n, tree, a), 2);
    CU_ASSERT_EQUAL(att_json_line(text, n, tree, cJSON_GetArrayItem(a, 1)->child), 2);
    CU_ASSERT_EQUAL(att_json_line(text, n, tree, cJSON_GetArrayItem(a, 3)), 3);
    CU_ASSERT_EQUAL(att_json_line(text, n, tree, att_json_get(tree, "c")), 6);
    CU_ASSERT_EQUAL(att_json_line(text, n, tree, other), 0);
    cJSON_Delete(tree);
    cJSON_Delete(other);
}

static char *print(const char *text, double x)
{
    char *data = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&data, &size);
    if (text)
        att_json_put_text(f, text);
    else {
        fputs("{\"x\": ", f);
        att_json_put_real(f, x);
        fputs("}", f);
    }
    fclose(f);
    return data;
}

static void numbers_come_back_bit_by_bit(void)
{
    att_rng rng = att_rng_make(1, "json");
    int same = 0, n = 20000;
    for (int i = 0; i < n; i++) {
        uint64_t bits = att_rng_u64(&rng);
        double x, y = 0.0;
        memcpy(&x, &bits, sizeof x);
        cJSON *tree = NULL;
        char *text = print(NULL, x);
        if (att_json_parse(text, strlen(text), "test", &tree, NULL) == ATT_OK &&
            att_json_real(tree, "x", &y))
            same += isnan(x) ? isnan(y) : x == y;
        cJSON_Delete(tree);
        free(text);
    }
    CU_ASSERT_EQUAL(same, n);
}

static void any_bytes_become_valid_text(void)
{
    att_rng rng = att_rng_make(2, "json");
    int good = 0, n = 5000;
    for (int i = 0; i < n; i++) {
        char bytes[12];
        for (int j = 0; j < 11; j++)
            bytes[j] = (char)(att_rng_below(&rng, 255) + 1);
        bytes[11] = '\0';
        char *text = print(bytes, 0.0);
        good += parse(text, NULL) == ATT_OK;
        free(text);
    }
    CU_ASSERT_EQUAL(good, n);
    char *text = print("a\"\\\n\xc3\xa9\xff", 0.0);
    CU_ASSERT_STRING_EQUAL(text, "\"a\\\"\\\\\\n\xc3\xa9\\ufffd\"");
    free(text);
}

static void members_are_found_by_exact_name_and_type(void)
{
    cJSON *tree = NULL;
    const char *text = "{\"Name\": \"x\", \"n\": 3, \"f\": 3.5, \"big\": 1e300}", *got = NULL;
    int64_t i = 0;
    double f = 0.0;
    CU_ASSERT_EQUAL_FATAL(att_json_parse(text, strlen(text), "test", &tree, NULL), ATT_OK);
    CU_ASSERT_FALSE(att_json_text(tree, "name", &got));
    CU_ASSERT_TRUE(att_json_text(tree, "Name", &got) && strcmp(got, "x") == 0);
    CU_ASSERT_TRUE(att_json_int(tree, "n", &i) && i == 3);
    CU_ASSERT_FALSE(att_json_int(tree, "f", &i));
    CU_ASSERT_FALSE(att_json_int(tree, "big", &i));
    CU_ASSERT_TRUE(att_json_real(tree, "f", &f) && f == 3.5);
    CU_ASSERT_FALSE(att_json_real(tree, "Name", &f));
    cJSON_Delete(tree);
}

static void a_file_that_is_not_there_is_io(void)
{
    cJSON *tree = NULL;
    att_why why;
    CU_ASSERT_EQUAL(att_json_read("/nonexistent/x.json", 100, &tree, &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nonexistent/x.json"));
    CU_ASSERT_EQUAL(att_json_read("/", 100, &tree, &why), ATT_IO);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"what_a_strict_parser_takes_is_taken", what_a_strict_parser_takes_is_taken},
        {"what_cjson_forgives_is_refused", what_cjson_forgives_is_refused},
        {"nesting_is_bounded", nesting_is_bounded},
        {"the_message_names_line_and_column", the_message_names_line_and_column},
        {"a_node_is_found_on_its_line", a_node_is_found_on_its_line},
        {"numbers_come_back_bit_by_bit", numbers_come_back_bit_by_bit},
        {"any_bytes_become_valid_text", any_bytes_become_valid_text},
        {"members_are_found_by_exact_name_and_type", members_are_found_by_exact_name_and_type},
        {"a_file_that_is_not_there_is_io", a_file_that_is_not_there_is_io},
        CU_TEST_INFO_NULL};
    return att_suite_run("json", tests);
}
