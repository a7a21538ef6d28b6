/* SPDX-License-Identifier: Apache-2.0 */
/* The forward pass on a tiny Llama of random weights, made here: against the formulas in f64, and
 * against itself (chunks, batches, forks, rollback). */
#include <unistd.h>

#include "base/tests/suite.h"
#include "build_gguf.h"
#include "plain_attention.h"

/* Rounding of f32 sums over at most 400 terms and 3 layers, logits of order 1. */
#define CLOSE 2e-5

typedef struct world {
    char path[64];
    att_host host;
    att_lm *lm;
    att_gguf *file;
    att_lm_attention attention;
    att_why why;
} world;

static void write_file(char path[64], const att_buf *file)
{
    snprintf(path, 64, "/tmp/attest_test_lm_%ld.gguf", (long)getpid());
    CU_ASSERT_TRUE_FATAL(att_file_write(path, file->data, file->length));
}

static world world_open(void)
{
    world w = {.attention = {NULL, plain_attend}};
    att_buf file = build_tiny(7);
    write_file(w.path, &file);
    att_buf_drop(&file);
    return w;
}

/* The host's address must stay. */
static void world_load(world *w)
{
    w->host = plain_host();
    CU_ASSERT_EQUAL_FATAL(att_lm_open(w->path, &w->host, &w->lm, &w->why), ATT_OK);
    CU_ASSERT_EQUAL_FATAL(att_gguf_open(w->path, &w->file, &w->why), ATT_OK);
}

static void world_close(world *w)
{
    att_lm_close(w->lm);
    att_gguf_close(w->file);
    unlink(w->path);
}

static att_kv *cache(world *w)
{
    att_kv *kv;
    CU_ASSERT_EQUAL_FATAL(att_kv_make(w->lm, TINY_CONTEXT, &kv, &w->why), ATT_OK);
    return kv;
}

static att_kv *fork_of(world *w, const att_kv *parent)
{
    att_kv *kv;
    CU_ASSERT_EQUAL_FATAL(att_kv_fork(parent, &kv, &w->why), ATT_OK);
    return kv;
}

static const int32_t story[40] = {33, 1,  5, 60, 2,  61, 7, 8,  9,  3,  3,  3,  50, 51,
                                  52, 53, 0, 59, 58, 57, 4, 44, 4,  44, 60, 61, 62, 63,
                                  1,  22, 2, 33, 3,  44, 5, 6,  17, 18, 19, 20};

/* Feeds n tokens; the logits of the last rows go to out. */
static void feed(world *w, att_kv *kv, const int32_t *tokens, int64_t n, float *out, int64_t rows)
{
    att_lm_segment s = {.kv = kv, .tokens = tokens, .n = n, .logits = out, .logits_from = n - rows};
    CU_ASSERT_EQUAL(att_lm_forward(w->lm, &w->attention, &s, 1, &w->why), ATT_OK);
}

static double distance(const float *a, const float *b, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = !(d <= worst) ? d : worst; /* a NaN stays */
    }
    return worst;
}

/* ------------------------------------------------------------- the formulas, in f64 */

typedef struct formula {
    const att_gguf *file;
    double k[TINY_LAYERS][64][TINY_KV * TINY_DIM], v[TINY_LAYERS][64][TINY_KV * TINY_DIM];
} formula;

static const float *weight(const formula *f, int layer, const char *name)
{
    char full[64];
    if (layer < 0)
        snprintf(full, sizeof full, "%s.weight", name);
    else
        snprintf(full, sizeof full, "blk.%d.%s.weight", layer, name);
    return (const float *)(const void *)att_gguf_tensor_named(f->file, full)->data;
}

static void times(const formula *f, int layer, const char *name, const double *x, int64_t rows,
                  int64_t cols, double *y)
{
    const float *w = weight(f, layer, name);
    for (int64_t r = 0; r < rows; r++) {
        y[r] = 0;
        for (int64_t c = 0; c < cols; c++)
            y[r] += (double)w[r * cols + c] * x[c];
    }
}

static void norm(const formula *f, int layer, const char *name, const double *x, double *y)
{
    const float *w = weight(f, layer, name);
    double sum = 0;
    for (int c = 0; c < TINY_WIDTH; c++)
        sum += x[c] * x[c];
    for (int c = 0; c < TINY_WIDTH; c++)
        y[c] = x[c] / sqrt(sum / TINY_WIDTH + (double)1e-5f) * (double)w[c];
}

static void turn(double *x, int heads, int at)
{
    for (int h = 0; h < heads; h++, x += TINY_DIM)
        for (int i = 0; i < TINY_DIM / 2; i++) {
            double angle = at * pow(10000.0, -2.0 * i / TINY_DIM), a = x[2 * i], b = x[2 * i + 1];
            x[2 * i] = a * cos(angle) - b * sin(angle);
            x[2 * i + 1] = a * sin(angle) + b * cos(angle);
        }
}

static void mix(const formula *f, int layer, int at, const double *q, double *out)
{
    for (int h = 0; h < TINY_HEADS; h++) {
        double w[64], sum = 0;
        int g = h / (TINY_HEADS / TINY_KV) * TINY_DIM;
        for (int j = 0; j <= at; j++) {
            double s = 0;
            for (int d = 0; d < TINY_DIM; d++)
                s += q[h * TINY_DIM + d] * f->k[layer][j][g + d];
            sum += w[j] = exp(s / sqrt(TINY_DIM));
        }
        for (int d = 0; d < TINY_DIM; d++) {
            double x = 0;
            for (int j = 0; j <= at; j++)
                x += w[j] / sum * f->v[layer][j][g + d];
            out[h * TINY_DIM + d] = x;
        }
    }
}

/* One token at position `at`; logits out. */
static void formula_step(formula *f, int32_t token, int at, double *logits)
{
    double x[TINY_WIDTH], n[TINY_WIDTH], q[TINY_HEADS * TINY_DIM], o[TINY_HEADS * TINY_DIM],
        y[TINY_WIDTH];
    double gate[TINY_FF], up[TINY_FF];
    const float *e = weight(f, -1, "token_embd");
    for (int c = 0; c < TINY_WIDTH; c++)
        x[c] = (double)e[token * TINY_WIDTH + c];
    for (int l = 0; l < TINY_LAYERS; l++) {
        norm(f, l, "attn_norm", x, n);
        times(f, l, "attn_q", n, TINY_HEADS * TINY_DIM, TINY_WIDTH, q);
        times(f, l, "attn_k", n, TINY_KV * TINY_DIM, TINY_WIDTH, f->k[l][at]);
        times(f, l, "attn_v", n, TINY_KV * TINY_DIM, TINY_WIDTH, f->v[l][at]);
        turn(q, TINY_HEADS, at);
        turn(f->k[l][at], TINY_KV, at);
        mix(f, l, at, q, o);
        times(f, l, "attn_output", o, TINY_WIDTH, TINY_HEADS * TINY_DIM, y);
        for (int c = 0; c < TINY_WIDTH; c++)
            x[c] += y[c];
        norm(f, l, "ffn_norm", x, n);
        times(f, l, "ffn_gate", n, TINY_FF, TINY_WIDTH, gate);
        times(f, l, "ffn_up", n, TINY_FF, TINY_WIDTH, up);
        for (int c = 0; c < TINY_FF; c++)
            gate[c] = gate[c] / (1 + exp(-gate[c])) * up[c];
        times(f, l, "ffn_down", gate, TINY_WIDTH, TINY_FF, y);
        for (int c = 0; c < TINY_WIDTH; c++)
            x[c] += y[c];
    }
    norm(f, -1, "output_norm", x, n);
    times(f, -1, "token_embd", n, TINY_VOCAB, TINY_WIDTH, logits);
}

static void the_forward_pass_is_its_formula(void)
{
    world w = world_open();
    world_load(&w);
    formula *f = calloc(1, sizeof *f);
    float got[40 * TINY_VOCAB];
    double want[TINY_VOCAB], worst = 0, size = 0;
    att_kv *kv = cache(&w);
    f->file = w.file;
    feed(&w, kv, story, 40, got, 40);
    for (int t = 0; t < 40; t++) {
        formula_step(f, story[t], t, want);
        for (int i = 0; i < TINY_VOCAB; i++) {
            double d = fabs((double)got[t * TINY_VOCAB + i] - want[i]);
            worst = !(d <= worst) ? d : worst;
            size = fmax(size, fabs(want[i]));
        }
    }
    CU_ASSERT(worst <= CLOSE);
    CU_ASSERT(size > 1.0); /* the logits are not all near zero */
    CU_ASSERT_EQUAL(att_kv_length(kv), 40);
    att_kv_close(kv);
    free(f);
    world_close(&w);
}

static void log_probabilities_are_those_of_the_logits(void)
{
    world w = world_open();
    world_load(&w);
    float logits[40 * TINY_VOCAB];
    double logprob[40];
    int32_t targets[40];
    att_kv *kv = cache(&w);
    for (int t = 0; t < 40; t++) {
        targets[t] = t % 3 == 2 ? -1 : story[(t + 1) % 40];
        logprob[t] = 5;
    }
    att_lm_segment s = {.kv = kv,
                        .tokens = story,
                        .n = 40,
                        .targets = targets,
                        .logprob = logprob,
                        .logits = logits};
    CU_ASSERT_EQUAL(att_lm_forward(w.lm, &w.attention, &s, 1, &w.why), ATT_OK);
    for (int t = 0; t < 40; t++) {
        double sum = 0;
        for (int i = 0; i < TINY_VOCAB; i++)
            sum += exp((double)logits[t * TINY_VOCAB + i]);
        double want = (double)logits[t * TINY_VOCAB + (targets[t] < 0 ? 0 : targets[t])] - log(sum);
        CU_ASSERT(
            targets[t] < 0 ? logprob[t] == 5.0 /* untouched */ : fabs(logprob[t] - want) <= 2e-6);
    }
    att_kv_close(kv);
    world_close(&w);
}

static void chunks_give_what_one_go_gives(void)
{
    world w = world_open();
    world_load(&w);
    float whole[TINY_VOCAB], parts[TINY_VOCAB];
    att_kv *one = cache(&w), *many = cache(&w);
    feed(&w, one, story, 40, whole, 1);
    for (int64_t at = 0, n = 1; at < 40; at += n, n = at + 2 * n < 40 ? 2 * n : 40 - at)
        feed(&w, many, story + at, n, parts, 1);
    CU_ASSERT_EQUAL(att_kv_length(many), 40);
    CU_ASSERT(distance(whole, parts, TINY_VOCAB) <= CLOSE);
    att_kv_close(one);
    att_kv_close(many);
    world_close(&w);
}

static void a_batch_gives_what_each_alone_gives(void)
{
    world w = world_open();
    world_load(&w);
    float alone[3][TINY_VOCAB], together[3][TINY_VOCAB];
    static const int64_t before[3] = {0, 5, 11}, n[3] = {7, 1, 20};
    att_lm_segment s[4] = {0};
    for (int i = 0; i < 3; i++) {
        att_kv *kv = cache(&w);
        s[i] = (att_lm_segment){.kv = cache(&w),
                                .tokens = story + before[i],
                                .n = n[i],
                                .logits = together[i],
                                .logits_from = n[i] - 1};
        if (before[i]) {
            feed(&w, kv, story, before[i], NULL, 0);
            feed(&w, s[i].kv, story, before[i], NULL, 0);
        }
        feed(&w, kv, story + before[i], n[i], alone[i], 1);
        att_kv_close(kv);
    }
    s[3].kv = cache(&w); /* an empty segment is no mistake */
    CU_ASSERT_EQUAL(att_lm_forward(w.lm, &w.attention, s, 4, &w.why), ATT_OK);
    for (int i = 0; i < 3; i++) {
        CU_ASSERT(distance(alone[i], together[i], TINY_VOCAB) <= CLOSE);
        CU_ASSERT_EQUAL(att_kv_length(s[i].kv), before[i] + n[i]);
    }
    for (int i = 0; i < 4; i++)
        att_kv_close(s[i].kv);
    world_close(&w);
}

static void forks_are_independent_and_leave_the_parent(void)
{
    world w = world_open();
    world_load(&w);
    float want[2][TINY_VOCAB], got[2][TINY_VOCAB], again[TINY_VOCAB];
    att_kv *solo = cache(&w), *parent = cache(&w);
    feed(&w, solo, story, 20, NULL, 0);
    for (int i = 0; i < 2; i++) {
        att_kv_rollback(solo, 20);
        feed(&w, solo, story + 5 * i, 15, want[i], 1);
    }
    feed(&w, parent, story, 20, NULL, 0);
    att_kv *child[2] = {fork_of(&w, parent), fork_of(&w, parent)};
    for (int t = 0; t < 15; t++) /* in turns, token by token */
        for (int i = 0; i < 2; i++)
            feed(&w, child[i], story + 5 * i + t, 1, got[i], 1);
    CU_ASSERT(distance(want[0], got[0], TINY_VOCAB) <= CLOSE);
    CU_ASSERT(distance(want[1], got[1], TINY_VOCAB) <= CLOSE);
    CU_ASSERT(distance(want[0], want[1], TINY_VOCAB) > 0.01);
    CU_ASSERT_EQUAL(att_kv_length(parent), 20);
    att_kv *third = fork_of(&w, parent);
    feed(&w, third, story, 15, again, 1);
    CU_ASSERT(distance(want[0], again, TINY_VOCAB) <= CLOSE);
    att_kv_close(third);
    att_kv_close(child[0]);
    att_kv_close(child[1]);
    att_kv_close(parent);
    att_kv_close(solo);
    world_close(&w);
}

static void a_fork_of_a_fork_keeps_both_tails(void)
{
    world w = world_open();
    world_load(&w);
    float want[TINY_VOCAB], got[TINY_VOCAB], after[TINY_VOCAB];
    att_kv *solo = cache(&w), *parent = cache(&w);
    feed(&w, solo, story, 30, want, 1);
    feed(&w, parent, story, 10, NULL, 0);
    att_kv *child = fork_of(&w, parent);
    att_kv_close(parent); /* children outlive it */
    feed(&w, child, story + 10, 10, NULL, 0);
    att_kv *grandchild = fork_of(&w, child);
    feed(&w, child, story + 3, 10, NULL, 0); /* the child goes on elsewhere */
    feed(&w, grandchild, story + 20, 10, got, 1);
    CU_ASSERT(distance(want, got, TINY_VOCAB) <= CLOSE);
    /* Rolled back into the shared part and written again, then forked once more. */
    att_kv_rollback(grandchild, 5);
    feed(&w, grandchild, story + 5, 20, NULL, 0);
    att_kv *last = fork_of(&w, grandchild);
    att_kv_close(grandchild);
    feed(&w, last, story + 25, 5, after, 1);
    CU_ASSERT(distance(want, after, TINY_VOCAB) <= CLOSE);
    att_kv_close(last);
    att_kv_close(child);
    att_kv_close(solo);
    world_close(&w);
}

static void rollback_forgets(void)
{
    world w = world_open();
    world_load(&w);
    float want[TINY_VOCAB], got[TINY_VOCAB];
    att_kv *a = cache(&w), *b = cache(&w);
    feed(&w, a, story, 30, want, 1);
    feed(&w, b, story, 12, NULL, 0);
    feed(&w, b, story, 25, NULL, 0);
    att_kv_rollback(b, 12);
    CU_ASSERT_EQUAL(att_kv_length(b), 12);
    feed(&w, b, story + 12, 18, got, 1);
    CU_ASSERT(distance(want, got, TINY_VOCAB) <= CLOSE);
    att_kv_rollback(b, 50);
    CU_ASSERT_EQUAL(att_kv_length(b), 30);
    att_kv_close(a);
    att_kv_close(b);
    world_close(&w);
}

static att_status fail_at_layer_1(void *arg, int64_t layer, const att_problem *p, att_why *why)
{
    if (layer < 1)
        return plain_attend(arg, layer, p, why);
    att_why_set(why, "layer %lld does not like it", (long long)layer);
    return ATT_UNSUPPORTED;
}

static void wrong_calls_are_refused_and_change_nothing(void)
{
    world w = world_open();
    world_load(&w);
    static const int32_t bad[] = {1, TINY_VOCAB, -1};
    att_lm_attention failing = {NULL, fail_at_layer_1};
    att_kv *kv = cache(&w), *none = NULL;
    feed(&w, kv, story, 40, NULL, 0);
    att_lm_segment s[2] = {{.kv = kv, .tokens = story, .n = 3},
                           {.kv = kv, .tokens = story, .n = 3}};
    CU_ASSERT_EQUAL(att_lm_forward(w.lm, &w.attention, s, 2, &w.why), ATT_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.why.text, "share a cache"));
    s[0].tokens = bad;
    CU_ASSERT_EQUAL(att_lm_forward(w.lm, &w.attention, s, 1, &w.why), ATT_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.why.text, "vocabulary"));
    att_kv_rollback(kv, 39);
    s[0].tokens = story;
    CU_ASSERT_EQUAL(att_lm_forward(w.lm, &failing, s, 1, &w.why), ATT_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.why.text, "does not like it"));
    CU_ASSERT_EQUAL(att_kv_length(kv), 39);
    att_kv *child = fork_of(&w, kv);
    CU_ASSERT_EQUAL(att_lm_forward(w.lm, &w.attention, s, 1, &w.why), ATT_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.why.text, "living forks"));
    att_kv_close(child);
    CU_ASSERT_EQUAL(att_lm_forward(w.lm, &w.attention, s, 1, &w.why), ATT_OK);
    int32_t many[TINY_CONTEXT] = {0};
    s[0].tokens = many;
    s[0].n = TINY_CONTEXT - 41;
    CU_ASSERT_EQUAL(att_lm_forward(w.lm, &w.attention, s, 1, &w.why), ATT_INVALID);
    CU_ASSERT_PTR_NOT_NULL(strstr(w.why.text, "do not fit"));
    CU_ASSERT_EQUAL(att_kv_make(w.lm, TINY_CONTEXT + 1, &none, &w.why), ATT_INVALID);
    CU_ASSERT_EQUAL(att_kv_make(w.lm, 0, &none, &w.why), ATT_INVALID);
    CU_ASSERT_PTR_NULL(none);
    att_kv_close(kv);
    world_close(&w);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"the_forward_pass_is_its_formula", the_forward_pass_is_its_formula},
        {"log_probabilities_are_those_of_the_logits", log_probabilities_are_those_of_the_logits},
        {"chunks_give_what_one_go_gives", chunks_give_what_one_go_gives},
        {"a_batch_gives_what_each_alone_gives", a_batch_gives_what_each_alone_gives},
        {"forks_are_independent_and_leave_the_parent", forks_are_independent_and_leave_the_parent},
        {"a_fork_of_a_fork_keeps_both_tails", a_fork_of_a_fork_keeps_both_tails},
        {"rollback_forgets", rollback_forgets},
        {"wrong_calls_are_refused_and_change_nothing", wrong_calls_are_refused_and_change_nothing},
        CU_TEST_INFO_NULL};
    return att_suite_run("lm", tests);
}
