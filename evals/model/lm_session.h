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
    size_t n;
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

att_status lm_needle(att_ctx *x);
att_status lm_drift(att_ctx *x);

#endif
