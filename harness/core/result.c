/* SPDX-License-Identifier: Apache-2.0 */
/* result.json in memory and on its way out: sorted keys, one case a line, so that two results can
 * be compared by diff. */
#include "result.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "core/declare.h"
#include "core/record.h"
#include "core/record_base.h"

static void drop_pairs(att_text_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(pairs[i].key);
        free(pairs[i].value);
    }
    free(pairs);
}

void att_result_clear(att_result *r)
{
    for (size_t i = 0; i < r->n_records; i++)
        att_record_clear(&r->records[i]);
    for (size_t i = 0; i < r->n_comparisons; i++) {
        free(r->comparisons[i].measure);
        free(r->comparisons[i].kernel);
        free(r->comparisons[i].verdict);
    }
    att_declarations_drop(r->declarations, r->n_declarations);
    drop_pairs(r->tool, r->n_tool);
    drop_pairs(r->env, r->n_env);
    drop_pairs(r->inputs, r->n_inputs);
    free(r->records);
    free(r->comparisons);
    free(r->run_id);
    free(r->suite);
    free(r->plan_hash);
    free(r->status);
    free(r->env_class);
    free(r->gate);
    *r = (att_result){0};
}

/* ------------------------------------------------------------------------------- writing */

static void put_text(FILE *f, const char *key, const char *text)
{
    fprintf(f, ",\n\"%s\": ", key);
    att_json_put_text(f, text ? text : "");
}

static void put_real(FILE *f, const char *key, double x)
{
    if (isnan(x))
        return;
    fprintf(f, ", \"%s\": ", key);
    att_json_put_real(f, x);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(((const att_text_pair *)a)->key, ((const att_text_pair *)b)->key);
}

/* An object of texts; INVALID for a key that is there twice. */
static att_status put_facts(FILE *f, const char *name, const att_text_pair *pairs, size_t n,
                            att_why *why)
{
    att_text_pair *sorted = malloc((n + 1) * sizeof *sorted);

    if (!sorted) {
        att_why_set(why, "no memory for \"%s\" of a result", name);
        return ATT_NO_MEMORY;
    }
    if (n > 0)
        memcpy(sorted, pairs, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_key);
    fprintf(f, ",\n\"%s\": {", name);
    att_status st = ATT_OK;
    for (size_t i = 0; i < n && !st; i++) {
        if (i > 0 && by_key(&sorted[i - 1], &sorted[i]) == 0) {
            att_why_set(why, "\"%s\" of a result holds %s twice", name, sorted[i].key);
            st = ATT_INVALID;
        }
        fputs(i ? ", " : "", f);
        att_json_put_text(f, sorted[i].key);
        fputs(": ", f);
        att_json_put_text(f, sorted[i].value ? sorted[i].value : "");
    }
    fputc('}', f);
    free(sorted);
    return st;
}

static void put_comparison(FILE *f, const att_comparison *c)
{
    fputc('{', f);
    if (!isnan(c->lo) || !isnan(c->hi)) {
        fputs("\"ci\": [", f);
        att_json_put_real(f, c->lo);
        fputs(", ", f);
        att_json_put_real(f, c->hi);
        fputs("], ", f);
    }
    if (!isnan(c->detectable)) {
        fputs("\"detectable\": ", f);
        att_json_put_real(f, c->detectable);
        fputs(", ", f);
    }
    if (!isnan(c->difference)) {
        fputs("\"difference\": ", f);
        att_json_put_real(f, c->difference);
        fputs(", ", f);
    }
    if (!isnan(c->effect)) {
        fputs("\"effect\": ", f);
        att_json_put_real(f, c->effect);
        fputs(", ", f);
    }
    if (c->margin > 0)
        fprintf(f, "\"inferior\": %d, ", c->inferior);
    fputs("\"kernel\": ", f);
    att_json_put_text(f, c->kernel ? c->kernel : "");
    fprintf(f, ", \"losses\": %" PRId64, c->losses);
    if (c->margin > 0)
        put_real(f, "margin", c->margin);
    fputs(", \"measure\": ", f);
    att_json_put_text(f, c->measure ? c->measure : "");
    fprintf(f, ", \"n\": %" PRId64, c->n);
    if (c->margin > 0)
        fprintf(f, ", \"needed\": %" PRId64, c->needed);
    put_real(f, "p", c->p);
    put_real(f, "p_better", c->p_better);
    put_real(f, "p_context", c->p_context);
    put_real(f, "p_holm", c->p_holm);
    put_real(f, "score_difference", c->score_difference);
    put_real(f, "score_p", c->score_p);
    if (c->seeds_needed)
        fprintf(f, ", \"seeds_needed\": %" PRId64, c->seeds_needed);
    fputs(", \"verdict\": ", f);
    att_json_put_text(f, c->verdict ? c->verdict : "cannot tell");
    fprintf(f, ", \"wins\": %" PRId64 "}", c->wins);
}

static att_status print(const att_result *r, FILE *f, att_why *why)
{
    att_bases bases = {0};
    att_status st = att_bases_make(r->records, r->n_records, &bases);

    if (st) {
        att_why_set(why, "no memory for the cases of a result");
        return st;
    }
    fputs("{\n\"cases\": [", f);
    for (size_t i = 0; i < r->n_records; i++) {
        const att_record *c = &r->records[i];
        att_record base;
        fputs(i ? ",\n" : "\n", f);
        att_record_print_beside(
            c, att_bases_find(&bases, c->measure, c->kernel, &base) ? &base : NULL, f);
    }
    fputs("\n],\n\"comparisons\": [", f);
    for (size_t i = 0; i < r->n_comparisons; i++) {
        fputs(i ? ",\n" : "\n", f);
        put_comparison(f, &r->comparisons[i]);
    }
    fputs("\n]", f);
    if ((st = put_facts(f, "env", r->env, r->n_env, why)))
        goto done;
    put_text(f, "env_class", r->env_class);
    fputs(",\n", f);
    att_bases_print_evals(&bases, f);
    fprintf(f, ",\n\"gate\": %s,\n\"inputs\": [", r->gate ? r->gate : "null");
    for (size_t i = 0; i < r->n_inputs; i++) {
        fputs(i ? ",\n{\"name\": " : "\n{\"name\": ", f);
        att_json_put_text(f, r->inputs[i].key);
        fputs(", \"sha256\": ", f);
        att_json_put_text(f, r->inputs[i].value ? r->inputs[i].value : "");
        fputc('}', f);
    }
    fputs("\n],\n\"kernels\": [", f);
    for (size_t i = 0; i < r->n_declarations; i++) {
        fputs(i ? ",\n" : "\n", f);
        att_declaration_print(&r->declarations[i], f);
    }
    fputs("\n]", f);
    put_text(f, "plan", r->plan_hash);
    put_text(f, "run_id", r->run_id);
    fprintf(f, ",\n\"schema_version\": \"%d.%d\",\n\"seconds\": ", ATT_RESULT_MAJOR,
            ATT_RESULT_MINOR);
    att_json_put_real(f, r->seconds);
    fprintf(f, ",\n\"shard\": {\"index\": %" PRId64 ", \"of\": %" PRId64 "}", r->shard, r->shards);
    put_text(f, "status", r->status);
    put_text(f, "suite", r->suite);
    if ((st = put_facts(f, "tool", r->tool, r->n_tool, why)))
        goto done;
    fputs(",\n", f);
    att_bases_print_variants(&bases, f);
    fputs("\n}\n", f);
done:
    att_bases_drop(&bases);
    return st;
}

att_status att_result_write(const att_result *result, const char *path, att_why *why)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);

    if (!f) {
        att_why_set(why, "%s: no memory", path);
        return ATT_NO_MEMORY;
    }
    att_status st = print(result, f, why);
    bool full = ferror(f) != 0;
    if (fclose(f) != 0 || full) {
        att_why_set(why, "%s: no memory", path);
        st = ATT_NO_MEMORY;
    }
    if (!st && !att_file_write(path, text, length)) {
        att_why_set(why, "%s: %s", path, strerror(errno));
        st = ATT_IO;
    }
    free(text);
    return st;
}
