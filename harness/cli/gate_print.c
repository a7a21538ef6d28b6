/* SPDX-License-Identifier: Apache-2.0 */
#include "gate_print.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "core/exit.h"
#include "core/names.h"

static const char *standing(const att_finding *f)
{
    return f->waiver ? "waived" : f->advisory ? "note" : "FAIL";
}

static bool blocks(const att_finding *f)
{
    return !f->waiver && !f->advisory;
}

const char *att_gate_verdict(int code)
{
    return code == ATT_EXIT_PASS           ? "pass"
           : code == ATT_EXIT_FAIL         ? "fail"
           : code == ATT_EXIT_INCONCLUSIVE ? "inconclusive"
           : code == ATT_EXIT_NOTHING      ? "nothing"
                                           : "incomplete";
}

/* -------------------------------------------------------------------------------- for people */

static void print_number(const char *name, double x)
{
    if (!isnan(x))
        printf(", %s %.4g", name, x);
}

static void print_metric(const att_finding *f)
{
    if (!f->metric)
        return;
    if (isnan(f->value))
        printf("   %s: none", f->metric);
    else
        printf("   %s %.4g", f->metric, f->value);
    print_number("limit", f->limit);
    print_number("baseline", f->baseline);
    if (f->n > 0)
        printf("  (n = %" PRId64, f->n);
    if (!isnan(f->lo) && !isnan(f->hi))
        printf("%sCI %.4g .. %.4g", f->n > 0 ? ", " : "  (", f->lo, f->hi);
    fputs(f->n > 0 || (!isnan(f->lo) && !isnan(f->hi)) ? ")" : "", stdout);
}

static void print_diagnosis(const att_gate_entry *e)
{
    const att_record *r = e->first->record;
    char line[400];

    if (e->named) {
        att_diagnosis_line(e->named, line, sizeof line);
        printf("  looks like   %s%s", strncmp(line, "looks like ", 11) == 0 ? line + 11 : line,
               e->explained < e->members ? "" : "\n");
        if (e->explained < e->members)
            printf("; explains %zu of them\n", e->explained);
        return;
    }
    for (size_t d = 0; r && d < r->n_diagnoses; d++) {
        if (att_diagnosis_repeats(r, d))
            continue;
        att_diagnosis_line(&r->diagnoses[d], line, sizeof line);
        printf("  %s\n", line);
    }
}

static void print_entry(const att_gate_entry *e)
{
    const att_finding *f = e->first;
    const att_record *r = f->record;

    printf("%-6s %s", standing(f), att_gate_kind_name(f->kind));
    if (*f->measure)
        printf("  %s  %s", f->measure, f->kernel);
    if (e->kernels > 1)
        printf(" and %zu kernel%s", e->kernels - 1, e->kernels > 2 ? "s more" : " more");
    if (e->of > 0)
        printf("     %zu of %zu cases%s", e->members, e->of, e->members > 1 ? ", one cause" : "");
    else
        printf("     %zu case%s", e->members, e->members > 1 ? "s, one cause" : "");
    putchar('\n');
    print_diagnosis(e);
    if (*f->text)
        printf("  what         %s\n", f->text);
    printf("  %s     %s", e->members > 1 ? "smallest" : "case    ", f->id);
    print_metric(f);
    putchar('\n');
    if (f->waiver)
        printf("  waived       until %s: %s (%s)\n", f->waiver->expires, f->waiver->reason,
               f->waiver->issue);
    if (r && r->line)
        printf("  repro        attest repro '%s'\n", r->smallest ? r->smallest : r->line);
}

void att_gate_print(const att_gate *g, const att_policy *policy)
{
    size_t causes = 0;

    for (size_t i = 0; i < g->n_entries; i++) {
        causes += blocks(g->entries[i].first);
        print_entry(&g->entries[i]);
    }
    printf("gate: %s (exit %d), %zu blocking cause%s; %zu cases compared, %zu unchanged, %zu items "
           "paired, %zu gained, speed of %zu measures judged; policy %s %016" PRIx64 "\n",
           att_gate_verdict(g->code), g->code, causes, causes == 1 ? "" : "s", g->compared,
           g->unchanged, g->paired, g->gained, g->timed, policy->name, policy->hash);
}

/* ------------------------------------------------------------------------------ for programs */

static void put_text(const char *key, const char *text)
{
    printf(",\"%s\":", key);
    att_json_put_text(stdout, text);
}

static void put_real(const char *key, double x)
{
    if (isnan(x))
        return;
    printf(",\"%s\":", key);
    att_json_put_real(stdout, x);
}

static void put_entry(const att_gate_entry *e)
{
    const att_finding *f = e->first;
    const att_record *r = f->record;
    char text[2048];

    fputs("{\"case\":", stdout);
    att_json_put_text(stdout, f->id);
    put_real("baseline", f->baseline);
    put_text("cause", f->cause);
    fputs(",\"cases\":[", stdout);
    for (size_t i = 0; i < e->members; i++) {
        fputs(i ? "," : "", stdout);
        att_json_put_text(stdout, e->first[i].id);
    }
    putchar(']');
    if (!isnan(f->lo) && !isnan(f->hi)) {
        fputs(",\"ci\":[", stdout);
        att_json_put_real(stdout, f->lo);
        putchar(',');
        att_json_put_real(stdout, f->hi);
        putchar(']');
    }
    if (e->named) {
        put_text("diagnosis", e->named->fault);
        printf(",\"explained\":%zu", e->explained);
    }
    put_text("kernel", f->kernel);
    printf(",\"kernels\":%zu", e->kernels);
    put_text("kind", att_gate_kind_name(f->kind));
    put_real("limit", f->limit);
    put_text("measure", f->measure);
    printf(",\"members\":%zu", e->members);
    if (f->metric)
        put_text("metric", f->metric);
    if (f->n > 0)
        printf(",\"n\":%" PRId64, f->n);
    printf(",\"of\":%zu", e->of);
    if (r && r->line) {
        snprintf(text, sizeof text, "attest repro '%s'", r->smallest ? r->smallest : r->line);
        put_text("repro", text);
    }
    put_text("text", f->text);
    put_real("value", f->value);
    if (f->waiver)
        put_text("waived_until", f->waiver->expires);
    putchar('}');
}

static void put_entries(const att_gate *g, const char *key, const char *which)
{
    bool first = true;

    printf("\"%s\":[", key);
    for (size_t i = 0; i < g->n_entries; i++)
        if (strcmp(standing(g->entries[i].first), which) == 0) {
            fputs(first ? "" : ",", stdout);
            first = false;
            put_entry(&g->entries[i]);
        }
    putchar(']');
}

void att_gate_print_json(const att_gate *g, const att_policy *policy)
{
    putchar('{');
    put_entries(g, "advisory", "note");
    printf(",\"compared\":%zu,\"exit\":%d,", g->compared, g->code);
    put_entries(g, "failures", "FAIL");
    printf(",\"gained\":%zu,\"paired\":%zu,\"policy\":", g->gained, g->paired);
    att_json_put_text(stdout, policy->name);
    printf(",\"policy_hash\":\"%016" PRIx64
           "\",\"timed\":%zu,\"unchanged\":%zu,\"verdict\":\"%s\",",
           policy->hash, g->timed, g->unchanged, att_gate_verdict(g->code));
    put_entries(g, "waived", "waived");
    fputs("}\n", stdout);
}

char *att_gate_note(const att_gate *g, const att_policy *policy)
{
    char *text = NULL, cause[512];
    size_t length = 0;
    bool first = true;
    FILE *f = open_memstream(&text, &length);

    if (!f)
        return NULL;
    fputs("{\"failures\":[", f);
    for (size_t i = 0; i < g->n_entries; i++) {
        const att_gate_entry *e = &g->entries[i];
        if (!blocks(e->first))
            continue;
        snprintf(cause, sizeof cause, "%s: %s (%zu case%s)", att_gate_kind_name(e->first->kind),
                 *e->first->cause ? e->first->cause : e->first->id, e->members,
                 e->members > 1 ? "s" : "");
        fputs(first ? "" : ",", f);
        att_json_put_text(f, cause);
        first = false;
    }
    fputs("],\"policy\":", f);
    att_json_put_text(f, policy->name);
    fprintf(f, ",\"policy_hash\":\"%016" PRIx64 "\",\"verdict\":\"%s\"}", policy->hash,
            att_gate_verdict(g->code));
    const bool full = ferror(f) != 0;
    if (fclose(f) == 0 && !full)
        return text;
    free(text);
    return NULL;
}
