/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels run through parity's covering cases, kind by kind as the suites have them. */
#ifndef ATT_PARITY_SWEEP_H
#define ATT_PARITY_SWEEP_H

#include "core/cover.h"
#include "evals/tests/house.h"

/* The arrays of the kinds, made once: features at friendly shapes, shapes alone, everything, few
 * queries, long rows, packed and paged batches. */
#define KINDS 7
static att_cover_cases kinds[KINDS];

static void close_kinds(void)
{
    for (size_t k = 0; k < KINDS; k++)
        att_cover_cases_drop(&kinds[k]);
    house_close();
}

/* The covering cases of one kind of row (as the suites have them), each once through `visit`; stops
 * when that says so. */
typedef struct sweep {
    const char *const *kernels; /* ends with NULL */
    size_t measured, failed;
    bool until_failed;
} sweep;

static const char *const plain_levels[][2] = {
    {"mask", "none"},   {"bias", "none"}, {"block", "none"}, {"lens", "none"}, {"store", "dense"},
    {"layout", "bhsd"}, {"softcap", "0"}, {"sinks", "none"}, {"alibi", "none"}};
static const char *const feature_levels[][2] = {{"b", "1 2"},
                                                {"hq", "2 6 12"},
                                                {"hkv", "0 1 2"},
                                                {"sq", "1 17 38"},
                                                {"sk", "17 65"},
                                                {"d", "8 40"},
                                                {"dv", "0"},
                                                {"mask", "none heads rows"},
                                                {"bias", "none heads"},
                                                {"block", "none heads rows"},
                                                {"store", "dense packed"},
                                                {"values", "normal coded"},
                                                {"threads", "1"}};

static const char *const decode_levels[][2] = {{"b", "1 3"},
                                               {"hq", "6 2 12"},
                                               {"hkv", "1 2 0"},
                                               {"sq", "1 2 3"},
                                               {"sk", "17 65 129"},
                                               {"d", "8 40"},
                                               {"dv", "0"},
                                               {"wl", "-1 7"},
                                               {"wr", "-1 0"},
                                               {"mask", "none heads ones column"},
                                               {"bias", "none heads full"},
                                               {"block", "none"},
                                               {"softcap", "0 2"},
                                               {"sinks", "none mixed"},
                                               {"lens", "none keys"},
                                               {"values", "normal coded late captured"},
                                               {"threads", "1 2"}};
static const char *const long_levels[][2] = {{"b", "1"},
                                             {"hq", "1 2"},
                                             {"hkv", "0 1"},
                                             {"sq", "1 17"},
                                             {"sk", "2305 4096"},
                                             {"d", "8 40"},
                                             {"dv", "0"},
                                             {"wl", "-1"},
                                             {"wr", "-1"},
                                             {"mask", "none"},
                                             {"bias", "none"},
                                             {"block", "none"},
                                             {"softcap", "0 50"},
                                             {"sinks", "none low"},
                                             {"lens", "none"},
                                             {"store", "dense page16"},
                                             {"layout", "bhsd bshd"},
                                             {"values", "late normal coded ramp"},
                                             {"threads", "1 2"}};
static const char *const packed_levels[][2] = {{"b", "2 3"},
                                               {"hq", "6 2"},
                                               {"hkv", "1 2 0"},
                                               {"sq", "3 2 17 38"},
                                               {"sk", "17 65 129"},
                                               {"d", "8 40"},
                                               {"dv", "0"},
                                               {"wl", "-1"},
                                               {"wr", "-1"},
                                               {"mask", "none ones"},
                                               {"bias", "none"},
                                               {"block", "none"},
                                               {"softcap", "0"},
                                               {"sinks", "none mixed"},
                                               {"lens", "none keys both"},
                                               {"store", "packed page32"},
                                               {"layout", "bhsd bshd padded"},
                                               {"values", "normal coded"},
                                               {"threads", "1 2"}};

static const char *const quant_levels[][2] = {
    {"b", "1 2"},
    {"hq", "2 6"},
    {"hkv", "0 1 2"},
    {"sq", "1 9"},
    {"sk", "17 65"},
    {"d", "8 40 64"},
    {"dv", "0"},
    {"wl", "-1"},
    {"wr", "-1"},
    {"mask", "none heads"},
    {"bias", "none"},
    {"block", "none"},
    {"softcap", "0 2"},
    {"sinks", "none mixed"},
    {"lens", "none keys"},
    {"store", "dense packed page16"},
    {"layout", "bhsd bshd padded reversed"},
    {"values", "normal coded constant ramp"},
    {"threads", "1"},
    {"quant", "i8tok i8chan i8group i8run q8_0 q4_0 e4m3 e5m2 kivi i8k_q4v e5k_i8v"}};

static void sweep_case(const char *params, uint64_t seed, sweep *s)
{
    for (size_t k = 0; s->kernels[k]; k++) {
        att_record r = house_case("parity", s->kernels[k], params, seed);
        s->measured += r.status == ATT_PASS || r.status == ATT_FAIL;
        if (r.status != ATT_PASS && r.status != ATT_HOLE) {
            if (!s->until_failed)
                printf("%s: %s\n", r.reason ? r.reason : "", r.line);
            s->failed++;
        }
        att_record_clear(&r);
    }
}

static void sweep_rows(const att_cover_cases *cases, uint64_t seed, sweep *s)
{
    const att_param *params = att_registry_eval(registry, "parity", NULL)->params;

    for (size_t n = 0; n < cases->count && !(s->until_failed && s->failed); n++) {
        char text[1024] = "";
        size_t length = 0;
        for (size_t i = 0; i < cases->params; i++)
            length += (size_t)snprintf(text + length, sizeof text - length, "%s%s=%s", i ? " " : "",
                                       params[i].name, cases->value[n * cases->params + i]);
        sweep_case(text, seed, s);
    }
}

/* strong: parameters of which triples are covered too; NULL = none. */
static void make_kind(const char *const levels[][2], size_t n, const char *strong,
                      att_cover_cases *out)
{
    const att_eval *parity = att_registry_eval(registry, "parity", NULL);
    const char *chosen[64] = {NULL};
    att_why why = {""};

    for (size_t i = 0; parity->params[i].name; i++)
        for (size_t l = 0; l < n; l++)
            if (strcmp(parity->params[i].name, levels[l][0]) == 0)
                chosen[i] = levels[l][1];
    CU_ASSERT_EQUAL_FATAL(
        att_cover_params(parity->params, chosen, strong, parity->covers, 9001, out, &why), ATT_OK);
}

static void make_kinds(void)
{
    make_kind(feature_levels, sizeof feature_levels / sizeof *feature_levels, NULL, &kinds[0]);
    make_kind(plain_levels, sizeof plain_levels / sizeof *plain_levels, NULL, &kinds[1]);
    make_kind(NULL, 0, NULL, &kinds[2]);
    make_kind(decode_levels, sizeof decode_levels / sizeof *decode_levels, NULL, &kinds[3]);
    make_kind(long_levels, sizeof long_levels / sizeof *long_levels, NULL, &kinds[4]);
    make_kind(packed_levels, sizeof packed_levels / sizeof *packed_levels, "b mask store lens",
              &kinds[5]);
    make_kind(quant_levels, sizeof quant_levels / sizeof *quant_levels, NULL, &kinds[6]);
    for (size_t k = 0; k < KINDS; k++)
        CU_ASSERT(kinds[k].count >= 8);
}

static sweep sweep_kernels(const char *const *kernels, bool until_failed)
{
    sweep s = {.kernels = kernels, .until_failed = until_failed};

    for (size_t k = 0; k < (until_failed ? KINDS : 2); k++)
        sweep_rows(&kinds[k], 9001 + k, &s);
    return s;
}

#endif
