/* SPDX-License-Identifier: Apache-2.0 */
/* Language-model files that are well-formed GGUF and lie all the same: other families,
 * hyper-parameters that contradict the tensors, vocabularies that contradict themselves.  Each is
 * the tiny model with a few bytes changed; each must be refused by name. */
#include <unistd.h>

#include "base/tests/suite.h"
#include "build_gguf.h"
#include "plain_attention.h"

static void write_file(char path[64], const att_buf *file)
{
    snprintf(path, 64, "/tmp/attest_test_lm_files_%ld.gguf", (long)getpid());
    CU_ASSERT_TRUE_FATAL(att_file_write(path, file->data, file->length));
}

/* Overwrites what lies `skip` bytes after the first `at` in the file, and tries to open it. */
static void patched(const char *at, size_t skip, const void *with, size_t n, att_status want,
                    const char *says)
{
    att_buf file = build_tiny(7);
    char path[64];
    att_host host = plain_host();
    att_lm *lm = NULL;
    att_why why = {{0}};
    char *found = memmem(file.data, file.length, at, strlen(at));
    CU_ASSERT_PTR_NOT_NULL_FATAL(found);
    memcpy(found + skip, with, n);
    write_file(path, &file);
    att_status st = att_lm_open(path, &host, &lm, &why);
    CU_ASSERT_EQUAL(st, want);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, says));
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, path));
    if (st != want || !strstr(why.text, says))
        printf("  status %d, message: %s (wanted: %s)\n", (int)st, why.text, says);
    CU_ASSERT_PTR_NULL(lm);
    att_lm_close(lm);
    att_buf_drop(&file);
    unlink(path);
}

static void renamed(const char *from, const char *to, att_status want, const char *says)
{
    CU_ASSERT_EQUAL_FATAL(strlen(from), strlen(to));
    patched(from, 0, to, strlen(to), want, says);
}

static void other_models_are_refused_by_name(void)
{
    renamed("llama", "gemma", ATT_UNSUPPORTED, "gemma");
    renamed("smollm", "qwen-2", ATT_UNSUPPORTED, "qwen-2");
    renamed("gpt2", "bert", ATT_UNSUPPORTED, "bert");
    renamed("blk.1.ffn_up", "blk.1.ffn_xx", ATT_CORRUPT, "blk.1.ffn_up.weight is missing");
    renamed("llama.rope.freq_base", "llama.residual_scale", ATT_UNSUPPORTED,
            "llama.residual_scale");
    renamed("llama.context_length", "llama.context_lengtt", ATT_CORRUPT,
            "llama.context_length is missing");
}

static void numbers(const char *key, uint32_t x, att_status want, const char *says)
{
    patched(key, strlen(key) + 4, &x, sizeof x, want, says);
}

static void hyper_parameters_that_lie_are_refused(void)
{
    float nan = NAN;
    numbers("llama.block_count", 0, ATT_CORRUPT, "llama.block_count is 0");
    numbers("llama.block_count", UINT32_MAX, ATT_CORRUPT, "4294967295");
    numbers("llama.block_count", TINY_LAYERS + 1, ATT_CORRUPT, "blk.3.attn_norm.weight is missing");
    numbers("llama.block_count", TINY_LAYERS - 1, ATT_UNSUPPORTED, "blk.2.");
    numbers("llama.embedding_length", 2 * TINY_WIDTH, ATT_CORRUPT, "shape");
    numbers("llama.feed_forward_length", TINY_FF + 1, ATT_CORRUPT, "shape");
    numbers("llama.attention.head_count", 0, ATT_CORRUPT, "head_count is 0");
    numbers("llama.attention.head_count", 2 * TINY_HEADS, ATT_CORRUPT, "shape");
    numbers("llama.attention.head_count_kv", 3, ATT_CORRUPT, "over 3 key heads");
    numbers("llama.attention.head_count_kv", TINY_HEADS + 1, ATT_CORRUPT, "head_count_kv is 5");
    patched("llama.attention.layer_norm_rms_epsilon", 42, &nan, sizeof nan, ATT_CORRUPT,
            "RMS epsilon");
    patched("llama.rope.freq_base", 24, &nan, sizeof nan, ATT_CORRUPT, "RoPE base");
}

static void vocabularies_that_lie_are_refused(void)
{
    numbers("tokenizer.ggml.unknown_token_id", TINY_VOCAB, ATT_CORRUPT,
            "the vocabulary has 64 tokens");
    renamed("A B", "A~B", ATT_CORRUPT, "merge 0");
    renamed("A B", "A \x7f", ATT_CORRUPT, "merge 0");
    renamed("AB C", "BA C", ATT_CORRUPT, "merge 2");
    renamed("ABC", "A C", ATT_CORRUPT, "token 61");
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"other_models_are_refused_by_name", other_models_are_refused_by_name},
        {"hyper_parameters_that_lie_are_refused", hyper_parameters_that_lie_are_refused},
        {"vocabularies_that_lie_are_refused", vocabularies_that_lie_are_refused},
        CU_TEST_INFO_NULL};
    return att_suite_run("lm_files", tests);
}
