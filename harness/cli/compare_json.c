/* SPDX-License-Identifier: Apache-2.0 */
/* A comparison as one object: keys in order, null where there is no number. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "compare_view.h"

static void put_number(double x)
{
    if (isfinite(x))
        att_json_put_real(stdout, x);
    else
        fputs("null", stdout);
}

static void put(const char *key, double x)
{
    printf(",\"%s\":", key);
    put_number(x);
}

static void put_text(const char *key, const char *text)
{
    printf(",\"%s\":", key);
    att_json_put_text(stdout, text);
}

static void put_interval(double lo, double hi)
{
    fputs(",\"ci\":[", stdout);
    put_number(lo);
    putchar(',');
    put_number(hi);
    putchar(']');
}

static void put_cell(const att_view_cell *c)
{
    fputs("\"accuracy\":", stdout);
    put_number(c->own);
    put("base", c->base);
    put_interval(c->lo, c->hi);
    put("difference", c->own - c->base);
    put("keys_share", c->keys);
    put("length", c->length);
    printf(",\"losses\":%" PRId64 ",\"n\":%" PRId64, c->losses, c->n);
    put_text("note", c->note);
    printf(",\"ties\":%" PRId64 ",\"wins\":%" PRId64, c->n - c->wins - c->losses, c->wins);
}

static void put_effective(const att_effective *e)
{
    put("base", e->base);
    put("base_length", e->base_length);
    put_text("end", att_effective_why(e->end));
    put_text("kernel", e->kernel);
    put("length", e->length);
    put("next", e->next);
    put_text("task", e->measure);
}

static void put_row(const att_view_row *row)
{
    const att_comparison *c = row->c;

    fputs("\"accuracy\":", stdout);
    put_number(row->all.own);
    put("base_accuracy", row->all.base);
    put_interval(c->lo, c->hi);
    put("detectable", c->detectable);
    put("difference", c->difference);
    put("effect", c->effect);
    put("effective_length", row->effective ? row->effective->length : (double)NAN);
    if (c->margin > 0)
        put_text("inferior", c->inferior > 0 ? "yes" : c->inferior == 0 ? "no" : "inconclusive");
    put_text("kernel", c->kernel);
    fputs(",\"lengths\":[", stdout);
    for (size_t i = 0; i < row->n_at; i++) {
        fputs(i ? ",{" : "{", stdout);
        put_cell(&row->at[i]);
        putchar('}');
    }
    printf("],\"losses\":%" PRId64, c->losses);
    if (c->margin > 0)
        put("margin", c->margin);
    printf(",\"n\":%" PRId64, c->n);
    if (c->margin > 0)
        printf(",\"needed\":%" PRId64, c->needed);
    put("p", c->p);
    put("p_better", c->p_better);
    put("p_context", c->p_context);
    put("p_holm", c->p_holm);
    put("score_difference", c->score_difference);
    put("score_p", c->score_p);
    if (c->seeds_needed)
        printf(",\"seeds_needed\":%" PRId64, c->seeds_needed);
    put_text("task", c->measure);
    printf(",\"ties\":%" PRId64, c->n - c->wins - c->losses);
    put_text("verdict", c->verdict);
    printf(",\"wins\":%" PRId64, c->wins);
}

static void put_cost(const att_view *v, const att_view_cost *cost)
{
    fputs("{\"at\":[", stdout);
    for (size_t i = 0; i < v->n_lengths; i++) {
        fputs(i ? ",{\"flops\":" : "{\"flops\":", stdout);
        isfinite(cost->at[i].flops) ? att_json_put_real(stdout, cost->at[i].flops)
                                    : (void)fputs("null", stdout);
        put("keys_read", cost->at[i].keys);
        put("length", v->lengths[i]);
        put("state_bytes", cost->at[i].state_bytes);
        putchar('}');
    }
    putchar(']');
    put_text("kernel", cost->kernel);
    put("kv_bytes_per_token", cost->kv_bytes_per_token);
    putchar('}');
}

void att_view_print_json(const att_view *v)
{
    fputs("{\"base\":", stdout);
    v->how.base ? att_json_put_text(stdout, v->how.base) : (void)fputs("null", stdout);
    fputs(",\"cost\":[", stdout);
    for (size_t i = 0; i < v->n_costs; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        put_cost(v, &v->costs[i]);
    }
    fputs("\n],\"effective\":[", stdout);
    for (size_t i = 0, n = 0; i < v->n_rows; i++)
        if (v->rows[i].effective) {
            printf("%s{\"at_least\":%g", n++ ? ",\n" : "\n", ATT_EFFECTIVE_SHARE);
            put_effective(v->rows[i].effective);
            putchar('}');
        }
    fputs("\n],\"rows\":[", stdout);
    for (size_t i = 0; i < v->n_rows; i++) {
        fputs(i ? ",\n{" : "\n{", stdout);
        put_row(&v->rows[i]);
        putchar('}');
    }
    fputs("\n]}\n", stdout);
}
