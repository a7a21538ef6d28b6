/* SPDX-License-Identifier: Apache-2.0 */
/* A Llama-family language model from a GGUF file, with its attention handed in as a kernel.
 *
 * Weights are dequantised to f32 once; activations stay f32.  Matrix products are OpenBLAS's (one
 * thread a call; the host's parallel_for splits them). */
#ifndef ATT_LM_H
#define ATT_LM_H

#include <stdbool.h>
#include <stdint.h>

#include "attn.h"
#include "base/why.h"

typedef struct att_lm att_lm;
typedef struct att_kv att_kv;

typedef struct att_lm_shape {
    int64_t layers, width, feed_forward, heads_q, heads_kv, head_dim, vocabulary, context;
    double rms_eps, rope_theta;
} att_lm_shape;

/* Opens and checks the file; CORRUPT for a lying file, UNSUPPORTED for another architecture, tensor
 * type or pre-tokeniser, always by name.  The host must outlive the model. */
att_status att_lm_open(const char *path, const att_host *host, att_lm **out, att_why *why);
void att_lm_close(att_lm *lm);
att_lm_shape att_lm_shape_of(const att_lm *lm);

/* Token ids of UTF-8 text; special tokens (<|im_start|>) are recognised.  *ids is malloc'd. */
att_status att_lm_tokens(const att_lm *lm, const char *text, size_t length, int32_t **ids,
                         size_t *n, att_why *why);
/* The bytes of one token into out (not terminated); returns how many; at most `size` are written.
 */
size_t att_lm_piece(const att_lm *lm, int32_t id, char *out, size_t size);

/* ---- KV cache of one sequence.  K and V are [layer][kv head][capacity][head_dim] f32, K after
 * RoPE. */
att_status att_kv_make(const att_lm *lm, int64_t capacity, att_kv **out, att_why *why);
/* A copy-on-write child that starts with the parent's tokens; the parent must stay unchanged while
 * children live.  Cheap: pages are shared until written. */
att_status att_kv_fork(const att_kv *parent, att_kv **out, att_why *why);
int64_t att_kv_length(const att_kv *kv);
void att_kv_rollback(att_kv *kv, int64_t length); /* keeps the first `length` tokens */
void att_kv_close(att_kv *kv);

/* ---- Attention handed in: one causal bottom-right problem a layer and segment, q [1,Hq,n,D],
 * k and v [1,Hkv,length,D] (views of the cache), out [1,Hq,n,D]. */
typedef struct att_lm_attention {
    void *arg;
    att_status (*attend)(void *arg, int64_t layer, const att_problem *p, att_why *why);
} att_lm_attention;

/* New tokens of one sequence.  Several segments in one call share every matrix product. */
typedef struct att_lm_segment {
    att_kv *kv;            /* grows by n */
    const int32_t *tokens; /* [n] */
    int64_t n;
    const int32_t *targets; /* [n] or NULL: logprob[i] = ln P(targets[i] | ... tokens[i]) where
                               targets[i] >= 0 */
    double *logprob;        /* [n], written where targets[i] >= 0 */
    float *logits;          /* [n - logits_from, vocabulary] or NULL */
    int64_t logits_from;    /* first row wanted */
} att_lm_segment;

att_status att_lm_forward(att_lm *lm, const att_lm_attention *attention, att_lm_segment *segments,
                          size_t n_segments, att_why *why);

#endif
