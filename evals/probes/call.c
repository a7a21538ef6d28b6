/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel's answer to a circuit: which operator it is asked by, and how sharply.
 *
 * Softmax attends with logits match * cos, match = 24 unless said: a haystack's key weighs e^(24^2
 * / 128) = 90 on average against a needle's e^24.  The linear family has no such sharpness: cosines
 * themselves (queries and keys of norm 1), elu + 1 on norms of 8 (a linear map would see nothing
 * but the ones), Taylor's second order at 4 cosines. */
#include <math.h>

#include "evals/probes/call_parts.h"

#define SHARP 24

static const probe_fit fits[] = {
    [ATT_RULE_LINEAR] = {8, 1}, [ATT_RULE_LINEAR_ELU1] = {8, 8}, [ATT_RULE_RETENTION] = {8, 1},
    [ATT_RULE_GLA] = {8, 1},    [ATT_RULE_DELTA] = {8, 1},       [ATT_RULE_GATED_DELTA] = {8, 1},
    [ATT_RULE_SSD] = {1, 1},    [ATT_RULE_BASED] = {4 * 8, 1}};

att_problem probe_problem(const probe_circuit *c)
{
    att_problem p = att_problem_init();

    p.batch = 1;
    p.heads_q = c->contexts * c->heads;
    p.heads_kv = c->contexts;
    p.q_len = c->rows;
    p.kv_len = c->len;
    p.head_dim = PROBE_CODE;
    p.value_dim = c->width;
    p.causal = ATT_CAUSAL_BOTTOM_RIGHT;
    p.k = att_tensor_dense(c->k, ATT_F32, 1, p.heads_kv, c->len, PROBE_CODE);
    p.v = att_tensor_dense(c->v, ATT_F32, 1, p.heads_kv, c->len, c->width);
    return p;
}

double probe_match(double match)
{
    return match > 0 ? match : SHARP;
}

bool probe_selects(const att_kernel *k)
{
    const bool session = k->session && (k->abi & 0xffffu) >= 2 && k->session->seen;

    return k->attend || k->mix ? k->attend && k->select : session;
}

/* K is multiplied in place and divided back: exact for powers of two, which the fits are. */
static att_status attend(const probe_asking *a, probe_wanted w)
{
    const int64_t n = a->c->contexts * a->c->len * PROBE_CODE;
    const float by = a->fit.k;

    if (by != 1)
        probe_times(a->c->k, a->c->k, by, n);
    const att_status status = probe_attend(a, w);
    if (by != 1)
        probe_times(a->c->k, a->c->k, 1 / by, n);
    return status;
}

/* Softmax, unless the kernel is a rule of the linear family. */
static probe_fit fit_of(const att_kernel *k, int32_t rule, const probe_manner *how)
{
    probe_fit f = {SHARP * 8, 1};

    if (rule >= 0 && !(k->attend && k->class_ != ATT_OWN))
        f = fits[rule];
    if (how->norm > 0)
        f.k = (float)how->norm;
    if (how->match > 0)
        f.q = (float)((rule == ATT_RULE_SSD ? 1 : 8) * how->match / (double)f.k);
    return f;
}

static att_status ask(const probe_asking *a, int32_t rule, probe_wanted w)
{
    const att_kernel *k = a->part->kernel;

    if (k->attend)
        return attend(a, w);
    if (k->mix && w.out)
        return probe_mix(a, w.out);
    if (k->session)
        return probe_session(a, w);
    if (w.out && rule >= 0)
        return probe_recur(a, rule, w.out);
    att_ctx_why(a->x, "%s",
                rule < 0 && k->recur ? "no rule of the linear family that it takes"
                                     : "no operator that answers queries");
    return ATT_UNSUPPORTED;
}

static att_status ask_in_manner(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                                const float *q, const probe_manner *how, probe_wanted w)
{
    const int32_t rule = part->kernel->recur ? probe_rule(part, c) : -1;
    const probe_asking a = {.x = x,
                            .part = part,
                            .c = c,
                            .q = q,
                            .fit = fit_of(part->kernel, rule, how),
                            .store = how->store ? how->store : "auto",
                            .held = how->held};

    return ask(&a, rule, w);
}

att_status probe_call(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                      const float *q, const probe_manner *how, float *out)
{
    for (int64_t i = 0; i < probe_rows(c) * c->width; i++)
        out[i] = NAN;
    return ask_in_manner(x, part, c, q, how, (probe_wanted){.out = out});
}

att_status probe_seen(att_ctx *x, const att_variant_part *part, const probe_circuit *c,
                      const float *q, const probe_manner *how, uint8_t *allowed)
{
    if (!probe_selects(part->kernel))
        return ATT_UNSUPPORTED;
    return ask_in_manner(x, part, c, q, how, (probe_wanted){.allowed = allowed});
}
