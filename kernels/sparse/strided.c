/* SPDX-License-Identifier: Apache-2.0 */
/* Strided sparse attention: the neighbourhood of the query, and every stride-th key counted from
 * it.
 *
 *   kept(i, j):  |p_i - j| < local  or  (p_i - j) % stride == 0   (and the problem's own rules)
 *
 * Why: with stride near sqrt(S) any key is two hops away at O(S sqrt(S)) pairs.  local = 0 stands
 * for local = stride, the paper's choice.
 * Bound: exact on its own keys (that of common/rows.h); only they are read.
 * Source: Child et al. 2019, "Generating long sequences with sparse transformers", strided
 * form. */
#include "common/rows.h"

enum { STRIDE, LOCAL };

static const att_accept ACCEPT = {.ops = 1u << ATT_OP_ATTEND | 1u << ATT_OP_SELECT,
                                  .can = ATT_CAN_ALL,
                                  .dtypes = ATT_HALVES_AND_SINGLE};

static const att_param PARAMS[] = {{.name = "stride",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "32",
                                    .domain = "1:1048576",
                                    .levels = "1 8 32",
                                    .help = "distance of the far keys from each other"},
                                   {.name = "local",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "0",
                                    .domain = "0:1048576",
                                    .levels = "0 5",
                                    .help = "near keys, the own key among them; 0 = stride"},
                                   {0}};

static int64_t local_of(const att_value *params)
{
    return params[LOCAL].i ? params[LOCAL].i : params[STRIDE].i;
}

/* The first key >= lo that lies a multiple of stride from the position. */
static int64_t first_column(int64_t position, int64_t stride, int64_t lo)
{
    const int64_t offset = (lo % stride - position % stride) %
                           stride; /* lo - position, mod stride */
    return lo + (stride - (offset + stride) % stride) % stride;
}

static int64_t fill(const void *arg, const att_row *row, int64_t *j)
{
    const att_value *params = arg;
    const int64_t stride = params[STRIDE].i, local = local_of(params), p = row->position;
    const int64_t near = att_max(row->lo, att_add_clamped(p, 1 - local));
    const int64_t past = att_min(row->hi, att_add_clamped(p, local));
    int64_t n = 0, k = first_column(p, stride, row->lo);

    for (; k < att_min(near, row->hi); k += stride)
        j[n++] = k;
    for (int64_t c = near; c < past; c++)
        j[n++] = c;
    for (k = first_column(p, stride, att_max(row->lo, past)); k < row->hi; k += stride)
        j[n++] = k;
    return n;
}

static att_lister lister(const att_problem *p, const att_value *params)
{
    const int64_t most = p->kv_len / params[STRIDE].i + 2 + 2 * local_of(params);
    return (att_lister){.fill = fill, .arg = params, .most = att_min(most, p->kv_len)};
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    (void)self, (void)params;
    if (p->k_positions.data)
        return att_refuse(why, ATT_UNSUPPORTED, "given key positions: strides count keys");
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

const att_kernel att_kernel_strided = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "strided",
    .family = "sparse",
    .summary = "near keys, and every stride-th key counted from the query",
    .source = "Child et al. 2019, Sparse Transformers",
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
