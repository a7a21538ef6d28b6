/* SPDX-License-Identifier: Apache-2.0 */
/* The tables and the one drawing of report.html. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/escape.h"
#include "reports/html.h"
#include "reports/picture.h"
#include "reports/standing.h"

#define LOW_COST 1e-3 /* the left end of the drawing */

static void put_left_out(att_buf *out)
{
    if (!att_html_room(out))
        att_buf_puts(out, "<p>This file is full: what follows is left out; see result.json.</p>");
}

/* A share as a cell whose colour html.css takes from its class, h0 (none) to h10 (all). */
static void put_share(att_buf *out, const att_rate *rate)
{
    if (rate->n > 0)
        att_buf_printf(out, "<td class=\"n h%d\">%.1f %%", (int)lround(10 * rate->share),
                       100 * rate->share);
    else
        att_buf_puts(out, "<td class=n>");
}

/* -------------------------------------------------------------------------------- variants */

/* What a variant finds and reads, over the probes where dense has power. */
typedef struct merit {
    int64_t n, hits;
    double cost; /* mean share of keys read; NAN: not recorded */
} merit;

static merit merit_of(att_buf *out, const att_sheet *sheet, const char *kernel)
{
    merit m = {.cost = NAN};
    double cost = 0;
    size_t costs = 0;

    for (size_t i = 0; i < sheet->n_tasks; i++) {
        const att_task *task = &sheet->tasks[i];
        for (size_t l = 0; l < task->n_lengths; l++) {
            att_rate rate;
            if (att_task_rate(task, kernel, task->lengths[l], -INFINITY, INFINITY, &rate)) {
                out->failed = true;
                return m;
            }
            if (rate.n == 0 || rate.by_outcome[ATT_NO_POWER] > 0)
                continue;
            m.n += rate.n;
            m.hits += rate.hits;
            double share = att_task_metric(task, kernel, task->lengths[l], ATT_SHEET_COST);
            if (!isnan(share)) {
                cost += share;
                costs++;
            }
        }
    }
    m.cost = costs ? cost / (double)costs : NAN;
    return m;
}

static void put_variant(att_buf *out, const att_standing *s, const merit *m)
{
    const size_t *by = s->by_outcome;

    att_buf_puts(out, "<tr");
    att_html_data(out, "variant", s->kernel);
    att_buf_puts(out, "><th scope=row><code>");
    att_xml_put(out, s->kernel);
    att_buf_printf(out, "</code><td>%s<td%s>%s", att_class_name(s->class_),
                   s->bad ? " class=bad" : "", s->word);
    if (m->n > 0)
        att_buf_printf(out, "<td class=n>%.1f %%<td class=n>%lld/%lld",
                       100 * (double)m->hits / (double)m->n, (long long)m->hits, (long long)m->n);
    else
        att_buf_puts(out, "<td class=n>not measured<td class=n>");
    if (isnan(m->cost))
        att_buf_puts(out, "<td class=n>not measured");
    else
        att_buf_printf(out, "<td class=n>%.3g %%", 100 * m->cost);
    att_buf_printf(out, "<td class=n>%zu<td class=n>%zu<td class=n>%zu<td class=n>%zu\n",
                   by[ATT_PASS], by[ATT_FAIL], by[ATT_ERROR] + by[ATT_CRASH] + by[ATT_TIMEOUT],
                   by[ATT_HOLE]);
}

static double found_of(const merit *m)
{
    return (double)m->hits / (double)m->n;
}

static bool has_both(const merit *m)
{
    return m->n > 0 && m->cost > 0;
}

/* Whether no other finds as much for less, or more for as little; what finds nothing is not. */
static bool on_frontier(const merit *merits, size_t n, size_t k)
{
    for (size_t j = 0; j < n; j++) {
        double more = has_both(&merits[j]) ? found_of(&merits[j]) - found_of(&merits[k]) : -1;
        double less = merits[k].cost - merits[j].cost;
        if (more >= 0 && less >= 0 && (more > 0 || less > 0))
            return false;
    }
    return merits[k].hits > 0;
}

static void put_frontier(att_buf *out, const att_standing *all, const merit *merits, size_t n)
{
    bool first = true;

    att_buf_puts(out, "<p>On the frontier (no other finds as much for less): ");
    for (size_t k = 0; k < n; k++) {
        if (!has_both(&merits[k]) || !on_frontier(merits, n, k))
            continue;
        att_buf_puts(out, first ? "<code>" : ", <code>");
        att_xml_put(out, all[k].kernel);
        att_buf_puts(out, "</code>");
        first = false;
    }
    att_buf_puts(out, first ? "none.</p>" : ".</p>");
}

/* Quality against cost: x logarithmic from 0.1 % to 100 % of the causal keys. */
static void put_pareto(att_buf *out, const att_standing *all, const merit *merits, size_t n)
{
    size_t points = 0;

    for (size_t k = 0; k < n; k++)
        points += has_both(&merits[k]);
    if (points == 0) {
        att_buf_puts(out, "<p>No probe of this run recorded both quality and cost.</p>");
        return;
    }
    att_buf_puts(out, "<figure><figcaption>Quality against cost: each point a variant; up is more "
                      "found, left is fewer keys read. The table above holds the numbers."
                      "</figcaption><svg viewBox=\"0 0 640 320\" role=img aria-label=\"Share of "
                      "items found against share of keys read, one point a variant\">");
    for (int y = 0; y <= 4; y++)
        att_buf_printf(out,
                       "<line class=grid x1=60 x2=620 y1=%d y2=%d /><text x=52 y=%d "
                       "text-anchor=end>%d %%</text>",
                       270 - 60 * y, 270 - 60 * y, 274 - 60 * y, 25 * y);
    for (int x = 0; x <= 3; x++)
        att_buf_printf(out,
                       "<line class=grid x1=%d x2=%d y1=30 y2=270 /><text x=%d y=290 "
                       "text-anchor=middle>%g %%</text>",
                       80 + 180 * x, 80 + 180 * x, 80 + 180 * x, 0.1 * pow(10, x));
    att_buf_puts(out, "<text x=340 y=312 text-anchor=middle>keys read</text>");
    for (size_t k = 0; k < n; k++) {
        if (!has_both(&merits[k]))
            continue;
        double share = found_of(&merits[k]);
        att_buf_printf(out, "<g class=\"point%s\"", on_frontier(merits, n, k) ? " best" : "");
        att_html_data(out, "variant", all[k].kernel);
        att_buf_printf(out, "><circle cx=%.1f cy=%.1f r=5 /><title>",
                       80 + 180 * log10(fmax(merits[k].cost, LOW_COST) / LOW_COST),
                       270 - 240 * share);
        att_xml_put(out, all[k].kernel);
        att_buf_printf(out, ": %.1f %% found, %.3g %% of keys read</title></g>", 100 * share,
                       100 * merits[k].cost);
    }
    att_buf_puts(out, "</svg>");
    put_frontier(out, all, merits, n);
    att_buf_puts(out, "</figure>\n");
}

void att_html_variants(att_buf *out, const att_result *result, const att_sheet *sheet)
{
    att_standing *all = NULL;
    size_t n = 0;
    bool made = att_standings_make(result, &all, &n) == ATT_OK;
    merit *merits = calloc(n + 1, sizeof *merits);

    out->failed |= !made || !merits;
    att_buf_puts(
        out, "<section id=variants aria-labelledby=h-variants><h2 id=h-variants>Variants</h2>"
             "<p>Found: items over all probes and lengths of this run at which dense has power; "
             "variants that were asked different probes are not to be compared by it. Keys "
             "read: share of the causal keys, mean over those cells.</p>\n");
    att_html_table(out, "Every variant, by its own contract",
                   "variant|class|contract|#found|#items|#keys read|#pass|#fail|#lost|"
                   "#unsupported");
    for (size_t k = 0; k < n && !out->failed && att_html_room(out); k++) {
        merits[k] = merit_of(out, sheet, all[k].kernel);
        put_variant(out, &all[k], &merits[k]);
    }
    att_html_table_end(out);
    put_left_out(out);
    if (!out->failed)
        put_pareto(out, all, merits, n);
    att_buf_puts(out, "</section>\n");
    free(merits);
    free(all);
}

/* ---------------------------------------------------------------------------------- probes */

static void put_probe(att_buf *out, const att_task *task, const char *kernel, double length)
{
    double cost = att_task_metric(task, kernel, length, ATT_SHEET_COST);
    char tokens[32];
    att_rate rate;

    if (att_task_rate(task, kernel, length, -INFINITY, INFINITY, &rate) != ATT_OK) {
        out->failed = true;
        return;
    }
    if (rate.records == 0)
        return;
    const char *note = att_rate_note(&rate), *verdict = *note ? note : "pass";
    snprintf(tokens, sizeof tokens, isnan(length) ? "" : "%.0f", length);
    att_buf_puts(out, "<tr");
    att_html_data(out, "variant", kernel);
    att_html_data(out, "length", *tokens ? tokens : NULL);
    att_html_data(out, "verdict", strcmp(verdict, "FAIL") == 0 ? "fail" : verdict);
    att_buf_puts(out, "><th scope=row><code>");
    att_xml_put(out, kernel);
    att_buf_printf(out, "</code><td class=n>%s", *tokens ? tokens : "all");
    put_share(out, &rate);
    if (rate.n > 0)
        att_buf_printf(out, "<td class=n>%lld/%lld<td>%.0f to %.0f %%", (long long)rate.hits,
                       (long long)rate.n, 100 * rate.lo, 100 * rate.hi);
    else
        att_buf_puts(out, "<td class=n><td>");
    if (isnan(cost))
        att_buf_puts(out, "<td class=n>");
    else
        att_buf_printf(out, "<td class=n>%.3g %%", 100 * cost);
    att_html_cell(out, verdict);
    att_buf_puts(out, "\n");
}

static void put_task(att_buf *out, const att_task *task)
{
    att_buf_puts(out, "<details class=task");
    att_html_data(out, "task", task->measure);
    att_buf_puts(out, "><summary>");
    att_xml_put(out, task->name);
    att_buf_printf(out, " <small>%zu variants, %zu length%s", task->n_kernels, task->n_lengths,
                   task->n_lengths == 1 ? "" : "s");
    if (task->n_records > 0 && !isnan(task->records[0]->chance))
        att_buf_printf(out, ", chance %.3g %%", 100 * task->records[0]->chance);
    att_buf_puts(out, "</small></summary>\n");
    att_html_table(out, task->name,
                   "variant|#length|#found|#items|interval, 95 %|#keys read|verdict");
    for (size_t k = 0; k < task->n_kernels; k++)
        for (size_t l = 0; l < task->n_lengths && att_html_room(out); l++)
            put_probe(out, task, task->kernels[k], task->lengths[l]);
    att_html_table_end(out);
    att_buf_puts(out, "</details>\n");
}

void att_html_tasks(att_buf *out, const att_result *result, const att_sheet *sheet)
{
    (void)result;
    att_buf_puts(out,
                 "<section id=probes aria-labelledby=h-probes><h2 id=h-probes>Probes: what each "
                 "variant still finds</h2><p>Wilson interval on the effective number of items. "
                 "No power: dense itself does not clear chance there.</p>\n");
    if (sheet->n_tasks == 0)
        att_buf_puts(out, "<p>This run asked none.</p>");
    for (size_t i = 0; i < sheet->n_tasks && att_html_room(out); i++)
        put_task(out, &sheet->tasks[i]);
    put_left_out(out);
    att_buf_puts(out, "</section>\n");
}

static void put_depth_row(att_buf *out, const att_task *task, const char *kernel,
                          const att_depths *d, size_t y)
{
    if (d->exact)
        att_buf_printf(out, "<tr><th scope=row>%.0f %%", 100 * d->from[y]);
    else
        att_buf_printf(out, "<tr><th scope=row>%.0f to %.0f %%", 100 * d->from[y],
                       fmin(100 * d->from[y + 1], 100));
    for (size_t l = 0; l < task->n_lengths; l++) {
        att_rate rate;
        if (att_task_rate(task, kernel, task->lengths[l], d->from[y], d->from[y + 1], &rate)) {
            out->failed = true;
            return;
        }
        if (rate.by_outcome[ATT_NO_POWER] > 0)
            att_html_cell(out, "no power");
        else if (rate.n == 0)
            att_html_cell(out, *att_rate_note(&rate) ? att_rate_note(&rate) : "no items");
        else
            put_share(out, &rate);
    }
    att_buf_puts(out, "\n");
}

static void put_depth(att_buf *out, const att_task *task, const char *kernel, const att_depths *d)
{
    att_buf heads = {0}, caption = {0};

    att_buf_puts(&heads, "depth");
    for (size_t l = 0; l < task->n_lengths; l++)
        att_buf_printf(&heads, isnan(task->lengths[l]) ? "|#all" : "|#%.0f", task->lengths[l]);
    att_buf_printf(&caption, "%s, %s: found, by depth and length", task->name, kernel);
    att_buf_puts(out, "<details class=depth");
    att_html_data(out, "task", task->measure);
    att_html_data(out, "variant", kernel);
    att_buf_puts(out, "><summary>");
    att_xml_put(out, task->name);
    att_buf_puts(out, " <code>");
    att_xml_put(out, kernel);
    att_buf_puts(out, "</code></summary>\n");
    if (!heads.failed && !caption.failed)
        att_html_table(out, caption.data, heads.data);
    for (size_t y = 0; y < d->n && !out->failed; y++)
        put_depth_row(out, task, kernel, d, y);
    att_html_table_end(out);
    att_buf_puts(out, "</details>\n");
    out->failed |= heads.failed || caption.failed;
    att_buf_drop(&heads);
    att_buf_drop(&caption);
}

void att_html_depths(att_buf *out, const att_sheet *sheet)
{
    att_buf_puts(out, "<section id=depths aria-labelledby=h-depths><h2 id=h-depths>Depth by "
                      "length</h2><p>Needles: which facts are still found, dense and each variant "
                      "whose hits differ from its.</p>\n");
    for (size_t i = 0; i < sheet->n_tasks; i++) {
        const att_task *task = &sheet->tasks[i];
        att_depths d = att_depths_find(task);
        for (size_t k = 0; d.n > 0 && k < task->n_kernels && att_html_room(out); k++)
            if (att_heatmap_shown(task, task->kernels[k]))
                put_depth(out, task, task->kernels[k], &d);
    }
    put_left_out(out);
    att_buf_puts(out, "</section>\n");
}

/* --------------------------------------------------------------------------------- numbers */

static void put_numeric(att_buf *out, const att_numeric *row)
{
    const size_t *by = row->by_outcome;
    size_t lost = by[ATT_ERROR] + by[ATT_CRASH] + by[ATT_TIMEOUT] + by[ATT_NOT_RUN];
    const char *verdict = by[ATT_FAIL]   ? "fail"
                          : lost         ? "lost"
                          : by[ATT_PASS] ? "pass"
                                         : "unsupported";

    att_buf_puts(out, "<tr");
    att_html_data(out, "variant", row->kernel);
    att_html_data(out, "task", row->measure);
    att_html_data(out, "verdict", verdict);
    att_buf_puts(out, "><th scope=row>");
    att_xml_put(out, row->measure);
    att_buf_puts(out, "<td><code>");
    att_xml_put(out, row->kernel);
    att_buf_printf(out,
                   "</code><td%s>%s<td class=n>%zu<td class=n>%zu<td class=n>%zu<td class=n>%zu"
                   "<td class=n>%zu<td>",
                   by[ATT_FAIL] || lost ? " class=bad" : "", verdict, row->records, by[ATT_PASS],
                   by[ATT_FAIL], lost, by[ATT_HOLE]);
    for (size_t k = 0; k < row->n_ratios; k++) {
        att_buf_puts(out, k ? ", " : "");
        att_xml_put(out, row->ratio[k]);
        att_buf_printf(out, " %.3g/%.3g", row->worst[k], row->limit[k]);
    }
    att_buf_puts(out, "\n");
}

void att_html_numerics(att_buf *out, const att_sheet *sheet)
{
    att_buf_puts(out, "<section id=numbers aria-labelledby=h-numbers><h2 id=h-numbers>Numbers"
                      "</h2><p>Each kernel against the float64 oracle, its cases folded into "
                      "counts; the worst value of each measurement over its limit.</p>\n");
    att_html_table(out, "Numeric measures",
                   "task|variant|verdict|#cases|#pass|#fail|#lost|#unsupported|worst, over its "
                   "limit");
    for (size_t i = 0; i < sheet->n_numerics && att_html_room(out); i++)
        put_numeric(out, &sheet->numerics[i]);
    att_html_table_end(out);
    put_left_out(out);
    att_buf_puts(out, "</section>\n");
}
