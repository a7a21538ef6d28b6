/* SPDX-License-Identifier: Apache-2.0 */
/* cases.csv: one case a line, for spreadsheets and data frames.  Quoting by RFC 4180 (lines end in
 * CRLF).  Text that a spreadsheet would run as a formula (it begins with = + - @, a tab or a
 * carriage return) has a ' before it; numbers are left as they are. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "core/names.h"
#include "core/writer.h"
#include "reports/escape.h"
#include "reports/sheet.h"
#include "reports/standing.h"

extern const att_writer att_writer_csv;

static void put_text(att_buf *out, const char *text)
{
    att_csv_put(out, text ? text : "");
    att_buf_puts(out, ",");
}

static void put_real(att_buf *out, double x)
{
    if (!isnan(x))
        att_buf_printf(out, "%.17g", x);
    att_buf_puts(out, ",");
}

static void put_case(att_buf *out, const att_record *r)
{
    const att_metric *metric = att_record_violated(r);
    const att_diagnosis *named = att_record_named(r);
    size_t hits = 0;

    for (size_t i = 0; i < r->n_items; i++)
        hits += r->items[i].hit != 0;
    put_text(out, att_outcome_name(r->status));
    put_text(out, r->measure);
    put_text(out, r->kernel);
    put_text(out, r->family);
    put_text(out, att_class_name(r->class_));
    put_text(out, r->params);
    att_buf_printf(out, "%" PRIu64 ",", r->seed);
    put_real(out, att_record_length(r));
    att_buf_printf(out, "%zu,%zu,", r->n_items, hits);
    put_real(out, r->chance);
    put_text(out, metric ? metric->name : "");
    put_real(out, metric ? metric->value : NAN);
    put_real(out, metric ? metric->limit : NAN);
    put_text(out, named ? named->fault : "");
    put_text(out, r->reason);
    put_real(out, r->seconds);
    att_buf_printf(out, "%" PRId64 ",", r->peak_bytes);
    att_csv_put(out, r->line ? r->line : "");
    att_buf_puts(out, "\r\n");
}

static att_status write_csv(const att_result *result, const char *dir, att_why *why)
{
    att_buf out = {0}, path = {0};
    att_status status = ATT_OK;

    att_buf_puts(&out, "status,measure,kernel,family,class,params,seed,length,items,hits,chance,"
                       "violated,value,limit,diagnosis,reason,seconds,peak_bytes,case\r\n");
    for (size_t i = 0; i < result->n_records; i++)
        put_case(&out, &result->records[i]);
    att_buf_printf(&path, "%s/%s", dir, att_writer_csv.file);
    if (out.failed || path.failed) {
        status = ATT_NO_MEMORY;
        att_why_set(why, "%s/%s: out of memory", dir, att_writer_csv.file);
    } else if (!att_file_write(path.data, out.data, out.length)) {
        status = ATT_IO;
        att_why_set(why, "%s: %s", path.data, strerror(errno));
    }
    att_buf_drop(&path);
    att_buf_drop(&out);
    return status;
}

const att_writer att_writer_csv = {
    .name = "csv", .file = "cases.csv", .asked = true, .write = write_csv};
