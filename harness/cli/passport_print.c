/* SPDX-License-Identifier: Apache-2.0 */
/* The passport for people and for scripts. */
#include <stdio.h>

#include "base/json.h"
#include "passport.h"

static size_t lost_of(const att_passport_measure *m)
{
    return m->outcome[ATT_CRASH] + m->outcome[ATT_TIMEOUT] + m->outcome[ATT_ERROR] +
           m->outcome[ATT_NOT_RUN];
}

static att_reach reach_of(const att_passport_count *c)
{
    return c->ran > 0 ? ATT_REACH_RAN : c->refused > 0 ? ATT_REACH_REFUSED : ATT_REACH_NONE;
}

/* ------------------------------------------------------------------------------ people */

static void print_levels(const att_passport_param *p, att_reach reach, const char *what)
{
    bool any = false;

    for (size_t i = 0; i < p->n; i++) {
        if (reach_of(&p->levels[i].cases) != reach)
            continue;
        printf("%s%s", any ? " " : what, p->levels[i].value);
        any = true;
    }
}

static void print_params(const att_passport_measure *m)
{
    for (size_t i = 0; i < m->n_params; i++) {
        const att_passport_param *p = &m->params[i];
        if (p->n < 2)
            continue;
        printf("    %-10s", p->name);
        print_levels(p, ATT_REACH_RAN, " ");
        print_levels(p, ATT_REACH_REFUSED, " | refused: ");
        print_levels(p, ATT_REACH_NONE, " | not asked: ");
        putchar('\n');
    }
}

static void print_traps(const att_passport_measure *m)
{
    for (size_t i = 0; i < m->n_traps; i++) {
        const att_passport_trap *t = &m->traps[i];
        if (t->cases.ran > 0)
            printf("    %-17s %5zu cases: %s\n", t->name, t->cases.ran, t->text);
        else if (t->cases.refused > 0)
            printf("    %-17s NOT SET, %zu cases refused: %s\n", t->name, t->cases.refused,
                   t->why ? t->why : "");
        else
            printf("    %-17s NOT SET, no case asked for it\n", t->name);
    }
}

static void print_measure(const att_passport_measure *m)
{
    size_t untried = m->pairs - m->pairs_ran - m->pairs_refused;

    printf("\n%s: %zu pass, %zu fail, %zu lost, %zu refused\n", m->name, m->outcome[ATT_PASS],
           m->outcome[ATT_FAIL], lost_of(m), m->outcome[ATT_HOLE]);
    printf("  pairs of parameter values: %zu of %zu ran (%.1f %%), %zu refused, %zu not asked\n",
           m->pairs_ran, m->pairs, m->pairs ? 100 * (double)m->pairs_ran / (double)m->pairs : 100.0,
           m->pairs_refused, untried);
    if (m->pairs_ran > 0 || m->n_reasons != 1) {
        puts("  values that ran");
        print_params(m);
    }
    if (m->n_reasons > 0)
        puts("  why the kernel refused");
    for (size_t i = 0; i < m->n_reasons; i++)
        printf("    %5zu cases: %s\n", m->reasons[i].cases, m->reasons[i].text);
    if (m->n_traps > 0 && m->pairs_ran > 0) {
        puts("  traps");
        print_traps(m);
    }
}

void att_passport_print_text(const att_passport *p)
{
    printf("%s\n", p->kernel);
    for (size_t i = 0; i < p->n; i++)
        print_measure(&p->measures[i]);
}

/* ----------------------------------------------------------------------------- scripts */

static const char *reach_name(att_reach reach)
{
    return reach == ATT_REACH_RAN ? "ran" : reach == ATT_REACH_REFUSED ? "refused" : "not_asked";
}

static void put_params(const att_passport_measure *m)
{
    fputs("{", stdout);
    for (size_t i = 0; i < m->n_params; i++) {
        printf("%s\"%s\": {", i ? ", " : "", m->params[i].name);
        for (size_t l = 0; l < m->params[i].n; l++) {
            fputs(l ? ", " : "", stdout);
            att_json_put_text(stdout, m->params[i].levels[l].value);
            printf(": \"%s\"", reach_name(reach_of(&m->params[i].levels[l].cases)));
        }
        putchar('}');
    }
    putchar('}');
}

static void put_reasons(const att_passport_measure *m)
{
    fputs("[", stdout);
    for (size_t i = 0; i < m->n_reasons; i++) {
        printf("%s{\"cases\": %zu, \"reason\": ", i ? ", " : "", m->reasons[i].cases);
        att_json_put_text(stdout, m->reasons[i].text);
        putchar('}');
    }
    putchar(']');
}

static void put_traps(const att_passport_measure *m)
{
    fputs("[", stdout);
    for (size_t i = 0; i < m->n_traps; i++) {
        const att_passport_trap *t = &m->traps[i];
        printf("%s\n    {\"name\": \"%s\", \"ran\": %zu, \"refused\": %zu, \"shows\": ",
               i ? "," : "", t->name, t->cases.ran, t->cases.refused);
        att_json_put_text(stdout, t->text);
        fputs(", \"why\": ", stdout);
        att_json_put_text(stdout, t->why ? t->why : "");
        putchar('}');
    }
    putchar(']');
}

void att_passport_print_json(const att_passport *p)
{
    fputs("{\"kernel\": ", stdout);
    att_json_put_text(stdout, p->kernel);
    fputs(", \"measures\": [", stdout);
    for (size_t i = 0; i < p->n; i++) {
        const att_passport_measure *m = &p->measures[i];
        fputs(i ? ",\n  {\"fail\": " : "\n  {\"fail\": ", stdout);
        printf("%zu, \"lost\": %zu, \"measure\": ", m->outcome[ATT_FAIL], lost_of(m));
        att_json_put_text(stdout, m->name);
        printf(", \"pairs\": {\"of\": %zu, \"ran\": %zu, \"refused\": %zu}, \"params\": ", m->pairs,
               m->pairs_ran, m->pairs_refused);
        put_params(m);
        printf(", \"pass\": %zu, \"reasons\": ", m->outcome[ATT_PASS]);
        put_reasons(m);
        printf(", \"refused\": %zu, \"traps\": ", m->outcome[ATT_HOLE]);
        put_traps(m);
        putchar('}');
    }
    puts("\n]}");
}
