/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels from a shared object.  Only workers load one: a plugin that crashes takes a worker with
 * it, never the coordinator. */
#ifndef ATT_PLUGIN_SO_H
#define ATT_PLUGIN_SO_H

#include "core/registry.h"

/* Loads and checks path; *kernels live until the process ends.  INVALID, naming the file and what
 * is wrong with it: no such symbol, another ABI, a descriptor that lacks something. */
att_status att_plugin_open(const char *path, const att_kernel *const **kernels, size_t *n,
                           att_why *why);

/* The source a worker's registry uses. */
extern const att_plugin_source att_plugin_loader;

#endif
