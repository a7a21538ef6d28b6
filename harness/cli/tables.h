/* SPDX-License-Identifier: Apache-2.0 */
/* The house's tables as core wants them; the verbs that start from a registry use it. */
#ifndef ATT_CLI_TABLES_H
#define ATT_CLI_TABLES_H

#include "base/arena.h"
#include "cli.h"
#include "core/registry.h"

static inline att_tables att_cli_tables(const att_cli *cli)
{
    return (att_tables){.kernels = cli->kernels->kernels,
                        .zoo = cli->kernels->zoo,
                        .controls = cli->kernels->controls,
                        .different = cli->kernels->different,
                        .evals = cli->evals,
                        .isa = cli->kernels->isa,
                        .dense = "flash_f32",
                        .oracle = "reference_f64"};
}

/* What was asked for as patterns of measures, NULL at the end, in the arena; NULL = no memory.  The
 * name of a track (numeric, probes, model, cost) stands for its evals: "parity", "parity.*" ... */
const char **att_cli_evals(const att_cli *cli, const char *const *asked, size_t n_asked,
                           att_arena *arena);
/* INVALID, naming the nearest, where what was asked for holds no * or ? and names nothing. */
att_status att_cli_evals_check(const att_cli *cli, const char *const *asked, size_t n_asked,
                               att_why *why);
/* Hands over whatever may be asked for by name: tracks, evals, measures ("probe.needle"). */
void att_cli_each_measure(const att_cli *cli, void (*take)(void *arg, const char *name), void *arg);
/* Those of the tracks that hold every kernel to its contract: numeric and cost. */
const char **att_cli_numeric(const att_cli *cli, att_arena *arena);

extern const att_verb att_verb_worker, att_verb_run, att_verb_repro, att_verb_zoo, att_verb_mutants;

#endif
