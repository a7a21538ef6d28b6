/* SPDX-License-Identifier: Apache-2.0 */
/* Counter-based random numbers: draw n of stream (seed, name) is a pure function of the three, so
 * nothing depends on the order of work (Salmon et al. 2011, "Parallel random numbers: as easy as
 * 1, 2, 3").  Same numbers on every machine. */
#ifndef ATT_RNG_H
#define ATT_RNG_H

#include <stddef.h>
#include <stdint.h>

typedef struct att_rng {
    uint64_t key;
    uint64_t counter;
} att_rng;

/* The stream of (seed, name), at its beginning. */
att_rng att_rng_make(uint64_t seed, const char *name);

/* An independent child stream; the parent does not move. */
att_rng att_rng_split(const att_rng *parent, uint64_t index);

uint64_t att_rng_u64(att_rng *rng);
double att_rng_unit(att_rng *rng);   /* uniform in [0, 1) */
double att_rng_normal(att_rng *rng); /* mean 0, variance 1 */
/* Uniform in [0, bound), unbiased; bound > 0. */
uint64_t att_rng_below(att_rng *rng, uint64_t bound);

/* A uniformly random order of the n items of `size` bytes at `items`. */
void att_rng_shuffle(att_rng *rng, void *items, size_t n, size_t size);

#endif
