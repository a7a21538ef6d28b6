/* SPDX-License-Identifier: Apache-2.0 */
/* Small numbers of a record as words.  Private to record*.c. */
#ifndef ATT_RECORD_NAMES_H
#define ATT_RECORD_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* first, first + 1, ... */
typedef struct att_names {
    int first, count;
    const char *name[3];
} att_names;

static const att_names att_names_better = {-1, 3, {"lower", "neither", "higher"}};
static const att_names att_names_class = {0, 3, {"E", "A", "D"}};
static const att_names att_names_verdict = {0, 2, {"violated", "holds", NULL}};

/* NULL outside the table. */
static inline const char *att_name_at(const att_names *names, int value)
{
    return value >= names->first && value - names->first < names->count
               ? names->name[value - names->first]
               : NULL;
}

static inline bool att_name_find(const att_names *names, const char *name, int *value)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0) {
            *value = names->first + i;
            return true;
        }
    return false;
}

#endif
