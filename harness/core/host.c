/* SPDX-License-Identifier: Apache-2.0 */
/* A persistent pool of threads.  A job is published under a generation number; items are taken from
 * one atomic counter, so that uneven items balance themselves.
 *
 * A forward pass issues hundreds of short jobs a second, and waking a sleeping thread costs as much
 * as a small one: threads that ran out of work look at the generation number for some microseconds
 * before they sleep, and nobody spins where there are fewer processors than threads. */
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
    atomic_uint generation; /* changes with each job */
    atomic_bool stop;
    atomic_int busy;      /* pool threads that have not finished the present job */
    _Atomic int64_t next; /* item to take */
    int sleepers;         /* under lock */
    int spins;
    /* The job: written before `generation` moves, read after. */
    int64_t items;
    void (*body)(void *arg, int64_t i, int thread);
    void *arg;
    int started;
    member members[];
};

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

/* Waits for a generation other than `seen`; false when the pool ends. */
static bool next_job(pool *p, unsigned seen)
{
    for (int i = 0; i < p->spins; i++) {
        if (atomic_load_explicit(&p->generation, memory_order_acquire) != seen)
            return !atomic_load(&p->stop);
        relax();
    }
    pthread_mutex_lock(&p->lock);
    p->sleepers++;
    while (atomic_load(&p->generation) == seen)
        pthread_cond_wait(&p->wake, &p->lock);
    p->sleepers--;
    pthread_mutex_unlock(&p->lock);
    return !atomic_load(&p->stop);
}

static void *live(void *arg)
{
    member *m = arg;
    pool *p = m->pool;
    for (unsigned seen = 0; next_job(p, seen);) {
        seen = atomic_load(&p->generation);
        work(p, m->index);
        if (atomic_fetch_sub(&p->busy, 1) == 1) { /* the last one: the caller may sleep */
            pthread_mutex_lock(&p->lock);
            pthread_cond_signal(&p->done);
            pthread_mutex_unlock(&p->lock);
        }
    }
    return NULL;
}

static void publish(pool *p)
{
    pthread_mutex_lock(&p->lock);
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
    if (p->sleepers)
        pthread_cond_broadcast(&p->wake);
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
    atomic_store(&p->busy, p->started);
    publish(p);
    work(p, 0);
    for (int i = 0; i < p->spins && atomic_load(&p->busy); i++)
        relax();
    if (atomic_load(&p->busy)) {
        pthread_mutex_lock(&p->lock);
        while (atomic_load(&p->busy))
            pthread_cond_wait(&p->done, &p->lock);
        pthread_mutex_unlock(&p->lock);
    }
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
        atomic_store(&p->stop, true);
        publish(p);
        for (int i = 1; i <= p->started; i++)
            pthread_join(p->members[i].thread, NULL);
        pthread_cond_destroy(&p->wake);
        pthread_cond_destroy(&p->done);
        pthread_mutex_destroy(&p->lock);
        free(p);
    }
    *host = (att_host){0};
}
