/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "base/touch.h"
#include "core/jolt.h"
#include "core/watch.h"

static void open_house(void)
{
    house_open(1, NULL);
}

/* Measured and judged; the caller clears it. */
static att_record run_case(const char *kernel, const char *params)
{
    return house_case("repeat", kernel, params, 3);
}

#define SHAPE "hq=6 hkv=2 sq=65 sk=520 d=40 causal=br wl=7"

static void right_kernels_repeat_themselves(void)
{
    static const char *const kernels[] = {"flash_f32",      "naive_blas",  "split_kv{splits=7}",
                                          "topk{k=8}",      "linear_elu1", "pool_kv{groups=2}",
                                          "sliding_window", NULL};
    size_t passed = 0;

    for (size_t i = 0; kernels[i]; i++) {
        att_record r = run_case(kernels[i], "hq=6 hkv=2 sq=65 sk=257 d=40 causal=br");
        if (r.status != ATT_PASS)
            printf("%s: %s\n", kernels[i], r.reason ? r.reason : "");
        passed += r.status == ATT_PASS;
        att_record_clear(&r);
    }
    CU_ASSERT_EQUAL(passed, 7);
}

/* 0: passed; 1: failed; 2: failed and named; or the negative of the signal that ended it.  In a
 * process of its own. */
static int outcome(const char *kernel, const char *fault)
{
    int status = 0;

    fflush(stdout);
    pid_t child = fork();
    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        close(2);
        att_record r = run_case(kernel, SHAPE);
        bool named = false;
        for (size_t d = 0; d < r.n_diagnoses; d++)
            named |= strcmp(r.diagnoses[d].fault, fault) == 0;
        _exit(r.status == ATT_PASS ? 0 : named ? 2 : 1);
    }
    CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void races_are_caught_every_time_and_not_taken_for_another(void)
{
    for (int i = 0; i < 5; i++) {
        CU_ASSERT(outcome("skip_without_barrier", "use_after_free") == 1);
        CU_ASSERT(outcome("cross_warp_state", "use_after_free") == 1);
    }
}

static void a_use_after_free_is_caught_and_named(void)
{
    /* Or ended by whoever else watches the heap. */
    CU_ASSERT_EQUAL(outcome("use_after_free", "use_after_free"), att_heap_counts() ? 2 : 1);
}

static void a_deadlock_ends_the_process_at_once(void)
{
#if defined(__SANITIZE_THREAD__) /* its own thread never waits for a lock */
    CU_ASSERT_EQUAL(outcome("flash_f32", ""), 0);
#else
    CU_ASSERT_EQUAL(outcome("swa_drain_missing", ""), -SIGALRM);
#endif
}

/* ---------------------------------------------------------------------- its instruments */

static void touched_pages_are_counted_once(void)
{
    att_touch t;

    CU_ASSERT_FATAL(att_touch_make(&t, 8 * 4096));
    const size_t page = t.page;
    volatile unsigned char *bytes = t.data;
    bytes[3 * page] = 7;
    CU_ASSERT(att_touch_close(&t, false));
    CU_ASSERT_EQUAL(att_touch_count(&t, 0, t.bytes), 0);
    CU_ASSERT_EQUAL(bytes[3 * page] + bytes[3 * page + 9] + bytes[0], 7);
    CU_ASSERT_EQUAL(att_touch_count(&t, 0, t.bytes), 2);
    CU_ASSERT_EQUAL(att_touch_count(&t, page, 2 * page), 0);
    CU_ASSERT(att_touch_close(&t, true));
    bytes[5 * page] = 1;
    CU_ASSERT_EQUAL(att_touch_count(&t, 5 * page, 1), 1);
    CU_ASSERT_EQUAL(att_touch_count(&t, 0, t.bytes), 1);
    att_touch_open(&t);
    CU_ASSERT_EQUAL(bytes[5 * page], 1);
    att_touch_drop(&t);
    CU_ASSERT_PTR_NULL(t.data);
}

static void the_heap_is_counted_and_filled(void)
{
    att_heap_begin();
    void *volatile a = malloc(1000);
    void *volatile b = malloc(5000);
    const int64_t most = att_heap_now();
    free(b);
    free(a);
    CU_ASSERT_EQUAL(att_heap_now(), 0);
    CU_ASSERT_EQUAL(att_heap_most(), most);
    att_heap_end();
    CU_ASSERT_EQUAL(most >= 6000, att_heap_counts());
    att_heap_fill(0x5a, -1);
    unsigned char *volatile fresh = malloc(100);
    att_heap_fill(-1, -1);
    /* cppcheck-suppress uninitdata ; what fresh memory holds is the question */
    CU_ASSERT_EQUAL(fresh[99] == 0x5a, att_heap_counts());
    free(fresh);
}

typedef struct seen {
    int items[40], thread[40], most;
} seen;

static void see(void *arg, int64_t i, int thread)
{
    seen *s = arg;

    s->items[i]++;
    s->thread[i] = thread;
}

static void every_schedule_runs_every_item_once(void)
{
    for (unsigned ways = 0; ways < 128; ways += 3) {
        const att_jolt how = {.threads = 3, .ways = ways, .seed = ways};
        seen s = {{0}, {0}, 0};
        att_host jolted;
        CU_ASSERT_EQUAL_FATAL(att_jolt_make(&how, &jolted), ATT_OK);
        CU_ASSERT_EQUAL(jolted.threads, 3);
        jolted.parallel_for(&jolted, 40, see, &s);
        att_jolt_drop(&jolted);
        for (int i = 0; i < 40; i++) {
            CU_ASSERT_EQUAL(s.items[i], 1);
            CU_ASSERT(s.thread[i] >= 0 && s.thread[i] < 3);
            if (ways & ATT_JOLT_ALONE)
                CU_ASSERT_EQUAL(s.thread[i], 2);
        }
    }
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the house opens", open_house},
        {"right kernels repeat themselves", right_kernels_repeat_themselves},
        {"races are caught every time and not taken for another",
         races_are_caught_every_time_and_not_taken_for_another},
        {"a use after free is caught and named", a_use_after_free_is_caught_and_named},
        {"a deadlock ends the process at once", a_deadlock_ends_the_process_at_once},
        {"touched pages are counted once", touched_pages_are_counted_once},
        {"the heap is counted and filled", the_heap_is_counted_and_filled},
        {"every schedule runs every item once", every_schedule_runs_every_item_once},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("repeat", tests);
}
