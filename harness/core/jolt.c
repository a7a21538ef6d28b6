/* SPDX-License-Identifier: Apache-2.0 */
#include "core/jolt.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"

enum { STOPS = 300, TASKS = 64, THREADS_MOST = 256 };

typedef struct lane lane;

typedef struct jolter {
    att_jolt how;
    att_rng rng;
    uint64_t jobs; /* so far: each has a stream of its own */
    /* The job. */
    int64_t items;
    int64_t *order;
    _Atomic int64_t next;
    void (*body)(void *arg, int64_t i, int thread);
    void *arg;
    /* Who stops threads. */
    pthread_t stopper;
    bool stops;
    atomic_bool end;
    struct sigaction before;
} jolter;

struct lane {
    jolter *j;
    att_rng rng;
    int index;
    pthread_t thread;
};

static void pause_for(long microseconds)
{
    const struct timespec t = {microseconds / 1000000, microseconds % 1000000 * 1000};

    nanosleep(&t, NULL);
}

/* ----------------------------------------------------------- stopping threads in the middle */

static void on_stop(int number)
{
    const int error = errno;

    (void)number;
    pause_for(60);
    errno = error;
}

/* The threads of the process but this one. */
static int list_tasks(long *to)
{
    const long self = syscall(SYS_gettid);
    DIR *tasks = opendir("/proc/self/task");
    int n = 0;

    for (struct dirent *d; tasks && n < TASKS && (d = readdir(tasks));)
        if (*d->d_name != '.' && strtol(d->d_name, NULL, 10) != self)
            to[n++] = strtol(d->d_name, NULL, 10);
    if (tasks)
        closedir(tasks);
    return n;
}

static void *stop_others(void *arg)
{
    jolter *j = arg;
    att_rng rng = att_rng_make(j->how.seed, "stops");
    const long process = getpid();
    long task[TASKS];

    for (int i = 0; i < STOPS && !atomic_load(&j->end); i++) {
        pause_for((long)att_rng_below(&rng, 60));
        const int n = list_tasks(task);
        if (n > 0)
            syscall(SYS_tgkill, process, task[att_rng_below(&rng, (uint64_t)n)], SIGURG);
    }
    return NULL;
}

static bool begin_stops(jolter *j)
{
    /* SIGURG is ignored by default: one that comes late does no harm. */
    struct sigaction act = {.sa_handler = on_stop, .sa_flags = SA_RESTART};
    sigset_t all, old;

    sigemptyset(&act.sa_mask);
    if (sigaction(SIGURG, &act, &j->before) != 0)
        return false;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    j->stops = pthread_create(&j->stopper, NULL, stop_others, j) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return j->stops;
}

/* ---------------------------------------------------------------------- running items */

static void *run_lane(void *arg)
{
    lane *l = arg;
    jolter *j = l->j;
    const int threads = j->how.threads;

    if (j->how.ways & ATT_JOLT_LATE)
        pause_for((long)att_rng_below(&l->rng, 200));
    if ((j->how.ways & ATT_JOLT_ALONE) && l->index != threads - 1)
        return NULL;
    const bool dealt = (j->how.ways & ATT_JOLT_DEALT) && !(j->how.ways & ATT_JOLT_ALONE);
    for (int64_t mine = l->index;; mine += threads) {
        const int64_t i = dealt ? mine : atomic_fetch_add(&j->next, 1);
        if (i >= j->items)
            return NULL;
        if ((j->how.ways & ATT_JOLT_YIELDS) && att_rng_below(&l->rng, 2))
            sched_yield();
        j->body(j->arg, j->order[i], l->index);
    }
}

static void put_in_order(jolter *j, att_rng *rng)
{
    for (int64_t i = 0; i < j->items; i++)
        j->order[i] = j->how.ways & ATT_JOLT_REVERSED ? j->items - 1 - i : i;
    if (j->how.ways & ATT_JOLT_SHUFFLED)
        att_rng_shuffle(rng, j->order, (size_t)j->items, sizeof *j->order);
}

static void run_jolted(const att_host *host, int64_t n,
                       void (*body)(void *arg, int64_t i, int thread), void *arg)
{
    jolter *j = host->impl;
    int64_t *order = n > 0 ? malloc((size_t)n * sizeof *order) : NULL;
    lane lanes[THREADS_MOST];
    bool own[THREADS_MOST] = {false};

    if (!order) { /* none, or no memory for an order: any order is right */
        for (int64_t i = 0; i < n; i++)
            body(arg, i, 0);
        return;
    }
    j->items = n;
    j->order = order;
    j->body = body;
    j->arg = arg;
    atomic_store(&j->next, 0);
    att_rng job = att_rng_split(&j->rng, j->jobs++);
    put_in_order(j, &job);
    for (int t = 0; t < j->how.threads; t++) {
        lanes[t] = (lane){.j = j, .rng = att_rng_split(&job, (uint64_t)t), .index = t};
        own[t] = t > 0 && pthread_create(&lanes[t].thread, NULL, run_lane, &lanes[t]) == 0;
    }
    for (int t = 0; t < j->how.threads; t++)
        if (!own[t]) /* the caller's own, and those that could not be started */
            run_lane(&lanes[t]);
    for (int t = 0; t < j->how.threads; t++)
        if (own[t])
            pthread_join(lanes[t].thread, NULL);
    free(order);
}

att_status att_jolt_make(const att_jolt *how, att_host *out)
{
    jolter *j = calloc(1, sizeof *j);

    *out = (att_host){0};
    if (!j)
        return ATT_NO_MEMORY;
    j->how = *how;
    j->how.threads = how->threads < 1              ? 1
                     : how->threads > THREADS_MOST ? THREADS_MOST
                                                   : how->threads;
    j->rng = att_rng_make(how->seed, "jolt");
    if ((how->ways & ATT_JOLT_STOPS) && !begin_stops(j)) {
        free(j);
        return ATT_NO_MEMORY;
    }
    *out = (att_host){.struct_size = sizeof *out,
                      .threads = j->how.threads,
                      .impl = j,
                      .parallel_for = run_jolted};
    return ATT_OK;
}

void att_jolt_drop(att_host *host)
{
    jolter *j = host->impl;

    if (j && j->stops) {
        atomic_store(&j->end, true);
        pthread_join(j->stopper, NULL);
        sigaction(SIGURG, &j->before, NULL);
    }
    free(j);
    *host = (att_host){0};
}
