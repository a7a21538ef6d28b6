/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/policy.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/str.h"
#include "core/exit.h"
#include "gate/strict.h"

#define LARGEST_FILE ((size_t)1 << 22)

static const struct {
    const char *name;
    int exit;
    bool soft;
} kinds[ATT_GATE_KINDS] = {
    [ATT_GATE_WAIVER] = {"waiver_expired", ATT_EXIT_FAIL, false},
    [ATT_GATE_CRASH] = {"crash", ATT_EXIT_FAIL, false},
    [ATT_GATE_TIMEOUT] = {"timeout", ATT_EXIT_FAIL, false},
    [ATT_GATE_ERROR] = {"error", ATT_EXIT_INCOMPLETE, false},
    [ATT_GATE_NONFINITE] = {"nonfinite", ATT_EXIT_FAIL, false},
    [ATT_GATE_MISSING] = {"missing", ATT_EXIT_FAIL, false},
    [ATT_GATE_EXTRA] = {"extra", ATT_EXIT_FAIL, true},
    [ATT_GATE_CONTRACT] = {"contract", ATT_EXIT_FAIL, false},
    [ATT_GATE_LOST] = {"lost", ATT_EXIT_FAIL, true},
    [ATT_GATE_LOOSENED] = {"loosened", ATT_EXIT_FAIL, true},
    [ATT_GATE_ITEMS] = {"items", ATT_EXIT_FAIL, true},
    [ATT_GATE_FLIP] = {"flip", ATT_EXIT_FAIL, true},
    [ATT_GATE_WORSE] = {"worse", ATT_EXIT_FAIL, true},
    [ATT_GATE_MARGIN] = {"margin", ATT_EXIT_FAIL, true},
    [ATT_GATE_DRIFT] = {"drift", ATT_EXIT_FAIL, true},
    [ATT_GATE_SLOWER] = {"slower", ATT_EXIT_FAIL, true},
    [ATT_GATE_INCONCLUSIVE] = {"inconclusive", ATT_EXIT_INCONCLUSIVE, true},
};

const char *att_gate_kind_name(att_gate_kind kind)
{
    return kinds[kind].name;
}

int att_gate_kind_exit(att_gate_kind kind)
{
    return kinds[kind].exit;
}

bool att_gate_kind_soft(att_gate_kind kind)
{
    return kinds[kind].soft;
}

static int kind_named(const char *name)
{
    for (int k = 0; k < ATT_GATE_KINDS; k++)
        if (strcmp(kinds[k].name, name) == 0)
            return k;
    return -1;
}

static void drop_rules(att_policy_rules *rules)
{
    for (size_t i = 0; i < rules->n; i++) {
        free(rules->at[i].cases);
        free(rules->at[i].metric);
    }
    free(rules->at);
    *rules = (att_policy_rules){0};
}

void att_policy_drop(att_policy *p)
{
    drop_rules(&p->required);
    drop_rules(&p->advisory);
    drop_rules(&p->margins);
    drop_rules(&p->scores);
    drop_rules(&p->tolerances);
    drop_rules(&p->flips);
    free(p->name);
    *p = (att_policy){0};
}

const att_policy_rule *att_policy_rule_for(const att_policy_rules *rules, const char *id,
                                           const char *metric)
{
    for (size_t i = 0; i < rules->n; i++) {
        const att_policy_rule *r = &rules->at[i];
        if (att_glob(r->cases, id) && (!metric || !r->metric || att_glob(r->metric, metric)))
            return r;
    }
    return NULL;
}

bool att_policy_advises(const att_policy *p, att_gate_kind kind, const char *id)
{
    for (size_t i = 0; i < p->advisory.n && att_gate_kind_soft(kind); i++)
        if (p->advisory.at[i].kind == kind && att_glob(p->advisory.at[i].cases, id))
            return true;
    return false;
}

/* -------------------------------------------------------------------------------- reading */

/* What a rule of a list is made of, beside "cases". */
typedef struct shape {
    const char *key; /* of the list */
    const char *value;
    double least, most;
    bool metric, kind;
} shape;

static att_status no_memory(const att_strict *s)
{
    att_why_set(s->why, "%s: no memory", s->name);
    return ATT_NO_MEMORY;
}

/* "cases", and what the shape asks for. */
static att_status read_rule(const att_strict *s, const cJSON *node, const shape *form,
                            att_policy_rule *out)
{
    const char *cases = NULL, *metric = NULL, *kind = NULL;
    att_strict_member members[5] = {{"cases", ATT_STRICT_TEXT, true, &cases}};
    size_t n = 1;

    if (form->metric)
        members[n++] = (att_strict_member){"metric", ATT_STRICT_TEXT, true, &metric};
    if (form->kind)
        members[n++] = (att_strict_member){"kind", ATT_STRICT_TEXT, true, &kind};
    if (form->value)
        members[n++] = (att_strict_member){form->value, ATT_STRICT_REAL, true, &out->value};
    att_status status = att_strict_read(s, node, members);
    if (status != ATT_OK)
        return status;
    if (form->value && !(out->value >= form->least && out->value <= form->most))
        return att_strict_bad(s, node, "\"%s\" is not within %g and %g", form->value, form->least,
                              form->most);
    const int known = kind ? kind_named(kind) : 0;
    if (known < 0 || (kind && !kinds[known].soft))
        return att_strict_bad(s, node,
                              known < 0 ? "kind \"%.40s\" is unknown"
                                        : "kind \"%.40s\" can be waived, never advisory",
                              kind);
    out->kind = (att_gate_kind)known;
    out->cases = strdup(cases);
    out->metric = metric ? strdup(metric) : NULL;
    return out->cases && (!metric || out->metric) ? ATT_OK : no_memory(s);
}

static att_status read_rules(const att_strict *s, const cJSON *list, const shape *form,
                             att_policy_rules *out)
{
    att_status status = ATT_OK;

    if (!list)
        return ATT_OK;
    if (!(out->at = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *out->at)))
        return no_memory(s);
    for (const cJSON *c = list->child; c && status == ATT_OK; c = c->next)
        status = read_rule(s, c, form, &out->at[out->n++]);
    return status;
}

static att_status read_policy(const att_strict *s, att_policy *p)
{
    static const shape shapes[] = {{"required", NULL, 0, 0, false, false},
                                   {"advisory", NULL, 0, 0, false, true},
                                   {"margins", "margin", 1e-6, 1, false, false},
                                   {"scores", "margin", 1e-9, 1e6, false, false},
                                   {"tolerances", "tolerance", 0, 1e6, true, false},
                                   {"flips", "epsilon", 0, 1e6, false, false}};
    att_policy_rules *const rules[] = {&p->required, &p->advisory,   &p->margins,
                                       &p->scores,   &p->tolerances, &p->flips};
    enum { LISTS = sizeof shapes / sizeof *shapes };
    const cJSON *lists[LISTS] = {NULL}, *family_at = NULL;
    const char *name = "", *version = "", *about = NULL, *family = "kernel";
    att_strict_member members[LISTS + 8] = {{"schema_version", ATT_STRICT_TEXT, true, &version},
                                            {"name", ATT_STRICT_TEXT, true, &name},
                                            {"about", ATT_STRICT_TEXT, false, &about},
                                            {"alpha", ATT_STRICT_REAL, true, &p->alpha},
                                            {"confidence", ATT_STRICT_REAL, true, &p->confidence},
                                            {"family", ATT_STRICT_TEXT, true, &family},
                                            {"slower", ATT_STRICT_REAL, false, &p->speed}};

    for (size_t i = 0; i < LISTS; i++)
        members[7 + i] = (att_strict_member){shapes[i].key, ATT_STRICT_LIST, false, &lists[i]};
    p->speed = NAN;
    att_status status = att_strict_read(s, s->root, members);
    if (status != ATT_OK)
        return status;
    family_at = att_json_get(s->root, "family");
    p->family_run = strcmp(family, "run") == 0;
    if (!p->family_run && strcmp(family, "kernel") != 0)
        return att_strict_bad(s, family_at, "\"family\" is neither \"kernel\" nor \"run\"");
    if (!(p->alpha > 0 && p->alpha <= 0.1))
        return att_strict_bad(s, att_json_get(s->root, "alpha"),
                              "\"alpha\" is not within 0 and 0.1");
    if (!(p->confidence >= 0.5 && p->confidence < 1))
        return att_strict_bad(s, att_json_get(s->root, "confidence"),
                              "\"confidence\" is not within 0.5 and 1");
    if (!isnan(p->speed) && !(p->speed > 0 && p->speed <= 10))
        return att_strict_bad(s, att_json_get(s->root, "slower"),
                              "\"slower\" is not within 0 and 10");
    for (size_t i = 0; i < LISTS && status == ATT_OK; i++)
        status = read_rules(s, lists[i], &shapes[i], rules[i]);
    if (status == ATT_OK && !(p->name = strdup(name)))
        status = no_memory(s);
    return status;
}

att_status att_policy_parse(const char *text, size_t length, const char *name, att_policy *out,
                            att_why *why)
{
    att_strict s = {0};
    att_policy p = {.hash = att_hash64(text, length)};
    att_status status = att_strict_open(text, length, name, "policies", ATT_POLICY_MAJOR, &s, why);

    if (status != ATT_OK)
        return status;
    status = read_policy(&s, &p);
    att_strict_close(&s);
    if (status == ATT_OK)
        *out = p;
    else
        att_policy_drop(&p);
    return status;
}

att_status att_policy_read(const char *path, att_policy *out, att_why *why)
{
    size_t length = 0;
    char *text = NULL;
    att_status status = att_strict_file(path, LARGEST_FILE, &text, &length, why);

    if (status == ATT_OK)
        status = att_policy_parse(text, length, path, out, why);
    free(text);
    return status;
}

/* -------------------------------------------------------------------------------- waivers */

bool att_day_is(const char *text)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    for (size_t i = 0; i < 10; i++)
        if (i == 4 || i == 7 ? text[i] != '-' : text[i] < '0' || text[i] > '9')
            return false;
    const int month = atoi(text + 5), day = atoi(text + 8);
    return text[10] == '\0' && month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

bool att_waiver_over(const att_waiver *w, const char *today)
{
    return strcmp(today, w->expires) > 0;
}

void att_waivers_drop(att_waivers *w)
{
    for (size_t i = 0; i < w->n; i++) {
        free(w->at[i].cases);
        free(w->at[i].reason);
        free(w->at[i].issue);
        free(w->at[i].expires);
    }
    free(w->at);
    *w = (att_waivers){0};
}

static att_status read_waiver(const att_strict *s, const cJSON *node, att_waiver *w)
{
    const char *cases = "", *reason = "", *issue = "", *expires = "", *kind = NULL;
    const att_strict_member members[] = {
        {"cases", ATT_STRICT_TEXT, true, &cases},   {"expires", ATT_STRICT_TEXT, true, &expires},
        {"issue", ATT_STRICT_TEXT, true, &issue},   {"kind", ATT_STRICT_TEXT, false, &kind},
        {"reason", ATT_STRICT_TEXT, true, &reason}, {NULL, 0, false, NULL}};
    att_status status = att_strict_read(s, node, members);

    if (status != ATT_OK)
        return status;
    if (!att_day_is(expires))
        return att_strict_bad(s, node, "\"expires\" is not a day as 2030-12-31");
    w->kind = kind ? kind_named(kind) : -1;
    if (kind && (w->kind < 0 || w->kind == ATT_GATE_WAIVER))
        return att_strict_bad(s, node, "kind \"%.40s\" is unknown", kind);
    w->line = att_json_line(s->text, s->length, s->root, node);
    w->cases = strdup(cases);
    w->reason = strdup(reason);
    w->issue = strdup(issue);
    w->expires = strdup(expires);
    return w->cases && w->reason && w->issue && w->expires ? ATT_OK : no_memory(s);
}

att_status att_waivers_parse(const char *text, size_t length, const char *name, att_waivers *out,
                             att_why *why)
{
    att_strict s = {0};
    att_waivers all = {0};
    const cJSON *list = NULL;
    const char *version = "";
    const att_strict_member members[] = {{"schema_version", ATT_STRICT_TEXT, true, &version},
                                         {"waivers", ATT_STRICT_LIST, true, &list},
                                         {NULL, 0, false, NULL}};
    att_status status = att_strict_open(text, length, name, "waivers", ATT_POLICY_MAJOR, &s, why);

    if (status != ATT_OK)
        return status;
    status = att_strict_read(&s, s.root, members);
    if (status == ATT_OK &&
        !(all.at = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof *all.at)))
        status = no_memory(&s);
    for (const cJSON *c = status == ATT_OK ? list->child : NULL; c && status == ATT_OK; c = c->next)
        status = read_waiver(&s, c, &all.at[all.n++]);
    att_strict_close(&s);
    if (status == ATT_OK)
        *out = all;
    else
        att_waivers_drop(&all);
    return status;
}

att_status att_waivers_read(const char *path, att_waivers *out, att_why *why)
{
    size_t length = 0;
    char *text = NULL;
    att_status status = att_strict_file(path, LARGEST_FILE, &text, &length, why);

    if (status == ATT_OK)
        status = att_waivers_parse(text, length, path, out, why);
    free(text);
    return status;
}
