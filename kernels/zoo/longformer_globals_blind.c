/* SPDX-License-Identifier: Apache-2.0 */
/* Zoo: global tokens are seen by all, but do not see all: their rows keep the window alone.
 *
 *    kept(i, j): |p - j| <= side or j < global          (contract: or 0 <= p < global)
 *
 * Hidden under causality, where a global query sees but its own few keys anyway.
 * Source: typical of one half of a symmetric pattern forgotten. */
#include "common/listed.h"

static const att_param PARAMS[] = {{.name = "global",
                                    .type = ATT_PARAM_INT,
                                    .fallback = "2",
                                    .domain = "0:1048576",
                                    .help = "first tokens, which all queries see"},
                                   {.name = "side",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "3",
                                    .domain = "0:1073741824",
                                    .help = "keys each side of the query"},
                                   {0}};

static int64_t fill(const void *arg, const att_row *row, int64_t *j)
{
    const att_value *v = arg;
    const int64_t head = att_max(row->lo, att_min(row->hi, v[0].i));
    const int64_t near = att_max(head, att_add_clamped(row->position, -v[1].i));
    const int64_t past = att_min(row->hi, att_add_clamped(row->position, v[1].i + 1));
    int64_t n = 0;

    for (int64_t c = row->lo; c < head; c++)
        j[n++] = c;
    for (int64_t c = near; c < past; c++)
        j[n++] = c;
    return n;
}

const att_kernel att_kernel_longformer_globals_blind = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "longformer_globals_blind",
    .family = "zoo",
    .summary = "sparse_selection: global tokens are seen by all and see only their window",
    .source = "typical of half a symmetric pattern",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_listed_supports,
    .plan = att_listed_plan,
    .attend = att_listed_attend,
    .select = att_listed_select,
};
