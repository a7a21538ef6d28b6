/* SPDX-License-Identifier: Apache-2.0 */
/* Guarded memory by mmap: [no access][slack 0xff | data | slack 0xff][no access].
 *
 * aligned: data starts on 64 bytes, at least 64 pattern bytes on each side, then the pages without
 * access; flush: data ends at the second one; loose: with 0 for 0xff and 64 KiB for 64 bytes.  A
 * page costs 4 KiB however small the buffer is; what is gained is that a single byte read past the
 * end stops the process at the very instruction. */
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

/* The accessible part of the mapping. */
static unsigned char *inner(const att_guard *guard, size_t *bytes)
{
    size_t page = page_bytes();

    *bytes = guard->map_bytes - 2 * page;
    return (unsigned char *)guard->map + page;
}

bool att_guard_make(att_guard *out, size_t bytes, att_placement placement)
{
    bool loose = placement == ATT_PLACE_LOOSE;
    size_t page = page_bytes(), zone = loose ? WIDE : ZONE, need, pages;
    att_guard guard = {.bytes = bytes, .pattern = loose ? 0 : PATTERN};

    if (__builtin_add_overflow(bytes, 2 * zone + page - 1, &need) ||
        !att_size_mul(need / page + 2, page, &guard.map_bytes))
        return false;
    pages = guard.map_bytes - 2 * page;
    guard.map = mmap(NULL, guard.map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guard.map == MAP_FAILED)
        return false;
    unsigned char *start = (unsigned char *)guard.map + page;
    if (mprotect(start, pages, PROT_READ | PROT_WRITE) != 0) {
        munmap(guard.map, guard.map_bytes);
        return false;
    }
    memset(start, guard.pattern, pages);
    guard.data = placement == ATT_PLACE_FLUSH ? start + pages - bytes : start + zone;
    *out = guard;
    return true;
}

static size_t unlike(unsigned char pattern, const unsigned char *from, const unsigned char *to)
{
    size_t n = 0;

    for (; from < to; from++)
        n += *from != pattern;
    return n;
}

size_t att_guard_changed(const att_guard *guard)
{
    size_t bytes;

    if (!guard->map)
        return 0;
    const unsigned char *start = inner(guard, &bytes), *data = guard->data;
    return unlike(guard->pattern, start, data) +
           unlike(guard->pattern, data + guard->bytes, start + bytes);
}

size_t att_guard_written(const att_guard *guard)
{
    size_t bytes;

    if (!guard->map)
        return 0;
    const unsigned char *start = inner(guard, &bytes);
    return unlike(guard->pattern, start, start + bytes);
}

void att_guard_freeze(att_guard *guard, bool frozen)
{
    size_t bytes;

    if (!guard->map)
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
