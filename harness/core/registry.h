/* SPDX-License-Identifier: Apache-2.0 */
/* The tables that the CLI hands down, and the kernels of plugins, found by name. */
#ifndef ATT_REGISTRY_H
#define ATT_REGISTRY_H

#include "attn.h"
#include "base/arena.h"
#include "base/why.h"
#include "core/eval.h"
#include "core/variant.h"

/* Tables end with NULL; a NULL table is empty. */
typedef struct att_tables {
    const att_kernel *const *kernels;
    const att_kernel *const *zoo;
    const att_kernel *const *controls;
    const att_kernel *const *different; /* right in other ways */
    const att_eval *const *evals;
    const char *isa;    /* the level of the kernels in use */
    const char *dense;  /* what the alias `dense` stands for */
    const char *oracle; /* the float64 reference */
} att_tables;

/* Who can look into a .so: the loader itself in a worker, a question to a worker elsewhere.  The
 * kernels live as long as the registry. */
typedef struct att_plugin_source {
    void *arg;
    att_status (*open)(void *arg, const char *path, const att_kernel *const **kernels, size_t *n,
                       att_why *why);
    void (*close)(void *arg, const att_kernel *const *kernels); /* NULL = nothing to give back */
} att_plugin_source;

typedef struct att_registry att_registry;

/* INVALID where two kernels share a name or a descriptor is malformed. */
att_status att_registry_make(const att_tables *tables, const att_plugin_source *plugins,
                             att_registry **out, att_why *why);
void att_registry_drop(att_registry *r);
const att_tables *att_registry_tables(const att_registry *r);

/* By exact name; NULL, with the nearest name in *why, if there is none.  Kernels: every table,
 * the alias `dense`, and `zoo:NAME`, `controls:NAME`, `different:NAME`. */
const att_eval *att_registry_eval(const att_registry *r, const char *name, att_why *why);
const att_kernel *att_registry_kernel(const att_registry *r, const char *name, att_why *why);
/* A plugin's kernel; name "" = its only one. */
att_status att_registry_plugin(att_registry *r, const char *path, const char *name,
                               const att_kernel **out, att_why *why);

/* Kernel texts for a pattern, each handed to `take` in table order: "*" and other globs range over
 * the variants only, "zoo:GLOB", "controls:GLOB" and "different:GLOB" over theirs; "plugin:PATH"
 * without a name means all its kernels; anything else is taken as one kernel's text.  INVALID where
 * nothing matches. */
att_status att_registry_match(att_registry *r, const char *pattern,
                              att_status (*take)(void *arg, const char *text, att_why *why),
                              void *arg, att_why *why);

/* A kernel's text, parameters included, to a variant that lies in the arena. */
att_status att_variant_parse(att_registry *r, const char *text, att_arena *arena,
                             const att_variant **out, att_why *why);

/* Does the kernel have a function for the operator? */
bool att_kernel_offers(const att_kernel *kernel, att_op op);
/* "" or what is wrong with a descriptor: ABI, size, name, pointers. */
const char *att_kernel_fault(const att_kernel *kernel);

#endif
