/* SPDX-License-Identifier: Apache-2.0 */
#include "trial_pool.h"

#include <signal.h>
#include <stdio.h>

#include "base/arena.h"
#include "probe_ask.h"
#include "session.h"
#include "tables.h"

static att_status measure(const att_cli *cli, att_registry *registry, const att_trial_options *o,
                          const char *kernel, att_result *result, att_trial_pool *pool, int *number,
                          att_why *why)
{
    const char *kernels[] = {kernel, NULL};
    att_probe_ask ask = {.kernels = kernels,
                         .tasks = &o->tasks,
                         .from = o->from,
                         .seeds = o->seeds,
                         .workers = o->workers,
                         .quiet = o->quiet};
    att_arena arena = {0};
    const att_variant *v = NULL;
    att_status status = att_variant_parse(registry, kernel, &arena, &v, why);

    if (status == ATT_OK && !att_probe_lengths(o->lengths ? o->lengths : "512", &ask)) {
        att_why_set(why, "--lengths %s: lengths with commas between are expected", o->lengths);
        status = ATT_INVALID;
    }
    if (status == ATT_OK)
        status = att_probe_measure(cli, registry, &ask, result, number, why);
    if (status == ATT_OK && !*number)
        status = att_trial_pool_make(result, v->text, pool, why);
    att_arena_drop(&arena);
    return status;
}

void att_trial_measure(const att_cli *cli, const att_verb *verb, const att_trial_options *o,
                       const char *kernel, att_result *result, att_trial_pool *pool, int *code)
{
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_registry *registry = NULL;
    att_why why = {""};
    int number = 0;
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);

    if (status == ATT_OK)
        status = measure(cli, registry, o, kernel, result, pool, &number, &why);
    if (status != ATT_OK)
        fprintf(stderr, "attest %s: %s\n", verb->name, why.text);
    *code = status != ATT_OK    ? att_exit_of(status)
            : number == SIGTERM ? ATT_EXIT_TERMINATED
            : number            ? ATT_EXIT_INTERRUPT
                                : -1;
    att_registry_drop(registry);
}
