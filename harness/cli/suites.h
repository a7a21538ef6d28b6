/* SPDX-License-Identifier: Apache-2.0 */
/* The suites that are here: ci/suites of a checkout, or what `make install` put down. */
#ifndef ATT_SUITES_H
#define ATT_SUITES_H

#include <stddef.h>

#include "base/why.h"
#include "kernels/attn.h"

#define ATT_SUITES "ci/suites"

typedef struct att_suites {
    char folder[4096];
    char **name; /* without .json, sorted */
    size_t n;
} att_suites;

/* IO where the folder can't be read; *out may be dropped in any case. */
att_status att_suites_find(att_suites *out, att_why *why);
void att_suites_drop(att_suites *suites);

/* A suite's file from its name or, where it holds a '/', its path.  INVALID, naming the nearest,
 * for a name that no suite has. */
att_status att_suites_path(const char *suite, char *out, size_t size, att_why *why);

#endif
