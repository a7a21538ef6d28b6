/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "suite.h"

static void globs_match_as_a_shell_does(void)
{
    CU_ASSERT_TRUE(att_glob("*", ""));
    CU_ASSERT_TRUE(att_glob("flash_*", "flash_f32"));
    CU_ASSERT_TRUE(att_glob("*_f?2", "flash_f32"));
    CU_ASSERT_TRUE(att_glob("a*b*c", "a-b-b-c"));
    CU_ASSERT_FALSE(att_glob("a*b*c", "a-b-b"));
    CU_ASSERT_FALSE(att_glob("flash", "flash_f32"));
    CU_ASSERT_FALSE(att_glob("", "x"));
}

static void a_hostile_glob_ends_soon(void)
{
    char text[4001], pattern[101];
    memset(text, 'a', 4000);
    text[4000] = '\0';
    for (int i = 0; i < 98; i += 2)
        memcpy(pattern + i, "a*", 2);
    memcpy(pattern + 98, "b", 2);
    double start = att_clock_now();
    CU_ASSERT_FALSE(att_glob(pattern, text));
    CU_ASSERT(att_clock_now() - start < 1.0);
}

static void distance_counts_edits(void)
{
    CU_ASSERT_EQUAL(att_str_distance("", ""), 0);
    CU_ASSERT_EQUAL(att_str_distance("kitten", "sitting"), 3);
    CU_ASSERT_EQUAL(att_str_distance("abc", ""), 3);
    CU_ASSERT_EQUAL(att_str_distance("causal", "casual"), 2);
}

static void a_buffer_grows_and_stays_terminated(void)
{
    att_buf b = {0};
    for (int i = 0; i < 1000; i++)
        att_buf_printf(&b, "%d,", i);
    CU_ASSERT_FALSE(b.failed);
    CU_ASSERT_EQUAL(b.length, strlen(b.data));
    CU_ASSERT_EQUAL(strncmp(b.data, "0,1,2,", 6), 0);
    CU_ASSERT_STRING_EQUAL(b.data + b.length - 5, ",999,");
    att_buf_drop(&b);
    CU_ASSERT_PTR_NULL(b.data);
}

static void a_file_is_replaced_whole(void)
{
    char folder[] = "/tmp/attest-str-XXXXXX", path[64];
    size_t n = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x", folder);
    CU_ASSERT_TRUE(att_file_write(path, "old", 3));
    CU_ASSERT_TRUE(att_file_write(path, "newer", 5));
    char *text = att_file_read(path, 100, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    CU_ASSERT_EQUAL(n, 5);
    CU_ASSERT_STRING_EQUAL(text, "newer");
    free(text);
    CU_ASSERT_PTR_NULL(att_file_read(path, 4, &n));
    CU_ASSERT_EQUAL(errno, EFBIG);
    char digest[65];
    CU_ASSERT_TRUE(att_file_write(path, "abc", 3) && att_sha256_file(path, digest));
    CU_ASSERT_STRING_EQUAL(digest,
                           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    unlink(path);
    rmdir(folder);
    CU_ASSERT_FALSE(att_file_write(path, "x", 1));
    CU_ASSERT_EQUAL(errno, ENOENT);
    CU_ASSERT_FALSE(att_sha256_file(path, digest));
}

static void the_hash_is_xxh3(void)
{
    CU_ASSERT_EQUAL(att_hash64("", 0), 0x2d06800538d394c2u); /* the published value of XXH3_64 */
    CU_ASSERT_NOT_EQUAL(att_hash64("a", 1), att_hash64("b", 1));
}

static void the_stamp_has_its_form(void)
{
    char stamp[17];
    att_clock_stamp(stamp);
    CU_ASSERT_EQUAL(strlen(stamp), 16);
    CU_ASSERT_EQUAL(stamp[8], 'T');
    CU_ASSERT_EQUAL(stamp[15], 'Z');
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"globs_match_as_a_shell_does", globs_match_as_a_shell_does},
        {"a_hostile_glob_ends_soon", a_hostile_glob_ends_soon},
        {"distance_counts_edits", distance_counts_edits},
        {"a_buffer_grows_and_stays_terminated", a_buffer_grows_and_stays_terminated},
        {"a_file_is_replaced_whole", a_file_is_replaced_whole},
        {"the_hash_is_xxh3", the_hash_is_xxh3},
        {"the_stamp_has_its_form", the_stamp_has_its_form},
        CU_TEST_INFO_NULL};
    return att_suite_run("str", tests);
}
