/* SPDX-License-Identifier: Apache-2.0 */
/* attest VERB ...: finds the verb in the table and hands it the tables of the house. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "cli.h"
#include "evals/table.h"
#include "reports/table.h"

#define ATT_VERB(x) extern const att_verb att_verb_##x;
#include "verbs.def"
#undef ATT_VERB

#define ATT_VERB(x) &att_verb_##x,
const att_verb *const att_verbs[] = {
#include "verbs.def"
    NULL};

static void print_help(FILE *f)
{
    fputs("attest: is this attention kernel still right, still good, still fast?\n\n"
          "usage: attest VERB [options]     attest VERB --help\n\n",
          f);
    for (const att_verb *const *v = att_verbs; *v; v++)
        if (!(*v)->hidden)
            fprintf(f, "  %-10s %s\n", (*v)->name, (*v)->summary);
}

static const att_verb *find(const char *name, const char **nearest)
{
    size_t best = 64;

    *nearest = "run";
    for (const att_verb *const *v = att_verbs; *v; v++) {
        if (strcmp((*v)->name, name) == 0)
            return *v;
        size_t d = att_str_distance((*v)->name, name);
        if (!(*v)->hidden && d < best) {
            best = d;
            *nearest = (*v)->name;
        }
    }
    return NULL;
}

#ifdef __SANITIZE_ADDRESS__
/* A crash of a kernel is a worker's result: its signal must reach the coordinator. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "handle_segv=0:handle_sigbus=0:handle_sigfpe=0:handle_sigill=0:handle_abort=0";
}
#endif

int main(int argc, char **argv)
{
    char self[4096];
    const char *why = "", *nearest;
    const char *name = argc > 1 ? argv[1] : "--help";
    bool help = strcmp(name, "--help") == 0 || strcmp(name, "help") == 0 || strcmp(name, "-h") == 0;

    if (help) {
        print_help(argc > 1 ? stdout : stderr);
        return argc > 1 ? ATT_EXIT_PASS : ATT_EXIT_USAGE;
    }
    const att_verb *verb = find(name, &nearest);
    if (!verb) {
        fprintf(stderr, "attest: unknown verb %s; the nearest is %s (see attest --help)\n", name,
                nearest);
        return ATT_EXIT_USAGE;
    }
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        fputs("attest: /proc/self/exe can't be read\n", stderr);
        return ATT_EXIT_INCOMPLETE;
    }
    self[n] = '\0';
    att_cli cli = {.self = self, .evals = att_evals, .writers = att_writers};
    if (!(cli.kernels = att_kernel_table(&why))) {
        fprintf(stderr, "attest: ATT_ISA=%s: %s\n", getenv("ATT_ISA") ? getenv("ATT_ISA") : "",
                why);
        return ATT_EXIT_USAGE;
    }
    int code = verb->run(&cli, argc - 1, argv + 1);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("attest: standard output can't be written\n", stderr);
        code = att_exit_worse(code, ATT_EXIT_INCOMPLETE);
    }
    return code;
}
