/* SPDX-License-Identifier: Apache-2.0 */
/* What a part's result.json says of a case was judged with that part's cases alone (a probe's cell
 * pools seeds, and is held to dense), so records come from the journals, as workers gave them, and
 * are judged again together. */
#include "shard_merge.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/str.h"
#include "core/ctx_own.h"
#include "core/declare.h"
#include "core/journal.h"
#include "core/verdict.h"

static att_status no_memory(att_why *why)
{
    att_why_set(why, "no memory to merge");
    return ATT_NO_MEMORY;
}

static att_status refuse(att_status status, const att_shards_part *p, const char *what,
                         att_why *why)
{
    att_why_set(why, "%.200s (shard %" PRId64 " of %" PRId64 "): %s", p->folder, p->plan.shard,
                p->plan.of, what);
    return status;
}

static att_status read_part(const char *folder, att_shards_part *p, att_why *why)
{
    char path[4200];
    att_status status;

    p->folder = folder;
    snprintf(path, sizeof path, "%s/plan.json", folder);
    if ((status = att_plan_file_read(path, &p->plan, why)))
        return status;
    snprintf(path, sizeof path, "%s/DONE", folder);
    if (access(path, F_OK) != 0)
        return refuse(ATT_IO, p, "not finished; attest run --resume goes on with it", why);
    snprintf(path, sizeof path, "%s/result.json", folder);
    if ((status = att_result_read(path, &p->result, why)))
        return status;
    if (strcmp(p->result.plan_hash, p->plan.hash) != 0 || p->result.shard != p->plan.shard ||
        p->result.shards != p->plan.of || p->result.n_records != p->plan.n)
        return refuse(ATT_CORRUPT, p, "plan.json and result.json are not of one run", why);
    for (size_t i = 0; i < p->plan.n; i++)
        if (strcmp(p->result.records[i].line, p->plan.lines[i]) != 0)
            return refuse(ATT_CORRUPT, p, "plan.json and result.json are not of one run", why);
    if (strcmp(p->result.status, "complete") != 0)
        return refuse(ATT_IO, p, "not complete; attest run --resume goes on with it", why);
    return ATT_OK;
}

/* The part's place beside the first one. */
static att_status check_part(const att_shards *m, size_t i, bool mixed, att_why *why)
{
    const att_shards_part *p = &m->parts[i], *first = &m->parts[0];
    const size_t build = strcspn(first->plan.stamp, " ");
    char text[400];

    if (strcmp(p->plan.hash, first->plan.hash) != 0 || p->plan.whole != first->plan.whole) {
        snprintf(text, sizeof text, "of another plan (%s, %s) than %.200s (%s, %s)", p->plan.suite,
                 p->plan.hash, first->folder, first->plan.suite, first->plan.hash);
        return refuse(ATT_CORRUPT, p, text, why);
    }
    if (p->plan.of != first->plan.of) {
        snprintf(text, sizeof text, "%.200s is one of %" PRId64, first->folder, first->plan.of);
        return refuse(ATT_CORRUPT, p, text, why);
    }
    if (!mixed && (strncmp(p->plan.stamp, first->plan.stamp, build) != 0 ||
                   strcspn(p->plan.stamp, " ") != build)) {
        snprintf(text, sizeof text, "measured by another build than %.200s", first->folder);
        return refuse(ATT_CORRUPT, p, text, why);
    }
    for (size_t k = 0; k < i; k++)
        if (m->parts[k].plan.shard == p->plan.shard) {
            snprintf(text, sizeof text, "the same shard as %.200s", m->parts[k].folder);
            return refuse(ATT_CORRUPT, p, text, why);
        }
    return ATT_OK;
}

/* Names the first shard that nobody brought. */
static att_status say_gap(const att_shards *m, size_t at, att_why *why)
{
    for (int64_t k = 1; k <= m->parts[0].plan.of; k++) {
        bool found = false;
        for (size_t i = 0; i < m->n; i++)
            found |= m->parts[i].plan.shard == k;
        if (!found) {
            att_why_set(why, "shard %" PRId64 " of %" PRId64 " is missing", k, m->parts[0].plan.of);
            return ATT_IO;
        }
    }
    att_why_set(why, "case %zu of the plan is in no shard: they were cut by other costs", at + 1);
    return ATT_CORRUPT;
}

/* Puts the parts' lines where they stand in the whole plan. */
static att_status place(att_shards *m, att_why *why)
{
    att_plan_file *w = &m->whole;
    const att_plan_file *first = &m->parts[0].plan;
    att_buf text = {0};

    *w = (att_plan_file){.shard = 1, .of = 1, .whole = first->whole};
    memcpy(w->hash, first->hash, sizeof w->hash);
    w->suite = strdup(first->suite);
    w->stamp = strdup(first->stamp);
    w->lines = calloc(w->whole + 1, sizeof *w->lines);
    w->at = calloc(w->whole + 1, sizeof *w->at);
    if (!w->suite || !w->stamp || !w->lines || !w->at)
        return no_memory(why);
    w->n = w->whole;
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->parts[i].plan.n; k++) {
            const size_t at = m->parts[i].plan.at[k];
            if (w->lines[at])
                return refuse(
                    ATT_CORRUPT, &m->parts[i],
                    "a case of it lies in another shard too: they were cut by other costs", why);
            if (!(w->lines[at] = strdup(m->parts[i].plan.lines[k])))
                return no_memory(why);
        }
    for (size_t at = 0; at < w->n; at++) {
        if (!w->lines[at])
            return say_gap(m, at, why);
        w->at[at] = at;
        att_buf_puts(&text, w->lines[at]);
        att_buf_puts(&text, "\n");
    }
    char hash[17];
    snprintf(hash, sizeof hash, "%016" PRIx64, att_hash64(text.data ? text.data : "", text.length));
    att_buf_drop(&text);
    if (strcmp(hash, w->hash) == 0)
        return ATT_OK;
    att_why_set(why, "the shards' lines together are not the plan %s", w->hash);
    return ATT_CORRUPT;
}

att_status att_shards_open(const char *const *folders, size_t n, bool mixed, att_shards *out,
                           att_why *why)
{
    att_shards m = {.parts = calloc(n, sizeof *m.parts), .n = n};
    att_status status = m.parts ? ATT_OK : no_memory(why);

    for (size_t i = 0; i < n && status == ATT_OK; i++)
        if ((status = read_part(folders[i], &m.parts[i], why)) == ATT_OK)
            status = check_part(&m, i, mixed, why);
    if (status == ATT_OK)
        status = place(&m, why);
    if (status == ATT_OK)
        *out = m;
    else
        att_shards_drop(&m);
    return status;
}

void att_shards_drop(att_shards *m)
{
    for (size_t i = 0; m->parts && i < m->n; i++) {
        att_plan_file_drop(&m->parts[i].plan);
        att_result_clear(&m->parts[i].result);
    }
    att_plan_file_drop(&m->whole);
    free(m->parts);
    *m = (att_shards){0};
}

/* ------------------------------------------------------------------------------- records */

/* The case's record as its worker gave it; one that was not run stands in result.json alone. */
static att_status take(att_shards_part *p, size_t row, att_journal *from, att_journal *to,
                       const att_case *c, att_record *out, att_why *why)
{
    att_record *told = &p->result.records[row], base;
    bool found = false;

    if (!att_record_base(&base, c))
        return no_memory(why);
    att_status status = att_journal_get(from, c->line, &base, out, &found, why);
    if (status == ATT_OK && found) {
        status = att_journal_put(to, c->line, &base, out, why);
        out->smallest = told->smallest;
        told->smallest = NULL;
    } else if (status == ATT_OK && told->status == ATT_NOT_RUN) {
        *out = *told;
        *told = (att_record){0};
    } else if (status == ATT_OK) {
        att_why_set(why, "%.200s/run.db: '%.200s' is not in it", p->folder, c->line);
        status = ATT_CORRUPT;
    }
    att_record_clear(&base);
    return status;
}

static att_status take_part(att_shards_part *p, att_journal *to, att_registry *registry,
                            att_result *out, att_why *why)
{
    att_journal *from = NULL;
    char path[4200];

    snprintf(path, sizeof path, "%s/run.db", p->folder);
    att_status status = att_journal_read(path, p->plan.stamp, &from, why);
    for (size_t k = 0; k < p->plan.n && status == ATT_OK; k++) {
        att_record *r = &out->records[p->plan.at[k]];
        att_case *c = NULL;
        if ((status = att_case_parse(registry, p->plan.lines[k], &c, why)) == ATT_OK &&
            (status = take(p, k, from, to, c, r, why)) == ATT_OK)
            att_verdict_case(c->eval, r);
        if (c)
            att_case_drop(c);
    }
    att_journal_close(from);
    return status;
}

/* ------------------------------------------------------------------------------- the rest */

/* "a", or "a | b" where b is new to it; false: no memory. */
static bool join(char **into, const char *text)
{
    char *joined = NULL;

    if (!*into)
        return (*into = strdup(text)) != NULL;
    const size_t length = strlen(text);
    for (const char *at = *into; at; at = strstr(at, " | ") ? strstr(at, " | ") + 3 : NULL)
        if (strncmp(at, text, length) == 0 && (!at[length] || strncmp(at + length, " | ", 3) == 0))
            return true;
    if (asprintf(&joined, "%s | %s", *into, text) < 0)
        return false;
    free(*into);
    *into = joined;
    return true;
}

static bool join_facts(att_text_pair **into, size_t *n, const att_text_pair *from, size_t n_from)
{
    bool good = true;

    for (size_t i = 0; i < n_from && good; i++) {
        size_t at = 0;
        while (at < *n && strcmp((*into)[at].key, from[i].key) != 0)
            at++;
        if (at == *n) {
            att_text_pair *more = realloc(*into, (*n + 1) * sizeof *more);
            if (!more)
                return false;
            *into = more;
            more[(*n)++] = (att_text_pair){strdup(from[i].key), NULL};
        }
        good = (*into)[at].key && join(&(*into)[at].value, from[i].value);
    }
    return good;
}

/* Adds a part's kernels, sorted; CORRUPT where one declared something else in another part. */
static att_status join_kernels(att_result *out, const att_shards_part *p, att_why *why)
{
    const size_t n = p->result.n_declarations;
    att_declaration *all = calloc(out->n_declarations + n + 1, sizeof *all);
    size_t a = 0, b = 0, made = 0;
    att_status status = all ? ATT_OK : no_memory(why);

    while (status == ATT_OK && (a < out->n_declarations || b < n)) {
        const att_declaration *x = a < out->n_declarations ? &out->declarations[a] : NULL;
        const att_declaration *y = b < n ? &p->result.declarations[b] : NULL;
        const int order = !x ? 1 : !y ? -1 : strcmp(x->kernel, y->kernel);
        if (order == 0 &&
            (x->class_ != y->class_ || x->acc != y->acc || x->prob != y->prob || x->out != y->out ||
             x->margin != y->margin || x->align != y->align || x->over_read != y->over_read)) {
            char text[300];
            snprintf(text, sizeof text, "%.200s declares something else than before", y->kernel);
            status = refuse(ATT_CORRUPT, p, text, why);
        } else if (!att_declaration_copy(order <= 0 ? x : y, &all[made++]))
            status = no_memory(why);
        a += order <= 0;
        b += order >= 0;
    }
    if (status != ATT_OK) {
        att_declarations_drop(all, made);
        return status;
    }
    att_declarations_drop(out->declarations, out->n_declarations);
    out->declarations = all;
    out->n_declarations = made;
    return ATT_OK;
}

static att_status join_part(att_result *out, const att_shards_part *p, att_why *why)
{
    const att_result *r = &p->result;

    if (!join_facts(&out->tool, &out->n_tool, r->tool, r->n_tool) ||
        !join_facts(&out->env, &out->n_env, r->env, r->n_env) ||
        !join_facts(&out->inputs, &out->n_inputs, r->inputs, r->n_inputs) ||
        !join(&out->env_class, r->env_class))
        return no_memory(why);
    if (r->seconds > out->seconds)
        out->seconds = r->seconds;
    return join_kernels(out, p, why);
}

att_status att_shards_fill(att_shards *m, att_registry *registry, const char *journal,
                           att_result *out, att_why *why)
{
    att_journal *to = NULL;
    att_status status = att_journal_open(journal, false, m->whole.stamp, &to, why);

    out->records = calloc(m->whole.n + 1, sizeof *out->records);
    out->suite = strdup(m->whole.suite);
    out->plan_hash = strdup(m->whole.hash);
    out->status = strdup("complete");
    out->shard = out->shards = 1;
    if (status == ATT_OK && (!out->records || !out->suite || !out->plan_hash || !out->status))
        status = no_memory(why);
    if (out->records)
        out->n_records = m->whole.n;
    for (size_t i = 0; i < m->n && status == ATT_OK; i++) {
        status = join_part(out, &m->parts[i], why);
        if (status == ATT_OK)
            status = take_part(&m->parts[i], to, registry, out, why);
    }
    if (status == ATT_OK)
        status = att_journal_flush(to, why);
    att_journal_close(to);
    if (status == ATT_OK)
        att_verdict_run(out);
    return status;
}
