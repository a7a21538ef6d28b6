/* SPDX-License-Identifier: Apache-2.0 */
/* Declared against measured, all as amounts by which they miss each other: 0 is right.
 *
 * Rows are counted where each has pages of its own.  Where a kernel takes only dense rows, a page
 * that holds a needed row is needed, and what is declared beyond needed rows may lie on pages of
 * its own.  Which sums a call forms can't be seen from outside, only bounds of them: a row that is
 * touched is read for some query, and no query reads a row that is not touched. */
#include <math.h>
#include <string.h>

#include "evals/cost/cost.h"

static double over(double a, double b)
{
    return a > b ? a - b : 0;
}

/* Rows beyond `said` that pages of several rows may show. */
static double slack(const cost_call *c, const cost_side *s, double said)
{
    double needed = 0, shown = 0;

    if (s->apart)
        return 0;
    const int64_t each = (int64_t)(s->memory.page / (s->row ? s->row : 1)) + 1;
    for (int64_t r = 0, last = -1; c->want && r < s->rows; r++)
        if (c->want[r]) {
            const int64_t from = r - each > last ? r - each : last + 1;
            last = r + each < s->rows ? r + each : s->rows - 1;
            shown += (double)(last - from + 1);
            needed++;
        }
    return over(shown, said) + 2 * (double)each * over(said, needed);
}

static void judge_rows(att_ctx *x, const cost_call *c)
{
    const double k = (double)cost_side_count(&c->k), v = (double)cost_side_count(&c->v);
    const double more_k = over(k, c->cost.k_rows + slack(c, &c->k, c->cost.k_rows));
    const double more_v = /* V in K's rows does not show apart */
        c->v.shared ? 0 : over(v, c->cost.v_rows + slack(c, &c->v, c->cost.v_rows));

    att_ctx_record(x, "k_rows", k);
    att_ctx_record(x, "v_rows", v);
    att_ctx_record(x, "rows", (double)c->k.rows);
    if (isnan(c->cost.k_rows) || isnan(c->cost.v_rows) || isnan(c->cost.v_run))
        return; /* declared by an older contract */
    att_ctx_record(x, "undeclared", more_k + more_v);
    if (c->cost.v_run == 0 && c->k.apart && !c->twice)
        att_ctx_record(x, "unread",
                       over(c->cost.k_rows, k) +
                           over(c->cost.v_rows, c->v.shared ? c->cost.v_rows : v));
    const double group = (double)(c->in->spec.hkv ? c->in->spec.hq / c->in->spec.hkv : 1);
    if ((more_k > 0 && k == (double)c->k.rows) || (more_v > 0 && v == (double)c->v.rows))
        att_ctx_diagnose(x, "reads_everything", 0.0,
                         "every row is read, though the kernel declares fewer");
    else if (more_k > 0 && group > 1 && k == group * c->cost.k_rows)
        att_ctx_diagnose(x, "group_size_forgotten", 0.0,
                         "as many rows are read as declared, times the query heads of a group");
}

/* Rows of V in aligned runs of `run` keys without a needed one, and in no sequence at all. */
static double outside(const cost_call *c, int64_t run)
{
    const parity_spec *s = &c->in->spec;
    double n = (double)cost_side_count(&c->v);

    for (int64_t b = 0; b < s->b; b++)
        for (int64_t h = 0; h < s->hkv; h++)
            for (int64_t first = 0; first < c->in->nk[b]; first += run) {
                bool needed = false;
                double seen = 0;
                for (int64_t j = first; j < first + run && j < c->in->nk[b]; j++) {
                    const int64_t r = cost_row_of(c, b, h, j);
                    needed |= c->want[r] != 0;
                    seen += c->v.seen[r];
                }
                n -= needed ? seen : 0;
            }
    return n;
}

static void judge_choice(att_ctx *x, const cost_call *c)
{
    const att_problem *p = &c->p;
    double missed = 0;

    if (!c->want || !c->k.apart || c->v.shared)
        return;
    if (c->cost.v_run >= 1 && !p->mask.data && !p->bias.data && !p->k_positions.data)
        att_ctx_record(x, "outside", outside(c, (int64_t)fmin(c->cost.v_run, 1e9)));
    for (int64_t r = 0; r < c->v.rows; r++)
        missed += c->want[r] && !c->v.seen[r];
    if (!p->bias.data && !p->alibi_slopes.data && parity_is(c->in->spec.values, "normal"))
        att_ctx_record(x, "missed", missed); /* no weight vanishes */
}

/* Rows read for queries, and their bytes. */
static void judge_sums(att_ctx *x, const cost_call *c)
{
    const parity_spec *s = &c->in->spec;
    const bool exact = c->cost.v_run == 0 && c->k.apart && !c->twice;
    const double k = (double)cost_side_count(&c->k) * c->k.bytes;
    const double v = c->v.shared ? 0 : (double)cost_side_count(&c->v) * c->v.bytes;
    double whole = k; /* of K: who scores by some channels reads the rest of a row only to use it */
    double rows = 0, most = 0, most_bytes = 0; /* of V; of either, times their queries */

    for (int64_t b = 0; b < s->b; b++)
        for (int64_t h = 0; h < s->hkv; h++)
            for (int64_t j = 0; j < c->in->nk[b]; j++) {
                const int64_t r = cost_row_of(c, b, h, j);
                const double queries = (double)(c->in->nq[b] * (s->hq / s->hkv));
                const bool seen_k = c->k.seen[r], seen_v = c->v.seen[r];
                rows += seen_v;
                most += seen_k || seen_v ? queries : 0;
                most_bytes += queries * ((seen_k ? c->k.bytes : 0) + (seen_v ? c->v.bytes : 0));
            }
    for (int64_t r = 0; c->want && c->cost.k_rows >= 0 && r < c->k.rows; r++)
        whole -= c->k.seen[r] && !c->want[r] ? c->k.bytes : 0;
    const double least = fmax(c->n_pairs, c->k.apart ? rows : 0);
    double keys = over(least, c->cost.keys_read), bytes = 0;
    keys += exact ? over(c->cost.keys_read, fmax(most, rows)) : 0;
    bytes = c->k.apart ? over(whole + v, c->cost.kv_bytes_read) : 0;
    bytes += exact ? over(c->cost.kv_bytes_read, fmax(most_bytes, k + v)) : 0;
    att_ctx_record(x, "keys_off", isnan(c->cost.keys_read) ? (double)NAN : keys);
    att_ctx_record(x, "bytes_off", isnan(c->cost.kv_bytes_read) ? (double)NAN : bytes);
    if (c->pairs && c->k.apart && s->sq == 1 && parity_is(s->causal, "br"))
        att_ctx_record(x, "state_short", over(k + v, c->cost.state_bytes));
}

static void judge_flops(att_ctx *x, const cost_call *c)
{
    const att_problem *p = &c->p;
    const bool hides = p->mask.data || p->bias.data || p->block_mask.data;
    const double want = 2 * c->n_pairs * (double)(p->head_dim + p->value_dim);
    const double useful = c->cost.flops_useful;

    if (c->pairs && (hides || c->cost.v_run != 0))
        att_ctx_record(x, "flops_off", over(want, useful) / fmax(want, 1));
    else if (c->pairs)
        att_ctx_record(x, "flops_off", fabs(useful - want) / fmax(want, 1));
    att_ctx_record(x, "flops_short", useful > c->cost.flops_executed ? useful : 0);
}

void cost_judge(att_ctx *x, const cost_call *c)
{
    judge_rows(x, c);
    judge_choice(x, c);
    judge_sums(x, c);
    judge_flops(x, c);
    att_ctx_record(x, "cost_pages", (double)c->cost_pages);
}
