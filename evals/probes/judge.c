/* SPDX-License-Identifier: Apache-2.0 */
/* What a case's questions come to: hits, why the others were missed, and whether theory (the mask
 * by its parameters, or the kernel's own selection) explains each of them. */
#include "evals/probes/judge.h"

#include <math.h>
#include <stdio.h>

#include "base/stats.h"
#include "evals/probes/closed_form.h"
#include "evals/probes/diagnose.h"

/* Luck that a case may have: .001 for a thousand cases together. */
#define LUCK    1e-6
#define COVERED (INT64_C(1) << 18) /* pairs looked at, about */

int64_t probe_hops(const probe_task *task)
{
    return task->hops ? task->hops : 1;
}

/* A question's row of the attention that answers it. */
static const float *answer_row(const probe_task *task, const probe_circuit *c,
                               const probe_question *a, const float *out)
{
    return probe_row(c, a, probe_hop(c, out, (a->hops ? a->hops : probe_hops(task)) - 1));
}

/* The code nearest to the output is the answer. */
static probe_outcome decode(const probe_circuit *c, const probe_question *a, const float *row)
{
    probe_outcome o = {0};

    o.hit = probe_nearest(c, row, 0, PROBE_CODES, a->answer, &o.score) == a->answer &&
            o.score > 0; /* nothing is near to all codes alike */
    return o;
}

probe_outcome probe_answer(const probe_task *task, const probe_circuit *c, int64_t i,
                           const float *out)
{
    const probe_question *a = &c->asked[i];

    return task->judge ? task->judge(c, i, out) : decode(c, a, answer_row(task, c, a, out));
}

int probe_sees(probe_eye eye, const probe_circuit *c, const probe_question *a, int64_t key)
{
    const int64_t at = probe_position(c, a);
    const int seen =
        closed_form_sees(eye.part, (closed_pair){a->context * c->heads + a->head, at, key});

    return seen == 1 && eye.window >= 0 && at - key > eye.window ? 0 : seen;
}

/* Does the kernel see the evidence that is needed?  -1: its mask has no closed form. */
static int sees(probe_eye eye, const probe_circuit *c, const probe_question *a)
{
    int seen = a->n_evidence > 0 ? !a->any : -1;

    for (int64_t e = 0; e < a->n_evidence && seen == !a->any; e++)
        seen = probe_sees(eye, c, a, a->evidence[e]);
    return seen;
}

/* The share of its keys that a question sees, by the closed form, over some of the questions: the
 * recall of a needle that may lie anywhere (1 - c at compression c).  NAN: no closed form. */
static double coverage(probe_eye eye, const probe_circuit *c)
{
    const int64_t most = COVERED / c->len + 2, n = c->n_asked < most ? c->n_asked : most;
    double share = 0;

    for (int64_t s = 0; s < n; s++) {
        const probe_question *a = &c->asked[s * c->n_asked / n];
        const int64_t keys = probe_position(c, a) + 1;
        int64_t seen = 0;
        for (int64_t j = 0; j < keys; j++) {
            const int one = probe_sees(eye, c, a, j);
            if (one < 0)
                return (double)NAN;
            seen += one;
        }
        share += (double)seen / (double)keys / (double)n;
    }
    return share;
}

/* The same by what the kernel says that it selects, allowed [contexts * heads,rows,len]. */
static int selected(const probe_circuit *c, const probe_question *a, const uint8_t *allowed)
{
    const int64_t row = (a->context * c->heads + a->head) * c->rows + a->row;
    int seen = a->n_evidence > 0 ? !a->any : -1;

    for (int64_t e = 0; e < a->n_evidence && seen == !a->any; e++)
        seen = allowed[row * c->len + a->evidence[e]] != 0;
    return seen;
}

/* Why a question was missed, by the weight on its answer. */
static const char *blame(const probe_question *a, const float *row, int seen, probe_tally *t)
{
    const double mass = a->mark >= 0 ? (double)row[a->mark] : (double)NAN;

    if (seen == 0 || mass == 0) {
        t->masked++;
        return "masked";
    }
    if (isnan(mass))
        return "";
    if (fabs(mass) < 0.5) {
        t->faint++;
        return "under-weighted";
    }
    t->garbled++;
    return "attended, not decoded";
}

static void add_masses(const probe_question *a, const float *row, probe_tally *t)
{
    double spread = 0;

    for (int s = 0; s < PROBE_N_SIGNS; s++)
        spread += (double)row[PROBE_SIGNS + s] * (double)row[PROBE_SIGNS + s] / PROBE_N_SIGNS;
    t->spread += spread;
    t->all += (double)row[PROBE_ALL];
    t->first += (double)row[PROBE_FIRST];
    if (a->mark >= 0) {
        t->mass += (double)row[a->mark];
        t->beside += (double)row[PROBE_ALL] - (double)row[a->mark];
        t->marked++;
    }
    if (a->rival >= 0) {
        t->rival += (double)row[a->rival];
        t->rivalled++;
    }
}

/* Do the weights themselves tell whether a question's evidence was seen? */
static bool is_weighed(const probe_task *task, const probe_question *a, const float *row)
{
    return !(task->predict || task->hops > 1 || a->n_evidence > 1 || a->mark < 0 ||
             isnan(row[a->mark]));
}

/* With theory, masked evidence has weight 0 and is missed; seen evidence is found. */
static bool contradicts(const probe_task *task, const probe_question *a, const float *row, int seen,
                        int hit)
{
    if (!is_weighed(task, a, row))
        return hit != seen;
    const double mass = (double)row[a->mark];
    return seen ? !(hit && (task->diffuse || mass > 0.5)) : mass != 0;
}

/* The same, but hits that may be luck are counted apart. */
static int64_t count_wrong(bool wrong, bool weighed, int seen, probe_luck *luck)
{
    if (weighed || seen)
        return wrong;
    luck->hidden++;
    luck->hits += wrong;
    return 0;
}

/* Hits on hidden evidence, where they are more than luck. */
static int64_t beyond_luck(probe_luck l)
{
    return att_binomial_tail(l.hits, l.hidden, 1.0 / PROBE_CODES) < LUCK ? l.hits : 0;
}

/* The distance of a question's only evidence: how far hits reach, how near misses begin. */
static void add_distance(const probe_circuit *c, const probe_question *a, int hit, probe_tally *t)
{
    const int64_t distance = probe_position(c, a) - a->evidence[0];

    if (a->n_evidence != 1)
        return;
    if (hit)
        t->reach = fmax(t->reach, (double)distance);
    else
        t->nearest = fmin(t->nearest, (double)distance);
}

/* A session may store K and V as it likes: two bits make keys unequal that were equal. */
static double rounding(const att_variant_part *part, const probe_circuit *c,
                       const probe_manner *how)
{
    const att_kernel *k = part->kernel;

    return k->attend || k->mix ? probe_rounding(part, c, how) : (double)NAN;
}

/* What an item says of itself: the task's word or why it was missed, and what the closed form does
 * not explain. */
static void name_item(const char *task_note, const char *why, int known, bool wrong, bool luck,
                      char *out, size_t size)
{
    const char *note = task_note ? task_note : why, *odd = luck ? "guessed" : "unexplained";

    if (wrong)
        snprintf(out, size, "%s%s%s", task_note ? task_note : "", task_note ? ", " : "", odd);
    else
        snprintf(out, size, "%s", *note || !known ? note : "seen");
}

/* Was it right? */
static bool judge_item(att_ctx *x, const probe_task *task, const probe_circuit *c, probe_eye eye,
                       const float *out, int64_t i, bool theory, probe_tally *t)
{
    const probe_question *a = &c->asked[i];
    const float *row = answer_row(task, c, a, out);
    const probe_outcome o = probe_answer(task, c, i, out);
    const int seen = task->predict ? task->predict(eye, c, i) : sees(eye, c, a);
    const char *why = o.hit ? "" : blame(a, row, task->predict ? -1 : seen, t);
    const bool known = theory && seen >= 0, weighed = is_weighed(task, a, row);
    const bool wrong = known && contradicts(task, a, row, seen, o.hit);
    char note[64];

    if (known) {
        t->known++;
        t->expected += seen;
        t->unexplained += count_wrong(wrong, weighed, seen, &t->luck);
    }
    name_item(o.note, why, known, wrong, !weighed && !seen, note, sizeof note);
    t->n++;
    t->hits += o.hit;
    add_distance(c, a, o.hit, t);
    add_masses(a, row, t);
    att_ctx_item(x, o.hit, (int32_t)a->context, o.score, a->at, note);
    return o.hit;
}

/* By the kernel's own selection. */
static void judge_selection(const probe_task *task, const probe_circuit *c, const float *out,
                            const uint8_t *chosen, int64_t i, bool hit, probe_tally *t)
{
    const probe_question *a = &c->asked[i];
    const float *row = answer_row(task, c, a, out);
    const int seen = selected(c, a, chosen);

    if (seen < 0)
        return;
    t->selectable++;
    t->selected += seen;
    t->unselected += count_wrong(contradicts(task, a, row, seen, hit), is_weighed(task, a, row),
                                 seen, &t->luck_selected);
}

/* chosen: what the kernel says that it selects; NULL = not known. */
void probe_judge(att_ctx *x, const probe_task *task, const probe_circuit *c,
                 const probe_manner *how, const float *out, const uint8_t *chosen, probe_tally *t)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    const probe_eye eye = {part, probe_window(part, c), rounding(part, c, how)};
    /* at flatter logits than the usual what is seen may be outweighed by the haystack */
    const bool theory = task->theory && probe_match(att_ctx_real(x, "match")) >= probe_match(0);
    const bool own = chosen && theory && probe_hops(task) == 1 && part->kernel->class_ != ATT_OWN;

    for (int64_t i = 0; i < c->n_asked; i++) {
        const bool hit = judge_item(x, task, c, eye, out, i, theory, t);
        if (own)
            judge_selection(task, c, out, chosen, i, hit, t);
    }
    t->unexplained += beyond_luck(t->luck);
    t->unselected += beyond_luck(t->luck_selected);
}

void probe_record(att_ctx *x, const probe_circuit *c, const probe_tally *t)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    const att_interval ci = att_wilson((double)t->hits, (double)t->n, 0.95);
    const att_problem p = probe_problem(c);
    const att_cost cost = att_cost_of(part->kernel, &p, part->values);
    const double n = (double)t->n, seen = coverage((probe_eye){part, probe_window(part, c), 0}, c);

    att_ctx_record_n(x, "accuracy", (double)t->hits / n, t->n, ci.lo, ci.hi);
    if (t->known) {
        att_ctx_record(x, "accuracy_predicted", (double)t->expected / (double)t->known);
        att_ctx_record(x, "unexplained", (double)t->unexplained);
        att_ctx_record(x, "guessed", (double)t->luck.hits);
    }
    if (!isnan(seen))
        att_ctx_record(x, "coverage", seen);
    if (t->selectable) {
        att_ctx_record(x, "selected", (double)t->selected / (double)t->selectable);
        att_ctx_record(x, "unexplained_by_select", (double)t->unselected);
    }
    if (t->reach >= 0)
        att_ctx_record(x, "reach", t->reach);
    if (isfinite(t->nearest))
        att_ctx_record(x, "nearest_miss", t->nearest);
    att_ctx_record(x, "masked", (double)t->masked);
    att_ctx_record(x, "under_weighted", (double)t->faint);
    att_ctx_record(x, "not_decoded", (double)t->garbled);
    if (t->marked) {
        att_ctx_record(x, "mass", t->mass / (double)t->marked);
        att_ctx_record(x, "lift", t->mass / (double)t->marked * (double)c->len);
        if (t->mass > 0 && t->beside > 0)
            att_ctx_record(x, "signal", log(t->mass / t->beside));
    }
    if (t->rivalled)
        att_ctx_record(x, "rival_mass", t->rival / (double)t->rivalled);
    att_ctx_record(x, "first_mass", t->first / n);
    att_ctx_record(x, "weights_sum", t->all / n);
    att_ctx_record(x, "keys_effective", n / t->spread);
    if (!isnan(cost.keys_read))
        att_ctx_record(x, "keys_share",
                       cost.keys_read / ((double)c->len * (double)(p.heads_q * p.q_len)));
}
