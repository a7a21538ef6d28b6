/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all probes as plain text: variants whose cells are all alike share a row. */
#include <string.h>

#include "core/verdict.h"
#include "gate/compare.h"
#include "reports/markdown.h"
#include "reports/matrix.h"

#define LABEL 34 /* columns of a variant's name; longer ones have a line of their own */
#define LINE  100

static bool same_row(const att_matrix *m, size_t a, size_t b)
{
    for (size_t i = 0; i < m->n_columns; i++)
        if (strcmp(m->cells[a * m->n_columns + i].text, m->cells[b * m->n_columns + i].text) != 0)
            return false;
    return true;
}

/* The first row with the same cells; the base's is its own. */
static size_t like_of(const att_matrix *m, size_t row)
{
    size_t first = row ? 1 : 0;

    while (first < row && !same_row(m, first, row))
        first++;
    return first;
}

/* A name is other people's: no line ends, nothing that closes a block of code. */
static int put_name(att_buf *out, const char *name)
{
    int n = 0;

    for (; *name; name++, n++)
        att_buf_printf(out, "%c", (unsigned char)*name < ' ' || *name == '`' ? '?' : *name);
    return n;
}

static void put_pad(att_buf *out, int n)
{
    att_buf_printf(out, "%*s", n > 0 ? n : 0, "");
}

static void put_head(att_buf *out, const att_matrix *m)
{
    put_pad(out, LABEL);
    for (size_t i = 0; i < m->n_columns; i++)
        att_buf_printf(out, " %*s", m->columns[i].width, m->columns[i].code);
    att_buf_puts(out, "\nlongest context, in keys");
    put_pad(out, LABEL - (int)strlen("longest context, in keys"));
    for (size_t i = 0; i < m->n_columns; i++)
        att_buf_printf(out, " %*s", m->columns[i].width, m->columns[i].span);
    att_buf_puts(out, "\n");
}

static void put_row(att_buf *out, const att_matrix *m, size_t row)
{
    char more[32] = "";
    size_t alike = 0;
    int n;

    for (size_t k = row + 1; k < m->n_kernels; k++)
        alike += like_of(m, k) == row;
    if (alike > 0)
        snprintf(more, sizeof more, " (+%zu)", alike);
    n = put_name(out, m->kernels[row]) + (int)strlen(more);
    att_buf_puts(out, more);
    if (n > LABEL) {
        att_buf_puts(out, "\n");
        n = 0;
    }
    put_pad(out, LABEL - n);
    for (size_t i = 0; i < m->n_columns; i++)
        att_buf_printf(out, " %*s", m->columns[i].width, m->cells[row * m->n_columns + i].text);
    att_buf_puts(out, "\n");
}

/* Words one after another, in lines of at most LINE. */
static void put_word(att_buf *out, const char *word, int *at)
{
    if (*at > 0 && *at + 1 + (int)strlen(word) > LINE) {
        att_buf_puts(out, "\n  ");
        *at = 2;
    }
    *at += 1 + put_name(out, word);
    att_buf_puts(out, " ");
}

static void put_alike(att_buf *out, const att_matrix *m, size_t row)
{
    int at = 0;

    for (size_t k = row + 1; k < m->n_kernels; k++) {
        if (like_of(m, k) != row)
            continue;
        if (at == 0) {
            put_word(out, "like", &at);
            put_word(out, m->kernels[row], &at);
            put_word(out, "in all:", &at);
        }
        put_word(out, m->kernels[k], &at);
    }
    if (at > 0)
        att_buf_puts(out, "\n");
}

static void put_legend(att_buf *out, const att_matrix *m)
{
    int at = 0;

    att_buf_puts(out, "first row: % right of ");
    put_name(out, m->base);
    att_buf_printf(
        out,
        "; others: accuracy in %% of that on the same items, at the longest context\n"
        "both answered (<: the longest asked of it is shorter). Over all lengths: wN worse, p < "
        "1e-N "
        "(exact paired test\nover contexts, Holm over tasks, from %g on); + better; ? cannot tell, "
        "too few contexts; no mark: the same.\nu unsupported; np the base has no power there; nr "
        "not run; ! crashed, timed out or in error;\n. not measured: the run has no such case.\n",
        ATT_COMPARE_LEVEL);
    put_word(out, "tasks:", &at);
    for (size_t i = 0; i < m->n_columns; i++) {
        char text[160];
        snprintf(text, sizeof text, "%s %s%s", m->columns[i].code, m->columns[i].measure,
                 i + 1 < m->n_columns ? "," : "");
        put_word(out, text, &at);
    }
    att_buf_puts(out, "\n");
    for (size_t k = 0; k < m->n_kernels; k++)
        put_alike(out, m, k);
}

void att_matrix_put(att_buf *out, const att_result *result, const char *base,
                    const char *const *kernels)
{
    att_matrix m;
    bool answered = false;

    if (att_matrix_make(result, base, kernels, &m) != ATT_OK)
        out->failed = true;
    for (size_t i = 0; i < m.n_columns && !out->failed; i++)
        answered |= m.columns[i].longest >= 0;
    if (answered) {
        put_head(out, &m);
        for (size_t k = 0; k < m.n_kernels; k++)
            if (like_of(&m, k) == k)
                put_row(out, &m, k);
        put_legend(out, &m);
    }
    att_matrix_drop(&m);
}

void att_md_matrix(att_buf *out, const att_result *result)
{
    att_buf text = {0};

    att_matrix_put(&text, result, ATT_VERDICT_DENSE, NULL);
    out->failed |= text.failed;
    if (text.length > 0 && att_md_room(out, "all probes in one table"))
        att_buf_printf(out, "\n## All probes in one table\n\n```text\n%s```\n", text.data);
    att_buf_drop(&text);
}
