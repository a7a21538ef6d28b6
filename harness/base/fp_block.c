/* SPDX-License-Identifier: Apache-2.0 */
/* Block formats: 32 numbers share a factor d in f16.  Q8_0: x = d q, q a signed byte.  Q4_0: x = d
 * (q - 8), q four bits; element e is the low half of byte e, or the high half of byte e - 16. */
#include <math.h>
#include <string.h>

#include "base/fp.h"

#define Q8_0_BYTES 34
#define Q4_0_BYTES 18
#define HEAD       2 /* bytes of d */

size_t att_fp_block_bytes(int32_t dtype)
{
    return dtype == ATT_Q8_0 ? Q8_0_BYTES : dtype == ATT_Q4_0 ? Q4_0_BYTES : 0;
}

double att_fp_block_load(const void *data, int32_t dtype, int64_t i)
{
    int e = (int)((i % ATT_FP_BLOCK + ATT_FP_BLOCK) % ATT_FP_BLOCK); /* i < 0: before `data` */
    const unsigned char *at = (const unsigned char *)data +
                              (i - e) / ATT_FP_BLOCK * (int64_t)att_fp_block_bytes(dtype);
    double d = att_fp_load(at, ATT_F16, 0);

    at += HEAD;
    if (dtype == ATT_Q8_0)
        return d * att_fp_load(at, ATT_I8, e);
    const int pair = at[e % 16], nibble = e < 16 ? pair & 15 : pair >> 4;
    return d * (double)(nibble - 8);
}

/* x / d to the nearest whole number in [lo, hi]; 0 where d is. */
static int level(double x, double d, int lo, int hi)
{
    double n = d != 0 && isfinite(x / d) ? nearbyint(x / d) : 0;

    return n < lo ? lo : n > hi ? hi : (int)n;
}

/* The number of largest magnitude, with its sign; NaN where one is not finite. */
static double largest(const double *x)
{
    double top = 0;

    for (int e = 0; e < ATT_FP_BLOCK; e++)
        top = !isfinite(x[e]) ? (double)NAN : fabs(x[e]) > fabs(top) ? x[e] : top;
    return top;
}

void att_fp_block_store(void *data, int32_t dtype, int64_t block, const double *x)
{
    unsigned char *at = (unsigned char *)data + block * (int64_t)att_fp_block_bytes(dtype);
    double top = largest(x), most = att_fp_format(ATT_F16).largest;
    double d = dtype == ATT_Q8_0 ? fabs(top) / 127 : -top / 8;

    att_fp_store(at, ATT_F16, 0, d > most ? most : d < -most ? -most : d);
    d = att_fp_load(at, ATT_F16, 0);
    at += HEAD;
    for (int e = 0; dtype == ATT_Q8_0 && e < ATT_FP_BLOCK; e++)
        at[e] = (unsigned char)level(x[e], d, -127, 127);
    for (int e = 0; dtype == ATT_Q4_0 && e < ATT_FP_BLOCK / 2; e++)
        at[e] =
            (unsigned char)((level(x[e], d, -8, 7) + 8) | (level(x[e + 16], d, -8, 7) + 8) << 4);
}
