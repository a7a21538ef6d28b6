/* SPDX-License-Identifier: Apache-2.0 */
/* attest search and attest repro --shrink, as a script sees them. */
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

/* Runs attest with `args`; what it printed is for the caller to free. */
static int ask(const char *args, char **out)
{
    char room[PATH_MAX], path[] = "/tmp/att_search_XXXXXX", command[2 * PATH_MAX];
    int fd = mkstemp(path);
    size_t length = 0;

    CU_ASSERT_FATAL(fd >= 0);
    close(fd);
    test_room(room);
    snprintf(command, sizeof command, "'%s/attest' %s >'%s' 2>&1", room, args, path);
    int status = system(command);
    *out = att_file_read(path, 1 << 22, &length);
    unlink(path);
    CU_ASSERT_PTR_NOT_NULL_FATAL(*out);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The only kernel of a search's JSON; *all is for the caller to delete. */
static const cJSON *search(const char *args, int *code, cJSON **all)
{
    char command[1024], *out;
    att_why why = {""};

    snprintf(command, sizeof command, "search --json %s", args);
    *code = ask(command, &out);
    CU_ASSERT_EQUAL_FATAL(att_json_parse(out, strlen(out), "search", all, &why), ATT_OK);
    const cJSON *kernels = att_json_get(*all, "kernels");
    CU_ASSERT_EQUAL_FATAL(cJSON_GetArraySize(kernels), 1);
    free(out);
    return cJSON_GetArrayItem(kernels, 0);
}

static int repro(const char *options, const char *line, char **out)
{
    char command[1024];

    snprintf(command, sizeof command, "repro %s '%s'", options, line);
    return ask(command, out);
}

static void a_search_finds_where_a_wrong_kernel_falls(void)
{
    cJSON *all = NULL;
    const char *line = NULL, *status = NULL;
    char *out;
    int code;

    const cJSON *found = search("--kernel zoo:gqa_tile_order --seconds 20", &code, &all);
    CU_ASSERT_EQUAL(code, ATT_EXIT_FAIL);
    CU_ASSERT_FATAL(att_json_text(found, "status", &status));
    CU_ASSERT_STRING_EQUAL(status, "fail");
    CU_ASSERT_FATAL(att_json_text(found, "line", &line));
    CU_ASSERT_EQUAL(repro("", line, &out), ATT_EXIT_FAIL);
    free(out);
    cJSON_Delete(all);
}

static void a_search_prints_the_nearest_miss_of_a_right_kernel(void)
{
    cJSON *all = NULL;
    const char *line = NULL, *metric = NULL;
    double nearest = 0, tried = 0, supported = 0;
    char *out;
    int code;

    const cJSON *found = search("--kernel naive_blas --seconds 0.5 --seed 3", &code, &all);
    CU_ASSERT_EQUAL(code, ATT_EXIT_PASS);
    CU_ASSERT(att_json_real(found, "tried", &tried) &&
              att_json_real(found, "supported", &supported));
    CU_ASSERT(supported > 0 && supported < tried);
    CU_ASSERT(att_json_real(found, "nearest", &nearest) && nearest > 0 && nearest <= 1);
    CU_ASSERT_FATAL(att_json_text(found, "line", &line) && att_json_text(found, "metric", &metric));
    CU_ASSERT_EQUAL(repro("", line, &out), ATT_EXIT_PASS);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, metric));
    free(out);
    cJSON_Delete(all);
}

static void what_can_not_be_searched_is_a_usage_error(void)
{
    char *out;

    CU_ASSERT_EQUAL(ask("search --eval parityy", &out), ATT_EXIT_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "the nearest is parity"));
    free(out);
    CU_ASSERT_EQUAL(ask("search --kernel flash_f23", &out), ATT_EXIT_USAGE);
    CU_ASSERT_PTR_NOT_NULL(strstr(out, "flash_f23"));
    free(out);
}

/* Tiled heads show only where there are several kv heads and groups of several. */
static void a_failure_is_shrunk_to_what_it_needs(void)
{
    char *out, *from, *line;

    CU_ASSERT_EQUAL(
        repro("--shrink --seconds 120",
              "parity zoo:gqa_tile_order b=2 hq=6 hkv=2 sq=38 sk=65 d=40 causal=br wl=7 "
              "bias=heads layout=bshd threads=2 seed=5",
              &out),
        ATT_EXIT_FAIL);
    from = strstr(out, "smallest case that fails alike:\n  attest repro '");
    CU_ASSERT_PTR_NOT_NULL_FATAL(from);
    from = strchr(from, '\'') + 1;
    line = strndup(from, strcspn(from, "'"));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " hkv=2 "));
    CU_ASSERT_PTR_NOT_NULL(strstr(line, " seed=5"));
    CU_ASSERT_PTR_NULL(strstr(line, "bias="));
    CU_ASSERT_PTR_NULL(strstr(line, "threads="));
    CU_ASSERT_PTR_NULL(strstr(line, "sk=65"));
    free(out);
    CU_ASSERT_EQUAL(repro("", line, &out), ATT_EXIT_FAIL);
    free(out);
    free(line);
}

static void what_passes_is_not_shrunk(void)
{
    char *out;

    CU_ASSERT_EQUAL(repro("--shrink", "parity naive_blas sq=3", &out), ATT_EXIT_PASS);
    CU_ASSERT_PTR_NULL(strstr(out, "smallest"));
    free(out);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"a_search_finds_where_a_wrong_kernel_falls", a_search_finds_where_a_wrong_kernel_falls},
        {"a_search_prints_the_nearest_miss_of_a_right_kernel",
         a_search_prints_the_nearest_miss_of_a_right_kernel},
        {"what_can_not_be_searched_is_a_usage_error", what_can_not_be_searched_is_a_usage_error},
        {"a_failure_is_shrunk_to_what_it_needs", a_failure_is_shrunk_to_what_it_needs},
        {"what_passes_is_not_shrunk", what_passes_is_not_shrunk},
        CU_TEST_INFO_NULL};
    return att_suite_run("search", tests);
}
