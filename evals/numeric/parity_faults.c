/* SPDX-License-Identifier: Apache-2.0 */
/* The fault dictionary: which known bug or foreign convention explains a wrong output?
 *
 * Each row states the case as whoever has that bug reads it; the oracle answers that problem, and
 * the output is judged against the answer by the same numeric rule.  Where it holds, the fault
 * explains the output; its ratio is max |e| / (6 sigma), so smaller explains better and none is
 * over 1.  Several may explain one case (no causality and top-left are one where no row differs);
 * the kernel's other failing cases decide (core/names.h).  What no problem can state is found by
 * its marks instead (parity_marks.c).  O(faults) oracles, so only the first failing cases of a
 * kernel are looked into. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "evals/numeric/parity_faults.h"

#define MOST_CASES 12  /* a kernel and worker */
#define MOST_WORK  4e6 /* pairs times width of a case */

typedef struct looked {
    int cases;
} looked;

static att_status make_looked(att_ctx *x, void *arg, void **out)
{
    (void)x;
    (void)arg;
    *out = calloc(1, sizeof(looked));
    return *out ? ATT_OK : ATT_NO_MEMORY;
}

void parity_name(again *g, const char *fault, double ratio, const char *text)
{
    size_t at = 0;

    while (at < g->named && strcmp(g->name[at].fault, fault) != 0)
        at++;
    if (at == PARITY_NAMES || (at < g->named && g->name[at].ratio <= ratio + 1e-6))
        return; /* of one fault's readings the best, of equal ones the first */
    g->named += at == g->named;
    for (; at > 0 && g->name[at - 1].ratio > ratio + 1e-6; at--) /* equal faults: as they came */
        g->name[at] = g->name[at - 1];
    g->name[at].ratio = ratio;
    snprintf(g->name[at].fault, sizeof g->name[at].fault, "%s", fault);
    snprintf(g->name[at].text, sizeof g->name[at].text, "%s", text);
}

void parity_say_names(const again *g)
{
    for (size_t i = 0; i < g->named; i++)
        att_ctx_diagnose(g->x, g->name[i].fault, g->name[i].ratio, g->name[i].text);
    if (g->named == 0)
        att_ctx_diagnose(g->x, ATT_UNKNOWN, (double)INFINITY,
                         "nothing in the dictionary explains it");
}

/* What calls beyond the first show; false: they tell what the cause is, or nothing can be told. */
static bool repeats(const parity_outputs *o, again *g)
{
    if (!parity_call_again(o, g))
        return false;
    if (g->unsteady)
        parity_name(g, "nondeterministic", 0,
                    "the same call again gives another result: threads that race, memory read "
                    "before it is set, or state kept between calls");
    else if (g->reads_output)
        parity_name(g, "output_read", 0,
                    "the result depends on what the output holds before the call");
    return !g->unsteady && !g->reads_output;
}

static void look_into(att_ctx *x, parity_inputs *in, const parity_outputs *o,
                      const att_units *units)
{
    again g = {.x = x, .in = in, .units = units};
    att_error e;

    if (parity_profile(x, in, units->acc, &g.profile) == ATT_OK &&
        att_error_judge(g.profile, &o->got, NULL, units, &e) == ATT_OK && repeats(o, &g)) {
        parity_explain(o, &e, &g);
        if (e.bad) {
            parity_moves(&o->got, &g);
            parity_saturated(&o->got, &g);
        }
        parity_far_moves(o, &g);
        parity_marks(in, o, &g);
    }
    parity_say_names(&g);
    parity_again_drop(&g);
}

/* Has this kernel been looked into less often than is enough? */
static looked *turn(att_ctx *x)
{
    void *count = NULL;
    char key[160];

    snprintf(key, sizeof key, "run:parity looked at %s", att_ctx_kernel(x)->name);
    if (att_ctx_shared(x, key, make_looked, NULL, free, &count) != ATT_OK)
        return NULL;
    return ((looked *)count)->cases++ < MOST_CASES ? count : NULL;
}

void parity_say_first(att_ctx *x, const att_error *e)
{
    char text[240], place[32] = "whole row";

    if (e->at[3] >= 0)
        snprintf(place, sizeof place, "d=%lld", (long long)e->at[3]);
    else if (strcmp(e->what, "lse") == 0)
        snprintf(place, sizeof place, "LSE");
    snprintf(text, sizeof text, "b=%lld h=%lld i=%lld %s: got %.9g, want %.9g +- %.3g, ratio %.3g",
             (long long)e->at[0], (long long)e->at[1], (long long)e->at[2], place, e->got, e->want,
             e->allowed, e->ratio);
    att_ctx_diagnose(x, "first_bad", e->ratio, text);
}

void parity_diagnose(att_ctx *x, parity_inputs *in, const parity_outputs *o, const att_units *units,
                     const att_error *e, bool explain)
{
    if (explain && parity_work(&in->spec) <= MOST_WORK && turn(x))
        look_into(x, in, o, units);
    parity_say_first(x, e);
}

void parity_say_outside(att_ctx *x, size_t bytes)
{
    char text[120];

    snprintf(text, sizeof text, "results are right, but %zu bytes outside of them were written",
             bytes);
    att_ctx_diagnose(x, "writes_outside", 0, text);
}
