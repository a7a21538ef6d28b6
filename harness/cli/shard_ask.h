/* SPDX-License-Identifier: Apache-2.0 */
/* Which shard of a plan a process is to measure. */
#ifndef ATT_CLI_SHARD_ASK_H
#define ATT_CLI_SHARD_ASK_H

#include <stdint.h>

#include "attn.h"
#include "base/why.h"

typedef struct att_shard_ask {
    int64_t index, of;  /* 1 of 1 where nobody asks for another */
    const char *source; /* what said it: "--shard", the name of a variable; NULL = nothing */
} att_shard_ask;

/* `flag` ("2/6", NULL = not given) wins over the environment.  There, the first of
 * SLURM_ARRAY_TASK_ID (with _MIN, _STEP and _COUNT), TEST_SHARD_INDEX (from 0, of
 * TEST_TOTAL_SHARDS), CI_NODE_INDEX (from 1, of CI_NODE_TOTAL) that is set counts.  INVALID names
 * the one that makes no sense. */
att_status att_shard_asked(const char *flag, att_shard_ask *out, att_why *why);

#endif
