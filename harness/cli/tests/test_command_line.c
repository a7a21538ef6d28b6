/* SPDX-License-Identifier: Apache-2.0 */
/* What comes from the tables of verbs and options: the manual, completion, suggestions, JSON. */
#include <string.h>

#include "base/json.h"
#include "said.h"

/* Are the members of every object, at any depth, in order? */
static bool sorted(const cJSON *node)
{
    for (const cJSON *c = node->child; c; c = c->next)
        if (!sorted(c) ||
            (cJSON_IsObject(node) && c->next && strcmp(c->string, c->next->string) > 0))
            return false;
    return true;
}

static void summaries_are_one_sorted_object_or_array(void)
{
    static const char *const lines[] = {
        "$A list kernels",
        "$A list variants",
        "$A list evals",
        "cd root && $A list suites",
        "$A list zoo",
        "$A list controls",
        "$A list different",
        "$A run --quiet --case 'parity naive_blas sq=2'",
        "$A run --dry-run --case 'parity naive_blas sq=2'",
        "$A repro 'parity naive_blas sq=2'",
        "$A audit --quiet --task needle --len 64 --seeds 1",
        "cd root && $A compare --quiet dense topk --task needle --lengths 256 --seeds 1",
        "$A search --kernel naive_blas --seconds 0.2",
        "$A doctor"};

    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char line[256], *out = NULL;
        cJSON *json = NULL;
        att_why why = {""};
        snprintf(line, sizeof line, "%s --json", lines[i]);
        said(line, &out);
        const bool good = att_json_parse(out, strlen(out), "stdout", &json, &why) == ATT_OK &&
                          sorted(json);
        CU_ASSERT_TRUE(good);
        if (!good)
            printf("%s: %s\n", line, why.text);
        cJSON_Delete(json);
        free(out);
    }
}

static void what_is_misspelt_is_met_with_the_nearest(void)
{
    static const char *const rows[][2] = {
        {"$A rnu", "the nearest is run"},
        {"$A run --sute gate", "the nearest is --suite"},
        {"$A run --case 'parity flash_f23'", "the nearest is flash_f32"},
        {"$A run --case 'parity topk{kk=3}'", "the nearest is k"},
        {"$A run --case 'parity naive_blas skk=3'", "the nearest is sk"},
        {"$A run --case 'probe.nedle naive_blas'", "the nearest is probe.needle"},
        {"cd root && $A run --suite gat", "unknown suite gat; the nearest is gate"},
        {"cd root && $A zoo --suite gat", "the nearest is gate"},
        {"cd root && $A run --eval parit", "the nearest is parity"},
        {"cd root && $A run --eval probe.nedle", "the nearest is probe.needle"},
        {"cd root && $A show gat", "the nearest is gate"},
        {"$A list suits", "the nearest is suites"},
        {"$A lm tokns", "the nearest is tokens"},
        {"$A audit --task neddle", "the nearest is probe.needle"},
        {"$A manual zs", "the nearest is zsh"}};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t n = 0;
        const int code = said(rows[i][0], NULL);
        char *err = att_file_read("said.err", 1 << 20, &n);
        CU_ASSERT_EQUAL(code, 2);
        CU_ASSERT_TRUE(err && strstr(err, rows[i][1]) != NULL);
        if (err && !strstr(err, rows[i][1]))
            printf("%s: %s", rows[i][0], err);
        free(err);
    }
}

static void the_manual_holds_every_verb_and_every_option(void)
{
    must("$A manual >attest.1; for verb in $($A --help | awk '/^  / {print $1}'); do "
         "grep -q \"^\\.SS \\\"attest $verb\" attest.1 || { echo no $verb; exit 1; }; "
         "for option in $($A $verb --help | sed -n 's/^  --\\([a-z-]*\\).*/\\1/p'); do "
         "[ $option = help ] || grep -q \"BI .*\\\\\\\\-\\\\\\\\-${option//-/.*-}\" attest.1 || "
         "{ echo no $verb $option; exit 1; }; done; done");
    if (access("/usr/bin/man", X_OK) == 0)
        must("MANWIDTH=80 man --warnings ./attest.1 2>warned | grep -q 'EXIT STATUS'; "
             "[ ! -s warned ] || { cat warned; exit 1; }");
}

static void the_program_completes_verbs_options_and_names(void)
{
    must("[ \"$($A complete -- au)\" = audit ] && [ -z \"$($A complete -- work)\" ]");
    must("[ \"$($A complete -- run --dry)\" = --dry-run ]");
    must("[ \"$($A complete -- run --kernel flash_f3)\" = flash_f32 ]");
    must("[ \"$($A complete -- run --kernel=flash_f3)\" = --kernel=flash_f32 ]");
    must("[ \"$($A complete -- run --kernel = flash_f3)\" = flash_f32 ]");
    must("[ \"$($A complete -- run --kernel zoo:causal_top)\" = zoo:causal_top_left ]");
    must("[ \"$($A complete -- run --eval probe.need)\" = \"$(printf "
         "'probe.needle\\nprobe.needle_multi_key\\nprobe.needle_multi_value\\nprobe.needle_multi_"
         "query')\" ]");
    must("cd root; [ \"$($A complete -- run --suite smo)\" = smoke ]");
    must("[ \"$($A complete -- list va)\" = variants ]");
    must("[ \"$($A complete -- show naive_b)\" = naive_blas ]");
    must("[ -z \"$($A complete -- run --cases '')\" ]");
}

/* bash itself, as far as it goes without a terminal. */
static void bash_asks_the_program(void)
{
    must("PATH=$ROOM:$PATH; . <($A manual bash); COMP_WORDS=(attest run --kernel naive_b) "
         "COMP_CWORD=3; _attest; [ \"${COMPREPLY[*]}\" = naive_blas ] && complete -p attest");
}

static void zsh_asks_the_program(void)
{
    if (access("/usr/bin/zsh", X_OK) != 0) {
        att_suite_skip("there is no zsh");
        return;
    }
    must("$A manual zsh >_attest; cat >asks.zsh <<'END'\n"
         "compdef() { :; }\ncompadd() { print -l -- \"${@[2,-1]}\"; }\n_files() { print FILES; }\n"
         ". ./_attest\nwords=($A run --kernel naive_b) CURRENT=4\n_attest\n"
         "words=($A run --cases '') CURRENT=4\n_attest\nEND\n"
         "[ \"$(zsh -f asks.zsh)\" = \"$(printf 'naive_blas\\nFILES')\" ]");
}

static void colour_is_for_terminals_without_NO_COLOR_or_CI(void)
{
    if (access("/usr/bin/script", X_OK) != 0) {
        att_suite_skip("there is no script(1)");
        return;
    }
    must(
        "echo 'parity zoo:causal_top_left sk=2 causal=br' >bad.txt; coloured() { env \"$@\" script "
        "-qec \"$A run --quiet --cases bad.txt\" /dev/null </dev/null | grep -q $'\\033'; }; "
        "coloured TERM=xterm && ! coloured NO_COLOR=1 && ! coloured CI=true && "
        "! coloured TERM=dumb");
    must("$A run --quiet --cases bad.txt 2>&1 | grep -q '^fail ' && ! grep -q $'\\033' said");
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"summaries_are_one_sorted_object_or_array", summaries_are_one_sorted_object_or_array},
        {"what_is_misspelt_is_met_with_the_nearest", what_is_misspelt_is_met_with_the_nearest},
        {"the_manual_holds_every_verb_and_every_option",
         the_manual_holds_every_verb_and_every_option},
        {"the_program_completes_verbs_options_and_names",
         the_program_completes_verbs_options_and_names},
        {"bash_asks_the_program", bash_asks_the_program},
        {"zsh_asks_the_program", zsh_asks_the_program},
        {"colour_is_for_terminals_without_NO_COLOR_or_CI",
         colour_is_for_terminals_without_NO_COLOR_or_CI},
        CU_TEST_INFO_NULL};
    said_begin();
    return said_end(att_suite_run("command line", tests));
}
