/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include <math.h>
#include <stdlib.h>

#include "base/fp.h"
#include "base/json.h"
#include "core/error.h"

/* ------------------------------------------------- rows of datasets/reference/numeric_rule.json */

static double real(const cJSON *row, const char *key)
{
    double x = (double)NAN;

    CU_ASSERT_FATAL(att_json_real(row, key, &x));
    return x;
}

static int64_t length(const cJSON *row, const char *key)
{
    return cJSON_GetArraySize(att_json_get(row, key));
}

/* Element (i, j) of a nested list, or i of a flat one (j < 0). */
static double element(const cJSON *row, const char *key, int64_t i, int64_t j)
{
    const cJSON *at = cJSON_GetArrayItem(att_json_get(row, key), (int)i);

    at = j < 0 ? at : cJSON_GetArrayItem(at, (int)j);
    CU_ASSERT_FATAL(cJSON_IsNumber(at));
    return at->valuedouble;
}

static double *numbers(size_t n)
{
    double *x = calloc(n ? n : 1, sizeof *x);
    CU_ASSERT_PTR_NOT_NULL_FATAL(x);
    return x;
}

static bool near(double got, double want)
{
    return fabs(got - want) <= 1e-9 * fabs(want);
}

static unsigned wrong_elements(const cJSON *row, const char *key, const double *got, int64_t dv)
{
    unsigned wrong = 0;

    for (int64_t d = 0; d < dv; d++)
        wrong += !near(got[d], element(row, key, length(row, key) > 1 ? d : 0, -1));
    return wrong;
}

static void check_row(const cJSON *row)
{
    int64_t n = length(row, "k"), dk = length(row, "q"), dv = length(row, "o"),
            wide = att_error_pad(dv);
    double *s = numbers((size_t)(3 * n + n * wide + 6 * wide)), *a = s + n, *x = a + n, *v = x + n;
    double *results = v + n * wide, scale = real(row, "scale");
    const double **rows = calloc((size_t)n, sizeof *rows);
    att_units u = {real(row, "u_acc"),
                   real(row, "u_p"),
                   real(row, "w_p"),
                   real(row, "u_out"),
                   real(row, "tiny_out"),
                   0,
                   0};
    att_error_row out = {results,
                         results + wide,
                         results + 2 * wide,
                         results + 3 * wide,
                         results + 4 * wide,
                         results + 5 * wide,
                         0,
                         0,
                         0,
                         0,
                         0};

    CU_ASSERT_PTR_NOT_NULL_FATAL(rows);
    for (int64_t j = 0; j < n; j++) {
        double extra = element(row, "extra", j, -1), dot = 0;
        for (int64_t d = 0; d < dk; d++) {
            double product = element(row, "q", d, -1) * element(row, "k", j, d);
            dot += product;
            a[j] += fabs(product) * scale;
        }
        s[j] = dot * scale + extra;
        x[j] = extra != 0 ? fabs(s[j]) + fabs(dot * scale) : 0;
        for (int64_t d = 0; d < dv; d++)
            v[j * wide + d] = element(row, "v", j, d);
        rows[j] = v + j * wide;
    }
    att_error_keys keys = {n, dk, dv, false, s, a, x, rows, NULL};
    CU_ASSERT_EQUAL(att_error_row_of(&keys, &u, &out), ATT_OK);
    CU_ASSERT_EQUAL(wrong_elements(row, "sigma", out.sigma, dv), 0);
    CU_ASSERT_EQUAL(wrong_elements(row, "B", out.bound, dv), 0);
    CU_ASSERT_EQUAL(wrong_elements(row, "hull_lo", out.hull_lo, dv), 0);
    CU_ASSERT_EQUAL(wrong_elements(row, "hull_hi", out.hull_hi, dv), 0);
    CU_ASSERT(near(out.nu, real(row, "nu")));
    CU_ASSERT(near(out.tau, real(row, "tau")));
    for (int64_t d = 0; d < dv; d++)
        CU_ASSERT(fabs(out.o[d] - element(row, "o", d, -1)) <= 1e-14);
    free(s);
    free(rows);
}

static void the_rule_agrees_with_every_stored_row(void)
{
    cJSON *rows = NULL;
    att_why why = {""};
    int checked = 0;

    CU_ASSERT_EQUAL_FATAL(
        att_json_read("datasets/reference/numeric_rule.json", 1 << 20, &rows, &why), ATT_OK);
    for (const cJSON *row = rows->child; row; row = row->next, checked++)
        check_row(row);
    CU_ASSERT_EQUAL(checked, 24);
    cJSON_Delete(rows);
}

#define TEST(x)                                                                                    \
    {                                                                                              \
#x, x                                                                                      \
    }

int main(void)
{
    static const CU_TestInfo tests[] = {
        TEST(the_rule_agrees_with_every_stored_row),
        CU_TEST_INFO_NULL,
    };
    return att_suite_run("error_row", tests);
}
