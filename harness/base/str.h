/* SPDX-License-Identifier: Apache-2.0 */
/* Growing text, globs, nearest names. */
#ifndef ATT_STR_H
#define ATT_STR_H

#include <stdbool.h>
#include <stddef.h>

/* Text that grows; data is NUL-terminated.  Zero-initialise; att_buf_drop frees.  `failed` is set
 * when memory ran out, and what follows is ignored. */
typedef struct att_buf {
    char *data;
    size_t length, capacity;
    bool failed;
} att_buf;

void att_buf_add(att_buf *b, const char *text, size_t length);
void att_buf_puts(att_buf *b, const char *text);
__attribute__((format(printf, 2, 3))) void att_buf_printf(att_buf *b, const char *format, ...);
void att_buf_drop(att_buf *b);

/* Shell-style match: '*' and '?' only. */
bool att_glob(const char *pattern, const char *text);

/* Levenshtein distance, capped at 64 characters a side: to suggest the nearest valid name. */
size_t att_str_distance(const char *a, const char *b);
/* Is the text one of the words of "a|b|c"?  If not, *nearest is the closest of them, "" for none.
 */
bool att_str_choice(const char *choices, const char *text, char nearest[64]);

/* The whole file, NUL-terminated, at most limit bytes; NULL and errno on failure. free() it. */
char *att_file_read(const char *path, size_t limit, size_t *length);
/* Writes through a temporary file, fsync and rename, so that readers see all or nothing. */
bool att_file_write(const char *path, const char *data, size_t length);

#endif
