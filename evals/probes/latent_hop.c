/* SPDX-License-Identifier: Apache-2.0 */
/* latent_hop: needle and question share no token.  A rule in the context ("the opera is in
 * Dresden") turns the question's word into the needle's; a token that looks like the question's
 * word (a lexical lure) leads nowhere.  Accuracy is set against that of a short context.
 *
 * Source: Modarressi et al. 2025, "NoLiMa: Long-context evaluation beyond literal matching". */
#include <math.h>

#include "evals/probes/task.h"

#define MOST  24
#define BASE  256
#define ALIKE 0.7 /* cosine of the lure to the question */

/* Words of fact i: the question's word, the needle's word, the answer, the lure's other half and
 * where the lure leads. */
enum { ASKED, LINK, ANSWER, OTHER, DECOY, WORDS };

static int64_t code_of(const probe_circuit *c, int64_t g, int64_t i, int64_t which)
{
    return probe_drawn(c, g, i * WORDS + which);
}

/* Rules, needles and lures stand anywhere, in any order. */
static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g)
{
    int64_t at[3 * MOST];
    const int64_t n = c->facts;

    probe_places(rng, 0, c->len, 3 * n, at);
    att_rng_shuffle(rng, at, (size_t)(3 * n), sizeof *at);
    for (int64_t i = 0; i < n; i++) {
        const int64_t rule = at[i], needle = at[n + i], lure = at[2 * n + i];
        probe_put(c, g, rule, code_of(c, g, i, ASKED), code_of(c, g, i, LINK));
        probe_put(c, g, needle, code_of(c, g, i, LINK), code_of(c, g, i, ANSWER));
        probe_put_near(c, g, lure, code_of(c, g, i, ASKED), code_of(c, g, i, OTHER), ALIKE,
                       code_of(c, g, i, DECOY));
        probe_mark(c, g, needle, PROBE_MARKS + i, 1);
        probe_question a = {.context = g,
                            .head = i,
                            .answer = code_of(c, g, i, ANSWER),
                            .mark = PROBE_MARKS + i,
                            .rival = -1,
                            .evidence = {rule, needle},
                            .n_evidence = 2,
                            .kind = i,
                            .at = (double)needle / (double)c->len};
        if (!probe_ask(c, a, code_of(c, g, i, ASKED)))
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

static att_status make(probe_circuit *c, att_rng *rng, att_why *why)
{
    if (c->facts < 1 || c->facts > MOST || 3 * c->facts > c->len) {
        att_why_set(why, "at most %d facts, of 3 tokens each", MOST);
        return ATT_UNSUPPORTED;
    }
    c->contexts = 3;
    c->heads = c->facts;
    c->rows = 1;
    if (probe_circuit_open(c, c->facts, rng) != ATT_OK ||
        probe_draw(c, rng, c->facts * WORDS) != ATT_OK)
        return ATT_NO_MEMORY;
    probe_hay(c, rng, PROBE_HAY);
    att_status status = ATT_OK;
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g);
    return status;
}

/* Right by the right way: few visible keys let a wrong link meet the needle by luck. */
static probe_outcome judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const int64_t want = code_of(c, a->context, a->kind, LINK);
    double first, second;
    const int64_t link =
        probe_nearest(c, probe_row(c, a, probe_hop(c, out, 0)), 0, PROBE_CODES, want, &first);
    const int64_t answer =
        probe_nearest(c, probe_row(c, a, probe_hop(c, out, 1)), 0, PROBE_CODES, a->answer, &second);
    probe_outcome o = {.hit = link == want && answer == a->answer,
                       .score = first < second || isnan(first) ? first : second};

    if (!o.hit)
        o.note = link == want                                     ? "needle lost"
                 : answer == a->answer                            ? "right by luck"
                 : link == code_of(c, a->context, a->kind, DECOY) ? "lexical lure"
                                                                  : "rule lost";
    return o;
}

/* The share of questions that the lure led astray. */
static void record(att_ctx *x, const probe_circuit *c, const float *out)
{
    int64_t lured = 0;
    double margin;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const probe_question *a = &c->asked[i];
        const int64_t decoy = code_of(c, a->context, a->kind, DECOY);
        lured += probe_nearest(c, probe_row(c, a, probe_hop(c, out, 0)), 0, PROBE_CODES, decoy,
                               &margin) == decoy;
    }
    att_ctx_record(x, "lured", (double)lured / (double)c->n_asked);
}

const probe_task probe_task_latent_hop = {.name = "latent_hop",
                                          .exposes = "recall by literal match alone",
                                          .spares = "top_one",
                                          .facts = 8,
                                          .theory = true,
                                          .make = make,
                                          .hops = 2,
                                          .base = BASE,
                                          .judge = judge,
                                          .record = record};
