/* SPDX-License-Identifier: Apache-2.0 */
#include "arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 1024u
#define ALIGN alignof(max_align_t)

struct att_arena_block {
    struct att_arena_block *next;
    size_t used, size;
    max_align_t data[];
};

void *att_arena_zeros(att_arena *a, size_t n, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 4)
        return NULL;
    bytes = (bytes + ALIGN) / ALIGN * ALIGN; /* at least one, so that pointers differ */
    struct att_arena_block *block = a->head;
    if (!block || block->size - block->used < bytes) {
        size_t room = bytes > BLOCK ? bytes : BLOCK;
        if (!(block = calloc(1, sizeof *block + room)))
            return NULL;
        block->size = room;
        block->next = a->head;
        a->head = block;
    }
    void *out = (char *)block->data + block->used;
    block->used += bytes;
    return out;
}

char *att_arena_span(att_arena *a, const char *text, size_t length)
{
    char *out = length < SIZE_MAX / 4 ? att_arena_zeros(a, length + 1, 1) : NULL;

    if (out && length > 0)
        memcpy(out, text, length);
    return out;
}

char *att_arena_text(att_arena *a, const char *text)
{
    return att_arena_span(a, text, strlen(text));
}

void att_arena_drop(att_arena *a)
{
    while (a->head) {
        struct att_arena_block *next = a->head->next;
        free(a->head);
        a->head = next;
    }
}
