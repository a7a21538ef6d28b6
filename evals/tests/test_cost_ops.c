/* SPDX-License-Identifier: Apache-2.0 */
/* Costs of what is no attend: recurrences, sessions, mixes. */
#include "evals/tests/house.h"

#include "base/heap.h"

/* Kernels of the table that declare otherwise than they do. */
static att_kernel halved, modest, boasting, sparser;
static const att_kernel *delta, *cache, *nsa;

static att_status halved_cost(const att_kernel *self, const att_problem *p, const att_value *params,
                              att_cost *out)
{
    const att_status status = delta->cost(self, p, params, out);
    out->flops_useful /= 2;
    out->state_bytes /= 2;
    return status;
}

static att_status sparser_cost(const att_kernel *self, const att_problem *p,
                               const att_value *params, att_cost *out)
{
    const att_status status = nsa->cost(self, p, params, out);
    out->k_rows /= 2;
    out->v_rows /= 2;
    return status;
}

static att_status modest_cost(const att_kernel *self, const att_problem *p, const att_value *params,
                              att_cost *out)
{
    const att_status status = cache->cost(self, p, params, out);
    out->state_bytes /= 4;
    return status;
}

static att_status boasting_cost(const att_kernel *self, const att_problem *p,
                                const att_value *params, att_cost *out)
{
    const att_status status = cache->cost(self, p, params, out);
    out->state_bytes *= 4;
    return status;
}

static att_kernel otherwise(const att_kernel *k, const char *name,
                            att_status (*cost)(const att_kernel *, const att_problem *,
                                               const att_value *, att_cost *))
{
    att_kernel other = *k;
    other.name = name;
    other.cost = cost;
    return other;
}

static void open_house(void)
{
    static const att_kernel *const made[] = {&halved, &modest, &sparser, &boasting, NULL};
    const att_kernel *const *k = att_kernel_table(NULL)->kernels;

    for (; *k; k++) {
        delta = strcmp((*k)->name, "delta") == 0 ? *k : delta;
        cache = strcmp((*k)->name, "kv_cache") == 0 ? *k : cache;
        nsa = strcmp((*k)->name, "nsa") == 0 ? *k : nsa;
    }
    CU_ASSERT_FATAL(delta && cache && nsa);
    sparser = otherwise(nsa, "sparser", sparser_cost);
    halved = otherwise(delta, "halved", halved_cost);
    modest = otherwise(cache, "modest", modest_cost);
    boasting = otherwise(cache, "boasting", boasting_cost);
    house_open(2, made);
}

static double number(const att_record *r, const char *metric)
{
    const att_metric *m = att_record_metric(r, metric);

    return m ? m->value : (double)NAN;
}

/* One case of a task; the value of a metric it records. */
static att_outcome outcome_of(const char *task, const char *kernel, const char *params,
                              const char *metric, double *value)
{
    att_record r = house_case(task, kernel, params, 3);
    const att_outcome status = r.status;

    *value = number(&r, metric);
    if (status == ATT_FAIL)
        printf("%s %s: %s\n", kernel, params, r.reason);
    att_record_clear(&r);
    return status;
}

static void a_recurrence_costs_what_its_rule_says(void)
{
    static const char *const rules[] = {"linear", "linear_elu1", "retention", "gla",
                                        "delta",  "gated_delta", "ssd",       "based"};
    double value;

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        char params[96];
        snprintf(params, sizeof params, "b=2 hq=4 hkv=2 sk=21 d=8 dv=12 rule=%s", rules[i]);
        CU_ASSERT_EQUAL(outcome_of("cost.recur", rules[i], params, "k_rows", &value), ATT_PASS);
        CU_ASSERT_EQUAL(value, 2 * 2 * 21);
    }
    CU_ASSERT_EQUAL(outcome_of("cost.recur", "halved", "sk=21 rule=delta", "flops_off", &value),
                    ATT_FAIL);
    CU_ASSERT_EQUAL(value, 0.5);
    CU_ASSERT_EQUAL(outcome_of("cost.recur", "flash_f32", "sk=21", "k_rows", &value), ATT_HOLE);
}

static void a_mix_reads_what_its_kind_says(void)
{
    static const struct {
        const char *kernel, *params;
        double k, v;
    } cases[] = {
        {"differential", "b=2 hq=4 hkv=2 sq=5 sk=40 d=8 causal=br kind=differential", 160, 160},
        {"differential", "hq=4 hkv=2 sq=1 sk=40 d=8 causal=br wl=7 kind=differential", 16, 16},
        {"gated", "b=2 hq=2 sq=3 sk=40 d=8 dv=12 causal=none kind=gated", 160, 160},
        {"gated", "hq=2 sq=3 sk=40 d=8 causal=tl kind=gated", 6, 6},
        {"forgetting", "hq=4 hkv=1 sq=3 sk=40 d=8 causal=br wl=9 kind=forgetting", 12, 12},
        {"nsa", "hq=4 hkv=2 sq=3 sk=70 d=8 causal=br kind=nsa keep=3", 140, 140},
        {"nsa", "hq=4 hkv=2 sq=1 sk=70 d=8 dtype=bf16 causal=br kind=nsa side=16 near=5", 140, 140},
        {"knn_gated", "hq=2 sq=1 sk=70 d=8 causal=br kind=memory keep=3 near=5", 140, 16},
    };
    double k, v;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CU_ASSERT_EQUAL(outcome_of("cost.mix", cases[i].kernel, cases[i].params, "k_rows", &k),
                        ATT_PASS);
        CU_ASSERT_EQUAL(outcome_of("cost.mix", cases[i].kernel, cases[i].params, "v_rows", &v),
                        ATT_PASS);
        CU_ASSERT_EQUAL(k, cases[i].k);
        CU_ASSERT_EQUAL(v, cases[i].v);
    }
    CU_ASSERT_EQUAL(outcome_of("cost.mix", "flash_f32", "sk=21", "k_rows", &k), ATT_HOLE);
}

static void a_mix_that_reads_more_than_it_declares_is_caught_and_named(void)
{
    att_record r = house_case("cost.mix", "sparser",
                              "hq=2 sq=1 sk=70 d=8 causal=br kind=nsa side=8 keep=2 near=5", 3);

    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_EQUAL(number(&r, "undeclared"), 2 * 2 * (70 - 35));
    CU_ASSERT_EQUAL(r.n_diagnoses, 1);
    CU_ASSERT_STRING_EQUAL(r.diagnoses[0].fault, "reads_everything");
    att_record_clear(&r);
}

static void a_session_holds_what_it_declares(void)
{
    const char *params = "b=2 hq=4 hkv=2 sq=3 sk=200 d=32";
    const bool counts = att_heap_counts();
    double value;

    CU_ASSERT_EQUAL(outcome_of("cost.held", "kv_cache", params, "unheld", &value),
                    counts ? ATT_PASS : ATT_HOLE);
    if (!counts)
        return;
    CU_ASSERT_EQUAL(outcome_of("cost.held", "kv_ring", "b=2 hq=4 hkv=2 sq=3 sk=200 d=32 wl=9",
                               "held_ratio", &value),
                    ATT_PASS);
    CU_ASSERT_EQUAL(outcome_of("cost.held", "modest", params, "held_ratio", &value), ATT_FAIL);
    CU_ASSERT(value > 3);
    CU_ASSERT_EQUAL(outcome_of("cost.held", "boasting", params, "unheld", &value), ATT_FAIL);
    CU_ASSERT(value > 0);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the house opens", open_house},
        {"a recurrence costs what its rule says", a_recurrence_costs_what_its_rule_says},
        {"a mix reads what its kind says", a_mix_reads_what_its_kind_says},
        {"a mix that reads more than it declares is caught and named",
         a_mix_that_reads_more_than_it_declares_is_caught_and_named},
        {"a session holds what it declares", a_session_holds_what_it_declares},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("cost of other operators", tests);
}
