/* SPDX-License-Identifier: Apache-2.0 */
/* Case lines kept in a text file: what failed elsewhere, a list to be timed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "plan.h"

#define LIST_LIMIT ((size_t)64 << 20)

att_status att_plan_add_list(att_run_plan *plan, att_registry *r, const char *path, att_why *why)
{
    size_t length = 0, number = 1;
    att_status status = ATT_OK;
    char *text = att_file_read(path, LIST_LIMIT, &length);

    if (!text) {
        att_why_set(why, "%s: %s", path, strerror(errno));
        return ATT_IO;
    }
    if (memchr(text, '\0', length)) {
        att_why_set(why, "%s: a NUL byte: this is no text", path);
        status = ATT_CORRUPT;
    }
    for (char *line = text, *next; line && status == ATT_OK; line = next, number++) {
        next = strchr(line, '\n');
        if (next)
            *next++ = '\0';
        size_t end = strlen(line);
        while (end && (line[end - 1] == ' ' || line[end - 1] == '\r' || line[end - 1] == '\t'))
            line[--end] = '\0';
        if (!end || *line == '#')
            continue;
        att_why inner = {""};
        status = att_plan_add_line(plan, r, line, &inner);
        if (status != ATT_OK)
            att_why_set(why, "%s:%zu: %s", path, number, inner.text);
    }
    free(text);
    return status;
}
