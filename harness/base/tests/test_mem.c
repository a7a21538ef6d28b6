/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tests/suite.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

typedef enum touch { READ_PAST, READ_BEFORE, READ_JUST_BEFORE, WRITE_FROZEN, READ_LAST } touch;

/* The signal that ends a child which touches the buffer that way; 0 = it lived. */
static int signal_of(const att_guard *guard, touch how)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        volatile unsigned char *bytes = guard->data, *map = guard->map;
        signal(SIGSEGV, SIG_DFL); /* a sanitiser's handler would turn the signal into an exit */
        signal(SIGBUS, SIG_DFL);
        unsigned char seen = 0;
        if (how == READ_PAST)
            seen = bytes[guard->bytes];
        else if (how == READ_BEFORE)
            seen = map[0];
        else if (how == READ_JUST_BEFORE)
            seen = bytes[-1];
        else if (how == WRITE_FROZEN)
            bytes[0] = 1;
        else
            seen = bytes[guard->bytes - 1];
        _exit(seen == 254);
    }
    CU_ASSERT_FATAL(child > 0);
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void reading_one_byte_past_a_flush_buffer_dies(void)
{
    for (size_t bytes = 1; bytes < 9000; bytes = bytes * 3 + 1) {
        att_guard guard;
        CU_ASSERT_FATAL(att_guard_make(&guard, bytes, ATT_PLACE_FLUSH));
        CU_ASSERT_EQUAL(signal_of(&guard, READ_LAST), 0);
        CU_ASSERT_EQUAL(signal_of(&guard, READ_PAST), SIGSEGV);
        CU_ASSERT_EQUAL(signal_of(&guard, READ_BEFORE), SIGSEGV);
        att_guard_drop(&guard);
    }
}

/* In a child, which alone opens its guards. */
static void open_guards_let_through_and_count(void)
{
    pid_t child = fork();
    int status = 0;

    if (child == 0) {
        att_guard guard;
        att_guard_open();
        bool right = att_guard_make(&guard, 100, ATT_PLACE_FLUSH);
        att_guard_freeze(&guard, true);
        unsigned char *bytes = guard.data;
        right = right && bytes[100] == 0xff && att_guard_changed(&guard) == 0;
        bytes[0] = bytes[100] = bytes[60000] = bytes[-60000] = 1;
        _exit(right && att_guard_changed(&guard) == 3 ? 0 : 1);
    }
    CU_ASSERT_FATAL(child > 0);
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void an_empty_flush_buffer_lies_at_the_guard(void)
{
    att_guard guard;

    CU_ASSERT_FATAL(att_guard_make(&guard, 0, ATT_PLACE_FLUSH));
    CU_ASSERT_EQUAL(signal_of(&guard, READ_PAST), SIGSEGV);
    CU_ASSERT_EQUAL(att_guard_changed(&guard), 0);
    att_guard_drop(&guard);
    CU_ASSERT_PTR_NULL(guard.map);
}

static void writing_into_a_frozen_buffer_dies_and_thawing_lets_it(void)
{
    att_guard guard;

    CU_ASSERT_FATAL(att_guard_make(&guard, 100, ATT_PLACE_ALIGNED));
    att_guard_freeze(&guard, true);
    CU_ASSERT_EQUAL(signal_of(&guard, WRITE_FROZEN), SIGSEGV);
    CU_ASSERT_EQUAL(signal_of(&guard, READ_LAST), 0);
    att_guard_freeze(&guard, false);
    CU_ASSERT_EQUAL(signal_of(&guard, WRITE_FROZEN), 0);
    att_guard_drop(&guard);
}

static void aligned_buffers_start_on_64_bytes_between_counted_red_zones(void)
{
    att_guard guard;

    CU_ASSERT_FATAL(att_guard_make(&guard, 40, ATT_PLACE_ALIGNED));
    CU_ASSERT_EQUAL((uintptr_t)guard.data % 64, 0);
    unsigned char *bytes = guard.data;
    for (int i = -64; i < 40 + 64; i++)
        CU_ASSERT_EQUAL(bytes[i], 0xff);
    memset(bytes, 0, 40);
    CU_ASSERT_EQUAL(att_guard_changed(&guard), 0);
    bytes[40] = 0;
    bytes[-1] = 0;
    bytes[-64] = 0;
    CU_ASSERT_EQUAL(att_guard_changed(&guard), 3);
    att_guard_drop(&guard);
}

static void loose_buffers_lie_in_wide_zeros_that_are_counted(void)
{
    att_guard guard;

    CU_ASSERT_FATAL(att_guard_make(&guard, 40, ATT_PLACE_LOOSE));
    unsigned char *bytes = guard.data;
    for (int i = -4096; i < 40 + 4096; i++)
        CU_ASSERT_EQUAL(bytes[i], 0);
    memset(bytes, 1, 40);
    CU_ASSERT_EQUAL(att_guard_changed(&guard), 0);
    bytes[4096] = 1;
    bytes[-4096] = 1;
    CU_ASSERT_EQUAL(att_guard_changed(&guard), 2);
    CU_ASSERT_EQUAL(att_guard_written(&guard), 42);
    att_guard_drop(&guard);
}

static void one_byte_before_a_front_buffer_dies(void)
{
    for (size_t bytes = 1; bytes < 9000; bytes = bytes * 3 + 1) {
        att_guard guard;
        CU_ASSERT_FATAL(att_guard_make(&guard, bytes, ATT_PLACE_FRONT));
        CU_ASSERT_EQUAL(signal_of(&guard, READ_LAST), 0);
        CU_ASSERT_EQUAL(signal_of(&guard, READ_JUST_BEFORE), SIGSEGV);
        CU_ASSERT_EQUAL(att_guard_changed(&guard), 0);
        ((unsigned char *)guard.data)[bytes] = 0;
        CU_ASSERT_EQUAL(att_guard_changed(&guard), 1);
        att_guard_drop(&guard);
    }
}

static void adding_zero_changes_an_armed_red_zone(void)
{
    const uint32_t quiet_not = 0x7fa00001u;
    att_guard guard;
    size_t farthest = 1;

    CU_ASSERT_FATAL(att_guard_make(&guard, 40, ATT_PLACE_ALIGNED));
    volatile float *at = guard.data;
    at[-2] += 0.0f; /* the pattern is a quiet NaN: nothing shows */
    CU_ASSERT_EQUAL(att_guard_changed(&guard), 0);
    att_guard_arm(&guard, &quiet_not, sizeof quiet_not);
    CU_ASSERT_EQUAL(att_guard_changed(&guard), 0);
    CU_ASSERT_EQUAL(att_guard_changed_before(&guard, &farthest), 0);
    CU_ASSERT_EQUAL(farthest, 0);
    at[-2] += 0.0f;
    at[10] += 0.0f;
    CU_ASSERT_EQUAL(att_guard_changed(&guard), 2);
    CU_ASSERT_EQUAL(att_guard_changed_before(&guard, &farthest), 1);
    CU_ASSERT(farthest > 4 && farthest <= 8);
    CU_ASSERT_EQUAL(att_guard_written(&guard), 2);
    att_guard_drop(&guard);
}

static void impossible_sizes_are_refused(void)
{
    att_guard guard;
    size_t product;

    CU_ASSERT_FALSE(att_guard_make(&guard, SIZE_MAX - 100, ATT_PLACE_ALIGNED));
    CU_ASSERT_FALSE(att_guard_make(&guard, SIZE_MAX / 2, ATT_PLACE_FLUSH));
    CU_ASSERT_FALSE(att_size_mul(SIZE_MAX / 2, 3, &product));
    CU_ASSERT_TRUE(att_size_mul(SIZE_MAX / 2, 2, &product));
    CU_ASSERT_EQUAL(product, SIZE_MAX - 1);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"reading_one_byte_past_a_flush_buffer_dies", reading_one_byte_past_a_flush_buffer_dies},
        {"open guards let through and count", open_guards_let_through_and_count},
        {"an_empty_flush_buffer_lies_at_the_guard", an_empty_flush_buffer_lies_at_the_guard},
        {"writing_into_a_frozen_buffer_dies_and_thawing_lets_it",
         writing_into_a_frozen_buffer_dies_and_thawing_lets_it},
        {"aligned_buffers_start_on_64_bytes_between_counted_red_zones",
         aligned_buffers_start_on_64_bytes_between_counted_red_zones},
        {"loose_buffers_lie_in_wide_zeros_that_are_counted",
         loose_buffers_lie_in_wide_zeros_that_are_counted},
        {"one_byte_before_a_front_buffer_dies", one_byte_before_a_front_buffer_dies},
        {"adding_zero_changes_an_armed_red_zone", adding_zero_changes_an_armed_red_zone},
        {"impossible_sizes_are_refused", impossible_sizes_are_refused},
        CU_TEST_INFO_NULL,
    };
    return att_suite_run("mem", tests);
}
