/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "base/tests/suite.h"
#include "core/host.h"

typedef struct tally {
    atomic_int *count;
    int threads;
    atomic_int outside;
} tally;

static void count_item(void *arg, int64_t i, int thread)
{
    tally *t = arg;
    atomic_fetch_add(&t->count[i], 1);
    if (thread < 0 || thread >= t->threads)
        atomic_fetch_add(&t->outside, 1);
}

static void every_item_runs_once(void)
{
    enum { MOST = 300 };
    static const int threads[] = {1, 2, 3, 7};
    for (size_t k = 0; k < sizeof threads / sizeof threads[0]; k++) {
        att_host host;
        CU_ASSERT_EQUAL_FATAL(att_host_make(threads[k], &host), ATT_OK);
        CU_ASSERT_EQUAL(host.threads, threads[k]);
        for (int64_t n = 0; n <= MOST; n = n < 5 ? n + 1 : n * 2) {
            atomic_int count[MOST] = {0};
            tally t = {.count = count, .threads = threads[k]};
            host.parallel_for(&host, n, count_item, &t);
            for (int64_t i = 0; i < MOST; i++)
                CU_ASSERT_EQUAL(count[i], i < n);
            CU_ASSERT_EQUAL(t.outside, 0);
        }
        att_host_drop(&host);
        CU_ASSERT_PTR_NULL(host.impl);
    }
}

/* Plain memory written by one job is read by the next: the pool must order them. */
static void add_neighbour(void *arg, int64_t i, int thread)
{
    int64_t *cell = arg;
    (void)thread;
    cell[i] += cell[i + 64];
}

static void jobs_see_what_earlier_jobs_wrote(void)
{
    enum { JOBS = 20000 };
    att_host host;
    int64_t cell[128];
    CU_ASSERT_EQUAL_FATAL(att_host_make(3, &host), ATT_OK);
    for (int64_t i = 0; i < 128; i++)
        cell[i] = i < 64 ? 0 : 1;
    for (int job = 0; job < JOBS; job++)
        host.parallel_for(&host, 64, add_neighbour, cell);
    for (int64_t i = 0; i < 64; i++)
        CU_ASSERT_EQUAL(cell[i], JOBS);
    att_host_drop(&host);
}

/* Threads look out for the next job a while, then sleep: soon a window passes without work. */
static void an_idle_pool_burns_no_time(void)
{
    att_host host;
    struct timespec from, to, pause = {.tv_nsec = 200000000};
    int64_t cell[128] = {0};
    double used = 1;
    CU_ASSERT_EQUAL_FATAL(att_host_make(2, &host), ATT_OK);
    host.parallel_for(&host, 64, add_neighbour, cell);
    for (int window = 0; window < 10 && used >= 0.02; window++) {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        used = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
    }
    CU_ASSERT(used < 0.02);
    att_host_drop(&host);
}

static void a_dropped_host_can_be_dropped_again(void)
{
    att_host host = {0};
    att_host_drop(&host);
    CU_ASSERT_EQUAL(att_host_make(-3, &host), ATT_OK);
    CU_ASSERT_EQUAL(host.threads, 1);
    att_host_drop(&host);
    att_host_drop(&host);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every_item_runs_once", every_item_runs_once},
        {"jobs_see_what_earlier_jobs_wrote", jobs_see_what_earlier_jobs_wrote},
        {"an_idle_pool_burns_no_time", an_idle_pool_burns_no_time},
        {"a_dropped_host_can_be_dropped_again", a_dropped_host_can_be_dropped_again},
        CU_TEST_INFO_NULL};
    return att_suite_run("host", tests);
}
