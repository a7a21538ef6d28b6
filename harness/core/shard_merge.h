/* SPDX-License-Identifier: Apache-2.0 */
/* The shards of a plan, measured apart, as the one result that an unsharded run would have. */
#ifndef ATT_SHARD_MERGE_H
#define ATT_SHARD_MERGE_H

#include "core/shard.h"

/* A shard's folder as it was read. */
typedef struct att_shards_part {
    const char *folder; /* the caller's */
    att_plan_file plan;
    att_result result;
} att_shards_part;

typedef struct att_shards {
    att_shards_part *parts;
    size_t n;
    att_plan_file whole; /* shard 1 of 1; its stamp is the first part's */
} att_shards;

/* Reads plan.json and result.json of n folders (at least one) and checks that they are the shards
 * of one plan.  IO: a shard (or a case) is missing, or not complete.  CORRUPT: one is damaged,
 * there twice, of another plan, cut otherwise or, unless `mixed`, measured by another build.  Each
 * names the folder.  `folders` must outlive *out. */
att_status att_shards_open(const char *const *folders, size_t n, bool mixed, att_shards *out,
                           att_why *why);

/* Fills a zeroed result with the cases in the plan's order, from the parts' journals, judged as a
 * whole; and with what the parts say of tools, machines and kernels: where they differ, one after
 * the other, as "this | that".  `seconds` is that of the slowest part.  A smallest failing case
 * stays what its part found.  The rows go to a journal of their own at path `journal` too, under
 * the first part's stamp.  To be
 * called once: records that only a result.json holds are moved.  IO, CORRUPT: a journal. */
att_status att_shards_fill(att_shards *merge, att_registry *registry, const char *journal,
                           att_result *out, att_why *why);
void att_shards_drop(att_shards *merge);

#endif
