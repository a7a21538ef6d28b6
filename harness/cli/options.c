/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "cli.h"

#define MOST_OPTIONS 63

int att_usage(const att_verb *verb, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "attest %s: ", verb->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return ATT_EXIT_USAGE;
}

static void print_help(const att_verb *verb)
{
    printf("usage: attest %s%s%s%s\n%s\n\n", verb->name, verb->options ? " [options]" : "",
           *verb->operands ? " " : "", verb->operands, verb->summary);
    for (const att_option *o = verb->options; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof left, "--%s%s%s", o->name, o->argument ? " " : "",
                 o->argument ? o->argument : "");
        printf("  %-22s %s%s\n", left, o->help,
               o->type == ATT_OPTION_LIST ? " (may be repeated)" : "");
    }
    printf("  %-22s %s\n", "--help", "print this");
}

/* The text between "--" and "=" of what the user wrote. */
static int unknown_option(const att_verb *verb, const char *written)
{
    char name[64];
    const char *nearest = NULL;
    size_t best = 64;

    snprintf(name, sizeof name, "%.*s", (int)strcspn(written, "="), written);
    for (const att_option *o = verb->options; o && o->name; o++) {
        size_t d = att_str_distance(name + strspn(name, "-"), o->name);
        if (d == 0)
            return att_usage(verb, "%s takes no value", name);
        if (d < best) {
            best = d;
            nearest = o->name;
        }
    }
    if (nearest)
        return att_usage(verb, "unknown option %s; the nearest is --%s (see attest %s --help)",
                         name, nearest, verb->name);
    return att_usage(verb, "unknown option %s; the verb has none", name);
}

/* "lo:hi", either side may be empty. */
static bool within(double x, const char *domain)
{
    const char *colon = domain ? strchr(domain, ':') : NULL;

    if (!colon)
        return true;
    return (colon == domain || x >= strtod(domain, NULL)) &&
           (colon[1] == '\0' || x <= strtod(colon + 1, NULL));
}

static int store(const att_verb *verb, const att_option *o, const char *text, void *into)
{
    char *at = (char *)into + o->offset, *end = NULL;

    errno = 0;
    switch (o->type) {
    case ATT_OPTION_FLAG:
        *(bool *)(void *)at = true;
        return -1;
    case ATT_OPTION_TEXT:
        *(const char **)(void *)at = text;
        return -1;
    case ATT_OPTION_INT: {
        long long x = strtoll(text, &end, 10);
        if (end == text || *end || errno || !within((double)x, o->domain))
            break;
        *(int64_t *)(void *)at = x;
        return -1;
    }
    case ATT_OPTION_REAL: {
        double x = strtod(text, &end);
        if (end == text || *end || !isfinite(x) || !within(x, o->domain))
            break;
        *(double *)(void *)at = x;
        return -1;
    }
    case ATT_OPTION_LIST: {
        att_list *list = (att_list *)(void *)at;
        if (list->n == sizeof list->at / sizeof *list->at)
            return att_usage(verb, "--%s is given more than %zu times", o->name, list->n);
        list->at[list->n++] = text;
        return -1;
    }
    }
    return att_usage(verb, "--%s %s: %s%s%s is expected", o->name, text,
                     o->type == ATT_OPTION_INT ? "an integer" : "a number",
                     o->domain ? " within " : "", o->domain ? o->domain : "");
}

int att_options_read(const att_verb *verb, int argc, char **argv, void *into, int *first)
{
    struct option table[MOST_OPTIONS + 2] = {{0}};
    size_t n = 0;

    for (const att_option *o = verb->options; o && o->name && n < MOST_OPTIONS; o++, n++)
        table[n] = (struct option){o->name, o->type != ATT_OPTION_FLAG, NULL, 1000 + (int)n};
    table[n] = (struct option){"help", no_argument, NULL, 'h'};
    opterr = 0;
    optind = 0; /* glibc: start afresh */
    for (;;) {
        int before = optind > 0 ? optind : 1, c = getopt_long(argc, argv, ":h", table, NULL);
        if (c == -1)
            break;
        if (c == 'h') {
            print_help(verb);
            return ATT_EXIT_PASS;
        }
        if (c == ':')
            return att_usage(verb, "%s needs a value", argv[optind - 1]);
        if (c == '?')
            return unknown_option(verb, argv[optind > before ? optind - 1 : before]);
        int code = store(verb, &verb->options[c - 1000], optarg, into);
        if (code >= 0)
            return code;
    }
    *first = optind;
    return -1;
}
