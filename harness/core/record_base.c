/* SPDX-License-Identifier: Apache-2.0 */
#include "record_base.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/record_names.h"

/* ------------------------------------------------------------------------------- parameters */

/* One `key=value` of a canonical list. */
typedef struct token {
    const char *at;
    size_t length, key; /* in bytes, the key's with its '=' */
} token;

/* The token at *at, which moves behind it; false at the end.  Quoted values may hold blanks. */
static bool next_token(const char **at, token *out)
{
    const char *c = *at + strspn(*at, " ");
    bool quoted = false;

    *out = (token){.at = c};
    for (; *c && (quoted || *c != ' '); c++) {
        quoted ^= *c == '\'';
        if (*c == '=' && !out->key)
            out->key = (size_t)(c - out->at) + 1;
    }
    out->length = (size_t)(c - out->at);
    *at = c;
    return out->length > 0;
}

static bool same_key(const token *a, const token *b)
{
    return a->key > 0 && a->key == b->key && strncmp(a->at, b->at, a->key) == 0;
}

/* The parameters within an id; NULL where it does not begin with its measure and kernel. */
static const char *own_params(const att_record *r)
{
    const char *const part[] = {r->measure, r->kernel};
    const char *at = r->id;

    for (size_t i = 0; at && i < sizeof part / sizeof *part; i++) {
        size_t n = part[i] ? strlen(part[i]) : 0;
        if (!part[i] || strncmp(at, part[i], n) != 0 || (at[n] && at[n] != ' '))
            return NULL;
        at += n + (at[n] == ' ');
    }
    return at;
}

char *att_record_params(const char *defaults, const att_record *r)
{
    const char *own = own_params(r);
    att_buf out = {0};
    token given = {0}, known;

    if (!own)
        return NULL;
    bool more = next_token(&own, &given);
    att_buf_puts(&out, "");
    while (next_token(&defaults, &known)) {
        bool is = more && same_key(&known, &given);
        const token *t = is ? &given : &known;
        att_buf_add(&out, " ", out.length > 0);
        att_buf_add(&out, t->at, t->length);
        if (is)
            more = next_token(&own, &given);
    }
    if (more || out.failed) {
        att_buf_drop(&out);
        return NULL;
    }
    return out.data;
}

/* ------------------------------------------------------------------------------- tables */

/* The place of a name in a sorted table; *found: it is there. */
static size_t place_of(const att_record *table, size_t n, bool kernels, const char *name,
                       bool *found)
{
    size_t lo = 0, hi = n;

    *found = false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(kernels ? table[mid].kernel : table[mid].measure, name);
        if (order == 0)
            *found = true;
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* The element of a name, a new one (with that name alone) where there is none; NULL: no memory. */
static att_record *element(att_record **table, size_t *n, bool kernels, const char *name, bool *new)
{
    bool found;
    size_t at = place_of(*table, *n, kernels, name, &found);

    *new = !found;
    if (found)
        return *table + at;
    att_record *grown = realloc(*table, (*n + 1) * sizeof *grown);
    char *copy = strdup(name);
    if (grown)
        *table = grown;
    if (!grown || !copy) {
        free(copy);
        return NULL;
    }
    memmove(grown + at + 1, grown + at, (*n - at) * sizeof *grown);
    grown[at] = (att_record){.chance = NAN, .required = true};
    *(kernels ? &grown[at].kernel : &grown[at].measure) = copy;
    ++*n;
    return grown + at;
}

static bool copied(const char *text, char **out)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

/* Takes what is new in a record's metrics; a limit that holds says more than none. */
static bool learn_metrics(const att_record *r, att_record *base)
{
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *m = &r->metrics[i];
        size_t at = 0;
        if (!m->name)
            continue;
        while (at < base->n_metrics && strcmp(base->metrics[at].name, m->name) != 0)
            at++;
        if (at < base->n_metrics) {
            att_metric *known = &base->metrics[at];
            if (known->verdict != 1 && m->verdict == 1) {
                known->verdict = 1;
                known->limit = m->limit;
            }
            continue;
        }
        att_metric *grown = realloc(base->metrics, (at + 1) * sizeof *grown);
        if (!grown)
            return false;
        base->metrics = grown;
        grown[at] = (att_metric){.better = m->better,
                                 .limit = m->limit,
                                 .verdict = m->verdict,
                                 .value = NAN,
                                 .lo = NAN,
                                 .hi = NAN,
                                 .baseline = NAN};
        if (!copied(m->name, &grown[at].name) || !copied(m->unit, &grown[at].unit))
            return false;
        base->n_metrics++;
    }
    return true;
}

/* Puts values that the record's id leaves out in the place of others in the defaults: an id leaves
 * out what is as declared, so what it shows is not. */
static bool learn_params(const att_record *r, att_record *base)
{
    const char *own = own_params(r), *all = r->params, *defaults = base->params;
    att_buf out = {0};
    token given = {0}, said, known;

    if (!base->params)
        return copied(r->params, &base->params);
    if (!own || !all)
        return true;
    bool more = next_token(&own, &given), changed = false;
    while (next_token(&defaults, &known) && next_token(&all, &said) && same_key(&known, &said)) {
        bool shown = more && same_key(&said, &given);
        const token *t = shown ? &known : &said;
        changed |= !shown &&
                   (known.length != said.length || strncmp(known.at, said.at, said.length) != 0);
        att_buf_add(&out, " ", out.length > 0);
        att_buf_add(&out, t->at, t->length);
        if (shown)
            more = next_token(&own, &given);
    }
    const bool whole = !*defaults && !*all && !more;
    if (whole && changed && !out.failed) {
        free(base->params);
        base->params = out.data;
        out.data = NULL;
    }
    bool failed = out.failed;
    att_buf_drop(&out);
    return !failed;
}

att_status att_bases_make(const att_record *records, size_t n, att_bases *out)
{
    att_bases b = {0};
    bool fine = true, new;

    for (size_t i = 0; i < n && fine; i++) {
        const att_record *r = &records[i];
        if (!r->measure || !r->kernel)
            continue;
        att_record *kernel = element(&b.kernels, &b.n_kernels, true, r->kernel, &new);
        if (kernel && new) {
            kernel->class_ = r->class_;
            kernel->margin = r->margin;
            fine = copied(r->family, &kernel->family);
        }
        att_record *measure = element(&b.measures, &b.n_measures, false, r->measure, &new);
        fine = fine && kernel && measure && learn_params(r, measure) && learn_metrics(r, measure);
    }
    if (!fine) {
        att_bases_drop(&b);
        return ATT_NO_MEMORY;
    }
    *out = b;
    return ATT_OK;
}

void att_bases_drop(att_bases *b)
{
    for (size_t i = 0; i < b->n_kernels; i++)
        att_record_clear(&b->kernels[i]);
    for (size_t i = 0; i < b->n_measures; i++)
        att_record_clear(&b->measures[i]);
    free(b->kernels);
    free(b->measures);
    *b = (att_bases){0};
}

bool att_bases_find(const att_bases *b, const char *measure, const char *kernel, att_record *out)
{
    bool found = false, both = false;
    size_t m = measure ? place_of(b->measures, b->n_measures, false, measure, &found) : 0;
    size_t k = kernel && found ? place_of(b->kernels, b->n_kernels, true, kernel, &both) : 0;

    if (!both)
        return false;
    *out = (att_record){.class_ = b->kernels[k].class_,
                        .family = b->kernels[k].family,
                        .margin = b->kernels[k].margin,
                        .params = b->measures[m].params,
                        .metrics = b->measures[m].metrics,
                        .n_metrics = b->measures[m].n_metrics,
                        .required = true,
                        .chance = NAN};
    return true;
}

/* ------------------------------------------------------------------------------- as JSON */

void att_bases_print_evals(const att_bases *b, FILE *f)
{
    fputs("\"evals\": [", f);
    for (size_t i = 0; i < b->n_measures; i++) {
        const att_record *m = &b->measures[i];
        fputs(i ? ",\n{\"eval\": " : "\n{\"eval\": ", f);
        att_json_put_text(f, m->measure);
        if (m->n_metrics)
            fputs(", \"metrics\": [", f);
        for (size_t j = 0; j < m->n_metrics; j++) {
            fputs(j ? ", " : "", f);
            att_metric_print(&m->metrics[j], NULL, false, f);
        }
        fputs(m->n_metrics ? "]" : "", f);
        if (m->params) {
            fputs(", \"params\": ", f);
            att_json_put_text(f, m->params);
        }
        fputc('}', f);
    }
    fputs("\n]", f);
}

void att_bases_print_variants(const att_bases *b, FILE *f)
{
    fputs("\"variants\": [", f);
    for (size_t i = 0; i < b->n_kernels; i++) {
        const att_record *k = &b->kernels[i];
        const char *class_ = att_name_at(&att_names_class, k->class_);
        fputs(i ? ",\n{" : "\n{", f);
        if (class_)
            fprintf(f, "\"class\": \"%s\", ", class_);
        if (k->family) {
            fputs("\"family\": ", f);
            att_json_put_text(f, k->family);
            fputs(", ", f);
        }
        fputs("\"kernel\": ", f);
        att_json_put_text(f, k->kernel);
        if (k->margin != 0) {
            fputs(", \"margin\": ", f);
            att_json_put_real(f, k->margin);
        }
        fputc('}', f);
    }
    fputs("\n]", f);
}

/* An optional array, its elements in the order of their names. */
static att_status read_table(const cJSON *root, const char *name, bool kernels, att_record **table,
                             size_t *n, att_why *why)
{
    const cJSON *array = att_json_get(root, name), *c;
    att_status st = ATT_OK;

    if (array && !cJSON_IsArray(array)) {
        att_why_set(why, "\"%s\" is not an array", name);
        return ATT_CORRUPT;
    }
    cJSON_ArrayForEach(c, array)
    {
        att_record read = {0};
        bool new;
        if ((st = kernels ? att_variant_record_parse(c, &read, why)
                          : att_measure_parse(c, &read, why)))
            break;
        att_record *e = element(table, n, kernels, kernels ? read.kernel : read.measure, &new);
        if (e && new) {
            att_record_clear(e);
            *e = read;
            continue;
        }
        att_why_set(why, "\"%s\": %s is there twice", name, kernels ? read.kernel : read.measure);
        att_record_clear(&read);
        return e ? ATT_CORRUPT : ATT_NO_MEMORY;
    }
    return st;
}

att_status att_bases_read(const cJSON *root, att_bases *out, att_why *why)
{
    att_bases b = {0};
    att_status st = read_table(root, "evals", false, &b.measures, &b.n_measures, why);

    if (!st)
        st = read_table(root, "variants", true, &b.kernels, &b.n_kernels, why);
    if (st)
        att_bases_drop(&b);
    else
        *out = b;
    return st;
}
