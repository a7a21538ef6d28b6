/* SPDX-License-Identifier: Apache-2.0 */
/* What a smaller suite keeps of a fuller one's score: of the bugs that the fuller one caught, which
 * does this one catch too? */
#include <string.h>

#include "base/json.h"
#include "zoo.h"

#define SUMMARY_BYTES ((size_t)1 << 24)

static const att_zoo_bug *bug_named(const att_zoo_score *t, const char *name)
{
    for (size_t i = 0; i < t->n; i++)
        if (strcmp(t->bugs[i].kernel->name, name) == 0)
            return &t->bugs[i];
    return NULL;
}

att_status att_zoo_kept_read(const char *path, const att_zoo_score *t, att_zoo_kept *out,
                             att_why *why)
{
    cJSON *json = NULL;
    const cJSON *row;
    att_status status = att_json_read(path, SUMMARY_BYTES, &json, why);

    *out = (att_zoo_kept){.path = path};
    if (status != ATT_OK)
        return status;
    const cJSON *rows = att_json_get(json, "rows");
    if (!cJSON_IsArray(rows)) {
        att_why_set(why, "%s: not what `attest zoo --json` prints: it has no rows", path);
        status = ATT_CORRUPT;
    }
    cJSON_ArrayForEach(row, rows)
    {
        const char *id = NULL;
        const att_zoo_bug *bug = att_json_text(row, "id", &id) ? bug_named(t, id) : NULL;
        if (!bug || !cJSON_IsTrue(att_json_get(row, "caught")))
            continue; /* not asked here, or not caught there */
        out->caught++;
        if (bug->failed)
            out->kept++;
        else if (out->lost < ATT_ZOO_LOST)
            out->names[out->lost++] = bug->kernel->name;
    }
    cJSON_Delete(json);
    return status;
}

double att_zoo_kept_share(const att_zoo_kept *k)
{
    return k->caught ? (double)k->kept / (double)k->caught : (double)NAN;
}

void att_zoo_kept_print(const att_zoo_kept *k, bool json)
{
    if (json) {
        fputs(",\"against\":{\"file\":", stdout);
        att_json_put_text(stdout, k->path);
        printf(",\"caught\":%zu,\"kept\":%zu,\"share\":", k->caught, k->kept);
        att_json_put_real(stdout, att_zoo_kept_share(k));
        fputs(",\"lost\":[", stdout);
    } else {
        printf("of %zu bugs that %s caught, %zu are caught here: a share of %.3f", k->caught,
               k->path, k->kept, att_zoo_kept_share(k));
    }
    for (size_t i = 0; i < k->lost; i++)
        printf(json ? "%s\"%s\"" : "%s%s",
               i      ? json ? "," : " "
               : json ? ""
                      : "; lost: ",
               k->names[i]);
    fputs(json ? "]}" : "\n", stdout);
}
