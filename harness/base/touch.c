/* SPDX-License-Identifier: Apache-2.0 */
#include "base/touch.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 32, TRIES = 200 };

/* What the handler looks into; a process-wide signal has no other place to go. */
typedef struct region {
    atomic_uintptr_t from; /* 0 = free; written last */
    uintptr_t bytes, page;
    uint8_t *touched;
    int protection;
} region;
static region regions[SLOTS];
static struct sigaction before;
static int closed; /* regions; the handler is installed while there are any */

/* Opens a page of a closed region; any other fault meets whoever handled faults before. */
static void on_fault(int number, siginfo_t *info, void *context)
{
    const uintptr_t at = (uintptr_t)info->si_addr;

    for (int i = 0; i < SLOTS; i++) {
        region *r = &regions[i];
        const uintptr_t from = atomic_load(&r->from);
        if (!from || at < from || at - from >= r->bytes)
            continue;
        const uintptr_t page = (at - from) / r->page;
        /* Threads may meet a page at once; whoever faults again and again writes what may be read.
         */
        if (__atomic_fetch_add(&r->touched[page], 1, __ATOMIC_RELAXED) >= TRIES ||
            mprotect((void *)(from + page * r->page), r->page, r->protection) != 0)
            break;
        return;
    }
    if (before.sa_flags & SA_SIGINFO)
        before.sa_sigaction(number, info, context);
    else
        sigaction(SIGSEGV, &before, NULL); /* the instruction faults again */
}

bool att_touch_make(att_touch *out, size_t bytes)
{
    const long page = sysconf(_SC_PAGESIZE);
    att_touch t = {.page = page > 0 ? (size_t)page : 4096, .slot = -1};
    size_t rounded;

    if (__builtin_add_overflow(bytes, t.page, &rounded))
        return false;
    t.bytes = rounded / t.page * t.page;
    t.data = mmap(NULL, t.bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (t.data == MAP_FAILED)
        return false;
    t.touched = calloc(t.bytes / t.page, 1);
    if (!t.touched) {
        munmap(t.data, t.bytes);
        return false;
    }
    *out = t;
    return true;
}

bool att_touch_close(att_touch *t, bool writable)
{
    int slot = 0;

    att_touch_open(t);
    while (slot < SLOTS && atomic_load(&regions[slot].from))
        slot++;
    if (slot == SLOTS)
        return false;
    memset(t->touched, 0, t->bytes / t->page);
    region *r = &regions[slot];
    r->bytes = t->bytes;
    r->page = t->page;
    r->touched = t->touched;
    r->protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
    if (closed == 0) {
        struct sigaction act = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_NODEFER};
        sigemptyset(&act.sa_mask);
        if (sigaction(SIGSEGV, &act, &before) != 0)
            return false;
    }
    closed++;
    t->slot = slot;
    atomic_store(&r->from, (uintptr_t)t->data);
    if (mprotect(t->data, t->bytes, PROT_NONE) == 0)
        return true;
    att_touch_open(t);
    return false;
}

void att_touch_open(att_touch *t)
{
    if (t->slot < 0)
        return;
    mprotect(t->data, t->bytes, PROT_READ | PROT_WRITE);
    atomic_store(&regions[t->slot].from, (uintptr_t)0);
    t->slot = -1;
    if (--closed == 0)
        sigaction(SIGSEGV, &before, NULL);
}

size_t att_touch_count(const att_touch *t, size_t from, size_t n)
{
    size_t count = 0;

    for (size_t i = from / t->page; n && i <= (from + n - 1) / t->page; i++)
        count += t->touched[i] > 0;
    return count;
}

void att_touch_drop(att_touch *t)
{
    if (!t->data)
        return;
    att_touch_open(t);
    munmap(t->data, t->bytes);
    free(t->touched);
    *t = (att_touch){.slot = -1};
}
