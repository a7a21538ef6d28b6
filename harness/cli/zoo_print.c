/* SPDX-License-Identifier: Apache-2.0 */
/* The zoo's score as a table, as JSON and as a picture. */
#include <string.h>

#include "base/json.h"
#include "reports/plot.h"
#include "zoo.h"

ATT_PLOT_SCRIPT(zoo)

static void put_classes(const att_zoo_score *t)
{
    fputs("{", stdout);
    for (size_t i = 0; i < t->n_classes; i++) {
        const att_zoo_class *c = &t->classes[i];
        printf("%s\"%.*s\":{\"bugs\":%zu,\"caught\":%zu,\"named\":%zu}", i ? "," : "", c->length,
               c->name, c->bugs, c->caught, c->named);
    }
    fputs("}", stdout);
}

static void put_row(const att_zoo_bug *b)
{
    static const char *const said[] = {"unknown", "right", "wrong"};

    fputs("{\"by\":", stdout);
    att_json_put_text(stdout, b->by_metric ? b->by_metric : "");
    fputs(",\"by_eval\":", stdout);
    att_json_put_text(stdout, b->by_measure ? b->by_measure : "");
    printf(",\"cases\":%zu,\"caught\":%s,\"class\":\"%.*s\",\"failed\":%zu,\"id\":\"%s\","
           "\"looked_into\":%zu,\"named\":\"%s\",\"names\":[",
           b->judged, b->failed ? "true" : "false", (int)strcspn(b->kernel->summary, ":"),
           b->kernel->summary, b->failed, b->kernel->name, b->looked, said[b->verdict]);
    for (size_t i = 0; i < ATT_ZOO_NAMES && b->name[i]; i++) {
        printf("%s{\"explained\":%zu,\"fault\":", i ? "," : "", b->explained[i]);
        att_json_put_text(stdout, b->name[i]);
        putchar('}');
    }
    fputs("],\"source\":", stdout);
    att_json_put_text(stdout, b->kernel->source ? b->kernel->source : "");
    putchar('}');
}

void att_zoo_print_json(const att_zoo_score *t, const att_zoo_kept *kept)
{
    const char *between = "";

    printf("{\"bugs\":%zu,\"by_class\":", t->n);
    put_classes(t);
    printf(",\"caught\":%zu,\"clean_cases\":%zu,\"false_alarms\":%zu,\"misnamed\":%zu,\"missed\":[",
           t->caught, t->clean, t->alarms, t->misnamed);
    for (size_t i = 0; i < t->n; i++)
        if (!t->bugs[i].failed) {
            printf("%s\"%s\"", between, t->bugs[i].kernel->name);
            between = ",";
        }
    printf("],\"named\":%zu,\"rows\":[", t->named);
    for (size_t i = 0; i < t->n; i++) {
        fputs(i ? "," : "", stdout);
        put_row(&t->bugs[i]);
    }
    putchar(']');
    if (kept)
        att_zoo_kept_print(kept, true);
    puts("}");
}

static void print_bug(const att_zoo_bug *b)
{
    static const char *const said[] = {"unknown", "yes", "WRONGLY"};
    char by[64] = "MISSED";

    if (b->failed)
        snprintf(by, sizeof by, "%s %s", b->by_measure, b->by_metric);
    printf("%-26s %-18.*s %5zu/%-5zu %-26s %s", b->kernel->name,
           (int)strcspn(b->kernel->summary, ":"), b->kernel->summary, b->failed, b->judged, by,
           said[b->verdict]);
    for (size_t i = 0; i < ATT_ZOO_NAMES && b->name[i]; i++)
        printf("%s %s %zu/%zu", i ? "," : ":", b->name[i], b->explained[i], b->looked);
    putchar('\n');
}

void att_zoo_print_text(const att_zoo_score *t, const att_zoo_kept *kept)
{
    printf("%-26s %-18s %11s %-26s %s\n", "bug", "class", "failed", "caught by", "named");
    for (size_t i = 0; i < t->n; i++)
        print_bug(&t->bugs[i]);
    printf("\n%-26s %6s %6s %6s %6s\n", "class", "bugs", "caught", "missed", "named");
    for (size_t i = 0; i < t->n_classes; i++) {
        const att_zoo_class *c = &t->classes[i];
        printf("%-26.*s %6zu %6zu %6zu %6zu\n", c->length, c->name, c->bugs, c->caught,
               c->bugs - c->caught, c->named);
    }
    printf(
        "\n%zu of %zu bugs caught, %zu named, %zu named wrongly; right kernels: %zu false alarms "
        "in %zu cases\n",
        t->caught, t->n, t->named, t->misnamed, t->alarms, t->clean);
    if (kept)
        att_zoo_kept_print(kept, false);
}

/* Splits DIR/STEM.svg; false where it does not end so. */
static bool split_path(const char *path, char *dir, size_t size, char *stem, size_t stem_size)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = strlen(name), folder = slash ? (size_t)(slash - path) : 0;

    if (length < 5 || strcmp(name + length - 4, ".svg") != 0 || length - 3 > stem_size ||
        folder + 2 > size || strpbrk(name, "'\\\n"))
        return false;
    snprintf(stem, stem_size, "%.*s", (int)(length - 4), name);
    if (slash)
        snprintf(dir, size, "%.*s", folder ? (int)folder : 1, path);
    else
        snprintf(dir, size, ".");
    return true;
}

bool att_zoo_plottable(const char *path)
{
    char dir[4096], stem[256];

    return split_path(path, dir, sizeof dir, stem, sizeof stem);
}

att_status att_zoo_plot(const att_zoo_score *t, const char *path, att_why *why)
{
    char dir[4096], stem[256], title[160];
    att_plot plot = {.stem = stem,
                     .script = _binary_reports_plots_zoo_gp_start,
                     .script_end = _binary_reports_plots_zoo_gp_end,
                     .width = 760,
                     .height = 160 + 26 * (int)t->n_classes};

    if (!split_path(path, dir, sizeof dir, stem, sizeof stem)) {
        att_why_set(why, "%s: a path that ends in .svg is expected", path);
        return ATT_INVALID;
    }
    snprintf(title, sizeof title, "%zu of %zu known bugs caught, %zu named", t->caught, t->n,
             t->named);
    att_plot_text(&plot, "title_text", title);
    snprintf(title, sizeof title, "right kernels: %zu false alarms in %zu cases", t->alarms,
             t->clean);
    att_plot_text(&plot, "subtitle", title);
    att_plot_real(&plot, "width", plot.width);
    att_plot_real(&plot, "height", plot.height);
    att_plot_real(&plot, "classes", (double)t->n_classes);
    att_buf_puts(&plot.table, "k\tclass\tnamed\tcaught\tmissed\n");
    for (size_t i = 0; i < t->n_classes; i++) {
        const att_zoo_class *c = &t->classes[i];
        att_buf_printf(&plot.table, "%zu\t%.*s\t%zu\t%zu\t%zu\n", i + 1, c->length, c->name,
                       c->named, c->caught, c->bugs - c->caught);
    }
    att_status status = plot.table.failed ? ATT_NO_MEMORY : att_plot_draw(&plot, dir, true, why);
    att_plot_drop(&plot);
    return status;
}
