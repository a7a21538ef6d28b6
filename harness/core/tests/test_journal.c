/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/tests/suite.h"
#include "core/journal.h"

#define STAMP "0123456789abcdef x86_64/v3"

typedef struct place {
    char dir[64], db[80];
} place;

static place place_make(void)
{
    place p = {.dir = "/tmp/att_journal_XXXXXX"};
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(p.dir));
    snprintf(p.db, sizeof p.db, "%s/run.db", p.dir);
    return p;
}

static void place_drop(const place *p)
{
    static const char *const names[] = {"run.db", "run.db-wal", "run.db-shm"};
    for (size_t i = 0; i < 3; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", p->dir, names[i]);
        unlink(path);
    }
    rmdir(p->dir);
}

static att_status put(att_journal *j, const char *key, uint64_t seed, att_why *why)
{
    char id[] = "parity naive_f32", measure[] = "parity", kernel[] = "naive_f32";
    att_record r = {.id = id, .measure = measure, .kernel = kernel, .seed = seed, .chance = NAN};
    return att_journal_put(j, key, NULL, &r, why);
}

static bool holds(att_journal *j, const char *key, uint64_t seed)
{
    att_record r = {0};
    bool found = false;
    CU_ASSERT_EQUAL(att_journal_get(j, key, NULL, &r, &found, NULL), ATT_OK);
    bool same = found && r.seed == seed;
    att_record_clear(&r);
    return same;
}

static void rows_are_there_after_closing(void)
{
    place p = place_make();
    att_journal *j = NULL;
    att_why why = {""};
    char key[32];

    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, &why), ATT_OK);
    for (uint64_t i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", (int)i);
        CU_ASSERT_EQUAL(put(j, key, i, &why), ATT_OK);
    }
    CU_ASSERT(holds(j, "k999", 999));
    att_journal_close(j);
    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, true, STAMP, &j, &why), ATT_OK);
    CU_ASSERT_EQUAL(att_journal_count(j), 1000);
    CU_ASSERT(holds(j, "k0", 0) && holds(j, "k999", 999));
    CU_ASSERT_FALSE(holds(j, "k1000", 1000));
    att_journal_close(j);
    place_drop(&p);
}

static void the_same_key_twice_is_refused(void)
{
    place p = place_make();
    att_journal *j = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, &why), ATT_OK);
    CU_ASSERT_EQUAL(put(j, "a", 1, &why), ATT_OK);
    CU_ASSERT_EQUAL(put(j, "a", 2, &why), ATT_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "'a' is there already"));
    CU_ASSERT_EQUAL(put(j, "b", 3, &why), ATT_OK);
    att_journal_close(j);
    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, true, STAMP, &j, &why), ATT_OK);
    CU_ASSERT(holds(j, "a", 1) && holds(j, "b", 3));
    CU_ASSERT_EQUAL(put(j, "a", 2, &why), ATT_INVALID);
    att_journal_close(j);
    place_drop(&p);
}

static void not_resuming_starts_empty(void)
{
    place p = place_make();
    att_journal *j = NULL;

    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, NULL), ATT_OK);
    CU_ASSERT_EQUAL(put(j, "a", 1, NULL), ATT_OK);
    att_journal_close(j);
    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, NULL), ATT_OK);
    CU_ASSERT_FALSE(holds(j, "a", 1));
    att_journal_close(j);
    place_drop(&p);
}

/* A build or a machine that is another one measures for itself. */
static void rows_of_another_stamp_are_not_taken(void)
{
    place p = place_make();
    att_journal *j = NULL;

    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, NULL), ATT_OK);
    CU_ASSERT_EQUAL(put(j, "a", 1, NULL), ATT_OK);
    att_journal_close(j);
    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, true, "another", &j, NULL), ATT_OK);
    CU_ASSERT_FALSE(holds(j, "a", 1));
    CU_ASSERT_EQUAL(put(j, "a", 2, NULL), ATT_OK);
    att_journal_close(j);
    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, true, STAMP, &j, NULL), ATT_OK);
    CU_ASSERT(att_journal_count(j) == 2 && holds(j, "a", 1));
    att_journal_close(j);
    place_drop(&p);
}

/* What the plan knows is not in the row, and what was put comes back all the same. */
static void a_row_beside_its_case_comes_back_whole(void)
{
    place p = place_make();
    att_journal *j = NULL;
    char id[] = "parity naive_f32 b=2", measure[] = "parity", kernel[] = "naive_f32";
    char params[] = "b=2 hq=1", name[] = "hull", unit[] = "count", odd[] = "bytes";
    att_metric known = {.name = name,
                        .unit = unit,
                        .better = ATT_LOWER,
                        .limit = NAN,
                        .baseline = NAN,
                        .verdict = -1};
    att_metric got[2] = {known, known};
    att_record base = {.id = id,
                       .measure = measure,
                       .kernel = kernel,
                       .params = params,
                       .seed = 7,
                       .required = true,
                       .chance = NAN,
                       .metrics = &known,
                       .n_metrics = 1};
    att_record r = base, back = {0};
    bool found = false;

    got[0].value = 0.5, got[0].lo = got[0].hi = NAN;
    got[1].value = 2, got[1].lo = 1, got[1].hi = 3, got[1].unit = odd, got[1].better = ATT_HIGHER;
    r.metrics = got, r.n_metrics = 2, r.class_ = ATT_APPROX, r.required = false;
    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, NULL), ATT_OK);
    CU_ASSERT_EQUAL(att_journal_put(j, "l", &base, &r, NULL), ATT_OK);
    CU_ASSERT_EQUAL(att_journal_get(j, "l", &base, &back, &found, NULL), ATT_OK);
    CU_ASSERT_FATAL(found && back.n_metrics == 2 && back.params && back.line);
    CU_ASSERT_STRING_EQUAL(back.line, "parity naive_f32 b=2 seed=7");
    CU_ASSERT_STRING_EQUAL(back.params, params);
    CU_ASSERT(back.seed == 7 && back.class_ == ATT_APPROX && !back.required && isnan(back.chance));
    CU_ASSERT_STRING_EQUAL(back.metrics[0].unit, "count");
    CU_ASSERT_STRING_EQUAL(back.metrics[1].unit, "bytes");
    CU_ASSERT(back.metrics[0].better == ATT_LOWER && back.metrics[1].better == ATT_HIGHER);
    CU_ASSERT(back.metrics[0].value == 0.5 && isnan(back.metrics[0].lo) && back.metrics[1].hi == 3);
    att_record_clear(&back);
    att_journal_close(j);
    place_drop(&p);
}

/* A writer that dies without closing: what was ticked is there, what was not is gone, and nothing
 * is damaged. */
static void committed_rows_outlive_a_killed_writer(void)
{
    place p = place_make();
    att_journal *j = NULL;
    int status = 0;
    pid_t child = fork();

    CU_ASSERT_FATAL(child >= 0);
    if (child == 0) {
        const struct timespec pause = {.tv_nsec = 210000000};
        bool fine = att_journal_open(p.db, false, STAMP, &j, NULL) == ATT_OK &&
                    put(j, "ticked", 1, NULL) == ATT_OK && nanosleep(&pause, NULL) == 0 &&
                    att_journal_tick(j, NULL) == ATT_OK && put(j, "flushed", 2, NULL) == ATT_OK &&
                    att_journal_flush(j, NULL) == ATT_OK && put(j, "open", 3, NULL) == ATT_OK;
        _exit(fine ? 0 : 1);
    }
    CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
    CU_ASSERT_EQUAL_FATAL(status, 0);
    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, true, STAMP, &j, NULL), ATT_OK);
    CU_ASSERT(holds(j, "ticked", 1) && holds(j, "flushed", 2));
    CU_ASSERT_FALSE(holds(j, "open", 3));
    att_journal_close(j);
    place_drop(&p);
}

static void damage_is_corrupt(void)
{
    place p = place_make();
    att_journal *j = NULL;
    att_why why = {""};
    char key[400];

    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, NULL), ATT_OK);
    memset(key, 'x', sizeof key);
    for (int i = 0; i < 500; i++) {
        snprintf(key + 380, 20, "%d", i);
        CU_ASSERT_EQUAL(put(j, key, 1, NULL), ATT_OK);
    }
    att_journal_close(j);
    int fd = open(p.db, O_WRONLY);
    char noise[4096];
    memset(noise, 0xA5, sizeof noise);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(pwrite(fd, noise, sizeof noise, 3 * 4096), (ssize_t)sizeof noise);
    close(fd);
    j = NULL;
    CU_ASSERT_EQUAL(att_journal_open(p.db, true, STAMP, &j, &why), ATT_CORRUPT);
    CU_ASSERT_PTR_NULL(j);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, p.db));
    FILE *f = fopen(p.db, "w");
    fputs("this is a text file, and no database at all; it is longer than a header is, by far", f);
    fclose(f);
    CU_ASSERT_EQUAL(att_journal_open(p.db, true, STAMP, &j, &why), ATT_CORRUPT);
    place_drop(&p);
}

/* One changed digit in a record is no damage that SQLite itself could see. */
static void a_changed_digit_in_a_row_is_corrupt(void)
{
    place p = place_make();
    att_journal *j = NULL;
    att_why why = {""};
    char file[1 << 16];

    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, NULL), ATT_OK);
    CU_ASSERT_EQUAL(put(j, "a", 123454321, NULL), ATT_OK);
    att_journal_close(j);
    FILE *f = fopen(p.db, "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    size_t n = fread(file, 1, sizeof file, f);
    char *at = memmem(file, n, "123454321", 9);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    fseek(f, at - file, SEEK_SET);
    fputc('9', f);
    fclose(f);
    j = NULL;
    CU_ASSERT_EQUAL(att_journal_open(p.db, true, STAMP, &j, &why), ATT_CORRUPT);
    CU_ASSERT_PTR_NULL(j);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "the row of 'a' is damaged"));
    place_drop(&p);
}

/* However short the file was cut: an error, or an empty journal where nothing was left. */
static void a_truncated_file_never_gives_a_wrong_row(void)
{
    place p = place_make();
    att_journal *j = NULL;

    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &j, NULL), ATT_OK);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        CU_ASSERT_EQUAL(put(j, key, (uint64_t)i, NULL), ATT_OK);
    }
    att_journal_close(j);
    FILE *f = fopen(p.db, "rb");
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    fclose(f);
    for (long cut = size - 509; cut >= 0; cut -= 509) {
        CU_ASSERT_EQUAL(truncate(p.db, cut), 0);
        j = NULL;
        att_status st = att_journal_open(p.db, true, STAMP, &j, NULL);
        CU_ASSERT(st == ATT_CORRUPT || (cut == 0 && st == ATT_OK && att_journal_count(j) == 0));
        att_journal_close(j);
    }
    place_drop(&p);
}

static void an_unwritable_place_is_an_io_error(void)
{
    att_journal *j = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL(att_journal_open("/nowhere/at/all/run.db", false, STAMP, &j, &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nowhere/at/all/run.db"));
    CU_ASSERT_PTR_NULL(j);
}

static void a_second_writer_is_refused(void)
{
    place p = place_make();
    att_journal *a = NULL, *b = NULL;
    att_why why = {""};

    CU_ASSERT_EQUAL_FATAL(att_journal_open(p.db, false, STAMP, &a, &why), ATT_OK);
    CU_ASSERT_EQUAL(att_journal_open(p.db, true, STAMP, &b, &why), ATT_IO);
    CU_ASSERT_PTR_NULL(b);
    att_journal_close(a);
    place_drop(&p);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"rows_are_there_after_closing", rows_are_there_after_closing},
        {"rows_of_another_stamp_are_not_taken", rows_of_another_stamp_are_not_taken},
        {"a_row_beside_its_case_comes_back_whole", a_row_beside_its_case_comes_back_whole},
        {"the_same_key_twice_is_refused", the_same_key_twice_is_refused},
        {"not_resuming_starts_empty", not_resuming_starts_empty},
        {"committed_rows_outlive_a_killed_writer", committed_rows_outlive_a_killed_writer},
        {"damage_is_corrupt", damage_is_corrupt},
        {"a_changed_digit_in_a_row_is_corrupt", a_changed_digit_in_a_row_is_corrupt},
        {"a_truncated_file_never_gives_a_wrong_row", a_truncated_file_never_gives_a_wrong_row},
        {"an_unwritable_place_is_an_io_error", an_unwritable_place_is_an_io_error},
        {"a_second_writer_is_refused", a_second_writer_is_refused},
        CU_TEST_INFO_NULL};
    return att_suite_run("journal", tests);
}
