/* SPDX-License-Identifier: Apache-2.0 */
/* A plan cut into shards that machines measure apart from one another. */
#ifndef ATT_SHARD_H
#define ATT_SHARD_H

#include "core/plan.h"
#include "core/result.h"

#define ATT_SHARDS_MOST 100000

/* Which shard each case of a plan goes to. */
typedef struct att_cut {
    int64_t of;    /* shards, at least 1 */
    int64_t *home; /* of each case, 1 ... of; NULL where the plan is empty */
    size_t n;      /* cases of the whole plan */
} att_cut;

/* Cuts a finished plan.  Groups stay whole; the longest first, each to the shard that has least so
 * far, the lowest of equals: a function of the plan, of `of` and of `costs` alone.  `costs`: an
 * earlier run whose times stand in for the estimates of the cases it measured, NULL = none.
 * NO_MEMORY. */
att_status att_cut_make(const att_run_plan *plan, int64_t of, const att_result *costs, att_cut *out,
                        att_why *why);
void att_cut_drop(att_cut *cut);

/* The cases of one shard as a plan, in the whole plan's order and with its hash.  Everything in it
 * but the list belongs to the whole: free(part->cases) and nothing else.  NO_MEMORY. */
att_status att_cut_part(const att_run_plan *plan, const att_cut *cut, int64_t shard,
                        att_run_plan *part, att_why *why);

/* plan.json of a run: the cases of its shard and where they stand in the whole plan, and the stamp
 * of its journal's keys. */
typedef struct att_plan_file {
    char *suite, *stamp;
    char hash[17];     /* of the whole plan's lines in order */
    int64_t shard, of; /* 1 of 1: all of the plan */
    size_t whole;      /* cases of the whole plan */
    char **lines;      /* n of them */
    size_t *at;        /* rising, below `whole` */
    size_t n;
} att_plan_file;

/* What is to be written of a shard; owns copies.  NO_MEMORY. */
att_status att_plan_file_of(const att_run_plan *plan, const att_cut *cut, int64_t shard,
                            const char *stamp, att_plan_file *out, att_why *why);
/* IO. */
att_status att_plan_file_write(const att_plan_file *file, const char *path, att_why *why);
/* IO where it can't be read; CORRUPT where it is no plan. */
att_status att_plan_file_read(const char *path, att_plan_file *out, att_why *why);
/* Same cases of the same plan, cut the same?  The stamp does not matter. */
bool att_plan_file_same(const att_plan_file *a, const att_plan_file *b);
void att_plan_file_drop(att_plan_file *file);

#endif
