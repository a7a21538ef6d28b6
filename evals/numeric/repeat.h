/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the repeat eval: one call under a schedule and over memory of one's choice, and what
 * explains calls that differ. */
#ifndef ATT_REPEAT_H
#define ATT_REPEAT_H

#include "base/touch.h"
#include "core/ctx.h"
#include "core/jolt.h"
#include "evals/numeric/parity.h"

#define REPEAT_OUTPUTS 4

/* One array that the call writes, and its dense copy after the call. */
typedef struct repeat_output {
    const char *name; /* "out", "LSE", "state" ... */
    const void *data;
    size_t bytes;
    size_t row_bytes; /* of what is told apart in a diagnosis */
    int64_t heads, rows;
} repeat_output;

/* What is called again and again. */
typedef struct repeat_call {
    att_ctx *x;
    att_op op;
    const att_problem *p; /* outputs lie in guarded memory */
    /* Fills the outputs with a byte before the call, and collects them after it. */
    void (*dirty)(struct repeat_call *c, int byte);
    void (*collect)(struct repeat_call *c);
    void *arg;
    repeat_output output[REPEAT_OUTPUTS]; /* bytes == 0 ends */
    att_touch scratch[2];                 /* in turn: one in use, one dead and closed */
    size_t dead_pages;                    /* touched after they were dead */
    uint64_t runs;
} repeat_call;

/* How one run is made. */
typedef struct repeat_way {
    att_jolt jolt;
    int scratch;      /* the byte that scratch holds; -1 = seeded noise */
    int outputs;      /* the byte that outputs hold */
    int fresh, freed; /* bytes of fresh and freed heap memory; -1 = left alone */
} repeat_way;

/* --- repeat_runs.c */
/* The way of run `r`: thread counts in turn, everything else drawn from the seed.  Run 0 is one
 * thread in order. */
repeat_way repeat_way_of(uint64_t seed, int r, int threads);
/* "5 threads, items shuffled, threads stopped" into text. */
void repeat_way_text(const repeat_way *way, char *text, size_t room);
/* plan, operator, drop; then scratch is closed, and freed memory filled. */
att_status repeat_once(repeat_call *c, const repeat_way *way);
/* All outputs, one behind the other, and how many bytes that is. */
size_t repeat_bytes(const repeat_call *c);
void repeat_save(const repeat_call *c, unsigned char *to);
bool repeat_equals(const repeat_call *c, const unsigned char *saved);
/* Where the outputs differ from saved ones: "12 of 40 rows of out, all of head 3, first h=3 i=16".
 */
void repeat_difference(const repeat_call *c, const unsigned char *saved, char *text, size_t room);
/* Looks at what is dead a last time. */
void repeat_finish(repeat_call *c);

/* --- repeat_why.c: names the kind of thing that makes calls differ, by calls that change one thing
 * at a time.  broken: run 0 is wrong by the numeric rule. */
void repeat_explain(repeat_call *c, bool broken, const char *difference);

#endif
