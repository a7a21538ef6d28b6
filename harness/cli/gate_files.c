/* SPDX-License-Identifier: Apache-2.0 */
#include "gate_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"

att_status att_gate_read_run(const char *folder, att_result *out, bool *done, att_why *why)
{
    att_buf path = {0};

    att_buf_printf(&path, "%s/result.json", folder);
    att_status status = path.failed ? ATT_NO_MEMORY : att_result_read(path.data, out, why);
    path.length = 0;
    att_buf_printf(&path, "%s/DONE", folder);
    *done = !path.failed && access(path.data, F_OK) == 0;
    att_buf_drop(&path);
    return status;
}

void att_gate_baseline_path(const char *named, const att_result *result, char *out, size_t size)
{
    const char *suite = result->suite && *result->suite ? result->suite : "cases";

    if (named)
        snprintf(out, size, "%s", named);
    else
        snprintf(out, size, "ci/baselines/%s.json", suite);
}

bool att_gate_in_ci(void)
{
    const char *ci = getenv("CI");

    return ci && *ci && strcmp(ci, "false") != 0 && strcmp(ci, "0") != 0;
}
