/* SPDX-License-Identifier: Apache-2.0 */
/* kNN memory by inverted lists: near keys, and the best far ones of the few lists that a query
 * probes.
 *
 *   list l is opened by key l * span, its centroid; a later key joins the list of
 *   argmax_l k_j . c_l - |c_l|^2 / 2, of those open when it comes;
 *   kept(i, j): |p_i - j| < local, or s_ij is among the k largest of the other keys in the `probes`
 *   lists of largest q_i . c_l     (ties: the lower list, the lower key first)
 *
 * Why: exact search reads all of K for every query; here lists + n probes / lists keys are scored.
 * What that loses is recall (eval retrieval), 1 with all lists probed: then it is knn_memory, as it
 * is, unsearched, where k covers the far keys.  Nothing is trained or drawn: the index of a prefix
 * is the prefix of the index, so that no row's search knows of later keys.
 * Bound: exact on its own keys.  Complexity: O(S^2 / span Dk) to build, O(S (S / span + probed +
 * local + k) Dk); KV cache kept whole, a number and 1 / span centroids a key beside it.
 * Source: Jegou et al. 2011, "Product quantization for nearest neighbor search" (IVF); Wu et al.
 * 2022, "Memorizing transformers" (approximate kNN). */
#include "common/choose.h"
#include "common/near_far.h"
#include "common/stream.h"

enum { K, LOCAL, SPAN, PROBES };

static const att_param PARAMS[] = {{.name = "k",
                                    .type = ATT_PARAM_INT,
                                    .role = ATT_ROLE_BUDGET,
                                    .unit = "keys",
                                    .fallback = "32",
                                    .domain = "1:1073741824",
                                    .levels = "1 8 32",
                                    .help = "far keys kept a row"},
                                   {.name = "local",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "128",
                                    .domain = "0:1073741824",
                                    .levels = "0 3 128",
                                    .help = "near keys, the own key among them"},
                                   {.name = "span",
                                    .type = ATT_PARAM_INT,
                                    .unit = "keys",
                                    .fallback = "64",
                                    .domain = "1:1048576",
                                    .levels = "4 64",
                                    .help = "keys from one list's opening to the next"},
                                   {.name = "probes",
                                    .type = ATT_PARAM_INT,
                                    .unit = "lists",
                                    .fallback = "8",
                                    .domain = "1:1048576",
                                    .levels = "1 8",
                                    .help = "lists that a query looks into"},
                                   {0}};

/* What one sequence and KV head is searched with. */
typedef struct ivf {
    int64_t *list, *chosen; /* [n] of each key; room for a choice */
    uint8_t *probed;        /* [lists] */
    float *centroid, *half; /* [lists][Dk]; [lists] |c|^2 / 2 */
    float *score, *kept;    /* [n + ATT_W] */
} ivf;

static int64_t lists_of(int64_t n, const att_value *v)
{
    return att_ceil_div(n, v[SPAN].i);
}

static ivf room_of(const att_stream *w, float *room)
{
    const int64_t n = w->p->kv_len, lists = lists_of(n, w->params);
    ivf x = {.list = (int64_t *)(void *)room};

    x.chosen = x.list + n;
    x.centroid = (float *)(void *)(x.chosen + n);
    x.half = x.centroid + lists * w->p->head_dim;
    x.score = x.half + lists;
    x.kept = x.score + n + ATT_W;
    x.probed = (uint8_t *)(x.kept + n + ATT_W);
    return x;
}

/* The list of each of the first n keys, by the lists open when it comes. */
static void build(const att_stream *w, const att_list *l, int64_t n, ivf *x)
{
    const att_problem *p = w->p;
    const int64_t dk = p->head_dim, span = w->params[SPAN].i;

    for (int64_t j = 0; j < n; j++) {
        const int64_t at = att_key_at(p, &p->k, l->seq, l->kv_head, j), open = j / span + 1;
        const float *k = att_row_floats(&p->k, at, dk, l->row);
        float best = -INFINITY;
        if (j % span == 0) {
            memcpy(x->centroid + (open - 1) * dk, k, (size_t)dk * sizeof *k);
            x->half[open - 1] = 0.5f * att_dot(k, k, dk);
        }
        x->list[j] = 0;
        for (int64_t c = 0; c < open; c++) {
            const float near = att_dot(k, x->centroid + c * dk, dk) - x->half[c];
            if (near > best) {
                best = near;
                x->list[j] = c;
            }
        }
    }
}

/* The lists that the row's query probes, of those open in its prefix. */
static void probe(const att_stream *w, const att_list *l, const att_row *row, ivf *x)
{
    const att_problem *p = w->p;
    const int64_t dk = p->head_dim, lists = lists_of(row->hi, w->params);
    const int64_t at = att_tensor_at(&p->q, l->seq->at, row->h, l->seq->q_at + row->i, 0);

    att_load_row(p->q.data, p->q.dtype, at, p->q.stride[3], dk, l->q);
    for (int64_t c = 0; c < lists; c++) {
        x->score[c] = att_dot(l->q, x->centroid + c * dk, dk);
        x->probed[c] = 0;
    }
    const int64_t n = att_choose(x->score, lists, 0, w->params[PROBES].i, x->chosen, x->kept);
    for (int64_t c = 0; c < n; c++)
        x->probed[x->chosen[c]] = 1;
}

/* The row's keys into the list: all near ones, and of the far ones probed the k best. */
static void search(const att_stream *w, att_list *l, const att_row *row, ivf *x)
{
    const int64_t k = w->params[K].i;
    int64_t from;
    const int64_t to = att_near(row, w->params[LOCAL].i, 0, row->hi, &from);
    const bool all = k >= row->hi - (to - from);

    if (!all)
        probe(w, l, row, x);
    l->n = 0;
    for (int64_t j = 0; j < row->hi; j++)
        if ((j < from || j >= to) && (all || x->probed[x->list[j]]))
            l->j[l->n++] = j;
    if (!all) {
        att_list_scores(l, row);
        memcpy(x->score, l->x, (size_t)l->n * sizeof *l->x);
        l->n = att_choose(x->score, l->n, 0, k, x->chosen, x->kept);
        for (int64_t c = 0; c < l->n; c++)
            l->j[c] = l->j[x->chosen[c]];
    }
    int64_t before = 0;
    while (before < l->n && l->j[before] < from)
        before++;
    memmove(l->j + before + to - from, l->j + before, (size_t)(l->n - before) * sizeof *l->j);
    for (int64_t j = from; j < to; j++)
        l->j[before + j - from] = j;
    l->n += to - from;
}

static void rows(const att_stream *w, att_list *l, float *room)
{
    int64_t first;
    const int64_t group = att_stream_heads(w, l, &first);
    ivf x = room_of(w, room);

    if (l->seq->q_len > 0)
        build(w, l, att_row_of(&w->rules, l->seq, first, l->seq->q_len - 1).hi, &x);
    for (int64_t i = 0; i < l->seq->q_len; i++) {
        att_row row = att_row_of(&w->rules, l->seq, first, i);
        for (row.h = first; row.h < first + group; row.h++) {
            float top;
            search(w, l, &row, &x);
            att_list_scores(l, &row);
            const float sum = att_list_softmax(l, &top);
            att_stream_answer(w, l, &row, top, sum);
        }
    }
}

static att_stream stream(const att_problem *p, const att_value *params)
{
    const int64_t lists = lists_of(p->kv_len, params);
    int64_t floats;

    if (__builtin_mul_overflow(lists, p->head_dim + 2, &floats))
        floats = INT64_MAX / 2; /* no memory */
    return (att_stream){.p = p,
                        .params = params,
                        .rows = rows,
                        .floats = att_add_clamped(floats, 6 * (p->kv_len + ATT_W) + 64)};
}

static att_status plan(const att_kernel *self, att_op op, const att_problem *p,
                       const att_value *params, att_plan *out)
{
    (void)self, (void)op;
    return att_stream_plan(stream(p, params), out);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    return att_stream_run(self, ATT_OP_ATTEND, stream(p, s->params), s, NULL);
}

static att_status select_pairs(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    return att_stream_run(self, ATT_OP_SELECT, stream(p, s->params), s, allowed);
}

/* Contents decide how long lists are: counted as even ones, but never as fewer keys than are kept.
 */
static att_status cost(const att_kernel *self, const att_problem *p, const att_value *params,
                       att_cost *out)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);
    const double dk = (double)p->head_dim, hq = (double)p->heads_q;
    const double bytes = (double)att_dtype_size(p->k.dtype), hkv = (double)p->heads_kv;
    const double lists = (double)lists_of(p->kv_len, params);
    double scored = 0, centroids = 0;
    att_status status =
        att_stream_cost(p, att_add_clamped(params[K].i, 2 * params[LOCAL].i), true, out);

    (void)self;
    for (int64_t b = 0; b < p->batch; b++) {
        const att_seq seq = att_seq_of(p, b);
        for (int64_t i = 0; i < seq.q_len; i++) {
            const att_row row = att_row_of(&rules, &seq, 0, i);
            int64_t from;
            const int64_t near = att_near(&row, params[LOCAL].i, 0, row.hi, &from) - from;
            const int64_t far = row.hi - near, some = att_min(far, params[K].i);
            const double open = (double)lists_of(row.hi, params);
            const double share = fmin(1, (double)params[PROBES].i / fmax(open, 1));
            scored += (double)near + fmax((double)some, share * (double)far);
            centroids += some < far ? open : 0;
        }
    }
    out->keys_read = scored * hq;
    out->v_rows = fmin(out->k_rows, out->v_rows * (hkv > 0 ? hq / hkv : 1)); /* heads apart */
    out->flops_executed = out->flops_useful + 2 * hq * (scored + centroids) * dk +
                          out->k_rows * lists * dk;
    out->kv_bytes_read += out->k_rows * dk * bytes;
    out->state_bytes += (double)p->batch * hkv * ((double)p->kv_len * 8 + lists * (dk + 1) * 4);
    return status;
}

const att_kernel att_kernel_knn_ivf = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "knn_ivf",
    .family = "memory",
    .summary = "near keys, and the best far ones of the inverted lists that a query probes",
    .source = "Jegou et al. 2011; Wu et al. 2022, Memorizing transformers",
    .class_ = ATT_APPROX,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .params = PARAMS,
    .supports = att_stream_supports,
    .plan = plan,
    .cost = cost,
    .attend = attend,
    .select = select_pairs,
};
