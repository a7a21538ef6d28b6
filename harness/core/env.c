/* SPDX-License-Identifier: Apache-2.0 */
#include "env.h"

#include <gnu/libc-version.h>
#include <cblas.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "build.h"

#define ATT_VERSION "0.1.0"

static bool put(att_text_pair **list, size_t *n, const char *key, const char *value)
{
    att_text_pair *bigger = realloc(*list, (*n + 1) * sizeof *bigger);

    if (!bigger)
        return false;
    *list = bigger;
    bigger[*n] = (att_text_pair){strdup(key), strdup(value)};
    return bigger[*n].key && bigger[(*n)++].value;
}

/* The processor's name as the kernel tells it. */
static void processor(char *out, size_t size)
{
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");

    snprintf(out, size, "unknown");
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon)
            continue;
        snprintf(out, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f)
        fclose(f);
}

att_status att_env_fill(const char *isa, att_result *out, att_why *why)
{
    static const char *const variables[] = {"OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "ATT_ISA",
                                            "ATT_MODEL"};
    char cpu[256], memory[64], machine[512] = "";
    struct utsname name;
    bool good = uname(&name) == 0;

    processor(cpu, sizeof cpu);
    snprintf(memory, sizeof memory, "%lld", (long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE));
    good = good && put(&out->tool, &out->n_tool, "version", ATT_VERSION) &&
           put(&out->tool, &out->n_tool, "git_sha", ATT_BUILD_SHA) &&
           put(&out->tool, &out->n_tool, "dirty", ATT_BUILD_DIRTY ? "true" : "false") &&
           put(&out->tool, &out->n_tool, "compiler", ATT_BUILD_COMPILER) &&
           put(&out->tool, &out->n_tool, "flags", ATT_BUILD_FLAGS) &&
           put(&out->env, &out->n_env, "cpu", cpu) && put(&out->env, &out->n_env, "isa", isa) &&
           put(&out->env, &out->n_env, "kernel", name.release) &&
           put(&out->env, &out->n_env, "libc", gnu_get_libc_version()) &&
           put(&out->env, &out->n_env, "blas", openblas_get_config()) &&
           put(&out->env, &out->n_env, "blas_core", openblas_get_corename()) &&
           put(&out->env, &out->n_env, "memory_bytes", memory);
    for (size_t i = 0; good && i < sizeof variables / sizeof *variables; i++)
        if (getenv(variables[i]))
            good = put(&out->env, &out->n_env, variables[i], getenv(variables[i]));
    snprintf(machine, sizeof machine, "%.32s/%s/%s/glibc-%.16s", good ? name.machine : "?", isa,
             openblas_get_corename(), gnu_get_libc_version());
    out->env_class = strdup(machine);
    if (!good || !out->env_class) {
        att_why_set(why, "no memory for the environment");
        return ATT_NO_MEMORY;
    }
    return ATT_OK;
}
