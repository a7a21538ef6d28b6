/* SPDX-License-Identifier: Apache-2.0 */
/* The language model with the kernel under test as its attention. */
#ifndef ATT_LM_SESSION_H
#define ATT_LM_SESSION_H

#include "core/ctx.h"
#include "model/lm.h"

/* The run's model, opened once a worker.  INVALID where the run names none. */
att_status lm_model(att_ctx *x, att_lm **out);
/* Attention by the variant's part for each layer; `variant` outlives the struct returned.  The keys
 * that its kernels declare to read, and those a causal model could read, add up over the calls. */
typedef struct lm_glue {
    att_ctx *x;
    const att_variant *variant;
    double keys, causal;
} lm_glue;
att_lm_attention lm_attention(lm_glue *glue);
/* Records "keys_share"; nothing where a kernel declares no cost. */
void lm_record_cost(const lm_glue *glue);

/* The lines of datasets/text/NAME.txt. */
typedef struct lm_lines {
    char *text;
    char **line;
    size_t n, next; /* next: where lm_fill goes on */
} lm_lines;
att_status lm_lines_read(att_ctx *x, const char *name, lm_lines *out);
void lm_lines_drop(lm_lines *lines);

/* Token ids that grow. */
typedef struct lm_ids {
    int32_t *id;
    size_t n, room;
} lm_ids;
/* Appends the tokens of text. */
att_status lm_ids_add(att_ctx *x, const att_lm *lm, lm_ids *ids, const char *text);

/* Appends printf text; at most 1,023 characters. */
att_status lm_ids_printf(att_ctx *x, const att_lm *lm, lm_ids *ids, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Appends the sentences of prose in turn, from the first again after the last, until ids holds at
 * least `until` tokens.  The caller has shuffled them. */
att_status lm_fill(att_ctx *x, const att_lm *lm, lm_lines *prose, size_t until, lm_ids *ids);
/* The first token of text. */
att_status lm_first_token(att_ctx *x, const att_lm *lm, const char *text, int32_t *out);
/* `count` different lines of a list, in random order, into out (pointers into `lines`).  CORRUPT
 * where the list is too short. */
att_status lm_draw(att_ctx *x, const lm_lines *lines, att_rng *rng, size_t count, const char **out);

#define LM_QUESTIONS_MOST 16
/* Prefills the context once, forks it for each question, asks all of them in one forward pass; the
 * logits of each question's last token to logits [n][vocabulary].  Records the keys read. */
att_status lm_ask(att_ctx *x, att_lm *lm, const lm_ids *context, const lm_ids *questions, size_t n,
                  float *logits);

att_status lm_needle(att_ctx *x);
att_status lm_drift(att_ctx *x);
att_status lm_citation(att_ctx *x);
att_status lm_coreference(att_ctx *x);

#endif
