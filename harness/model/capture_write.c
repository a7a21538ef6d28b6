/* SPDX-License-Identifier: Apache-2.0 */
/* Writing captures: the views of a problem are packed row-major, and everything that differs from a
 * fresh problem becomes a metadata key, so that what is read back is the same problem. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/capture.h"
#include "model/safetensors.h"

enum { TENSORS_MAX = 9, PAIRS_MAX = 12, VALUE_MAX = 64 };

typedef struct writer {
    att_st_tensor tensors[TENSORS_MAX];
    void *packed[TENSORS_MAX];
    size_t n_tensors;
    att_st_pair pairs[PAIRS_MAX];
    char values[PAIRS_MAX][VALUE_MAX];
    size_t n_pairs;
} writer;

/* The elements of a view in row-major order.  A dimension with stride 0 is written once when it may
 * be broadcast again (`dims` counts from the right). */
static bool pack(writer *w, const char *name, const att_tensor *t, int32_t dims, bool broadcast)
{
    size_t size = att_dtype_size(t->dtype), total = size;
    att_st_tensor *s = &w->tensors[w->n_tensors];
    int64_t shape[4];
    *s = (att_st_tensor){.name = name, .dtype = t->dtype, .dims = dims};
    for (int i = 0; i < 4; i++) {
        shape[i] = broadcast && t->stride[i] == 0 ? 1 : t->shape[i];
        if (shape[i] < 0 || __builtin_mul_overflow(total, (size_t)shape[i], &total))
            return false;
        if (i >= 4 - dims)
            s->shape[i - (4 - dims)] = shape[i];
    }
    char *to = malloc(total + 1);
    if (!to)
        return false;
    w->packed[w->n_tensors++] = to;
    s->data = to;
    s->bytes = total;
    for (int64_t a = 0; a < shape[0]; a++)
        for (int64_t b = 0; b < shape[1]; b++)
            for (int64_t c = 0; c < shape[2]; c++)
                for (int64_t d = 0; d < shape[3]; d++, to += size)
                    memcpy(to, (const char *)t->data + att_tensor_at(t, a, b, c, d) * (int64_t)size,
                           size);
    return true;
}

static void say(writer *w, const char *key, const char *value)
{
    w->pairs[w->n_pairs++] = (att_st_pair){key, value};
}

static void say_real(writer *w, const char *key, double x)
{
    char *value = w->values[w->n_pairs];
    snprintf(value, VALUE_MAX, "%.17g", x);
    say(w, key, value);
}

static const char *unit_name(int32_t dtype)
{
    return dtype == ATT_F64    ? "f64"
           : dtype == ATT_F32  ? "f32"
           : dtype == ATT_F16  ? "f16"
           : dtype == ATT_BF16 ? "bf16"
                               : NULL;
}

static void say_all(writer *w, const att_capture *c)
{
    static const char *const causal[] = {"none", "top_left", "bottom_right"};
    const att_problem *p = &c->problem;
    say(w, "attest_capture", "1");
    say(w, "op", "attend");
    say(w, "layout", "BHSD");
    say(w, "causal", causal[p->causal]);
    say_real(w, "scale", att_scale(p));
    if (p->softcap > 0)
        say_real(w, "softcap", p->softcap);
    if (p->window_left >= 0 || p->window_right >= 0) {
        char *value = w->values[w->n_pairs];
        snprintf(value, VALUE_MAX, "%lld,%lld", (long long)p->window_left,
                 (long long)p->window_right);
        say(w, "window", value);
    }
    if (c->name)
        say(w, "name", c->name);
    if (c->source)
        say(w, "source", c->source);
    if (unit_name(c->out_dtype))
        say(w, "out_dtype_unit", unit_name(c->out_dtype));
    if (unit_name(c->acc_dtype))
        say(w, "acc_dtype_unit", unit_name(c->acc_dtype));
}

/* What this writer has no words for. */
static const char *beyond(const att_problem *p)
{
    if (p->causal < 0 || p->causal > ATT_CAUSAL_BOTTOM_RIGHT || p->q_positions.data ||
        p->k_positions.data)
        return "explicit positions";
    if (p->cu_q.data || p->cu_k.data || p->q_lengths.data || p->kv_lengths.data)
        return "sequence lengths";
    if (p->block_table.data || p->page_size)
        return "pages";
    if (p->block_mask.data)
        return "a block mask";
    if (p->k_quant.scheme || p->v_quant.scheme)
        return "quantised keys or values";
    if (p->recur || p->grad || p->rope || p->merge || p->mix)
        return "an operator other than attend";
    return NULL;
}

att_status att_capture_write(const char *path, const att_capture *c, att_why *why)
{
    static const struct {
        const char *name;
        size_t offset;
        int32_t dims;
        bool broadcast;
    } list[] = {{"q", offsetof(att_capture, problem.q), 4, false},
                {"k", offsetof(att_capture, problem.k), 4, false},
                {"v", offsetof(att_capture, problem.v), 4, false},
                {"bias", offsetof(att_capture, problem.bias), 4, true},
                {"mask", offsetof(att_capture, problem.mask), 4, true},
                {"sinks", offsetof(att_capture, problem.sinks), 1, false},
                {"alibi_slopes", offsetof(att_capture, problem.alibi_slopes), 1, false},
                {"out", offsetof(att_capture, out), 4, false},
                {"lse", offsetof(att_capture, lse), 3, false}};
    const char *cannot = beyond(&c->problem);
    if (cannot) {
        att_why_set(why, "%s: this writer has no words for %s", path, cannot);
        return ATT_UNSUPPORTED;
    }
    att_status st = ATT_OK;
    writer *w = calloc(1, sizeof *w);
    if (!w) {
        att_why_set(why, "%s: no memory", path);
        return ATT_NO_MEMORY;
    }
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        const att_tensor *t = (const att_tensor *)(const void *)((const char *)c + list[i].offset);
        if (t->data && (!att_dtype_size(t->dtype) ||
                        !pack(w, list[i].name, t, list[i].dims, list[i].broadcast))) {
            att_why_set(why, "%s: tensor %s cannot be packed", path, list[i].name);
            st = ATT_UNSUPPORTED;
            goto done;
        }
    }
    say_all(w, c);
    st = att_safetensors_write(path, w->tensors, w->n_tensors, w->pairs, w->n_pairs, why);
done:
    for (size_t i = 0; i < w->n_tensors; i++)
        free(w->packed[i]);
    free(w);
    return st;
}
