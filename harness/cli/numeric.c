/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "tables.h"

const char **att_cli_numeric(const att_cli *cli, att_arena *arena)
{
    size_t n = 0, all = 0;

    while (cli->evals[all])
        all++;
    const char **patterns = att_arena_zeros(arena, 2 * all + 1, sizeof *patterns);
    for (size_t i = 0; patterns && i < all; i++) {
        char tasks[160];
        if (cli->evals[i]->track != ATT_TRACK_NUMERIC && cli->evals[i]->track != ATT_TRACK_COST)
            continue;
        snprintf(tasks, sizeof tasks, "%s.*", cli->evals[i]->name);
        patterns[n++] = cli->evals[i]->name;
        patterns[n] = att_arena_text(arena, tasks);
        if (!patterns[n++])
            return NULL;
    }
    return patterns;
}
