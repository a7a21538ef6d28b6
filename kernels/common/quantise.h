/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of quantisation, with the choice of a group's scale left to the kernel.
 *
 *   affine: scale, zero = choose(range of the group);  q = round(x / scale + zero)
 *   blocks: Q8_0: d = max |x| / 127;  Q4_0: d = -(x of largest magnitude) / 8
 *   fp8:    round(x), or round(x / scale)
 *
 * Why: quantisers differ in how they choose a scale and in nothing else.  NaN or Inf makes the
 * scale of its group NaN (int8, blocks) or stays a NaN (fp8): it is never lost. Bound: half a step
 * of what is chosen, and the rounding of its scale.  O(B H S D), one thread. */
#ifndef ATT_COMMON_QUANTISE_H
#define ATT_COMMON_QUANTISE_H

#include "common/quant.h"

/* Finite elements of a group. */
typedef struct att_range {
    float lo, hi;
    bool broken; /* it holds NaN or Inf beside them */
} att_range;

typedef struct att_scaling {
    float scale, zero;
} att_scaling;

/* How a kernel scales a group; `last`: the largest code, 127 or an fp8's. */
typedef att_scaling (*att_choose)(const att_range *range, bool zeros, float last);

/* ------------------------------------------------------------------------- one number */

/* Rounds to nearest even; beyond the largest: that; NaN and Inf: NaN. */
static inline uint8_t att_f32_to_e4m3(float x)
{
    const float size = fabsf(att_round_e4m3(x));
    const uint8_t sign = signbit(x) ? 0x80u : 0;
    uint32_t bits;

    if (!isfinite(x))
        return sign | 0x7fu;
    if (size < 0x1p-6f)
        return (uint8_t)(sign | (unsigned)(size * 0x1p9f));
    memcpy(&bits, &size, sizeof bits);
    return (uint8_t)(sign | (bits - (120u << 23)) >> 20);
}

static inline uint8_t att_f32_to_e5m2(float x)
{
    const float size = fabsf(x);
    uint32_t bits;
    float power;

    if (!isfinite(x))
        return (uint8_t)(att_f32_to_f16(x) >> 8);
    if (size >= 57344.0f)
        return signbit(x) ? 0xfbu : 0x7bu;
    memcpy(&bits, &size, sizeof bits);
    bits &= 0x7f800000u;
    memcpy(&power, &bits, sizeof power);
    return (uint8_t)(att_f32_to_f16(att_round_to(x, fmaxf(power, 0x1p-14f) * 0x1p-2f)) >> 8);
}

static inline float att_clamp(float x, float lo, float hi)
{
    return x < lo ? lo : x > hi ? hi : x;
}

/* x / scale + zero as a code of `dtype` (int8 or fp8).  A scale of 0 is that of zeros, or of what
 * its type can't tell from them. */
static inline unsigned char att_code(int32_t dtype, float x, att_scaling by)
{
    const float level = by.scale > 0.0f ? x / by.scale : x - x;

    if (dtype == ATT_F8_E4M3)
        return att_f32_to_e4m3(level);
    if (dtype == ATT_F8_E5M2)
        return att_f32_to_e5m2(level);
    const float code = isfinite(level) ? att_clamp(rintf(level + by.zero), -128.0f, 127.0f) : 0.0f;
    return (unsigned char)(int)code;
}

/* 32 numbers into block n; its factor is NaN where one of them is not finite. */
static inline void att_block_store(void *data, int32_t dtype, int64_t n, const float *x)
{
    unsigned char *at = (unsigned char *)data + n * (int64_t)att_block_bytes(dtype);
    const bool eight = dtype == ATT_Q8_0;
    float most = 0.0f, code[ATT_BLOCK];
    bool finite = true;

    for (int e = 0; e < ATT_BLOCK; e++) {
        finite &= isfinite(x[e]) != 0;
        most = fabsf(x[e]) > fabsf(most) ? x[e] : most;
    }
    const float d = eight ? fabsf(most) / 127.0f : -most / 8.0f;
    uint16_t half = att_f32_to_f16(finite ? att_clamp(d, -65504.0f, 65504.0f) : NAN);
    memcpy(at, &half, sizeof half);
    at += sizeof half;
    const float unit = att_f16_to_f32(half);
    for (int e = 0; e < ATT_BLOCK; e++) {
        const float level = unit != 0.0f ? x[e] / unit : 0.0f;
        code[e] = !isfinite(level) ? 0.0f
                  : eight          ? att_clamp(rintf(level), -127.0f, 127.0f)
                                   : att_clamp(rintf(level), -8.0f, 7.0f) + 8.0f;
    }
    for (int e = 0; eight && e < ATT_BLOCK; e++)
        at[e] = (unsigned char)(int)code[e];
    for (int e = 0; !eight && e < ATT_BLOCK / 2; e++)
        at[e] = (unsigned char)((int)code[e] | (int)code[e + ATT_BLOCK / 2] << 4);
}

/* ------------------------------------------------------------------------- one scale */

/* Elements [lo, hi) of each dimension that share a scale. */
typedef struct att_span {
    int64_t lo[4], hi[4];
} att_span;

static inline att_span att_span_of(const att_problem *p, const int64_t cell[4])
{
    const att_quant *q = &p->k_quant;
    att_span s;

    for (int a = 0; a < 4; a++) {
        const int64_t n = p->k.shape[a], group = a == q->axis ? q->group : 1;
        const bool shared = q->scales.shape[a] == 1;
        s.lo[a] = shared ? 0 : cell[a] * group;
        s.hi[a] = shared ? n : att_min(n, s.lo[a] + group);
    }
    return s;
}

static inline void att_range_take(att_range *r, float x)
{
    if (isfinite(x)) {
        r->lo = fminf(r->lo, x);
        r->hi = fmaxf(r->hi, x);
    } else {
        r->broken = true;
    }
}

static inline att_range att_range_of(const att_problem *p, const att_span *s)
{
    att_range r = {.lo = INFINITY, .hi = -INFINITY};

    for (int64_t b = s->lo[0]; b < s->hi[0]; b++)
        for (int64_t h = s->lo[1]; h < s->hi[1]; h++)
            for (int64_t i = s->lo[2]; i < s->hi[2]; i++)
                for (int64_t d = s->lo[3]; d < s->hi[3]; d++)
                    att_range_take(
                        &r, att_load(p->k.data, p->k.dtype, att_tensor_at(&p->k, b, h, i, d)));
    if (r.lo > r.hi)
        r.lo = r.hi = 0.0f;
    return r;
}

static inline void att_code_span(const att_problem *p, const att_span *s, att_scaling by)
{
    for (int64_t b = s->lo[0]; b < s->hi[0]; b++)
        for (int64_t h = s->lo[1]; h < s->hi[1]; h++)
            for (int64_t i = s->lo[2]; i < s->hi[2]; i++)
                for (int64_t d = s->lo[3]; d < s->hi[3]; d++) {
                    const float x =
                        att_load(p->k.data, p->k.dtype, att_tensor_at(&p->k, b, h, i, d));
                    ((unsigned char *)p->out.data)[att_tensor_at(&p->out, b, h, i, d)] =
                        att_code(p->out.dtype, x, by);
                }
}

static inline void att_quantise_cell(const att_problem *p, att_choose choose, const int64_t cell[4])
{
    const att_quant *q = &p->k_quant;
    const att_span s = att_span_of(p, cell);
    const att_range r = att_range_of(p, &s);
    const bool whole = p->out.dtype == ATT_I8;
    const float last = whole ? 127.0f : p->out.dtype == ATT_F8_E4M3 ? 448.0f : 57344.0f;
    att_scaling by = choose(&r, whole && q->zeros.data, last);
    const int64_t at = att_tensor_at(&q->scales, cell[0], cell[1], cell[2], cell[3]);

    if (q->zeros.data)
        att_store(q->zeros.data, q->zeros.dtype,
                  att_tensor_at(&q->zeros, cell[0], cell[1], cell[2], cell[3]), by.zero);
    if (q->scales.dtype == ATT_F16)
        by.scale = fminf(by.scale, 65504.0f);
    att_store(q->scales.data, q->scales.dtype, at, by.scale);
    by.scale = att_load(q->scales.data, q->scales.dtype, at);
    att_code_span(p, &s, by);
    if (whole && r.broken)
        att_store(q->scales.data, q->scales.dtype, at, NAN);
}

/* ------------------------------------------------------------------------- everything */

static inline void att_quantise_cells(const att_problem *p, att_choose choose)
{
    const int64_t *n = p->k_quant.scales.shape;
    int64_t c[4];

    for (c[0] = 0; c[0] < n[0]; c[0]++)
        for (c[1] = 0; c[1] < n[1]; c[1]++)
            for (c[2] = 0; c[2] < n[2]; c[2]++)
                for (c[3] = 0; c[3] < n[3]; c[3]++)
                    att_quantise_cell(p, choose, c);
}

/* A row without scales of its own: blocks, or fp8 as it is. */
static inline void att_quantise_row(const att_problem *p, int64_t b, int64_t h, int64_t i)
{
    const att_tensor *t = &p->k, *to = &p->out;
    const int64_t n = t->shape[3], at = att_tensor_at(to, b, h, i, 0);
    const bool block = att_block_bytes(to->dtype) > 0;
    float x[ATT_BLOCK];

    for (int64_t d = 0; d < n; d += ATT_BLOCK) {
        const int64_t some = att_min(ATT_BLOCK, n - d);
        att_load_row(t->data, t->dtype, att_tensor_at(t, b, h, i, d), t->stride[3], some, x);
        for (int64_t e = some; e < ATT_BLOCK; e++)
            x[e] = 0.0f;
        if (block)
            att_block_store(to->data, to->dtype, (at + d) / ATT_BLOCK, x);
        for (int64_t e = 0; !block && e < some; e++)
            ((unsigned char *)to->data)[at + (d + e) * to->stride[3]] =
                att_code(to->dtype, x[e], (att_scaling){1.0f, 0.0f});
    }
}

static inline void att_quantise(const att_problem *p, att_choose choose)
{
    const int64_t *n = p->k.shape;

    if (p->k_quant.scheme == ATT_QUANT_AFFINE) {
        att_quantise_cells(p, choose);
        return;
    }
    for (int64_t r = 0; r < n[0] * n[1] * n[2]; r++)
        att_quantise_row(p, r / n[2] / n[1], r / n[2] % n[1], r % n[2]);
}

/* `supports` of QUANTISE and DEQUANTISE: a float k into a quantised out, or back. */
static inline att_status att_accept_quantise(att_op op, const att_problem *p, att_reason *why)
{
    const bool back = op == ATT_OP_DEQUANTISE;
    const att_tensor *codes = back ? &p->k : &p->out, *floats = back ? &p->out : &p->k;
    const int64_t *n = p->k.shape;

    if (op != ATT_OP_QUANTISE && !back)
        return att_refuse(why, ATT_UNSUPPORTED, "operator not offered");
    if (p->abi >> 16 != ATT_ABI_MAJOR || p->struct_size < sizeof(att_problem) || p->flags)
        return att_refuse(why, ATT_UNSUPPORTED, "problem of another ABI version");
    if (!att_is_float(codes->dtype, ATT_QUANTISED) ||
        !att_is_float(floats->dtype, ATT_HALVES_AND_SINGLE))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of k or out");
    if (!att_given(&p->k) || !att_given(&p->out) || !att_shaped(&p->out, n[0], n[1], n[2], n[3]))
        return att_refuse(why, ATT_INVALID, "k and out are not given, or of two shapes");
    const char *fault = att_quant_fault(codes, &p->k_quant);
    if (fault)
        return att_refuse(why, ATT_INVALID, "%s", fault);
    if (!att_quant_types(&p->k_quant) ||
        (!back && p->k_quant.zeros.data && p->k_quant.zeros.dtype != ATT_F32) ||
        (codes->dtype == ATT_I8 && p->k_quant.scheme != ATT_QUANT_AFFINE))
        return att_refuse(why, ATT_UNSUPPORTED, "dtype of scales or zeros");
    return ATT_OK;
}

#endif
