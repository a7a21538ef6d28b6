/* SPDX-License-Identifier: Apache-2.0 */
/* attest complete WORD...: what may stand in place of the last word, one a line; nothing where
 * files may.  The shells' completion asks it, so that verbs, options and names have one source. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli.h"
#include "suites.h"
#include "tables.h"

extern const att_verb att_verb_complete;

/* The word to be completed; `before` is printed in front of each candidate ("--suite="). */
typedef struct asking {
    const att_cli *cli;
    const char *word, *before;
} asking;

static void offer(void *arg, const char *name)
{
    const asking *a = arg;

    if (strncmp(name, a->word, strlen(a->word)) == 0)
        printf("%s%s\n", a->before, name);
}

static void offer_kernels(asking *a)
{
    const att_kernel *const *tables[] = {a->cli->kernels->kernels, a->cli->kernels->controls,
                                         a->cli->kernels->zoo, a->cli->kernels->different};
    static const char *const before[] = {"", "controls:", "zoo:", "different:"};

    offer(a, "dense");
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (size_t i = 0; tables[t][i]; i++) {
            char name[160];
            snprintf(name, sizeof name, "%s%s", before[t], tables[t][i]->name);
            if (t == 0 || (*a->word && strncmp(a->word, before[t], strlen(a->word)) == 0) ||
                strncmp(a->word, before[t], strlen(before[t])) == 0)
                offer(a, name);
        }
}

static void offer_suites(asking *a)
{
    att_why why = {""};
    att_suites all;

    if (att_suites_find(&all, &why) == ATT_OK)
        for (size_t i = 0; i < all.n; i++)
            offer(a, all.name[i]);
    att_suites_drop(&all);
}

static void offer_evals(asking *a)
{
    att_cli_each_measure(a->cli, offer, a);
}

static void offer_tasks(asking *a)
{
    for (size_t i = 0; a->cli->evals[i]; i++)
        for (const char *const *t = a->cli->evals[i]->tasks; t && *t; t++)
            if (strcmp(a->cli->evals[i]->name, "probe") == 0)
                offer(a, *t);
}

static void offer_formats(asking *a)
{
    for (const att_writer *const *w = a->cli->writers; *w; w++)
        offer(a, (*w)->name);
}

static void offer_names(asking *a)
{
    offer_kernels(a);
    offer_evals(a);
    offer_suites(a);
}

/* By an option's name or what --help calls a value or an operand. */
static const struct {
    const char *what;
    void (*offer)(asking *a);
} sources[] = {{"suite", offer_suites},   {"eval", offer_evals}, {"kernel", offer_kernels},
               {"task", offer_tasks},     {"case", offer_evals}, {"KERNEL", offer_kernels},
               {"FORMAT", offer_formats}, {"CASE", offer_evals}, {"MEASURE", offer_evals}};

static bool offer_what(asking *a, const char *what)
{
    for (size_t i = 0; what && i < sizeof sources / sizeof *sources; i++)
        if (strcmp(sources[i].what, what) == 0) {
            sources[i].offer(a);
            return true;
        }
    return false;
}

/* "[kernels|zoo]" are words to choose from; "KERNEL" and "NAME" stand for something. */
static void offer_operands(asking *a, const char *operands)
{
    char word[64];

    for (const char *at = operands; *at;) {
        size_t n = 0;
        while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == '-')
            n++;
        snprintf(word, sizeof word, "%.*s", (int)n, at);
        if (n && islower((unsigned char)*word))
            offer(a, word);
        else if (strcmp(word, "NAME") == 0)
            offer_names(a);
        else
            offer_what(a, word);
        at += n ? n : 1;
    }
}

static const att_option *option_of(const att_verb *verb, const char *written)
{
    for (const att_option *o = verb->options; o && o->name; o++)
        if (strncmp(written, "--", 2) == 0 && strcmp(o->name, written + 2) == 0)
            return o;
    return NULL;
}

static void offer_options(asking *a, const att_verb *verb)
{
    char name[64];

    for (const att_option *o = verb->options; o && o->name; o++) {
        snprintf(name, sizeof name, "--%s", o->name);
        offer(a, name);
    }
    offer(a, "--help");
}

static void offer_verbs(asking *a)
{
    for (const att_verb *const *v = att_verbs; *v; v++)
        if (!(*v)->hidden)
            offer(a, (*v)->name);
    offer(a, "--help");
}

static void offer_value(asking *a, const att_option *o)
{
    if (!offer_what(a, o->name))
        offer_what(a, o->argument);
}

static void answer(asking *a, char **words, int n)
{
    const att_verb *verb = NULL;
    char *last = words[n - 1], *equals = strchr(last, '=');
    const att_option *o;
    char before[72];

    for (const att_verb *const *v = att_verbs; n > 1 && *v; v++)
        if (strcmp((*v)->name, words[0]) == 0)
            verb = *v;
    a->word = last;
    if (n == 1)
        offer_verbs(a);
    if (!verb)
        return;
    /* bash hands "--suite=gate" over as three words */
    const bool split = n > 2 && strcmp(words[n - 2], "=") == 0;
    if (strcmp(last, "=") == 0)
        a->word = "";
    const int flag = n - (split ? 3 : 2);
    if (flag > 0 && (o = option_of(verb, words[flag])) && o->argument) {
        offer_value(a, o);
    } else if (strncmp(last, "--", 2) == 0 && equals) {
        snprintf(before, sizeof before, "%.*s", (int)(equals - last), last);
        if ((o = option_of(verb, before)) && o->argument) {
            snprintf(before, sizeof before, "%.*s", (int)(equals + 1 - last), last);
            *a = (asking){a->cli, equals + 1, before};
            offer_value(a, o);
        }
    } else if (*last == '-') {
        offer_options(a, verb);
    } else {
        offer_operands(a, verb->operands);
    }
}

static int run(const att_cli *cli, int argc, char **argv)
{
    asking a = {.cli = cli, .before = ""};
    int first = 1;

    if (first < argc && strcmp(argv[first], "--") == 0)
        first++;
    if (first == argc)
        return att_usage(&att_verb_complete, "the words after attest are expected");
    answer(&a, argv + first, argc - first);
    return ATT_EXIT_PASS;
}

const att_verb att_verb_complete = {.name = "complete",
                                    .operands = "WORD...",
                                    .summary = "what may stand in place of the last word",
                                    .run = run,
                                    .hidden = true};
