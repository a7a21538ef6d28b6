/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: a .safetensors file, and the same as a capture.  Bytes that begin with 'T' are
 * patches (place, byte) to a right file, others are the file itself.  `make fuzz`. */
#include <stdlib.h>
#include <string.h>

#include "model/capture.h"
#include "model/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char right[] =
    "{\"__metadata__\":{\"attest_capture\":\"1\",\"op\":\"attend\",\"layout\":\"BHSD\",\"window\":"
    "\"1,2\"},"
    "\"q\":{\"dtype\":\"F32\",\"shape\":[1,2,1,2],\"data_offsets\":[0,16]},"
    "\"k\":{\"dtype\":\"BF16\",\"shape\":[1,1,2,2],\"data_offsets\":[16,24]},"
    "\"v\":{\"dtype\":\"F16\",\"shape\":[1,1,2,2],\"data_offsets\":[24,32]},"
    "\"mask\":{\"dtype\":\"BOOL\",\"shape\":[1,2],\"data_offsets\":[32,34]}}";
enum { RIGHT_BYTES = 8 + sizeof right - 1 + 34 };

static void read_all(const uint8_t *data, size_t size)
{
    att_safetensors *f;
    att_capture c;
    att_why why;
    volatile uint8_t sum = 0;
    if (!att_safetensors_parse(data, size, "fuzz", &f, &why)) {
        for (size_t i = 0; i < att_safetensors_count(f); i++) {
            const att_st_tensor *t = att_safetensors_at(f, i);
            for (size_t j = 0; j < t->bytes; j++)
                sum = (uint8_t)(sum + ((const uint8_t *)t->data)[j]);
        }
        att_safetensors_close(f);
    }
    if (!att_capture_parse(data, size, "fuzz", &c, &why))
        att_capture_drop(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || data[0] != 'T') {
        read_all(data, size);
        return 0;
    }
    uint64_t length = sizeof right - 1;
    uint8_t *file = calloc(1, RIGHT_BYTES);
    if (!file)
        return 0;
    memcpy(file, &length, sizeof length);
    memcpy(file + sizeof length, right, length);
    for (size_t i = 1; i + 3 <= size; i += 3)
        file[((size_t)data[i] | (size_t)data[i + 1] << 8) % RIGHT_BYTES] = data[i + 2];
    read_all(file, RIGHT_BYTES);
    free(file);
    return 0;
}
