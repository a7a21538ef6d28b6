/* SPDX-License-Identifier: Apache-2.0 */
#include "shard_ask.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "core/shard.h"

/* How a scheduler numbers the parts of a job. */
typedef struct convention {
    const char *index, *total, *first, *step; /* variables; NULL = it has none */
    int64_t from;                             /* number of the first part, without `first` */
} convention;

static const convention conventions[] = {
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN",
     "SLURM_ARRAY_TASK_STEP", 0},
    {"TEST_SHARD_INDEX", "TEST_TOTAL_SHARDS", NULL, NULL, 0}, /* Bazel */
    {"CI_NODE_INDEX", "CI_NODE_TOTAL", NULL, NULL, 1},        /* GitLab */
};

static bool whole(const char *text, const char **end, int64_t *out)
{
    char *after = NULL;

    errno = 0;
    *out = strtoll(text, &after, 10);
    *end = after;
    return after != text && *text >= '0' && *text <= '9' && errno == 0;
}

/* A variable as a number; `otherwise` where it is not set. */
static bool variable(const char *name, int64_t otherwise, int64_t *out)
{
    const char *text = name ? getenv(name) : NULL, *end = "";

    *out = otherwise;
    return !text || !*text || (whole(text, &end, out) && *end == '\0');
}

static bool within(const att_shard_ask *ask)
{
    return ask->of >= 1 && ask->of <= ATT_SHARDS_MOST && ask->index >= 1 && ask->index <= ask->of;
}

static att_status from_environment(const convention *c, att_shard_ask *out, att_why *why)
{
    int64_t index, first, step, total;
    bool good = variable(c->index, -1, &index) && variable(c->total, -1, &total) &&
                variable(c->first, c->from, &first) && variable(c->step, 1, &step) && step > 0 &&
                index >= first && (index - first) % step == 0;
    const att_shard_ask ask = {good ? (index - first) / step + 1 : 0, good ? total : 0, c->index};

    if (!within(&ask)) {
        const char *of = getenv(c->total);
        att_why_set(why, "%s=%s with %s=%s names no shard; --shard i/n says it outright", c->index,
                    getenv(c->index), c->total, of ? of : "");
        return ATT_INVALID;
    }
    *out = ask;
    return ATT_OK;
}

att_status att_shard_asked(const char *flag, att_shard_ask *out, att_why *why)
{
    att_shard_ask ask = {1, 1, "--shard"};
    const char *end = NULL;

    if (flag) {
        if (!whole(flag, &end, &ask.index) || *end != '/' || !whole(end + 1, &end, &ask.of) ||
            *end || !within(&ask)) {
            att_why_set(why, "--shard %s: i/n is expected, 1 <= i <= n <= %d", flag,
                        ATT_SHARDS_MOST);
            return ATT_INVALID;
        }
        *out = ask;
        return ATT_OK;
    }
    for (size_t i = 0; i < sizeof conventions / sizeof *conventions; i++) {
        const char *set = getenv(conventions[i].index);
        if (set && *set)
            return from_environment(&conventions[i], out, why);
    }
    *out = (att_shard_ask){1, 1, NULL};
    return ATT_OK;
}
