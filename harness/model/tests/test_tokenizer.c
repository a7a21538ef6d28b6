/* SPDX-License-Identifier: Apache-2.0 */
/* The tokeniser without a model: merging against its definition, text it must refuse, and texts
 * that would stall a careless one.  (Ids of real texts: test_smollm2.) */
#include "base/clock.h"
#include "base/tests/suite.h"
#include "build_gguf.h"
#include "model/tokenizer.h"

static att_tokenizer *tiny(void)
{
    att_buf file = build_tiny(1);
    att_gguf *g;
    att_tokenizer *t;
    att_why why;
    CU_ASSERT_EQUAL_FATAL(att_gguf_parse(file.data, file.length, "tiny", &g, &why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_tokenizer_make(g, &t, &why), ATT_OK);
    att_gguf_close(g);
    att_buf_drop(&file);
    return t;
}

static void gives(const att_tokenizer *t, const char *text, const int32_t *want, size_t n_want)
{
    int32_t *ids;
    size_t n;
    att_why why;
    CU_ASSERT_EQUAL_FATAL(att_tokenizer_encode(t, text, strlen(text), &ids, &n, &why), ATT_OK);
    CU_ASSERT_EQUAL(n, n_want);
    CU_ASSERT(n == n_want && !memcmp(ids, want, n * sizeof *ids));
    free(ids);
}

#define GIVES(t, text, ...)                                                                        \
    gives(t, text, (const int32_t[]){__VA_ARGS__},                                                 \
          sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void merges_and_special_tokens_follow_the_tables(void)
{
    att_tokenizer *t = tiny();
    static const int32_t none = -1;
    GIVES(t, "ABC", 61);
    GIVES(t, "AB", 60);
    GIVES(t, "ABAC", 60, 33, 35);
    GIVES(t, "ABCD", 60, 63); /* "C D" comes before "AB C" */
    GIVES(t, "A<|X|>B", 33, 62, 34);
    GIVES(t, "<|X|><|X|>", 62, 62);
    GIVES(t, "<|X", 28, 0,
          56); /* no special token; | has no letter here and becomes the unknown one */
    GIVES(t, "A 1", 33, 0, 17);
    gives(t, "", &none, 0);
    att_tokenizer_drop(t);
}

static void numbers_stand_alone_and_spaces_lead(void)
{
    att_tokenizer *t = tiny();
    GIVES(t, "AB12AB", 60, 17, 18, 60);
    GIVES(t, "AB  CD", 60, 0, 0, 63);
    GIVES(t, " 1  2 ", 0, 17, 0, 0, 18, 0);
    att_tokenizer_drop(t);
}

static void bad_utf8_is_refused_with_its_byte(void)
{
    static const char *const bad[] = {"AB\xff", "AB\xc0\x80", "AB\xe2\x82", "AB\xed\xa0\x80",
                                      "AB\xf4\x90\x80\x80"};
    att_tokenizer *t = tiny();
    att_why why;
    int32_t *ids;
    size_t n;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CU_ASSERT_EQUAL(att_tokenizer_encode(t, bad[i], strlen(bad[i]), &ids, &n, &why),
                        ATT_CORRUPT);
        CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "byte 2 of the text"));
        CU_ASSERT_PTR_NULL(ids);
    }
    att_tokenizer_drop(t);
}

static void a_million_bytes_without_a_space_take_no_second(void)
{
    static const char *const units[] = {"ABCD", "A", " ", "\n ", "1", "<|X", "'"};
    att_tokenizer *t = tiny();
    att_why why;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        att_buf text = {0};
        int32_t *ids;
        size_t n;
        while (text.length < 1000000)
            att_buf_puts(&text, units[i]);
        double from = att_clock_now();
        CU_ASSERT_EQUAL(att_tokenizer_encode(t, text.data, text.length, &ids, &n, &why), ATT_OK);
        double took = att_clock_now() - from;
        CU_ASSERT(took <
                  20.0); /* quadratic work would take hours; the sanitizers cost a factor of ten */
        CU_ASSERT(n >= text.length / 2 - 1);
        free(ids);
        att_buf_drop(&text);
    }
    att_tokenizer_drop(t);
}

/* The definition: the lowest rank anywhere, the leftmost among equals, one merge at a time. */
static size_t by_definition(const int32_t *left, const int32_t *right, const int32_t *whole,
                            size_t merges, int32_t *ids, size_t n)
{
    for (size_t rank = 0; rank < merges;) {
        size_t at = 0;
        while (at + 1 < n && !(ids[at] == left[rank] && ids[at + 1] == right[rank]))
            at++;
        if (at + 1 >= n) {
            rank++;
            continue;
        }
        ids[at] = whole[rank];
        memmove(ids + at + 1, ids + at + 2, (n - at - 2) * sizeof *ids);
        n--;
        rank = 0; /* what was made may be part of an earlier pair */
    }
    return n;
}

static void merging_equals_its_definition_at_every_length(void)
{
    enum { MERGES = 60, LETTERS = 4 };
    att_rng rng = att_rng_make(3, "bpe");
    for (int round = 0; round < 300; round++) {
        int32_t left[MERGES], right[MERGES], whole[MERGES], a[400], b[400];
        for (int i = 0; i < MERGES; i++) {
            uint64_t known = LETTERS + (uint64_t)i;
            left[i] = (int32_t)att_rng_below(&rng, known);
            right[i] = (int32_t)att_rng_below(&rng, known);
            whole[i] = LETTERS + i;
            for (int j = 0; j < i; j++) /* a pair has one rank */
                if (left[j] == left[i] && right[j] == right[i])
                    left[i] = right[i] = 1000 + i;
        }
        size_t n = 1 + (size_t)att_rng_below(&rng, round % 2 ? 60 : 400);
        for (size_t i = 0; i < n; i++)
            a[i] = b[i] = (int32_t)att_rng_below(&rng, LETTERS);
        att_bpe *bpe = att_bpe_make(left, right, whole, MERGES);
        CU_ASSERT_PTR_NOT_NULL_FATAL(bpe);
        size_t na = att_bpe_merge(bpe, a, n), nb = by_definition(left, right, whole, MERGES, b, n);
        CU_ASSERT_EQUAL(na, nb);
        CU_ASSERT(na == nb && !memcmp(a, b, na * sizeof *a));
        att_bpe_drop(bpe);
    }
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"merges_and_special_tokens_follow_the_tables",
         merges_and_special_tokens_follow_the_tables},
        {"numbers_stand_alone_and_spaces_lead", numbers_stand_alone_and_spaces_lead},
        {"bad_utf8_is_refused_with_its_byte", bad_utf8_is_refused_with_its_byte},
        {"a_million_bytes_without_a_space_take_no_second",
         a_million_bytes_without_a_space_take_no_second},
        {"merging_equals_its_definition_at_every_length",
         merging_equals_its_definition_at_every_length},
        CU_TEST_INFO_NULL};
    return att_suite_run("tokenizer", tests);
}
