/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "evals/tests/house.h"

#include "common/recur.h"
#include "evals/numeric/recur.h"

/* ------------------------------------------------- kernels that see another problem than asked */

static att_status recur_as(const att_problem *p, const att_scratch *s, const att_recur *other)
{
    static const att_recur_way way = {0};
    att_problem changed = *p;

    changed.recur = other;
    return att_recur_run(&changed, &way, s);
}

static att_status forgets(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_recur other = *p->recur;

    (void)self;
    other.state_in.data = other.z_in.data = NULL;
    return recur_as(p, s, &other);
}

static att_status never_ages(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_recur other = *p->recur;

    (void)self;
    if (other.rule == ATT_RULE_RETENTION)
        other.rule = ATT_RULE_LINEAR;
    return recur_as(p, s, &other);
}

static att_status hides_state(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_recur other = *p->recur;

    (void)self;
    other.state_out.data = other.z_out.data = NULL;
    return recur_as(p, s, &other);
}

static att_status idles(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p, (void)s;
    return ATT_OK;
}

/* The state of the case is read anew from where it was, after it was written. */
static att_status writes_early(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_recur *r = p->recur;

    (void)self;
    for (int64_t i = 0; r->state_out.data && i < p->batch * p->heads_kv; i++)
        ((float *)r->state_out
             .data)[att_tensor_at(&r->state_out, i / p->heads_kv, i % p->heads_kv, 0, 0)] = 0.0f;
    return recur_as(p, s, r);
}

/* Takes in the `n` tokens after the last one. */
static int64_t to_32(const att_problem *p)
{
    return (p->kv_len + 31) / 32 * 32;
}

static att_status reads_on(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.tokens = to_32};

    (void)self;
    return att_recur_run(p, &way, s);
}

static att_status half_a_state(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_recur other = *p->recur;
    float *room = calloc((size_t)(p->head_dim * p->value_dim), sizeof *room);
    att_status status = ATT_NO_MEMORY;

    (void)self;
    if (room) {
        other.state_out = att_tensor_dense(room, ATT_F32, 1, 1, p->head_dim, p->value_dim);
        status = recur_as(p, s, &other);
        for (int64_t c = 0; c < p->head_dim / 2 && p->recur->state_out.data; c++)
            for (int64_t d = 0; d < p->value_dim; d++)
                ((float *)
                     p->recur->state_out.data)[att_tensor_at(&p->recur->state_out, 0, 0, c, d)] =
                    room[c * p->value_dim + d];
    }
    free(room);
    return status;
}

/* 1 + x + x^2: based without its half. */
static void write_whole_squares(att_recur_work *w)
{
    const int64_t dk = w->p->head_dim, dv = w->p->value_dim;

    att_recur_write(w);
    for (int64_t c = 1 + dk; c < w->width; c++) {
        w->z[c] += w->k[c];
        att_axpy(w->k[c], w->v, dv, w->s + c * dv);
    }
}

static att_status half_missing(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_recur_way way = {.write = write_whole_squares};

    (void)self;
    return att_recur_run(p, &way, s);
}

#define MADE(of)                                                                                   \
    static const att_kernel of##_kernel = {                                                        \
        .struct_size = sizeof(att_kernel),                                                         \
        .abi = ATT_ABI,                                                                            \
        .name = #of,                                                                               \
        .family = "made",                                                                          \
        .summary = "a recurrence done wrong",                                                      \
        .class_ = ATT_OWN,                                                                         \
        .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},                         \
        .supports = att_recur_supports,                                                            \
        .plan = att_recur_plan,                                                                    \
        .recur = of}
MADE(forgets);
MADE(never_ages);
MADE(hides_state);
MADE(idles);
MADE(writes_early);
MADE(reads_on);
MADE(half_a_state);
MADE(half_missing);

static void open_house(void)
{
    static const att_kernel *const made[] = {
        &forgets_kernel,      &never_ages_kernel,   &hides_state_kernel,
        &idles_kernel,        &writes_early_kernel, &reads_on_kernel,
        &half_a_state_kernel, &half_missing_kernel, NULL};

    house_open(2, made);
}

/* ------------------------------------------------------------------------------- tests */

static void every_rule_is_right_however_it_is_called(void)
{
    static const char *const forms[] = {"quadratic", "recurrent", "chunked", "chunked,chunk=1",
                                        "chunked,chunk=16"};
    static const char *const rules[] = {"linear", "linear_elu1", "retention", "gla",
                                        "delta",  "gated_delta", "ssd",       "based"};
    static const char *const calls[] = {"whole", "by1", "by15", "ragged"};
    char params[128], kernel[64];
    size_t passed = 0;

    for (size_t k = 0; k < 5; k++)
        for (size_t i = 0; i < 8; i++)
            for (size_t c = 0; c < 4; c++) {
                snprintf(kernel, sizeof kernel, "%s{form=%s}", rules[i], forms[k]);
                snprintf(params, sizeof params, "rule=%s calls=%s b=2 hq=6 hkv=3 t=65 dv=24",
                         rules[i], calls[c]);
                att_record r = house_case("recur", kernel, params, 11);
                if (r.status != ATT_PASS)
                    printf("%s: %s\n", r.line, r.reason ? r.reason : "");
                passed += r.status == ATT_PASS;
                att_record_clear(&r);
            }
    CU_ASSERT_EQUAL(passed, 5 * 8 * 4);
}

static void each_rule_is_another_where_the_two_meet(void)
{
    static const char *const rules[] = {"linear", "linear_elu1", "retention", "gla",
                                        "delta",  "gated_delta", "ssd",       "based"};
    static const char *const forms[] = {"quadratic", "recurrent", "chunked"};
    char params[128], kernel[64];
    size_t met[8] = {0};

    for (const recur_limit *l = recur_limits; l->name; l++)
        for (size_t f = 0; f < 3; f++) {
            snprintf(kernel, sizeof kernel, "%s{form=%s}", rules[l->rule], forms[f]);
            snprintf(params, sizeof params, "rule=%s limit=%s t=33 hq=4 hkv=2 calls=by15",
                     rules[l->rule], l->name);
            att_record r = house_case("recur", kernel, params, 11);
            if (r.status != ATT_PASS)
                printf("%s: %s\n", r.line, r.reason ? r.reason : "");
            CU_ASSERT_EQUAL(r.status, ATT_PASS);
            met[l->rule] += r.status == ATT_PASS;
            att_record_clear(&r);
        }
    for (size_t rule = 0; rule < 8; rule++)
        CU_ASSERT(met[rule] >= 3); /* no rule without a limit */
}

static void a_limit_that_the_rule_does_not_have_is_refused(void)
{
    const uint64_t seed = 11;
    att_case *c = NULL;
    att_why why = {""};

    CU_ASSERT_NOT_EQUAL(
        att_case_make(registry, "recur", "gla", "rule=gla limit=idle", &seed, &c, &why), ATT_OK);
    CU_ASSERT_PTR_NULL(c);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "limit=idle"));
}

/* The case fails, and `fault` is the first thing said of it. */
static void is_named(const char *kernel, const char *params, const char *fault)
{
    att_record r = house_case("recur", kernel, params, 11);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_FATAL(r.n_diagnoses > 0);
    CU_ASSERT_STRING_EQUAL(r.diagnoses[0].fault, fault);
    att_record_clear(&r);
}

static void a_state_that_is_not_read_is_named(void)
{
    is_named("forgets", "t=17", "state_forgotten");
    att_record r = house_case("recur", "forgets", "t=17 state=none", 11);
    CU_ASSERT_EQUAL(r.status, ATT_PASS); /* nothing to forget */
    att_record_clear(&r);
}

static void a_decay_that_is_left_out_is_named(void)
{
    is_named("never_ages", "rule=retention hq=2 t=65", "decay_missing");
}

static void a_state_that_is_not_written_is_named(void)
{
    is_named("hides_state", "t=16", "state_never_written");
}

static void a_kernel_that_writes_nothing_fails(void)
{
    att_record r = house_case("recur", "idles", "t=17", 11);
    const att_metric *m = att_record_metric(&r, "nonfinite");

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(m);
    CU_ASSERT(m->value >= 17 * 8);
    att_record_clear(&r);
}

static void passes(const char *kernel, const char *params)
{
    att_record r = house_case("recur", kernel, params, 11);

    if (r.status != ATT_PASS)
        printf("%s: %s\n", r.line, r.reason ? r.reason : "");
    CU_ASSERT_EQUAL(r.status, ATT_PASS);
    att_record_clear(&r);
}

static void a_state_may_be_updated_in_place(void)
{
    static const char *const kernels[] = {"linear_elu1", "linear_elu1{form=recurrent}",
                                          "linear_elu1{form=quadratic}"};

    for (size_t k = 0; k < 3; k++) {
        passes(kernels[k], "rule=linear_elu1 state=same t=33 hq=4 hkv=2 calls=by15");
        passes(kernels[k], "rule=linear_elu1 state=same t=0 layout=padded");
    }
    passes("gated_delta", "rule=gated_delta state=same t=65 calls=ragged layout=reversed");
    passes("writes_early", "state=both t=9");
    att_record r = house_case("recur", "writes_early", "state=same t=9", 11);
    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    att_record_clear(&r);
}

static void a_nan_before_any_state_is_no_error(void)
{
    passes("gated_delta", "b=3 hq=3 t=1 d=16 rule=gated_delta values=nan state=none");
    passes("delta{form=quadratic}", "b=3 hq=3 t=2 rule=delta values=nan state=out");
}

static void sudden_forgetting_is_no_error(void)
{
    passes("gla{form=recurrent}", "rule=gla gates=steep per=channel t=130");
    passes("gla{form=quadratic}", "rule=gla gates=steep per=channel t=130");
    passes("gated_delta", "rule=gated_delta gates=steep t=130 calls=by64");
}

static void accumulators_in_f64_are_no_error_in_many_calls(void)
{
    passes("reference_f64", "t=65 calls=by1");
    passes("reference_f64", "t=65 calls=whole");
}

static void tokens_past_the_end_are_named(void)
{
    is_named("reads_on", "t=17 hq=2", "partial_last_chunk");
    is_named("reads_on", "t=130 calls=ragged rule=gla state=none", "partial_last_chunk");
}

static void a_state_written_in_part_is_named(void)
{
    is_named("half_a_state", "t=16", "state_part_written");
}

static void fails(const char *kernel, const char *params)
{
    att_record r = house_case("recur", kernel, params, 11);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    att_record_clear(&r);
}

static void a_square_without_its_half_fails(void)
{
    fails("half_missing", "rule=based");
    fails("half_missing", "rule=based calls=by1 state=none t=2");
}

static void a_state_of_sixteen_bits_fails_where_it_is_handed_on(void)
{
    fails("zoo:state_in_input_dtype", "dtype=bf16");
    fails("zoo:state_in_input_dtype", "dtype=f16 rule=gla t=65 calls=by15");
    passes("zoo:state_in_input_dtype", "dtype=bf16 state=in");
}

static void decays_split_between_query_and_key_fail_under_strong_gates(void)
{
    fails("zoo:chunk_decay_split", "rule=gla gates=steep t=65");
    fails("zoo:chunk_decay_split", "rule=ssd gates=strong t=65");
}

static void the_zoo_of_this_family_is_named(void)
{
    static const char *const bugs[][2] = {
        {"zoo:partial_last_chunk", "t=17 state=out"},
        {"zoo:block_end_decay", "t=130 rule=retention"},
        {"zoo:block_end_decay", "t=130 rule=gla calls=ragged"},
        {"zoo:normaliser_axis", "t=17 rule=linear_elu1 hq=3"},
        {"zoo:recurrent_missing_norm", "t=65 rule=linear_elu1 calls=ragged"},
        {"zoo:chunk_decay_split", "t=65 rule=gla gates=strong"},
        {"zoo:delta_reads_undecayed", "t=17 rule=gated_delta gates=strong"},
        {"zoo:no_threads_no_cache", "t=1 state=out"}};

    for (size_t i = 0; i < sizeof bugs / sizeof *bugs; i++)
        is_named(bugs[i][0], bugs[i][1], bugs[i][0] + 4);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"every rule is right however it is called", every_rule_is_right_however_it_is_called},
        {"each rule is another where the two meet", each_rule_is_another_where_the_two_meet},
        {"a limit that the rule does not have is refused",
         a_limit_that_the_rule_does_not_have_is_refused},
        {"a square without its half fails", a_square_without_its_half_fails},
        {"a state of sixteen bits fails where it is handed on",
         a_state_of_sixteen_bits_fails_where_it_is_handed_on},
        {"decays split between query and key fail under strong gates",
         decays_split_between_query_and_key_fail_under_strong_gates},
        {"a state that is not read is named", a_state_that_is_not_read_is_named},
        {"a decay that is left out is named", a_decay_that_is_left_out_is_named},
        {"a state that is not written is named", a_state_that_is_not_written_is_named},
        {"a kernel that writes nothing fails", a_kernel_that_writes_nothing_fails},
        {"a state may be updated in place", a_state_may_be_updated_in_place},
        {"a NaN before any state is no error", a_nan_before_any_state_is_no_error},
        {"sudden forgetting is no error", sudden_forgetting_is_no_error},
        {"accumulators in f64 are no error in many calls",
         accumulators_in_f64_are_no_error_in_many_calls},
        {"tokens past the end are named", tokens_past_the_end_are_named},
        {"a state written in part is named", a_state_written_in_part_is_named},
        {"the zoo of this family is named", the_zoo_of_this_family_is_named},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};
    return att_suite_run("recur", tests);
}
