/* SPDX-License-Identifier: Apache-2.0 */
/* The .safetensors reader against files that lie, and the writer against the reader. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "base/tests/suite.h"
#include "model/safetensors.h"

/* A file of this header and `bytes` bytes of data, in a block of exactly its size. */
static char *make(const char *header, size_t bytes, size_t *size)
{
    uint64_t n = strlen(header);
    char *file = calloc(1, sizeof n + n + bytes + 1);
    memcpy(file, &n, sizeof n);
    memcpy(file + sizeof n, header, n);
    *size = sizeof n + n + bytes;
    return realloc(file, *size);
}

static void refused(const char *header, size_t bytes, att_status want, const char *says)
{
    size_t size;
    char *file = make(header, bytes, &size);
    att_safetensors *f;
    att_why why = {""};
    att_status st = att_safetensors_parse(file, size, "lie.safetensors", &f, &why);
    CU_ASSERT_EQUAL(st, want);
    CU_ASSERT_PTR_NULL(f);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "lie.safetensors"));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, says));
    if (st != want || !strstr(why.text, says))
        printf("  status %d, message: %s (wanted: %s)\n", (int)st, why.text, says);
    att_safetensors_close(f);
    free(file);
}

#define ONE(dtype, shape, offsets)                                                                 \
    "{\"t\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void lying_headers_are_refused(void)
{
    refused("", 0, ATT_CORRUPT, "");
    refused("[]", 0, ATT_CORRUPT, "not an object");
    refused("{\"t\":3}", 0, ATT_CORRUPT, "tensor t");
    refused("{}{}", 0, ATT_CORRUPT, "");
    refused(ONE("F32", "[2]", "[0,8]"), 4, ATT_CORRUPT, "outside the data");
    refused(ONE("F32", "[2]", "[0,4]"), 8, ATT_CORRUPT, "contradict");
    refused(ONE("F32", "[2]", "[8,0]"), 8, ATT_CORRUPT, "outside the data");
    refused(ONE("F32", "[2]", "[-8,0]"), 8, ATT_CORRUPT, "whole numbers");
    refused(ONE("F32", "[2]", "[0,8,8]"), 8, ATT_CORRUPT, "whole numbers");
    refused(ONE("F32", "[2]", "[0]"), 8, ATT_CORRUPT, "outside the data");
    refused(ONE("F32", "[2]", "[0,1e300]"), 8, ATT_CORRUPT, "whole numbers");
    refused(ONE("F32", "[2.5]", "[0,8]"), 8, ATT_CORRUPT, "not a whole number");
    refused(ONE("F32", "[-2]", "[0,8]"), 8, ATT_CORRUPT, "not a whole number");
    refused(ONE("F32", "[4294967296,4294967296]", "[0,0]"), 0, ATT_CORRUPT, "overflows");
    refused(ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, ATT_UNSUPPORTED, "8 dimensions");
    refused(ONE("F4", "[2]", "[0,8]"), 8, ATT_UNSUPPORTED, "dtype F4");
    refused(ONE("F32", "[2]", "[0,8]"), 12, ATT_CORRUPT, "belong to no tensor");
    refused(ONE("F32", "[2]", "[4,12]"), 12, ATT_CORRUPT, "tensor t");
    refused("{\"__metadata__\":{\"a\":1}}", 0, ATT_CORRUPT, "key a is not a string");
    refused("{\"__metadata__\":[]}", 0, ATT_CORRUPT, "__metadata__");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[2,6]}}",
            6, ATT_CORRUPT, "overlaps");
    refused("{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
            "\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
            8, ATT_CORRUPT, "");
}

static void deep_nesting_is_refused(void)
{
    att_buf deep = {0};
    att_buf_puts(&deep, "{\"t\":");
    for (int i = 0; i < 100000; i++)
        att_buf_puts(&deep, "[");
    refused(deep.data, 0, ATT_CORRUPT, "");
    att_buf_drop(&deep);
}

static void header_lengths_past_the_end_are_refused(void)
{
    static const uint64_t lies[] = {17, 1000, UINT32_MAX, UINT64_MAX, UINT64_MAX - 7, 1ull << 63};
    att_safetensors *f;
    att_why why;
    char file[24] = {0};
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        memcpy(file, &lies[i], sizeof lies[i]);
        CU_ASSERT_EQUAL(att_safetensors_parse(file, sizeof file, "x", &f, &why), ATT_CORRUPT);
        CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "byte 0"));
    }
    for (size_t n = 0; n < 8; n++)
        CU_ASSERT_EQUAL(att_safetensors_parse(file, n, "x", &f, &why), ATT_CORRUPT);
}

static void truncated_and_flipped_files_never_crash(void)
{
    size_t size, bad = 0;
    char *file = make(
        "{\"__metadata__\":{\"k\":\"v\"},\"a\":{\"dtype\":\"F32\",\"shape\":[2,3],"
        "\"data_offsets\":[0,24]},\"b\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[24,25]}}",
        25, &size);
    att_safetensors *f;
    att_why why;
    CU_ASSERT_EQUAL(att_safetensors_parse(file, size, "x", &f, &why), ATT_OK);
    att_safetensors_close(f);
    for (size_t n = 0; n < size; n++) {
        char *cut = malloc(n ? n : 1);
        memcpy(cut, file, n);
        CU_ASSERT_EQUAL(att_safetensors_parse(cut, n, "x", &f, &why), ATT_CORRUPT);
        free(cut);
    }
    for (size_t bit = 0; bit < 8 * size; bit++) {
        file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
        bad += att_safetensors_parse(file, size, "x", &f, &why) != ATT_OK;
        att_safetensors_close(f);
        file[bit / 8] = (char)(file[bit / 8] ^ 1 << bit % 8);
    }
    CU_ASSERT(bad > 500);
    free(file);
}

static void what_is_written_is_read_back(void)
{
    static const float a[6] = {1, -2, 3.5f, 0, 5, 6};
    static const uint8_t b[5] = {1, 0, 1, 1, 0};
    static const double c[1] = {1e300};
    static const att_st_tensor tensors[] = {
        {.name = "bytes \"quoted\" \xc3\xa9",
         .dtype = ATT_U8,
         .dims = 1,
         .shape = {5},
         .data = b,
         .bytes = sizeof b},
        {.name = "a", .dtype = ATT_F32, .dims = 2, .shape = {2, 3}, .data = a, .bytes = sizeof a},
        {.name = "c", .dtype = ATT_F64, .dims = 0, .data = c, .bytes = sizeof c},
        {.name = "empty", .dtype = ATT_F32, .dims = 2, .shape = {0, 3}, .data = a, .bytes = 0}};
    static const att_st_pair pairs[] = {{"key", "value\n\"x\""}, {"other", ""}};
    char path[64];
    att_safetensors *f;
    att_why why;
    snprintf(path, sizeof path, "/tmp/attest_test_safetensors_%ld", (long)getpid());
    CU_ASSERT_EQUAL_FATAL(att_safetensors_write(path, tensors, 4, pairs, 2, &why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_safetensors_open(path, &f, &why), ATT_OK);
    CU_ASSERT_EQUAL(att_safetensors_count(f), 4);
    for (size_t i = 0; i < 4; i++) {
        const att_st_tensor *t = att_safetensors_find(f, tensors[i].name);
        CU_ASSERT_PTR_NOT_NULL_FATAL(t);
        CU_ASSERT_EQUAL(t->dtype, tensors[i].dtype);
        CU_ASSERT_EQUAL(t->dims, tensors[i].dims);
        CU_ASSERT(!memcmp(t->shape, tensors[i].shape, sizeof t->shape));
        CU_ASSERT_EQUAL_FATAL(t->bytes, tensors[i].bytes);
        CU_ASSERT(!memcmp(t->data, tensors[i].data, t->bytes));
        CU_ASSERT_EQUAL((uintptr_t)t->data % att_dtype_size(t->dtype), 0);
    }
    CU_ASSERT_EQUAL(att_safetensors_pairs(f), 2);
    CU_ASSERT_STRING_EQUAL(att_safetensors_pair(f, 0)->value, "value\n\"x\"");
    att_safetensors_close(f);
    unlink(path);
    CU_ASSERT_EQUAL(att_safetensors_write("/nonexistent/x", tensors, 1, NULL, 0, &why), ATT_IO);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "/nonexistent/x"));
    att_st_tensor quants = {.name = "q", .dtype = ATT_Q8_0};
    CU_ASSERT_EQUAL(att_safetensors_write(path, &quants, 1, NULL, 0, &why), ATT_UNSUPPORTED);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"lying_headers_are_refused", lying_headers_are_refused},
        {"deep_nesting_is_refused", deep_nesting_is_refused},
        {"header_lengths_past_the_end_are_refused", header_lengths_past_the_end_are_refused},
        {"truncated_and_flipped_files_never_crash", truncated_and_flipped_files_never_crash},
        {"what_is_written_is_read_back", what_is_written_is_read_back},
        CU_TEST_INFO_NULL};
    return att_suite_run("safetensors", tests);
}
