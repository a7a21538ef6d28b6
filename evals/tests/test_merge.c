/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include "common/merge.h"
#include "core/cover.h"

/* ------------------------------------------------------- one merge with one step of its own */

typedef enum way {
    PLAIN,
    BY_LSE,    /* weights e^(l - LSE), divided by nothing: right too */
    BASE_2,    /* e^x as 2^(x log2 e): right too */
    BACKWARDS, /* parts in reverse: right too */
    STRIDES_IGNORED,
    EMPTY_READ,
    ALL_EMPTY_NAN,
    WEIGHTS_BASE_2,
    NOT_NORMALISED,
    AVERAGED,
    LAST_DROPPED,
    NO_MAXIMUM,
    LSE_UNWRITTEN,
    LSE_BASE_2,
    LSE_WITH_SINK,
    LSE_PACKED,
    NO_SINKS
} way;

static way in_force;

static float lse_of(const att_problem *p, int64_t part, int64_t b, int64_t h, int64_t i)
{
    att_tensor t = p->merge->lses[part];

    if (in_force == STRIDES_IGNORED)
        t = att_tensor_dense(t.data, t.dtype, 1, p->batch, p->heads_q, p->q_len);
    return att_merge_load_lse(&t, b, h, i);
}

static float weight_of(float l, float top, float lse)
{
    switch (in_force) {
    case BY_LSE:
        return expf(l - lse);
    case BASE_2:
        return exp2f((l - top) * 1.44269504f);
    case WEIGHTS_BASE_2:
        return exp2f(l - top);
    case AVERAGED:
        return 1.0f;
    case NO_MAXIMUM:
        return expf(l);
    default:
        return expf(l - top);
    }
}

static float sink_of(const att_problem *p, int64_t h)
{
    return p->sinks.data ? att_per_head(&p->sinks, h) : -INFINITY;
}

static void store_lse(const att_problem *p, int64_t b, int64_t h, int64_t i, float lse)
{
    att_tensor t = p->lse;

    if (in_force == LSE_PACKED)
        t = att_tensor_dense(t.data, t.dtype, 1, p->batch, p->heads_q, p->q_len);
    if (in_force == LSE_BASE_2)
        lse *= 1.44269504f;
    if (in_force == LSE_WITH_SINK && lse != -INFINITY)
        lse += log1pf(expf(sink_of(p, h) - lse));
    if (t.data && in_force != LSE_UNWRITTEN)
        ((float *)t.data)[att_tensor_at(&t, 0, b, h, i)] = lse;
}

static void do_row(const att_problem *p, int64_t b, int64_t h, int64_t i, float *o)
{
    const int64_t parts = p->merge->parts, dv = p->value_dim;
    float top = -INFINITY, sum = 0, lse = -INFINITY, total = 0;

    for (int64_t part = 0; part < parts; part++)
        top = fmaxf(top, lse_of(p, part, b, h, i));
    for (int64_t part = 0; part < parts && top != -INFINITY; part++)
        sum += expf(lse_of(p, part, b, h, i) - top);
    if (top != -INFINITY)
        lse = top + logf(sum);
    memset(o, 0, (size_t)dv * sizeof *o);
    for (int64_t n = 0; n < parts - (in_force == LAST_DROPPED && parts > 1); n++) {
        const int64_t part = in_force == BACKWARDS ? parts - 1 - n : n;
        const att_tensor *t = &p->merge->outs[part];
        const float l = lse_of(p, part, b, h, i), w = weight_of(l, top, lse);
        if (l == -INFINITY && in_force != EMPTY_READ)
            continue;
        total += w;
        for (int64_t d = 0; d < dv; d++)
            o[d] += w * att_load(t->data, t->dtype, att_tensor_at(t, b, h, i, d));
    }
    const float z = in_force == NO_SINKS ? -INFINITY : sink_of(p, h);
    double by = in_force == NOT_NORMALISED ? 1
                : in_force == BY_LSE       ? 1 + exp((double)z - (double)lse)
                : in_force == NO_MAXIMUM   ? (double)total + exp((double)z)
                                           : (double)total + exp((double)z - (double)top);
    bool empty = top == -INFINITY && in_force != ALL_EMPTY_NAN && in_force != EMPTY_READ;
    for (int64_t d = 0; d < dv; d++)
        att_store(p->out.data, p->out.dtype, att_tensor_at(&p->out, b, h, i, d),
                  empty ? 0.0f : (float)((double)o[d] / by));
    store_lse(p, b, h, i, lse);
}

static att_status odd_merge(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self;
    for (int64_t r = 0; r < p->batch * p->heads_q * p->q_len; r++)
        do_row(p, r / p->q_len / p->heads_q, r / p->q_len % p->heads_q, r % p->q_len, s->data);
    return ATT_OK;
}

static att_status odd_supports(const att_kernel *self, att_op op, const att_problem *p,
                               const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return op == ATT_OP_MERGE ? att_merge_accept(p, why) : ATT_UNSUPPORTED;
}

static att_status odd_plan(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_plan *out)
{
    (void)self, (void)op, (void)params;
    return att_merge_plan(p, out);
}

static const att_kernel odd = {.struct_size = sizeof(att_kernel),
                               .abi = ATT_ABI,
                               .name = "odd",
                               .family = "made",
                               .summary = "a merge with one step of its own",
                               .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
                               .supports = odd_supports,
                               .plan = odd_plan,
                               .merge = odd_merge};
static const att_kernel *const made[] = {&odd, NULL};

static void open_house(void)
{
    house_open(2, made);
}

/* ------------------------------------------------------------------------------- tests */

/* All covering cases; the failed ones are counted and printed. */
static size_t failures(const char *kernel, uint64_t seed, size_t *measured)
{
    const att_eval *eval = att_registry_eval(registry, "merge", NULL);
    att_cover_cases cases;
    att_why why = {""};
    size_t failed = 0;

    CU_ASSERT_EQUAL_FATAL(
        att_cover_params(eval->params, NULL, NULL, eval->covers, seed, &cases, &why), ATT_OK);
    for (size_t n = 0; n < cases.count; n++) {
        char line[1024] = "";
        for (size_t a = 0; a < cases.params; a++) {
            strncat(line, a ? " " : "", sizeof line - strlen(line) - 1);
            strncat(line, eval->params[a].name, sizeof line - strlen(line) - 1);
            strncat(line, "=", sizeof line - strlen(line) - 1);
            strncat(line, cases.value[n * cases.params + a], sizeof line - strlen(line) - 1);
        }
        att_record r = house_case("merge", kernel, line, seed);
        *measured += r.status == ATT_PASS || r.status == ATT_FAIL;
        if (r.status != ATT_PASS) {
            printf("%s: %s\n", r.reason ? r.reason : "", r.line);
            failed++;
        }
        att_record_clear(&r);
    }
    att_cover_cases_drop(&cases);
    return failed;
}

static void right_merges_raise_no_alarm(void)
{
    static const way right[] = {PLAIN, BY_LSE, BASE_2, BACKWARDS};
    size_t measured = 0;

    for (uint64_t seed = 1; seed < 4; seed++) {
        for (size_t w = 0; w < sizeof right / sizeof *right; w++) {
            in_force = right[w];
            CU_ASSERT_EQUAL(failures("odd", seed, &measured), 0);
        }
        CU_ASSERT_EQUAL(failures("merge_f32", seed, &measured), 0);
        CU_ASSERT_EQUAL(failures("reference_f64", seed, &measured), 0);
    }
    CU_ASSERT(measured >= 1000);
}

/* The case fails with the wrong step, passes with the plain one, and the fault is named. */
static bool named(way wrong, const char *params, const char *fault)
{
    bool found = false;

    in_force = PLAIN;
    att_record r = house_case("merge", "odd", params, 7);
    bool passes = r.status == ATT_PASS;
    att_record_clear(&r);
    in_force = wrong;
    r = house_case("merge", "odd", params, 7);
    for (size_t d = 0; d < r.n_diagnoses; d++)
        found |= strcmp(r.diagnoses[d].fault, fault) == 0;
    if (r.status != ATT_FAIL || !found || !passes)
        printf("%s: %s, first named %s\n", r.line, att_outcome_name(r.status),
               r.n_diagnoses ? r.diagnoses[0].fault : "-");
    found = found && passes && r.status == ATT_FAIL;
    att_record_clear(&r);
    return found;
}

static void wrong_merges_are_caught_and_named(void)
{
    CU_ASSERT(named(STRIDES_IGNORED, "b=2 lse_layout=padded", "lse_strided"));
    CU_ASSERT(named(STRIDES_IGNORED, "h=3 lse_layout=swapped", "lse_strided"));
    CU_ASSERT(named(EMPTY_READ, "empty=some parts=7", "merge_empty_part_read"));
    CU_ASSERT(named(ALL_EMPTY_NAN, "empty=rows", "empty_split_typo"));
    CU_ASSERT(named(WEIGHTS_BASE_2, "", "merge_base_2"));
    CU_ASSERT(named(NOT_NORMALISED, "parts=7 lses=high", "merge_not_normalised"));
    CU_ASSERT(named(AVERAGED, "parts=2", "merge_averaged"));
    CU_ASSERT(named(LAST_DROPPED, "parts=16 lses=equal", "merge_last_part_dropped"));
    CU_ASSERT(named(NO_MAXIMUM, "lses=high", "merge_overflows"));
    CU_ASSERT(named(NO_MAXIMUM, "lses=low", "merge_overflows"));
    CU_ASSERT(named(LSE_UNWRITTEN, "", "lse_never_written"));
    CU_ASSERT(named(LSE_BASE_2, "lses=high", "lse_base_2"));
    CU_ASSERT(named(LSE_WITH_SINK, "sinks=mixed h=3", "sink_in_lse"));
    CU_ASSERT(named(LSE_PACKED, "b=2 lse_layout=padded", "lse_strided"));
    CU_ASSERT(named(NO_SINKS, "sinks=mixed h=3", "sinks_ignored"));
}

static void nothing_is_named_of_a_right_merge(void)
{
    in_force = BY_LSE;
    att_record r = house_case("merge", "odd", "lses=high values=ones parts=33 dv=128", 7);

    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    CU_ASSERT_EQUAL(r.n_diagnoses, 0);
    att_record_clear(&r);
}

static void a_contradiction_between_parts_is_refused(void)
{
    const att_kernel *merge = att_registry_kernel(registry, "merge_f32", NULL);
    float o[8], l[2];
    att_tensor outs[2], lses[2];
    att_merge section = {.parts = 2, .outs = outs, .lses = lses};
    att_problem p = att_problem_init();
    att_reason why;

    p.batch = p.q_len = 1;
    p.heads_q = p.heads_kv = 2;
    p.value_dim = 4;
    p.out = outs[0] = outs[1] = att_tensor_dense(o, ATT_F32, 1, 2, 1, 4);
    lses[0] = lses[1] = att_tensor_dense(l, ATT_F32, 1, 1, 2, 1);
    p.merge = &section;
    CU_ASSERT_PTR_NOT_NULL_FATAL(merge);
    CU_ASSERT_EQUAL(merge->supports(merge, ATT_OP_MERGE, &p, NULL, &why), ATT_OK);
    lses[1].shape[2] = 3;
    CU_ASSERT_EQUAL(merge->supports(merge, ATT_OP_MERGE, &p, NULL, &why), ATT_INVALID);
    lses[1] = lses[0];
    outs[1].data = NULL;
    CU_ASSERT_EQUAL(merge->supports(merge, ATT_OP_MERGE, &p, NULL, &why), ATT_INVALID);
    outs[1] = outs[0];
    outs[0].dtype = ATT_I8;
    CU_ASSERT_EQUAL(merge->supports(merge, ATT_OP_MERGE, &p, NULL, &why), ATT_UNSUPPORTED);
    outs[0] = outs[1];
    section.parts = -1;
    CU_ASSERT_EQUAL(merge->supports(merge, ATT_OP_MERGE, &p, NULL, &why), ATT_INVALID);
    CU_ASSERT_EQUAL(merge->supports(merge, ATT_OP_ATTEND, &p, NULL, &why), ATT_UNSUPPORTED);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"right merges raise no alarm", right_merges_raise_no_alarm},
        {"wrong merges are caught and named", wrong_merges_are_caught_and_named},
        {"nothing is named of a right merge", nothing_is_named_of_a_right_merge},
        {"a contradiction between parts is refused", a_contradiction_between_parts_is_refused},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("merge", tests);
}
