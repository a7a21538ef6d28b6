/* SPDX-License-Identifier: Apache-2.0 */
/* Routing attention: queries and keys are sent to the centroid nearest to them, and attend within
 * the cluster.
 *
 *   cluster(x) = argmax_c x . m_c      (ties: the lower centroid)
 *   kept(i, j):  cluster(k_j) is among the `probes` best of q_i,  or p_j = p_i
 *   m_{h,c,d} = +1 where the top bit of u(draw, h, c, d) (common/draw.h) is set, else -1;
 *               h a KV head
 *
 * Why: vectors with a large dot product lie near the same centroid, so a row reads about
 * probes / clusters of its keys and no scores of the others.  In the paper centroids are learned;
 * these are signs, all of one length, so that it works as a drop-in and any bit depends on the
 * key alone (causality holds).  The own key stands for the paper's sharing of queries and keys.
 * Bound: exact on its own keys; cluster sizes are not balanced.  O(S clusters Dk) to route; the
 * cache holds all tokens and their clusters.
 * Source: Roy et al. 2021, "Efficient content-based sparse attention with routing transformers". */
#include "common/choose.h"
#include "common/draw.h"
#include "common/picked.h"

enum { CLUSTERS, PROBES, DRAW };

static const att_param PARAMS[] = {{.name = "clusters",
                                    .type = ATT_PARAM_INT,
                                    .unit = "clusters",
                                    .fallback = "16",
                                    .domain = "1:4096",
                                    .levels = "1 4 16",
                                    .help = "centroids of a KV head"},
                                   {.name = "probes",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "clusters",
                                    .fallback = "4",
                                    .domain = "1:1048576",
                                    .levels = "1 4",
                                    .help = "clusters that a query attends to, its nearest"},
                                   {.name = "draw",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_SEED,
                                    .unit = "",
                                    .fallback = "1",
                                    .domain = "0:1073741824",
                                    .help = "of the centroids"},
                                   {0}};

/* Shared by a KV head: centroids [clusters][Dk], then each key's cluster, as a float. */
static void prepare(const void *arg, att_list *l, int64_t q_head, float *shared, float *room)
{
    const att_value *v = arg;
    const att_problem *p = l->rules->p;
    const int64_t dk = p->head_dim;
    float *cluster = shared + v[CLUSTERS].i * dk;

    (void)q_head, (void)room;
    for (int64_t c = 0; c < v[CLUSTERS].i; c++)
        for (int64_t d = 0; d < dk; d++)
            shared[c * dk + d] = att_draw(v[DRAW].i, l->kv_head, c, d) >> 63 ? 1.0f : -1.0f;
    for (int64_t j = 0; j < l->seq->kv_len; j++) {
        const int64_t at = att_key_at(p, &p->k, l->seq, l->kv_head, j);
        const float *k = att_row_floats(&p->k, at, dk, l->row);
        float best = -INFINITY;
        cluster[j] = 0.0f;
        for (int64_t c = 0; c < v[CLUSTERS].i; c++) {
            const float near = att_dot(k, shared + c * dk, dk);
            if (near > best) {
                best = near;
                cluster[j] = (float)c;
            }
        }
    }
}

/* Room: scores of the centroids, the kept ones, a mark for each, and as int64 which are kept. */
static void pick(const void *arg, att_list *l, const att_row *row, const float *shared, float *room)
{
    const att_value *v = arg;
    const int64_t dk = l->rules->p->head_dim, n = v[CLUSTERS].i, most = n + ATT_W;
    const float *cluster = shared + n * dk;
    int64_t *chosen = (int64_t *)(void *)room;
    float *x = (float *)(void *)(chosen + most), *kept = x + most, *open = kept + most;

    for (int64_t c = 0; c < n; c++) {
        x[c] = att_dot(l->q, shared + c * dk, dk);
        open[c] = 0.0f;
    }
    const int64_t probes = att_choose(x, n, 0, v[PROBES].i, chosen, kept);
    for (int64_t c = 0; c < probes; c++)
        open[chosen[c]] = 1.0f;
    l->n = 0;
    for (int64_t j = row->lo; j < row->hi; j++)
        if (open[(int64_t)cluster[j]] > 0 || j == row->position)
            l->j[l->n++] = j;
}

static att_picker picker(const att_problem *p, const att_value *params)
{
    const int64_t n = params[CLUSTERS].i, dk = p->head_dim;
    return (att_picker){.prepare = prepare,
                        .pick = pick,
                        .arg = params,
                        .shared = n * dk + p->kv_len,
                        .room = 5 * (n + ATT_W)};
}

static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    (void)self;
    /* contents decide which keys a row reads: all at most */
    const double routed = (double)p->batch * ((double)p->heads_q * (double)p->q_len +
                                              (double)p->heads_kv * (double)p->kv_len);
    const att_status status = att_picked_cost(p, INT64_MAX, out);
    out->flops_executed += 2 * routed * (double)params[CLUSTERS].i * (double)p->head_dim;
    return status;
}

const att_kernel att_kernel_routing = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "routing",
    .family = "sparse",
    .summary = "keys whose nearest centroid is one of the query's nearest",
    .source = "Roy et al. 2021, Routing Transformer",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_picked_supports,
    .plan = att_picked_plan,
    .cost = cost,
    .attend = att_picked_attend,
    .select = att_picked_select,
};
