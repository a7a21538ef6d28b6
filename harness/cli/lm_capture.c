/* SPDX-License-Identifier: Apache-2.0 */
/* attest lm capture: one attention call of the real model as a capture file.  The text but its last
 * tokens is prefilled; when those ask, the chosen layer's call is written down with the answer of
 * the f64 oracle, rounded once to f32. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "lm_call.h"
#include "model/capture.h"

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void to_f32(const double *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)from[i];
}

/* p with the oracle's out and lse goes to the file. */
static att_status write_call(att_lm_run *r, int64_t layer, const att_problem *p, att_why *why)
{
    size_t rows = (size_t)(p->heads_q * p->q_len), n = rows * (size_t)p->value_dim;
    att_buf source = {0}, name = {0};
    double *wide = malloc((n + rows) * sizeof *wide);
    float *narrow = malloc((n + rows) * sizeof *narrow);
    att_status st = ATT_NO_MEMORY;
    if (!wide || !narrow) {
        att_why_set(why, "no memory for the oracle's answer");
        goto done;
    }
    att_problem exact = *p;
    exact.out = att_tensor_dense(wide, ATT_F64, 1, p->heads_q, p->q_len, p->value_dim);
    exact.lse = att_tensor_dense(wide + n, ATT_F64, 1, 1, p->heads_q, p->q_len);
    exact.acc_dtype = ATT_F64;
    if ((st = att_lm_run_attend(r, r->oracle, layer, &exact, why)))
        goto done;
    to_f32(wide, narrow, n + rows);
    att_buf_printf(&name, "layer_%" PRId64, layer);
    att_buf_printf(&source,
                   "%s, layer %" PRId64 ": the last %" PRId64 " of %" PRId64
                   " tokens of %s ask; keys after RoPE; out and lse by %s, rounded to f32",
                   last_part(r->options->model), layer, p->q_len, p->kv_len,
                   last_part(r->options->text_file), r->oracle->text);
    att_capture c = {
        .problem = *p,
        .out = att_tensor_dense(narrow, ATT_F32, 1, p->heads_q, p->q_len, p->value_dim),
        .lse = att_tensor_dense(narrow + n, ATT_F32, 1, 1, p->heads_q, p->q_len),
        .out_dtype = ATT_F32,
        .acc_dtype = ATT_F64,
        .name = name.data,
        .source = source.data};
    st = att_capture_write(r->options->output, &c, why);
done:
    att_buf_drop(&source);
    att_buf_drop(&name);
    free(wide);
    free(narrow);
    return st;
}

typedef struct tap {
    att_lm_run *run;
    bool taken;
} tap;

static att_status attend(void *arg, int64_t layer, const att_problem *p, att_why *why)
{
    tap *t = arg;
    att_status st = ATT_OK;
    if (layer == t->run->options->layer) {
        st = write_call(t->run, layer, p, why);
        t->taken = !st;
    }
    return st ? st : att_lm_run_attend(t->run, t->run->variant, layer, p, why);
}

att_status att_lm_capture(att_lm_run *r)
{
    const att_lm_options *o = r->options;
    att_lm_shape shape = att_lm_shape_of(r->lm);
    int64_t n = (int64_t)r->n, before = n - o->queries;
    tap t = {.run = r};
    att_lm_attention tapped = {&t, attend};
    att_kv *kv;
    if (o->layer >= shape.layers || before < 0 || n > shape.context) {
        att_why_set(&r->why,
                    "layer %" PRId64 " of %" PRId64 ", the last %" PRId64 " of %" PRId64
                    " tokens, context %" PRId64 ": there is no such call",
                    o->layer, shape.layers, o->queries, n, shape.context);
        return ATT_INVALID;
    }
    att_status st = att_kv_make(r->lm, n, &kv, &r->why);
    if (st)
        return st;
    att_lm_segment s = {.kv = kv, .tokens = r->ids, .n = before};
    st = att_lm_forward(r->lm, &r->attention, &s, 1, &r->why);
    if (!st) {
        s.tokens = r->ids + before;
        s.n = o->queries;
        st = att_lm_forward(r->lm, &tapped, &s, 1, &r->why);
    }
    att_kv_close(kv);
    return st;
}
