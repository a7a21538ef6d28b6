/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define LARGEST ((size_t)4 << 20)

static int is_suite(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0;
}

att_status att_suites_list(char ***names, size_t *n, att_why *why)
{
    struct dirent **found = NULL;
    int count = scandir(ATT_SUITES_FOLDER, &found, is_suite, alphasort);

    if (count < 0) {
        att_why_set(why, "%s: %s", ATT_SUITES_FOLDER, strerror(errno));
        return ATT_IO;
    }
    char **list = calloc((size_t)count + 1, sizeof *list);
    bool good = list != NULL;
    for (int i = 0; i < count; i++) {
        if (list)
            list[i] = strndup(found[i]->d_name, strlen(found[i]->d_name) - 5);
        good = good && list[i];
        free(found[i]);
    }
    free(found);
    if (!good) {
        for (int i = 0; list && i < count; i++)
            free(list[i]);
        free(list);
        att_why_set(why, "%s: no memory", ATT_SUITES_FOLDER);
        return ATT_NO_MEMORY;
    }
    *names = list;
    *n = (size_t)count;
    return ATT_OK;
}

att_status att_suites_read(const char *name, cJSON **json, att_why *why)
{
    att_buf path = {0};

    att_buf_printf(&path, "%s/%s.json", ATT_SUITES_FOLDER, name);
    att_status status = ATT_NO_MEMORY;
    if (path.failed)
        att_why_set(why, "%s: no memory", name);
    else
        status = att_json_read(path.data, LARGEST, json, why);
    if (status == ATT_OK && !cJSON_IsArray(att_json_get(*json, "rows"))) {
        att_why_set(why, "%s: \"rows\" is not an array", path.data);
        cJSON_Delete(*json);
        *json = NULL;
        status = ATT_CORRUPT;
    }
    att_buf_drop(&path);
    return status;
}
