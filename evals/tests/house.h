/* SPDX-License-Identifier: Apache-2.0 */
/* What the evals' tests have in common: the whole house opened in this process, and one case of an
 * eval measured and judged in it. */
#ifndef ATT_EVALS_TESTS_HOUSE_H
#define ATT_EVALS_TESTS_HOUSE_H

#include "base/tests/suite.h"

#include "core/case.h"
#include "core/ctx_own.h"
#include "core/host.h"
#include "core/verdict.h"
#include "evals/table.h"
#include "kernels/table.h"

static att_registry *registry;
static att_host host;
static att_shelf shelf;

/* The variants, and after them `made`, at most 24 kernels that end with NULL (NULL = none). */
static void house_open(int threads, const att_kernel *const *made)
{
    static const att_kernel *kernels[112];
    const att_kernel_tables *t = att_kernel_table(NULL);
    att_why why = {""};
    size_t n = 0;

    for (; n < 87 && t->kernels[n]; n++)
        kernels[n] = t->kernels[n];
    CU_ASSERT_PTR_NULL_FATAL(t->kernels[n]);
    for (size_t i = 0; made && made[i] && i < 24; i++)
        kernels[n++] = made[i];
    kernels[n] = NULL;
    const att_tables tables = {.kernels = kernels,
                               .zoo = t->zoo,
                               .controls = t->controls,
                               .different = t->different,
                               .evals = att_evals,
                               .isa = t->isa,
                               .dense = "flash_f32",
                               .oracle = "reference_f64"};

    CU_ASSERT_EQUAL_FATAL(att_registry_make(&tables, NULL, &registry, &why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_host_make(threads, &host), ATT_OK);
}

/* Asserts that nothing is left of what cases shared. */
static void house_close(void)
{
    att_shelf_keep(&shelf, NULL);
    att_host_drop(&host);
    att_registry_drop(registry);
    CU_ASSERT_PTR_NULL(shelf.first);
}

/* The case `measure kernel params seed=...`, measured and judged; the caller clears it. */
static att_record house_case(const char *measure, const char *kernel, const char *params,
                             uint64_t seed)
{
    static const att_options options = {.datasets = "datasets"};
    att_record r = {0};
    att_why why = {""};
    att_case *c = NULL;

    if (att_case_make(registry, measure, kernel, params, &seed, &c, &why) != ATT_OK) {
        printf("%s: %s\n", params, why.text);
        CU_FAIL_FATAL("a case that can't be read");
    }
    att_ctx_measure(registry, c, &host, &options, &shelf, &r);
    att_verdict_case(c->eval, &r);
    att_case_drop(c);
    return r;
}

#endif
