/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "core/case.h"
#include "core/tests/made_tables.h"

static int opened;

static att_registry *registry(void)
{
    att_plugin_source source = {&opened, made_open, NULL};
    att_registry *r = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(att_registry_make(&made_tables, &source, &r, &why), ATT_OK);
    return r;
}

/* The canonical line of a line. */
static char *canonical(const char *line)
{
    att_registry *r = registry();
    att_case *c = NULL;
    att_why why = {""};

    if (att_case_parse(r, line, &c, &why) != ATT_OK) {
        printf("%s: %s\n", line, why.text);
        CU_FAIL("a right line was refused");
        att_registry_drop(r);
        return strdup("");
    }
    char *text = strdup(c->line);
    att_case_drop(c);
    att_registry_drop(r);
    return text;
}

static void canonical_lines_leave_defaults_out_in_declared_order(void)
{
    static const char *const rows[][2] = {
        {"parity dense", "parity flash_f32 seed=1"},
        {"  parity   flash_f32  seed=01 ", "parity flash_f32 seed=1"},
        {"parity flash_f32 x=0.50 n=-3 word=red text=''", "parity flash_f32 seed=1"},
        {"parity flash_f32 seed=7 word=blue n=2", "parity flash_f32 n=2 word=blue seed=7"},
        {"parity flash_f32 x=-0", "parity flash_f32 x=0 seed=1"},
        {"parity flash_f32 x=1e0", "parity flash_f32 x=1 seed=1"},
        {"parity flash_f32 text='word'", "parity flash_f32 text=word seed=1"},
        {"parity flash_f32 text='a b'", "parity flash_f32 text='a b' seed=1"},
        {"parity flash_f32 text='a=b,c;{d}'", "parity flash_f32 text='a=b,c;{d}' seed=1"},
        {"lm.needle sink_window{left=7,sinks=4}", "lm.needle sink_window{left=7} seed=1"},
        {"lm.needle sink_window{left=252}", "lm.needle sink_window seed=1"},
        {"lm.needle mixed{text='a b',n=1}", "lm.needle mixed{n=1,text='a b'} seed=1"},
        {"lm.needle zoo:causal_off_by_one", "lm.needle causal_off_by_one seed=1"},
        {"lm.needle plan:0-3=dense;4=sink_window{left=9}",
         "lm.needle plan:0-3=flash_f32;4=sink_window{left=9} seed=1"},
        {"lm.needle plan:0-3=mixed{text='a;b'};7-9=dense",
         "lm.needle plan:0-3=mixed{text='a;b'};7-9=flash_f32 seed=1"},
        {"parity plugin:it.so#mixed{n=4} n=1", "parity plugin:it.so#mixed{n=4} n=1 seed=1"},
        {"parity plugin:'one file.so'", "parity plugin:'one file.so'#uniform seed=1"},
        {"parity flash_f32 seed=9007199254740991", "parity flash_f32 seed=9007199254740991"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = canonical(rows[i][0]);
        CU_ASSERT_STRING_EQUAL(text, rows[i][1]);
        char *again = canonical(text);
        CU_ASSERT_STRING_EQUAL(again, text);
        free(again);
        free(text);
    }
}

static void random_word(att_rng *rng, char *out, size_t most)
{
    static const char alphabet[] = "abcXYZ019_.-/#:+~ {},=;\"\\$*?";
    size_t n = att_rng_below(rng, most);

    for (size_t i = 0; i < n; i++)
        out[i] = alphabet[att_rng_below(rng, sizeof alphabet - 1)];
    out[n] = '\0';
}

/* key=value of random parameters of made_mixed, in random order, each once. */
static void random_params(att_rng *rng, const char *between, att_buf *out)
{
    static const char *const colours[] = {"red", "green", "blue"};
    int order[] = {0, 1, 2, 3};
    bool any = false;

    att_rng_shuffle(rng, order, 4, sizeof *order);
    for (int i = 0; i < 4; i++) {
        char word[12];
        if (att_rng_below(rng, 2))
            continue;
        if (any)
            att_buf_puts(out, between);
        any = true;
        switch (order[i]) {
        case 0:
            att_buf_printf(out, "n=%" PRId64,
                           (int64_t)(att_rng_u64(rng) >> att_rng_below(rng, 64)));
            break;
        case 1:
            att_buf_printf(out, "x=%.17g", att_rng_normal(rng));
            break;
        case 2:
            att_buf_printf(out, "word=%s", colours[att_rng_below(rng, 3)]);
            break;
        default:
            random_word(rng, word, sizeof word);
            att_buf_printf(out, "text='%s'", word);
        }
    }
}

static bool same_values(const att_param *table, const att_value *a, const att_value *b)
{
    for (size_t i = 0; table[i].name; i++) {
        bool same = table[i].type == ATT_PARAM_WORD   ? strcmp(a[i].s, b[i].s) == 0
                    : table[i].type == ATT_PARAM_REAL ? a[i].f == b[i].f
                                                      : a[i].i == b[i].i;
        if (!same)
            return false;
    }
    return true;
}

static void generated_cases_print_and_parse_to_themselves(void)
{
    att_registry *r = registry();
    att_rng rng = att_rng_make(11, "cases");
    att_why why = {""};

    for (int i = 0; i < 3000; i++) {
        att_buf line = {0};
        att_case *a = NULL, *b = NULL;
        att_buf_puts(&line, att_rng_below(&rng, 2) ? "lm.citation mixed{" : "parity mixed{");
        size_t open = line.length;
        random_params(&rng, ",", &line);
        if (line.length == open)
            att_buf_puts(&line, "n=5");
        att_buf_puts(&line, "} ");
        random_params(&rng, " ", &line);
        if (att_rng_below(&rng, 2))
            att_buf_printf(&line, " seed=%" PRIu64, att_rng_below(&rng, ATT_SEED_MAX));
        att_status st = att_case_parse(r, line.data, &a, &why);
        if (st && strstr(why.text, "makes no sense")) /* n = 13 */
            goto next;
        CU_ASSERT_EQUAL_FATAL(st, ATT_OK);
        CU_ASSERT_EQUAL_FATAL(att_case_parse(r, a->line, &b, &why), ATT_OK);
        CU_ASSERT_STRING_EQUAL(a->line, b->line);
        CU_ASSERT_STRING_EQUAL(a->id, b->id);
        CU_ASSERT_STRING_EQUAL(a->group, b->group);
        CU_ASSERT(a->seed == b->seed && a->eval == b->eval);
        CU_ASSERT(same_values(made_mixed, a->values, b->values));
        CU_ASSERT(same_values(made_mixed, a->variant->part[0].values, b->variant->part[0].values));
    next:
        att_case_drop(a);
        att_case_drop(b);
        att_buf_drop(&line);
    }
    att_registry_drop(r);
}

static void wrong_lines_name_what_is_right(void)
{
    static const struct {
        const char *line, *word;
    } bad[] = {
        {"", "measure kernel key=value"},
        {"parity", "measure kernel key=value"},
        {"parityy flash_f32", "the nearest is parity"},
        {"parity flash_f23", "the nearest is flash_f32"},
        {"lm flash_f32", "like lm.needle"},
        {"lm. flash_f32", "the nearest is lm."},
        {"lm.citatoin flash_f32", "the nearest is lm.citation"},
        {"parity.needle flash_f32", "parity has no tasks"},
        {"parity flash_f32 wrd=red", "the nearest is word"},
        {"parity flash_f32 word=grene", "the nearest is green"},
        {"parity flash_f32 n=1 n=1", "given twice"},
        {"parity flash_f32 seed=1 seed=1", "seed is given twice"},
        {"parity flash_f32 n=1.5", "an integer"},
        {"parity flash_f32 n=99999999999999999999", "an integer"},
        {"parity flash_f32 n=0x10", "an integer"},
        {"parity flash_f32 x=nan", "a number within -1e9:1e9"},
        {"parity flash_f32 x=inf", "a number"},
        {"parity flash_f32 x=1e10", "within -1e9:1e9"},
        {"parity flash_f32 n=", "value is missing"},
        {"parity flash_f32 n", "key=value is expected at"},
        {"parity flash_f32 =3", "key=value is expected at"},
        {"parity flash_f32 text='open", "quote is not closed"},
        {"parity flash_f32 text='a'b", "after a closing quote"},
        {"parity flash_f32 text=a=b", "needs quotes"},
        {"parity flash_f32 n=13", "makes no sense"},
        {"parity flash_f32 seed=-1", "seed=-1: an integer within"},
        {"parity flash_f32 seed=9007199254740992", "an integer within 0:9007199254740991"},
        {"parity sink_window{lef=3}", "the nearest is left"},
        {"parity sink_window{left=3", "'}' is missing"},
        {"parity sink_window{left=3}x", "unexpected text"},
        {"parity sink_window{left=-1}", "within 0:100000"},
        {"parity flash_f32{n=1}", "has no parameters"},
        {"parity plugin:nowhere.so", "nowhere.so: no such file"},
        {"parity plugin:it.so", "holds 2 kernels"},
        {"parity plugin:it.so#mixt", "the nearest is mixed"},
        {"parity plan:3-1=dense", "ascending range"},
        {"parity plan:0-3=dense;3=dense", "ascending range"},
        {"parity plan:0-3", "ascending range"},
        {"parity plan:0=plan:1=dense", "unknown kernel"},
    };
    att_registry *r = registry();

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        att_case *c = NULL;
        att_why why = {""};
        CU_ASSERT_EQUAL(att_case_parse(r, bad[i].line, &c, &why), ATT_INVALID);
        CU_ASSERT_PTR_NULL(c);
        if (!strstr(why.text, bad[i].word)) {
            printf("'%s' says: %s\n", bad[i].line, why.text);
            CU_FAIL("the message does not help");
        }
    }
    att_registry_drop(r);
}

/* Nothing that a user can type ends in anything but a case or a message. */
static void noise_is_refused_in_words(void)
{
    static const char *const pieces[] = {"parity",   " ",  "lm.needle", "mixed", "{",    "}", "=",
                                         "plugin:",  "#",  "plan:",     "0-3",   ";",    ",", "'",
                                         "it.so",    "n",  "seed",      "13",    "text", ".", "\t",
                                         "\xff\xfe", "-1", "dense"};
    att_registry *r = registry();
    att_rng rng = att_rng_make(5, "noise");
    int right = 0;

    for (int i = 0; i < 20000; i++) {
        att_buf line = {0};
        att_case *c = NULL;
        att_why why = {""};
        att_buf_puts(&line, "");
        for (uint64_t k = att_rng_below(&rng, 12); k > 0; k--)
            att_buf_puts(&line, pieces[att_rng_below(&rng, sizeof pieces / sizeof *pieces)]);
        att_status st = att_case_parse(r, line.data, &c, &why);
        CU_ASSERT(st == ATT_OK ? c != NULL : st == ATT_INVALID && *why.text);
        right += st == ATT_OK;
        att_case_drop(c);
        att_buf_drop(&line);
    }
    CU_ASSERT(right > 0);
    att_registry_drop(r);
}

static void a_case_knows_its_parts(void)
{
    att_registry *r = registry();
    att_case *c = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(
        att_case_parse(r, "lm.needle sink_window{left=9} word=blue n=4 seed=8", &c, &why), ATT_OK);
    CU_ASSERT_STRING_EQUAL(c->measure, "lm.needle");
    CU_ASSERT_STRING_EQUAL(c->task, "needle");
    CU_ASSERT_STRING_EQUAL(c->params, "n=4 word=blue");
    CU_ASSERT_PTR_NOT_NULL(strstr(c->all_params, "n=4"));
    CU_ASSERT_PTR_NOT_NULL(strstr(c->all_params, "word=blue"));
    CU_ASSERT_PTR_NOT_NULL(strstr(c->all_params, "text=''"));
    CU_ASSERT_STRING_EQUAL(c->id, "lm.needle sink_window{left=9} n=4 word=blue");
    CU_ASSERT_STRING_EQUAL(c->items, "lm.needle n=4 word=blue");
    CU_ASSERT_STRING_EQUAL(c->group_items, "lm n=4 text=''");
    CU_ASSERT_STRING_EQUAL(c->group, "lm n=4 text='' seed=8 lm.needle sink_window{left=9}");
    CU_ASSERT_EQUAL(c->seconds, 4.0);
    att_case_drop(c);
    CU_ASSERT_EQUAL_FATAL(att_case_parse(r, "lm.citation dense", &c, &why), ATT_OK);
    CU_ASSERT_EQUAL(c->seconds, 0.01); /* an estimate that is no number is not believed */
    att_case_drop(c);
    att_registry_drop(r);
}

static void a_given_seed_wins(void)
{
    att_registry *r = registry();
    att_case *c = NULL;
    att_why why = {""};
    uint64_t seed = 42;

    CU_ASSERT_EQUAL_FATAL(att_case_make(r, "parity", "dense", "n=1 seed=3", &seed, &c, &why),
                          ATT_OK);
    CU_ASSERT_STRING_EQUAL(c->line, "parity flash_f32 n=1 seed=42");
    att_case_drop(c);
    CU_ASSERT_EQUAL_FATAL(att_case_make(r, "parity", "dense", "n=1 seed=3", NULL, &c, &why),
                          ATT_OK);
    CU_ASSERT_EQUAL(c->seed, 3);
    att_case_drop(c);
    att_registry_drop(r);
}

static void a_plan_gives_each_layer_its_kernel(void)
{
    att_registry *r = registry();
    att_arena arena = {0};
    const att_variant *v = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(
        att_variant_parse(r, "plan:0-3=dense;5=sink_window{left=9}", &arena, &v, &why), ATT_OK);
    CU_ASSERT_EQUAL(v->parts, 2);
    CU_ASSERT_PTR_EQUAL(att_variant_layer(v, 0)->kernel, &flash_f32);
    CU_ASSERT_PTR_EQUAL(att_variant_layer(v, 3)->kernel, &flash_f32);
    CU_ASSERT_PTR_NULL(att_variant_layer(v, 4));
    CU_ASSERT_PTR_EQUAL(att_variant_layer(v, 5)->kernel, &sink_window);
    CU_ASSERT_EQUAL(att_variant_layer(v, 5)->values[1].i, 9);
    CU_ASSERT_EQUAL(att_variant_layer(v, 5)->values[0].i, 4);
    CU_ASSERT_PTR_NULL(att_variant_layer(v, 6));
    CU_ASSERT_EQUAL_FATAL(att_variant_parse(r, "dense", &arena, &v, &why), ATT_OK);
    CU_ASSERT_PTR_EQUAL(att_variant_layer(v, 99999)->kernel, &flash_f32);
    att_arena_drop(&arena);
    att_registry_drop(r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"canonical_lines_leave_defaults_out_in_declared_order",
         canonical_lines_leave_defaults_out_in_declared_order},
        {"generated_cases_print_and_parse_to_themselves",
         generated_cases_print_and_parse_to_themselves},
        {"wrong_lines_name_what_is_right", wrong_lines_name_what_is_right},
        {"noise_is_refused_in_words", noise_is_refused_in_words},
        {"a_case_knows_its_parts", a_case_knows_its_parts},
        {"a_given_seed_wins", a_given_seed_wins},
        {"a_plan_gives_each_layer_its_kernel", a_plan_gives_each_layer_its_kernel},
        CU_TEST_INFO_NULL};
    return att_suite_run("case", tests);
}
