/* SPDX-License-Identifier: Apache-2.0 */
/* Strict JSON on top of cJSON, and a writer that does not lose numbers.
 *
 * cJSON 1.7.15 prints doubles lossily, accepts duplicate keys, trailing text and 1e999: reading
 * here refuses what a strict parser would, and writing prints as many digits as it takes. */
#ifndef ATT_JSON_H
#define ATT_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "attn.h"
#include "why.h"

/* Parses text[0..length).  Refuses trailing text, duplicate keys, non-finite numbers, NUL inside
 * strings, nesting over 64.  `name` (a file's path) opens the message.  *out: cJSON_Delete it. */
att_status att_json_parse(const char *text, size_t length, const char *name, cJSON **out,
                          att_why *why);
/* The same for a whole file of at most `limit` bytes. */
att_status att_json_read(const char *path, size_t limit, cJSON **out, att_why *why);

/* The line, from 1, on which a node of the tree that text[0..length) was parsed to begins; 0 where
 * it is none of its nodes. */
size_t att_json_line(const char *text, size_t length, const cJSON *root, const cJSON *node);

/* Case-sensitive member; NULL if absent. */
const cJSON *att_json_get(const cJSON *object, const char *key);
/* Typed members: false if absent or of another type. */
bool att_json_text(const cJSON *object, const char *key, const char **out);
bool att_json_real(const cJSON *object, const char *key, double *out); /* {"nonfinite": ...} too */
bool att_json_int(const cJSON *object, const char *key, int64_t *out);
/* A node (an array's element) as a number, {"nonfinite": ...} too; false if it is none. */
bool att_json_number(const cJSON *node, double *out);

/* Writers: an escaped string; a number that round-trips (15 to 17 digits), non-finite values as
 * {"nonfinite": "nan"}. */
void att_json_put_text(FILE *f, const char *text);
void att_json_put_real(FILE *f, double x);

#endif
