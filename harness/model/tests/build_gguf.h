/* SPDX-License-Identifier: Apache-2.0 */
/* Small GGUF files made in memory, right ones and lying ones. */
#ifndef ATT_BUILD_GGUF_H
#define ATT_BUILD_GGUF_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/str.h"
#include "model/gguf.h"

enum { KIND_U32 = 4, KIND_I32 = 5, KIND_F32 = 6, KIND_BOOL = 7, KIND_STRING = 8, KIND_ARRAY = 9 };

static inline void put_u32(att_buf *b, uint32_t x)
{
    att_buf_add(b, (const char *)&x, sizeof x);
}

static inline void put_u64(att_buf *b, uint64_t x)
{
    att_buf_add(b, (const char *)&x, sizeof x);
}

static inline void put_text(att_buf *b, const char *text)
{
    put_u64(b, strlen(text));
    att_buf_puts(b, text);
}

static inline void put_header(att_buf *b, uint64_t tensors, uint64_t keys)
{
    att_buf_puts(b, "GGUF");
    put_u32(b, 3);
    put_u64(b, tensors);
    put_u64(b, keys);
}

static inline void put_key_u32(att_buf *b, const char *key, uint32_t x)
{
    put_text(b, key);
    put_u32(b, KIND_U32);
    put_u32(b, x);
}

static inline void put_key_f32(att_buf *b, const char *key, float x)
{
    put_text(b, key);
    put_u32(b, KIND_F32);
    att_buf_add(b, (const char *)&x, sizeof x);
}

static inline void put_key_text(att_buf *b, const char *key, const char *text)
{
    put_text(b, key);
    put_u32(b, KIND_STRING);
    put_text(b, text);
}

static inline void put_key_array(att_buf *b, const char *key, uint32_t kind, uint64_t count)
{
    put_text(b, key);
    put_u32(b, KIND_ARRAY);
    put_u32(b, kind);
    put_u64(b, count);
}

static inline void put_tensor(att_buf *b, const char *name, uint32_t dims, const uint64_t *shape,
                              uint32_t type, uint64_t offset)
{
    put_text(b, name);
    put_u32(b, dims);
    for (uint32_t i = 0; i < dims; i++)
        put_u64(b, shape[i]);
    put_u32(b, type);
    put_u64(b, offset);
}

static inline void pad_to(att_buf *b, size_t align)
{
    while (b->length % align)
        att_buf_add(b, "", 1);
}

/* ------------------------------------------------------- a whole tiny language model */

enum { TINY_LAYERS = 3, TINY_WIDTH = 32, TINY_FF = 400, TINY_HEADS = 4, TINY_KV = 2, TINY_DIM = 8 };
enum { TINY_CONTEXT = 128, TINY_VOCAB = 64 };

/* Byte b as GPT-2's vocabulary writes it, in UTF-8. */
static inline void put_letter(att_buf *b, int byte)
{
    int other = 256, code = byte;
    for (int i = 0; i <= byte; i++) {
        int own = (i >= '!' && i <= '~') || (i >= 0xa1 && i <= 0xac) || i >= 0xae;
        code = own ? i : other++;
    }
    char text[2] = {(char)(0xc0 | code >> 6), (char)(0x80 | (code & 63))};
    if (code < 0x80)
        att_buf_add(b, (const char[]){(char)code}, 1);
    else
        att_buf_add(b, text, 2);
}

/* 32..91 as bytes, then "ab", "abc", "<|x|>" (special), "cd". */
static inline void put_vocabulary(att_buf *b)
{
    put_key_array(b, "tokenizer.ggml.tokens", KIND_STRING, TINY_VOCAB);
    for (int i = 0; i < TINY_VOCAB - 4; i++) {
        att_buf letter = {0};
        put_letter(&letter, 32 + i);
        put_text(b, letter.data);
        att_buf_drop(&letter);
    }
    put_text(b, "AB");
    put_text(b, "ABC");
    put_text(b, "<|X|>");
    put_text(b, "CD");
    put_key_array(b, "tokenizer.ggml.merges", KIND_STRING, 3);
    put_text(b, "A B");
    put_text(b, "C D");
    put_text(b, "AB C");
    put_key_array(b, "tokenizer.ggml.token_type", KIND_I32, TINY_VOCAB);
    for (int i = 0; i < TINY_VOCAB; i++)
        put_u32(b, i == TINY_VOCAB - 2 ? 3 : 1);
}

typedef struct tiny_row {
    const char *name; /* %d = layer */
    int64_t cols, rows;
} tiny_row;

static inline const tiny_row *tiny_rows(size_t *n)
{
    static const tiny_row rows[] = {{"attn_norm", TINY_WIDTH, 0},
                                    {"ffn_norm", TINY_WIDTH, 0},
                                    {"attn_q", TINY_WIDTH, TINY_HEADS * TINY_DIM},
                                    {"attn_k", TINY_WIDTH, TINY_KV * TINY_DIM},
                                    {"attn_v", TINY_WIDTH, TINY_KV * TINY_DIM},
                                    {"attn_output", TINY_HEADS * TINY_DIM, TINY_WIDTH},
                                    {"ffn_gate", TINY_WIDTH, TINY_FF},
                                    {"ffn_up", TINY_WIDTH, TINY_FF},
                                    {"ffn_down", TINY_FF, TINY_WIDTH}};
    *n = sizeof rows / sizeof rows[0];
    return rows;
}

static inline void put_tiny_tensor(att_buf *head, att_buf *data, att_rng *rng, const char *name,
                                   int64_t cols, int64_t rows)
{
    uint64_t shape[2] = {(uint64_t)cols, (uint64_t)rows};
    pad_to(data, 32);
    put_tensor(head, name, rows ? 2 : 1, shape, ATT_GGUF_F32, data->length);
    for (int64_t i = 0; i < cols * (rows ? rows : 1); i++) {
        float x =
            (float)(att_rng_normal(rng) / (rows ? sqrt((double)cols) : 4.0) + (rows ? 0.0 : 1.0));
        att_buf_add(data, (const char *)&x, sizeof x);
    }
}

/* A Llama of random f32 weights: TINY_* sizes, tied output. */
static inline att_buf build_tiny(uint64_t seed)
{
    att_buf file = {0}, head = {0}, data = {0};
    att_rng rng = att_rng_make(seed, "tiny");
    size_t n;
    const tiny_row *rows = tiny_rows(&n);
    put_header(&file, 2 + n * TINY_LAYERS, 15);
    put_key_text(&file, "general.architecture", "llama");
    put_key_u32(&file, "llama.block_count", TINY_LAYERS);
    put_key_u32(&file, "llama.embedding_length", TINY_WIDTH);
    put_key_u32(&file, "llama.feed_forward_length", TINY_FF);
    put_key_u32(&file, "llama.context_length", TINY_CONTEXT);
    put_key_u32(&file, "llama.attention.head_count", TINY_HEADS);
    put_key_u32(&file, "llama.attention.head_count_kv", TINY_KV);
    put_key_f32(&file, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
    put_key_f32(&file, "llama.rope.freq_base", 10000.0f);
    put_key_text(&file, "tokenizer.ggml.model", "gpt2");
    put_key_text(&file, "tokenizer.ggml.pre", "smollm");
    put_vocabulary(&file);
    put_key_u32(&file, "tokenizer.ggml.unknown_token_id", 0);
    put_tiny_tensor(&head, &data, &rng, "token_embd.weight", TINY_WIDTH, TINY_VOCAB);
    put_tiny_tensor(&head, &data, &rng, "output_norm.weight", TINY_WIDTH, 0);
    for (int layer = 0; layer < TINY_LAYERS; layer++)
        for (size_t i = 0; i < n; i++) {
            char name[64];
            snprintf(name, sizeof name, "blk.%d.%s.weight", layer, rows[i].name);
            put_tiny_tensor(&head, &data, &rng, name, rows[i].cols, rows[i].rows);
        }
    att_buf_add(&file, head.data, head.length);
    pad_to(&file, 32);
    att_buf_add(&file, data.data, data.length);
    att_buf_drop(&head);
    att_buf_drop(&data);
    return file;
}

#endif
