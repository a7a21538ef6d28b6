/* SPDX-License-Identifier: Apache-2.0 */
/* The environment class is what may change the bits of an output: architecture, kernels' level,
 * BLAS with its core type, libm, flushed subnormals.  OpenBLAS is only asked here, never used: the
 * coordinator that fills this computes nothing. */
#include "env.h"

#include <cblas.h>
#include <float.h>
#include <gnu/libc-version.h>
#include <stdio.h>
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
    att_text_pair *pair = &bigger[(*n)++];
    *pair = (att_text_pair){strdup(key), strdup(value)};
    return pair->key && pair->value;
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

/* "kept", or "flushed" where the thread's floating-point state (or a library's start-up code) turns
 * subnormals into zeros; volatile, so that the processor answers. */
static const char *subnormals(void)
{
    volatile float tiny = FLT_MIN, half = 0.5f;
    return tiny * half > 0.0f ? "kept" : "flushed";
}

/* "OpenBLAS-0.3.21-Zen" of the configuration "OpenBLAS 0.3.21 NO_LAPACKE ..." and the core. */
static void blas_name(char *out, size_t size)
{
    const char *config = openblas_get_config(), *space = strchr(config, ' ');
    size_t name = strcspn(config, " "), version = space ? strcspn(space + 1, " ") : 0;

    snprintf(out, size, "%.*s-%.*s-%s", (int)name, config, (int)version, space ? space + 1 : "",
             openblas_get_corename());
}

void att_env_find(const char *relative, char *out, size_t size)
{
    char self[4096];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    *(slash ? slash : self) = '\0';
    /* PREFIX/bin/attest, wherever PREFIX was moved to; then where it was built for */
    const char *const folders[] = {self, ATT_BUILD_DATA};
    const char *const below[] = {"/../share/attest", ""};
    for (int i = 0; i < 2 && access(relative, R_OK) != 0; i++) {
        snprintf(out, size, "%s%s/%s", folders[i], below[i], relative);
        if (access(out, R_OK) == 0)
            return;
    }
    snprintf(out, size, "%s", relative);
}

static bool fill_tool(att_result *out)
{
    return put(&out->tool, &out->n_tool, "version", ATT_VERSION) &&
           put(&out->tool, &out->n_tool, "git_sha", ATT_BUILD_SHA) &&
           put(&out->tool, &out->n_tool, "dirty", ATT_BUILD_DIRTY ? "true" : "false") &&
           put(&out->tool, &out->n_tool, "compiler", ATT_BUILD_COMPILER) &&
           put(&out->tool, &out->n_tool, "flags", ATT_BUILD_FLAGS);
}

static bool fill_env(const char *isa, const char *release, att_result *out)
{
    static const char *const variables[] = {
        "ATT_ISA",         "ATT_MODEL",         "GLIBC_TUNABLES",      "LD_PRELOAD",
        "OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS"};
    char cpu[256], number[32];
    long long bytes = (long long)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE);

    processor(cpu, sizeof cpu);
    bool good = put(&out->env, &out->n_env, "cpu", cpu) &&
                put(&out->env, &out->n_env, "isa", isa) &&
                put(&out->env, &out->n_env, "kernel", release) &&
                put(&out->env, &out->n_env, "libc", gnu_get_libc_version()) &&
                put(&out->env, &out->n_env, "blas", openblas_get_config()) &&
                put(&out->env, &out->n_env, "blas_core", openblas_get_corename()) &&
                put(&out->env, &out->n_env, "subnormals", subnormals());
    snprintf(number, sizeof number, "%lld", bytes);
    good = good && put(&out->env, &out->n_env, "memory_bytes", number);
    snprintf(number, sizeof number, "%d", openblas_get_num_threads());
    good = good && put(&out->env, &out->n_env, "blas_threads", number);
    snprintf(number, sizeof number, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    good = good && put(&out->env, &out->n_env, "processors", number);
    for (size_t i = 0; good && i < sizeof variables / sizeof *variables; i++)
        if (getenv(variables[i]))
            good = put(&out->env, &out->n_env, variables[i], getenv(variables[i]));
    return good;
}

att_status att_env_fill(const char *isa, att_result *out, att_why *why)
{
    struct utsname name = {0};
    char blas[128], class_[512];
    bool named = uname(&name) == 0;

    blas_name(blas, sizeof blas);
    snprintf(class_, sizeof class_, "%.32s/%s/%s/glibc-%.16s%s", named ? name.machine : "?", isa,
             blas, gnu_get_libc_version(),
             strcmp(subnormals(), "kept") == 0 ? "" : "/no-subnormals");
    bool good = fill_tool(out) && fill_env(isa, named ? name.release : "?", out);
    out->env_class = strdup(class_);
    if (!good || !out->env_class) {
        att_why_set(why, "no memory for the environment");
        return ATT_NO_MEMORY;
    }
    return ATT_OK;
}
