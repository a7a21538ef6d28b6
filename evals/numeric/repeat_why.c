/* SPDX-License-Identifier: Apache-2.0 */
/* Why do repeated calls differ?  The call is made on one thread, in order, over quiet memory; then
 * again with one thing changed at a time.  What changes the result names the fault; where nothing
 * does, it takes threads: a data race.  Each is named only where its own experiment shows it. */
#include <stdio.h>
#include <stdlib.h>

#include "base/heap.h"
#include "evals/numeric/repeat.h"

enum { TRIES = 6 };

typedef struct experiment {
    const char *fault, *text;
    repeat_way way;
} experiment;

/* The same but for one thing, over quiet = {scratch, outputs, fresh, freed} = {0, 0, 0, -1}. */
#define ONE                                                                                        \
    {                                                                                              \
        .threads = 1                                                                               \
    }
static const experiment experiments[] = {
    {"use_after_free",
     "the result depends on what freed memory holds",
     {.jolt = ONE, .freed = 0xff}},
    {"unset_memory",
     "the result depends on what fresh heap memory holds",
     {.jolt = ONE, .fresh = 0x5a, .freed = -1}},
    {"unset_memory",
     "the result depends on NaN in fresh heap memory",
     {.jolt = ONE, .fresh = 0xff, .freed = -1}},
    {"dirty_scratch",
     "the result depends on what scratch holds before the call",
     {.jolt = ONE, .scratch = 0x5a, .freed = -1}},
    {"dirty_scratch",
     "the result depends on NaN in scratch before the call",
     {.jolt = ONE, .scratch = 0xff, .freed = -1}},
    {"output_read",
     "the result depends on what the output holds before the call",
     {.jolt = ONE, .outputs = 0x5a, .freed = -1}},
};
#undef ONE

/* Does a run of that way differ from the saved one?  A run that fails does. */
static bool differs(repeat_call *c, const repeat_way *way, const unsigned char *saved)
{
    return repeat_once(c, way) != ATT_OK || !repeat_equals(c, saved);
}

/* Do quiet runs repeat themselves?  Else no experiment says anything. */
static bool steady(repeat_call *c, const repeat_way *quiet, const unsigned char *saved)
{
    for (int i = 0; i < TRIES; i++)
        if (differs(c, quiet, saved))
            return false;
    return true;
}

/* The change moves the result, and to the same place each time. */
static bool moves(repeat_call *c, const repeat_way *way, const unsigned char *saved,
                  unsigned char *room)
{
    if (!differs(c, way, saved))
        return false;
    repeat_save(c, room);
    return !differs(c, way, room);
}

/* A thread count or an order alone, nothing stopped or late, changes the result every time. */
static bool by_count(repeat_call *c, const unsigned char *saved, unsigned ways)
{
    repeat_way way = {.jolt = {.threads = 3, .ways = ways}, .freed = -1};

    for (int i = 0; i < TRIES; i++)
        if (!differs(c, &way, saved))
            return false;
    return true;
}

void repeat_explain(repeat_call *c, bool broken, const char *difference)
{
    const repeat_way quiet = {.jolt = {.threads = 1}, .freed = -1};
    const size_t n = sizeof experiments / sizeof *experiments;
    const size_t bytes = repeat_bytes(c);
    unsigned char *saved = malloc(2 * bytes + 1);
    bool named = false;

    if (!saved || repeat_once(c, &quiet) != ATT_OK) {
        free(saved);
        return;
    }
    repeat_save(c, saved);
    if (!steady(c, &quiet, saved)) {
        att_ctx_diagnose(c->x, "nondeterministic", 0.0,
                         "on one thread and the same memory the call does not repeat itself: "
                         "threads of the kernel's own that race, or state kept between calls");
        named = true;
    }
    for (size_t i = 0; i < n && !named; i++)
        if (moves(c, &experiments[i].way, saved, saved + bytes)) {
            att_ctx_diagnose(c->x, experiments[i].fault, 0.0, experiments[i].text);
            named = true;
        }
    if (!named && !broken && *difference) {
        const bool count = by_count(c, saved, ATT_JOLT_ALONE);
        att_ctx_diagnose(c->x, count ? "thread_count" : "data_race", 0.0, difference);
    }
    free(saved);
}
