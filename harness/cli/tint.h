/* SPDX-License-Identifier: Apache-2.0 */
/* Colour, where somebody looks: a terminal, and neither NO_COLOR nor CI. */
#ifndef ATT_TINT_H
#define ATT_TINT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline bool att_tinted(FILE *f)
{
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(f)) && !(none && *none) && !getenv("CI") && term &&
           strcmp(term, "dumb") != 0;
}

/* A word in bold red, where there is colour. */
static inline void att_tint_bad(FILE *f, const char *word)
{
    if (att_tinted(f))
        fprintf(f, "\033[1;31m%s\033[0m", word);
    else
        fputs(word, f);
}

#endif
