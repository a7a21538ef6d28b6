/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "core/env.h"

#define SUFFIX ".json"

static int is_suite(const struct dirent *entry)
{
    const size_t n = strlen(entry->d_name), suffix = strlen(SUFFIX);

    return n > suffix && strcmp(entry->d_name + n - suffix, SUFFIX) == 0;
}

att_status att_suites_find(att_suites *out, att_why *why)
{
    struct dirent **entries = NULL;

    *out = (att_suites){.n = 0};
    att_env_find(ATT_SUITES, out->folder, sizeof out->folder);
    const int n = scandir(out->folder, &entries, is_suite, alphasort);
    if (n < 0) {
        att_why_set(why, "%s: %s", out->folder, strerror(errno));
        return ATT_IO;
    }
    out->name = calloc((size_t)n + 1, sizeof *out->name);
    for (int i = 0; i < n; i++) {
        const char *file = entries[i]->d_name;
        if (out->name && (out->name[out->n] = strndup(file, strlen(file) - strlen(SUFFIX))))
            out->n++;
        free(entries[i]);
    }
    free(entries);
    if (out->n == (size_t)n && out->name)
        return ATT_OK;
    att_why_set(why, "no memory for the names of suites");
    return ATT_NO_MEMORY;
}

void att_suites_drop(att_suites *suites)
{
    for (size_t i = 0; i < suites->n; i++)
        free(suites->name[i]);
    free(suites->name);
    *suites = (att_suites){.n = 0};
}

att_status att_suites_path(const char *suite, char *out, size_t size, att_why *why)
{
    char named[4096];
    const char *nearest = NULL;
    size_t best = SIZE_MAX;
    att_suites all;

    if (strchr(suite, '/')) {
        snprintf(out, size, "%s", suite);
        return ATT_OK;
    }
    snprintf(named, sizeof named, ATT_SUITES "/%s" SUFFIX, suite);
    att_env_find(named, out, size);
    if (access(out, F_OK) == 0)
        return ATT_OK;
    att_status status = att_suites_find(&all, why);
    for (size_t i = 0; i < all.n; i++) {
        const size_t d = att_str_distance(all.name[i], suite);
        if (d < best) {
            best = d;
            nearest = all.name[i];
        }
    }
    if (status == ATT_OK) {
        att_why_set(why, nearest ? "unknown suite %s; the nearest is %s" : "unknown suite %s",
                    suite, nearest ? nearest : "");
        status = ATT_INVALID;
    }
    att_suites_drop(&all);
    return status;
}
