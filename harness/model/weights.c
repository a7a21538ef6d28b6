/* SPDX-License-Identifier: Apache-2.0 */
/* Hyper-parameters and weights of a Llama-family GGUF.  Everything is dequantised to f32 once, into
 * one arena: q, k and v rows under each other so that one product makes all three, gate and up rows
 * interleaved by panels so that the product's tile holds what SwiGLU pairs.
 *
 * Every tensor of the file must be one of those the forward pass uses, with the shape it expects:
 * one that is ignored would change the function silently. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "model/lm_parts.h"

enum {
    LAYERS_MAX = 512,
    WIDTH_MAX = 1 << 16,
    HEADS_MAX = 1024,
    CONTEXT_MAX = 1 << 20,
    SLICES = 64
};

static att_status says(const att_lm *lm, att_status st, att_why *why, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static att_status says(const att_lm *lm, att_status st, att_why *why, const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    att_why_set(why, "%s: %s", att_gguf_name(lm->file), text);
    return st;
}

/* ------------------------------------------------------------------- hyper-parameters */

typedef struct number {
    const char *key;
    bool need;
    int64_t lo, hi;
    int64_t *out; /* holds the default */
} number;

static att_status read_numbers(const att_lm *lm, const number *list, size_t n, att_why *why)
{
    for (size_t i = 0; i < n; i++) {
        att_status st = att_gguf_int(lm->file, list[i].key, list[i].need, list[i].out, why);
        if (st)
            return st;
        if (*list[i].out < list[i].lo || *list[i].out > list[i].hi)
            return says(lm, ATT_CORRUPT, why, "key %s is %lld, not in %lld..%lld", list[i].key,
                        (long long)*list[i].out, (long long)list[i].lo, (long long)list[i].hi);
    }
    return ATT_OK;
}

/* Keys that would change the function in ways the forward pass does not know. */
static att_status refuse_extras(const att_lm *lm, att_why *why)
{
    static const char *const keys[] = {
        "llama.rope.scaling.factor",   "llama.rope.scale_linear", "llama.attention.sliding_window",
        "llama.expert_count",          "llama.attention.scale",   "llama.logit_scale",
        "llama.embedding_scale",       "llama.residual_scale",    "llama.attention.clamp_kqv",
        "llama.attn_logit_softcapping"};
    att_gguf_text scaling = {0};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (att_gguf_has(lm->file, keys[i]))
            return says(lm, ATT_UNSUPPORTED, why,
                        "key %s asks for something this forward pass lacks", keys[i]);
    att_status st = att_gguf_string(lm->file, "llama.rope.scaling.type", false, &scaling, why);
    if (!st && scaling.data && !att_gguf_text_is(scaling, "none"))
        st = says(lm, ATT_UNSUPPORTED, why,
                  "key llama.rope.scaling.type is %.*s, only none is read",
                  scaling.length < 40 ? (int)scaling.length : 40, scaling.data);
    return st;
}

static att_status read_shape(att_lm *lm, att_why *why)
{
    att_lm_shape *s = &lm->shape;
    att_gguf_text family;
    int64_t value_dim, rotary;
    att_status st = att_gguf_string(lm->file, "general.architecture", true, &family, why);
    if (st)
        return st;
    if (!att_gguf_text_is(family, "llama"))
        return says(lm, ATT_UNSUPPORTED, why, "architecture %.*s is not read (only llama)",
                    family.length < 40 ? (int)family.length : 40, family.data);
    const number first[] = {{"llama.block_count", true, 1, LAYERS_MAX, &s->layers},
                            {"llama.embedding_length", true, 1, WIDTH_MAX, &s->width},
                            {"llama.feed_forward_length", true, 1, 8 * WIDTH_MAX, &s->feed_forward},
                            {"llama.context_length", true, 1, CONTEXT_MAX, &s->context},
                            {"llama.attention.head_count", true, 1, HEADS_MAX, &s->heads_q}};
    if ((st = read_numbers(lm, first, sizeof first / sizeof first[0], why)))
        return st;
    s->heads_kv = s->heads_q;
    s->head_dim = s->width / s->heads_q;
    const number second[] = {{"llama.attention.head_count_kv", false, 1, s->heads_q, &s->heads_kv},
                             {"llama.attention.key_length", false, 2, 1024, &s->head_dim}};
    if ((st = read_numbers(lm, second, sizeof second / sizeof second[0], why)))
        return st;
    value_dim = rotary = s->head_dim;
    s->vocabulary = att_tokenizer_size(lm->tokenizer);
    const number third[] = {
        {"llama.attention.value_length", false, s->head_dim, s->head_dim, &value_dim},
        {"llama.rope.dimension_count", false, s->head_dim, s->head_dim, &rotary},
        {"llama.vocab_size", false, s->vocabulary, s->vocabulary, &s->vocabulary}};
    if ((st = read_numbers(lm, third, sizeof third / sizeof third[0], why)))
        return st;
    if (s->heads_q % s->heads_kv || s->head_dim % 2)
        return says(lm, ATT_CORRUPT, why, "%lld query heads over %lld key heads of dimension %lld",
                    (long long)s->heads_q, (long long)s->heads_kv, (long long)s->head_dim);
    s->rms_eps = NAN;
    s->rope_theta = 10000.0;
    if ((st = att_gguf_real(lm->file, "llama.attention.layer_norm_rms_epsilon", true, &s->rms_eps,
                            why)) ||
        (st = att_gguf_real(lm->file, "llama.rope.freq_base", false, &s->rope_theta, why)))
        return st;
    if (!(s->rms_eps > 0 && s->rms_eps < 1) || !(s->rope_theta > 1 && s->rope_theta < 1e12))
        return says(lm, ATT_CORRUPT, why, "RMS epsilon %g or RoPE base %g makes no sense",
                    s->rms_eps, s->rope_theta);
    return refuse_extras(lm, why);
}

/* ----------------------------------------------------------------------------- tensors */

/* Where rows of one tensor go. */
typedef struct piece {
    const att_gguf_tensor *from;
    att_matrix *to;
    int64_t first; /* row of the matrix */
    int64_t panel; /* rows that lie together before as many of the partner's follow; 0 = all */
    bool second;   /* of the two partners */
} piece;

typedef struct loader {
    att_lm *lm;
    piece *pieces;
    size_t n;
    float *at;              /* next free place in the arena */
    const uint8_t **blocks; /* and in the table of blocks */
} loader;

/* The blocks of a matrix serve only while all its tensors are of one type that has a product. */
static void note_type(att_matrix *m, int64_t first, int32_t type)
{
    if (first == 0) {
        m->type = type;
        m->dot = att_block_dot_of(type);
    }
    if (m->type != type || !m->dot)
        m->blocks = NULL;
}

/* Finds tensor `name` (a layer's when layer >= 0) and notes that its `rows` rows go to `to`, from
 * row `first` on. */
static att_status want(loader *l, int64_t layer, const char *name, int64_t rows, att_matrix *to,
                       int64_t first, att_why *why)
{
    char full[80];
    int64_t cols = to->cols;
    if (layer >= 0)
        snprintf(full, sizeof full, "blk.%lld.%s.weight", (long long)layer, name);
    else
        snprintf(full, sizeof full, "%s.weight", name);
    const att_gguf_tensor *t = att_gguf_tensor_named(l->lm->file, full);
    if (!t)
        return says(l->lm, ATT_CORRUPT, why, "tensor %s is missing", full);
    if (t->shape[0] != cols || t->rows != rows || t->shape[1] != rows)
        return says(l->lm, ATT_CORRUPT, why,
                    "byte %zu: tensor %s has shape [%lld %lld %lld %lld], not [%lld %lld]",
                    t->place, full, (long long)t->shape[0], (long long)t->shape[1],
                    (long long)t->shape[2], (long long)t->shape[3], (long long)cols,
                    (long long)rows);
    l->pieces[l->n++] = (piece){.from = t, .to = to, .first = first};
    note_type(to, first, t->type);
    return ATT_OK;
}

static att_matrix matrix(loader *l, int64_t rows, int64_t cols)
{
    att_matrix m = {.data = l->at, .rows = rows, .cols = cols, .blocks = l->blocks};
    l->at += (rows * cols + 15) / 16 * 16; /* 64 bytes */
    l->blocks += rows;
    return m;
}

static att_status plan_layer(loader *l, int64_t i, att_why *why)
{
    const att_lm_shape *s = &l->lm->shape;
    att_layer *y = &l->lm->layers[i];
    int64_t nq = s->heads_q * s->head_dim, nk = s->heads_kv * s->head_dim, w = s->width;
    att_status st;
    y->attn_norm = matrix(l, 1, w);
    y->ffn_norm = matrix(l, 1, w);
    y->qkv = matrix(l, nq + 2 * nk, w);
    y->out = matrix(l, w, nq);
    y->gate_up = matrix(l, 2 * s->feed_forward, w);
    y->down = matrix(l, w, s->feed_forward);
    if ((st = want(l, i, "attn_norm", 1, &y->attn_norm, 0, why)) ||
        (st = want(l, i, "ffn_norm", 1, &y->ffn_norm, 0, why)) ||
        (st = want(l, i, "attn_q", nq, &y->qkv, 0, why)) ||
        (st = want(l, i, "attn_k", nk, &y->qkv, nq, why)) ||
        (st = want(l, i, "attn_v", nk, &y->qkv, nq + nk, why)) ||
        (st = want(l, i, "attn_output", w, &y->out, 0, why)) ||
        (st = want(l, i, "ffn_down", w, &y->down, 0, why)) ||
        (st = want(l, i, "ffn_gate", s->feed_forward, &y->gate_up, 0, why)) ||
        (st = want(l, i, "ffn_up", s->feed_forward, &y->gate_up, 0, why)))
        return st;
    l->pieces[l->n - 2].panel = l->pieces[l->n - 1].panel = ATT_GATE_PANEL;
    l->pieces[l->n - 1].second = true;
    return ATT_OK;
}

/* Floats of the arena; bounds above keep it far from overflow. */
static size_t arena_floats(const att_lm_shape *s)
{
    size_t w = (size_t)s->width, f = (size_t)s->feed_forward, d = (size_t)s->head_dim;
    size_t nq = (size_t)s->heads_q * d, nk = (size_t)s->heads_kv * d;
    size_t layer = 2 * w + (nq + 2 * nk) * w + w * nq + 3 * f * w + 6 * 16;
    return (size_t)s->layers * layer + 2 * ((size_t)s->vocabulary * w + 16) + w + 16;
}

static size_t all_rows(const att_lm_shape *s)
{
    size_t qkv = (size_t)(s->heads_q + 2 * s->heads_kv) * (size_t)s->head_dim;
    size_t layer = 2 + qkv + 2 * (size_t)s->width + 2 * (size_t)s->feed_forward;
    return 1 + 2 * (size_t)s->vocabulary + (size_t)s->layers * layer;
}

/* The row of its matrix that row r of a piece becomes.  The last panel may be narrower. */
static int64_t row_place(const piece *p, int64_t r)
{
    if (!p->panel)
        return p->first + r;
    int64_t first = r / p->panel * p->panel;
    int64_t width = p->from->rows - first < p->panel ? p->from->rows - first : p->panel;
    return first + (p->second ? width : 0) + r;
}

/* Slice i of the rows of every piece. */
static void fill_slice(void *arg, int64_t i, int thread)
{
    const loader *l = arg;
    (void)thread;
    for (size_t j = 0; j < l->n; j++) {
        const piece *p = &l->pieces[j];
        for (int64_t r = p->from->rows * i / SLICES; r < p->from->rows * (i + 1) / SLICES; r++) {
            int64_t to = row_place(p, r);
            att_gguf_dequantise(p->from, r, 1, p->to->data + to * p->to->cols);
            if (p->to->blocks)
                p->to->blocks[to] = p->from->data + (size_t)r * p->from->row_bytes;
        }
    }
}

/* The arena in huge pages where the system grants them: the weights are read from end to end. */
static att_status make_arena(att_lm *lm, att_why *why)
{
    lm->arena_bytes = arena_floats(&lm->shape) * sizeof(float);
    void *map =
        mmap(NULL, lm->arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return says(lm, ATT_NO_MEMORY, why, "no memory for %zu bytes of weights", lm->arena_bytes);
    madvise(map, lm->arena_bytes, MADV_HUGEPAGE);
    lm->arena = map;
    return ATT_OK;
}

static att_status refuse_strangers(const loader *l, att_why *why)
{
    size_t n = att_gguf_tensors(l->lm->file);
    if (n == l->n)
        return ATT_OK;
    for (size_t i = 0; i < n; i++) {
        const att_gguf_tensor *t = att_gguf_tensor_at(l->lm->file, i);
        size_t j = 0;
        while (j < l->n && l->pieces[j].from != t)
            j++;
        if (j == l->n)
            return says(l->lm, ATT_UNSUPPORTED, why,
                        "byte %zu: tensor %.*s is not one that this forward pass uses", t->place,
                        (int)t->name.length, t->name.data);
    }
    return ATT_OK;
}

static att_status plan_all(loader *l, bool tied, att_why *why)
{
    att_lm *lm = l->lm;
    const att_lm_shape *s = &lm->shape;
    att_status st;
    lm->output_norm = matrix(l, 1, s->width);
    lm->embedding = matrix(l, s->vocabulary, s->width);
    if ((st = want(l, -1, "output_norm", 1, &lm->output_norm, 0, why)) ||
        (st = want(l, -1, "token_embd", s->vocabulary, &lm->embedding, 0, why)))
        return st;
    lm->output = tied ? lm->embedding : matrix(l, s->vocabulary, s->width);
    if (!tied && (st = want(l, -1, "output", s->vocabulary, &lm->output, 0, why)))
        return st;
    for (int64_t i = 0; i < s->layers; i++)
        if ((st = plan_layer(l, i, why)))
            return st;
    return refuse_strangers(l, why);
}

static att_status load_tensors(att_lm *lm, att_why *why)
{
    const att_lm_shape *s = &lm->shape;
    loader l = {.lm = lm, .at = lm->arena};
    att_status st = ATT_NO_MEMORY;
    l.pieces = calloc((size_t)s->layers * 9 + 3, sizeof *l.pieces);
    lm->layers = calloc((size_t)s->layers, sizeof *lm->layers);
    lm->blocks = l.blocks = calloc(all_rows(s), sizeof *l.blocks);
    if (!l.pieces || !lm->layers || !lm->blocks) {
        says(lm, st, why, "no memory");
        goto done;
    }
    st = plan_all(&l, !att_gguf_tensor_named(lm->file, "output.weight"), why);
    if (!st)
        lm->host->parallel_for(lm->host, SLICES, fill_slice, &l);
done:
    free(l.pieces);
    return st;
}

/* cos and sin of position * theta^(-2i/d), angles in f64. */
static att_status make_rope(att_lm *lm, att_why *why)
{
    const att_lm_shape *s = &lm->shape;
    int64_t pairs = s->head_dim / 2;
    size_t n = (size_t)s->context * (size_t)pairs;
    lm->cosine = malloc(n * sizeof *lm->cosine);
    lm->sine = malloc(n * sizeof *lm->sine);
    if (!lm->cosine || !lm->sine)
        return says(lm, ATT_NO_MEMORY, why, "no memory for %zu rotary angles", n);
    for (int64_t i = 0; i < pairs; i++) {
        double turn = pow(s->rope_theta, -2.0 * (double)i / (double)s->head_dim);
        for (int64_t p = 0; p < s->context; p++) {
            lm->cosine[p * pairs + i] = (float)cos((double)p * turn);
            lm->sine[p * pairs + i] = (float)sin((double)p * turn);
        }
    }
    return ATT_OK;
}

att_status att_lm_load(att_lm *lm, att_why *why)
{
    att_status st;
    if ((st = read_shape(lm, why)) || (st = make_arena(lm, why)) || (st = load_tensors(lm, why)))
        return st;
    return make_rope(lm, why);
}

void att_lm_unload(att_lm *lm)
{
    if (lm->arena)
        munmap(lm->arena, lm->arena_bytes);
    free(lm->layers);
    free(lm->blocks);
    free(lm->cosine);
    free(lm->sine);
}
