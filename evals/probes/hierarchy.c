/* SPDX-License-Identifier: Apache-2.0 */
/* hierarchy: a system rule against a later instruction.  Each rule is asked for in three contexts
 * that differ in nothing else: reference (the rule alone), aligned (a later instruction, given
 * twice, says the same) and conflict (it says otherwise).  The instruction's key is near the
 * rule's; the query asks with the system's privilege, so that the rule meets it better.  Whoever
 * has lost the rule follows the instruction, and so does whoever adds up what is said twice. */
#include <math.h>
#include <string.h>

#include "base/stats.h"
#include "evals/probes/task.h"

enum { REFERENCE, ALIGNED, CONFLICT, KINDS, MOST = 8, INSISTS = 2, MOST_LAYOUTS = 2 };

#define PRIVILEGE 0.75 /* cosine of an instruction's key and the rule's */

/* Rule i at `at`, which says `word` of n, and the instruction at `later`.  Codes: rules' keys, what
 * rules say, what instructions say, where instructions' keys turn to; n of each. */
static att_status ask(probe_circuit *c, int64_t g, int64_t i, int64_t word, int64_t at,
                      const int64_t *later)
{
    const int64_t n = c->facts, kind = g % KINDS, value = (kind == ALIGNED ? n : 2 * n) + word;
    probe_question a = {.context = g,
                        .head = i,
                        .answer = n + word,
                        .mark = PROBE_MARKS + i,
                        .rival = kind == CONFLICT ? PROBE_MARKS + n + i : -1,
                        .evidence = {at, later[0], later[1]},
                        .n_evidence = kind == ALIGNED ? 1 + INSISTS : 1,
                        .any = kind == ALIGNED,
                        .kind = kind,
                        .at = (double)at / (double)c->len};

    probe_put(c, g, at, i, n + word);
    probe_mark(c, g, at, PROBE_MARKS + i, 1);
    for (int64_t t = 0; t < INSISTS && kind != REFERENCE; t++) {
        probe_put_near(c, g, later[t], i, 3 * n + i, PRIVILEGE, value);
        probe_mark(c, g, later[t], PROBE_MARKS + n + i, 1);
    }
    return probe_ask(c, a, i) ? ATT_OK : ATT_NO_MEMORY;
}

/* A position of (after, len) that is none of the n taken; it is taken then. */
static int64_t draw_place(const probe_circuit *c, att_rng *rng, int64_t after, int64_t *taken,
                          int64_t *n)
{
    int64_t at, i;

    do {
        at = after + 1 + (int64_t)att_rng_below(rng, (uint64_t)(c->len - after - 1));
        for (i = 0; i < *n && taken[i] != at; i++)
            ;
    } while (i < *n);
    return taken[(*n)++] = at;
}

/* Contexts g to g + 2: rules in the first three quarters, each instruction somewhere behind its
 * rule. */
static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    const size_t keys = (size_t)(c->len * PROBE_CODE), values = (size_t)(c->len * c->width);
    int64_t at[MOST * (1 + INSISTS)], later[MOST][INSISTS], word[MOST], n = c->facts;
    att_status status = ATT_OK;

    probe_places(rng, 0, c->len * 3 / 4, c->facts, at);
    for (int64_t i = 0; i < c->facts; i++)
        word[i] = i;
    att_rng_shuffle(rng, word, (size_t)c->facts, sizeof *word);
    for (int64_t i = 0; i < c->facts; i++)
        for (int64_t t = 0; t < INSISTS; t++)
            later[i][t] = draw_place(c, rng, at[i], at, &n);
    for (int64_t kind = 0; kind < KINDS; kind++) {
        memmove(c->k + (size_t)(g + kind) * keys, c->k + (size_t)g * keys, keys * sizeof *c->k);
        memmove(c->v + (size_t)(g + kind) * values, c->v + (size_t)g * values,
                values * sizeof *c->v);
        for (int64_t i = 0; i < c->facts && status == ATT_OK; i++)
            status = ask(c, g + kind, i, word[i], at[i], later[i]);
    }
    return status;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->facts < 1 || c->facts > MOST || c->len < 64) {
        att_why_set(why, "at most %d rules, in at least 64 tokens", MOST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = KINDS * (c->len > 1024 ? 1 : MOST_LAYOUTS);
    c->heads = c->facts;
    c->rows = 1;
    att_status status = probe_circuit_open(c, 2 * c->facts, rng);
    if (status == ATT_OK)
        probe_hay(c, rng, 4 * c->facts);
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g += KINDS)
        status = lay_out(c, rng, g);
    return status;
}

static int64_t found(const probe_circuit *c, const probe_question *a, const float *out,
                     double *margin)
{
    return probe_nearest(c, probe_row(c, a, out), 0, PROBE_CODES, a->answer, margin);
}

static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const float *row = probe_row(c, a, out);
    probe_outcome o = {0};
    const int64_t said = found(c, a, out, &o.score);

    o.hit = said == a->answer;
    if (a->kind == ALIGNED && (double)row[a->mark] == 0 && (double)row[a->mark + c->facts] == 0)
        o.hit = 0; /* guessed: nothing that says it has any weight */
    o.note = a->kind == CONFLICT && said == a->answer + c->facts ? "later instruction" : NULL;
    return o;
}

/* The questions of a layout stand in the order of kinds, the rules of each in theirs. */
static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    const int64_t n = c->facts, layouts = c->contexts / KINDS;
    int64_t right[KINDS] = {0}, overridden = 0;
    double differ[MOST_LAYOUTS * MOST], margin, sum = 0;

    for (int64_t i = 0; i < layouts * n; i++) {
        bool hit[KINDS];
        for (int64_t kind = 0; kind < KINDS; kind++) {
            const probe_question *a = &c->asked[(i / n * KINDS + kind) * n + i % n];
            const int64_t said = found(c, a, out, &margin);
            hit[kind] = said == a->answer;
            right[kind] += hit[kind];
            overridden += kind == CONFLICT && said == a->answer + n;
        }
        differ[i] = (double)hit[CONFLICT] - (double)hit[REFERENCE];
        sum += differ[i];
    }
    const att_interval ci = att_mean_interval(differ, (size_t)(layouts * n), 0.95);
    probe_share(x, "rule_reference", right[REFERENCE], layouts * n);
    probe_share(x, "rule_aligned", right[ALIGNED], layouts * n);
    probe_share(x, "rule_conflict", right[CONFLICT], layouts * n);
    probe_share(x, "overridden", overridden, layouts * n);
    att_ctx_record_n(x, "conflict_effect", sum / (double)(layouts * n), layouts * n, ci.lo, ci.hi);
}

const probe_task probe_task_hierarchy = {.name = "hierarchy",
                                         .exposes = "a rule overridden by a later instruction",
                                         .spares = "top_one",
                                         .facts = MOST,
                                         .theory = true,
                                         .make = make,
                                         .judge = judge,
                                         .record = record};
