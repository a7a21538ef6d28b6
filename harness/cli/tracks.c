/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "tables.h"

static const struct {
    const char *name;
    att_track track;
} tracks[] = {{"numeric", ATT_TRACK_NUMERIC},
              {"probes", ATT_TRACK_PROBE},
              {"model", ATT_TRACK_MODEL},
              {"cost", ATT_TRACK_COST}};

/* Appends the evals of a track; false = no memory. */
static bool add_track(const att_cli *cli, att_track track, att_arena *arena, const char **patterns,
                      size_t *n)
{
    for (size_t i = 0; cli->evals[i]; i++) {
        char tasks[160];
        if (cli->evals[i]->track != track)
            continue;
        snprintf(tasks, sizeof tasks, "%s.*", cli->evals[i]->name);
        patterns[(*n)++] = cli->evals[i]->name;
        patterns[*n] = att_arena_text(arena, tasks);
        if (!patterns[(*n)++])
            return false;
    }
    return true;
}

const char **att_cli_evals(const att_cli *cli, const char *const *asked, size_t n_asked,
                           att_arena *arena)
{
    size_t n = 0, all = 0;

    while (cli->evals[all])
        all++;
    const char **patterns =
        att_arena_zeros(arena, 2 * all * n_asked + n_asked + 1, sizeof *patterns);
    for (size_t i = 0; patterns && i < n_asked; i++) {
        size_t t = 0;
        while (t < sizeof tracks / sizeof *tracks && strcmp(tracks[t].name, asked[i]) != 0)
            t++;
        if (t == sizeof tracks / sizeof *tracks)
            patterns[n++] = asked[i];
        else if (!add_track(cli, tracks[t].track, arena, patterns, &n))
            return NULL;
    }
    return patterns;
}

const char **att_cli_numeric(const att_cli *cli, att_arena *arena)
{
    static const char *const contract[] = {"numeric", "cost"};

    return att_cli_evals(cli, contract, 2, arena);
}

void att_cli_each_measure(const att_cli *cli, void (*take)(void *arg, const char *name), void *arg)
{
    for (size_t t = 0; t < sizeof tracks / sizeof *tracks; t++)
        take(arg, tracks[t].name);
    for (size_t i = 0; cli->evals[i]; i++) {
        take(arg, cli->evals[i]->name);
        for (const char *const *t = cli->evals[i]->tasks; t && *t; t++) {
            char measure[160];
            snprintf(measure, sizeof measure, "%s.%s", cli->evals[i]->name, *t);
            take(arg, measure);
        }
    }
}

/* A search for the name nearest to what was asked for. */
typedef struct search {
    const char *asked;
    char nearest[160];
    size_t distance;
} search;

static void look(void *arg, const char *name)
{
    search *s = arg;
    const size_t d = att_str_distance(name, s->asked);

    if (d < s->distance) {
        s->distance = d;
        snprintf(s->nearest, sizeof s->nearest, "%s", name);
    }
}

att_status att_cli_evals_check(const att_cli *cli, const char *const *asked, size_t n_asked,
                               att_why *why)
{
    for (size_t i = 0; i < n_asked; i++) {
        search s = {.asked = asked[i], .distance = SIZE_MAX};
        if (strpbrk(asked[i], "*?"))
            continue;
        att_cli_each_measure(cli, look, &s);
        if (s.distance > 0) {
            att_why_set(why, "unknown eval %s; the nearest is %s", asked[i], s.nearest);
            return ATT_INVALID;
        }
    }
    return ATT_OK;
}
