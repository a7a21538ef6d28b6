/* SPDX-License-Identifier: Apache-2.0 */
#include "run_folder.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

att_status att_run_folder_make(const char *base, const char *hash, char *out, size_t size,
                               att_why *why)
{
    char stamp[17];

    att_clock_stamp(stamp);
    if (mkdir(base, 0777) != 0 && errno != EEXIST) {
        att_why_set(why, "%s: can't be made: %s", base, strerror(errno));
        return ATT_IO;
    }
    snprintf(out, size, "%s/%s-%.8s", base, stamp, hash);
    for (int i = 2; mkdir(out, 0777) != 0; i++) {
        if (errno != EEXIST || i > 99) {
            att_why_set(why, "%s: can't be made: %s", out, strerror(errno));
            return ATT_IO;
        }
        snprintf(out, size, "%s/%s-%.8s-%d", base, stamp, hash, i);
    }
    return ATT_OK;
}

void att_run_folder_latest(const char *base, const char *folder)
{
    char link[4200], temporary[4300];

    snprintf(link, sizeof link, "%s/latest", base);
    snprintf(temporary, sizeof temporary, "%s.%ld", link, (long)getpid());
    if (symlink(folder + strlen(base) + 1, temporary) != 0 || rename(temporary, link) != 0)
        unlink(temporary);
}

att_status att_run_folder_fill(const att_cli *cli, const att_result *result, const char *folder,
                               att_why *why)
{
    char path[4200];

    snprintf(path, sizeof path, "%s/result.json", folder);
    att_status status = att_result_write(result, path, why);
    for (const att_writer *const *w = cli->writers; *w && status == ATT_OK; w++) {
        if ((*w)->asked)
            continue;
        att_why inner = {""};
        att_status one = (*w)->write(result, folder, &inner);
        if (one == ATT_UNSUPPORTED)
            fprintf(stderr, "attest: %s is left out: %s\n", (*w)->file, inner.text);
        else if ((status = one) != ATT_OK)
            *why = inner;
    }
    if (status == ATT_OK) {
        snprintf(path, sizeof path, "%s/DONE", folder);
        if (!att_file_write(path, "", 0)) {
            att_why_set(why, "%s: %s", path, strerror(errno));
            status = ATT_IO;
        }
    }
    return status;
}
