/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: any bytes as a GGUF file, its keys, its tokeniser, its tensors.  `make fuzz`.
 */
#include <stdlib.h>

#include "build_gguf.h"
#include "model/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_tensors(const att_gguf *g)
{
    for (size_t i = 0; i < att_gguf_tensors(g); i++) {
        const att_gguf_tensor *t = att_gguf_tensor_at(g, i);
        if (t->shape[0] > 1 << 16)
            continue;
        float *row = malloc((size_t)t->shape[0] * sizeof *row);
        if (row) {
            att_gguf_dequantise(t, 0, 1, row);
            att_gguf_dequantise(t, t->rows - 1, 1, row);
        }
        free(row);
    }
}

static void read_keys(const att_gguf *g)
{
    static const char *const keys[] = {"general.alignment", "general.architecture",
                                       "llama.block_count", "llama.rope.freq_base",
                                       "tokenizer.ggml.merges"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        att_why why;
        int64_t x, *xs;
        double f;
        bool b;
        att_gguf_text text, *texts;
        size_t n;
        att_gguf_int(g, keys[i], true, &x, &why);
        att_gguf_real(g, keys[i], true, &f, &why);
        att_gguf_flag(g, keys[i], true, &b, &why);
        att_gguf_string(g, keys[i], true, &text, &why);
        att_gguf_strings(g, keys[i], true, &texts, &n, &why);
        free(texts);
        att_gguf_ints(g, keys[i], true, &xs, &n, &why);
        free(xs);
    }
}

static void read_all(const uint8_t *data, size_t size)
{
    att_gguf *g;
    att_tokenizer *t;
    att_why why;
    if (att_gguf_parse(data, size, "fuzz", &g, &why))
        return;
    read_keys(g);
    read_tensors(g);
    if (!att_tokenizer_make(g, &t, &why)) {
        int32_t *ids;
        size_t n;
        if (!att_tokenizer_encode(t, (const char *)data, size < 256 ? size : 256, &ids, &n, &why))
            free(ids);
        if (!att_tokenizer_encode(t, "ABC <|X|> 12", 12, &ids, &n, &why))
            free(ids);
        att_tokenizer_drop(t);
    }
    att_gguf_close(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static att_buf right; /* made once: the fuzzer calls this a million times */
    if (size == 0 || data[0] != 'T') {
        read_all(data, size);
        return 0;
    }
    if (!right.data)
        right = build_tiny(1);
    uint8_t *file = malloc(right.length);
    if (!file)
        return 0;
    memcpy(file, right.data, right.length);
    for (size_t i = 1; i + 3 <= size; i += 3) {
        size_t place = (size_t)data[i] | (size_t)data[i + 1] << 8;
        file[place % right.length] = data[i + 2];
    }
    read_all(file, right.length);
    free(file);
    return 0;
}
