/* SPDX-License-Identifier: Apache-2.0 */
/* What the verbs that measure have in common. */
#ifndef ATT_SESSION_H
#define ATT_SESSION_H

#include "cli.h"
#include "core/registry.h"
#include "core/run.h"

#define ATT_MODEL_PATH "datasets/models/SmolLM2-135M-Instruct.Q4_1.gguf"

/* Address space of a worker by default; sanitizers need terabytes of it, so there is no limit. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ATT_MEMORY_GIB 0.0
#define ATT_SLOWER     10.0 /* how much longer a fixed limit of time lasts */
#else
#define ATT_MEMORY_GIB 10.0
#define ATT_SLOWER     1.0
#endif

/* Adds a suite, by name (ci/suites/NAME.json) or as a file's path (it holds a '/'). */
att_status att_cli_add_suite(att_run_plan *plan, att_registry *registry, const char *suite,
                             const att_plan_filter *filter, att_why *why);

/* Measures a finished plan without a journal, with every default; workers: 0 = one a processor;
 * model: NULL = none.  Otherwise as att_run_plan_measure. */
att_status att_cli_measure(const att_cli *cli, const att_run_plan *plan, const char *model,
                           int64_t workers, bool quiet, att_result *result, int *number,
                           att_why *why);

/* Plugins as the coordinator sees them: described by a process that may crash in its place. */
att_plugin_source att_cli_plugins(const att_cli *cli);

#endif
