/* SPDX-License-Identifier: Apache-2.0 */
/* A persistent pool of threads.  Items are taken from one atomic counter, so that uneven items
 * balance themselves, and the caller works like the others.
 *
 * `state` holds a job's generation number, whether the job is closed, and how many pool threads are
 * inside it.  A thread enters by a compare-and-swap while the job is open; the caller, out of
 * items, closes it and waits for those inside alone: a thread that never woke, on a busy machine,
 * holds nobody up.
 *
 * A forward pass issues hundreds of short jobs a second, and waking a sleeping thread costs as much
 * as a small one: threads that ran out of work look at the state for some microseconds before they
 * sleep, and nobody spins where there are fewer processors than threads. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/host.h"

enum { SPINS = 4000 }; /* of a pause instruction each: tens of microseconds */

typedef struct pool pool;

typedef struct member {
    pool *pool;
    int index;
    pthread_t thread;
} member;

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    _Atomic uint64_t state; /* generation << 32 | CLOSED | threads inside */
    atomic_bool stop;
    _Atomic int64_t next; /* item to take */
    int sleepers;         /* under lock */
    int spins;
    /* The job: written while nobody is inside, before the state that opens it. */
    int64_t items;
    void (*body)(void *arg, int64_t i, int thread);
    void *arg;
    int started;
    member members[];
};

#define CLOSED (UINT64_C(1) << 31)
#define INSIDE (CLOSED - 1)

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void work(pool *p, int thread)
{
    for (;;) {
        int64_t i = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (i >= p->items)
            return;
        p->body(p->arg, i, thread);
    }
}

static bool open_job(uint64_t state, uint64_t seen)
{
    return state >> 32 != seen && !(state & CLOSED);
}

/* Waits for an open job other than generation `seen`; false when the pool ends. */
static bool next_job(pool *p, uint64_t seen)
{
    for (int i = 0; i < p->spins; i++) {
        if (open_job(atomic_load(&p->state), seen) || atomic_load(&p->stop))
            return !atomic_load(&p->stop);
        relax();
    }
    pthread_mutex_lock(&p->lock);
    p->sleepers++;
    while (!open_job(atomic_load(&p->state), seen) && !atomic_load(&p->stop))
        pthread_cond_wait(&p->wake, &p->lock);
    p->sleepers--;
    pthread_mutex_unlock(&p->lock);
    return !atomic_load(&p->stop);
}

/* Enters the open job, if there still is one; its generation goes to *seen. */
static bool enter(pool *p, uint64_t *seen)
{
    uint64_t state = atomic_load(&p->state);
    do {
        if (!open_job(state, *seen))
            return false;
    } while (!atomic_compare_exchange_weak(&p->state, &state, state + 1));
    *seen = state >> 32;
    return true;
}

static void *live(void *arg)
{
    member *m = arg;
    pool *p = m->pool;
    for (uint64_t seen = 0; next_job(p, seen);) {
        if (!enter(p, &seen))
            continue;
        work(p, m->index);
        uint64_t before = atomic_fetch_sub(&p->state, 1);
        if ((before & CLOSED) && (before & INSIDE) == 1) { /* the last one: the caller may sleep */
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
    return NULL;
}

static void open_for_all(pool *p)
{
    pthread_mutex_lock(&p->lock);
    uint64_t generation = ((atomic_load(&p->state) >> 32) + 1) & UINT32_MAX;
    atomic_store(&p->state, generation << 32);
    if (p->sleepers)
        pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
}

static void close_and_wait(pool *p)
{
    atomic_fetch_or(&p->state, CLOSED);
    for (int i = 0; i < p->spins && (atomic_load(&p->state) & INSIDE); i++)
        relax();
    if (!(atomic_load(&p->state) & INSIDE))
        return;
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->state) & INSIDE)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}

static void run_pool(const att_host *host, int64_t n,
                     void (*body)(void *arg, int64_t i, int thread), void *arg)
{
    pool *p = host->impl;
    if (n <= 1 || !p || p->started == 0) {
        for (int64_t i = 0; i < n; i++)
            body(arg, i, 0);
        return;
    }
    p->items = n;
    p->body = body;
    p->arg = arg;
    atomic_store(&p->next, 0);
    open_for_all(p);
    work(p, 0);
    close_and_wait(p);
}

att_status att_host_make(int threads, att_host *out)
{
    if (threads < 1)
        threads = 1;
    *out = (att_host){.struct_size = sizeof *out, .threads = 1, .parallel_for = run_pool};
    pool *p = calloc(1, sizeof *p + (size_t)threads * sizeof p->members[0]);
    if (!p)
        return ATT_NO_MEMORY;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    atomic_init(&p->state, CLOSED);
    p->spins = sysconf(_SC_NPROCESSORS_ONLN) >= threads ? SPINS : 0;
    out->impl = p;
    for (int i = 1; i < threads; i++) {
        member *m = &p->members[i];
        *m = (member){.pool = p, .index = i};
        if (pthread_create(&m->thread, NULL, live, m)) {
            att_host_drop(out);
            return ATT_NO_MEMORY;
        }
        p->started++;
    }
    out->threads = threads;
    return ATT_OK;
}

void att_host_drop(att_host *host)
{
    pool *p = host->impl;
    if (p) {
        pthread_mutex_lock(&p->lock);
        atomic_store(&p->stop, true);
        pthread_cond_broadcast(&p->wake);
        pthread_mutex_unlock(&p->lock);
        for (int i = 1; i <= p->started; i++)
            pthread_join(p->members[i].thread, NULL);
        pthread_cond_destroy(&p->wake);
        pthread_cond_destroy(&p->done);
        pthread_mutex_destroy(&p->lock);
        free(p);
    }
    *host = (att_host){0};
}
