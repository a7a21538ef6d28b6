/* SPDX-License-Identifier: Apache-2.0 */
#include "lm_session.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define TEXT_LIMIT ((size_t)16 << 20)

static att_status open_model(att_ctx *x, void *arg, void **out)
{
    att_lm *lm = NULL;
    att_status status = att_lm_open(arg, att_ctx_host(x), &lm, att_ctx_why_buffer(x));

    *out = lm;
    return status;
}

static void close_model(void *lm)
{
    att_lm_close(lm);
}

att_status lm_model(att_ctx *x, att_lm **out)
{
    const char *path = att_ctx_option(x, "model");
    char key[4200];
    void *object = NULL;

    if (!path) {
        att_ctx_why(x, "no model: make model, or --model FILE");
        return ATT_INVALID;
    }
    snprintf(key, sizeof key, "run:model:%s", path);
    att_status status =
        att_ctx_shared(x, key, open_model, (void *)(uintptr_t)path, close_model, &object);
    *out = object;
    return status;
}

/* NAN stays: a share of which a part is unknown is unknown. */
static void add_cost(lm_glue *glue, const att_variant_part *part, const att_problem *p)
{
    glue->keys += att_cost_of(part->kernel, p, part->values).keys_read;
    glue->causal += (double)(p->batch * p->heads_q) * (double)p->q_len *
                    ((double)p->kv_len - ((double)p->q_len - 1) / 2);
}

void lm_record_cost(const lm_glue *glue)
{
    if (glue->keys >= 0 && glue->causal > 0)
        att_ctx_record(glue->x, "keys_share", glue->keys / glue->causal);
}

static att_status attend(void *arg, int64_t layer, const att_problem *p, att_why *why)
{
    lm_glue *glue = arg;
    const att_variant_part *part = att_variant_layer(glue->variant, layer);

    if (!part) {
        att_why_set(why, "%s names no kernel for layer %lld", glue->variant->text,
                    (long long)layer);
        return ATT_INVALID;
    }
    att_status status = att_ctx_call(glue->x, part, ATT_OP_ATTEND, p, NULL);
    if (status == ATT_OK)
        add_cost(glue, part, p);
    else
        att_why_set(why, "layer %lld: %.400s", (long long)layer, att_ctx_why_buffer(glue->x)->text);
    return status;
}

att_lm_attention lm_attention(lm_glue *glue)
{
    return (att_lm_attention){glue, attend};
}

att_status lm_lines_read(att_ctx *x, const char *name, lm_lines *out)
{
    char path[4200];
    size_t length = 0, n = 0;

    snprintf(path, sizeof path, "%s/text/%s.txt", att_ctx_option(x, "datasets"), name);
    *out = (lm_lines){.text = att_file_read(path, TEXT_LIMIT, &length)};
    if (!out->text) {
        att_ctx_why(x, "%s: %s", path, strerror(errno));
        return ATT_IO;
    }
    for (char *at = out->text; *at; at++)
        n += *at == '\n';
    out->line = calloc(n + 1, sizeof *out->line);
    if (!out->line) {
        lm_lines_drop(out);
        return ATT_NO_MEMORY;
    }
    for (char *save = NULL, *line = strtok_r(out->text, "\n", &save); line && out->n <= n;
         line = strtok_r(NULL, "\n", &save))
        out->line[out->n++] = line;
    if (out->n == 0) {
        att_ctx_why(x, "%s: it holds no line", path);
        lm_lines_drop(out);
        return ATT_CORRUPT;
    }
    return ATT_OK;
}

void lm_lines_drop(lm_lines *lines)
{
    free(lines->text);
    free(lines->line);
    *lines = (lm_lines){0};
}

att_status lm_ids_add(att_ctx *x, const att_lm *lm, lm_ids *ids, const char *text)
{
    int32_t *more = NULL;
    size_t n = 0;
    att_status status = att_lm_tokens(lm, text, strlen(text), &more, &n, att_ctx_why_buffer(x));

    if (status != ATT_OK)
        return status;
    if (ids->n + n > ids->room) {
        size_t room = (ids->n + n) * 2;
        int32_t *bigger = realloc(ids->id, room * sizeof *bigger);
        if (!bigger) {
            free(more);
            return ATT_NO_MEMORY;
        }
        ids->id = bigger;
        ids->room = room;
    }
    if (n)
        memcpy(ids->id + ids->n, more, n * sizeof *more);
    ids->n += n;
    free(more);
    return ATT_OK;
}

att_status lm_ids_printf(att_ctx *x, const att_lm *lm, lm_ids *ids, const char *format, ...)
{
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return lm_ids_add(x, lm, ids, text);
}

att_status lm_fill(att_ctx *x, const att_lm *lm, lm_lines *prose, size_t until, lm_ids *ids)
{
    att_status status = ATT_OK;

    while (status == ATT_OK && ids->n < until)
        status = lm_ids_printf(x, lm, ids, " %s", prose->line[prose->next++ % prose->n]);
    return status;
}

att_status lm_first_token(att_ctx *x, const att_lm *lm, const char *text, int32_t *out)
{
    lm_ids ids = {0};
    att_status status = lm_ids_add(x, lm, &ids, text);

    if (status == ATT_OK && ids.n == 0) {
        att_ctx_why(x, "'%s' has no token", text);
        status = ATT_INVALID;
    }
    if (status == ATT_OK)
        *out = ids.id[0];
    free(ids.id);
    return status;
}

att_status lm_draw(att_ctx *x, const lm_lines *lines, att_rng *rng, size_t count, const char **out)
{
    const char **order = malloc(lines->n * sizeof *order);

    if (!order)
        return ATT_NO_MEMORY;
    if (lines->n < count) {
        att_ctx_why(x, "a word list holds %zu lines, %zu are needed", lines->n, count);
        free(order);
        return ATT_CORRUPT;
    }
    memcpy(order, lines->line, lines->n * sizeof *order);
    att_rng_shuffle(rng, order, lines->n, sizeof *order);
    memcpy(out, order, count * sizeof *out);
    free(order);
    return ATT_OK;
}

att_status lm_ask(att_ctx *x, att_lm *lm, const lm_ids *context, const lm_ids *questions, size_t n,
                  float *logits)
{
    lm_glue glue = {.x = x, .variant = att_ctx_variant(x)};
    att_lm_attention attention = lm_attention(&glue);
    att_lm_segment segments[LM_QUESTIONS_MOST] = {{0}};
    att_kv *kv = NULL, *fork[LM_QUESTIONS_MOST] = {NULL};
    att_why *why = att_ctx_why_buffer(x);
    int64_t vocabulary = att_lm_shape_of(lm).vocabulary;
    att_status status = n <= LM_QUESTIONS_MOST ? ATT_OK : ATT_INVALID;

    if (status == ATT_OK)
        status = att_kv_make(lm, (int64_t)context->n + 128, &kv, why);
    if (status == ATT_OK) {
        att_lm_segment all = {.kv = kv, .tokens = context->id, .n = (int64_t)context->n};
        status = att_lm_forward(lm, &attention, &all, 1, why);
    }
    for (size_t i = 0; i < n && status == ATT_OK; i++) {
        status = att_kv_fork(kv, &fork[i], why);
        segments[i] = (att_lm_segment){.kv = fork[i],
                                       .tokens = questions[i].id,
                                       .n = (int64_t)questions[i].n,
                                       .logits = logits + (int64_t)i * vocabulary,
                                       .logits_from = (int64_t)questions[i].n - 1};
    }
    if (status == ATT_OK)
        status = att_lm_forward(lm, &attention, segments, n, why);
    if (status == ATT_OK)
        lm_record_cost(&glue);
    for (size_t i = 0; i < n && n <= LM_QUESTIONS_MOST; i++)
        att_kv_close(fork[i]);
    att_kv_close(kv);
    return status;
}
