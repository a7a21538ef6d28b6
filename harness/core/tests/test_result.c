/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <unistd.h>

#include "base/str.h"
#include "core/tests/made_record.h"

typedef struct place {
    char dir[64], file[80];
} place;

static place place_make(void)
{
    place p = {.dir = "/tmp/att_result_XXXXXX"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(p.dir));
    snprintf(p.file, sizeof p.file, "%s/result.json", p.dir);
    return p;
}

static void place_drop(const place *p)
{
    unlink(p->file);
    rmdir(p->dir);
}

static void add_pair(att_text_pair **pairs, size_t *n, const char *key, const char *value)
{
    att_text_pair *grown = realloc(*pairs, (*n + 1) * sizeof *grown);

    if (!grown)
        abort();
    *pairs = grown;
    grown[(*n)++] = (att_text_pair){made_text(key), made_text(value)};
}

/* A result with something hostile in every place that holds text or a number. */
static att_result hostile(void)
{
    att_result x = {.run_id = made_text("20261124T040000Z-00000000"),
                    .suite = made_text("a \"suite\"\\ \n\t\x01 '$(x)` \xf0\x9f\x98\x80"),
                    .plan_hash = made_text("0123456789abcdef"),
                    .shard = 2,
                    .shards = 3,
                    .status = made_text("complete"),
                    .env_class = made_text("</script><b>&amp;"),
                    .gate = made_text("{\"failures\":[\"a: b\\n\"],\"verdict\":\"fail\"}"),
                    .seconds = 0.1 + 0.2};
    add_pair(&x.tool, &x.n_tool, "version", "0");
    add_pair(&x.env, &x.n_env, "zeta", "last \x7f");
    add_pair(&x.env, &x.n_env, "alpha", "");
    add_pair(&x.inputs, &x.n_inputs, "b.gguf", "00ff");
    add_pair(&x.inputs, &x.n_inputs, "a.gguf", "11");
    att_record *r = made_add(&x, "lm.needle", "plugin:'./a b.so'#k", "haystack='a b'", 7, ATT_FAIL);
    r->reason = made_text("line\nbreak \"q\"");
    r->margin = 0.05;
    r->required = true;
    r->seconds = 1e-9;
    r->peak_bytes = (int64_t)1 << 40;
    made_items(r, 5, 3, 2, 0.1);
    r->items[1].note = made_text("say \xe2\x80\x9cno\xe2\x80\x9d");
    r->items[2].score = -INFINITY;
    r->items[3].score = 1.0000000000000002;
    r->items[4].at = 0.5;
    att_metric *m = made_metric(r, "ratio", ATT_LOWER, INFINITY);
    m->limit = 1;
    m->verdict = 0;
    m = made_metric(r, "loss", ATT_NEITHER, NAN);
    m->lo = -INFINITY;
    m->hi = 4.9406564584124654e-324;
    m->n = 12;
    r->diagnoses = calloc(1, sizeof *r->diagnoses);
    if (!r->diagnoses)
        abort();
    r->n_diagnoses = 1;
    r->diagnoses[0] = (att_diagnosis){made_text("top_left"), made_text("mask\tanchored"), 0.8};
    made_add(&x, "parity", "flash_f32", "", 0, ATT_CRASH)->signal = 11;
    made_add(&x, "parity", "flash_f32", "", ((uint64_t)1 << 53) - 1, ATT_NO_POWER);
    x.declarations = calloc(2, sizeof *x.declarations);
    if (!x.declarations)
        abort();
    x.n_declarations = 2;
    x.declarations[0] = (att_declaration){
        made_text("flash_f32"), ATT_EXACT, ATT_F32, ATT_BF16, ATT_DTYPES, 0, 64, 0};
    x.declarations[1] = (att_declaration){
        made_text("plugin:'./a b.so'#k"), ATT_APPROX, ATT_F64, ATT_F32, ATT_F16, 0.02, 0, 96};
    x.comparisons = calloc(2, sizeof *x.comparisons);
    if (!x.comparisons)
        abort();
    x.n_comparisons = 2;
    for (int i = 0; i < 2; i++)
        x.comparisons[i] = (att_comparison){.measure = made_text("lm.needle"),
                                            .kernel = made_text("topk{k=8}"),
                                            .n = i ? 0 : 40,
                                            .wins = i ? 0 : 1,
                                            .losses = i ? 0 : 3,
                                            .difference = i ? NAN : -0.05,
                                            .lo = i ? NAN : -0.1,
                                            .hi = i ? NAN : 0.01,
                                            .p = i ? NAN : 0.3125,
                                            .p_holm = i ? NAN : 1,
                                            .score_difference = NAN,
                                            .detectable = i ? NAN : 0.25,
                                            .verdict = made_text(i ? "no power" : "cannot tell")};
    return x;
}

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* Whatever may be in it: written, read and written again it is the same text. */
static void a_hostile_result_makes_the_round_trip(void)
{
    place p = place_make();
    att_result x = hostile(), y = {0};
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(att_result_write(&x, p.file, &why), ATT_OK);
    size_t n = 0, m = 0;
    char *first = att_file_read(p.file, 1 << 20, &n);
    CU_ASSERT_EQUAL_FATAL(att_result_read(p.file, &y, &why), ATT_OK);
    CU_ASSERT_EQUAL(att_result_write(&y, p.file, &why), ATT_OK);
    char *second = att_file_read(p.file, 1 << 20, &m);
    CU_ASSERT_FATAL(first && second);
    CU_ASSERT_STRING_EQUAL(first, second);
    CU_ASSERT_STRING_EQUAL(y.suite, x.suite);
    CU_ASSERT_STRING_EQUAL(y.env_class, x.env_class);
    CU_ASSERT(y.shard == 2 && y.shards == 3 && same(y.seconds, x.seconds));
    CU_ASSERT_STRING_EQUAL(y.env[0].key, "alpha");
    CU_ASSERT_STRING_EQUAL(y.inputs[0].key, "b.gguf");
    CU_ASSERT_EQUAL_FATAL(y.n_records, 3);
    CU_ASSERT_STRING_EQUAL(y.records[0].line, x.records[0].line);
    CU_ASSERT_STRING_EQUAL(y.records[0].reason, x.records[0].reason);
    CU_ASSERT(same(y.records[0].items[2].score, -INFINITY) && isnan(y.records[0].items[0].score));
    CU_ASSERT_EQUAL(y.records[2].seed, ((uint64_t)1 << 53) - 1);
    CU_ASSERT_EQUAL_FATAL(y.n_declarations, 2);
    CU_ASSERT(y.declarations[0].out == ATT_DTYPES && y.declarations[1].over_read == 96);
    CU_ASSERT_EQUAL_FATAL(y.n_comparisons, 2);
    CU_ASSERT(same(y.comparisons[0].lo, -0.1) && isnan(y.comparisons[1].p));
    free(first);
    free(second);
    att_result_clear(&x);
    att_result_clear(&y);
    place_drop(&p);
}

static void a_case_stands_on_a_line_of_its_own(void)
{
    place p = place_make();
    att_result x = hostile();
    size_t lines = 0;

    CU_ASSERT_EQUAL_FATAL(att_result_write(&x, p.file, NULL), ATT_OK);
    char *text = att_file_read(p.file, 1 << 20, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        lines += strstr(line, "\"id\": \"") != NULL;
    CU_ASSERT_EQUAL(lines, x.n_records);
    free(text);
    att_result_clear(&x);
    place_drop(&p);
}

/* Reads text as a result; *why may be NULL. */
static att_status read_text(const place *p, const char *text, size_t length, att_why *why)
{
    att_result y = {0};

    CU_ASSERT_FATAL(att_file_write(p->file, text, length));
    att_status st = att_result_read(p->file, &y, why);
    CU_ASSERT(st == ATT_OK || (y.n_records == 0 && y.run_id == NULL));
    att_result_clear(&y);
    return st;
}

/* Every truncation but the last newline; the file is short enough to try them all. */
static void a_truncated_file_is_corrupt_wherever_it_ends(void)
{
    place p = place_make();
    att_result x = hostile();
    size_t length = 0, accepted = 0, silent = 0;

    CU_ASSERT_EQUAL_FATAL(att_result_write(&x, p.file, NULL), ATT_OK);
    char *text = att_file_read(p.file, 1 << 20, &length);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t cut = 0; cut + 1 < length; cut++) {
        att_why why = {""};
        att_result y = {0};
        FILE *f = fopen(p.file, "wb"); /* not att_file_write: 4,000 syncs take a minute */
        CU_ASSERT_PTR_NOT_NULL_FATAL(f);
        fwrite(text, 1, cut, f);
        fclose(f);
        accepted += att_result_read(p.file, &y, &why) != ATT_CORRUPT;
        silent += strstr(why.text, p.file) == NULL;
    }
    CU_ASSERT_EQUAL(accepted, 0);
    CU_ASSERT_EQUAL(silent, 0);
    CU_ASSERT_EQUAL(read_text(&p, text, length, NULL), ATT_OK);
    free(text);
    att_result_clear(&x);
    place_drop(&p);
}

/* The text with `from` replaced once by `to`. */
static char *swapped(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    att_buf b = {0};

    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    att_buf_add(&b, text, (size_t)(at - text));
    att_buf_puts(&b, to);
    att_buf_puts(&b, at + strlen(from));
    CU_ASSERT_FALSE_FATAL(b.failed);
    return b.data;
}

static void lies_are_refused_by_name(void)
{
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        {"\"1.2\"", "\"2.0\"", "schema version 2.0"},
        {"\"1.2\"", "\"10.0\"", "schema version 10.0"},
        {"\"1.2\"", "\"1\"", "schema version 1;"},
        {"\"1.2\"", "1.2", "schema_version"},
        {"\"gate\": {", "\"suite\": {", "repeated key"},
        {"\"gate\": {\"failures\":[\"a: b\\n\"],\"verdict\":\"fail\"}", "\"gate\": 1", "\"gate\""},
        {"\"evals\": [", "\"evals\": 7, \"x\": [", "\"evals\" is not an array"},
        {"{\"eval\": \"lm.needle\"", "{\"evil\": 1", "\"eval\" is not a text"},
        {"{\"eval\": \"lm.needle\"", "{\"eval\": \"parity\"", "parity is there twice"},
        {"\"kernel\": \"flash_f32\"}", "\"kernel\": 1}", "\"kernel\" is not a text"},
        {"#k haystack='a b'\"", "#k haystalk='a b'\"", "in the order of its measure's parameters"},
        {"\"status\": \"complete\"", "\"status\": \"fine\"", "status"},
        {"\"index\": 2", "\"index\": 4", "shard"},
        {"\"index\": 2", "\"index\": 0", "index"},
        {"\"index\": 2", "\"index\": 2.5", "index"},
        {"\"wins\": 1", "\"wins\": -1", "wins"},
        {"\"verdict\": \"no power\"", "\"verdict\": \"great\"", "verdict"},
        {"\"status\": \"crash\"", "\"status\": \"splendid\"", "status"},
        {"\"seed\": 7", "\"seed\": \"7\"", "seed"},
        {"\"seed\": 9007199254740991", "\"seed\": 0", "is there twice"},
        {"\"hit\": \"11100\"", "\"hit\": \"1110\"", "an element an item"},
        {"\"hit\": \"11100\"", "\"hit\": \"11102\"", "0 and 1"},
        {"\"seconds\": 0.3", "\"seconds\": 1e999, \"x\": 0.3", "beyond the range"},
        {"\"alpha\": \"\"", "\"alpha\": 1", "env"},
        {"\"run_id\": \"", "\"run_ie\": \"", "run_id"},
        {"\"sha256\": \"11\"", "\"sha\": \"11\"", "sha256"},
        {"\"acc\": \"f32\"", "\"acc\": \"f33\"", "\"acc\""},
        {"\"over_read\": 96", "\"over_read\": -1", "\"over_read\""},
        {"\"margin\": 0, \"out\"", "\"margin\": 7, \"out\"", "\"margin\""},
        {"\"kernel\": \"flash_f32\", \"margin\": 0,", "\"kernel\": \"z\", \"margin\": 0,",
         "sorted, each kernel once"},
    };
    place p = place_make();
    att_result x = hostile();

    CU_ASSERT_EQUAL_FATAL(att_result_write(&x, p.file, NULL), ATT_OK);
    char *text = att_file_read(p.file, 1 << 20, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        att_why why = {""};
        char *lie = swapped(text, rows[i].from, rows[i].to);
        CU_ASSERT_EQUAL(read_text(&p, lie, strlen(lie), &why), ATT_CORRUPT);
        if (!strstr(why.text, rows[i].says) || !strstr(why.text, p.file))
            printf("%s -> %s: %s\n", rows[i].from, rows[i].to, why.text);
        CU_ASSERT(strstr(why.text, rows[i].says) && strstr(why.text, p.file));
        free(lie);
    }
    free(text);
    att_result_clear(&x);
    place_drop(&p);
}

static void a_later_minor_with_new_members_is_read(void)
{
    place p = place_make();
    att_result x = hostile();

    CU_ASSERT_EQUAL_FATAL(att_result_write(&x, p.file, NULL), ATT_OK);
    char *text = att_file_read(p.file, 1 << 20, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    char *a = swapped(text, "\"1.2\"", "\"1.17\""),
         *b = swapped(a, "\"seed\": 7", "\"colour\": [1], \"seed\": 7");
    CU_ASSERT_EQUAL(read_text(&p, b, strlen(b), NULL), ATT_OK);
    free(a);
    free(b);
    free(text);
    att_result_clear(&x);
    place_drop(&p);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void judged(att_metric *m, double limit, int verdict)
{
    m->limit = limit;
    m->verdict = verdict;
}

/* Defaults, units and limits once; what a case has otherwise is its own. */
static void what_cases_share_is_said_once(void)
{
    place p = place_make();
    att_result x = {.run_id = made_text("r"), .shard = 1, .shards = 1}, y = {0};
    att_why why = {""};

    x.status = made_text("complete"), x.suite = made_text("s"), x.plan_hash = made_text("0");
    x.env_class = made_text("e");
    for (int i = 0; i < 4; i++) {
        static const char *const all[] = {"b=2 word=a c=5", "b=1 word=a c=5", "b=1 word='x y' c=5",
                                          "b=9 word=a c=5"};
        static const char *const own[] = {"b=2", "", "word='x y'", "b=9"};
        att_record *r = made_add(&x, "parity", i == 3 ? "topk{k=8}" : "flash_f32", own[i],
                                 (uint64_t)i, ATT_PASS);
        free(r->params);
        r->params = made_text(all[i]);
        r->required = i != 2;
        r->class_ = i == 3 ? ATT_APPROX : ATT_EXACT;
        judged(made_metric(r, "hull", ATT_LOWER, 0.5 * i), i == 3 ? NAN : 1, i == 3 ? -1 : 1);
    }
    judged(x.records[2].metrics, 0.25, 0);
    x.records[2].status = ATT_FAIL;
    CU_ASSERT_EQUAL_FATAL(att_result_write(&x, p.file, &why), ATT_OK);
    char *text = att_file_read(p.file, 1 << 20, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\"params\": \"b=1 word=a c=5\""));
    CU_ASSERT(count(text, "\"params\"") == 1 && count(text, "\"unit\": \"count\"") == 1);
    CU_ASSERT(count(text, "\"limit\": 1") == 1 && count(text, "\"limit\": null") == 1);
    CU_ASSERT(count(text, "\"limit\": 0.25") == 1 && count(text, "\"required\": false") == 1);
    CU_ASSERT(count(text, "\"repro\"") == 1 && count(text, "\"class\"") == 2);
    free(text);
    CU_ASSERT_EQUAL_FATAL(att_result_read(p.file, &y, &why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(y.n_records, x.n_records);
    for (size_t i = 0; i < x.n_records; i++) {
        const att_record *a = &x.records[i], *b = &y.records[i];
        CU_ASSERT_STRING_EQUAL(a->params, b->params);
        CU_ASSERT_STRING_EQUAL(a->line, b->line);
        CU_ASSERT(a->class_ == b->class_ && a->required == b->required && a->seed == b->seed);
        CU_ASSERT_EQUAL_FATAL(b->n_metrics, 1);
        const att_metric *m = a->metrics, *n = b->metrics;
        CU_ASSERT(same(m->value, n->value) && same(m->limit, n->limit));
        CU_ASSERT(m->verdict == n->verdict && m->better == n->better);
        CU_ASSERT_STRING_EQUAL(m->unit, n->unit);
    }
    att_result_clear(&x);
    att_result_clear(&y);
    place_drop(&p);
}

/* Version 1.0 had no tables: each of its cases said everything. */
static void a_result_of_the_first_version_is_read(void)
{
    static const char text[] =
        "{\"cases\": [\n{\"class\": \"A\", \"eval\": \"parity\", \"id\": \"parity topk b=2\", "
        "\"kernel\":"
        " \"topk\", \"metrics\": [{\"better\": \"lower\", \"limit\": 1, \"name\": \"hull\", "
        "\"unit\":"
        " \"count\", \"value\": 0, \"verdict\": \"holds\"}], \"params\": \"b=2 c=1\", \"repro\":"
        " \"attest repro 'parity topk b=2 seed=3'\", \"required\": false, \"seed\": 3, \"status\":"
        " \"pass\"}], \"comparisons\": [], \"env\": {}, \"env_class\": \"\", \"inputs\": [],"
        " \"plan\": \"\", \"run_id\": \"r\", \"schema_version\": \"1.0\", \"seconds\": 1, "
        "\"shard\":"
        " {\"index\": 1, \"of\": 1}, \"status\": \"complete\", \"suite\": \"\", \"tool\": {}}";
    place p = place_make();
    att_result y = {0};
    att_why why = {""};

    CU_ASSERT_FATAL(att_file_write(p.file, text, sizeof text - 1));
    CU_ASSERT_EQUAL_FATAL(att_result_read(p.file, &y, &why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(y.n_records, 1);
    const att_record *r = y.records;
    CU_ASSERT(strcmp(r->line, "parity topk b=2 seed=3") == 0 && strcmp(r->params, "b=2 c=1") == 0);
    CU_ASSERT(r->class_ == ATT_APPROX && !r->required && r->n_metrics == 1);
    CU_ASSERT(r->metrics[0].limit == 1 && r->metrics[0].verdict == 1);
    att_result_clear(&y);
    place_drop(&p);
}

/* What would be a file that no one reads is not written. */
static void a_fact_named_twice_is_not_written(void)
{
    place p = place_make();
    att_result x = hostile();
    att_why why = {""};

    add_pair(&x.env, &x.n_env, "alpha", "again");
    CU_ASSERT_EQUAL(att_result_write(&x, p.file, &why), ATT_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "alpha twice"));
    CU_ASSERT_NOT_EQUAL(access(p.file, F_OK), 0);
    att_result_clear(&x);
    place_drop(&p);
}

static void a_missing_file_and_an_unwritable_place_are_io_errors(void)
{
    att_result x = hostile(), y = {0};
    att_why why = {""};

    CU_ASSERT_EQUAL(att_result_read("/nowhere/result.json", &y, &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nowhere/result.json"));
    CU_ASSERT_EQUAL(att_result_write(&x, "/nowhere/result.json", &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nowhere/result.json"));
    att_result_clear(&x);
}

#define TEST(name)                                                                                 \
    {                                                                                              \
#name, name                                                                                \
    }

/* With a path: leaves the hostile result there, for a validator to look at. */
int main(int argc, char **argv)
{
    static const CU_TestInfo tests[] = {TEST(a_hostile_result_makes_the_round_trip),
                                        TEST(a_case_stands_on_a_line_of_its_own),
                                        TEST(a_truncated_file_is_corrupt_wherever_it_ends),
                                        TEST(lies_are_refused_by_name),
                                        TEST(a_later_minor_with_new_members_is_read),
                                        TEST(what_cases_share_is_said_once),
                                        TEST(a_result_of_the_first_version_is_read),
                                        TEST(a_fact_named_twice_is_not_written),
                                        TEST(a_missing_file_and_an_unwritable_place_are_io_errors),
                                        CU_TEST_INFO_NULL};
    if (argc > 1) {
        att_result x = hostile();
        att_status st = att_result_write(&x, argv[1], NULL);
        att_result_clear(&x);
        return st != ATT_OK;
    }
    return att_suite_run("result", tests);
}
