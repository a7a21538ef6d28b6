/* SPDX-License-Identifier: Apache-2.0 */
/* junit.xml and summary.md of results made by hand, hostile text included. */
#include "base/tests/suite.h"
#include "core/writer.h"
#include "folder.h"
#include "gate/compare.h"
#include "gate/tests/made.h"

extern const att_writer att_writer_junit, att_writer_markdown, att_writer_html;

#define HOSTILE "plugin:./a'b`id`<x>&\"\x01\xff|.so#f"

/* One case of every outcome, a probe at two lengths, and a kernel with a hostile name. */
static att_result everything(void)
{
    att_result r = made_result();

    for (int o = 0; o < ATT_OUTCOMES; o++) {
        char params[32];
        snprintf(params, sizeof params, "sq=%d", o + 1);
        att_record *c = made_record(&r, "parity", "flash_f32", params, 7, (att_outcome)o);
        made_metric(c, "sigma_ratio", "ratio", o == ATT_FAIL ? 9300 : 0.25, 1);
        if (o == ATT_CRASH)
            c->signal = 11;
        if (o == ATT_ERROR)
            c->reason = strdup("the input is not there");
        if (o == ATT_HOLE)
            c->reason = strdup("softcap is not offered");
        if (o == ATT_FAIL)
            made_diagnosis(c, "causal_top_left", "mask anchored top-left although sq < sk", 0.8);
    }
    att_record *c = made_record(&r, "parity", HOSTILE, "note='|`x` <b>'", 7, ATT_ERROR);
    c->reason = strdup("]]> <script> `rm -rf` |\n# not a headline\n\x02");
    for (int length = 256; length <= 512; length *= 2) {
        char params[32];
        snprintf(params, sizeof params, "length=%d", length);
        made_items(made_record(&r, "lm.needle", "flash_f32", params, 1, ATT_PASS),
                   "111111111111111111111111", 4);
        made_items(made_record(&r, "lm.needle", "window", params, 1, ATT_PASS),
                   "000011110000111100001111", 4);
    }
    made_metric(&r.records[r.n_records - 1], "keys_share", "share", 0.5, NAN);
    return r;
}

static void junit_counts_every_outcome_once(void)
{
    char dir[64];
    att_result r = everything();

    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_junit.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "junit.xml");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(occurrences(text, "<testcase "), r.n_records);
    CU_ASSERT_EQUAL(occurrences(text, "<failure "), 1);
    CU_ASSERT_EQUAL(occurrences(text, "<error "), 4);
    CU_ASSERT_EQUAL(occurrences(text, "<skipped "), 4);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "tests=\"14\" failures=\"1\" errors=\"4\" skipped=\"4\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "sigma_ratio = 9300, limit 1"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "attest repro 'parity flash_f32 sq=2 seed=7'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "signal 11"));
    CU_ASSERT_PTR_NULL(strstr(text, "<script>"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void junit_is_well_formed_whatever_the_names_hold(void)
{
    char dir[64];
    att_result r = everything();

    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_junit.write(&r, dir, NULL), ATT_OK);
    int code = folder_check(dir, true);
    CU_ASSERT(code == 0 || code == 77);
    folder_drop(dir);
    att_result_clear(&r);
}

static void result_json_is_valid_and_a_made_up_outcome_is_not(void)
{
    char dir[64], path[128];
    size_t length = 0;
    att_result r = everything();

    CU_ASSERT_FATAL(folder_make(dir));
    snprintf(path, sizeof path, "%s/result.json", dir);
    CU_ASSERT_EQUAL(att_compare_fill(&r, "flash_f32", NULL), ATT_OK);
    CU_ASSERT_EQUAL(att_result_write(&r, path, NULL), ATT_OK);
    int code = folder_check(dir, false);
    if (code == 77) {
        att_suite_skip("the Python module jsonschema is not installed");
    } else {
        CU_ASSERT_EQUAL(code, 0);
        char *text = att_file_read(path, 1u << 24, &length);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        char *at = strstr(text, "\"status\": \"pass\"");
        CU_ASSERT_PTR_NOT_NULL_FATAL(at);
        memcpy(at, "\"status\": \"fine\"", strlen("\"status\": \"fine\""));
        CU_ASSERT(att_file_write(path, text, length));
        CU_ASSERT_EQUAL(folder_check(dir, false), 1);
        free(text);
    }
    folder_drop(dir);
    att_result_clear(&r);
}

static void the_summary_opens_with_the_verdict_and_carries_n_and_interval(void)
{
    char dir[64];
    att_result r = everything();

    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_compare_fill(&r, "flash_f32", NULL), ATT_OK);
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "summary.md");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(strncmp(text, "# attest: FAIL, 5 of 14 cases, 5 causes\n", 40), 0);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "looks like **causal\\_top\\_left**"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "`attest repro 'parity flash_f32 sq=2 seed=7'`"));
    /* 24 of 24 items of six contexts without spread: Wilson of 24/24 is [86, 100]. */
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "24/24 = 100 % [86, 100]"));
    /* 12 of 24, whole contexts at a time: the effective number is 24/deff, so wider than [31, 69].
     */
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "12/24 = 50 % ["));
    CU_ASSERT_PTR_NULL(strstr(text, "12/24 = 50 % [31, 69]"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| lm.needle | `window` | 48 | 0 | 24 | -0.500 ["));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| 50 % | "));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `flash_f32` | 512 or more |"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `window` | none (too few items at 256) |"));
    CU_ASSERT_PTR_NULL(strstr(text, "\n# not a headline"));
    CU_ASSERT_PTR_NULL(strstr(text, "<script>"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void the_page_holds_verdict_and_repro_and_no_foreign_markup(void)
{
    char dir[64];
    att_result r = everything();

    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_html.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "report.html");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, ">FAIL, 5 of 14 cases, 5 causes</h1>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "attest repro 'parity flash_f32 sq=2 seed=7'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "looks like causal_top_left"));
    CU_ASSERT_EQUAL(occurrences(text, "<script>"), 1);
    CU_ASSERT_EQUAL(occurrences(text, "</script>"), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "plugin:./a'b`id`&lt;x&gt;&amp;&quot;"));
    CU_ASSERT_PTR_NULL(strstr(text, "http://"));
    CU_ASSERT_PTR_NULL(strstr(text, "https://"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

/* A precision case: bits of sums and probabilities, declared and used. */
static void add_precision(att_result *r, const char *kernel, const double bits[4], double slack,
                          att_outcome status)
{
    static const char *const names[] = {"acc_declared", "prob_declared", "acc_used", "prob_used"};
    att_record *c = made_record(r, "precision", kernel, "d=64 dtype=bf16", 1, status);

    made_metric(c, "unexplained", "count", status == ATT_PASS ? 0 : 3, 0);
    for (int i = 0; i < 4; i++)
        made_metric(c, names[i], "bits", bits[i], NAN);
    made_metric(c, "out_declared", "bits", 8, NAN);
    made_metric(c, "out_used", "bits", 8, NAN);
    if (!isnan(slack))
        made_metric(c, "slack", "bits", slack, NAN);
}

static void the_summary_shows_precision_beside_its_declaration(void)
{
    static const double same[4] = {24, 11, 24, 11}, wide[4] = {8, 8, 24, 24}, none[4] = {24, 24};
    char dir[64];
    att_result r = made_result();

    CU_ASSERT_FATAL(folder_make(dir));
    add_precision(&r, "honest", same, 0, ATT_PASS);
    add_precision(&r, "generous", wide, 9.5, ATT_PASS);
    add_precision(&r, "broken", none, NAN, ATT_FAIL);
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "summary.md");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `honest` | bf16 | f32, f16, bf16 | f32, f16, bf16 | "
                                        "0.0 | uses what it declares |"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `generous` | bf16 | bf16, bf16, bf16 | f32, f32, bf16 "
                                        "| 9.5 | declares more slack than it uses |"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `broken` | bf16 | f32, f32, bf16 | ?, ?, bf16 | - | "
                                        "**errors beyond what it declares** |"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void the_headline_says_what_the_run_was(void)
{
    static const struct {
        att_outcome outcome;
        const char *status, *head;
    } runs[] = {{ATT_PASS, "complete", "# attest: PASS, every contract holds in 1 case"},
                {ATT_FAIL, "complete", "# attest: FAIL, 1 of 1 cases, 1 cause\n"},
                {ATT_CRASH, "complete", "# attest: FAIL"},
                {ATT_HOLE, "complete", "# attest: NOTHING JUDGED"},
                {ATT_PASS, "interrupted", "# attest: INCOMPLETE"},
                {ATT_NOT_RUN, "complete", "# attest: INCOMPLETE"}};

    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        char dir[64];
        att_result r = made_result();
        made_record(&r, "parity", "flash_f32", "", 1, runs[i].outcome);
        free(r.status);
        r.status = strdup(runs[i].status);
        CU_ASSERT_FATAL(folder_make(dir));
        CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, NULL), ATT_OK);
        char *text = folder_text(dir, "summary.md");
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        CU_ASSERT_EQUAL(strncmp(text, runs[i].head, strlen(runs[i].head)), 0);
        free(text);
        folder_drop(dir);
        att_result_clear(&r);
    }
}

static void failures_of_one_cause_are_told_once_by_their_shortest_case(void)
{
    char dir[64], params[64];
    att_result r = made_result();

    for (int i = 0; i < 30; i++) {
        snprintf(params, sizeof params, i == 17 ? "sq=1" : "b=2 hq=4 sq=%d", i + 10);
        att_record *c = made_record(&r, "parity", "broken", params, 7, ATT_FAIL);
        made_metric(c, "sigma_ratio", "ratio", 3.0 + i, 1);
    }
    made_record(&r, "parity", "broken", "sq=99", 7, ATT_PASS);
    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "summary.md");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(occurrences(text, "### FAIL"), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "30 of 31 cases"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "`attest repro 'parity broken sq=1 seed=7'`"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void the_smallest_case_that_fails_alike_stands_beside_the_failure(void)
{
    char dir[64];
    att_result r = made_result();

    made_metric(made_record(&r, "parity", "broken", "b=2 sq=40", 7, ATT_FAIL), "hull", "count", 3,
                0);
    att_record *shrunk = made_record(&r, "parity", "broken", "b=2 hq=4 sq=50", 7, ATT_FAIL);
    made_metric(shrunk, "hull", "count", 3, 0);
    shrunk->smallest = strdup("parity broken sq=2 seed=7");
    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, NULL), ATT_OK);
    CU_ASSERT_EQUAL(att_writer_junit.write(&r, dir, NULL), ATT_OK);
    char *summary = folder_text(dir, "summary.md"), *junit = folder_text(dir, "junit.xml");
    CU_ASSERT_FATAL(summary && junit);
    CU_ASSERT_PTR_NOT_NULL(strstr(
        summary, "smallest case that fails alike: `attest repro 'parity broken sq=2 seed=7'`"));
    CU_ASSERT_PTR_NOT_NULL(
        strstr(junit, "smallest case that fails alike: attest repro 'parity broken sq=2 seed=7'"));
    free(summary);
    free(junit);
    folder_drop(dir);
    att_result_clear(&r);
}

static void a_kernel_without_a_limit_is_not_said_to_hold(void)
{
    char dir[64];
    att_result r = made_result();

    made_metric(made_record(&r, "parity", "limited", "", 1, ATT_PASS), "sigma_ratio", "sigma", 1,
                6);
    made_metric(made_record(&r, "lm.needle", "shown", "", 1, ATT_PASS), "accuracy", "share", 0,
                NAN);
    made_record(&r, "parity", "absent", "", 1, ATT_HOLE);
    made_record(&r, "parity", "dead", "", 1, ATT_CRASH);
    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "summary.md");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `limited` | exact | holds |"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `shown` | exact | not judged |"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `absent` | exact | not judged |"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| `dead` | exact | **FAILS** |"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void a_task_is_named_by_the_parameters_that_differ(void)
{
    static const char *const params[] = {"len=256 keys=4 text='a b' hay=prose",
                                         "len=512 keys=4 text='a b' hay=prose",
                                         "len=256 keys=8 text='a b' hay=prose"};
    char dir[64];
    att_result r = made_result();

    for (size_t i = 0; i < 3; i++)
        made_items(made_record(&r, "lm.needle", "flash_f32", params[i], 1, ATT_PASS), "1101", 2);
    made_items(made_record(&r, "lm.citation", "flash_f32", params[0], 1, ATT_PASS), "1101", 2);
    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "summary.md");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n### lm.needle keys=4\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n### lm.needle keys=8\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\n### lm.citation\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "| kernel | 256 tokens | 512 tokens |"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void put_probe(att_result *r, const char *measure, const char *kernel, char hit)
{
    char hits[65] = {0};

    memset(hits, hit, 64);
    att_record *c = made_record(r, measure, kernel, "len=256", 1, ATT_PASS);
    made_items(c, hits, 1);
    c->chance = 0;
    if (strcmp(kernel, "flash_f32") != 0)
        c->family = strdup("control");
}

static void the_summary_says_which_controls_a_probe_punishes_and_which_probes_are_blind(void)
{
    char dir[64];
    att_why why = {""};
    att_result r = made_result();

    put_probe(&r, "probe.sees", "flash_f32", '1');
    put_probe(&r, "probe.sees", "uniform", '0');
    put_probe(&r, "probe.sees", "first_k", '1');
    put_probe(&r, "probe.blind", "flash_f32", '1');
    put_probe(&r, "probe.blind", "uniform", '1');
    put_probe(&r, "probe.alone", "flash_f32", '1');
    folder_make(dir);
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, &why), ATT_OK);
    char *text = folder_text(dir, "summary.md");
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "Punishes `uniform`. Doesn't, at some length: `first_k`."));
    CU_ASSERT_PTR_NOT_NULL(strstr(strstr(text, "### probe.blind"), "**Blind**"));
    CU_ASSERT_PTR_NOT_NULL(strstr(strstr(text, "### probe.alone"), "Not audited"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void a_huge_result_stays_under_the_size_that_hosts_show(void)
{
    char dir[64], kernel[1600];
    att_result r = made_result();

    for (int i = 0; i < 700; i++) {
        memset(kernel, 'k', 1400);
        snprintf(kernel + 1400, sizeof kernel - 1400, "%d", i);
        made_record(&r, "parity", kernel, "", 7, ATT_FAIL);
    }
    CU_ASSERT_FATAL(folder_make(dir));
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, dir, NULL), ATT_OK);
    char *text = folder_text(dir, "summary.md");
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT(strlen(text) < 900 * 1024);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "are left out here"));
    free(text);
    folder_drop(dir);
    att_result_clear(&r);
}

static void a_folder_that_cannot_be_written_is_named(void)
{
    att_why why;
    att_result r = everything();

    CU_ASSERT_EQUAL(att_writer_junit.write(&r, "/nonexistent/run", &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nonexistent/run/junit.xml"));
    CU_ASSERT_EQUAL(att_writer_markdown.write(&r, "/nonexistent/run", &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nonexistent/run/summary.md"));
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"junit_counts_every_outcome_once", junit_counts_every_outcome_once},
        {"junit_is_well_formed_whatever_the_names_hold",
         junit_is_well_formed_whatever_the_names_hold},
        {"result_json_is_valid_and_a_made_up_outcome_is_not",
         result_json_is_valid_and_a_made_up_outcome_is_not},
        {"the_summary_opens_with_the_verdict_and_carries_n_and_interval",
         the_summary_opens_with_the_verdict_and_carries_n_and_interval},
        {"the_page_holds_verdict_and_repro_and_no_foreign_markup",
         the_page_holds_verdict_and_repro_and_no_foreign_markup},
        {"the_summary_shows_precision_beside_its_declaration",
         the_summary_shows_precision_beside_its_declaration},
        {"the_headline_says_what_the_run_was", the_headline_says_what_the_run_was},
        {"failures_of_one_cause_are_told_once_by_their_shortest_case",
         failures_of_one_cause_are_told_once_by_their_shortest_case},
        {"the_smallest_case_that_fails_alike_stands_beside_the_failure",
         the_smallest_case_that_fails_alike_stands_beside_the_failure},
        {"a_kernel_without_a_limit_is_not_said_to_hold",
         a_kernel_without_a_limit_is_not_said_to_hold},
        {"a_task_is_named_by_the_parameters_that_differ",
         a_task_is_named_by_the_parameters_that_differ},
        {"the_summary_says_which_controls_a_probe_punishes_and_which_probes_are_blind",
         the_summary_says_which_controls_a_probe_punishes_and_which_probes_are_blind},
        {"a_huge_result_stays_under_the_size_that_hosts_show",
         a_huge_result_stays_under_the_size_that_hosts_show},
        {"a_folder_that_cannot_be_written_is_named", a_folder_that_cannot_be_written_is_named},
        CU_TEST_INFO_NULL};

    return att_suite_run("writers", tests);
}
