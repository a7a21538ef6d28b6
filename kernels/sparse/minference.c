/* SPDX-License-Identifier: Apache-2.0 */
/* MInference, vertical-slash: the last queries of a prompt show which columns and which diagonals
 * of the attention matrix are heavy; all rows keep those.
 *
 *   A = softmax rows of the last `last` queries
 *   column(j) = sum_i A_ij,  slash(o) = sum_i A_i,p_i-o
 *   kept(i, j): j is among the `vertical` largest columns, or p_i - j among the `slash` largest
 *               diagonals, o = 0 before all others            (ties: the lower j, the lower o)
 *
 * Why: heads of long prompts attend to few tokens from everywhere (columns) and to fixed distances
 * (diagonals); 64 rows of exact scores find both, and prefill skips the rest.
 * It looks ahead: what an early row keeps depends on later queries and keys
 * (ATT_TRAIT_LOOKS_AHEAD), which a prompt that is known whole allows; weights stay causal.
 * Bound: exact on its own keys; which they are is decided on f32 weights.  O(last S Dk) to look,
 * and vertical + slash keys a row; a decode step looks at all keys.  The cache holds all tokens.
 * Source: Jiang et al. 2024, "MInference 1.0: accelerating pre-filling for long-context LLMs via
 * dynamic sparse attention". */
#include "common/choose.h"
#include "common/picked.h"

enum { VERTICAL, SLASH, LAST };

static const att_param PARAMS[] = {{.name = "vertical",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "64",
                                    .domain = "0:1073741824",
                                    .levels = "0 4 64",
                                    .help = "columns kept a head"},
                                   {.name = "slash",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "128",
                                    .domain = "1:1073741824",
                                    .levels = "1 8 128",
                                    .help = "diagonals kept a head, the own key's among them"},
                                   {.name = "last",
                                    .type = ATT_PARAM_INT,
                                    .unit = "queries",
                                    .fallback = "64",
                                    .domain = "1:65536",
                                    .levels = "4 64",
                                    .help = "last queries that are looked at"},
                                   {0}};

/* Diagonals o = p_i - j of a sequence lie at o + origin, of the call's q_len + its kv_len. */
static int64_t origin_of(const att_list *l)
{
    const att_problem *p = l->rules->p;

    return p->causal == ATT_CAUSAL_TOP_LEFT ? l->seq->kv_len : p->q_len;
}

/* Adds the weights of one row to its columns and diagonals. */
static void look(att_list *l, const att_row *row, float *column, float *slash)
{
    l->n = 0;
    for (int64_t j = row->lo; j < row->hi; j++)
        l->j[l->n++] = j;
    att_list_scores(l, row);
    att_list_drop(l, row);
    const int64_t padded = att_ceil_div(l->n, ATT_W) * ATT_W;
    for (int64_t c = l->n; c < padded; c++)
        l->x[c] = -INFINITY;
    if (l->n == 0)
        return;
    const float sum = att_softmax_weights(att_softmax_top(-INFINITY, l->x, padded), l->x, padded);
    for (int64_t c = 0; c < l->n; c++) {
        column[l->j[c]] += l->x[c] / sum;
        slash[row->position - l->j[c]] += l->x[c] / sum;
    }
}

/* Of x[0..n), used up: marks the k largest with 1.  Room for 3 (n + ATT_W). */
static void mark(float *x, int64_t n, int64_t k, float *marks, float *room)
{
    int64_t *chosen = (int64_t *)(void *)room;
    const int64_t some = att_choose(x, n, 0, k, chosen, (float *)(void *)(chosen + n + ATT_W));

    memset(marks, 0, (size_t)n * sizeof *marks);
    for (int64_t c = 0; c < some; c++)
        marks[chosen[c]] = 1.0f;
}

/* Shared by a query head: marks of the sequence's columns and diagonals. */
static void prepare(const void *arg, att_list *l, int64_t q_head, float *shared, float *room)
{
    const att_value *v = arg;
    const att_problem *p = l->rules->p;
    const int64_t nk = l->seq->kv_len, all = p->q_len + nk, origin = origin_of(l);
    const int64_t nq = l->seq->q_len;
    float *column = room, *slash = column + nk / 16 * 16 + 16 + ATT_W;
    float *rest = slash + (all + ATT_W) / 16 * 16 + 16;

    memset(room, 0, (size_t)(rest - room) * sizeof *room);
    for (int64_t i = att_max(0, nq - v[LAST].i); i < nq; i++) {
        const att_row row = att_row_of(l->rules, l->seq, q_head, i);
        look(l, &row, column, slash + origin);
    }
    if (origin < all)
        slash[origin] = -INFINITY; /* it is kept before all others, whatever they hold */
    mark(column, nk, v[VERTICAL].i, shared, rest);
    mark(slash, all, v[SLASH].i - 1, shared + nk, rest);
    if (origin < all)
        shared[nk + origin] = 1.0f;
}

static void pick(const void *arg, att_list *l, const att_row *row, const float *shared, float *room)
{
    const float *slash = shared + l->seq->kv_len + origin_of(l) + row->position;

    (void)arg, (void)room;
    l->n = 0;
    for (int64_t j = row->lo; j < row->hi; j++)
        if (shared[j] > 0 || slash[-j] > 0)
            l->j[l->n++] = j;
}

static att_picker picker(const att_problem *p, const att_value *params)
{
    const int64_t all = p->q_len + p->kv_len; /* what shared and room are for stands in prepare */
    const int64_t shared = att_picked_floats(all, 2), room = att_picked_floats(all + ATT_W + 16, 6);
    return (att_picker){.prepare = prepare,
                        .pick = pick,
                        .arg = params,
                        .shared = shared,
                        .room = room,
                        .by_head = true};
}

static att_status supports(const att_kernel *self, att_op op, const att_problem *p,
                           const att_value *params, att_reason *why)
{
    if (p->q_positions.data)
        return att_refuse(why, ATT_UNSUPPORTED, "given query positions: diagonals count keys");
    return att_picked_supports(self, op, p, params, why);
}

/* The last queries read all they see; the others at most their columns and diagonals. */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const double seen = (double)att_min(p->q_len, params[LAST].i) * (double)p->kv_len;
    const double looked = (double)p->batch * (double)p->heads_q * seen;

    (void)self;
    const att_status status =
        att_picked_cost(p, att_add_clamped(params[VERTICAL].i, params[SLASH].i), out);
    out->flops_executed += 2 * looked * (double)p->head_dim;
    return status;
}

const att_kernel att_kernel_minference = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "minference",
    .family = "sparse",
    .summary = "columns and diagonals that the last queries of the prompt find heavy",
    .source = "Jiang et al. 2024, MInference",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT | ATT_TRAIT_LOOKS_AHEAD,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = supports,
    .plan = att_picked_plan,
    .cost = cost,
    .attend = att_picked_attend,
    .select = att_picked_select,
};
