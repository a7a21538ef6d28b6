/* SPDX-License-Identifier: Apache-2.0 */
/* The k largest of many numbers, in ascending order of their places.
 *
 * Why: what selects keys by a score needs them without sorting; ties go to the lower place, so the
 * choice is a function of the numbers alone.  NaN ranks above all.
 * Bisection on the bits of floats: O(n) a pass, few passes (a floor is found first). */
#ifndef ATT_COMMON_CHOOSE_H
#define ATT_COMMON_CHOOSE_H

#include "common/mask.h"
#include "common/simd.h"

/* Logits as integers of the same order, NaN above all, in place. */
static inline void att_choose_order(float *x, int64_t n)
{
    for (int64_t c = 0; c < n; c += ATT_W) {
        const att_vf value = att_vf_load(x + c);
        const att_vi bits = (att_vi)att_vf_pick((att_vi)(value != value), att_vf_set(NAN), value);
        att_vf_store(x + c, (att_vf)(bits ^ ((att_vi)(bits < 0) & 0x7fffffff)));
    }
}

/* The inverse; the map of a number's bits is its own. */
static inline float att_choose_number(int32_t key)
{
    const int32_t bits = key < 0 ? key ^ 0x7fffffff : key;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline int32_t att_choose_key_at(const float *x, int64_t c)
{
    int32_t key;
    memcpy(&key, x + c, sizeof key);
    return key;
}

static inline int64_t att_choose_count_from(const float *x, int64_t n, int32_t least)
{
    int64_t count = 0;
    for (int64_t c = 0; c < n; c++)
        count += att_choose_key_at(x, c) >= least;
    return count;
}

/* A key that at least k of x[0..n) reach: the least of k or more maxima of disjoint parts.  n is a
 * multiple of ATT_W with n >= k. */
static inline int32_t att_choose_floor_of(const float *x, int64_t n, int64_t k)
{
    const int64_t parts = att_ceil_div(k, ATT_W) * ATT_W;
    att_vi least = (att_vi){0} + INT32_MAX;
    int32_t lane[ATT_W], low = INT32_MAX;

    for (int64_t g = 0; g < parts; g += ATT_W) {
        att_vi top = (att_vi)att_vf_load(x + g);
        for (int64_t c = g + parts; c < n; c += parts) {
            const att_vi next = (att_vi)att_vf_load(x + c);
            const att_vi more = (att_vi)(next > top);
            top = (more & next) | (~more & top);
        }
        const att_vi less = (att_vi)(top < least);
        least = (less & top) | (~less & least);
    }
    memcpy(lane, &least, sizeof lane);
    for (int i = 0; i < ATT_W; i++)
        low = lane[i] < low ? lane[i] : low;
    return low;
}

/* Of x[0..n), with room for n rounded up to ATT_W, the k largest (all, where k >= n): their
 * places, counted from j0, into j and they themselves into kept, both with room for n.  x is used
 * up.  Returns how many. */
static inline int64_t att_choose(float *x, int64_t n, int64_t j0, int64_t k, int64_t *j,
                                 float *kept)
{
    const int64_t padded = att_ceil_div(n, ATT_W) * ATT_W;

    if (k >= n) {
        for (int64_t c = 0; c < n; c++)
            j[c] = j0 + c;
        memcpy(kept, x, (size_t)n * sizeof *x);
        return n;
    }
    for (int64_t c = n; c < padded; c++)
        x[c] = -INFINITY;
    att_choose_order(x, padded);
    int64_t lo = att_choose_floor_of(x, padded, k), hi = (int64_t)INT32_MAX + 1, have = 0, out = 0;
    for (int64_t c = 0; c < n; c++) {
        j[have] = j0 + c;
        kept[have] = x[c];
        have += att_choose_key_at(x, c) >= lo;
    }
    const int64_t some = have;
    while (have != k && hi - lo > 1) { /* count(lo) = have >= k > count(hi) */
        const int64_t mid = lo + (hi - lo) / 2;
        const int64_t there = att_choose_count_from(kept, some, (int32_t)mid);
        if (there >= k)
            lo = mid, have = there;
        else
            hi = mid;
    }
    int64_t ties = k; /* of those equal to lo, the first few fill up */
    if (have > k)
        ties = k - (lo < INT32_MAX ? att_choose_count_from(kept, some, (int32_t)(lo + 1)) : 0);
    for (int64_t c = 0; c < some; c++) {
        const int32_t key = att_choose_key_at(kept, c);
        if (key < lo || (key == lo && ties-- <= 0))
            continue;
        j[out] = j[c];
        kept[out++] = att_choose_number(key);
    }
    return out;
}

#endif
