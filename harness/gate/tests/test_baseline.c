/* SPDX-License-Identifier: Apache-2.0 */
/* Baselines: what is kept, in which bytes, and what is refused. */
#include <unistd.h>

#include "base/str.h"
#include "base/tests/suite.h"
#include "gate/baseline.h"
#include "made.h"

static char path[] = "/tmp/att_baseline_XXXXXX";

static void add_declaration(att_result *r, const char *kernel)
{
    r->declarations = realloc(r->declarations, (r->n_declarations + 1) * sizeof *r->declarations);
    if (!r->declarations)
        abort();
    r->declarations[r->n_declarations++] =
        (att_declaration){.kernel = strdup(kernel), .acc = ATT_F32, .prob = ATT_DTYPES, .out = 0};
}

/* Two seeds of a probe, one of parity, a hole; in this order or the other. */
static att_result made(bool turned)
{
    att_result r = made_result();

    for (int k = 0; k < 4; k++) {
        const int i = turned ? 3 - k : k;
        if (i == 0 || i == 1)
            made_items(
                made_record(&r, "probe.needle", "a{k=2}", "len=64", (uint64_t)i + 1, ATT_PASS),
                i ? "11011" : "10111", 2);
        if (i == 2) {
            att_record *p = made_record(&r, "parity", "a{k=2}", "d=8", 1, ATT_PASS);
            made_metric(p, "ratio", "ratio", 0.123456789, 1);
            made_metric(p, "nonfinite", "count", 0, 0);
            made_metric(p, "max_abs", "", 3, NAN);
        }
        if (i == 3)
            made_record(&r, "parity", "a{k=2}", "d=9", 1, ATT_HOLE);
    }
    add_declaration(&r, "a{k=2}");
    return r;
}

/* `kept`: whose scores are. */
static att_baseline baseline_with(bool turned, const char *kept)
{
    att_result r = made(turned);
    att_baseline all = {0}, out = {0};
    size_t taken = 0;

    CU_ASSERT_EQUAL_FATAL(att_baseline_make(&r, NULL, NULL, &all, NULL), ATT_OK);
    att_baseline_keep_scores(&all, kept);
    CU_ASSERT_EQUAL_FATAL(att_baseline_accept(&out, &all, NULL, "first", &taken), ATT_OK);
    CU_ASSERT_EQUAL(taken, 3);
    att_baseline_drop(&all);
    att_result_clear(&r);
    return out;
}

static att_baseline baseline_of(bool turned)
{
    return baseline_with(turned, "lm.*");
}

static char *bytes_of(const att_baseline *b)
{
    size_t length = 0;
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(att_baseline_write(b, path, &why), ATT_OK);
    char *text = att_file_read(path, 1 << 20, &length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

static void equal_results_give_equal_bytes_in_whatever_order(void)
{
    att_baseline a = baseline_of(false), b = baseline_of(true), c = {0};
    att_why why = {""};
    char *x = bytes_of(&a), *y = bytes_of(&b);

    CU_ASSERT_STRING_EQUAL(x, y);
    CU_ASSERT_EQUAL_FATAL(att_baseline_read(path, &c, &why), ATT_OK);
    char *z = bytes_of(&c);
    CU_ASSERT_STRING_EQUAL(x, z);
    CU_ASSERT_PTR_NOT_NULL(strstr(x,
                                  "\n{\"id\": \"parity a{k=2} d=8\", \"runs\": [{\"metrics\": "
                                  "{\"ratio\": 0.1235}, \"seed\": 1, \"status\": \"pass\"}]},\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(x, "{\"hits\": \"b8\", \"n\": 5, "));
    free(x);
    free(y);
    free(z);
    att_baseline_drop(&a);
    att_baseline_drop(&b);
    att_baseline_drop(&c);
}

static void what_comes_back_is_who_was_hit(void)
{
    att_baseline a = baseline_of(false), b = {0};
    att_why why = {""};

    free(bytes_of(&a));
    CU_ASSERT_EQUAL_FATAL(att_baseline_read(path, &b, &why), ATT_OK);
    const att_baseline_case *c = att_baseline_find(&b, "probe.needle a{k=2} len=64");
    CU_ASSERT_PTR_NOT_NULL_FATAL(c);
    const att_baseline_run *run = att_baseline_seed(c, 2);
    CU_ASSERT_PTR_NOT_NULL_FATAL(run);
    CU_ASSERT_EQUAL_FATAL(run->record.n_items, 5);
    for (size_t i = 0; i < 5; i++)
        CU_ASSERT_EQUAL(run->record.items[i].hit, i != 2);
    CU_ASSERT_STRING_EQUAL(run->record.kernel, "a{k=2}");
    CU_ASSERT_STRING_EQUAL(run->record.measure, "probe.needle");
    CU_ASSERT_PTR_NULL(att_baseline_seed(c, 3));
    CU_ASSERT_PTR_NULL(att_baseline_find(&b, "probe.needle a{k=2} len=65"));
    att_baseline_drop(&a);
    att_baseline_drop(&b);
}

static void scores_come_back_where_they_are_kept(void)
{
    att_baseline a = baseline_with(false, "probe.*"), b = {0};
    att_why why = {""};

    a.cases[2].runs[0].record.items[1].score = NAN;
    char *text = bytes_of(&a);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"scores\": [1, null, 1, 1, 1]"));
    CU_ASSERT_EQUAL_FATAL(att_baseline_read(path, &b, &why), ATT_OK);
    CU_ASSERT_TRUE(isnan(b.cases[2].runs[0].record.items[1].score));
    CU_ASSERT_EQUAL(b.cases[2].runs[1].record.items[2].score, -1);
    free(text);
    att_baseline_drop(&a);
    att_baseline_drop(&b);
}

/* A baseline whose one case line is `line`; reading it must fail with `said`. */
static void refused(const char *line, const char *said)
{
    char text[1024];
    att_baseline b = {0};
    att_why why = {""};

    snprintf(text, sizeof text,
             "{\n\"cases\": [\n%s\n],\n\"kernels\": [],\n\"reason\": \"r\",\n"
             "\"schema_version\": \"1.0\",\n\"suite\": \"s\"\n}\n",
             line);
    CU_ASSERT_EQUAL(att_baseline_parse(text, strlen(text), "f", &b, &why), ATT_CORRUPT);
    if (!strstr(why.text, said))
        printf("%s\n  said: %s\n", line, why.text);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, said));
}

static void what_is_wrong_is_said_with_its_line(void)
{
#define RUN "\"runs\": [{\"seed\": 1, \"status\": \"pass\"}]}"
    refused("{\"id\": \"a b\", " RUN ",\n{\"id\": \"a b\", " RUN, "f:4: case 'a b' is there twice");
    refused("{\"id\": \"b b\", " RUN ",\n{\"id\": \"a b\", " RUN,
            "f:4: case 'a b' is there twice or");
    refused("{\"id\": \"a b\", \"id\": \"a c\", " RUN, "f:3: a repeated key: id");
    refused("{\"id\": \"a b\", \"x\": 1, " RUN, "f:3: \"x\" is unknown here");
    refused("{\"id\": \"a b\", \"runs\": []}", "f:3: \"runs\" of case 'a b' is empty");
    refused("{\"id\": \"a b\", \"runs\": [{\"seed\": 1}]}", "f:3: \"status\" is missing");
    refused("{\"id\": \"a b\", \"runs\": [{\"seed\": 1, \"status\": \"passed\"}]}",
            "f:3: \"status\" is not one of its values");
    refused("{\"id\": \"a b\", \"runs\": [{\"metrics\": {\"m\": \"NaN\"}, \"seed\": 1, "
            "\"status\": \"pass\"}]}",
            "f:3: \"m\" is not a number");
    refused(
        "{\"id\": \"a b\", \"runs\": [{\"metrics\": {\"m\": {\"nonfinite\": \"nan\"}}, \"seed\": "
        "1, \"status\": \"pass\"}]}",
        "f:3: \"m\" is not a number");
    refused("{\"id\": \"a b\", \"runs\": [\n{\"metrics\": {\"m\": 1e999}, \"seed\": 1, \"status\": "
            "\"pass\"}]}",
            "f:4: a number beyond the range of a double");
    refused("{\"id\": \"a b\", \"runs\": [{\"items\": {\"hits\": \"ff\", \"n\": 5, \"questions\": "
            "\"0123456789abcdef\"}, \"seed\": 1, \"status\": \"pass\"}]}",
            "f:3: \"hits\" has bits behind its last item");
    refused("{\"id\": \"a b\", \"runs\": [{\"items\": {\"hits\": \"f\", \"n\": 5, \"questions\": "
            "\"0123456789abcdef\"}, \"seed\": 1, \"status\": \"pass\"}]}",
            "f:3: \"hits\" is not 5 bits");
    refused("{\"id\": \"a b\", \"runs\": [{\"items\": {\"hits\": \"f8\", \"n\": 5, \"questions\": "
            "\"0123456789abcdef\", \"scores\": [1, 2, \"NaN\", 4, 5]}, \"seed\": 1, \"status\": "
            "\"pass\"}]}",
            "f:3: a score is neither a number nor null");
    refused("{\"id\": \"a b\", \"tolerance\": -1, " RUN, "\"tolerance\" of case 'a b' is negative");
#undef RUN
}

static void other_versions_and_files_cut_short_are_refused(void)
{
    att_baseline a = baseline_of(false), b = {0};
    att_why why = {""};
    char *text = bytes_of(&a);
    const size_t n = strlen(text);

    for (size_t cut = 0; cut < n - 1; cut += 7)
        CU_ASSERT_EQUAL(att_baseline_parse(text, cut, "f", &b, &why), ATT_CORRUPT);
    *strstr(text, "1.0\"") = '2';
    CU_ASSERT_EQUAL(att_baseline_parse(text, n, "f", &b, &why), ATT_CORRUPT);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "schema version \"2.0\""));
    CU_ASSERT_EQUAL(att_baseline_read("/nowhere/b.json", &b, &why), ATT_IO);
    free(text);
    att_baseline_drop(&a);
}

static void what_changed_is_said_and_what_did_not_keeps_its_reason(void)
{
    att_baseline old = baseline_of(false), new = {0};
    att_result r = made(false);
    char change[200] = "";
    size_t taken = 0;

    r.records[0].items[0].hit = 0;
    CU_ASSERT_EQUAL_FATAL(att_baseline_make(&r, NULL, NULL, &new, NULL), ATT_OK);
    const char *id = "probe.needle a{k=2} len=64";
    att_baseline_change(att_baseline_find(&old, id), att_baseline_find(&new, id), change,
                        sizeof change);
    CU_ASSERT_STRING_EQUAL(change, "1 of 5 items lost, 0 won");
    CU_ASSERT_EQUAL(att_baseline_accept(&old, &new, "parity *", "second", &taken), ATT_OK);
    CU_ASSERT_EQUAL(taken, 0);
    CU_ASSERT_EQUAL(att_baseline_accept(&old, &new, "probe.*", "second", &taken), ATT_OK);
    CU_ASSERT_EQUAL(taken, 1);
    CU_ASSERT_STRING_EQUAL(old.reason, "first");
    CU_ASSERT_STRING_EQUAL(att_baseline_find(&old, id)->reason, "second");
    CU_ASSERT_PTR_NULL(att_baseline_find(&old, "parity a{k=2} d=8")->reason);
    att_baseline_drop(&old);
    att_baseline_drop(&new);
    att_result_clear(&r);
}

static void pruning_removes_what_the_run_has_no_more(void)
{
    att_baseline old = baseline_of(false), kept = {0};
    att_result r = made_result();

    made_record(&r, "parity", "a{k=2}", "d=9", 1, ATT_HOLE);
    CU_ASSERT_EQUAL_FATAL(att_baseline_make(&r, NULL, NULL, &kept, NULL), ATT_OK);
    CU_ASSERT_EQUAL(att_baseline_prune(&old, &kept, "probe.*"), 1);
    CU_ASSERT_EQUAL(old.n_cases, 2);
    CU_ASSERT_EQUAL(att_baseline_prune(&old, &kept, NULL), 1);
    CU_ASSERT_EQUAL_FATAL(old.n_cases, 1);
    CU_ASSERT_STRING_EQUAL(old.cases[0].id, "parity a{k=2} d=9");
    CU_ASSERT_EQUAL(old.n_declarations, 1);
    att_baseline_drop(&old);
    att_baseline_drop(&kept);
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"equal results give equal bytes in whatever order",
         equal_results_give_equal_bytes_in_whatever_order},
        {"what comes back is who was hit", what_comes_back_is_who_was_hit},
        {"scores come back where they are kept", scores_come_back_where_they_are_kept},
        {"what is wrong is said with its line", what_is_wrong_is_said_with_its_line},
        {"other versions and files cut short are refused",
         other_versions_and_files_cut_short_are_refused},
        {"what changed is said and what did not keeps its reason",
         what_changed_is_said_and_what_did_not_keeps_its_reason},
        {"pruning removes what the run has no more", pruning_removes_what_the_run_has_no_more},
        CU_TEST_INFO_NULL};
    int made_file = mkstemp(path);

    if (made_file < 0)
        return 1;
    close(made_file);
    int code = att_suite_run("baseline", tests);
    unlink(path);
    return code;
}
