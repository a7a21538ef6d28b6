/* SPDX-License-Identifier: Apache-2.0 */
/* The program as a script sees it: exit codes, stdout, stderr.  Runs build/PROFILE/attest beside
 * this test. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/str.h"
#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/exit.h"

typedef struct answer {
    int code; /* -1: it died */
    char *out, *err;
} answer;

static void program(char out[PATH_MAX + 8])
{
    test_room(out);
    strcat(out, "/attest");
}

static char *take_file(const char *path)
{
    size_t n = 0;
    char *text = att_file_read(path, 1 << 24, &n);

    unlink(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

/* Runs `attest ARGS` with a variable set (NULL: none). */
static answer ask_with(const char *variable, const char *value, const char *const *args)
{
    char path[PATH_MAX + 8], folder[] = "/tmp/att_verbs_XXXXXX", out[64], err[64];
    char *argv[16] = {path};
    answer a = {.code = -1};
    int status = 0;

    program(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(out, sizeof out, "%s/out", folder);
    snprintf(err, sizeof err, "%s/err", folder);
    for (int i = 0; i < 14 && args[i]; i++)
        argv[i + 1] = strdup(args[i]);
    pid_t pid = fork();
    CU_ASSERT_FATAL(pid >= 0);
    if (pid == 0) {
        int o = open(out, O_CREAT | O_WRONLY, 0600), e = open(err, O_CREAT | O_WRONLY, 0600);
        if (o < 0 || e < 0 || dup2(o, 1) < 0 || dup2(e, 2) < 0)
            _exit(127);
        unsetenv("ATT_ISA");
        if (variable)
            setenv(variable, value, 1);
        execv(path, argv);
        _exit(127);
    }
    CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status))
        a.code = WEXITSTATUS(status);
    a.out = take_file(out);
    a.err = take_file(err);
    rmdir(folder);
    for (int i = 1; argv[i]; i++)
        free(argv[i]);
    return a;
}

#define ASK(...) ask_with(NULL, NULL, (const char *const[]){__VA_ARGS__, NULL})

static void answer_drop(answer *a)
{
    free(a->out);
    free(a->err);
}

static void wrong_use_is_2_and_names_the_nearest(void)
{
    static const struct {
        const char *args[6];
        const char *word;
    } rows[] = {
        {{"lits"}, "the nearest is list"},
        {{"list", "--jsno"}, "the nearest is --json"},
        {{"list", "kernel"}, "one of kernels"},
        {{"list", "kernels", "zoo"}, "zoo"},
        {{"show"}, "name of one kernel, eval or suite"},
        {{"show", "flash_f23"}, "the nearest is flash_f32"},
        {{"show", "parityy"}, "the nearest is parity"},
        {{"show", "topk{kk=3}"}, "the nearest is k"},
        {{"show", "topk{k=0}"}, "1:1073741824"},
        {{"show", "parity.left"}, "parity has no task left"},
        {{"show", "plugin:/nowhere/x.so"}, "/nowhere/x.so"},
        {{"run", "--case", "parity flash_f32", "--plugin", "x.so"}, "a case names its own"},
        {{"run", "--case", "parity flash_f32 hqq=3"}, "the nearest is hq"},
        {{"doctor", "now"}, "no operand"},
        {{"doctor", "--model"}, "needs a value"},
        {{"doctor", "--json=3"}, "takes no value"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answer a = ask_with(NULL, NULL, rows[i].args);
        CU_ASSERT_EQUAL(a.code, ATT_EXIT_USAGE);
        CU_ASSERT_STRING_EQUAL(a.out, "");
        if (!strstr(a.err, rows[i].word)) {
            printf("%s: %s", rows[i].args[0], a.err);
            CU_FAIL("the message does not help");
        }
        answer_drop(&a);
    }
}

static void an_isa_level_that_is_not_there_is_a_usage_error(void)
{
    answer a = ask_with("ATT_ISA", "v9", (const char *const[]){"list", NULL});

    CU_ASSERT_EQUAL(a.code, ATT_EXIT_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, "ATT_ISA=v9"));
    answer_drop(&a);
}

static void every_verb_has_help_on_stdout(void)
{
    static const char *const verbs[] = {"list", "show", "doctor", "run", "lm"};

    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        answer a = ASK(verbs[i], "--help");
        CU_ASSERT_EQUAL(a.code, ATT_EXIT_PASS);
        CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "usage: attest"));
        CU_ASSERT_STRING_EQUAL(a.err, "");
        answer_drop(&a);
    }
}

static cJSON *json_of(const answer *a)
{
    cJSON *tree = NULL;
    att_why why = {""};
    att_status st = att_json_parse(a->out, strlen(a->out), "stdout", &tree, &why);

    if (st)
        printf("%s\n", why.text);
    CU_ASSERT_EQUAL_FATAL(st, ATT_OK);
    return tree;
}

static const cJSON *named(const cJSON *array, const char *name)
{
    const char *text = NULL;

    for (const cJSON *c = array->child; c; c = c->next)
        if (att_json_text(c, "name", &text) && strcmp(text, name) == 0)
            return c;
    return NULL;
}

static bool holds(const cJSON *array, const char *text)
{
    for (const cJSON *c = array ? array->child : NULL; c; c = c->next)
        if (cJSON_IsString(c) && strcmp(c->valuestring, text) == 0)
            return true;
    return false;
}

static void kernels_are_listed_with_what_they_can_do(void)
{
    answer a = ASK("list", "kernels", "--json");
    cJSON *all = json_of(&a);
    const cJSON *flash = named(all, "flash_f32"), *window = named(all, "sliding_window");
    double keys = 0;
    const char *text = NULL;

    CU_ASSERT_EQUAL(a.code, ATT_EXIT_PASS);
    CU_ASSERT_FATAL(flash != NULL && window != NULL);
    CU_ASSERT(att_json_text(flash, "class", &text) && strcmp(text, "E") == 0);
    CU_ASSERT(att_json_text(window, "class", &text) && strcmp(text, "A") == 0);
    CU_ASSERT(holds(att_json_get(flash, "operators"), "attend"));
    CU_ASSERT(holds(att_json_get(window, "operators"), "select"));
    CU_ASSERT(holds(att_json_get(flash, "dtypes"), "f32"));
    CU_ASSERT_FALSE(holds(att_json_get(flash, "dtypes"), "i64"));
    CU_ASSERT(holds(att_json_get(flash, "phases"), "decode"));
    const cJSON *cost = att_json_get(flash, "cost");
    CU_ASSERT(att_json_real(cost, "keys_read_4k", &keys) && keys == 4096);
    CU_ASSERT(att_json_real(cost, "kv_bytes_per_token", &keys) && keys == 512);
    cost = att_json_get(window, "cost");
    CU_ASSERT(att_json_real(cost, "keys_read_128k", &keys) && keys < 1000);
    cJSON_Delete(all);
    answer_drop(&a);
}

static void every_table_is_an_array_of_named_objects(void)
{
    static const char *const tables[] = {"kernels", "zoo", "controls", "evals", "suites"};

    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        answer a = ASK("list", tables[i], "--json");
        cJSON *all = json_of(&a);
        const char *name = NULL;
        CU_ASSERT_EQUAL(a.code, ATT_EXIT_PASS);
        CU_ASSERT(cJSON_IsArray(all));
        for (const cJSON *c = all->child; c; c = c->next)
            CU_ASSERT(att_json_text(c, "name", &name) && *name);
        if (strcmp(tables[i], "zoo") != 0)
            CU_ASSERT(all->child != NULL);
        cJSON_Delete(all);
        answer_drop(&a);
    }
}

static void show_prints_parameters_and_contracts(void)
{
    answer a = ASK("show", "topk"), b = ASK("show", "parity");

    CU_ASSERT_EQUAL(a.code, ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "default 64"));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "approximates"));
    CU_ASSERT_EQUAL(b.code, ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL(strstr(b.out, "contract: <="));
    answer_drop(&a);
    answer_drop(&b);
}

static void show_knows_suites_parameters_and_layers(void)
{
    static const struct {
        const char *name, *says[4];
    } rows[] = {
        {"gate", {"ci/suites/gate.json", "parity of *", "required", "seeds 1"}},
        {"dense", {"flash_f32", "exact", "sums f32", "deterministic"}},
        {"controls:first_k", {"first_k", "control", "approximates", "parameters"}},
        {"plan:0-3=dense;4-29=topk{k=8}", {"flash_f32", "topk", "Gupta", "attend select"}},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        answer a = ASK("show", rows[i].name);
        CU_ASSERT_EQUAL(a.code, ATT_EXIT_PASS);
        for (size_t k = 0; k < 4; k++)
            if (!strstr(a.out, rows[i].says[k])) {
                printf("show %s does not say %s\n", rows[i].name, rows[i].says[k]);
                CU_FAIL("something is not shown");
            }
        answer_drop(&a);
    }
}

/* The right number of bytes, all of them holes. */
static void the_doctor_reads_more_of_a_model_than_its_size(void)
{
    char path[] = "/tmp/att_model_XXXXXX";
    int fd = mkstemp(path);

    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(ftruncate(fd, 98362432), 0);
    close(fd);
    answer a = ASK("doctor", "--model", path);
    CU_ASSERT_EQUAL(a.code, ATT_EXIT_INCOMPLETE);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "other SHA-256"));
    answer_drop(&a);
    unlink(path);
}

static void the_doctor_expects_the_model_that_the_script_fetches(void)
{
    char *script = att_file_read("ci/scripts/model.sh", 1 << 20, NULL);
    char *doctor = att_file_read("harness/cli/cmd_doctor.c", 1 << 20, NULL);

    if (!script || !doctor) {
        att_suite_skip("not started from the checkout");
    } else {
        const char *sha = strstr(script, "sha256="), *bytes = strstr(script, "bytes=");
        CU_ASSERT_FATAL(sha && bytes);
        char want[72];
        snprintf(want, sizeof want, "\"%.64s\"", sha + strlen("sha256="));
        CU_ASSERT_PTR_NOT_NULL(strstr(doctor, want));
        snprintf(want, sizeof want, " %ld\n", strtol(bytes + strlen("bytes="), NULL, 10));
        CU_ASSERT_PTR_NOT_NULL(strstr(doctor, want));
    }
    free(script);
    free(doctor);
}

static void without_gnuplot_the_doctor_is_content(void)
{
    answer with = ASK("doctor");
    answer a = ask_with("PATH", "/nowhere", (const char *const[]){"doctor", NULL});

    CU_ASSERT_EQUAL(a.code, with.code);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "no gnuplot in PATH"));
    answer_drop(&a);
    answer_drop(&with);
}

static void the_doctor_finds_a_missing_model(void)
{
    answer a = ASK("doctor", "--json", "--model", "/nowhere/m.gguf");
    cJSON *all = json_of(&a);
    const cJSON *checks = att_json_get(all, "checks");
    const char *text = NULL;

    CU_ASSERT_EQUAL(a.code, ATT_EXIT_INCOMPLETE);
    CU_ASSERT(cJSON_IsFalse(att_json_get(all, "ok")));
    CU_ASSERT_FATAL(cJSON_IsArray(checks));
    const cJSON *model = named(checks, "model"), *isa = named(checks, "isa");
    CU_ASSERT(model && cJSON_IsFalse(att_json_get(model, "ok")));
    CU_ASSERT(att_json_text(model, "detail", &text) && strstr(text, "/nowhere/m.gguf"));
    CU_ASSERT(isa && cJSON_IsTrue(att_json_get(isa, "ok")));
    cJSON_Delete(all);
    answer_drop(&a);
}

static void the_doctor_finds_a_model_of_another_size_and_a_closed_folder(void)
{
    answer a = ASK("doctor", "--model", "Makefile", "--out", "/nowhere/at/all");

    CU_ASSERT_EQUAL(a.code, ATT_EXIT_INCOMPLETE);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "98362432 are expected"));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "/nowhere/at/all can't be made"));
    answer_drop(&a);
}

/* A list of cases in a file of its own; the caller unlinks it. */
static void list_make(char path[32], const char *text)
{
    strcpy(path, "/tmp/att_list_XXXXXX");
    int fd = mkstemp(path);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT_EQUAL(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void a_list_of_cases_is_timed_and_the_shares_add_up(void)
{
    static const char *const shares[] = {"share_eval", "share_harness", "share_kernel",
                                         "share_oracle"};
    char path[32];
    double n = 0, sum = 0, share;

    list_make(path, "# two cases\n\nparity flash_f32 sq=3\nparity naive_blas sk=5 seed=2\r\n");
    answer a = ASK("bench", "--json", "--cases", path);
    cJSON *all = json_of(&a);
    CU_ASSERT_EQUAL(a.code, ATT_EXIT_PASS);
    CU_ASSERT(att_json_real(all, "cases", &n) && n == 2);
    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        CU_ASSERT_FATAL(att_json_real(all, shares[i], &share));
        CU_ASSERT(share >= 0 && share <= 1);
        sum += share;
    }
    CU_ASSERT_DOUBLE_EQUAL(sum, 1, 1e-9);
    cJSON_Delete(all);
    answer_drop(&a);
    unlink(path);
}

static void a_list_is_not_timed_where_a_case_does_not_pass(void)
{
    char path[32];

    list_make(path, "parity flash_f32\nparity flash_f32 dtype=f16\n");
    answer a = ASK("bench", "--cases", path);
    CU_ASSERT_EQUAL(a.code, ATT_EXIT_FAIL);
    CU_ASSERT_STRING_EQUAL(a.out, "");
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, "dtype=f16 seed=1 ended as unsupported"));
    answer_drop(&a);
    unlink(path);
}

static void a_wrong_line_of_a_list_is_named_with_its_file_and_line(void)
{
    char path[32], place[48];

    list_make(path, "# one\nparity flash_f32\n\nparity flash_f32 hqq=3\n");
    answer a = ASK("run", "--cases", path, "--dry-run");
    snprintf(place, sizeof place, "%s:4: ", path);
    CU_ASSERT_EQUAL(a.code, ATT_EXIT_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, place));
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, "the nearest is hq"));
    answer_drop(&a);
    unlink(path);
    list_make(path, "parity flash_f32\nparity naive_blas\n");
    a = ASK("run", "--cases", path, "--dry-run");
    CU_ASSERT_EQUAL(a.code, ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.out, "\n2 cases"));
    answer_drop(&a);
    unlink(path);
    a = ASK("run", "--cases", path, "--dry-run");
    CU_ASSERT_EQUAL(a.code, ATT_EXIT_INCOMPLETE);
    CU_ASSERT_PTR_NOT_NULL(strstr(a.err, path));
    answer_drop(&a);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"wrong_use_is_2_and_names_the_nearest", wrong_use_is_2_and_names_the_nearest},
        {"an_isa_level_that_is_not_there_is_a_usage_error",
         an_isa_level_that_is_not_there_is_a_usage_error},
        {"every_verb_has_help_on_stdout", every_verb_has_help_on_stdout},
        {"kernels_are_listed_with_what_they_can_do", kernels_are_listed_with_what_they_can_do},
        {"every_table_is_an_array_of_named_objects", every_table_is_an_array_of_named_objects},
        {"show_prints_parameters_and_contracts", show_prints_parameters_and_contracts},
        {"show_knows_suites_parameters_and_layers", show_knows_suites_parameters_and_layers},
        {"the_doctor_reads_more_of_a_model_than_its_size",
         the_doctor_reads_more_of_a_model_than_its_size},
        {"the_doctor_expects_the_model_that_the_script_fetches",
         the_doctor_expects_the_model_that_the_script_fetches},
        {"without_gnuplot_the_doctor_is_content", without_gnuplot_the_doctor_is_content},
        {"the_doctor_finds_a_missing_model", the_doctor_finds_a_missing_model},
        {"the_doctor_finds_a_model_of_another_size_and_a_closed_folder",
         the_doctor_finds_a_model_of_another_size_and_a_closed_folder},
        {"a_list_of_cases_is_timed_and_the_shares_add_up",
         a_list_of_cases_is_timed_and_the_shares_add_up},
        {"a_list_is_not_timed_where_a_case_does_not_pass",
         a_list_is_not_timed_where_a_case_does_not_pass},
        {"a_wrong_line_of_a_list_is_named_with_its_file_and_line",
         a_wrong_line_of_a_list_is_named_with_its_file_and_line},
        CU_TEST_INFO_NULL};
    return att_suite_run("verbs", tests);
}
