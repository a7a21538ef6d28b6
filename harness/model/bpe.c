/* SPDX-License-Identifier: Apache-2.0 */
/* Byte-pair merging: again and again the adjacent pair of lowest rank becomes one token (Sennrich
 * et al. 2016).  Short pieces are scanned, O(n^2) with a tiny constant; long ones go through a heap
 * of candidate pairs over a linked list, O(n log n), so that "wordwordword..." cannot stall the
 * suite. Both take the leftmost pair among equals, so they agree. */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer.h"

enum { SCAN_MAX = 48, NONE = -1 };

typedef struct merge {
    uint64_t pair; /* left << 32 | right; UINT64_MAX = free */
    int32_t rank, whole;
} merge;

struct att_bpe {
    merge *slots; /* open addressing, at most half full */
    size_t mask;
};

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* The slot of a pair, or the free one where it would go.  (Fibonacci hashing, linear probing.) */
static merge *slot_of(const att_bpe *b, uint64_t pair)
{
    size_t i = (size_t)((pair * 0x9e3779b97f4a7c15u) >> 20) & b->mask;
    while (b->slots[i].pair != UINT64_MAX && b->slots[i].pair != pair)
        i = (i + 1) & b->mask;
    return &b->slots[i];
}

att_bpe *att_bpe_make(const int32_t *left, const int32_t *right, const int32_t *whole, size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n)
        slots *= 2;
    att_bpe *b = malloc(sizeof *b);
    if (!b || n > INT32_MAX || !(b->slots = malloc(slots * sizeof *b->slots))) {
        free(b);
        return NULL;
    }
    b->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        b->slots[i] = (merge){.pair = UINT64_MAX};
    for (size_t i = 0; i < n; i++) {
        uint64_t pair = pair_of(left[i], right[i]);
        merge *m = slot_of(b, pair);
        if (m->pair == UINT64_MAX) /* of a pair listed twice the first counts */
            *m = (merge){pair, (int32_t)i, whole[i]};
    }
    return b;
}

void att_bpe_drop(att_bpe *b)
{
    if (b)
        free(b->slots);
    free(b);
}

static const merge *merge_of(const att_bpe *b, int32_t left, int32_t right)
{
    const merge *m = slot_of(b, pair_of(left, right));
    return m->pair == UINT64_MAX ? NULL : m;
}

static size_t scan(const att_bpe *b, int32_t *ids, size_t n)
{
    int32_t rank[SCAN_MAX], whole[SCAN_MAX]; /* of the pair (i, i + 1) */
    for (size_t i = 0; i + 1 < n; i++) {
        const merge *m = merge_of(b, ids[i], ids[i + 1]);
        rank[i] = m ? m->rank : INT32_MAX;
        whole[i] = m ? m->whole : 0;
    }
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (rank[i] < rank[best])
                best = i;
        if (rank[best] == INT32_MAX)
            break;
        ids[best] = whole[best];
        memmove(ids + best + 1, ids + best + 2, (n - best - 2) * sizeof *ids);
        memmove(rank + best, rank + best + 1, (n - best - 2) * sizeof *rank);
        memmove(whole + best, whole + best + 1, (n - best - 2) * sizeof *whole);
        n--;
        for (size_t i = best ? best - 1 : 0; i <= best && i + 1 < n; i++) {
            const merge *m = merge_of(b, ids[i], ids[i + 1]);
            rank[i] = m ? m->rank : INT32_MAX;
            whole[i] = m ? m->whole : 0;
        }
    }
    return n;
}

/* A candidate: the pair that began at `at` when it was pushed.  Stale once either side changed. */
typedef struct candidate {
    int32_t rank;
    int32_t at;
    int32_t left, right, whole;
} candidate;

typedef struct heap {
    candidate *data;
    size_t n;
} heap;

static bool before(const candidate *a, const candidate *b)
{
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

static void push(heap *h, candidate c)
{
    size_t i = h->n++;
    for (; i > 0 && before(&c, &h->data[(i - 1) / 2]); i = (i - 1) / 2)
        h->data[i] = h->data[(i - 1) / 2];
    h->data[i] = c;
}

static candidate pop(heap *h)
{
    candidate top = h->data[0], last = h->data[--h->n];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < h->n; i = child) {
        if (child + 1 < h->n && before(&h->data[child + 1], &h->data[child]))
            child++;
        if (!before(&h->data[child], &last))
            break;
        h->data[i] = h->data[child];
    }
    h->data[i] = last;
    return top;
}

static void propose(const att_bpe *b, heap *h, const int32_t *ids, int32_t at, int32_t right)
{
    const merge *m = merge_of(b, ids[at], ids[right]);
    if (m)
        push(h, (candidate){m->rank, at, ids[at], ids[right], m->whole});
}

/* ids[i] < 0: swallowed by a neighbour on the left. */
static size_t merge_list(const att_bpe *b, heap *h, int32_t *ids, int32_t *next, int32_t *prev,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        next[i] = i + 1 < n ? (int32_t)i + 1 : NONE;
        prev[i] = (int32_t)i - 1;
    }
    for (size_t i = 0; i + 1 < n; i++)
        propose(b, h, ids, (int32_t)i, (int32_t)i + 1);
    while (h->n) {
        candidate c = pop(h);
        int32_t right = next[c.at];
        if (ids[c.at] != c.left || right == NONE || ids[right] != c.right)
            continue;
        ids[c.at] = c.whole;
        ids[right] = NONE;
        next[c.at] = next[right];
        if (next[c.at] != NONE) {
            prev[next[c.at]] = c.at;
            propose(b, h, ids, c.at, next[c.at]);
        }
        if (prev[c.at] != NONE)
            propose(b, h, ids, prev[c.at], c.at);
    }
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (ids[i] != NONE)
            ids[kept++] = ids[i];
    return kept;
}

size_t att_bpe_merge(const att_bpe *b, int32_t *ids, size_t n)
{
    if (n <= SCAN_MAX)
        return scan(b, ids, n);
    if (n > INT32_MAX / 4)
        return SIZE_MAX;
    /* Each of the n - 1 first pairs and two for each of at most n - 1 merges. */
    heap h = {malloc(3 * n * sizeof *h.data), 0};
    int32_t *links = malloc(2 * n * sizeof *links);
    size_t kept = SIZE_MAX;
    if (h.data && links)
        kept = merge_list(b, &h, ids, links, links + n, n);
    free(h.data);
    free(links);
    return kept;
}
