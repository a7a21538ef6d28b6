/* SPDX-License-Identifier: Apache-2.0 */
/* A baseline and a run that begin equal, to be changed and judged. */
#ifndef ATT_MADE_GATE_H
#define ATT_MADE_GATE_H

#include "base/tests/suite.h"
#include "core/exit.h"
#include "gate/gate.h"
#include "made.h"

static const char rules[] =
    "{\"schema_version\": \"1.0\", \"name\": \"t\", \"alpha\": 0.001, \"confidence\": 0.95, "
    "\"family\": \"kernel\", \"required\": [{\"cases\": \"*must*\"}], \"advisory\": [{\"cases\": "
    "\"soft*\", \"kind\": \"worse\"}], \"margins\": [{\"cases\": \"margin*\", \"margin\": 0.02}], "
    "\"scores\": [{\"cases\": \"score*\", \"margin\": 0.1}], "
    "\"tolerances\": [{\"cases\": \"*\", \"metric\": \"*\", \"tolerance\": 0.5}], \"flips\": "
    "[{\"cases\": \"flip*\", \"epsilon\": 0.5}]}";

/* Two results that begin equal: change `is`, then judge. */
typedef struct bench {
    att_result was, is;
    att_baseline baseline;
    att_policy policy;
    att_waivers waivers;
    att_gate gate;
    bool undone;
} bench;

/* The same case on both sides, passing; the run's. */
static inline att_record *add(bench *b, const char *measure, const char *kernel, const char *params)
{
    made_record(&b->was, measure, kernel, params, 1, ATT_PASS);
    return made_record(&b->is, measure, kernel, params, 1, ATT_PASS);
}

/* Items: n of them, the baseline's all hit; the run misses the first `lost`. */
static inline void add_items(bench *b, const char *measure, const char *params, size_t n,
                             size_t lost, size_t won)
{
    char was[201], is[201];

    for (size_t i = 0; i < n; i++) {
        was[i] = i >= n - won ? '0' : '1';
        is[i] = i < lost ? '0' : '1';
    }
    was[n] = is[n] = '\0';
    made_items(made_record(&b->was, measure, "a", params, 1, ATT_PASS), was, 1);
    made_items(made_record(&b->is, measure, "a", params, 1, ATT_PASS), is, 1);
}

static inline int judge(bench *b)
{
    att_why why = {""};

    att_gate_drop(&b->gate);
    att_baseline_drop(&b->baseline);
    att_policy_drop(&b->policy);
    CU_ASSERT_EQUAL_FATAL(att_policy_parse(rules, strlen(rules), "rules", &b->policy, &why),
                          ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_baseline_make(&b->was, NULL, NULL, &b->baseline, &why), ATT_OK);
    const att_gate_ask ask = {.result = &b->is,
                              .done = !b->undone,
                              .baseline = &b->baseline,
                              .policy = &b->policy,
                              .waivers = &b->waivers,
                              .today = "2030-06-15"};
    CU_ASSERT_EQUAL_FATAL(att_gate_judge(&ask, &b->gate, &why), ATT_OK);
    return b->gate.code;
}

static inline bench make(void)
{
    return (bench){.was = made_result(), .is = made_result()};
}

static inline void drop(bench *b)
{
    att_gate_drop(&b->gate);
    att_baseline_drop(&b->baseline);
    att_policy_drop(&b->policy);
    att_waivers_drop(&b->waivers);
    att_result_clear(&b->was);
    att_result_clear(&b->is);
}

/* The first entry; an empty one where there is none. */
static inline att_gate_entry top(const bench *b)
{
    static const att_finding none = {.kind = ATT_GATE_KINDS};

    return b->gate.n_entries ? b->gate.entries[0] : (att_gate_entry){.first = &none};
}

#endif
