/* SPDX-License-Identifier: Apache-2.0 */
/* attest manual: the man page and the completions of shells, from the tables of verbs, options and
 * exit codes. */
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli.h"
#include "core/env.h"

/* The shells' halves of completion, put into the program by the Makefile. */
extern const char bash_start[] __asm__("_binary_harness_cli_files_completion_bash_start");
extern const char bash_end[] __asm__("_binary_harness_cli_files_completion_bash_end");
extern const char zsh_start[] __asm__("_binary_harness_cli_files_completion_zsh_start");
extern const char zsh_end[] __asm__("_binary_harness_cli_files_completion_zsh_end");

extern const att_verb att_verb_manual;

/* Text of roff: no control line, no escape, hyphens that can be searched for. */
static void put(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(*text);
    }
}

static void put_line(const char *text)
{
    put(text);
    putchar('\n');
}

static void put_entry(const char *head, const char *text)
{
    fputs(".TP\n.B ", stdout);
    put_line(head);
    put_line(text);
}

static void put_option(const att_option *o)
{
    fputs(".TP\n.BI \"", stdout);
    put("--");
    put(o->name);
    if (o->argument)
        printf("\" \" %s", o->argument);
    fputs("\"\n", stdout);
    put(o->help);
    put_line(o->type == ATT_OPTION_LIST ? " (may be repeated)" : "");
}

static void put_verb(const att_verb *verb)
{
    fputs(".SS ", stdout);
    printf("\"attest %s%s%s%s\"\n", verb->name, verb->options ? " [options]" : "",
           *verb->operands ? " " : "", verb->operands);
    put_line(verb->summary);
    for (const att_option *o = verb->options; o && o->name; o++)
        put_option(o);
}

static const struct {
    const char *name, *meaning;
} variables[] = {{"ATT_ISA", "the level of the kernels, in place of the best that the machine has"},
                 {"ATT_MODEL", "the GGUF file of the model evals, where --model is not given"},
                 {"CI", "set: progress is a line each tenth, never a bar, and nothing is coloured"},
                 {"NO_COLOR", "set and not empty: nothing is coloured (no-color.org)"}};

static const struct {
    const char *name, *meaning;
} files[] = {{"runs/latest/", "a link to the newest run: run.db, result.json, junit.xml, "
                              "summary.md, report.html, plots"},
             {"ci/suites/NAME.json", "what --suite NAME reads; else where make install put it"}};

static void print_man(void)
{
    puts(".TH ATTEST 1\n.SH NAME\nattest \\- is this attention kernel still right, still good, "
         "still fast?\n.SH SYNOPSIS\n.B attest\n.I VERB\n[options]\n.br\n.B attest\n.I VERB\n"
         ".B \\-\\-help\n.SH DESCRIPTION\n"
         "Runs attention kernels, its own or a plugin's, on the same questions, each in a process "
         "of its own,\nand ends with a verdict on each and an exit code. Data goes to standard "
         "output, everything else to\nstandard error. Names that are not known are answered with "
         "the nearest.\n.SH VERBS");
    for (const att_verb *const *v = att_verbs; *v; v++)
        if (!(*v)->hidden)
            put_verb(*v);
    puts(".SH EXIT STATUS");
    for (const att_exit_row *row = att_exit_rows; row->meaning; row++) {
        char code[16];
        snprintf(code, sizeof code, "%d", (int)row->code);
        put_entry(code, row->meaning);
    }
    puts("If several apply: 6 before 5 before 4 before 1 before 3.\n.SH ENVIRONMENT");
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        put_entry(variables[i].name, variables[i].meaning);
    puts(".SH FILES");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        put_entry(files[i].name, files[i].meaning);
    puts(".SH EXAMPLES\n.nf\nattest run \\-\\-suite smoke \\-\\-kernel 'plugin:./my.so'\n"
         "attest repro 'parity naive_blas sq=3 seed=7'\nattest compare flash_f32 "
         "'sliding_window{left=1024}' \\-\\-task needle\n.fi");
}

static int run(const att_cli *cli, int argc, char **argv)
{
    char nearest[64];
    int first = 0, code = att_options_read(&att_verb_manual, argc, argv, NULL, &first);

    (void)cli;
    if (code >= 0)
        return code;
    const char *what = first < argc ? argv[first] : "man";
    if (first + 1 < argc)
        return att_usage(&att_verb_manual, "unexpected operand %s", argv[first + 1]);
    if (!att_str_choice("man|bash|zsh", what, nearest))
        return att_usage(&att_verb_manual,
                         "%s: one of man, bash, zsh is expected; the nearest is %s", what, nearest);
    if (strcmp(what, "man") == 0)
        print_man();
    else if (strcmp(what, "bash") == 0)
        fwrite(bash_start, 1, (size_t)(bash_end - bash_start), stdout);
    else
        fwrite(zsh_start, 1, (size_t)(zsh_end - zsh_start), stdout);
    return ATT_EXIT_PASS;
}

const att_verb att_verb_manual = {.name = "manual",
                                  .operands = "[man|bash|zsh]",
                                  .summary = "the man page, or completion for a shell",
                                  .run = run};
