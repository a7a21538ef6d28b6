/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/tests/suite.h"
#include "core/record.h"

/* What a record prints; free() it. */
static char *printed(const att_record *r)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    att_record_print(r, f);
    fclose(f);
    return text;
}

static att_status parsed(const char *text, att_record *out, att_why *why)
{
    cJSON *tree = NULL;
    att_status st = att_json_parse(text, strlen(text), "test", &tree, why);

    if (!st)
        st = att_record_parse(tree, out, why);
    cJSON_Delete(tree);
    return st;
}

/* Something, or nothing. */
static char *maybe(att_rng *rng, const char *text)
{
    return att_rng_below(rng, 2) ? strdup(text) : NULL;
}

static double number(att_rng *rng)
{
    static const double odd[] = {0.0, 1.0000000000000002, 1e308, 4.9e-324, INFINITY, -INFINITY};
    uint64_t k = att_rng_below(rng, 12);
    return k < 6 ? odd[k] : att_rng_normal(rng);
}

static double maybe_number(att_rng *rng)
{
    return att_rng_below(rng, 2) ? number(rng) : NAN;
}

static att_record random_record(att_rng *rng)
{
    att_record r = {.id = strdup("lm.needle plugin:'./it'\\''s.so'#k n=3"),
                    .measure = strdup("lm.needle"),
                    .kernel = strdup("plugin:'./it s.so'#k"),
                    .family = maybe(rng, "control"),
                    .params = maybe(rng, "n=3"),
                    .reason = maybe(rng, "a \"quoted\"\n\tline \xc3\xa9"),
                    .smallest = maybe(rng, "parity naive_blas seed=3"),
                    .seed = att_rng_below(rng, (uint64_t)1 << 53),
                    .class_ = (int32_t)att_rng_below(rng, 3),
                    .margin = att_rng_below(rng, 2) ? 0.02 : 0.0,
                    .required = att_rng_below(rng, 2),
                    .status = (att_outcome)att_rng_below(rng, ATT_OUTCOMES),
                    .signal = (int)att_rng_below(rng, 2) * 11,
                    .chance = maybe_number(rng),
                    .seconds = att_rng_unit(rng),
                    .kernel_seconds = att_rng_unit(rng),
                    .oracle_seconds = (double)att_rng_below(rng, 2),
                    .peak_bytes = (int64_t)att_rng_below(rng, 2) << 40};
    r.n_metrics = att_rng_below(rng, 4);
    r.n_items = att_rng_below(rng, 5);
    r.n_diagnoses = att_rng_below(rng, 3);
    r.metrics = calloc(4, sizeof *r.metrics);
    r.items = calloc(5, sizeof *r.items);
    r.diagnoses = calloc(3, sizeof *r.diagnoses);
    for (size_t i = 0; i < r.n_metrics; i++)
        r.metrics[i] = (att_metric){.name = strdup("ratio"),
                                    .unit = maybe(rng, "nats"),
                                    .better = (att_better)((int)att_rng_below(rng, 3) - 1),
                                    .value = att_rng_below(rng, 5) ? number(rng) : NAN,
                                    .n = (int64_t)att_rng_below(rng, 3),
                                    .lo = maybe_number(rng),
                                    .hi = maybe_number(rng),
                                    .limit = maybe_number(rng),
                                    .baseline = maybe_number(rng),
                                    .verdict = (int)att_rng_below(rng, 3) - 1};
    for (size_t i = 0; i < r.n_items; i++)
        r.items[i] = (att_item){.hit = (uint8_t)att_rng_below(rng, 2),
                                .cluster = (int32_t)att_rng_below(rng, 3) - 1,
                                .score = maybe_number(rng),
                                .at = maybe_number(rng),
                                .note = maybe(rng, "the \\ note")};
    for (size_t i = 0; i < r.n_diagnoses; i++)
        r.diagnoses[i] = (att_diagnosis){.fault = strdup("causal_top_left"),
                                         .text = maybe(rng, "mask"),
                                         .ratio = maybe_number(rng)};
    return r;
}

static bool same_real(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void what_is_printed_parses_to_the_same(void)
{
    att_rng rng = att_rng_make(3, "records");

    for (int i = 0; i < 500; i++) {
        att_record a = random_record(&rng), b = {0};
        att_why why = {""};
        char *text = printed(&a);
        CU_ASSERT_PTR_NULL(strchr(text, '\n'));
        CU_ASSERT_EQUAL_FATAL(parsed(text, &b, &why), ATT_OK);
        char *again = printed(&b);
        CU_ASSERT_STRING_EQUAL(text, again);
        CU_ASSERT(a.seed == b.seed && a.class_ == b.class_ && a.margin == b.margin);
        CU_ASSERT(a.required == b.required && a.status == b.status && a.signal == b.signal);
        CU_ASSERT(a.peak_bytes == b.peak_bytes && a.seconds == b.seconds);
        CU_ASSERT(a.kernel_seconds == b.kernel_seconds && a.oracle_seconds == b.oracle_seconds);
        CU_ASSERT(same_real(a.chance, b.chance) && same_text(a.reason, b.reason));
        CU_ASSERT(same_text(a.smallest, b.smallest) && same_text(a.family, b.family));
        CU_ASSERT(same_text(a.id, b.id) && same_text(a.kernel, b.kernel));
        CU_ASSERT(same_text(a.params, b.params) && same_text(a.measure, b.measure));
        CU_ASSERT_FATAL(a.n_metrics == b.n_metrics && a.n_items == b.n_items &&
                        a.n_diagnoses == b.n_diagnoses);
        for (size_t k = 0; k < a.n_metrics; k++) {
            const att_metric *x = &a.metrics[k], *y = &b.metrics[k];
            CU_ASSERT(same_real(x->value, y->value) && same_real(x->limit, y->limit));
            CU_ASSERT(same_real(x->lo, y->lo) && same_real(x->hi, y->hi));
            CU_ASSERT(x->verdict == y->verdict && x->better == y->better && x->n == y->n);
            CU_ASSERT(same_real(x->baseline, y->baseline) && same_text(x->unit, y->unit));
        }
        for (size_t k = 0; k < a.n_items; k++) {
            const att_item *x = &a.items[k], *y = &b.items[k];
            CU_ASSERT(x->hit == y->hit && x->cluster == y->cluster && same_text(x->note, y->note));
            CU_ASSERT(same_real(x->score, y->score) && same_real(x->at, y->at));
        }
        free(again);
        free(text);
        att_record_clear(&a);
        att_record_clear(&b);
    }
}

static void keys_are_sorted(void)
{
    att_rng rng = att_rng_make(4, "records");
    att_record r = random_record(&rng);
    char *text = printed(&r);
    cJSON *tree = NULL;
    const char *before = "";

    CU_ASSERT_EQUAL_FATAL(att_json_parse(text, strlen(text), "test", &tree, NULL), ATT_OK);
    for (const cJSON *c = tree->child; c; c = c->next) {
        CU_ASSERT(strcmp(before, c->string) < 0);
        before = c->string;
    }
    cJSON_Delete(tree);
    free(text);
    att_record_clear(&r);
}

static void a_quote_in_the_line_survives_a_shell(void)
{
    att_record r = {.id = strdup("m k a='x y'"), .seed = 7, .chance = NAN};
    char *text = printed(&r);

    CU_ASSERT_PTR_NOT_NULL(strstr(text, "attest repro 'm k a='\\\\''x y'\\\\'' seed=7'"));
    free(text);
    att_record_clear(&r);
}

static void damage_is_named(void)
{
#define HEAD "{\"id\": \"m k\", \"eval\": \"m\", \"kernel\": \"k\", \"seed\": 1, \"status\": "
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"[1]", "object"},
        {"{\"id\": 3}", "\"id\""},
        {"{\"id\": \"m k\", \"eval\": \"m\", \"kernel\": \"k\", \"status\": \"pass\"}", "\"seed\""},
        {HEAD "\"passed\"}", "\"status\""},
        {HEAD "\"pass\", \"required\": 1}", "\"required\""},
        {HEAD "\"pass\", \"class\": \"X\"}", "\"class\""},
        {HEAD "\"pass\", \"signal\": -1}", "\"signal\""},
        {HEAD "\"pass\", \"time\": \"long\"}", "\"time\""},
        {HEAD "\"pass\", \"metrics\": {}}", "\"metrics\""},
        {HEAD "\"pass\", \"metrics\": [{\"name\": \"a\"}]}", "\"value\""},
        {HEAD "\"pass\", \"metrics\": [{\"name\": \"a\", \"value\": 1, \"ci\": [1]}]}", "\"ci\""},
        {HEAD "\"pass\", \"items\": {\"hit\": \"012\"}}", "\"hit\""},
        {HEAD "\"pass\", \"items\": {\"hit\": \"\"}}", "\"hit\""},
        {HEAD "\"pass\", \"items\": {\"hit\": \"01\", \"score\": [1]}}", "\"score\""},
        {HEAD "\"pass\", \"items\": {\"hit\": \"01\", \"cluster\": [1, 0.5]}}", "\"cluster\""},
        {HEAD "\"pass\", \"items\": {\"hit\": \"0\", \"note\": [1]}}", "\"note\""},
        {HEAD "\"pass\", \"diagnosis\": [{\"ratio\": 1}]}", "\"fault\""},
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        att_record r = {.seed = 99};
        att_why why = {""};
        CU_ASSERT_EQUAL(parsed(bad[i].text, &r, &why), ATT_CORRUPT);
        CU_ASSERT_PTR_NOT_NULL(strstr(why.text, bad[i].word));
        CU_ASSERT(r.seed == 99 && r.id == NULL);
    }
}

static void unknown_members_of_a_later_minor_are_passed_over(void)
{
    att_record r = {0};

    CU_ASSERT_EQUAL_FATAL(parsed(HEAD "\"fail\", \"weather\": {}}", &r, NULL), ATT_OK);
    CU_ASSERT_EQUAL(r.status, ATT_FAIL);
    CU_ASSERT_STRING_EQUAL(r.line, "m k seed=1");
    att_record_clear(&r);
}

static void parameters_are_found_unquoted(void)
{
    att_record r = {.params = strdup("b=2 text='a b' tb=3")};
    char out[16] = "";

    CU_ASSERT(att_record_param(&r, "text", out, sizeof out));
    CU_ASSERT_STRING_EQUAL(out, "a b");
    CU_ASSERT(att_record_param(&r, "b", out, sizeof out));
    CU_ASSERT_STRING_EQUAL(out, "2");
    CU_ASSERT_FALSE(att_record_param(&r, "t", out, sizeof out));
    att_record_clear(&r);
}

static void every_outcome_has_its_own_name(void)
{
    for (int i = 0; i < ATT_OUTCOMES; i++)
        CU_ASSERT_EQUAL(att_outcome_named(att_outcome_name((att_outcome)i)), i);
    CU_ASSERT_EQUAL(att_outcome_named("passed"), -1);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"what_is_printed_parses_to_the_same", what_is_printed_parses_to_the_same},
        {"keys_are_sorted", keys_are_sorted},
        {"a_quote_in_the_line_survives_a_shell", a_quote_in_the_line_survives_a_shell},
        {"damage_is_named", damage_is_named},
        {"unknown_members_of_a_later_minor_are_passed_over",
         unknown_members_of_a_later_minor_are_passed_over},
        {"parameters_are_found_unquoted", parameters_are_found_unquoted},
        {"every_outcome_has_its_own_name", every_outcome_has_its_own_name},
        CU_TEST_INFO_NULL};
    return att_suite_run("record", tests);
}
