/* SPDX-License-Identifier: Apache-2.0 */
/* Reading captures.  Two tables say what a file may hold: tensors with the shape each must have,
 * and metadata keys with the function that reads each. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/capture.h"
#include "model/safetensors.h"

/* ----------------------------------------------------------------------------- metadata */

typedef struct reader {
    const att_safetensors *file;
    att_capture *c;
    const char *layout, *op, *version;
    att_why *why;
} reader;

static att_status key_says(const reader *r, att_status st, const att_st_pair *pair,
                           const char *what)
{
    att_why_set(r->why, "%s: key %.60s = %.60s: %s", att_safetensors_name(r->file), pair->key,
                pair->value, what);
    return st;
}

static att_status key_real(const reader *r, const att_st_pair *pair, double *out)
{
    char *end;
    double x = strtod(pair->value, &end);
    if (end == pair->value || *end || !isfinite(x))
        return key_says(r, ATT_CORRUPT, pair, "not a finite number");
    *out = x;
    return ATT_OK;
}

static att_status read_scale(reader *r, const att_st_pair *pair)
{
    return key_real(r, pair, &r->c->problem.scale);
}

static att_status read_softcap(reader *r, const att_st_pair *pair)
{
    att_status st = key_real(r, pair, &r->c->problem.softcap);
    return st || r->c->problem.softcap >= 0 ? st : key_says(r, ATT_CORRUPT, pair, "negative");
}

static att_status read_causal(reader *r, const att_st_pair *pair)
{
    static const char *const names[] = {[ATT_CAUSAL_NONE] = "none",
                                        [ATT_CAUSAL_TOP_LEFT] = "top_left",
                                        [ATT_CAUSAL_BOTTOM_RIGHT] = "bottom_right"};
    for (int i = 0; i <= ATT_CAUSAL_BOTTOM_RIGHT; i++)
        if (!strcmp(pair->value, names[i])) {
            r->c->problem.causal = i;
            return ATT_OK;
        }
    if (!strcmp(pair->value, "positions"))
        return key_says(r, ATT_UNSUPPORTED, pair, "explicit positions are not read yet");
    return key_says(r, ATT_CORRUPT, pair, "not none, top_left, bottom_right or positions");
}

static att_status read_window(reader *r, const att_st_pair *pair)
{
    long long left, right;
    int end = 0;
    if (sscanf(pair->value, "%lld,%lld%n", &left, &right, &end) != 2 || pair->value[end] ||
        left < -1 || right < -1)
        return key_says(r, ATT_CORRUPT, pair, "not two counts of keys, \"left,right\", from -1 on");
    r->c->problem.window_left = left;
    r->c->problem.window_right = right;
    return ATT_OK;
}

static att_status read_unit(const reader *r, const att_st_pair *pair, int32_t *out)
{
    static const struct {
        const char *name;
        int32_t dtype;
    } units[] = {{"f64", ATT_F64}, {"f32", ATT_F32}, {"f16", ATT_F16}, {"bf16", ATT_BF16}};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (!strcmp(pair->value, units[i].name)) {
            *out = units[i].dtype;
            return ATT_OK;
        }
    return key_says(r, ATT_CORRUPT, pair, "not f64, f32, f16 or bf16");
}

static att_status read_out_unit(reader *r, const att_st_pair *pair)
{
    return read_unit(r, pair, &r->c->out_dtype);
}

static att_status read_acc_unit(reader *r, const att_st_pair *pair)
{
    return read_unit(r, pair, &r->c->acc_dtype);
}

static att_status read_name(reader *r, const att_st_pair *pair)
{
    r->c->name = pair->value;
    return ATT_OK;
}

static att_status read_source(reader *r, const att_st_pair *pair)
{
    r->c->source = pair->value;
    return ATT_OK;
}

static att_status read_layout(reader *r, const att_st_pair *pair)
{
    r->layout = pair->value;
    if (!strcmp(pair->value, "BHSD"))
        return ATT_OK;
    return key_says(r, ATT_UNSUPPORTED, pair, "only BHSD is read");
}

static att_status read_op(reader *r, const att_st_pair *pair)
{
    r->op = pair->value;
    return !strcmp(pair->value, "attend")
               ? ATT_OK
               : key_says(r, ATT_UNSUPPORTED, pair, "only attend is read");
}

static att_status read_version(reader *r, const att_st_pair *pair)
{
    r->version = pair->value;
    return !strcmp(pair->value, "1") ? ATT_OK
                                     : key_says(r, ATT_UNSUPPORTED, pair, "only 1 is read");
}

static const struct {
    const char *key;
    att_status (*read)(reader *r,
                       const att_st_pair *pair); /* NULL: known to the format, not read */
} keys[] = {{"attest_capture", read_version},
            {"op", read_op},
            {"layout", read_layout},
            {"scale", read_scale},
            {"softcap", read_softcap},
            {"causal", read_causal},
            {"window", read_window},
            {"name", read_name},
            {"source", read_source},
            {"out_dtype_unit", read_out_unit},
            {"acc_dtype_unit", read_acc_unit},
            {"rule", NULL},
            {"heads_q", NULL},
            {"heads_kv", NULL},
            {"semantics", NULL},
            {"pairing", NULL},
            {"rotary_dim", NULL},
            {"theta", NULL}};

static att_status read_pair(reader *r, const att_st_pair *pair)
{
    if (!strncmp(pair->key, "x_", 2))
        return ATT_OK;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (!strcmp(keys[i].key, pair->key))
            return keys[i].read ? keys[i].read(r, pair)
                                : key_says(r, ATT_UNSUPPORTED, pair, "the key is not read yet");
    return key_says(r, ATT_CORRUPT, pair, "no such key in a capture");
}

static att_status read_metadata(reader *r)
{
    r->c->out_dtype = r->c->acc_dtype = -1;
    for (size_t i = 0; i < att_safetensors_pairs(r->file); i++) {
        att_status st = read_pair(r, att_safetensors_pair(r->file, i));
        if (st)
            return st;
    }
    const char *missing = !r->version  ? "attest_capture"
                          : !r->op     ? "op"
                          : !r->layout ? "layout"
                                       : NULL;
    if (missing) {
        att_why_set(r->why, "%s: key %s is missing from __metadata__",
                    att_safetensors_name(r->file), missing);
        return ATT_CORRUPT;
    }
    if (r->c->acc_dtype < 0)
        r->c->acc_dtype = r->c->out_dtype;
    return ATT_OK;
}

/* ------------------------------------------------------------------------------ tensors */

typedef enum kind { FLOATS, BYTES } kind;

typedef struct row {
    const char *name;
    size_t offset; /* of the att_tensor in att_capture; 0 = known to the format, not read */
    const char
        *shape; /* letters of the problem's sizes; lower case: 1 is broadcast, may be left out */
    kind kind;
} row;

#define IN(member) offsetof(att_capture, problem.member)
static const row rows[] = {{"q", IN(q), "BHSD", FLOATS},
                           {"k", IN(k), "BGTD", FLOATS},
                           {"v", IN(v), "BGTE", FLOATS},
                           {"bias", IN(bias), "bhst", FLOATS},
                           {"mask", IN(mask), "bhst", BYTES},
                           {"sinks", IN(sinks), "H", FLOATS},
                           {"alibi_slopes", IN(alibi_slopes), "H", FLOATS},
                           {"out", offsetof(att_capture, out), "BHSE", FLOATS},
                           {"lse", offsetof(att_capture, lse), "BHS", FLOATS},
                           {"cu_q", 0, "", FLOATS},
                           {"cu_k", 0, "", FLOATS},
                           {"kv_lengths", 0, "", FLOATS},
                           {"block_table", 0, "", FLOATS},
                           {"q_positions", 0, "", FLOATS},
                           {"k_positions", 0, "", FLOATS},
                           {"g", 0, "", FLOATS},
                           {"beta", 0, "", FLOATS},
                           {"state_in", 0, "", FLOATS},
                           {"z_in", 0, "", FLOATS},
                           {"state_out", 0, "", FLOATS},
                           {"cos", 0, "", FLOATS},
                           {"sin", 0, "", FLOATS}};
enum { ROWS = sizeof rows / sizeof rows[0] };

static att_status tensor_says(const reader *r, att_status st, const char *name, const char *what)
{
    att_why_set(r->why, "%s: tensor %.60s %s", att_safetensors_name(r->file), name, what);
    return st;
}

static const row *row_named(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    return NULL;
}

/* The problem's size that a letter stands for. */
static int64_t *size_of(att_problem *p, char letter)
{
    switch (letter | 32) {
    case 'b':
        return &p->batch;
    case 'h':
        return &p->heads_q;
    case 'g':
        return &p->heads_kv;
    case 's':
        return &p->q_len;
    case 't':
        return &p->kv_len;
    case 'd':
        return &p->head_dim;
    default:
        return &p->value_dim;
    }
}

/* q, k and v give the sizes (the first that names one sets it), the others must agree. */
static att_status check_shape(const reader *r, const row *w, const att_st_tensor *t)
{
    int32_t n = (int32_t)strlen(w->shape), skip = n - t->dims;
    bool broadcast = w->shape[0] >= 'a';
    bool sizes = w->offset <= IN(v);
    if (skip < 0 || (skip > 0 && !broadcast))
        return tensor_says(r, ATT_CORRUPT, w->name, "has too few or too many dimensions");
    for (int32_t i = 0; i < t->dims; i++) {
        int64_t *size = size_of(&r->c->problem, w->shape[skip + i]);
        if (sizes && *size < 0)
            *size = t->shape[i];
        if (t->shape[i] != *size && !(broadcast && t->shape[i] == 1)) {
            char what[120];
            snprintf(what, sizeof what, "has %lld in dimension %d where the capture has %lld",
                     (long long)t->shape[i], i, (long long)*size);
            return tensor_says(r, ATT_CORRUPT, w->name, what);
        }
    }
    bool floats = t->dtype == ATT_F32 || t->dtype == ATT_F64 || t->dtype == ATT_F16 ||
                  t->dtype == ATT_BF16;
    if (w->kind == BYTES ? t->dtype != ATT_U8 : !floats)
        return tensor_says(r, ATT_UNSUPPORTED, w->name, "has a dtype that is not read for it");
    return ATT_OK;
}

/* A copy of t at `to`, right-aligned in four dimensions. */
static void place(const row *w, const att_st_tensor *t, char *to, att_capture *c)
{
    att_tensor *x = (att_tensor *)(void *)((char *)c + w->offset);
    *x = (att_tensor){.data = to, .dtype = t->dtype};
    int64_t stride = 1;
    for (int i = 3; i >= 0; i--) {
        int from = i - (4 - t->dims);
        x->shape[i] = from >= 0 ? t->shape[from] : 1;
        x->stride[i] = x->shape[i] == 1 ? 0 : stride;
        stride *= x->shape[i];
    }
    memcpy(to, t->data, t->bytes);
}

static att_status check_tensors(const reader *r, size_t *bytes)
{
    att_problem *p = &r->c->problem;
    att_status st;
    p->batch = p->heads_q = p->heads_kv = p->q_len = p->kv_len = p->head_dim = p->value_dim = -1;
    *bytes = 0;
    for (size_t i = 0; i < att_safetensors_count(r->file); i++) {
        const att_st_tensor *t = att_safetensors_at(r->file, i);
        const row *w = row_named(t->name);
        if (!w && strncmp(t->name, "x_", 2))
            return tensor_says(r, ATT_CORRUPT, t->name, "is none that a capture has");
        if (w && !w->shape[0])
            return tensor_says(r, ATT_UNSUPPORTED, t->name, "is not read yet");
    }
    for (size_t i = 0; i < ROWS && rows[i].shape[0]; i++) {
        const att_st_tensor *t = att_safetensors_find(r->file, rows[i].name);
        if (!t && i < 3)
            return tensor_says(r, ATT_CORRUPT, rows[i].name, "is missing");
        if (t && (st = check_shape(r, &rows[i], t)))
            return st;
        if (t && (__builtin_add_overflow(*bytes, t->bytes, bytes) ||
                  __builtin_add_overflow(*bytes, 128, bytes)))
            return tensor_says(r, ATT_CORRUPT, t->name, "has a size that overflows");
    }
    if (p->heads_kv < 1 || p->heads_q < 1 || p->heads_q % p->heads_kv || p->head_dim < 1)
        return tensor_says(r, ATT_CORRUPT, "q", "has a number of heads that k's does not divide");
    return ATT_OK;
}

static att_status read_all(reader *r)
{
    size_t bytes, texts = 2;
    att_capture *c = r->c;
    c->problem = att_problem_init();
    att_status st;
    if ((st = read_metadata(r)) || (st = check_tensors(r, &bytes)))
        return st;
    texts += (c->name ? strlen(c->name) : 0) + (c->source ? strlen(c->source) : 0);
    if (!(c->memory = aligned_alloc(64, (bytes + texts + 127) / 64 * 64)))
        return tensor_says(r, ATT_NO_MEMORY, "q", "and the others do not fit into memory");
    char *at = c->memory;
    for (size_t i = 0; i < ROWS && rows[i].shape[0]; i++) {
        const att_st_tensor *t = att_safetensors_find(r->file, rows[i].name);
        if (t) {
            place(&rows[i], t, at, c);
            at += (t->bytes + 63) / 64 * 64;
        }
    }
    if (c->name)
        c->name = strcpy(at, c->name);
    if (c->source)
        c->source = strcpy(at + (c->name ? strlen(c->name) + 1 : 0), c->source);
    return ATT_OK;
}

static att_status read_file(att_safetensors *file, att_capture *out, att_why *why)
{
    reader r = {.file = file, .c = out, .why = why};
    *out = (att_capture){0};
    att_status st = read_all(&r);
    if (st)
        att_capture_drop(out);
    att_safetensors_close(file);
    return st;
}

att_status att_capture_read(const char *path, att_capture *out, att_why *why)
{
    att_safetensors *file;
    att_status st = att_safetensors_open(path, &file, why);
    return st ? st : read_file(file, out, why);
}

att_status att_capture_parse(const void *data, size_t size, const char *name, att_capture *out,
                             att_why *why)
{
    att_safetensors *file;
    att_status st = att_safetensors_parse(data, size, name, &file, why);
    return st ? st : read_file(file, out, why);
}

void att_capture_drop(att_capture *c)
{
    free(c->memory);
    *c = (att_capture){0};
}
