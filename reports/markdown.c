/* SPDX-License-Identifier: Apache-2.0 */
/* summary.md: the verdict first, then what failed grouped by cause with the line that repeats it,
 * then one table a question.  Rates carry n and a Wilson interval (95 %, on the effective number of
 * items).  Stays under 900 KiB, which is what code hosts show. */
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/names.h"
#include "core/writer.h"
#include "reports/escape.h"
#include "reports/markdown.h"
#include "reports/sheet.h"

#define MOST_CAUSES 40u

extern const att_writer att_writer_markdown;

/* ------------------------------------------------------------------------------ verdict */

static void put_headline(att_buf *out, const att_result *result, const att_sheet *sheet)
{
    const size_t *by = sheet->by_outcome;

    att_buf_puts(out, "# attest: ");
    att_sheet_headline(result, sheet, out);
    att_buf_puts(out, "\n");
    att_buf_puts(out, "\nRun ");
    att_md_code(out, result->run_id ? result->run_id : "?", false);
    att_buf_puts(out, ", suite ");
    att_md_code(out, result->suite ? result->suite : "?", false);
    if (result->shards > 1)
        att_buf_printf(out, ", shard %lld of %lld", (long long)result->shard,
                       (long long)result->shards);
    att_buf_printf(out, ", %.0f s, ", result->seconds);
    att_md_put(out, result->status ? result->status : "?");
    att_buf_puts(out, ".\n\n|");
    for (int o = 0; o < ATT_OUTCOMES; o++)
        att_buf_printf(out, " %s |", att_outcome_name((att_outcome)o));
    att_buf_puts(out, "\n|");
    for (int o = 0; o < ATT_OUTCOMES; o++)
        att_buf_puts(out, "---:|");
    att_buf_puts(out, "\n|");
    for (int o = 0; o < ATT_OUTCOMES; o++)
        att_buf_printf(out, " %zu |", by[o]);
    att_buf_puts(out, "\n");
}

/* The first explanation stands out; what follows it are others, and where the output is wrong. */
static void put_diagnoses(att_buf *out, const att_record *r)
{
    const att_diagnosis *named = att_record_named(r);
    char line[512];

    if (named) {
        att_buf_puts(out, "- looks like **");
        att_md_put(out, named->fault);
        att_buf_printf(out, "** (explains the output within %.2g): ", named->ratio);
        att_md_put(out, named->text ? named->text : "");
        att_buf_puts(out, "\n");
    }
    for (size_t d = 0; d < r->n_diagnoses; d++) {
        if (&r->diagnoses[d] == named || att_diagnosis_repeats(r, d))
            continue;
        att_diagnosis_line(&r->diagnoses[d], line, sizeof line);
        att_buf_puts(out, "- ");
        att_md_put(out, line);
        att_buf_puts(out, "\n");
    }
}

static void put_cause(att_buf *out, const att_cause *cause)
{
    const att_record *r = cause->shortest;
    att_buf repro = {0};

    att_buf_printf(out, "\n### %s ", r->status == ATT_FAIL ? "FAIL" : att_outcome_name(r->status));
    att_md_put(out, r->measure);
    att_buf_puts(out, " ");
    att_md_code(out, r->kernel, false);
    att_buf_printf(out, ": %zu of %zu cases\n\n", cause->records, cause->of);
    put_diagnoses(out, r);
    if (cause->metric) {
        att_buf_puts(out, "- measured ");
        att_md_put(out, cause->metric->name);
        att_buf_printf(out, " = %.6g", cause->metric->value);
        if (cause->metric->unit && strcmp(cause->metric->unit, "ratio") != 0) {
            att_buf_puts(out, " ");
            att_md_put(out, cause->metric->unit);
        }
        att_buf_printf(out, ", limit %.6g\n", cause->metric->limit);
    }
    if (r->reason && *r->reason) {
        att_buf_puts(out, "- ");
        att_md_put(out, r->reason);
        att_buf_puts(out, "\n");
    }
    if (r->signal)
        att_buf_printf(out, "- ended by signal %d\n", r->signal);
    att_buf_puts(&repro, "attest repro ");
    att_shell_put(&repro, r->smallest ? r->smallest : r->line);
    att_buf_puts(out, r->smallest ? "- smallest case that fails alike: " : "- shortest case: ");
    att_md_code(out, repro.data ? repro.data : "", false);
    att_buf_puts(out, "\n");
    out->failed |= repro.failed;
    att_buf_drop(&repro);
}

static void put_causes(att_buf *out, const att_sheet *sheet)
{
    if (sheet->n_causes == 0)
        return;
    att_buf_puts(out, "\n## What failed\n");
    for (size_t i = 0; i < sheet->n_causes && att_md_room(out, "further causes"); i++) {
        if (i == MOST_CAUSES) {
            att_buf_printf(out, "\nand %zu further causes: see junit.xml and result.json.\n",
                           sheet->n_causes - i);
            break;
        }
        put_cause(out, &sheet->causes[i]);
    }
}

/* ----------------------------------------------------------------------- pictures, facts */

static int is_picture(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 4 && strcmp(entry->d_name + n - 4, ".svg") == 0;
}

/* The pictures that lie beside this file; their names were made by att_slug_put. */
static void put_pictures(att_buf *out, const char *dir)
{
    att_buf path = {0};
    struct dirent **names = NULL;

    att_buf_printf(&path, "%s/plots", dir);
    int n = path.failed ? -1 : scandir(path.data, &names, is_picture, alphasort);
    if (n > 0)
        att_buf_puts(out, "\n## Pictures\n\nBeside each lie its data (.tsv) and its gnuplot "
                          "script (.gp).\n\n");
    for (int i = 0; i < n; i++) {
        if (att_md_room(out, "further pictures"))
            att_buf_printf(out, "![%s](plots/%s)\n", names[i]->d_name, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    out->failed |= path.failed;
    att_buf_drop(&path);
}

static void put_pairs(att_buf *out, const char *what, const att_text_pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        att_buf_printf(out, "| %s ", what);
        att_md_put(out, pairs[i].key);
        att_buf_puts(out, " | ");
        att_md_code(out, pairs[i].value ? pairs[i].value : "", true);
        att_buf_puts(out, " |\n");
    }
}

static void put_facts(att_buf *out, const att_result *result)
{
    att_buf_puts(out, "\n## Made with\n\n| | |\n|---|---|\n");
    put_pairs(out, "tool", result->tool, result->n_tool);
    put_pairs(out, "input", result->inputs, result->n_inputs);
    put_pairs(out, "environment", result->env, result->n_env);
}

static att_status write_markdown(const att_result *result, const char *dir, att_why *why)
{
    att_sheet sheet = {0};
    att_buf out = {0}, path = {0};
    att_status status = att_sheet_make(result, &sheet, why);

    if (status != ATT_OK)
        return status;
    put_headline(&out, result, &sheet);
    att_md_kernels(&out, result);
    put_causes(&out, &sheet);
    att_md_matrix(&out, result);
    att_md_tasks(&out, result, &sheet);
    att_md_effective(&out, result);
    att_md_comparisons(&out, result);
    att_md_numerics(&out, &sheet);
    att_md_precision(&out, result);
    att_md_holes(&out, result);
    put_pictures(&out, dir);
    put_facts(&out, result);
    att_buf_printf(&path, "%s/%s", dir, att_writer_markdown.file);
    if (out.failed || path.failed) {
        status = ATT_NO_MEMORY;
        att_why_set(why, "%s/%s: out of memory", dir, att_writer_markdown.file);
    } else if (!att_file_write(path.data, out.data, out.length)) {
        status = ATT_IO;
        att_why_set(why, "%s: %s", path.data, strerror(errno));
    }
    att_buf_drop(&path);
    att_buf_drop(&out);
    att_sheet_drop(&sheet);
    return status;
}

const att_writer att_writer_markdown = {
    .name = "markdown", .file = "summary.md", .write = write_markdown};
