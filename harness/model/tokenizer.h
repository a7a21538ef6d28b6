/* SPDX-License-Identifier: Apache-2.0 */
/* Byte-level BPE ("gpt2") with the pre-tokeniser "smollm", from the keys of a GGUF file. */
#ifndef ATT_TOKENIZER_H
#define ATT_TOKENIZER_H

#include "model/gguf.h"

typedef struct att_tokenizer att_tokenizer;

/* CORRUPT for tables that contradict each other, UNSUPPORTED for another tokeniser or
 * pre-tokeniser, by name.  Keeps nothing of g. */
att_status att_tokenizer_make(const att_gguf *g, att_tokenizer **out, att_why *why);
void att_tokenizer_drop(att_tokenizer *t);
int64_t att_tokenizer_size(const att_tokenizer *t); /* of the vocabulary */

/* Ids of UTF-8 text (CORRUPT, with the byte, if it is not).  *ids is malloc'd.  Linear in the text
 * but for a logarithm: a piece of n bytes takes O(n log n).  Safe to call from several threads. */
att_status att_tokenizer_encode(const att_tokenizer *t, const char *text, size_t length,
                                int32_t **ids, size_t *n, att_why *why);
/* The bytes of a token (inside t, not terminated); NULL for an id outside the vocabulary. */
const char *att_tokenizer_piece(const att_tokenizer *t, int32_t id, size_t *length);

/* ---- bpe.c: merging inside one piece of text */
typedef struct att_bpe att_bpe;

/* Merges in order of rank: left[i] + right[i] become whole[i].  Copies them. */
att_bpe *att_bpe_make(const int32_t *left, const int32_t *right, const int32_t *whole, size_t n);
void att_bpe_drop(att_bpe *b);
/* Merges ids[0..n) in place, lowest rank first, leftmost first among equals; the new n, or SIZE_MAX
 * without memory. */
size_t att_bpe_merge(const att_bpe *b, int32_t *ids, size_t n);

#endif
