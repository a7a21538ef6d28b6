/* SPDX-License-Identifier: Apache-2.0 */
/* The tokeniser's tables; shared by tokenizer.c and tokenizer_load.c alone. */
#ifndef ATT_TOKENIZER_FILE_H
#define ATT_TOKENIZER_FILE_H

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "model/tokenizer.h"

typedef struct att_span {
    uint32_t at, length; /* in `bytes` */
} att_span;

struct att_tokenizer {
    char *bytes;
    att_span *pieces; /* by id */
    int32_t n;
    int32_t byte_id[256]; /* -1: no token of this one byte */
    int32_t unknown;      /* stands for bytes without a token; -1: they are refused */
    int32_t first;        /* put before every text; -1: none */
    int32_t *special;     /* ids, grouped by first byte, longest first */
    size_t n_special;
    uint32_t special_at[257]; /* group of a first byte: [special_at[c], special_at[c + 1]) */
    att_bpe *bpe;
    pcre2_code *cut;
};

#endif
