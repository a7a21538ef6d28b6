/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the files that a gate trusts: a version, known members, numbers that are numbers; what is
 * wrong is said with file and line. */
#ifndef ATT_STRICT_H
#define ATT_STRICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attn.h"
#include "base/json.h"

typedef struct att_strict {
    const char *name; /* of the file */
    const char *text;
    size_t length;
    cJSON *root;
    att_why *why;
} att_strict;

/* The bytes of a file of at most `limit`; free() them.  IO; CORRUPT where it is longer. */
att_status att_strict_file(const char *path, size_t limit, char **text, size_t *length,
                           att_why *why);
/* Parses text[0..length), which must outlive it, to an object whose "schema_version" is "MAJOR.x".
 * CORRUPT otherwise; `what` names such files ("baselines").  att_strict_close frees. */
att_status att_strict_open(const char *text, size_t length, const char *name, const char *what,
                           int major, att_strict *out, att_why *why);
void att_strict_close(att_strict *s);

/* Sets "FILE:LINE: ..." for a node and returns CORRUPT. */
att_status att_strict_bad(const att_strict *s, const cJSON *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* One member of an object; ends a table with key == NULL. */
typedef enum att_strict_type {
    ATT_STRICT_TEXT,   /* const char *; lives as long as the reader; not empty */
    ATT_STRICT_REAL,   /* double, finite */
    ATT_STRICT_WHOLE,  /* int64_t */
    ATT_STRICT_FLAG,   /* bool */
    ATT_STRICT_LIST,   /* const cJSON * */
    ATT_STRICT_OBJECT, /* const cJSON * */
    ATT_STRICT_ANY     /* const cJSON * */
} att_strict_type;
typedef struct att_strict_member {
    const char *key;
    att_strict_type type;
    bool needed;
    void *out; /* untouched where an unneeded member is absent */
} att_strict_member;

/* Reads an object by its table.  CORRUPT: no object, a member that the table does not know, is of
 * another type, or is needed and absent. */
att_status att_strict_read(const att_strict *s, const cJSON *object,
                           const att_strict_member *members);

#endif
