/* SPDX-License-Identifier: Apache-2.0 */
/* Every variant of the field has a kernel that is right, says what it is, and stands in one table.
 */
#include "base/tests/suite.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json.h"
#include "base/str.h"
#include "base/tests/room.h"
#include "core/exit.h"
#include "kernels/table.h"

static char room[PATH_MAX];                     /* build/PROFILE */
static char folder[] = "/tmp/att_table_XXXXXX"; /* made by main */

/* `attest ARGUMENTS` in this directory; its exit code.  What it printed goes to *out; free() it. */
static int attest(const char *arguments, char **out)
{
    char command[4 * PATH_MAX], path[PATH_MAX];
    size_t n = 0;

    snprintf(command, sizeof command, "'%s/attest' %s >'%s/out' 2>'%s/err'", room, arguments,
             folder, folder);
    const int status = system(command);
    snprintf(path, sizeof path, "%s/out", folder);
    *out = att_file_read(path, 1 << 24, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(*out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static cJSON *asked(const char *arguments)
{
    char *out = NULL;

    CU_ASSERT_EQUAL(attest(arguments, &out), ATT_EXIT_PASS);
    cJSON *tree = cJSON_Parse(out);
    CU_ASSERT_PTR_NOT_NULL_FATAL(tree);
    free(out);
    return tree;
}

static const cJSON *row_of(const cJSON *all, const char *kernel)
{
    const cJSON *row;
    const char *text = NULL;

    cJSON_ArrayForEach(row, all) if (att_json_text(row, "kernel", &text) &&
                                     strcmp(text, kernel) == 0) return row;
    return NULL;
}

/* The lines of variants.def, each of which must pass: no hole counts. */
static void every_variant_of_the_field_has_a_kernel_that_passes_or_a_reason(void)
{
    char path[PATH_MAX], arguments[3 * PATH_MAX], *out = NULL;
    int lines = 0;
    double passed = 0;

    snprintf(path, sizeof path, "%s/lines", folder);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    for (const att_variant_row *v = att_variant_rows; v->need; v++) {
        char named[64];
        CU_ASSERT(strlen(v->shown) > 10);
        if (!*v->kernel)
            continue;
        snprintf(named, sizeof named, " %s", v->kernel);
        if (!strstr(v->shown, named)) {
            printf("%s: the case is not one of %s\n", v->name, v->kernel);
            CU_FAIL("a case that shows another kernel");
        }
        fprintf(f, "%s\n", v->shown);
        lines++;
    }
    CU_ASSERT_EQUAL(fclose(f), 0);
    CU_ASSERT(lines > 30);
    snprintf(arguments, sizeof arguments, "run --quiet --json --cases '%s' --out '%s/runs'", path,
             folder);
    CU_ASSERT_EQUAL(attest(arguments, &out), ATT_EXIT_PASS);
    cJSON *summary = cJSON_Parse(out);
    CU_ASSERT(att_json_real(summary, "pass", &passed));
    CU_ASSERT_EQUAL((int)passed, lines);
    if ((int)passed != lines)
        printf("%s\n", out);
    cJSON_Delete(summary);
    free(out);
}

static void every_kernel_says_its_formula_why_it_exists_and_its_source(void)
{
    cJSON *all = asked("list kernels --json");
    const cJSON *kernel;

    CU_ASSERT(cJSON_GetArraySize(all) > 20);
    cJSON_ArrayForEach(kernel, all)
    {
        static const char *const words[] = {"\nWhy: ", "ource: "};
        char arguments[256], *out = NULL;
        const char *name = NULL;
        CU_ASSERT_FATAL(att_json_text(kernel, "name", &name));
        snprintf(arguments, sizeof arguments, "show %s", name);
        CU_ASSERT_EQUAL(attest(arguments, &out), ATT_EXIT_PASS);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++)
            if (!strstr(out, words[i])) {
                printf("%s: no \"%s\"\n", name, words[i]);
                CU_FAIL("a head is not whole");
            }
        free(out);
    }
    cJSON_Delete(all);
}

static void the_table_tells_what_a_variant_keeps_reads_and_loses(void)
{
    cJSON *all = asked("table --quiet --json --kernel flash_f32 --kernel sliding_window");
    const cJSON *flash = row_of(all, "flash_f32"), *window = row_of(all, "sliding_window");
    double x = 0;

    CU_ASSERT_FATAL(flash && window);
    CU_ASSERT(att_json_real(flash, "keys_read_32k", &x) && x == 32768);
    CU_ASSERT(att_json_real(flash, "kv_bytes_per_token", &x) && x == 2 * 64 * 4);
    CU_ASSERT(att_json_real(flash, "flops_4k", &x) && x == 2.0 * (4096.0 * 4097 / 2) * 128);
    CU_ASSERT(att_json_real(window, "keys_read_128k", &x) && x == 257);
    CU_ASSERT(att_json_real(window, "kv_bytes_per_token", &x) && x == 0);
    CU_ASSERT(att_json_real(window, "state_bytes_128k", &x) && x == 257 * 2 * 64 * 4);
    static const char *const families[] = {"normal", "heavy", "captured"};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        CU_ASSERT(att_json_real(att_json_get(flash, "loss"), families[i], &x) && x < 1e-5);
        CU_ASSERT(att_json_real(att_json_get(window, "loss"), families[i], &x) && x > 1e-3);
    }
    cJSON_Delete(all);
}

static const cJSON *stored_row(const cJSON *all, const char *stored)
{
    const cJSON *row;
    const char *text = NULL;

    cJSON_ArrayForEach(row, all) if (att_json_text(row, "stored", &text) &&
                                     strcmp(text, stored) == 0) return row;
    return NULL;
}

static void the_table_counts_what_a_quantised_token_takes(void)
{
    static const struct {
        const char *stored;
        double bytes; /* of 64 channels of K and of V, and their scales */
    } want[] = {
        {"i8tok", 128 + 2 * 4},
        {"i8chan", 128},
        {"q8_0", 128 * 34.0 / 32},
        {"q4_0", 128 * 18.0 / 32},
        {"e4m3", 128},
        {"e5m2", 128},
        {"kivi", 128 + 64 * 2.0 / 16 + 64 / 16.0 * 2},
    };
    cJSON *all = asked("table --quiet --json --kernel kv_quant");

    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const cJSON *row = stored_row(all, want[i].stored);
        double x = 0;
        CU_ASSERT_FATAL(row != NULL);
        CU_ASSERT(att_json_real(row, "kv_bytes_per_token", &x));
        CU_ASSERT_DOUBLE_EQUAL(x, want[i].bytes, 1e-9);
    }
    cJSON_Delete(all);
}

/* What a suite's rows and the names of tracks stand for. */
static void a_track_stands_for_its_evals(void)
{
    char *all = NULL, *numeric = NULL, *probes = NULL;

    CU_ASSERT_EQUAL(attest("run --suite smoke --kernel topk --dry-run", &all), ATT_EXIT_PASS);
    CU_ASSERT_EQUAL(attest("run --suite smoke --eval numeric --kernel topk --dry-run", &numeric),
                    ATT_EXIT_PASS);
    attest("run --suite smoke --eval probes --kernel topk --dry-run", &probes);
    CU_ASSERT_PTR_NOT_NULL(strstr(numeric, " parity topk"));
    CU_ASSERT_PTR_NOT_NULL(strstr(numeric, " laws topk"));
    CU_ASSERT_PTR_NOT_NULL(strstr(numeric, " sequence.calls topk"));
    CU_ASSERT_PTR_NOT_NULL(strstr(all, " cost."));
    CU_ASSERT_PTR_NULL(strstr(numeric, " cost."));
    CU_ASSERT_PTR_NULL(strstr(probes, " parity "));
    free(all);
    free(numeric);
    free(probes);
}

static void a_suite_with_one_value_in_place_of_a_list_is_refused_with_its_name(void)
{
    char path[PATH_MAX], arguments[2 * PATH_MAX], *out = NULL;
    size_t n = 0;

    snprintf(path, sizeof path, "%s/one.json", folder);
    FILE *f = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("{\"schema_version\": 1, \"name\": \"one\", \"rows\": [{\"measure\": \"parity\", "
          "\"kernels\": [\"*\"], \"params\": {\"sq\": 3}, \"seeds\": [1]}]}",
          f);
    CU_ASSERT_EQUAL(fclose(f), 0);
    snprintf(arguments, sizeof arguments, "run --suite '%s' --dry-run", path);
    CU_ASSERT_NOT_EQUAL(attest(arguments, &out), ATT_EXIT_PASS);
    free(out);
    snprintf(arguments, sizeof arguments, "%s/err", folder);
    out = att_file_read(arguments, 1 << 20, &n);
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, path));
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "params.sq: a list is expected"));
    free(out);
}

#define TEST(x)                                                                                    \
    {                                                                                              \
#x, x                                                                                      \
    }

int main(void)
{
    static const CU_TestInfo tests[] = {
        TEST(every_variant_of_the_field_has_a_kernel_that_passes_or_a_reason),
        TEST(every_kernel_says_its_formula_why_it_exists_and_its_source),
        TEST(the_table_tells_what_a_variant_keeps_reads_and_loses),
        TEST(the_table_counts_what_a_quantised_token_takes),
        TEST(a_track_stands_for_its_evals),
        TEST(a_suite_with_one_value_in_place_of_a_list_is_refused_with_its_name),
        CU_TEST_INFO_NULL,
    };
    char command[PATH_MAX];

    test_room(room);
    if (!mkdtemp(folder))
        return 1;
    const int failed = att_suite_run("table", tests);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command) == 0 ? failed : 1;
}
