/* SPDX-License-Identifier: Apache-2.0 */
/* Shell lines as tests ask them: $A is the program under test, and all run in one folder. */
#ifndef ATT_TESTS_SAID_H
#define ATT_TESTS_SAID_H

#include <stdarg.h>
#include <sys/wait.h>

#include "base/str.h"
#include "base/tests/room.h"
#include "base/tests/suite.h"

/* A folder below /tmp as the working directory, with $A, $ROOM (build/PROFILE) and $ROOT (the
 * sources) set; CI and NO_COLOR are not. */
static inline void said_begin(void)
{
    static char folder[] = "/tmp/att_said_XXXXXX";
    char room[PATH_MAX], path[PATH_MAX + 16];

    test_room(room);
    setenv("ROOM", room, 1);
    snprintf(path, sizeof path, "%s/attest", room);
    setenv("A", path, 1);
    if (!getcwd(path, sizeof path))
        abort();
    setenv("ROOT", path, 1);
    unsetenv("CI");
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    if (!mkdtemp(folder) || chdir(folder) != 0 || symlink(getenv("ROOT"), "root") != 0)
        abort();
}

/* Removes the folder; a main returns this of what att_suite_run returned. */
static inline int said_end(int code)
{
    char command[PATH_MAX + 16], folder[PATH_MAX];

    if (!getcwd(folder, sizeof folder) || chdir("/tmp") != 0)
        abort();
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? code : 1;
}

/* The exit code of a line for bash, -1 where a signal ended it.  *out (unless NULL): what it wrote
 * to stdout, to be freed. */
static inline int said(const char *line, char **out)
{
    char command[8192];
    size_t n = 0;

    snprintf(command, sizeof command, "exec >said 2>said.err\n%s", line);
    setenv("SAID", command, 1);
    const int status = system("bash -c \"$SAID\"");
    char *text = att_file_read("said", 1 << 24, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    if (out)
        *out = text;
    else
        free(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A line that has to end with 0; prints what it said where it does not. */
static inline void must(const char *line)
{
    char *out = NULL;
    const int code = said(line, &out);

    CU_ASSERT_EQUAL(code, 0);
    if (code != 0) {
        printf("%s\n-> %d\n%s", line, code, out);
        if (system("tail -n 20 said.err") != 0)
            puts("and its errors are lost");
    }
    free(out);
}

#endif
