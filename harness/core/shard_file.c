/* SPDX-License-Identifier: Apache-2.0 */
/* plan.json: written before the first case, read when a run goes on and when shards are merged. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "core/shard.h"

#define LARGEST_FILE ((size_t)1 << 28)
#define LARGEST_PLAN ((int64_t)1 << 31)

static att_status no_memory(att_why *why)
{
    att_why_set(why, "no memory for a plan's file");
    return ATT_NO_MEMORY;
}

static bool make_room(att_plan_file *file, size_t n)
{
    file->lines = calloc(n + 1, sizeof *file->lines);
    file->at = calloc(n + 1, sizeof *file->at);
    return file->lines && file->at;
}

/* Adds a line that room was made for. */
static bool add(att_plan_file *file, const char *line, size_t at)
{
    file->at[file->n] = at;
    return (file->lines[file->n] = strdup(line)) && ++file->n;
}

att_status att_plan_file_of(const att_run_plan *plan, const att_cut *cut, int64_t shard,
                            const char *stamp, att_plan_file *out, att_why *why)
{
    att_plan_file file = {.suite = strdup(plan->suite ? plan->suite : ""),
                          .stamp = strdup(stamp),
                          .shard = shard,
                          .of = cut->of,
                          .whole = plan->n};
    bool good = file.suite && file.stamp && make_room(&file, plan->n);

    memcpy(file.hash, plan->hash, sizeof file.hash);
    for (size_t i = 0; i < plan->n && good; i++)
        if (cut->home[i] == shard)
            good = add(&file, plan->cases[i].c->line, i);
    if (good)
        *out = file;
    else
        att_plan_file_drop(&file);
    return good ? ATT_OK : no_memory(why);
}

static void print(const att_plan_file *p, FILE *f)
{
    fputs("{\"at\": [", f);
    for (size_t i = 0; i < p->n; i++)
        fprintf(f, "%s%zu", i ? "," : "", p->at[i]);
    fputs("],\n\"cases\": [\n", f);
    for (size_t i = 0; i < p->n; i++) {
        att_json_put_text(f, p->lines[i]);
        fputs(i + 1 < p->n ? ",\n" : "\n", f);
    }
    fprintf(f,
            "],\n\"hash\": \"%s\",\n\"of_cases\": %zu,\n\"schema_version\": 1,\n\"shard\": "
            "{\"index\": %" PRId64 ", \"of\": %" PRId64 "},\n\"stamp\": ",
            p->hash, p->whole, p->shard, p->of);
    att_json_put_text(f, p->stamp);
    fputs(",\n\"suite\": ", f);
    att_json_put_text(f, p->suite);
    fputs("\n}\n", f);
}

att_status att_plan_file_write(const att_plan_file *file, const char *path, att_why *why)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);

    if (!f)
        return no_memory(why);
    print(file, f);
    const bool good = fclose(f) == 0 && att_file_write(path, text, length);
    if (!good)
        att_why_set(why, "%s: can't be written: %s", path, strerror(errno));
    free(text);
    return good ? ATT_OK : ATT_IO;
}

static att_status wrong(const char *path, const char *what, att_why *why)
{
    att_why_set(why, "%s: %s", path, what);
    return ATT_CORRUPT;
}

/* Lines and places, of which each is past the one before it. */
static att_status lists(const cJSON *root, const char *path, att_plan_file *out, att_why *why)
{
    const cJSON *cases = att_json_get(root, "cases"), *at = att_json_get(root, "at");
    double place = 0, last = -1;

    if (!cJSON_IsArray(cases) || !cJSON_IsArray(at) ||
        cJSON_GetArraySize(cases) != cJSON_GetArraySize(at))
        return wrong(path, "cases and at are not two lists of one length", why);
    if (!make_room(out, (size_t)cJSON_GetArraySize(cases)))
        return no_memory(why);
    for (const cJSON *c = cases->child, *a = at->child; c; c = c->next, a = a->next) {
        if (!cJSON_IsString(c) || !att_json_number(a, &place) || !(place > last) ||
            place >= (double)out->whole)
            return wrong(path, "a case without its line or its place", why);
        if (!add(out, c->valuestring, (size_t)place))
            return no_memory(why);
        last = place;
    }
    return ATT_OK;
}

static att_status parse(const cJSON *root, const char *path, att_plan_file *out, att_why *why)
{
    const cJSON *shard = att_json_get(root, "shard");
    const char *hash, *suite, *stamp;
    int64_t version = 0, whole = -1;

    if (!att_json_int(root, "schema_version", &version) || version != 1 ||
        !att_json_text(root, "hash", &hash) || !att_json_text(root, "stamp", &stamp) ||
        !att_json_text(root, "suite", &suite) || !att_json_int(root, "of_cases", &whole) ||
        whole < 0 || whole > LARGEST_PLAN)
        return wrong(path, "no plan of this version of attest", why);
    if (!att_json_int(shard, "of", &out->of) || out->of < 1 || out->of > ATT_SHARDS_MOST ||
        !att_json_int(shard, "index", &out->shard) || out->shard < 1 || out->shard > out->of)
        return wrong(path, "shard is not {index, of}", why);
    out->whole = (size_t)whole;
    snprintf(out->hash, sizeof out->hash, "%s", hash);
    out->suite = strdup(suite);
    out->stamp = strdup(stamp);
    return out->suite && out->stamp ? lists(root, path, out, why) : no_memory(why);
}

att_status att_plan_file_read(const char *path, att_plan_file *out, att_why *why)
{
    att_plan_file file = {0};
    cJSON *root = NULL;
    att_status status = att_json_read(path, LARGEST_FILE, &root, why);

    if (status != ATT_OK)
        return status;
    status = parse(root, path, &file, why);
    cJSON_Delete(root);
    if (status == ATT_OK)
        *out = file;
    else
        att_plan_file_drop(&file);
    return status;
}

bool att_plan_file_same(const att_plan_file *a, const att_plan_file *b)
{
    bool same = strcmp(a->hash, b->hash) == 0 && a->shard == b->shard && a->of == b->of &&
                a->whole == b->whole && a->n == b->n;

    for (size_t i = 0; i < a->n && same; i++)
        same = a->at[i] == b->at[i] && strcmp(a->lines[i], b->lines[i]) == 0;
    return same;
}

void att_plan_file_drop(att_plan_file *file)
{
    for (size_t i = 0; i < file->n; i++)
        free(file->lines[i]);
    free(file->lines);
    free(file->at);
    free(file->suite);
    free(file->stamp);
    *file = (att_plan_file){0};
}
