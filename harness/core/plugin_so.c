/* SPDX-License-Identifier: Apache-2.0 */
#include "plugin_so.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define MOST 1024 /* kernels of one plugin */

att_status att_plugin_open(const char *path, const att_kernel *const **kernels, size_t *n,
                           att_why *why)
{
    char *real = realpath(path, NULL); /* dlopen searches the library path for a bare name */
    void *so = real ? dlopen(real, RTLD_NOW | RTLD_LOCAL) : NULL;
    att_plugin_fn entry = NULL;

    if (!real || !so) {
        att_why_set(why, "plugin %s: %s", path, real ? dlerror() : "no such file");
        free(real);
        return ATT_INVALID;
    }
    free(real);
    void *symbol = dlsym(so, "att_plugin");
    if (!symbol) {
        att_why_set(why, "plugin %s: it exports no att_plugin", path);
        return ATT_INVALID;
    }
    memcpy(&entry, &symbol, sizeof entry); /* ISO C has no cast from data to function pointer */
    *n = 0;
    *kernels = entry(ATT_ABI, n);
    if (!*kernels || *n == 0 || *n > MOST) {
        att_why_set(why, "plugin %s: att_plugin(abi %u.%u) offers no kernels", path, ATT_ABI_MAJOR,
                    ATT_ABI_MINOR);
        return ATT_INVALID;
    }
    for (size_t i = 0; i < *n; i++) {
        const char *fault = att_kernel_fault((*kernels)[i]);
        if (*fault) {
            att_why_set(why, "plugin %s: kernel %zu: %s", path, i, fault);
            return ATT_INVALID;
        }
    }
    return ATT_OK;
}

static att_status open_here(void *arg, const char *path, const att_kernel *const **kernels,
                            size_t *n, att_why *why)
{
    (void)arg;
    return att_plugin_open(path, kernels, n, why);
}

const att_plugin_source att_plugin_loader = {NULL, open_here, NULL};
