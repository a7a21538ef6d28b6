/* SPDX-License-Identifier: Apache-2.0 */
/* Stream key: FNV-1a of the name, mixed with the seed.  Draw: the finaliser of splitmix64 (Steele,
 * Lea and Flood 2014) applied twice, with the key in between. */
#include "rng.h"

#include <math.h>

static uint64_t mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

att_rng att_rng_make(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return (att_rng){.key = mix(hash + mix(seed + 0x9e3779b97f4a7c15u))};
}

att_rng att_rng_split(const att_rng *parent, uint64_t index)
{
    return (att_rng){
        .key = mix(parent->key + mix(index * 0xd1342543de82ef95u + 0x2545f4914f6cdd1du))};
}

uint64_t att_rng_u64(att_rng *rng)
{
    return mix(mix(rng->counter++ * 0x9e3779b97f4a7c15u + rng->key) ^ rng->key);
}

double att_rng_unit(att_rng *rng)
{
    return (double)(att_rng_u64(rng) >> 11) * 0x1p-53;
}

/* Box and Muller 1958, one of the pair: two draws a number, so that the count of draws is fixed. */
double att_rng_normal(att_rng *rng)
{
    double radius = sqrt(-2.0 * log(1.0 - att_rng_unit(rng)));

    return radius * cos(6.283185307179586 * att_rng_unit(rng));
}

uint64_t att_rng_below(att_rng *rng, uint64_t bound)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound; /* a multiple of bound: all equally likely */
    uint64_t draw;

    do
        draw = att_rng_u64(rng);
    while (draw >= limit);
    return draw % bound;
}

void att_rng_shuffle(att_rng *rng, void *items, size_t n, size_t size)
{
    unsigned char *bytes = items;

    for (size_t i = n; i > 1; i--) {
        unsigned char *a = bytes + (i - 1) * size,
                      *b = bytes + (size_t)att_rng_below(rng, i) * size;
        for (size_t k = 0; a != b && k < size; k++) {
            unsigned char swap = a[k];
            a[k] = b[k];
            b[k] = swap;
        }
    }
}
