/* SPDX-License-Identifier: Apache-2.0 */
/* Where a test was built, for those that run the program beside it. */
#ifndef ATT_TESTS_ROOM_H
#define ATT_TESTS_ROOM_H

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* build/PROFILE as an absolute path: `attest` lies in it, this test as deep as its source.  Aborts
 * where the test was moved elsewhere. */
static inline void test_room(char room[PATH_MAX])
{
    const ssize_t n = readlink("/proc/self/exe", room, PATH_MAX - 1);
    char *at = NULL;

    room[n > 0 ? n : 0] = '\0';
    for (char *next = room; (next = strstr(next, "/build/")); next++)
        at = next;
    if (!at) {
        fprintf(stderr, "%s: not below build/\n", room);
        abort();
    }
    at += strlen("/build/");
    at[strcspn(at, "/")] = '\0';
}

#endif
