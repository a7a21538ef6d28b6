/* SPDX-License-Identifier: Apache-2.0 */
/* attest lm as a user calls it, on a tiny model made here: what it prints, and how it ends on bad
 * input. */
#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/json.h"
#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "model/tests/build_gguf.h"

typedef struct world {
    char attest[PATH_MAX + 8], model[64], text[64];
    char *out; /* what the last call printed to stdout and stderr */
    size_t length;
} world;

static void put_file(const char *path, const char *data, size_t length)
{
    CU_ASSERT_TRUE_FATAL(att_file_write(path, data, length));
}

static world world_open(void)
{
    world w = {.out = NULL};

    test_room(w.attest);
    strcat(w.attest, "/attest");
    snprintf(w.model, sizeof w.model, "/tmp/attest_test_cmd_lm_%ld.gguf", (long)getpid());
    snprintf(w.text, sizeof w.text, "/tmp/attest_test_cmd_lm_%ld.txt", (long)getpid());
    att_buf file = build_tiny(7);
    put_file(w.model, file.data, file.length);
    put_file(w.text, "ABC 12<|X|>HELLO", 16);
    att_buf_drop(&file);
    return w;
}

static void world_close(world *w)
{
    unlink(w->model);
    unlink(w->text);
    free(w->out);
}

/* Runs attest lm on the model with these arguments; its exit code. */
static int call(world *w, const char *task, const char *rest)
{
    att_buf line = {0}, out = {0};
    char piece[4096];
    size_t n;
    att_buf_printf(&line, "'%s' lm %s %s --model '%s' --threads 1 2>&1", w->attest, task, rest,
                   w->model);
    FILE *f = popen(line.data, "r");
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        att_buf_add(&out, piece, n);
    int status = pclose(f);
    att_buf_drop(&line);
    free(w->out);
    w->length = out.length;
    w->out = out.data ? out.data : strdup("");
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int call_text(world *w, const char *task, const char *rest)
{
    char both[256];
    snprintf(both, sizeof both, "--text-file '%s' %s", w->text, rest);
    return call(w, task, both);
}

static cJSON *json(world *w)
{
    cJSON *object = NULL;
    att_why why = {""};
    CU_ASSERT_EQUAL_FATAL(att_json_parse(w->out, w->length, "stdout", &object, &why), ATT_OK);
    return object;
}

static void tokens_are_the_tables(void)
{
    /* ABC, space, 1, 2, <|X|>, H E L L O */
    static const int want[] = {61, 0, 17, 18, 62, 40, 37, 44, 44, 47};
    world w = world_open();
    CU_ASSERT_EQUAL(call_text(&w, "tokens", "--json"), 0);
    cJSON *object = json(&w);
    const cJSON *ids = att_json_get(object, "ids");
    CU_ASSERT_EQUAL(cJSON_GetArraySize(ids), 10);
    for (int i = 0; i < cJSON_GetArraySize(ids) && i < 10; i++)
        CU_ASSERT_EQUAL(cJSON_GetArrayItem(ids, i)->valueint, want[i]);
    cJSON_Delete(object);
    world_close(&w);
}

static void summaries_are_one_json_object(void)
{
    world w = world_open();
    double sum = 0, x = 0;
    int64_t n = 0;
    CU_ASSERT_EQUAL(call_text(&w, "logits", "--json"), 0);
    cJSON *object = json(&w);
    const cJSON *top = att_json_get(object, "top");
    CU_ASSERT(att_json_int(object, "n_tokens", &n) && n == 10);
    CU_ASSERT(att_json_real(object, "logsumexp", &sum));
    CU_ASSERT_EQUAL(cJSON_GetArraySize(top), 20);
    for (int i = 1; i < cJSON_GetArraySize(top); i++)
        CU_ASSERT(cJSON_GetArrayItem(cJSON_GetArrayItem(top, i - 1), 1)->valuedouble >=
                  cJSON_GetArrayItem(cJSON_GetArrayItem(top, i), 1)->valuedouble);
    CU_ASSERT(sum > cJSON_GetArrayItem(cJSON_GetArrayItem(top, 0), 1)->valuedouble);
    cJSON_Delete(object);
    CU_ASSERT_EQUAL(call_text(&w, "nll", "--json --kernel reference_f64"), 0);
    object = json(&w);
    CU_ASSERT(att_json_real(object, "mean_nll", &x) && x > 0 && x < 20);
    cJSON_Delete(object);
    CU_ASSERT_EQUAL(call(&w, "speed", "--json --prompt-tokens 8 --decode 2"), 0);
    object = json(&w);
    CU_ASSERT(att_json_real(object, "prefill_tokens_per_s", &x) && x > 0);
    CU_ASSERT(att_json_real(object, "decode_tokens_per_s", &x) && x > 0);
    cJSON_Delete(object);
    world_close(&w);
}

static void ends(world *w, int code, int want, const char *says)
{
    CU_ASSERT_EQUAL(code, want);
    CU_ASSERT_PTR_NOT_NULL(strstr(w->out, says));
    if (code != want || !strstr(w->out, says))
        printf("  exit %d, wanted %d and \"%s\": %s\n", code, want, says, w->out);
}

static void bad_input_ends_with_its_code_and_place(void)
{
    world w = world_open();
    ends(&w, call(&w, "tokens", ""), 2, "--text-file");
    ends(&w, call(&w, "nothing", ""), 2, "no task nothing");
    ends(&w, call(&w, "speed", "--nothing"), 2, "unknown option --nothing");
    ends(&w, call_text(&w, "nll", "--kernel flash_f23"), 2, "nearest is flash_f32");
    ends(&w, call_text(&w, "nll", "--output x"), 2, "takes no --output");
    ends(&w, call(&w, "speed", "--prompt-tokens 4096"), 2, "128");
    ends(&w, call_text(&w, "capture", "--layer 3 --queries 2 --output /tmp/never"), 2,
         "no such call");
    ends(&w, call_text(&w, "capture", "--queries 2 --output /nonexistent/x"), 5, "/nonexistent/x");
    ends(&w, call(&w, "tokens", "--text-file /nonexistent/y"), 5, "/nonexistent/y");
    put_file(w.text, "AB\xff", 3);
    ends(&w, call_text(&w, "tokens", ""), 6, "byte 2");
    put_file(w.text, "A", 1);
    ends(&w, call_text(&w, "nll", ""), 2, "1 tokens");
    put_file(w.model, "GGUF and nothing more", 21);
    ends(&w, call_text(&w, "tokens", ""), 6, w.model);
    unlink(w.model);
    ends(&w, call_text(&w, "tokens", ""), 5, w.model);
    world_close(&w);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"tokens_are_the_tables", tokens_are_the_tables},
        {"summaries_are_one_json_object", summaries_are_one_json_object},
        {"bad_input_ends_with_its_code_and_place", bad_input_ends_with_its_code_and_place},
        CU_TEST_INFO_NULL};
    return att_suite_run("cmd_lm", tests);
}
