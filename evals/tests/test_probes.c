/* SPDX-License-Identifier: Apache-2.0 */
/* The operator track: theory agrees with what the kernels say they select, dense finds everything,
 * the crippled kernels are punished. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/param.h"
#include "core/result.h"
#include "evals/probes/closed_form.h"
#include "kernels/table.h"

enum { KEYS = 200, HEADS = 3 };

static void in_order(const att_host *host, int64_t n, void (*body)(void *, int64_t, int), void *arg)
{
    (void)host;
    for (int64_t i = 0; i < n; i++)
        body(arg, i, 0);
}

static const att_kernel *kernel_named(const char *name)
{
    const char *why = "";
    const att_kernel_tables *tables = att_kernel_table(&why);

    CU_ASSERT_PTR_NOT_NULL_FATAL(tables);
    for (const att_kernel *const *k = tables->kernels; *k; k++)
        if (strcmp((*k)->name, name) == 0)
            return *k;
    return NULL;
}

/* The pairs of every query of a square causal problem, by the kernel and by the closed form. */
static void compare_pairs(const char *name)
{
    static float zeros[HEADS * KEYS * 8];
    static uint8_t allowed[HEADS * KEYS * KEYS];
    const att_kernel *k = kernel_named(name);
    att_host host = {.struct_size = sizeof host, .threads = 1, .parallel_for = in_order};
    att_arena arena = {0};
    att_value *values = NULL;
    att_plan plan = {0};
    att_problem p = att_problem_init();
    size_t wrong = 0, seen = 0;

    CU_ASSERT_PTR_NOT_NULL_FATAL(k);
    CU_ASSERT_EQUAL_FATAL(att_param_defaults(k->params, &arena, &values, NULL), ATT_OK);
    for (size_t i = 0; k->params[i].name; i++) /* small enough that every rule shows in 200 keys */
        if (values[i].i > 16)
            values[i] = (att_value){.i = 16, .f = 16};
    p.batch = 1;
    p.heads_q = p.heads_kv = HEADS;
    p.q_len = p.kv_len = KEYS;
    p.head_dim = p.value_dim = 8;
    p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    p.q = p.k = p.v = p.out = att_tensor_dense(zeros, ATT_F32, 1, HEADS, KEYS, 8);
    if (k->plan)
        CU_ASSERT_EQUAL_FATAL(k->plan(k, ATT_OP_SELECT, &p, values, &plan), ATT_OK);
    void *room = aligned_alloc(64, (plan.scratch_bytes + 64) / 64 * 64);
    att_scratch s = {room, plan.scratch_bytes, plan.handle, values, &host};
    memset(allowed, 7, sizeof allowed);
    CU_ASSERT_EQUAL_FATAL(k->select(k, &p, &s, allowed), ATT_OK);
    att_variant_part part = {0, INT64_MAX, k, values};
    for (int64_t h = 0; h < HEADS; h++)
        for (int64_t i = 0; i < KEYS; i++)
            for (int64_t j = 0; j < KEYS; j++) {
                int want = j <= i && closed_form_sees(&part, (closed_pair){h, i, j}) == 1;
                wrong += allowed[(h * KEYS + i) * KEYS + j] != want;
                seen += (size_t)want;
            }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT_TRUE(seen > 0 && seen < HEADS * KEYS * (KEYS + 1) / 2);
    if (k->drop && plan.handle)
        k->drop(k, plan.handle);
    free(room);
    att_arena_drop(&arena);
}

static void a_window_sees_what_its_formula_says(void)
{
    compare_pairs("sliding_window");
}

static void sinks_and_window_see_what_their_formula_says(void)
{
    compare_pairs("sink_window");
}

static void strides_see_what_their_formula_says(void)
{
    compare_pairs("strided");
}

static void blocks_see_what_their_formula_says(void)
{
    compare_pairs("block_sparse");
}

static void longformer_sees_what_its_formula_says(void)
{
    compare_pairs("longformer");
}

static void bigbird_sees_what_its_formula_says(void)
{
    compare_pairs("bigbird");
}

static void a_kernel_without_a_form_is_not_predicted(void)
{
    att_variant_part part = {0, 0, kernel_named("linear_elu1"), NULL};

    CU_ASSERT_EQUAL(closed_form_sees(&part, (closed_pair){0, 9, 3}), -1);
}

/* Runs the needle on these kernels with the program beside this test. */
static void run_needle(const char *const *kernels, att_result *result)
{
    char self[PATH_MAX], command[4 * PATH_MAX], folder[] = "/tmp/att_needle_XXXXXX";
    att_why why = {""};

    test_room(self);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    int used =
        snprintf(command, sizeof command, "'%s/attest' run --quiet --out '%s'", self, folder);
    for (; *kernels; kernels++)
        used += snprintf(command + used, sizeof command - (size_t)used,
                         " --case 'probe.needle %s len=512 seed=3'", *kernels);
    snprintf(command + used, sizeof command - (size_t)used, " >'%s/out' 2>&1", folder);
    CU_ASSERT_EQUAL(system(command), 0);
    snprintf(command, sizeof command, "%s/latest/result.json", folder);
    CU_ASSERT_EQUAL_FATAL(att_result_read(command, result, &why), ATT_OK);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

static void dense_finds_every_needle_and_every_control_is_punished(void)
{
    static const char *const kernels[] = {"dense",  "uniform",   "first_k", "last_k",
                                          "random", "sink_only", NULL};
    att_result result = {0};

    run_needle(kernels, &result);
    CU_ASSERT_EQUAL_FATAL(result.n_records, 6);
    for (size_t i = 0; i < result.n_records; i++) {
        const att_metric *m = att_record_metric(&result.records[i], "accuracy");
        CU_ASSERT_PTR_NOT_NULL_FATAL(m);
        /* a control is punished when even the upper end of its interval is low */
        CU_ASSERT_TRUE(i == 0 ? m->value == 1 : m->hi < 0.6);
    }
    att_result_clear(&result);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_window_sees_what_its_formula_says", a_window_sees_what_its_formula_says},
        {"sinks_and_window_see_what_their_formula_says",
         sinks_and_window_see_what_their_formula_says},
        {"strides_see_what_their_formula_says", strides_see_what_their_formula_says},
        {"blocks_see_what_their_formula_says", blocks_see_what_their_formula_says},
        {"longformer_sees_what_its_formula_says", longformer_sees_what_its_formula_says},
        {"bigbird_sees_what_its_formula_says", bigbird_sees_what_its_formula_says},
        {"a_kernel_without_a_form_is_not_predicted", a_kernel_without_a_form_is_not_predicted},
        {"dense_finds_every_needle_and_every_control_is_punished",
         dense_finds_every_needle_and_every_control_is_punished},
        CU_TEST_INFO_NULL};

    return att_suite_run("probes", tests);
}
