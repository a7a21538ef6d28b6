/* SPDX-License-Identifier: Apache-2.0 */
#include "zoo_judges.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static const char *const inputs[ATT_INPUTS] = {"own", "popular"};

static bool asked_for(const att_list *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->at[i], "all") == 0 || strcmp(names->at[i], name) == 0)
            return true;
    return false;
}

static bool known(const att_eval *eval, const char *name)
{
    for (const att_metric_spec *m = eval->metrics; m->name; m++)
        if (strcmp(m->name, name) == 0)
            return true;
    return strcmp(name, "all") == 0;
}

att_status att_judges_choose(const att_eval *eval, const att_list *names, att_judges_matrix *out,
                             att_why *why)
{
    *out = (att_judges_matrix){0};
    for (size_t i = 0; i < names->n; i++)
        if (!known(eval, names->at[i])) {
            att_why_set(why, "unknown judge %s; \"all\" or names as in attest list --evals",
                        names->at[i]);
            return ATT_INVALID;
        }
    for (const att_metric_spec *m = eval->metrics; m->name; m++)
        if (asked_for(names, m->name) && out->n_judges < ATT_JUDGES_MOST)
            out->judge[out->n_judges++] = m;
    return ATT_OK;
}

/* The row of a kernel, made on first sight. */
static att_judges_row *find(att_judges_matrix *m, const att_kernel *const *zoo, const char *kernel)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->rows[i].kernel, kernel) == 0)
            return &m->rows[i];
    while (*zoo && strcmp((*zoo)->name, kernel) != 0)
        zoo++;
    m->rows[m->n] = (att_judges_row){.kernel = kernel, .bug = *zoo};
    return &m->rows[m->n++];
}

static bool is_lost(const att_record *r)
{
    return r->status == ATT_CRASH || r->status == ATT_TIMEOUT;
}

static bool fails(const att_record *r, const char *judge)
{
    const att_metric *x = att_record_metric(r, judge);

    return is_lost(r) || !x || !(x->value <= 1);
}

/* By case: parameters and seed, whatever the kernel. */
static int by_case(const void *a, const void *b)
{
    const att_record *x = *(const att_record *const *)a, *y = *(const att_record *const *)b;
    int order = strcmp(x->params, y->params);

    return order ? order : (x->seed > y->seed) - (x->seed < y->seed);
}

/* The right kernels' records, by case. */
typedef struct peers {
    const att_record **at;
    size_t n;
} peers;

/* Does the rule pass at least half of the right kernels on the case of r, if any ran it? */
static bool has_a_say(const peers *p, const att_record *r, const char *judge)
{
    size_t lo = 0, hi = p->n, failed = 0, ran = 0;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (by_case(&p->at[mid], &r) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < p->n && by_case(&p->at[lo], &r) == 0; lo++, ran++)
        failed += fails(p->at[lo], judge);
    return 2 * failed <= ran;
}

static bool says(const att_record *r)
{
    return is_lost(r) || r->n_metrics > 0;
}

static void count(const att_judges_matrix *m, const att_record *r, const peers *p, att_judged *to)
{
    to->cases++;
    to->lost += is_lost(r);
    for (size_t j = 0; j < m->n_judges; j++)
        to->caught[j] += fails(r, m->judge[j]->name) &&
                         (!p || is_lost(r) || has_a_say(p, r, m->judge[j]->name));
}

static int by_kind(const void *a, const void *b)
{
    const att_judges_row *x = a, *y = b;
    int order = (x->bug == NULL) - (y->bug == NULL);

    return order ? order : strcmp(x->kernel, y->kernel);
}

/* Kernels of which no case was judged say nothing. */
static void leave_out_silent(att_judges_matrix *m)
{
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++)
        if (m->rows[i].on[ATT_INPUTS_OWN].cases + m->rows[i].on[ATT_INPUTS_POPULAR].cases > 0)
            m->rows[kept++] = m->rows[i];
    m->n = kept;
}

static void add_up(att_judges_matrix *m, const att_judges_row *row, int on)
{
    m->right[on].cases += row->bug ? 0 : row->on[on].cases;
    m->right[on].lost += row->bug ? 0 : row->on[on].lost;
    for (size_t j = 0; j < m->n_judges; j++) {
        size_t caught = row->on[on].caught[j];
        m->killed[on][j] += row->bug && caught > 0;
        m->right[on].caught[j] += row->bug ? 0 : caught;
    }
}

static bool count_all(att_judges_matrix *m, const att_result *result, const att_kernel *const *zoo,
                      int on)
{
    peers p = {.at = calloc(result->n_records + 1, sizeof *p.at)};

    if (!p.at)
        return false;
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (says(r) && !find(m, zoo, r->kernel)->bug)
            p.at[p.n++] = r;
    }
    if (p.n > 0)
        qsort(p.at, p.n, sizeof *p.at, by_case);
    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        att_judges_row *row = find(m, zoo, r->kernel);
        if (says(r))
            count(m, r, row->bug ? &p : NULL, &row->on[on]);
    }
    free(p.at);
    return true;
}

att_status att_judges_count(const att_result results[ATT_INPUTS], const att_kernel *const *zoo,
                            att_judges_matrix *out)
{
    size_t records = 0;

    for (int on = 0; on < ATT_INPUTS; on++)
        records += results[on].n_records;
    out->rows = calloc(records + 1, sizeof *out->rows);
    if (!out->rows)
        return ATT_NO_MEMORY;
    for (int on = 0; on < ATT_INPUTS; on++)
        if (!count_all(out, &results[on], zoo, on))
            return ATT_NO_MEMORY;
    leave_out_silent(out);
    if (out->n > 0)
        qsort(out->rows, out->n, sizeof *out->rows, by_kind);
    for (size_t i = 0; i < out->n; i++) {
        out->bugs += out->rows[i].bug != NULL;
        for (int on = 0; on < ATT_INPUTS; on++)
            add_up(out, &out->rows[i], on);
    }
    return ATT_OK;
}

void att_judges_drop(att_judges_matrix *m)
{
    free(m->rows);
    *m = (att_judges_matrix){0};
}

/* ---------------------------------------------------------------------------- printing */

static void print_counts(const char *what, size_t of, const size_t *counts, size_t n)
{
    char title[64];

    snprintf(title, sizeof title, "%s (of %zu)", what, of);
    printf("%-42s", title);
    for (size_t j = 0; j < n; j++)
        printf(" %11zu", counts[j]);
    putchar('\n');
}

/* A bug: by whom it is caught on which inputs. */
static void print_bug(const att_judges_matrix *m, const att_judges_row *row)
{
    int length = (int)strcspn(row->bug->summary, ":");

    printf("%-26.26s %-15.*s", row->kernel, length < 15 ? length : 15, row->bug->summary);
    for (size_t j = 0; j < m->n_judges; j++) {
        bool own = row->on[ATT_INPUTS_OWN].caught[j] > 0;
        bool popular = row->on[ATT_INPUTS_POPULAR].caught[j] > 0;
        printf(" %11s", own && popular ? "both" : own ? "own" : popular ? "popular" : "-");
    }
    putchar('\n');
}

/* A right kernel: how many of its cases each would fail. */
static void print_right(const att_judges_matrix *m, const att_judges_row *row)
{
    printf("%-26.26s %6zu + %-6zu", row->kernel, row->on[ATT_INPUTS_OWN].cases,
           row->on[ATT_INPUTS_POPULAR].cases);
    for (size_t j = 0; j < m->n_judges; j++) {
        char cell[64];
        snprintf(cell, sizeof cell, "%zu + %zu", row->on[ATT_INPUTS_OWN].caught[j],
                 row->on[ATT_INPUTS_POPULAR].caught[j]);
        printf(" %11s", cell);
    }
    putchar('\n');
}

static void print_heads(const att_judges_matrix *m, const char *what, const char *beside)
{
    printf("%-26s %-15s", what, beside);
    for (size_t j = 0; j < m->n_judges; j++)
        printf(" %11.11s", m->judge[j]->name);
    putchar('\n');
}

void att_judges_print_text(const att_judges_matrix *m)
{
    print_heads(m, "bug", "class");
    for (size_t i = 0; i < m->bugs; i++)
        print_bug(m, &m->rows[i]);
    putchar('\n');
    print_heads(m, "right kernel, false alarms", "own + popular");
    for (size_t i = m->bugs; i < m->n; i++)
        print_right(m, &m->rows[i]);
    putchar('\n');
    print_counts("caught, this suite's inputs", m->bugs, m->killed[ATT_INPUTS_OWN], m->n_judges);
    print_counts("caught, popular inputs", m->bugs, m->killed[ATT_INPUTS_POPULAR], m->n_judges);
    print_counts("false alarms, this suite's", m->right[ATT_INPUTS_OWN].cases,
                 m->right[ATT_INPUTS_OWN].caught, m->n_judges);
    print_counts("false alarms, popular", m->right[ATT_INPUTS_POPULAR].cases,
                 m->right[ATT_INPUTS_POPULAR].caught, m->n_judges);
    putchar('\n');
    for (size_t j = 0; j < m->n_judges; j++)
        printf("%-12s %s\n", m->judge[j]->name, m->judge[j]->help);
}

/* {"attest": 3, ...} */
static void put_counts(const att_judges_matrix *m, const size_t *counts)
{
    putchar('{');
    for (size_t j = 0; j < m->n_judges; j++)
        printf("%s\"%s\":%zu", j ? "," : "", m->judge[j]->name, counts[j]);
    putchar('}');
}

/* {"own": {...}, "popular": {...}} of cases, crashes and counts. */
static void put_judged(const att_judges_matrix *m, const att_judged *on)
{
    for (int i = 0; i < ATT_INPUTS; i++) {
        printf("%s\"%s\":{\"cases\":%zu,\"caught\":", i ? "," : "", inputs[i], on[i].cases);
        put_counts(m, on[i].caught);
        printf(",\"lost\":%zu}", on[i].lost);
    }
}

void att_judges_print_json(const att_judges_matrix *m)
{
    printf("{\"bugs\":%zu,\"caught\":{", m->bugs);
    for (int i = 0; i < ATT_INPUTS; i++) {
        printf("%s\"%s\":", i ? "," : "", inputs[i]);
        put_counts(m, m->killed[i]);
    }
    fputs("},\"judges\":{", stdout);
    for (size_t j = 0; j < m->n_judges; j++) {
        printf("%s\"%s\":", j ? "," : "", m->judge[j]->name);
        att_json_put_text(stdout, m->judge[j]->help);
    }
    fputs("},\"right\":{", stdout);
    put_judged(m, m->right);
    fputs("},\"rows\":[", stdout);
    for (size_t i = 0; i < m->n; i++) {
        fputs(i ? ",\n{\"bug\":" : "\n{\"bug\":", stdout);
        fputs(m->rows[i].bug ? "true,\"id\":" : "false,\"id\":", stdout);
        att_json_put_text(stdout, m->rows[i].kernel);
        putchar(',');
        put_judged(m, m->rows[i].on);
        putchar('}');
    }
    puts("\n]}");
}
