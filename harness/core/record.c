/* SPDX-License-Identifier: Apache-2.0 */
#include "record.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/lex.h"
#include "core/record_base.h"
#include "core/record_names.h"

static const char *const outcomes[ATT_OUTCOMES] = {
    [ATT_PASS] = "pass",        [ATT_FAIL] = "fail",         [ATT_ERROR] = "error",
    [ATT_CRASH] = "crash",      [ATT_TIMEOUT] = "timeout",   [ATT_NOT_RUN] = "not_run",
    [ATT_HOLE] = "unsupported", [ATT_NO_POWER] = "no_power", [ATT_INCONCLUSIVE] = "inconclusive",
};

const char *att_outcome_name(att_outcome outcome)
{
    return (unsigned)outcome < ATT_OUTCOMES ? outcomes[outcome] : "error";
}

int att_outcome_named(const char *name)
{
    for (int i = 0; i < ATT_OUTCOMES; i++)
        if (strcmp(outcomes[i], name) == 0)
            return i;
    return -1;
}

const att_metric *att_record_metric(const att_record *record, const char *name)
{
    for (size_t i = 0; i < record->n_metrics; i++)
        if (record->metrics[i].name && strcmp(record->metrics[i].name, name) == 0)
            return &record->metrics[i];
    return NULL;
}

bool att_record_param(const att_record *record, const char *name, char *out, size_t size)
{
    const char *params = record->params ? record->params : "";
    att_lex x = {params, params + strlen(params)};
    att_arena arena = {0};
    bool found = false;

    for (att_lex_blanks(&x); !found && x.at < x.end; att_lex_blanks(&x)) {
        char *text = NULL, *key = att_lex_name(&x, false, &arena);
        if (!key || !att_lex_take(&x, '=') || att_lex_value(&x, "", &arena, &text, NULL) != ATT_OK)
            break;
        if ((found = strcmp(key, name) == 0) && size > 0)
            snprintf(out, size, "%s", text);
    }
    att_arena_drop(&arena);
    return found;
}

double att_record_length(const att_record *record)
{
    static const char *const names[] = {"length", "len", "context", "tokens"};
    char text[64];

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const att_metric *metric = att_record_metric(record, names[i]);
        if (metric)
            return metric->value;
        if (att_record_param(record, names[i], text, sizeof text))
            return strtod(text, NULL);
    }
    return NAN;
}

void att_record_clear(att_record *r)
{
    for (size_t i = 0; i < r->n_metrics; i++) {
        free(r->metrics[i].name);
        free(r->metrics[i].unit);
    }
    for (size_t i = 0; i < r->n_items; i++)
        free(r->items[i].note);
    for (size_t i = 0; i < r->n_diagnoses; i++) {
        free(r->diagnoses[i].fault);
        free(r->diagnoses[i].text);
    }
    free(r->metrics);
    free(r->items);
    free(r->diagnoses);
    free(r->line);
    free(r->id);
    free(r->measure);
    free(r->kernel);
    free(r->family);
    free(r->params);
    free(r->reason);
    free(r->smallest);
    *r = (att_record){.chance = NAN};
}

/* ------------------------------------------------------------------------------- printing */

/* Opens member `key` of an object in which `*any` says whether something came before. */
static void key(FILE *f, bool *any, const char *name)
{
    fprintf(f, "%s\"%s\": ", *any ? ", " : "", name);
    *any = true;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* A text, where it is not the one known; null where there is none but one is known. */
static void text(FILE *f, bool *any, const char *name, const char *value, const char *known)
{
    if (same_text(value, known))
        return;
    key(f, any, name);
    if (value)
        att_json_put_text(f, value);
    else
        fputs("null", f);
}

/* The same for a number; NAN = none. */
static void real(FILE *f, bool *any, const char *name, double value, double known)
{
    if (value == known || (isnan(value) && isnan(known)))
        return;
    key(f, any, name);
    if (isnan(value))
        fputs("null", f);
    else
        att_json_put_real(f, value);
}

void att_metric_print(const att_metric *m, const att_metric *known, bool valued, FILE *f)
{
    static const att_metric none = {.limit = NAN, .baseline = NAN, .verdict = -1};
    const char *better = known ? att_name_at(&att_names_better, known->better) : NULL;
    bool any = false;

    if (!known)
        known = &none;
    fputc('{', f);
    real(f, &any, "baseline", m->baseline, known->baseline);
    text(f, &any, "better", att_name_at(&att_names_better, m->better), better);
    if (!isnan(m->lo) || !isnan(m->hi)) {
        key(f, &any, "ci");
        fputc('[', f);
        att_json_put_real(f, m->lo);
        fputs(", ", f);
        att_json_put_real(f, m->hi);
        fputc(']', f);
    }
    real(f, &any, "limit", m->limit, known->limit);
    if (m->n) {
        key(f, &any, "n");
        fprintf(f, "%" PRId64, m->n);
    }
    text(f, &any, "name", m->name ? m->name : "", NULL);
    text(f, &any, "unit", m->unit, known->unit);
    if (valued) {
        key(f, &any, "value");
        att_json_put_real(f, m->value);
    }
    text(f, &any, "verdict", att_name_at(&att_names_verdict, m->verdict),
         att_name_at(&att_names_verdict, known->verdict));
    fputc('}', f);
}

/* What the items say in one column; a column that says nothing is left out. */
static void print_column(const att_record *r, FILE *f, bool *any, const char *name,
                         bool (*says)(const att_item *), void (*put)(const att_item *, FILE *))
{
    size_t first = 0;

    while (first < r->n_items && !says(&r->items[first]))
        first++;
    if (first == r->n_items)
        return;
    key(f, any, name);
    for (size_t i = 0; i < r->n_items; i++) {
        fputs(i ? ", " : "[", f);
        put(&r->items[i], f);
    }
    fputc(']', f);
}

static bool at_says(const att_item *i)
{
    return !isnan(i->at);
}

static void at_put(const att_item *i, FILE *f)
{
    att_json_put_real(f, i->at);
}

static bool cluster_says(const att_item *i)
{
    return i->cluster != 0;
}

static void cluster_put(const att_item *i, FILE *f)
{
    fprintf(f, "%" PRId32, i->cluster);
}

static bool note_says(const att_item *i)
{
    return i->note != NULL;
}

static void note_put(const att_item *i, FILE *f)
{
    if (i->note)
        att_json_put_text(f, i->note);
    else
        fputs("null", f);
}

static bool score_says(const att_item *i)
{
    return !isnan(i->score);
}

static void score_put(const att_item *i, FILE *f)
{
    att_json_put_real(f, i->score);
}

static void print_items(const att_record *r, FILE *f)
{
    bool any = false;

    fputc('{', f);
    print_column(r, f, &any, "at", at_says, at_put);
    print_column(r, f, &any, "cluster", cluster_says, cluster_put);
    key(f, &any, "hit");
    fputc('"', f);
    for (size_t i = 0; i < r->n_items; i++)
        fputc(r->items[i].hit ? '1' : '0', f);
    fputc('"', f);
    print_column(r, f, &any, "note", note_says, note_put);
    print_column(r, f, &any, "score", score_says, score_put);
    fputc('}', f);
}

static void print_diagnoses(const att_record *r, FILE *f, bool *any)
{
    if (!r->n_diagnoses)
        return;
    key(f, any, "diagnosis");
    for (size_t i = 0; i < r->n_diagnoses; i++) {
        bool inner = false;
        fputs(i ? ", {" : "[{", f);
        text(f, &inner, "fault", r->diagnoses[i].fault ? r->diagnoses[i].fault : "", NULL);
        real(f, &inner, "ratio", r->diagnoses[i].ratio, NAN);
        text(f, &inner, "text", r->diagnoses[i].text, NULL);
        fputc('}', f);
    }
    fputc(']', f);
}

/* attest repro 'LINE', as a shell reads it. */
static void print_repro(const att_record *r, FILE *f, bool *any)
{
    att_buf b = {0};

    att_buf_puts(&b, "attest repro '");
    for (const char *c = r->id ? r->id : ""; *c; c++)
        att_buf_add(&b, *c == '\'' ? "'\\''" : c, *c == '\'' ? 4 : 1);
    att_buf_printf(&b, " seed=%" PRIu64 "'", r->seed);
    if (!b.failed)
        text(f, any, "repro", b.data, NULL);
    att_buf_drop(&b);
}

/* The parameters, where the base's with those of the id in their place are others. */
static void print_params(const att_record *r, const att_record *base, FILE *f, bool *any)
{
    char *known = base->params ? att_record_params(base->params, r) : NULL;

    text(f, any, "params", r->params, known);
    free(known);
}

static void print_metrics(const att_record *r, const att_record *base, FILE *f, bool *any)
{
    if (!r->n_metrics)
        return;
    key(f, any, "metrics");
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *m = &r->metrics[i];
        fputs(i ? ", " : "[", f);
        att_metric_print(m, m->name ? att_record_metric(base, m->name) : NULL, true, f);
    }
    fputc(']', f);
}

/* Is there nothing to look into? */
static bool is_quiet(const att_record *r)
{
    return r->status == ATT_PASS || r->status == ATT_HOLE || r->status == ATT_NO_POWER;
}

void att_record_print_beside(const att_record *r, const att_record *base, FILE *f)
{
    static const att_record nothing = {.chance = NAN, .class_ = -1};
    const att_record *b = base ? base : &nothing;
    bool any = false;

    fputc('{', f);
    real(f, &any, "chance", r->chance, b->chance);
    text(f, &any, "class", att_name_at(&att_names_class, r->class_),
         att_name_at(&att_names_class, b->class_));
    print_diagnoses(r, f, &any);
    text(f, &any, "eval", r->measure ? r->measure : "", b->measure);
    text(f, &any, "family", r->family, b->family);
    text(f, &any, "id", r->id ? r->id : "", b->id);
    if (r->n_items) {
        key(f, &any, "items");
        print_items(r, f);
    }
    text(f, &any, "kernel", r->kernel ? r->kernel : "", b->kernel);
    real(f, &any, "kernel_time", fmax(r->kernel_seconds, 0), 0);
    real(f, &any, "margin", r->margin, b->margin);
    print_metrics(r, b, f, &any);
    real(f, &any, "oracle_time", fmax(r->oracle_seconds, 0), 0);
    print_params(r, b, f, &any);
    if (r->peak_bytes) {
        key(f, &any, "peak");
        fprintf(f, "%" PRId64, r->peak_bytes);
    }
    text(f, &any, "reason", r->reason, NULL);
    if (!base || !(b->id || is_quiet(r)))
        print_repro(r, f, &any);
    if (!base || r->required != b->required) {
        key(f, &any, "required");
        fputs(r->required ? "true" : "false", f);
    }
    if (!b->id) {
        key(f, &any, "seed");
        fprintf(f, "%" PRIu64, r->seed);
    }
    if (r->signal) {
        key(f, &any, "signal");
        fprintf(f, "%d", r->signal);
    }
    text(f, &any, "smallest", r->smallest, NULL);
    text(f, &any, "status", att_outcome_name(r->status), NULL);
    real(f, &any, "time", r->seconds, NAN);
    fputc('}', f);
}

void att_record_print(const att_record *r, FILE *f)
{
    att_record_print_beside(r, NULL, f);
}
