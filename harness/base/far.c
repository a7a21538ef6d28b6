/* SPDX-License-Identifier: Apache-2.0 */
/* Far memory by mmap: PROT_NONE and MAP_NORESERVE over the whole span, mprotect a page at a time.
 */
#include "base/far.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define PATTERN 0xff

static size_t page_bytes(void)
{
    long bytes = sysconf(_SC_PAGESIZE);

    return bytes > 0 ? (size_t)bytes : 4096;
}

/* Lifts a soft limit of the address space by `bytes`; how much it was lifted. */
static size_t raise_limit(size_t bytes)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return 0;
    if (__builtin_add_overflow(limit.rlim_cur, (rlim_t)bytes, &limit.rlim_cur))
        return 0;
    if (limit.rlim_cur > limit.rlim_max)
        return 0;
    return setrlimit(RLIMIT_AS, &limit) == 0 ? bytes : 0;
}

static void lower_limit(size_t bytes)
{
    struct rlimit limit;

    if (bytes == 0 || getrlimit(RLIMIT_AS, &limit) != 0)
        return;
    limit.rlim_cur -= (rlim_t)bytes;
    setrlimit(RLIMIT_AS, &limit);
}

bool att_far_make(att_far *out, size_t bytes)
{
    size_t page = page_bytes();
    att_far far = {0};

    if (__builtin_add_overflow(bytes, page - 1, &far.bytes))
        return false;
    far.bytes = far.bytes / page * page;
    far.raised = raise_limit(far.bytes);
    far.map = mmap(NULL, far.bytes ? far.bytes : page, PROT_NONE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (far.map == MAP_FAILED) {
        lower_limit(far.raised);
        return false;
    }
    *out = far;
    return true;
}

/* The first opened page of at least this number. */
static size_t place_of(const att_far *far, size_t page)
{
    size_t lo = 0, hi = far->pages;

    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        if (far->page[middle] < page)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

static bool is_open(const att_far *far, size_t page)
{
    size_t at = place_of(far, page);

    return at < far->pages && far->page[at] == page;
}

static bool open_page(att_far *far, size_t page)
{
    size_t at = place_of(far, page), size = page_bytes();

    if (far->pages == far->room) {
        size_t room = far->room ? 2 * far->room : 64;
        size_t *grown = realloc(far->page, room * sizeof *grown);
        if (!grown)
            return false;
        far->page = grown;
        far->room = room;
    }
    if (mprotect(far->map + page * size, size, PROT_READ | PROT_WRITE) != 0)
        return false;
    memset(far->map + page * size, PATTERN, size);
    memmove(far->page + at + 1, far->page + at, (far->pages - at) * sizeof *far->page);
    far->page[at] = page;
    far->pages++;
    return true;
}

bool att_far_open(att_far *far, size_t at, size_t bytes)
{
    size_t size = page_bytes();

    if (bytes == 0)
        return true;
    if (at > far->bytes || bytes > far->bytes - at)
        return false;
    for (size_t page = at / size; page <= (at + bytes - 1) / size; page++)
        if (!is_open(far, page) && !open_page(far, page))
            return false;
    return true;
}

bool att_far_holds(const att_far *far, const void *data, size_t bytes)
{
    size_t size = page_bytes(), at = (size_t)((uintptr_t)data - (uintptr_t)far->map);

    if ((uintptr_t)data < (uintptr_t)far->map || at > far->bytes || bytes > far->bytes - at)
        return false;
    for (size_t page = at / size; bytes && page <= (at + bytes - 1) / size; page++)
        if (!is_open(far, page))
            return false;
    return true;
}

void att_far_fill(att_far *far, int byte)
{
    size_t size = page_bytes();

    for (size_t p = 0; p < far->pages; p++)
        memset(far->map + far->page[p] * size, byte, size);
}

size_t att_far_written(const att_far *far)
{
    size_t size = page_bytes(), n = 0;

    for (size_t p = 0; p < far->pages; p++)
        for (size_t i = 0; i < size; i++)
            n += far->map[far->page[p] * size + i] != PATTERN;
    return n;
}

void att_far_freeze(att_far *far, bool frozen)
{
    size_t size = page_bytes();

    for (size_t p = 0; p < far->pages; p++)
        mprotect(far->map + far->page[p] * size, size, frozen ? PROT_READ : PROT_READ | PROT_WRITE);
}

void att_far_drop(att_far *far)
{
    if (far->map) {
        munmap(far->map, far->bytes ? far->bytes : page_bytes());
        lower_limit(far->raised);
    }
    free(far->page);
    *far = (att_far){0};
}
