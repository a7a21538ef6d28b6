/* SPDX-License-Identifier: Apache-2.0 */
/* The pictures of a result made by hand: there, repeatable, and deaf to what names say. */
#include "base/tests/suite.h"
#include "core/writer.h"
#include "folder.h"
#include "gate/tests/made.h"

extern const att_writer att_writer_plots;

#define HOSTILE "x{a='`touch pwned`'.system(\"touch pwned\").'}"

static att_result pictured(const char *kernel)
{
    att_result r = made_result();

    for (int length = 256; length <= 512; length *= 2) {
        char params[32];
        snprintf(params, sizeof params, "length=%d", length);
        const char *const kernels[] = {"flash_f32", kernel};
        for (int k = 0; k < 2; k++) {
            att_record *c = made_record(&r, "lm.needle", kernels[k], params, 1, ATT_PASS);
            made_items(c, k ? "00001111" : "11111111", 2);
            made_metric(c, "keys_share", "share", k ? 0.5 : 1.0, NAN);
        }
    }
    for (int k = 0; k < 2; k++) {
        att_record *c =
            made_record(&r, "probe.needle", k ? kernel : "flash_f32", "length=256", 1, ATT_PASS);
        made_items(c, k ? "000000011111" : "111111111111", 2);
        made_metric(c, "accuracy_predicted", "share", k ? 0.5 : 1, NAN);
        c->items[6].note = k ? strdup("unexplained") : NULL; /* a miss where the form says hit */
        c = made_record(&r, "probe.citation", k ? kernel : "flash_f32", "length=256", 1, ATT_PASS);
        made_items(c, k ? "110000" : "111111", 2);
        for (size_t i = 0; i < c->n_items; i++)
            c->items[i].note = strdup(!k || i < 2 ? "offset 0"
                                      : i == 2    ? "no document"
                                      : i == 3    ? "offset 1"
                                      : i == 4    ? "offset -9, unexplained"
                                                  : "offset 1");
    }
    for (int i = 0; i < 40; i++) {
        char params[32];
        snprintf(params, sizeof params, "sq=%d", i + 1);
        att_record *c = made_record(&r, "parity", kernel, params, 1, ATT_PASS);
        made_metric(c, "sigma_ratio", "ratio", i == 39 ? NAN : i == 0 ? 0 : exp(-0.2 * i), 1);
    }
    return r;
}

static bool have_gnuplot(void)
{
    const char *path = getenv("PATH");
    char file[512];

    while (path && *path) {
        size_t n = strcspn(path, ":");
        snprintf(file, sizeof file, "%.*s/gnuplot", (int)n, path);
        if (access(file, X_OK) == 0)
            return true;
        path += n + (path[n] == ':');
    }
    att_suite_skip("gnuplot is not installed");
    return false;
}

static const char *const stems[] = {
    "heatmap-lm.needle-flash_f32", "heatmap-lm.needle-window", "pareto-lm.needle", "ratios-parity",
    "recall-probe.needle",         "offsets-probe.citation"};

static void every_picture_comes_with_its_data_and_script(void)
{
    char dir[64], name[128];
    att_why why = {""};
    att_result r = pictured("window");

    if (have_gnuplot()) {
        static const char *const suffixes[] = {".svg", ".gp", ".tsv"};
        CU_ASSERT_FATAL(folder_make(dir));
        CU_ASSERT_EQUAL(att_writer_plots.write(&r, dir, &why), ATT_OK);
        CU_ASSERT_STRING_EQUAL(why.text, "");
        for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
            for (size_t s = 0; s < 3; s++) {
                snprintf(name, sizeof name, "plots/%s%s", stems[i], suffixes[s]);
                CU_ASSERT(folder_has(dir, name));
            }
        int code = folder_check(dir, true);
        CU_ASSERT(code == 0 || code == 77);
        folder_drop(dir);
    }
    att_result_clear(&r);
}

static void a_rerun_gives_the_same_bytes(void)
{
    char dir[2][64], name[128];
    att_result r = pictured("window");

    if (have_gnuplot()) {
        for (int i = 0; i < 2; i++) {
            CU_ASSERT_FATAL(folder_make(dir[i]));
            CU_ASSERT_EQUAL(att_writer_plots.write(&r, dir[i], NULL), ATT_OK);
        }
        for (size_t i = 0; i < sizeof stems / sizeof *stems; i++) {
            snprintf(name, sizeof name, "plots/%s.svg", stems[i]);
            char *a = folder_text(dir[0], name), *b = folder_text(dir[1], name);
            CU_ASSERT_FATAL(a && b);
            CU_ASSERT_STRING_EQUAL(a, b);
            free(a);
            free(b);
        }
        folder_drop(dir[0]);
        folder_drop(dir[1]);
    }
    att_result_clear(&r);
}

static void names_are_drawn_and_never_run(void)
{
    char dir[64];
    att_result r = pictured(HOSTILE);

    if (have_gnuplot()) {
        CU_ASSERT_FATAL(folder_make(dir));
        CU_ASSERT_EQUAL(att_writer_plots.write(&r, dir, NULL), ATT_OK);
        CU_ASSERT(!folder_has(dir, "plots/pwned"));
        CU_ASSERT(!folder_has(".", "pwned"));
        char *svg = folder_text(dir, "plots/ratios-parity.svg");
        CU_ASSERT_PTR_NOT_NULL_FATAL(svg);
        CU_ASSERT_PTR_NOT_NULL(strstr(svg, "touch pwned"));
        free(svg);
        folder_drop(dir);
    }
    att_result_clear(&r);
}

static void kernels_that_share_a_file_name_get_one_each(void)
{
    char dir[64];
    att_result r = pictured("window");

    made_items(made_record(&r, "lm.needle", "window{}", "length=256", 1, ATT_PASS), "0011", 2);
    if (have_gnuplot()) {
        CU_ASSERT_FATAL(folder_make(dir));
        CU_ASSERT_EQUAL(att_writer_plots.write(&r, dir, NULL), ATT_OK);
        CU_ASSERT(folder_has(dir, "plots/heatmap-lm.needle-window.svg"));
        CU_ASSERT(folder_has(dir, "plots/heatmap-lm.needle-window-2.svg"));
        folder_drop(dir);
    }
    att_result_clear(&r);
}

static void without_gnuplot_the_data_is_written_and_the_run_goes_on(void)
{
    char dir[64], *path = strdup(getenv("PATH") ? getenv("PATH") : "");
    att_why why;
    att_result r = pictured("window");

    CU_ASSERT_FATAL(folder_make(dir));
    setenv("PATH", "/nonexistent", 1);
    CU_ASSERT_EQUAL(att_writer_plots.write(&r, dir, &why), ATT_UNSUPPORTED);
    setenv("PATH", path, 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "gnuplot is not installed"));
    CU_ASSERT(folder_has(dir, "plots/ratios-parity.tsv"));
    CU_ASSERT(folder_has(dir, "plots/ratios-parity.gp"));
    CU_ASSERT(!folder_has(dir, "plots/ratios-parity.svg"));
    free(path);
    folder_drop(dir);
    att_result_clear(&r);
}

static void a_result_without_subjects_has_no_pictures(void)
{
    char dir[64];
    att_result r = made_result();

    CU_ASSERT_FATAL(folder_make(dir));
    made_record(&r, "laws.future", "window", "", 1, ATT_PASS);
    CU_ASSERT_EQUAL(att_writer_plots.write(&r, dir, NULL), ATT_OK);
    CU_ASSERT(folder_has(dir, "plots"));
    CU_ASSERT(!folder_has(dir, "plots/ratios-laws.future.gp"));
    folder_drop(dir);
    att_result_clear(&r);
}

/* Does the picture's table hold this line? */
static bool table_holds(const char *dir, const char *name, const char *line)
{
    char *text = folder_text(dir, name);
    const bool holds = text && strstr(text, line);

    if (!holds)
        printf("%s lacks %s:\n%s\n", name, line, text ? text : "(nothing)");
    free(text);
    return holds;
}

static void the_closed_form_is_what_unexplained_items_contradict(void)
{
    char dir[64];
    att_result r = pictured("window");

    if (have_gnuplot()) {
        CU_ASSERT_FATAL(folder_make(dir));
        CU_ASSERT_EQUAL(att_writer_plots.write(&r, dir, NULL), ATT_OK);
        /* depths 6/11 to 8/11 of 256 tokens lie 115, 92 and 69 behind: one octave */
        CU_ASSERT(table_holds(dir, "plots/recall-probe.needle.tsv",
                              "1\twindow\t90.0872\t3\t0.666667\t0.20766\t0.938508\t1\n"));
        CU_ASSERT(table_holds(dir, "plots/recall-probe.needle.tsv",
                              "1\twindow\t192.699\t6\t0\t0\t0.390334\t0\n"));
        folder_drop(dir);
    }
    att_result_clear(&r);
}

static void citations_are_counted_by_signed_offset_with_dense_first(void)
{
    static const char table[] = "plots/offsets-probe.citation.tsv";
    char dir[64];
    att_result r = pictured("window");

    if (have_gnuplot()) {
        CU_ASSERT_FATAL(folder_make(dir));
        CU_ASSERT_EQUAL(att_writer_plots.write(&r, dir, NULL), ATT_OK);
        CU_ASSERT(table_holds(dir, table, "1\tflash_f32\t0\t6\t1\n"));
        CU_ASSERT(table_holds(dir, table, "2\twindow\t-5\t1\t0.166667\n"));
        CU_ASSERT(table_holds(dir, table, "2\twindow\t0\t2\t0.333333\n"));
        CU_ASSERT(table_holds(dir, table, "2\twindow\t1\t2\t0.333333\n"));
        folder_drop(dir);
    }
    att_result_clear(&r);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every_picture_comes_with_its_data_and_script",
         every_picture_comes_with_its_data_and_script},
        {"a_rerun_gives_the_same_bytes", a_rerun_gives_the_same_bytes},
        {"names_are_drawn_and_never_run", names_are_drawn_and_never_run},
        {"kernels_that_share_a_file_name_get_one_each",
         kernels_that_share_a_file_name_get_one_each},
        {"without_gnuplot_the_data_is_written_and_the_run_goes_on",
         without_gnuplot_the_data_is_written_and_the_run_goes_on},
        {"the_closed_form_is_what_unexplained_items_contradict",
         the_closed_form_is_what_unexplained_items_contradict},
        {"citations_are_counted_by_signed_offset_with_dense_first",
         citations_are_counted_by_signed_offset_with_dense_first},
        {"a_result_without_subjects_has_no_pictures", a_result_without_subjects_has_no_pictures},
        CU_TEST_INFO_NULL};

    return att_suite_run("plots", tests);
}
