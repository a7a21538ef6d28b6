/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of its own for a test, and what lies in it. */
#ifndef ATT_FOLDER_H
#define ATT_FOLDER_H

#include <ftw.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/str.h"

/* Into dir[64]. */
static inline bool folder_make(char *dir)
{
    strcpy(dir, "/tmp/attest-reports-XXXXXX");
    return mkdtemp(dir) != NULL;
}

static inline int folder_unlink(const char *path, const struct stat *info, int type,
                                struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void folder_drop(const char *dir)
{
    nftw(dir, folder_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

/* The text of dir/name, or NULL; free() it. */
static inline char *folder_text(const char *dir, const char *name)
{
    char path[512];
    size_t n;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return att_file_read(path, 1u << 24, &n);
}

static inline bool folder_has(const char *dir, const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* How often `part` occurs in text. */
static inline size_t occurrences(const char *text, const char *part)
{
    size_t n = 0;

    for (const char *at = text; at && (at = strstr(at, part)); at += strlen(part))
        n++;
    return n;
}

/* Exit code of ci/scripts/check_run.py on dir; 77 where Python or its jsonschema is missing.  Tests
 * run from the root of the repository. */
static inline int folder_check(const char *dir, bool any)
{
    char python[] = "/usr/bin/python3", script[] = "ci/scripts/check_run.py", option[] = "--any";
    char *const argv[] = {python, script, (char *)(uintptr_t)dir, any ? option : NULL, NULL};
    pid_t child;
    int code;

    if (access(python, X_OK) != 0 || posix_spawn(&child, python, NULL, NULL, argv, environ) != 0)
        return 77;
    if (waitpid(child, &code, 0) != child)
        return 1;
    return WIFEXITED(code) ? WEXITSTATUS(code) : 1;
}

#endif
