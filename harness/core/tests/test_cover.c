/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include <string.h>

#include "core/cover.h"

#define MANY 6
static const att_cover_factor shape[MANY] = {{3, true},  {4, true},  {2, true},
                                             {3, false}, {5, false}, {2, false}};

/* Two rules at once, so that some pairs can't be had: a 0 with b 3, c 1 only with d 2. */
static bool rule(const void *arg, const size_t *row)
{
    (void)arg;
    return !(row[0] == 0 && row[1] == 3) && !(row[2] == 1 && row[3] != 2);
}

static bool holds(const att_cover *c, const size_t *f, const size_t *level, size_t n)
{
    for (size_t r = 0; r < c->rows; r++) {
        bool all = true;
        for (size_t i = 0; i < n; i++)
            all = all && c->level[r * c->factors + f[i]] == level[i];
        if (all)
            return true;
    }
    return false;
}

/* Walks every valid row by brute force; counts pairs (or strong triples) of it that c lacks. */
static size_t lacking(const att_cover *c, att_cover_valid valid, size_t *seen)
{
    size_t row[MANY] = {0}, missing = 0, at = 0;

    *seen = 0;
    while (at < MANY) {
        if (valid(NULL, row)) {
            for (size_t i = 0; i < MANY; i++)
                for (size_t j = i + 1; j < MANY; j++) {
                    size_t two[2] = {i, j}, l2[2] = {row[i], row[j]};
                    missing += !holds(c, two, l2, 2);
                    ++*seen;
                    for (size_t k = j + 1; k < MANY; k++) {
                        size_t three[3] = {i, j, k}, l3[3] = {row[i], row[j], row[k]};
                        if (shape[i].strong && shape[j].strong && shape[k].strong)
                            missing += !holds(c, three, l3, 3);
                    }
                }
        }
        for (at = 0; at < MANY && ++row[at] == shape[at].levels; at++)
            row[at] = 0;
    }
    return missing;
}

static void every_valid_pair_and_strong_triple_is_covered(void)
{
    att_cover c;
    size_t seen;

    CU_ASSERT_EQUAL_FATAL(att_cover_make(shape, MANY, rule, NULL, 1, &c, NULL), ATT_OK);
    CU_ASSERT_EQUAL(lacking(&c, rule, &seen), 0);
    CU_ASSERT(seen > 1000);
    for (size_t r = 0; r < c.rows; r++)
        CU_ASSERT(rule(NULL, c.level + r * MANY));
    /* a0 b3; c1 with d0, d1; the triples a0 b3 c0, a0 b3 c1 */
    CU_ASSERT_EQUAL(c.unreachable, 5);
    CU_ASSERT(c.rows < 60); /* 720 rows in full, 24 at least for the triples */
    att_cover_drop(&c);
}

static void a_row_taken_away_is_missed(void)
{
    att_cover c;
    size_t seen;

    CU_ASSERT_EQUAL_FATAL(att_cover_make(shape, MANY, rule, NULL, 1, &c, NULL), ATT_OK);
    c.rows--;
    CU_ASSERT(lacking(&c, rule, &seen) > 0);
    att_cover_drop(&c);
}

static void the_same_seed_gives_the_same_rows_and_another_seed_others(void)
{
    att_cover a, b, c;

    CU_ASSERT_EQUAL_FATAL(att_cover_make(shape, MANY, rule, NULL, 5, &a, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_cover_make(shape, MANY, rule, NULL, 5, &b, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_cover_make(shape, MANY, rule, NULL, 6, &c, NULL), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(a.rows, b.rows);
    CU_ASSERT_EQUAL(memcmp(a.level, b.level, a.rows * MANY * sizeof *a.level), 0);
    CU_ASSERT(a.rows != c.rows || memcmp(a.level, c.level, a.rows * MANY * sizeof *a.level) != 0);
    att_cover_drop(&a);
    att_cover_drop(&b);
    att_cover_drop(&c);
}

static void no_level_is_refused_and_no_factor_is_empty(void)
{
    const att_cover_factor none[2] = {{2, false}, {0, false}};
    att_cover c;
    att_why why = {""};

    CU_ASSERT_EQUAL(att_cover_make(none, 2, NULL, NULL, 1, &c, &why), ATT_INVALID);
    CU_ASSERT(strstr(why.text, "factor 1") != NULL);
    CU_ASSERT_EQUAL(att_cover_make(none, 0, NULL, NULL, 1, &c, NULL), ATT_OK);
    CU_ASSERT_EQUAL(c.rows, 0);
    CU_ASSERT_EQUAL(att_cover_make(none, 1, NULL, NULL, 1, &c, NULL), ATT_OK);
    CU_ASSERT_EQUAL(c.rows, 2);
    att_cover_drop(&c);
}

static const att_param params[] = {
    {"n", ATT_PARAM_INT, 0, "", "2", "1:9", "1 2 3", ""},
    {"x", ATT_PARAM_REAL, 0, "", "0.5", "0:1", NULL, ""},
    {"w", ATT_PARAM_WORD, 0, "", "a", "a|b|c", "a b c", ""},
    {0},
};

static bool not_3_c(const att_value *v)
{
    return v[1].f == 0.5 && !(v[0].i == 3 && strcmp(v[2].s, "c") == 0);
}

static void parameters_become_cases_of_text(void)
{
    att_cover_cases c;

    CU_ASSERT_EQUAL_FATAL(att_cover_params(params, NULL, NULL, not_3_c, 1, &c, NULL), ATT_OK);
    CU_ASSERT_EQUAL(c.params, 3);
    CU_ASSERT_EQUAL(c.count, 8);
    for (size_t r = 0; r < c.count; r++)
        CU_ASSERT_STRING_EQUAL(c.value[r * 3 + 1], "0.5");
    att_cover_cases_drop(&c);

    const char *const levels[] = {"7", NULL, "b c"};
    CU_ASSERT_EQUAL_FATAL(att_cover_params(params, levels, "n w", not_3_c, 1, &c, NULL), ATT_OK);
    CU_ASSERT_EQUAL(c.count, 2);
    CU_ASSERT_STRING_EQUAL(c.value[0], "7");
    att_cover_cases_drop(&c);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every_valid_pair_and_strong_triple_is_covered",
         every_valid_pair_and_strong_triple_is_covered},
        {"a_row_taken_away_is_missed", a_row_taken_away_is_missed},
        {"the_same_seed_gives_the_same_rows_and_another_seed_others",
         the_same_seed_gives_the_same_rows_and_another_seed_others},
        {"no_level_is_refused_and_no_factor_is_empty", no_level_is_refused_and_no_factor_is_empty},
        {"parameters_become_cases_of_text", parameters_become_cases_of_text},
        CU_TEST_INFO_NULL,
    };
    return att_suite_run("cover", tests);
}
