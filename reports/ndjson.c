/* SPDX-License-Identifier: Apache-2.0 */
/* cases.ndjson: one case a line, the objects that result.json holds under "cases". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/record.h"
#include "core/writer.h"

extern const att_writer att_writer_ndjson;

static att_status write_ndjson(const att_result *result, const char *dir, att_why *why)
{
    att_buf path = {0};
    char *text = NULL;
    size_t size = 0;
    att_status status = ATT_NO_MEMORY;
    FILE *f = open_memstream(&text, &size);

    att_buf_printf(&path, "%s/%s", dir, att_writer_ndjson.file);
    if (!f || path.failed)
        goto done;
    for (size_t i = 0; i < result->n_records; i++) {
        att_record_print(&result->records[i], f);
        putc('\n', f);
    }
    bool whole = !ferror(f);
    whole &= fclose(f) == 0;
    f = NULL;
    if (!whole)
        goto done;
    status = att_file_write(path.data, text, size) ? ATT_OK : ATT_IO;
    if (status == ATT_IO)
        att_why_set(why, "%s: %s", path.data, strerror(errno));
done:
    if (f)
        fclose(f);
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "%s/%s: out of memory", dir, att_writer_ndjson.file);
    free(text);
    att_buf_drop(&path);
    return status;
}

const att_writer att_writer_ndjson = {
    .name = "ndjson", .file = "cases.ndjson", .asked = true, .write = write_ndjson};
