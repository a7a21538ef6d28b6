/* SPDX-License-Identifier: Apache-2.0 */
/* malloc and its kin in front of glibc's own (__libc_malloc and so on), which do the work.
 *
 * Freed memory keeps its contents in most allocators, so that a use after free goes unnoticed; here
 * it can be filled at once.  Sizes are those of malloc_usable_size, so that what is given back
 * equals what was taken.  With counting and filling off a call costs one relaxed load more. */
#include "base/heap.h"

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 1
#else
#define OWN_MALLOC 0
#endif

#if OWN_MALLOC
#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COUNT = 1, FILL = 2 };

/* Of the process: malloc has no other place to ask. */
static atomic_int doing, fresh_byte, freed_byte;
static _Atomic int64_t in_use, peak;

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t n, size_t bytes);
void *__libc_realloc(void *p, size_t bytes);
void *__libc_memalign(size_t align, size_t bytes);
void __libc_free(void *p);

static int work(void)
{
    return atomic_load_explicit(&doing, memory_order_relaxed);
}

static void add(int64_t bytes)
{
    int64_t now = atomic_fetch_add(&in_use, bytes) + bytes, most = atomic_load(&peak);

    while (now > most && !atomic_compare_exchange_weak(&peak, &most, now))
        ;
}

static void *taken(void *p, int does, bool fill)
{
    if (!p)
        return p;
    size_t bytes = malloc_usable_size(p);
    if (does & COUNT)
        add((int64_t)bytes);
    const int byte = does & FILL && fill ? atomic_load(&fresh_byte) : -1;
    if (byte >= 0)
        memset(p, byte, bytes);
    return p;
}

void *malloc(size_t bytes)
{
    const int does = work();
    void *p = __libc_malloc(bytes);

    return does ? taken(p, does, true) : p;
}

void *calloc(size_t n, size_t bytes)
{
    const int does = work();
    void *p = __libc_calloc(n, bytes);

    return does ? taken(p, does, false) : p;
}

void free(void *p)
{
    const int does = work(), error = errno;

    if (does && p) {
        size_t bytes = malloc_usable_size(p);
        if (does & COUNT)
            add(-(int64_t)bytes);
        const int byte = does & FILL ? atomic_load(&freed_byte) : -1;
        if (byte >= 0)
            memset(p, byte, bytes);
    }
    __libc_free(p);
    errno = error;
}

void *realloc(void *p, size_t bytes)
{
    if (!work())
        return __libc_realloc(p, bytes);
    if (!p)
        return malloc(bytes);
    if (bytes == 0) {
        free(p);
        return NULL;
    }
    void *to = malloc(bytes); /* moved always, so that the old place is filled */
    if (!to)
        return NULL;
    size_t had = malloc_usable_size(p);
    memcpy(to, p, had < bytes ? had : bytes);
    free(p);
    return to;
}

void *memalign(size_t align, size_t bytes)
{
    const int does = work();
    void *p = __libc_memalign(align, bytes);

    return does ? taken(p, does, true) : p;
}

void *aligned_alloc(size_t align, size_t bytes)
{
    return memalign(align, bytes);
}

int posix_memalign(void **out, size_t align, size_t bytes)
{
    if (align % sizeof(void *) || (align & (align - 1)) || align == 0)
        return EINVAL;
    void *p = memalign(align, bytes);
    if (!p)
        return ENOMEM;
    *out = p;
    return 0;
}

static size_t page_bytes(void)
{
    const long bytes = sysconf(_SC_PAGESIZE);

    return bytes > 0 ? (size_t)bytes : 4096;
}

void *valloc(size_t bytes)
{
    return memalign(page_bytes(), bytes);
}

void *pvalloc(size_t bytes)
{
    const size_t page = page_bytes();

    return bytes > SIZE_MAX - page ? NULL : memalign(page, (bytes + page - 1) / page * page);
}

bool att_heap_counts(void)
{
    return true;
}

void att_heap_begin(void)
{
    atomic_store(&in_use, 0);
    atomic_store(&peak, 0);
    atomic_fetch_or(&doing, COUNT);
}

void att_heap_end(void)
{
    atomic_fetch_and(&doing, ~COUNT);
}

int64_t att_heap_now(void)
{
    return atomic_load(&in_use);
}

int64_t att_heap_most(void)
{
    return atomic_load(&peak);
}

void att_heap_mark(void)
{
    atomic_store(&peak, atomic_load(&in_use));
}

void att_heap_fill(int fresh, int freed)
{
    atomic_store(&fresh_byte, fresh);
    atomic_store(&freed_byte, freed);
    if (fresh >= 0 || freed >= 0)
        atomic_fetch_or(&doing, FILL);
    else
        atomic_fetch_and(&doing, ~FILL);
}

#else

bool att_heap_counts(void)
{
    return false;
}

void att_heap_begin(void)
{
}

void att_heap_end(void)
{
}

int64_t att_heap_now(void)
{
    return 0;
}

int64_t att_heap_most(void)
{
    return 0;
}

void att_heap_mark(void)
{
}

void att_heap_fill(int fresh, int freed)
{
    (void)fresh, (void)freed;
}

#endif
