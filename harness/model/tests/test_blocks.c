/* SPDX-License-Identifier: Apache-2.0 */
/* Products over quantised blocks against dequantised weights in f64, at both levels. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/tests/suite.h"
#include "model/blocks.h"
#include "model/gguf.h"

enum { N = 1536, BLOCKS = N / 32, BYTES = BLOCKS * 34 };

/* Random quants under scales of order 2^-7 (f16 exponent 8 of 15), both signs, some of them zero or
 * subnormal. */
static void random_row(att_rng *rng, int32_t type, size_t block_bytes, uint8_t *row)
{
    size_t scales = type == ATT_GGUF_Q4_1 ? 4 : 2;
    for (size_t i = 0; i < BYTES; i++)
        row[i] = (uint8_t)att_rng_u64(rng);
    for (size_t b = 0; b < BLOCKS; b++)
        for (size_t i = 0; i < scales; i += 2) {
            uint16_t h = (uint16_t)((att_rng_u64(rng) & 0x83ff) | (b % 16 == 3 ? 0 : 0x2000));
            memcpy(row + b * block_bytes + i, &h, sizeof h);
        }
}

static void each_product_is_that_of_the_weights(void)
{
    static const int32_t types[] = {ATT_GGUF_Q4_0, ATT_GGUF_Q4_1, ATT_GGUF_Q8_0};
    att_rng rng = att_rng_make(5, "blocks");
    uint8_t row[BYTES];
    float x[N], w[N], sums[BLOCKS] = {0};
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++)
        for (int round = 0; round < 50; round++) {
            att_gguf_tensor t = {.type = types[k], .shape = {N, 1, 1, 1}, .rows = 1, .data = row};
            int64_t elements;
            size_t bytes;
            CU_ASSERT_TRUE_FATAL(att_gguf_block(types[k], &elements, &bytes));
            random_row(&rng, types[k], bytes, row);
            att_gguf_dequantise(&t, 0, 1, w);
            double want = 0, size = 0;
            for (int i = 0; i < N; i++) {
                x[i] = (float)att_rng_normal(&rng);
                sums[i / 32] = (i % 32 ? sums[i / 32] : 0) + x[i];
                want += (double)w[i] * (double)x[i];
                size += fabs((double)w[i] * (double)x[i]);
            }
            /* Terms d q x of at most 0.25 |x|, the largest d q there is here; at most 48 blocks in
             * a chain, 4 terms in a block, 3 additions of lanes, 2 products: under 64 roundings. */
            double limit = 64 * 0x1p-24 * (size + 0.25 * N);
            CU_ASSERT(fabs((double)att_block_dot_of(types[k])(row, x, sums, N) - want) <= limit);
            CU_ASSERT(size > 0.25 * N * 0.01);
        }
}

static void the_plain_level_agrees(void)
{
    char *before = getenv("ATT_ISA") ? strdup(getenv("ATT_ISA")) : NULL;
    att_block_dot best = att_block_dot_of(ATT_GGUF_Q4_1);
    setenv("ATT_ISA", "plain", 1);
    if (best == att_block_dot_of(ATT_GGUF_Q4_1))
        att_suite_skip("this machine has the plain level alone");
    else
        each_product_is_that_of_the_weights();
    if (before)
        setenv("ATT_ISA", before, 1);
    else
        unsetenv("ATT_ISA");
    free(before);
}

static void other_types_have_no_product(void)
{
    CU_ASSERT_PTR_NULL(att_block_dot_of(ATT_GGUF_F32));
    CU_ASSERT_PTR_NULL(att_block_dot_of(-1));
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"each_product_is_that_of_the_weights", each_product_is_that_of_the_weights},
        {"the_plain_level_agrees", the_plain_level_agrees},
        {"other_types_have_no_product", other_types_have_no_product},
        CU_TEST_INFO_NULL};
    return att_suite_run("blocks", tests);
}
