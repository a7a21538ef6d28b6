/* SPDX-License-Identifier: Apache-2.0 */
/* Control: each row attends to up to `k` keys drawn at random from those in its range.
 *
 *   kept(i, j): j is one of k draws, with replacement: hash of (stream, head, position, draw)
 *
 * Why: what reading k keys is worth without choosing them.
 * Bound: exact on its own keys (that of common/rows.h). */
#include <stdlib.h>

#include "common/rows.h"

enum { K, SEED };

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "k",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "64",
                                    .domain = "1:65536",
                                    .help = "draws a row"},
                                   {.name = "stream",
                                    .type = ATT_PARAM_INT,
                                    .unit = "",
                                    .fallback = "1",
                                    .domain = "0:1073741824",
                                    .help = "of the draws"},
                                   {0}};

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 29) * 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static int ascending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t fill(const void *arg, const att_row *row, int64_t *j)
{
    const att_value *params = arg;
    const uint64_t range = row->hi > row->lo ? (uint64_t)(row->hi - row->lo) : 0;
    const uint64_t key =
        mix((uint64_t)params[SEED].i + mix((uint64_t)row->h + mix((uint64_t)row->position)));
    const int64_t draws = range ? att_min(params[K].i, (int64_t)range) : 0;
    int64_t n = 0;

    for (int64_t c = 0; c < draws; c++)
        j[c] = row->lo + (int64_t)(mix(key + (uint64_t)c) % range);
    if (draws)
        qsort(j, (size_t)draws, sizeof *j, ascending);
    for (int64_t c = 0; c < draws; c++)
        if (n == 0 || j[c] != j[n - 1])
            j[n++] = j[c];
    return n;
}

static att_lister lister(const att_problem *p, const att_value *params)
{
    return (att_lister){.fill = fill, .arg = params, .most = att_min(params[K].i, p->kv_len)};
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    return att_accept_check(&ACCEPT, op, p, why);
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    const att_lister l = lister(p, params);
    return att_list_plan(p, &l, out);
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    const att_lister l = lister(p, params);
    return att_lister_cost(p, &l, out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const att_lister l = lister(p, s->params);
    const att_status status = supports(self, ATT_OP_ATTEND, p, s->params, NULL);
    return status ? status : att_list_attend(p, &l, s);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    const att_lister l = lister(p, s->params);
    const att_status status = supports(self, ATT_OP_SELECT, p, s->params, NULL);
    return status ? status : att_list_select(p, &l, s, allowed);
}

const att_kernel att_kernel_random = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "random",
    .family = "control",
    .summary = "crippled: sees keys drawn at random",
    .source = "control",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .select = select_pairs,
};
