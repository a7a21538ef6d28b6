/* SPDX-License-Identifier: Apache-2.0 */
#include "compare_flat.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/verdict.h"
#include "gate/compare.h"
#include "gate/effective.h"

static void put_member(const char *name, double value)
{
    printf(",\"%s\":", name);
    att_json_put_real(stdout, value);
}

/* Keys in order, as for every --json. */
void att_flat_print_json(const att_result *result)
{
    fputs("{\"rows\":[", stdout);
    for (size_t i = 0; i < result->n_comparisons; i++) {
        const att_comparison *c = &result->comparisons[i];
        fputs(i ? ",\n{\"ci\":[" : "\n{\"ci\":[", stdout);
        att_json_put_real(stdout, c->lo);
        fputs(",", stdout);
        att_json_put_real(stdout, c->hi);
        fputs("]", stdout);
        put_member("detectable", c->detectable);
        put_member("difference", c->difference);
        fputs(",\"kernel\":", stdout);
        att_json_put_text(stdout, c->kernel);
        printf(",\"losses\":%lld,\"n\":%lld", (long long)c->losses, (long long)c->n);
        put_member("p", c->p);
        put_member("p_better", c->p_better);
        put_member("p_context", c->p_context);
        put_member("p_holm", c->p_holm);
        put_member("score_difference", c->score_difference);
        put_member("score_p", c->score_p);
        if (c->seeds_needed)
            printf(",\"seeds_needed\":%lld", (long long)c->seeds_needed);
        fputs(",\"task\":", stdout);
        att_json_put_text(stdout, c->measure);
        fputs(",\"verdict\":", stdout);
        att_json_put_text(stdout, c->verdict);
        printf(",\"wins\":%lld}", (long long)c->wins);
    }
    fputs("\n]}\n", stdout);
}

void att_flat_print_rows(const att_result *result, const char *base)
{
    att_effective *reach = NULL;
    size_t n = 0;

    if (att_effective_find(result, ATT_VERDICT_DENSE, &reach, &n) != ATT_OK)
        n = 0;
    printf("%-20s %-36s %6s %5s %5s  %-24s %9s  %-11s  %s\n", "task", "kernel", "n", "won", "lost",
           "difference [95 %]", "p (Holm)", "verdict", "effective length");
    for (size_t i = 0; i < result->n_comparisons; i++) {
        const att_comparison *c = &result->comparisons[i];
        char difference[64] = "-", p[32] = "-", length[64] = "-";
        if (!isnan(c->difference))
            snprintf(difference, sizeof difference, "%+.3f [%+.3f, %+.3f]", c->difference, c->lo,
                     c->hi);
        if (c->n > 0)
            snprintf(p, sizeof p, "%.2g", att_compare_p(c));
        for (size_t k = 0; k < n; k++)
            if (strcmp(reach[k].measure, c->measure) == 0 &&
                strcmp(reach[k].kernel, c->kernel) == 0)
                att_effective_text(&reach[k], length, sizeof length);
        printf("%-20s %-36s %6lld %5lld %5lld  %-24s %9s  %-11s  %s", c->measure, c->kernel,
               (long long)c->n, (long long)c->wins, (long long)c->losses, difference, p, c->verdict,
               length);
        if (c->seeds_needed > 0)
            printf("; needs %lld seeds", (long long)c->seeds_needed);
        putchar('\n');
    }
    if (result->n_comparisons > 0)
        printf("against %s\n", base ? base : "the same kernel before");
    free(reach);
}

void att_flat_print_loosened(const att_loosened *rows, size_t n, bool json)
{
    fputs(json ? "{\"loosened\":[" : "", stdout);
    for (size_t i = 0; i < n; i++) {
        if (!json) {
            printf("%-48s %-14s %g bits, was %g\n", rows[i].id, rows[i].metric, rows[i].after,
                   rows[i].before);
            continue;
        }
        fputs(i ? ",\n{\"after\":" : "\n{\"after\":", stdout);
        att_json_put_real(stdout, rows[i].after);
        put_member("before", rows[i].before);
        fputs(",\"case\":", stdout);
        att_json_put_text(stdout, rows[i].id);
        fputs(",\"metric\":", stdout);
        att_json_put_text(stdout, rows[i].metric);
        putchar('}');
    }
    fputs(json ? "\n]}\n" : n ? "" : "no precision loosened\n", stdout);
}
