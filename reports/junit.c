/* SPDX-License-Identifier: Apache-2.0 */
/* JUnit XML: one testsuite a measure and kernel, one testcase a case.
 *
 *   fail -> failure · error, crash, timeout -> error · unsupported, no power, inconclusive,
 *   not run -> skipped with the reason.  Every failing case carries its repro line.
 *
 * Source: the attributes that Jenkins, GitLab and GitHub's reporters read (testsuites, testsuite,
 * testcase, failure, error, skipped). */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "core/writer.h"
#include "reports/escape.h"

extern const att_writer att_writer_junit;

static const char *element_of(att_outcome outcome)
{
    static const char *const element[ATT_OUTCOMES] = {
        [ATT_FAIL] = "failure",     [ATT_ERROR] = "error",         [ATT_CRASH] = "error",
        [ATT_TIMEOUT] = "error",    [ATT_NOT_RUN] = "skipped",     [ATT_HOLE] = "skipped",
        [ATT_NO_POWER] = "skipped", [ATT_INCONCLUSIVE] = "skipped"};
    return element[outcome];
}

static void put_attribute(att_buf *out, const char *name, const char *value)
{
    att_buf_printf(out, " %s=\"", name);
    att_xml_put(out, value ? value : "");
    att_buf_puts(out, "\"");
}

/* One line that says what is wrong: the first violated metric, or the reason. */
static void put_message(att_buf *out, const att_record *r)
{
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *m = &r->metrics[i];
        if (m->verdict != 0)
            continue;
        att_buf_printf(out, "%s = %.6g, limit %.6g", m->name, m->value, m->limit);
        break;
    }
    if (r->reason && *r->reason)
        att_buf_printf(out, "%s%s", out->length ? "; " : "", r->reason);
    if (r->signal)
        att_buf_printf(out, "%ssignal %d", out->length ? "; " : "", r->signal);
    if (out->length == 0)
        att_buf_puts(out, att_outcome_name(r->status));
}

/* Every violated metric, every diagnosis, and the line that repeats the case. */
static void put_details(att_buf *out, const att_record *r)
{
    for (size_t i = 0; i < r->n_metrics; i++) {
        const att_metric *m = &r->metrics[i];
        if (m->verdict == 0)
            att_buf_printf(out, "%s = %.17g %s, limit %.17g\n", m->name, m->value,
                           m->unit ? m->unit : "", m->limit);
    }
    for (size_t i = 0; i < r->n_diagnoses; i++) {
        char line[512];
        if (att_diagnosis_repeats(r, i))
            continue;
        att_diagnosis_line(&r->diagnoses[i], line, sizeof line);
        att_buf_printf(out, "%s\n", line);
    }
    att_buf_puts(out, "attest repro ");
    att_shell_put(out, r->line);
    att_buf_puts(out, "\n");
    if (r->smallest) {
        att_buf_puts(out, "smallest case that fails alike: attest repro ");
        att_shell_put(out, r->smallest);
        att_buf_puts(out, "\n");
    }
}

static void put_case(att_buf *out, const att_record *r)
{
    const char *element = element_of(r->status);
    att_buf text = {0}, message = {0};

    att_buf_puts(out, "    <testcase");
    put_attribute(out, "classname", r->measure);
    put_attribute(out, "name", r->line);
    att_buf_printf(out, " time=\"%.6f\"", isfinite(r->seconds) ? r->seconds : 0.0);
    if (!element) {
        att_buf_puts(out, "/>\n");
        return;
    }
    put_message(&message, r);
    att_buf_printf(out, ">\n      <%s", element);
    put_attribute(out, "message", message.data);
    if (strcmp(element, "skipped") == 0) {
        att_buf_puts(out, "/>\n    </testcase>\n");
    } else {
        put_details(&text, r);
        put_attribute(out, "type", att_outcome_name(r->status));
        att_buf_puts(out, ">");
        att_xml_put(out, text.data ? text.data : "");
        att_buf_printf(out, "</%s>\n    </testcase>\n", element);
    }
    out->failed |= text.failed || message.failed;
    att_buf_drop(&text);
    att_buf_drop(&message);
}

typedef struct totals {
    size_t tests, failures, errors, skipped;
    double seconds;
} totals;

static void add(totals *t, const att_record *r)
{
    const char *element = element_of(r->status);

    t->tests++;
    t->failures += element && strcmp(element, "failure") == 0;
    t->errors += element && strcmp(element, "error") == 0;
    t->skipped += element && strcmp(element, "skipped") == 0;
    t->seconds += isfinite(r->seconds) ? r->seconds : 0.0;
}

static void put_totals(att_buf *out, const totals *t)
{
    att_buf_printf(out,
                   " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.6f\"",
                   t->tests, t->failures, t->errors, t->skipped, t->seconds);
}

/* By measure, then kernel, then plan order. */
static int order_records(const void *a, const void *b)
{
    const att_record *x = *(const att_record *const *)a, *y = *(const att_record *const *)b;
    int c = strcmp(x->measure, y->measure);

    if (c == 0)
        c = strcmp(x->kernel, y->kernel);
    return c ? c : (x > y) - (x < y);
}

static bool same_suite(const att_record *a, const att_record *b)
{
    return strcmp(a->measure, b->measure) == 0 && strcmp(a->kernel, b->kernel) == 0;
}

/* The records [from, to) are one testsuite. */
static void put_suite(att_buf *out, const att_record **records, size_t from, size_t to)
{
    totals sum = {0};
    att_buf name = {0};

    for (size_t i = from; i < to; i++)
        add(&sum, records[i]);
    att_buf_printf(&name, "%s %s", records[from]->measure, records[from]->kernel);
    att_buf_puts(out, "  <testsuite");
    put_attribute(out, "name", name.data);
    put_totals(out, &sum);
    att_buf_puts(out, ">\n");
    for (size_t i = from; i < to; i++)
        put_case(out, records[i]);
    att_buf_puts(out, "  </testsuite>\n");
    out->failed |= name.failed;
    att_buf_drop(&name);
}

static att_status write_junit(const att_result *result, const char *dir, att_why *why)
{
    att_status status = ATT_NO_MEMORY;
    size_t n = result->n_records;
    att_buf out = {0}, path = {0};
    totals sum = {0};
    const att_record **records = calloc(n ? n : 1, sizeof *records);

    if (!records)
        goto done;
    for (size_t i = 0; i < n; i++) {
        records[i] = &result->records[i];
        add(&sum, records[i]);
    }
    qsort(records, n, sizeof *records, order_records);
    att_buf_puts(&out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"attest\"");
    put_totals(&out, &sum);
    att_buf_puts(&out, ">\n");
    for (size_t i = 0, next; i < n; i = next) {
        for (next = i + 1; next < n && same_suite(records[i], records[next]); next++)
            ;
        put_suite(&out, records, i, next);
    }
    att_buf_puts(&out, "</testsuites>\n");
    att_buf_printf(&path, "%s/%s", dir, att_writer_junit.file);
    if (out.failed || path.failed)
        goto done;
    status = att_file_write(path.data, out.data, out.length) ? ATT_OK : ATT_IO;
    if (status == ATT_IO)
        att_why_set(why, "%s: %s", path.data, strerror(errno));
done:
    if (status == ATT_NO_MEMORY)
        att_why_set(why, "%s/%s: out of memory", dir, att_writer_junit.file);
    att_buf_drop(&path);
    att_buf_drop(&out);
    free(records);
    return status;
}

const att_writer att_writer_junit = {.name = "junit", .file = "junit.xml", .write = write_junit};
