/* SPDX-License-Identifier: Apache-2.0 */
/* report.html: one file without network or build step.  The verdict first, then what failed by
 * cause with the line that repeats it, then the variants, probes and numbers, and each case that is
 * neither passed nor unsupported.  It is read without JavaScript as well: html.js filters, sorts
 * and copies.  Below 5 MB: passed cases are counts, and what is left out is said. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/names.h"
#include "core/writer.h"
#include "reports/escape.h"
#include "reports/html.h"

#define MOST_CASES  2000u
#define MOST_CAUSES 400u

extern const char _binary_reports_html_css_start[], _binary_reports_html_css_end[];
extern const char _binary_reports_html_js_start[], _binary_reports_html_js_end[];
extern const att_writer att_writer_html;

bool att_html_room(const att_buf *out)
{
    return out->length < ATT_HTML_MOST_BYTES;
}

void att_html_data(att_buf *out, const char *name, const char *value)
{
    if (!value)
        return;
    att_buf_printf(out, " data-%s=\"", name);
    att_xml_put(out, value);
    att_buf_puts(out, "\"");
}

void att_html_cell(att_buf *out, const char *text)
{
    att_buf_puts(out, "<td>");
    att_xml_put(out, text ? text : "");
}

void att_html_table(att_buf *out, const char *caption, const char *heads)
{
    att_buf_puts(out, "<div class=scroll tabindex=0 role=region aria-label=\"");
    att_xml_put(out, caption);
    att_buf_puts(out, "\"><table><caption>");
    att_xml_put(out, caption);
    att_buf_puts(out, "</caption><thead><tr>");
    for (const char *at = heads; *at;) {
        size_t n = strcspn(at, "|");
        bool number = *at == '#';
        att_buf_printf(out, "<th scope=col%s>%.*s", number ? " class=n" : "", (int)n - number,
                       at + number);
        at += n + (at[n] == '|');
    }
    att_buf_puts(out, "</thead><tbody>\n");
}

void att_html_table_end(att_buf *out)
{
    att_buf_puts(out, "</tbody></table></div>\n");
}

static void put_length(char *text, size_t size, const att_record *r)
{
    double length = att_record_length(r);

    snprintf(text, size, isnan(length) ? "" : "%.0f", length);
}

static void put_tags(att_buf *out, const att_record *r, const char *task)
{
    char length[32];

    put_length(length, sizeof length, r);
    att_html_data(out, "variant", r->kernel);
    att_html_data(out, "task", task);
    att_html_data(out, "length", *length ? length : NULL);
    att_html_data(out, "verdict", att_outcome_name(r->status));
}

static void put_repro(att_buf *out, const att_record *r)
{
    att_buf line = {0};

    att_buf_puts(&line, "attest repro ");
    att_shell_put(&line, r->smallest ? r->smallest : r->line);
    att_buf_puts(out, "<code class=repro>");
    att_xml_put(out, line.data ? line.data : "");
    att_buf_puts(out, "</code>");
    out->failed |= line.failed;
    att_buf_drop(&line);
}

/* ------------------------------------------------------------------------------ verdict */

static void put_head(att_buf *out, const att_result *result, const att_sheet *sheet)
{
    att_buf line = {0};

    att_sheet_headline(result, sheet, &line);
    att_buf_puts(out, "<!DOCTYPE html>\n<html lang=en><head><meta charset=utf-8>\n"
                      "<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; "
                      "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:\">\n"
                      "<meta name=viewport content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=color-scheme content=\"light dark\">\n"
                      "<link rel=icon href=\"data:,\"><title>attest: ");
    att_xml_put(out, line.data ? line.data : "");
    att_buf_puts(out, "</title>\n<style>\n");
    att_buf_add(out, _binary_reports_html_css_start,
                (size_t)(_binary_reports_html_css_end - _binary_reports_html_css_start));
    att_buf_printf(out,
                   "</style></head><body>\n<a class=skip href=\"#main\">Skip to the result</a>\n"
                   "<header><h1 class=%s>",
                   sheet->n_causes > 0 ? "bad" : "plain");
    att_xml_put(out, line.data ? line.data : "");
    att_buf_puts(out, "</h1><p>Run <code>");
    att_xml_put(out, result->run_id ? result->run_id : "?");
    att_buf_puts(out, "</code>, suite <code>");
    att_xml_put(out, result->suite ? result->suite : "?");
    att_buf_printf(out, "</code>, shard %lld of %lld, %.0f s, ", (long long)result->shard,
                   (long long)result->shards, result->seconds);
    att_xml_put(out, result->status ? result->status : "?");
    att_buf_puts(out, ".</p><dl class=counts>");
    for (int o = 0; o < ATT_OUTCOMES; o++)
        att_buf_printf(out, "<div%s><dt>%s<dd>%zu</div>",
                       att_outcome_bad((att_outcome)o) && sheet->by_outcome[o] ? " class=bad" : "",
                       att_outcome_name((att_outcome)o), sheet->by_outcome[o]);
    att_buf_puts(out, "</dl></header>\n<nav aria-label=Sections><a href=\"#failures\">Failures</a> "
                      "<a href=\"#variants\">Variants</a> <a href=\"#probes\">Probes</a> "
                      "<a href=\"#depths\">Depth by length</a> <a href=\"#numbers\">Numbers</a> "
                      "<a href=\"#cases\">Cases</a> <a href=\"#made\">Made with</a></nav>\n");
    out->failed |= line.failed;
    att_buf_drop(&line);
}

/* html.js fills the lists from what the page holds. */
static void put_filter(att_buf *out)
{
    att_buf_puts(
        out,
        "<form id=filter role=search aria-label=\"Filter\" hidden>"
        "<label>Variant <input id=f-variant list=l-variant autocomplete=off></label>"
        "<datalist id=l-variant></datalist>"
        "<label>Task <select id=f-task><option value=\"\">all</option></select></label>"
        "<label>Length <select id=f-length><option value=\"\">all</option></select></label>"
        "<label>Verdict <select id=f-verdict><option value=\"\">all</option></select></label>"
        "<button type=reset>Show all</button><output id=shown aria-live=polite></output></form>\n"
        "<main id=main tabindex=-1>\n");
}

/* ------------------------------------------------------------------------------ failures */

static void put_cause(att_buf *out, const att_cause *cause)
{
    const att_record *r = cause->shortest;
    char line[512];

    att_buf_puts(out, "<article");
    put_tags(out, r, r->measure);
    att_buf_printf(out, "><h3><span class=bad>%s</span> ", att_outcome_name(r->status));
    att_xml_put(out, r->measure);
    att_buf_puts(out, " <code>");
    att_xml_put(out, r->kernel);
    att_buf_printf(out, "</code></h3><p>%zu of %zu cases.</p><ul>", cause->records, cause->of);
    for (size_t d = 0; d < r->n_diagnoses; d++) {
        if (att_diagnosis_repeats(r, d))
            continue;
        att_diagnosis_line(&r->diagnoses[d], line, sizeof line);
        att_buf_puts(out, "<li>");
        att_xml_put(out, line);
    }
    if (cause->metric && !(r->reason && *r->reason)) {
        att_buf_puts(out, "<li>");
        att_xml_put(out, cause->metric->name);
        att_buf_printf(out, " = %.6g, limit %.6g", cause->metric->value, cause->metric->limit);
    }
    if (r->reason && *r->reason) {
        att_buf_puts(out, "<li>");
        att_xml_put(out, r->reason);
    }
    if (r->signal)
        att_buf_printf(out, "<li>ended by signal %d", r->signal);
    att_buf_printf(
        out, "</ul><p>%s: ", r->smallest ? "Smallest case that fails alike" : "Shortest case");
    put_repro(out, r);
    att_buf_puts(out, "</p></article>\n");
}

static void put_causes(att_buf *out, const att_sheet *sheet)
{
    att_buf_puts(out, "<section id=failures aria-labelledby=h-failures><h2 id=h-failures>What "
                      "failed</h2>\n");
    if (sheet->n_causes == 0)
        att_buf_puts(out, "<p>Nothing failed.</p>");
    for (size_t i = 0; i < sheet->n_causes && att_html_room(out); i++) {
        if (i == MOST_CAUSES) {
            att_buf_printf(out, "<p>And %zu further causes: see result.json.</p>",
                           sheet->n_causes - i);
            break;
        }
        put_cause(out, &sheet->causes[i]);
    }
    att_buf_puts(out, "</section>\n");
}

/* --------------------------------------------------------------------------------- cases */

static bool plain(att_outcome outcome)
{
    return outcome == ATT_PASS || outcome == ATT_HOLE || outcome == ATT_NO_POWER;
}

static void put_case(att_buf *out, const att_record *r)
{
    char length[32];

    put_length(length, sizeof length, r);
    att_buf_puts(out, "<tr");
    put_tags(out, r, r->measure);
    att_buf_puts(out, ">");
    att_html_cell(out, att_outcome_name(r->status));
    att_html_cell(out, r->measure);
    att_html_cell(out, r->kernel);
    att_html_cell(out, length);
    att_html_cell(out, r->reason);
    att_buf_puts(out, "<td>");
    put_repro(out, r);
    att_buf_puts(out, "\n");
}

static void put_cases(att_buf *out, const att_result *result)
{
    size_t shown = 0, all = 0;

    att_buf_puts(out, "<section id=cases aria-labelledby=h-cases><h2 id=h-cases>Cases</h2><p>Those "
                      "that neither passed nor were unsupported or without power.</p>\n");
    for (size_t i = 0; i < result->n_records; i++)
        all += !plain(result->records[i].status);
    if (all == 0) {
        att_buf_puts(out, "<p>None.</p></section>\n");
        return;
    }
    att_html_table(out, "Cases that are not plain", "verdict|task|variant|#length|reason|repro");
    for (size_t i = 0; i < result->n_records && shown < MOST_CASES && att_html_room(out); i++)
        if (!plain(result->records[i].status)) {
            put_case(out, &result->records[i]);
            shown++;
        }
    att_html_table_end(out);
    if (shown < all)
        att_buf_printf(out, "<p>%zu further cases are left out here: see result.json.</p>",
                       all - shown);
    att_buf_puts(out, "</section>\n");
}

/* --------------------------------------------------------------------------- environment */

static void put_pairs(att_buf *out, const char *what, const att_text_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        att_buf_printf(out, "<tr><td>%s<th scope=row>", what);
        att_xml_put(out, pairs[i].key);
        att_html_cell(out, pairs[i].value);
        att_buf_puts(out, "\n");
    }
}

static void put_facts(att_buf *out, const att_result *result)
{
    att_buf_puts(out, "<section id=made aria-labelledby=h-made><h2 id=h-made>Made with</h2>\n");
    att_html_table(out, "Tool, inputs and environment", "what|name|value");
    put_pairs(out, "tool", result->tool, result->n_tool);
    put_pairs(out, "input", result->inputs, result->n_inputs);
    put_pairs(out, "environment", result->env, result->n_env);
    att_html_table_end(out);
    att_buf_puts(out, "</section>\n");
}

static att_status write_html(const att_result *result, const char *dir, att_why *why)
{
    att_sheet sheet = {0};
    att_buf out = {0}, path = {0};
    att_status status = att_sheet_make(result, &sheet, why);

    if (status != ATT_OK)
        return status;
    put_head(&out, result, &sheet);
    put_filter(&out);
    put_causes(&out, &sheet);
    att_html_variants(&out, result, &sheet);
    att_html_tasks(&out, result, &sheet);
    att_html_depths(&out, &sheet);
    att_html_numerics(&out, &sheet);
    put_cases(&out, result);
    put_facts(&out, result);
    att_buf_puts(&out, "</main>\n<script>\n");
    att_buf_add(&out, _binary_reports_html_js_start,
                (size_t)(_binary_reports_html_js_end - _binary_reports_html_js_start));
    att_buf_puts(&out, "</script></body></html>\n");
    att_buf_printf(&path, "%s/%s", dir, att_writer_html.file);
    if (out.failed || path.failed) {
        status = ATT_NO_MEMORY;
        att_why_set(why, "%s/%s: out of memory", dir, att_writer_html.file);
    } else if (!att_file_write(path.data, out.data, out.length)) {
        status = ATT_IO;
        att_why_set(why, "%s: %s", path.data, strerror(errno));
    }
    att_buf_drop(&path);
    att_buf_drop(&out);
    att_sheet_drop(&sheet);
    return status;
}

const att_writer att_writer_html = {.name = "html", .file = "report.html", .write = write_html};
