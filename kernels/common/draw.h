/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers drawn without a state: a kernel's random choices are a function of a seed and of where
 * they are made, so that they are the same over calls, batches, threads and machines.
 *
 *   u(seed, a, b, c) = mix(mix(mix(mix(seed) + a) + b) + c)
 *   mix(z): z += 0x9e3779b97f4a7c15;  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
 *           z = (z ^ z >> 27) * 0x94d049bb133111eb;  z ^ z >> 31          (all modulo 2^64)
 *
 * Source: Steele et al. 2014, "Fast splittable pseudorandom number generators" (SplitMix64). */
#ifndef ATT_COMMON_DRAW_H
#define ATT_COMMON_DRAW_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t att_draw_mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline uint64_t att_draw(int64_t seed, int64_t a, int64_t b, int64_t c)
{
    const uint64_t z = att_draw_mix(att_draw_mix((uint64_t)seed) + (uint64_t)a);
    return att_draw_mix(att_draw_mix(z + (uint64_t)b) + (uint64_t)c);
}

/* min(r, n) different numbers below n into `to`, any set as likely as any other (Floyd): for t from
 * n - r on, u(seed, a, b, t) mod (t + 1), or t where that one is taken.  Returns how many. */
static inline int64_t att_draw_set(int64_t seed, int64_t a, int64_t b, int64_t n, int64_t r,
                                   int64_t *to)
{
    int64_t have = 0;

    for (int64_t t = n > r ? n - r : 0; t < n; t++) {
        const int64_t x = (int64_t)(att_draw(seed, a, b, t) % (uint64_t)(t + 1));
        bool taken = false;
        for (int64_t s = 0; s < have; s++)
            taken |= to[s] == x;
        to[have++] = taken ? t : x;
    }
    return have;
}

#endif
