/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed all at once: for parsed things made of many small pieces. */
#ifndef ATT_ARENA_H
#define ATT_ARENA_H

#include <stddef.h>

typedef struct att_arena {
    struct att_arena_block *head;
} att_arena;

/* Zeroed memory, aligned for any object; NULL if there is none (or n * size overflows). */
void *att_arena_zeros(att_arena *a, size_t n, size_t size);
/* Copies of text; NULL if there is no memory. */
char *att_arena_text(att_arena *a, const char *text);
char *att_arena_span(att_arena *a, const char *text, size_t length);
/* Frees everything; the arena may be used again. */
void att_arena_drop(att_arena *a);

#endif
