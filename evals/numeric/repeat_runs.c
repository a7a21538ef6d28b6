/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the repeat eval, and comparisons of calls bit by bit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "core/watch.h"
#include "evals/numeric/repeat.h"

/* Bytes that memory is filled with: NaN, 0, small and large numbers. */
static const int bytes_of[] = {0xff, 0x00, 0x01, 0x5a, 0xfe};

static int draw_byte(att_rng *rng)
{
    return bytes_of[att_rng_below(rng, sizeof bytes_of / sizeof *bytes_of)];
}

repeat_way repeat_way_of(uint64_t seed, int r, int threads)
{
    static const unsigned ways[] = {
        ATT_JOLT_STOPS,
        ATT_JOLT_REVERSED | ATT_JOLT_DEALT | ATT_JOLT_LATE,
        ATT_JOLT_SHUFFLED | ATT_JOLT_YIELDS,
        ATT_JOLT_ALONE | ATT_JOLT_REVERSED,
        ATT_JOLT_DEALT | ATT_JOLT_STOPS,
        ATT_JOLT_LATE | ATT_JOLT_YIELDS,
        ATT_JOLT_SHUFFLED | ATT_JOLT_DEALT | ATT_JOLT_STOPS | ATT_JOLT_LATE,
    };
    const size_t n = sizeof ways / sizeof *ways;
    att_rng whole = att_rng_make(seed, "repeat"), rng = att_rng_split(&whole, (uint64_t)r);
    repeat_way way = {.jolt = {.threads = threads,
                               .ways = r ? ways[(size_t)r % n] : 0,
                               .seed = seed + (uint64_t)r},
                      .scratch = r % 3 == 1 ? -1 : draw_byte(&rng),
                      .outputs = r ? draw_byte(&rng) : 0xff,
                      .fresh = draw_byte(&rng),
                      .freed = r ? draw_byte(&rng) : 0xff};

    return way;
}

void repeat_way_text(const repeat_way *way, char *text, size_t room)
{
    static const char *const words[] = {"items reversed",  "items shuffled", "all on one thread",
                                        "items dealt",     "giving way",     "begun late",
                                        "stopped at times"};
    int n = snprintf(text, room, "%d thread%s", way->jolt.threads, &"s"[way->jolt.threads == 1]);

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (way->jolt.ways >> i & 1 && n >= 0 && (size_t)n < room)
            n += snprintf(text + n, room - (size_t)n, ", %s", words[i]);
}

/* ------------------------------------------------------------------------------ a call */

static void fill(unsigned char *to, size_t bytes, int byte, uint64_t seed)
{
    att_rng rng = att_rng_make(seed, "noise");

    if (byte >= 0) {
        memset(to, byte, bytes);
        return;
    }
    for (size_t i = 0; i < bytes; i += sizeof(uint64_t)) {
        const uint64_t draw = att_rng_u64(&rng);
        memcpy(to + i, &draw, bytes - i < sizeof draw ? bytes - i : sizeof draw);
    }
}

static void count_dead(repeat_call *c, att_touch *t)
{
    if (t->data && t->slot >= 0)
        c->dead_pages += att_touch_count(t, 0, t->bytes);
    att_touch_open(t);
}

/* Scratch for one call, in the half that was not used last. */
static bool lend(repeat_call *c, const att_plan *plan, const repeat_way *way, att_scratch *s)
{
    att_touch *t = &c->scratch[c->runs % 2];
    const size_t align = plan->scratch_align > 64 ? plan->scratch_align : 64;
    size_t bytes;

    if (__builtin_add_overflow(plan->scratch_bytes, align, &bytes))
        return false;
    count_dead(c, t);
    if (!t->data || t->bytes < bytes) {
        att_touch_drop(t);
        if (!att_touch_make(t, bytes))
            return false;
    }
    const uintptr_t at = (uintptr_t)t->data;
    s->data = (char *)t->data + (align - at % align) % align;
    s->bytes = plan->scratch_bytes;
    fill(s->data, s->bytes, way->scratch, way->jolt.seed);
    return true;
}

static att_status operate(const repeat_call *c, const att_kernel *k, const att_scratch *s)
{
    att_watch_begin();
    const att_status status = c->op == ATT_OP_RECUR ? k->recur(k, c->p, s) : k->attend(k, c->p, s);
    att_watch_end();
    return status;
}

/* plan, operator, drop, with heap memory filled as the way says. */
static att_status call(repeat_call *c, const repeat_way *way, const att_host *host)
{
    const att_variant_part *part = att_ctx_variant(c->x)->part;
    const att_kernel *k = part->kernel;
    att_plan plan = {0};
    att_scratch s = {.params = part->values, .host = host};
    att_status status = ATT_OK;

    att_heap_fill(way->fresh, way->freed);
    if (k->plan)
        status = k->plan(k, c->op, c->p, part->values, &plan);
    s.handle = plan.handle;
    if (status == ATT_OK && plan.scratch_bytes && !lend(c, &plan, way, &s))
        status = ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = operate(c, k, &s);
    if (k->drop && plan.handle)
        k->drop(k, plan.handle);
    att_heap_fill(-1, -1);
    if (s.data && !att_touch_close(&c->scratch[c->runs % 2], true) && status == ATT_OK)
        status = ATT_NO_MEMORY;
    return status;
}

att_status repeat_once(repeat_call *c, const repeat_way *way)
{
    att_host host;
    att_status status = att_jolt_make(&way->jolt, &host);

    if (status != ATT_OK) {
        att_ctx_why(c->x, "threads can't be started");
        return status;
    }
    c->dirty(c, way->outputs);
    status = call(c, way, &host);
    att_jolt_drop(&host);
    if (status == ATT_OK)
        c->collect(c);
    else
        att_ctx_why(c->x, "run %llu of the same call failed", (unsigned long long)c->runs);
    c->runs++;
    return status;
}

void repeat_finish(repeat_call *c)
{
    for (int i = 0; i < 2; i++)
        count_dead(c, &c->scratch[i]);
    for (int i = 0; i < 2; i++)
        att_touch_drop(&c->scratch[i]);
}

/* -------------------------------------------------------------------------- comparison */

size_t repeat_bytes(const repeat_call *c)
{
    size_t bytes = 0;

    for (const repeat_output *o = c->output; o->bytes; o++)
        bytes += o->bytes;
    return bytes;
}

void repeat_save(const repeat_call *c, unsigned char *to)
{
    for (const repeat_output *o = c->output; o->bytes; to += o->bytes, o++)
        memcpy(to, o->data, o->bytes);
}

bool repeat_equals(const repeat_call *c, const unsigned char *saved)
{
    bool equal = true;

    for (const repeat_output *o = c->output; o->bytes; saved += o->bytes, o++)
        equal &= memcmp(saved, o->data, o->bytes) == 0;
    return equal;
}

/* The rows of an output that differ, and whether they are those of one head. */
static int64_t count_rows(const repeat_output *o, const unsigned char *saved, int64_t *first,
                          bool *one_head)
{
    const int64_t n = (int64_t)(o->bytes / o->row_bytes);
    int64_t differ = 0;

    *one_head = true;
    for (int64_t r = 0; r < n; r++) {
        const size_t at = (size_t)r * o->row_bytes;
        if (memcmp(saved + at, (const unsigned char *)o->data + at, o->row_bytes) == 0)
            continue;
        if (differ++ == 0)
            *first = r;
        *one_head &= r / o->rows == *first / o->rows;
    }
    return differ;
}

void repeat_difference(const repeat_call *c, const unsigned char *saved, char *text, size_t room)
{
    *text = '\0';
    for (const repeat_output *o = c->output; o->bytes; saved += o->bytes, o++) {
        int64_t first = 0;
        bool one_head;
        const int64_t differ = count_rows(o, saved, &first, &one_head);
        if (!differ)
            continue;
        const int64_t head = first / o->rows % o->heads;
        snprintf(text, room, "%lld of %lld rows of %s differ, the first at b=%lld h=%lld i=%lld%s",
                 (long long)differ, (long long)(o->bytes / o->row_bytes), o->name,
                 (long long)(first / o->rows / o->heads), (long long)head,
                 (long long)(first % o->rows), one_head && differ > 1 ? "; all of that head" : "");
        return;
    }
}
