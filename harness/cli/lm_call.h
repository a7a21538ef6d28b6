/* SPDX-License-Identifier: Apache-2.0 */
/* What the tasks of `attest lm` share: options, and the model with its attention. */
#ifndef ATT_LM_CALL_H
#define ATT_LM_CALL_H

#include "base/arena.h"
#include "cli.h"
#include "core/registry.h"
#include "model/lm.h"

typedef struct att_lm_options {
    const char *text_file, *model, *kernel, *output;
    int64_t threads, prompt_tokens, decode, layer, queries;
    bool json;
} att_lm_options;

/* A kernel of the table as the model's attention. */
typedef struct att_lm_run {
    const att_lm_options *options;
    att_registry *registry;
    att_arena arena;
    const att_variant *variant, *oracle;
    att_host host;
    att_lm *lm;
    att_lm_attention attention; /* the variant */
    char *text;
    int32_t *ids;
    size_t n;
    void *scratch;
    size_t scratch_bytes;
    att_why why;
} att_lm_run;

/* Opens kernel, model and text (where there is one).  Close it whatever the status says. */
att_status att_lm_run_open(att_lm_run *run, const att_cli *cli, const att_lm_options *options);
void att_lm_run_close(att_lm_run *run);
/* Runs the variant's kernel for a layer. */
att_status att_lm_run_attend(att_lm_run *run, const att_variant *variant, int64_t layer,
                             const att_problem *p, att_why *why);

/* ---- lm_capture.c: `attest lm capture` */
att_status att_lm_capture(att_lm_run *run);

#endif
