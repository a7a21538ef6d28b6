/* SPDX-License-Identifier: Apache-2.0 */
/* Resources: what does a call read, take and leave behind?  Counted, not timed.
 *
 * - Keys: rows of K and V lie a page apart on closed pages; those that a call touches are held to
 *   the cost that the kernel declares, or, where it declares none and reads less than everything,
 *   to the window, each with slack for tiles.
 * - Capacity: a decode step over the same used keys in a cache four times as large must touch no
 *   more pages of K, V, scratch and heap.
 * - Memory: scratch and heap at their most, and how they grow with the number of tokens.
 * - Leaks: `steps` growing decode steps, twice; what the second time adds to the heap and to the
 *   resident set, a call, and threads and files left behind.
 * O(steps sk hq d). */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fp.h"
#include "base/heap.h"
#include "core/eval.h"
#include "evals/numeric/resources.h"

enum {
    TILE_SLACK = 128, /* keys a tile may hold more than are asked for, at both ends together */
    PAGE_SLACK = 8,
    LEAK_BYTES = 16, /* a call: less than the smallest block a call that leaks can leave */
    RSS_BYTES = 2048
};

#define INT  ATT_PARAM_INT
#define WORD ATT_PARAM_WORD

static const att_param params[] = {
    {"hq", INT, 0, "heads", "8", "1:256", "8 2", "query heads"},
    {"hkv", INT, 0, "heads", "1", "1:256", "1 2", "key/value heads"},
    {"d", INT, 0, "", "32", "1:512", "32 64", "head_dim and value_dim"},
    {"sq", INT, 0, "tokens", "1", "1:64", "1 3", "queries"},
    {"sk", INT, 0, "keys", "2048", "256:65536", "2048", "keys"},
    {"wl", INT, 0, "keys", "-1", "-1:65536", "-1 64", "window to the left; -1 = off"},
    {"steps", INT, 0, "calls", "1000", "10:100000", 0, "growing steps of the leak test"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16", "f32 f16", "storage type"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"keys_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL,
     "keys touched over those declared (or visible) and a tile's slack"},
    {"keys_touched", "keys", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "rows of K or V touched, a key/value head"},
    {"capacity_ratio", "ratio", ATT_LOWER, 1.25, ATT_BINDS_ALL,
     "pages a step touches in a cache four times as large, over those in the smaller one"},
    {"prefill_exponent", "", ATT_LOWER, 2.1, ATT_BINDS_ALL,
     "growth of scratch and heap with tokens, as a power"},
    {"decode_exponent", "", ATT_LOWER, 1.1, ATT_BINDS_ALL, "the same of one query, with keys"},
    {"scratch_bytes", "bytes", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "planned, of 256 tokens"},
    {"heap_bytes", "bytes", ATT_LOWER, (double)NAN, ATT_BINDS_ALL,
     "taken from malloc at most, of 256 tokens"},
    {"leak_bytes", "bytes", ATT_LOWER, LEAK_BYTES, ATT_BINDS_ALL, "heap kept a call"},
    {"rss_bytes", "bytes", ATT_LOWER, RSS_BYTES, ATT_BINDS_ALL, "resident memory kept a call"},
    {"left_behind", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "threads and open files kept"},
    {"heap_unseen", "", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL,
     "1: malloc is not counted in this program, leaks of the heap cannot be told"},
    {0},
};

static bool valid(const att_value *v)
{
    return v[0].i % v[1].i == 0;
}

static double seconds(const char *task, const att_value *v)
{
    (void)task;
    return 0.05 + (double)v[6].i * (2e-5 + (double)(v[0].i * v[2].i) * 4e-7);
}

static resources_shape shape_of(const att_ctx *x)
{
    return (resources_shape){.hq = att_ctx_int(x, "hq"),
                             .hkv = att_ctx_int(x, "hkv"),
                             .sq = att_ctx_int(x, "sq"),
                             .capacity = att_ctx_int(x, "sk"),
                             .length = att_ctx_int(x, "sk"),
                             .d = att_ctx_int(x, "d"),
                             .left = att_ctx_int(x, "wl"),
                             .dtype = att_dtype_named(att_ctx_word(x, "dtype")),
                             .apart = true};
}

static att_status use_of(att_ctx *x, const resources_shape *shape, resources_use *use)
{
    resources_inputs in;
    att_status status = resources_make(x, shape, &in);

    if (status == ATT_OK)
        status = resources_support(x, &in);
    if (status == ATT_OK)
        status = resources_call(x, &in, NULL); /* whatever is made once is made now */
    if (status == ATT_OK)
        status = resources_call(x, &in, use);
    resources_drop(&in);
    return status;
}

/* ------------------------------------------------------------------------------- keys */

/* Rows of K or of V that the kernel declares to touch, a key/value head, or reads in bytes of both;
 * NAN = it declares nothing. */
static double declared(att_ctx *x, const resources_shape *s)
{
    const att_variant_part *part = att_ctx_variant(x)->part;
    const double row = 2.0 * (double)s->d * (double)att_dtype_size(s->dtype);
    resources_inputs in;
    double rows = (double)NAN;

    if (resources_make(x, s, &in) == ATT_OK) {
        const att_cost cost = att_cost_of(part->kernel, &in.p, part->values);
        const double most = fmax(cost.k_rows, cost.v_rows);
        rows = (most > 0 ? most : cost.kv_bytes_read / row) / (double)s->hkv;
    }
    resources_drop(&in);
    return rows;
}

static att_status measure_keys(att_ctx *x)
{
    const resources_shape s = shape_of(x);
    resources_use use;
    att_status status = use_of(x, &s, &use);

    if (status != ATT_OK)
        return status;
    const double touched = (double)use.rows_read / (double)s.hkv, said = declared(x, &s);
    const double seen = s.left < 0 ? (double)s.length
                                   : fmin((double)(s.left + s.sq), (double)s.length);
    double ratio = touched / (said + TILE_SLACK);
    if (isnan(said)) /* a kernel that knows no windows reads everything, and may */
        ratio = touched > 0.9 * (double)s.length ? 0 : touched / (seen + TILE_SLACK);
    att_ctx_record(x, "keys_ratio", ratio);
    att_ctx_record(x, "keys_touched", touched);
    const double group = (double)(s.hq / s.hkv);
    if (ratio > 1 && group > 1 && fabs(touched - group * seen) <= TILE_SLACK)
        att_ctx_diagnose(x, "group_size_forgotten", 0.0,
                         "as many keys are read as the window times the query heads of a group");
    return ATT_OK;
}

/* --------------------------------------------------------------------------- capacity */

static att_status measure_capacity(att_ctx *x)
{
    resources_shape s = shape_of(x);
    resources_use small, large;

    s.length = 128;
    s.capacity = s.capacity / 4 > 128 ? s.capacity / 4 : 128;
    const int64_t first = s.capacity;
    att_status status = use_of(x, &s, &small);
    s.capacity = 4 * first;
    if (status == ATT_OK)
        status = use_of(x, &s, &large);
    if (status == ATT_UNSUPPORTED)
        return ATT_OK; /* it takes no used lengths: nothing to measure */
    if (status != ATT_OK)
        return status;
    const double ratio = (double)large.pages / (double)(small.pages + PAGE_SLACK);
    att_ctx_record(x, "capacity_ratio", ratio);
    const int64_t more = 3 * first * s.hkv * 2 * s.d *
                         (int64_t)att_dtype_size(s.dtype); /* K and V */
    if (ratio > 1.25 && large.rows_past > small.rows_past &&
        large.written_bytes - small.written_bytes >= more / 2)
        att_ctx_diagnose(x, "kv_recopied_per_token", 0.0,
                         "a step reads the cache past its used length, and writes a copy as large "
                         "as its capacity");
    return ATT_OK;
}

/* ----------------------------------------------------------------------------- memory */

static double exponent(const resources_use *half, const resources_use *whole)
{
    const double a = (double)(half->scratch_bytes + half->heap_bytes);
    const double b = (double)(whole->scratch_bytes + whole->heap_bytes);

    return a > 0 && b > a ? log2(b / a) : 0;
}

static att_status measure_memory(att_ctx *x)
{
    resources_shape s = shape_of(x);
    resources_use half, whole;

    s.apart = false;
    s.sq = s.length = s.capacity = 128;
    att_status status = use_of(x, &s, &half);
    s.sq = s.length = s.capacity = 256;
    if (status == ATT_OK)
        status = use_of(x, &s, &whole);
    if (status == ATT_UNSUPPORTED)
        return ATT_OK;
    if (status != ATT_OK)
        return status;
    att_ctx_record(x, "prefill_exponent", exponent(&half, &whole));
    att_ctx_record(x, "scratch_bytes", (double)whole.scratch_bytes);
    att_ctx_record(x, "heap_bytes", (double)whole.heap_bytes);
    s.sq = 1;
    s.length = s.capacity = 4096;
    status = use_of(x, &s, &half);
    s.length = s.capacity = 8192;
    if (status == ATT_OK)
        status = use_of(x, &s, &whole);
    if (status == ATT_OK)
        att_ctx_record(x, "decode_exponent", exponent(&half, &whole));
    return status == ATT_UNSUPPORTED ? ATT_OK : status;
}

/* ------------------------------------------------------------------------------ leaks */

static int64_t resident(void)
{
    char text[128] = "";
    FILE *f = fopen("/proc/self/statm", "r");
    long long pages = 0;

    if (f) {
        if (fgets(text, sizeof text, f))
            pages = strtoll(strchr(text, ' ') ? strchr(text, ' ') : "0", NULL, 10);
        fclose(f);
    }
    return pages * sysconf(_SC_PAGESIZE);
}

static int64_t entries(const char *folder)
{
    DIR *d = opendir(folder);
    int64_t n = 0;

    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

/* Steps at lengths `from` .. of a dense cache, as a decoder makes them. */
static att_status grow(att_ctx *x, resources_inputs *in, int64_t steps)
{
    att_status status = ATT_OK;
    const int64_t from = in->shape.capacity - steps;

    for (int64_t t = 1; t <= steps && status == ATT_OK; t++) {
        in->p.kv_len = in->p.k.shape[2] = in->p.v.shape[2] = from + t;
        status = resources_call(x, in, NULL);
    }
    return status;
}

static att_status measure_leaks(att_ctx *x)
{
    const int64_t steps = att_ctx_int(x, "steps");
    resources_shape s = shape_of(x);
    resources_inputs in;

    s.apart = false;
    s.sq = 1;
    s.length = s.capacity = steps + 16;
    att_status status = resources_make(x, &s, &in);
    if (status == ATT_OK)
        status = grow(x, &in, steps);
    if (status == ATT_OK) {
        const int64_t held = entries("/proc/self/task") + entries("/proc/self/fd");
        const int64_t before = resident();
        att_heap_begin();
        status = grow(x, &in, steps);
        att_heap_end();
        const double kept = (double)att_heap_now() / (double)steps;
        const double grown = (double)(resident() - before) / (double)steps;
        const int64_t left = entries("/proc/self/task") + entries("/proc/self/fd") - held;
        att_ctx_record(x, "leak_bytes", kept);
        att_ctx_record(x, "rss_bytes", grown);
        att_ctx_record(x, "left_behind", left > 0 ? (double)left : 0);
        att_ctx_record(x, "heap_unseen", att_heap_counts() ? 0 : 1);
        const double copy = (double)(steps / 2 * s.hkv * 2 * s.d); /* K and V in half precision */
        if (kept > LEAK_BYTES)
            att_ctx_diagnose(x, kept >= copy ? "dequant_buffers_grow" : "memory_leak", 0.0,
                             kept >= copy ? "every call keeps memory of the size of K and V"
                                          : "every call keeps some memory");
    }
    resources_drop(&in);
    return status;
}

static att_status run(att_ctx *x)
{
    att_status status = measure_keys(x);

    if (status == ATT_OK)
        status = measure_capacity(x);
    if (status == ATT_OK)
        status = measure_memory(x);
    if (status == ATT_OK)
        status = measure_leaks(x);
    return status;
}

const att_eval att_eval_resources = {
    .name = "resources",
    .summary = "keys read, memory taken and memory kept, counted without a clock",
    .params = params,
    .metrics = metrics,
    .chance = (double)NAN,
    .valid = valid,
    .seconds = seconds,
    .grace = 20,
    .run = run,
};
