/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/env.h"
#include "suites.h"

#define DESCRIPTION_LIMIT ((size_t)1 << 20)
#define PATIENCE          20.0 /* seconds a plugin may take to load */

/* Reads fd to its end, or until time is up. */
static char *drain(int fd, size_t *length)
{
    char *text = malloc(DESCRIPTION_LIMIT + 1);
    double until = att_clock_now() + PATIENCE;
    struct pollfd p = {fd, POLLIN, 0};
    ssize_t n = 1;

    *length = 0;
    while (text && n > 0 && *length < DESCRIPTION_LIMIT && att_clock_now() < until)
        if (poll(&p, 1, 200) > 0 && (n = read(fd, text + *length, DESCRIPTION_LIMIT - *length)) > 0)
            *length += (size_t)n;
    if (text)
        text[*length] = '\0';
    return text;
}

/* Runs `attest describe path`; its JSON, or NULL and why. */
static char *ask(const char *self, const char *path, size_t *length, att_why *why)
{
    int fds[2], status = 0;
    char *argv[] = {(char *)(uintptr_t)self, "describe", (char *)(uintptr_t)path, NULL};

    if (pipe2(fds, O_CLOEXEC) != 0) {
        att_why_set(why, "plugin %s: %s", path, strerror(errno));
        return NULL;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int up = fcntl(fds[1], F_DUPFD, 10), null = open("/dev/null", O_WRONLY);
        if (up < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || dup2(up, 3) < 0)
            _exit(126);
        execv(self, argv);
        _exit(127);
    }
    close(fds[1]);
    char *text = pid > 0 ? drain(fds[0], length) : NULL;
    close(fds[0]);
    if (pid > 0) {
        if (waitpid(pid, &status, WNOHANG) == 0 && (!text || !*text))
            kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
    }
    if (text && *text)
        return text;
    free(text);
    if (pid > 0 && WIFSIGNALED(status))
        att_why_set(why, "plugin %s: loading it ended with signal %d (%s)", path, WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
    else
        att_why_set(why, "plugin %s: loading it gave no description", path);
    return NULL;
}

static att_status never(const att_kernel *self, att_op op, const att_problem *p,
                        const att_value *params, att_reason *why)
{
    (void)self, (void)op, (void)p, (void)params, (void)why;
    return ATT_UNSUPPORTED; /* the coordinator never calls a kernel */
}

static att_status never_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p, (void)s;
    return ATT_UNSUPPORTED;
}

/* What a plugin declares, in memory of its own. */
typedef struct shadows {
    att_arena arena;
    const att_kernel *all[];
} shadows;

static const char *word(att_arena *arena, const cJSON *object, const char *key)
{
    const char *text = "";

    att_json_text(object, key, &text);
    const char *copy = att_arena_text(arena, text);
    return copy ? copy : "";
}

static const att_param *params_of(att_arena *arena, const cJSON *list)
{
    size_t n = (size_t)cJSON_GetArraySize(list), i = 0;
    att_param *table = att_arena_zeros(arena, n + 1, sizeof *table);
    const cJSON *p;
    int64_t type;

    cJSON_ArrayForEach(p, list)
    {
        if (table && att_json_int(p, "type", &type))
            table[i++] = (att_param){.name = word(arena, p, "name"),
                                     .type = (int32_t)type,
                                     .unit = word(arena, p, "unit"),
                                     .fallback = word(arena, p, "fallback"),
                                     .domain = word(arena, p, "domain"),
                                     .help = word(arena, p, "help")};
    }
    return table;
}

/* A descriptor that knows what the plugin declares and can do nothing. */
static const att_kernel *shadow(att_arena *arena, const cJSON *k)
{
    att_kernel *out = att_arena_zeros(arena, 1, sizeof *out);
    int64_t class_ = 0, acc = 0, prob = 0, rounded = 0;

    if (!out)
        return NULL;
    att_json_int(k, "class", &class_);
    att_json_int(k, "acc", &acc);
    att_json_int(k, "prob", &prob);
    att_json_int(k, "out", &rounded);
    *out = (att_kernel){.struct_size = sizeof *out,
                        .abi = ATT_ABI,
                        .name = word(arena, k, "name"),
                        .family = word(arena, k, "family"),
                        .summary = word(arena, k, "summary"),
                        .class_ = (int32_t)class_,
                        .precision = {(int32_t)acc, (int32_t)prob, (int32_t)rounded, 0},
                        .params = params_of(arena, att_json_get(k, "params")),
                        .supports = never,
                        .attend = never_attend};
    att_json_real(k, "margin", &out->margin);
    att_json_int(k, "align", &out->align);
    att_json_int(k, "over_read", &out->over_read);
    return out;
}

static void close_there(void *arg, const att_kernel *const *kernels)
{
    (void)arg;
    shadows *s = (shadows *)((uintptr_t)kernels - offsetof(shadows, all));

    att_arena_drop(&s->arena);
    free(s);
}

static att_status open_there(void *arg, const char *path, const att_kernel *const **kernels,
                             size_t *n, att_why *why)
{
    cJSON *json = NULL;
    size_t length = 0;
    const char *text = "";
    char *answer = ask(arg, path, &length, why);

    if (!answer)
        return ATT_INVALID;
    att_status status = att_json_parse(answer, length, path, &json, why);
    free(answer);
    if (status != ATT_OK)
        return ATT_INVALID;
    const cJSON *list = att_json_get(json, "kernels"), *k;
    const size_t most = (size_t)cJSON_GetArraySize(list) + 1;
    shadows *s = calloc(1, sizeof *s + most * sizeof *s->all);
    *n = 0;
    att_json_text(json, "why", &text);
    cJSON_ArrayForEach(k, list) if (s && (s->all[*n] = shadow(&s->arena, k)))++ *n;
    if (*n == 0) {
        att_why_set(why, "%s", *text ? text : "no memory for a plugin's description");
        if (s)
            close_there(arg, s->all);
    } else
        *kernels = s->all;
    status = *n ? ATT_OK : ATT_INVALID;
    cJSON_Delete(json);
    return status;
}

att_plugin_source att_cli_plugins(const att_cli *cli)
{
    return (att_plugin_source){(void *)(uintptr_t)cli->self, open_there, close_there};
}

att_status att_cli_add_suite(att_run_plan *plan, att_registry *registry, const char *suite,
                             const att_plan_filter *filter, att_why *why)
{
    char path[4096];
    att_status status = att_suites_path(suite, path, sizeof path, why);

    return status == ATT_OK ? att_plan_add_suite(plan, registry, path, filter, why) : status;
}

att_status att_cli_measure(const att_cli *cli, const att_run_plan *plan, const char *model,
                           int64_t workers, bool quiet, att_result *result, int *number,
                           att_why *why)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    char datasets[4096];

    att_env_find("datasets", datasets, sizeof datasets);
    const att_run_options run = {
        .command = {cli->self, model, datasets, "/dev/null", ATT_MEMORY_GIB * 0x1p30},
        .workers = workers ? (int)workers : (int)processors,
        .stamp = "",
        .quiet = quiet};
    return att_run_plan_measure(plan, &run, result, number, why);
}
