/* SPDX-License-Identifier: Apache-2.0 */
/* plan.json: written before the first case, read when a run goes on and when shards are merged. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/str.h"
#include "core/shard.h"

#define LARGEST_FILE ((size_t)1 << 28)

att_status att_plan_file_write(const att_run_plan *plan, const att_cut *cut, int64_t shard,
                               const char *stamp, const char *path, att_why *why)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    bool good = false;

    if (f) {
        fputs("{\"cases\": [\n", f);
        for (size_t i = 0; i < plan->n; i++) {
            att_json_put_text(f, plan->cases[i].c->line);
            fputs(i + 1 < plan->n ? ",\n" : "\n", f);
        }
        fprintf(f, "],\n\"hash\": \"%s\",\n\"homes\": [", plan->hash);
        for (size_t i = 0; i < cut->n; i++)
            fprintf(f, "%s%" PRId64, i ? "," : "", cut->home[i]);
        fprintf(f,
                "],\n\"schema_version\": 1,\n\"shard\": {\"index\": %" PRId64 ", \"of\": %" PRId64
                "},\n\"stamp\": ",
                shard, cut->of);
        att_json_put_text(f, stamp);
        fputs(",\n\"suite\": ", f);
        att_json_put_text(f, plan->suite ? plan->suite : "");
        fputs("\n}\n", f);
        good = fclose(f) == 0 && att_file_write(path, text, length);
    }
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

static att_status lists(const cJSON *root, const char *path, att_plan_file *out, att_why *why)
{
    const cJSON *cases = att_json_get(root, "cases"), *homes = att_json_get(root, "homes");
    const cJSON *shard = att_json_get(root, "shard");
    att_buf text = {0};
    char hash[17];
    double home = 0;

    if (!cJSON_IsArray(cases) || !cJSON_IsArray(homes) ||
        cJSON_GetArraySize(cases) != cJSON_GetArraySize(homes))
        return wrong(path, "cases and homes are not two lists of one length", why);
    if (!att_json_int(shard, "of", &out->cut.of) || out->cut.of < 1 ||
        out->cut.of > ATT_SHARDS_MOST || !att_json_int(shard, "index", &out->shard) ||
        out->shard < 1 || out->shard > out->cut.of)
        return wrong(path, "shard is not {index, of}", why);
    const size_t n = (size_t)cJSON_GetArraySize(cases);
    out->lines = calloc(n + 1, sizeof *out->lines);
    out->cut.home = calloc(n + 1, sizeof *out->cut.home);
    if (!out->lines || !out->cut.home) {
        att_why_set(why, "%s: no memory", path);
        return ATT_NO_MEMORY;
    }
    for (const cJSON *c = cases->child, *h = homes->child; c; c = c->next, h = h->next) {
        if (!cJSON_IsString(c) || !att_json_number(h, &home) || !(home >= 1) ||
            home > (double)out->cut.of) {
            att_buf_drop(&text);
            return wrong(path, "a case without its line or its shard", why);
        }
        out->cut.home[out->cut.n] = (int64_t)home;
        out->lines[out->cut.n++] = strdup(c->valuestring);
        att_buf_puts(&text, c->valuestring);
        att_buf_puts(&text, "\n");
    }
    snprintf(hash, sizeof hash, "%016" PRIx64, att_hash64(text.data ? text.data : "", text.length));
    att_buf_drop(&text);
    return strcmp(hash, out->hash) == 0 ? ATT_OK
                                        : wrong(path, "the hash is not that of its lines", why);
}

att_status att_plan_file_read(const char *path, att_plan_file *out, att_why *why)
{
    const char *hash = "", *suite = "", *stamp = "";
    att_plan_file file = {0};
    cJSON *root = NULL;
    int64_t version = 0;
    att_status status = att_json_read(path, LARGEST_FILE, &root, why);

    if (status != ATT_OK)
        return status;
    if (!att_json_int(root, "schema_version", &version) || version != 1 ||
        !att_json_text(root, "hash", &hash) || !att_json_text(root, "stamp", &stamp) ||
        !att_json_text(root, "suite", &suite))
        status = wrong(path, "no plan of this version of attest", why);
    snprintf(file.hash, sizeof file.hash, "%s", hash);
    file.suite = strdup(suite);
    file.stamp = strdup(stamp);
    if (status == ATT_OK && (!file.suite || !file.stamp))
        status = ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = lists(root, path, &file, why);
    cJSON_Delete(root);
    if (status == ATT_OK)
        *out = file;
    else
        att_plan_file_drop(&file);
    return status;
}

void att_plan_file_drop(att_plan_file *file)
{
    for (size_t i = 0; file->lines && i < file->cut.n; i++)
        free(file->lines[i]);
    free(file->lines);
    free(file->suite);
    free(file->stamp);
    att_cut_drop(&file->cut);
    *file = (att_plan_file){0};
}
