/* SPDX-License-Identifier: Apache-2.0 */
#include "audit_print.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

static const char *task_of(const att_audit_cell *cell)
{
    const char *dot = strchr(cell->measure, '.');

    return dot ? dot + 1 : cell->measure;
}

/* Value of the parameter `len`; "" = none. */
static void length_of(const att_audit_cell *cell, char out[16])
{
    const char *at = strstr(cell->params, "len=");

    *out = '\0';
    if (at && (at == cell->params || at[-1] == ' '))
        snprintf(out, 16, "%.*s", (int)strcspn(at + 4, " "), at + 4);
}

/* Does the task say of itself that this control solves it?  Kernel: canonical, with parameters. */
static bool spares(const att_audit_report *report, const att_audit_cell *cell, const char *kernel)
{
    const char *at = report->eval->note ? report->eval->note(task_of(cell)).spares : "";
    const size_t n = strcspn(kernel, "{");

    for (; *at; at += strspn(at, " ")) {
        const size_t word = strcspn(at, " ");
        if (word == n && strncmp(at, kernel, n) == 0)
            return true;
        at += word;
    }
    return false;
}

/* A control that solves a task which does not spare it. */
static bool unexpected(const att_audit_report *report, const att_audit_cell *cell, size_t k)
{
    return cell->power && !cell->controls[k].punished &&
           !spares(report, cell, cell->controls[k].kernel);
}

static bool first_of_measure(const att_audit *audit, size_t i)
{
    return i == 0 || strcmp(audit->cells[i].measure, audit->cells[i - 1].measure) != 0;
}

bool att_audit_sound(const att_audit_report *report)
{
    bool sound = true;

    for (size_t i = 0; i < report->audit->n; i++) {
        const att_audit_cell *cell = &report->audit->cells[i];
        sound &= cell->chance_holds;
        sound &= att_audit_sight(report->audit, cell->measure) != ATT_SIGHT_BLIND;
        for (size_t k = 0; k < cell->n_controls; k++)
            sound &= !unexpected(report, cell, k);
    }
    return sound;
}

/* ---------------------------------------------------------------------------------- text */

static void print_row(const att_audit_report *report, const att_audit_cell *cell)
{
    char length[16], text[32];

    length_of(cell, length);
    printf("%-18s %6s %4lld %6.4f", task_of(cell), length, (long long)cell->dense.n, cell->chance);
    if (cell->guess.n)
        printf(" %6.4f%c", cell->guess.share, cell->chance_holds ? ' ' : '!');
    else
        printf(" %6s ", "-");
    printf("  %.2f [%.2f, %.2f]", cell->dense.share, cell->dense.lo, cell->dense.hi);
    for (size_t k = 0; k < cell->n_controls; k++) {
        const att_audit_control *c = &cell->controls[k];
        snprintf(text, sizeof text, "%.2f %s", c->rate.share,
                 !cell->power                  ? "?"
                 : c->punished                 ? "x"
                 : unexpected(report, cell, k) ? "!"
                                               : "-");
        printf("  %-9s", text);
    }
    printf("  %s\n", cell->power ? "" : "no power");
}

/* What is wrong, a line each. */
static void print_faults(const att_audit_report *report)
{
    const att_audit *audit = report->audit;
    char length[16];

    for (size_t i = 0; i < audit->n; i++) {
        const att_audit_cell *cell = &audit->cells[i];
        length_of(cell, length);
        if (first_of_measure(audit, i) && att_audit_sight(audit, cell->measure) == ATT_SIGHT_BLIND)
            printf("%s is BLIND: it punishes no control\n", task_of(cell));
        if (first_of_measure(audit, i) &&
            att_audit_sight(audit, cell->measure) == ATT_SIGHT_NO_POWER)
            printf("%s has no power: dense does not clear chance\n", task_of(cell));
        for (size_t k = 0; k < cell->n_controls; k++)
            if (unexpected(report, cell, k))
                printf("%s len=%s: %s is not punished: it gets %lld of %lld, and the task does "
                       "not say so\n",
                       task_of(cell), length, cell->controls[k].kernel,
                       (long long)cell->controls[k].rate.hits, (long long)cell->controls[k].rate.n);
        if (!cell->chance_holds && cell->above_p < cell->below_p)
            printf("%s len=%s: chance is above %.4f: a guess gets %lld of %lld (p = %.1g)\n",
                   task_of(cell), length, cell->chance, (long long)cell->guess.hits,
                   (long long)cell->guess.n, cell->above_p);
        else if (!cell->chance_holds)
            printf("%s len=%s: chance is below %.4f: no control gets as much (p = %.1g)\n",
                   task_of(cell), length, cell->chance, cell->below_p);
    }
}

void att_audit_print_text(const att_audit_report *report)
{
    const att_audit *audit = report->audit;

    printf("%-18s %6s %4s %6s %7s  %-17s", "task", "len", "n", "chance", "guess ", "dense [95 %]");
    for (size_t k = 0; audit->n && k < audit->cells[0].n_controls; k++) {
        const char *kernel = audit->cells[0].controls[k].kernel;
        printf("  %-9.*s", (int)strcspn(kernel, "{"), kernel);
    }
    putchar('\n');
    for (size_t i = 0; i < audit->n; i++)
        print_row(report, &audit->cells[i]);
    printf("x: punished, its interval ends more than %.2g below dense's; -: it solves the task, "
           "which says so; !: against\nwhat the task says; guess: what answers at random get, to "
           "be chance\n",
           report->gap);
    print_faults(report);
    puts(att_audit_sound(report) ? "sound" : "NOT SOUND");
}

/* ---------------------------------------------------------------------------------- JSON */

static void put_hits(const char *key, const att_audit_rate *h)
{
    printf("\"%s\": {\"hi\": ", key);
    att_json_put_real(stdout, h->hi);
    printf(", \"hits\": %lld, \"lo\": ", (long long)h->hits);
    att_json_put_real(stdout, h->lo);
    printf(", \"n\": %lld}", (long long)h->n);
}

static void put_cell(const att_audit_report *report, const att_audit_cell *cell)
{
    char length[16];

    length_of(cell, length);
    fputs("{\"chance\": ", stdout);
    att_json_put_real(stdout, cell->chance);
    printf(", \"chance_holds\": %s, \"controls\": [", cell->chance_holds ? "true" : "false");
    for (size_t k = 0; k < cell->n_controls; k++) {
        const att_audit_control *c = &cell->controls[k];
        fputs(k ? ", {" : "{", stdout);
        put_hits("accuracy", &c->rate);
        fputs(", \"kernel\": ", stdout);
        att_json_put_text(stdout, c->kernel);
        printf(", \"punished\": %s, \"spared\": %s}", c->punished ? "true" : "false",
               spares(report, cell, c->kernel) ? "true" : "false");
    }
    fputs("], ", stdout);
    put_hits("dense", &cell->dense);
    fputs(", ", stdout);
    put_hits("guess", &cell->guess);
    printf(", \"len\": \"%s\", \"power\": %s, \"sight\": ", length, cell->power ? "true" : "false");
    att_json_put_text(stdout, att_sight_name(att_audit_sight(report->audit, cell->measure)));
    fputs(", \"task\": ", stdout);
    att_json_put_text(stdout, task_of(cell));
    putchar('}');
}

void att_audit_print_json(const att_audit_report *report)
{
    fputs("{\"cells\": [", stdout);
    for (size_t i = 0; i < report->audit->n; i++) {
        fputs(i ? ",\n" : "\n", stdout);
        put_cell(report, &report->audit->cells[i]);
    }
    fputs("\n], \"gap\": ", stdout);
    att_json_put_real(stdout, report->gap);
    printf(", \"sound\": %s}\n", att_audit_sound(report) ? "true" : "false");
}
