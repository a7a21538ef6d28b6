/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/far.h"

#define GIB ((size_t)1 << 30)

/* The signal that ends a child which reads, or writes, there; 0 = it lived. */
static int signal_of(unsigned char *at, bool writes)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        volatile unsigned char *byte = at;
        signal(SIGSEGV, SIG_DFL); /* a sanitiser's handler would turn the signal into an exit */
        signal(SIGBUS, SIG_DFL);
        unsigned char seen = *byte;
        if (writes)
            *byte = 1;
        _exit(seen == 254);
    }
    CU_ASSERT_FATAL(child > 0);
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void only_opened_pages_are_memory(void)
{
    att_far far;

    CU_ASSERT_FATAL(att_far_make(&far, 64 * GIB));
    CU_ASSERT(att_far_open(&far, 33 * GIB, 100));
    CU_ASSERT(att_far_open(&far, 4 * GIB - 8, 16));
    CU_ASSERT_EQUAL(far.pages, 3);
    CU_ASSERT_EQUAL(far.map[33 * GIB + 99], 0xff);
    CU_ASSERT_EQUAL(signal_of(far.map + 4 * GIB, true), 0);
    CU_ASSERT_EQUAL(signal_of(far.map + 33 * GIB - 1, false), SIGSEGV);
    CU_ASSERT_EQUAL(signal_of(far.map + GIB, false), SIGSEGV);
    att_far_drop(&far);
    CU_ASSERT_PTR_NULL(far.map);
}

static void it_is_known_which_bytes_are_memory(void)
{
    att_far far;

    CU_ASSERT_FATAL(att_far_make(&far, 8 * GIB));
    CU_ASSERT(att_far_open(&far, 8 * GIB - 100, 100));
    CU_ASSERT(att_far_holds(&far, far.map + 8 * GIB - 100, 100));
    CU_ASSERT_FALSE(att_far_holds(&far, far.map + 8 * GIB - 100, 101));
    CU_ASSERT_FALSE(att_far_holds(&far, far.map, 1));
    CU_ASSERT_FALSE(att_far_holds(&far, far.map - 1, 1));
    CU_ASSERT_FALSE(att_far_open(&far, 8 * GIB - 100, 101));
    CU_ASSERT_FALSE(att_far_open(&far, SIZE_MAX - 10, 20));
    att_far_drop(&far);
}

static void a_page_opened_twice_keeps_what_it_holds(void)
{
    att_far far;

    CU_ASSERT_FATAL(att_far_make(&far, 8 * GIB));
    CU_ASSERT(att_far_open(&far, 6 * GIB, 10));
    far.map[6 * GIB] = 7;
    CU_ASSERT(att_far_open(&far, 6 * GIB, 5000));
    CU_ASSERT_EQUAL(far.map[6 * GIB], 7);
    CU_ASSERT_EQUAL(far.map[6 * GIB + 4999], 0xff);
    CU_ASSERT_EQUAL(att_far_written(&far), 1);
    att_far_drop(&far);
}

static void frozen_pages_can_be_read_only(void)
{
    att_far far;

    CU_ASSERT_FATAL(att_far_make(&far, 8 * GIB));
    CU_ASSERT(att_far_open(&far, 5 * GIB, 1));
    att_far_freeze(&far, true);
    CU_ASSERT_EQUAL(signal_of(far.map + 5 * GIB, false), 0);
    CU_ASSERT_EQUAL(signal_of(far.map + 5 * GIB, true), SIGSEGV);
    att_far_freeze(&far, false);
    CU_ASSERT_EQUAL(signal_of(far.map + 5 * GIB, true), 0);
    att_far_drop(&far);
}

static void a_soft_limit_of_the_address_space_is_raised_and_put_back(void)
{
    struct rlimit old, limit, now;
    att_far far = {0};

    CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_AS, &old), 0);
    limit = old;
    limit.rlim_cur = 100 * 1024 * GIB; /* above what sanitisers reserve */
    if (old.rlim_max != RLIM_INFINITY || setrlimit(RLIMIT_AS, &limit) != 0)
        return;
    CU_ASSERT(att_far_make(&far, 4 * GIB));
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_AS, &now), 0);
    CU_ASSERT_EQUAL(now.rlim_cur, limit.rlim_cur + 4 * GIB);
    att_far_drop(&far);
    CU_ASSERT_EQUAL(getrlimit(RLIMIT_AS, &now), 0);
    CU_ASSERT_EQUAL(now.rlim_cur, limit.rlim_cur);
    setrlimit(RLIMIT_AS, &old);
}

static void what_no_machine_lends_is_refused(void)
{
    att_far far;

    CU_ASSERT_FALSE(att_far_make(&far, SIZE_MAX - 100));
    CU_ASSERT_FALSE(att_far_make(&far, SIZE_MAX / 2));
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"only opened pages are memory", only_opened_pages_are_memory},
        {"it is known which bytes are memory", it_is_known_which_bytes_are_memory},
        {"a page opened twice keeps what it holds", a_page_opened_twice_keeps_what_it_holds},
        {"frozen pages can be read only", frozen_pages_can_be_read_only},
        {"a soft limit of the address space is raised and put back",
         a_soft_limit_of_the_address_space_is_raised_and_put_back},
        {"what no machine lends is refused", what_no_machine_lends_is_refused},
        CU_TEST_INFO_NULL,
    };
    return att_suite_run("far", tests);
}
