/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of the language model, shared by weights.c, kv.c, lm.c and lm_out.c alone. */
#ifndef ATT_LM_PARTS_H
#define ATT_LM_PARTS_H

#include "model/blocks.h"
#include "model/gguf.h"
#include "model/lm.h"
#include "model/rows.h"
#include "model/tokenizer.h"

/* y = W x: `rows` outputs, `cols` inputs, row-major f32; and the blocks that they came from, for
 * the products of a few rows, which are bound by reading W. */
typedef struct att_matrix {
    float *data;
    int64_t rows, cols;
    const uint8_t **blocks; /* [rows], in the file; NULL unless all rows are of one block type */
    att_block_dot dot;      /* their product */
    int32_t type;           /* att_gguf_type */
} att_matrix;

/* The panel of gate and up rows that lie together in `gate_up`: panel p holds gate rows
 * [p P, p P + w), then up rows of the same numbers, w = min(P, feed_forward - p P). */
enum { ATT_GATE_PANEL = 192 };

typedef struct att_layer {
    att_matrix attn_norm, ffn_norm; /* one row */
    att_matrix qkv;                 /* q, k, v rows one after the other */
    att_matrix out;
    att_matrix gate_up;
    att_matrix down;
} att_layer;

struct att_lm {
    att_lm_shape shape;
    const att_host *host;
    const att_rows *rows;
    att_gguf *file;
    att_tokenizer *tokenizer;
    float *arena; /* all weights */
    size_t arena_bytes;
    att_layer *layers;
    const uint8_t **blocks; /* of all matrices */
    att_matrix embedding;
    att_matrix output; /* the embedding itself where tied */
    att_matrix output_norm;
    float *cosine, *sine; /* [context][head_dim / 2] */
};

struct att_kv {
    int64_t layers, heads, capacity, dim;
    int64_t length;
    int64_t shared;           /* leading rows that equal those of the base */
    struct att_kv_base *base; /* the memory of the first ancestor */
    float *data;              /* [2][layer][head][capacity][dim]: K, then V */
    size_t bytes;
    bool root; /* data is the base's own mapping */
};

/* ---- weights.c */
att_status att_lm_load(att_lm *lm, att_why *why);
void att_lm_unload(att_lm *lm);

/* ---- kv.c */
/* First row of a layer's K (which = 0) or V (1) of a head. */
float *att_kv_rows(const att_kv *kv, int which, int64_t layer, int64_t head);
/* False when living forks forbid to write. */
bool att_kv_writable(const att_kv *kv);

/* ---- matmul.c */
/* y[n][row stride ldy] (+)= x[n][ldx] W^T, split over the host's threads into parts that do not
 * depend on their number. */
void att_matmul(const att_lm *lm, const att_matrix *w, const float *x, int64_t ldx, int64_t n,
                float *y, int64_t ldy, bool add);
/* act[n][feed_forward] = swiglu of x gate_up^T.  scratch: att_gate_scratch floats. */
void att_gate_up(const att_lm *lm, const att_layer *layer, const float *x, int64_t n, float *act,
                 float *scratch);
size_t att_gate_scratch(const att_lm *lm, int64_t n);

/* ---- lm_out.c */
/* Logits and log probabilities that the segments want.  x: the last layer's residual stream, one
 * row a token, segments one after the other. */
att_status att_lm_heads(const att_lm *lm, const float *x, att_lm_segment *segments,
                        size_t n_segments, att_why *why);

#endif
