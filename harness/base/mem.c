/* SPDX-License-Identifier: Apache-2.0 */
/* Guarded memory by mmap: [no access][slack 0xff | data | slack 0xff][no access].
 *
 * aligned: data starts on 64 bytes, at least 64 pattern bytes on each side, then the pages without
 * access; flush: data ends at the second one; front: data starts at the first; loose: with 0 for
 * 0xff and 64 KiB for 64 bytes.  A page costs 4 KiB however small the buffer is; what is gained is
 * that a single byte read past the end stops the process at the very instruction. */
#include "base/mem.h"

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ZONE    64
#define WIDE    ((size_t)64 << 10)
#define PATTERN 0xff

bool att_size_mul(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static size_t page_bytes(void)
{
    long bytes = sysconf(_SC_PAGESIZE);

    return bytes > 0 ? (size_t)bytes : 4096;
}

static bool all_open;

void att_guard_open(void)
{
    all_open = true;
}

/* Bytes without access on either side. */
static size_t border_bytes(void)
{
    return all_open ? WIDE : page_bytes();
}

/* The accessible part of the mapping: all of it where guards are open. */
static unsigned char *inner(const att_guard *guard, size_t *bytes)
{
    size_t border = all_open ? 0 : border_bytes();

    *bytes = guard->map_bytes - 2 * border;
    return (unsigned char *)guard->map + border;
}

bool att_guard_make(att_guard *out, size_t bytes, att_placement placement)
{
    bool loose = placement == ATT_PLACE_LOOSE;
    size_t page = page_bytes(), zone = loose ? WIDE : ZONE, need, pages;
    att_guard guard = {.bytes = bytes, .pattern = loose ? 0 : PATTERN};

    if (__builtin_add_overflow(bytes, 2 * zone + page - 1, &need) ||
        !att_size_mul(need / page, page, &pages) ||
        __builtin_add_overflow(pages, 2 * border_bytes(), &guard.map_bytes))
        return false;
    guard.map = mmap(NULL, guard.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guard.map == MAP_FAILED)
        return false;
    unsigned char *start = (unsigned char *)guard.map + border_bytes();
    size_t reach;
    void *from = inner(&guard, &reach);
    if (mprotect(from, reach, PROT_READ | PROT_WRITE) != 0) {
        munmap(guard.map, guard.map_bytes);
        return false;
    }
    memset(from, guard.pattern, reach);
    guard.data = placement == ATT_PLACE_FLUSH   ? start + pages - bytes
                 : placement == ATT_PLACE_FRONT ? start
                                                : start + zone;
    *out = guard;
    return true;
}

/* What red-zone byte `at` holds while nobody writes there. */
static unsigned char idle(const att_guard *guard, const unsigned char *at)
{
    const size_t n = guard->canary_bytes;

    if (n == 0)
        return guard->pattern;
    return guard->canary[((uintptr_t)at - (uintptr_t)guard->data) & (n - 1)];
}

void att_guard_arm(att_guard *guard, const void *unit, size_t bytes)
{
    size_t inside;

    if (!guard->map || bytes == 0 || bytes > sizeof guard->canary || (bytes & (bytes - 1)) != 0)
        return;
    memcpy(guard->canary, unit, bytes);
    guard->canary_bytes = bytes;
    unsigned char *start = inner(guard, &inside), *data = guard->data;
    for (unsigned char *at = start; at < start + inside; at++)
        if (at < data || at >= data + guard->bytes)
            *at = idle(guard, at);
}

static size_t unlike(const att_guard *guard, const unsigned char *from, const unsigned char *to)
{
    size_t n = 0;

    for (; from < to; from++)
        n += *from != idle(guard, from);
    return n;
}

size_t att_guard_changed(const att_guard *guard)
{
    size_t bytes;

    if (!guard->map)
        return 0;
    const unsigned char *start = inner(guard, &bytes), *data = guard->data;
    return unlike(guard, start, data) + unlike(guard, data + guard->bytes, start + bytes);
}

size_t att_guard_changed_before(const att_guard *guard, size_t *farthest)
{
    size_t bytes;

    *farthest = 0;
    if (!guard->map)
        return 0;
    const unsigned char *start = inner(guard, &bytes), *data = guard->data;
    for (const unsigned char *at = start; at < data && !*farthest; at++)
        if (*at != idle(guard, at))
            *farthest = (size_t)(data - at);
    return unlike(guard, start, data);
}

size_t att_guard_written(const att_guard *guard)
{
    size_t n = att_guard_changed(guard);

    for (size_t i = 0; guard->map && i < guard->bytes; i++)
        n += ((const unsigned char *)guard->data)[i] != guard->pattern;
    return n;
}

void att_guard_freeze(att_guard *guard, bool frozen)
{
    size_t bytes;

    if (!guard->map || all_open)
        return;
    void *start = inner(guard, &bytes);
    mprotect(start, bytes, frozen ? PROT_READ : PROT_READ | PROT_WRITE);
}

void att_guard_drop(att_guard *guard)
{
    if (guard->map)
        munmap(guard->map, guard->map_bytes);
    *guard = (att_guard){0};
}
