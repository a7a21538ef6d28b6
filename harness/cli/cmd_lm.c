/* SPDX-License-Identifier: Apache-2.0 */
/* attest lm TASK: what the language model sees in a text, so that anybody can compare it with
 * another implementation; how fast it runs; and its attention calls as captures. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/rng.h"
#include "base/str.h"
#include "lm_call.h"

enum { TOP = 20, REPEATS = 3 };

static att_status forward(att_lm_run *r, att_lm_segment *s)
{
    return att_lm_forward(r->lm, &r->attention, s, 1, &r->why);
}

/* A piece of text with what a terminal can't show escaped. */
static void print_piece(const att_lm *lm, int32_t id)
{
    char piece[1024];
    size_t n = att_lm_piece(lm, id, piece, sizeof piece - 1);
    piece[n < sizeof piece ? n : sizeof piece - 1] = '\0';
    att_json_put_text(stdout, piece);
}

static att_status task_tokens(att_lm_run *r)
{
    if (r->options->json)
        printf("{\"ids\":[");
    for (size_t i = 0; i < r->n; i++) {
        if (r->options->json) {
            printf("%s%" PRId32, i ? "," : "", r->ids[i]);
            continue;
        }
        printf("%" PRId32 "\t", r->ids[i]);
        print_piece(r->lm, r->ids[i]);
        putchar('\n');
    }
    if (r->options->json)
        puts("]}");
    return ATT_OK;
}

static att_status needs_tokens(att_lm_run *r, size_t least)
{
    int64_t context = att_lm_shape_of(r->lm).context;
    if (r->n >= least && r->n <= (size_t)context)
        return ATT_OK;
    att_why_set(&r->why, "%s: %zu tokens; this task takes %zu to %" PRId64, r->options->text_file,
                r->n, least, context);
    return ATT_INVALID;
}

/* The TOP largest, largest first; ties by id. */
static void best(const float *logits, int64_t n, int32_t top[TOP])
{
    int count = 0;
    for (int64_t i = 0; i < n; i++) {
        int at = count < TOP ? count++ : TOP;
        if (at == TOP && !(logits[i] > logits[top[TOP - 1]]))
            continue;
        if (at == TOP)
            at--;
        for (; at > 0 && logits[i] > logits[top[at - 1]]; at--)
            top[at] = top[at - 1];
        top[at] = (int32_t)i;
    }
}

static double log_sum_exp(const float *x, int64_t n)
{
    double top = -INFINITY, sum = 0;
    for (int64_t i = 0; i < n; i++)
        top = fmax(top, (double)x[i]);
    for (int64_t i = 0; i < n; i++)
        sum += exp((double)x[i] - top);
    /* cppcheck-suppress invalidFunctionArg ; of an empty row the logarithm is -inf, as it should be
     */
    return top + log(sum);
}

static void print_logits(const att_lm_run *r, const float *logits, int64_t vocabulary)
{
    int32_t top[TOP];
    int n = vocabulary < TOP ? (int)vocabulary : TOP;
    best(logits, vocabulary, top);
    if (!r->options->json) {
        printf("%zu tokens, logsumexp %.5f\n", r->n, log_sum_exp(logits, vocabulary));
        for (int i = 0; i < n; i++) {
            printf("%9.5f  %6" PRId32 "  ", (double)logits[top[i]], top[i]);
            print_piece(r->lm, top[i]);
            putchar('\n');
        }
        return;
    }
    printf("{\"logsumexp\":");
    att_json_put_real(stdout, log_sum_exp(logits, vocabulary));
    printf(",\"n_tokens\":%zu,\"top\":[", r->n);
    for (int i = 0; i < n; i++) {
        printf("%s[%" PRId32 ",", i ? "," : "", top[i]);
        att_json_put_real(stdout, (double)logits[top[i]]);
        putchar(']');
    }
    puts("]}");
}

static att_status task_logits(att_lm_run *r)
{
    int64_t vocabulary = att_lm_shape_of(r->lm).vocabulary, n = (int64_t)r->n;
    float *logits = NULL;
    att_kv *kv = NULL;
    att_status st = needs_tokens(r, 1);
    if (st || (st = att_kv_make(r->lm, n, &kv, &r->why)))
        return st;
    if (!(logits = malloc((size_t)vocabulary * sizeof *logits))) {
        att_why_set(&r->why, "no memory for the logits");
        st = ATT_NO_MEMORY;
        goto done;
    }
    att_lm_segment s = {.kv = kv, .tokens = r->ids, .n = n, .logits = logits, .logits_from = n - 1};
    if (!(st = forward(r, &s)))
        print_logits(r, logits, vocabulary);
done:
    free(logits);
    att_kv_close(kv);
    return st;
}

static att_status task_nll(att_lm_run *r)
{
    int64_t n = (int64_t)r->n;
    double *logprob = NULL, sum = 0;
    att_kv *kv = NULL;
    att_status st = needs_tokens(r, 2);
    if (st || (st = att_kv_make(r->lm, n, &kv, &r->why)))
        return st;
    if (!(logprob = malloc(r->n * sizeof *logprob))) {
        att_why_set(&r->why, "no memory");
        st = ATT_NO_MEMORY;
        goto done;
    }
    att_lm_segment s = {
        .kv = kv, .tokens = r->ids, .n = n - 1, .targets = r->ids + 1, .logprob = logprob};
    if ((st = forward(r, &s)))
        goto done;
    for (int64_t i = 0; i < n - 1; i++)
        sum -= logprob[i];
    sum /= (double)(n - 1);
    if (r->options->json) {
        printf("{\"mean_nll\":");
        att_json_put_real(stdout, sum);
        printf(",\"n_tokens\":%" PRId64 "}\n", n);
    } else
        printf("%" PRId64 " tokens, mean NLL %.6f nats over %" PRId64
               " predictions (perplexity %.4g)\n",
               n, sum, n - 1, exp(sum));
done:
    free(logprob);
    att_kv_close(kv);
    return st;
}

/* -------------------------------------------------------------------------------- speed */

static int order(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static int32_t greatest(const float *logits, int64_t n)
{
    int64_t at = 0;
    for (int64_t i = 1; i < n; i++)
        if (logits[i] > logits[at])
            at = i;
    return (int32_t)at;
}

/* Seconds of a prefill of all ids, then of `decode` greedy steps. */
static att_status time_once(att_lm_run *r, att_kv *kv, const int32_t *ids, float *logits,
                            double out[2])
{
    int64_t n = r->options->prompt_tokens, vocabulary = att_lm_shape_of(r->lm).vocabulary;
    att_lm_segment s = {.kv = kv, .tokens = ids, .n = n, .logits = logits, .logits_from = n - 1};
    att_kv_rollback(kv, 0);
    double from = att_clock_now();
    att_status st = forward(r, &s);
    out[0] = att_clock_now() - from;
    from = att_clock_now();
    for (int64_t i = 0; i < r->options->decode && !st; i++) {
        int32_t next = greatest(logits, vocabulary);
        att_lm_segment one = {.kv = kv, .tokens = &next, .n = 1, .logits = logits};
        st = forward(r, &one);
    }
    out[1] = att_clock_now() - from;
    return st;
}

static att_status task_speed(att_lm_run *r)
{
    const att_lm_options *o = r->options;
    int64_t n = o->prompt_tokens, vocabulary = att_lm_shape_of(r->lm).vocabulary;
    double times[2][REPEATS], pair[2];
    att_rng rng = att_rng_make(1, "lm speed");
    att_kv *kv = NULL;
    att_status st = att_kv_make(r->lm, n + o->decode, &kv, &r->why);
    if (st)
        return st;
    int32_t *ids = malloc((size_t)n * sizeof *ids);
    float *logits = malloc((size_t)vocabulary * sizeof *logits);
    if (!ids || !logits) {
        att_why_set(&r->why, "no memory");
        st = ATT_NO_MEMORY;
        goto done;
    }
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)att_rng_below(&rng, (uint64_t)vocabulary);
    for (int i = 0; i < REPEATS; i++) {
        if ((st = time_once(r, kv, ids, logits, pair)))
            goto done;
        times[0][i] = pair[0];
        times[1][i] = pair[1];
    }
    for (int i = 0; i < 2; i++)
        qsort(times[i], REPEATS, sizeof times[i][0], order);
    double prefill = (double)n / times[0][REPEATS / 2],
           decode = (double)o->decode / times[1][REPEATS / 2];
    if (o->json) {
        printf("{\"decode_tokens\":%" PRId64 ",\"decode_tokens_per_s\":", o->decode);
        att_json_put_real(stdout, decode);
        printf(",\"kernel\":");
        att_json_put_text(stdout, r->variant->text);
        printf(",\"prefill_tokens_per_s\":");
        att_json_put_real(stdout, prefill);
        printf(",\"prompt_tokens\":%" PRId64 ",\"threads\":%d}\n", n, r->host.threads);
    } else
        printf("%s, %d threads, median of %d: prefill of %" PRId64 " tokens %.1f tokens/s, "
               "then %" PRId64 " decoded at %.1f tokens/s\n",
               r->variant->text, r->host.threads, REPEATS, n, prefill, o->decode, decode);
done:
    free(ids);
    free(logits);
    att_kv_close(kv);
    return st;
}

/* --------------------------------------------------------------------------------- verb */

static const struct {
    const char *name;
    att_status (*run)(att_lm_run *r);
    bool text, output;
} tasks[] = {{"tokens", task_tokens, true, false},
             {"logits", task_logits, true, false},
             {"nll", task_nll, true, false},
             {"speed", task_speed, false, false},
             {"capture", att_lm_capture, true, true}};

#define AT(member) offsetof(att_lm_options, member)
static const att_option options[] = {
    {"text-file", ATT_OPTION_TEXT, AT(text_file), "FILE", NULL, "the text (UTF-8)"},
    {"model", ATT_OPTION_TEXT, AT(model), "FILE", NULL, "a GGUF of the Llama family"},
    {"kernel", ATT_OPTION_TEXT, AT(kernel), "KERNEL", NULL, "its attention (dense)"},
    {"threads", ATT_OPTION_INT, AT(threads), "N", "1:1024", "threads (2)"},
    {"json", ATT_OPTION_FLAG, AT(json), NULL, NULL, "one JSON object instead of text"},
    {"prompt-tokens", ATT_OPTION_INT, AT(prompt_tokens), "N", "1:1048576",
     "speed: prefilled (1024)"},
    {"decode", ATT_OPTION_INT, AT(decode), "N", "0:1048576", "speed: decoded after it (64)"},
    {"layer", ATT_OPTION_INT, AT(layer), "N", "0:511", "capture: which layer's call (0)"},
    {"queries", ATT_OPTION_INT, AT(queries), "N", "1:1048576",
     "capture: the last N tokens ask (16)"},
    {"output", ATT_OPTION_TEXT, AT(output), "FILE", NULL, "capture: where to write"},
    {0}};

extern const att_verb att_verb_lm;

static int run(const att_cli *cli, int argc, char **argv)
{
    att_lm_options o = {.model = "datasets/models/SmolLM2-135M-Instruct.Q4_1.gguf",
                        .kernel = "dense",
                        .threads = 2,
                        .prompt_tokens = 1024,
                        .decode = 64,
                        .queries = 16};
    int first = 0, code = att_options_read(&att_verb_lm, argc, argv, &o, &first);
    size_t task = 0, n = sizeof tasks / sizeof tasks[0];
    if (code >= 0)
        return code;
    if (argc - first != 1)
        return att_usage(&att_verb_lm, "one task is expected: %s", att_verb_lm.operands);
    while (task < n && strcmp(tasks[task].name, argv[first]))
        task++;
    if (task == n) {
        char nearest[64];
        att_str_choice(att_verb_lm.operands, argv[first], nearest);
        return att_usage(&att_verb_lm, "no task %s: one of %s is expected; the nearest is %s",
                         argv[first], att_verb_lm.operands, nearest);
    }
    if (tasks[task].text != (o.text_file != NULL))
        return att_usage(&att_verb_lm, "%s takes %s --text-file", argv[first],
                         tasks[task].text ? "a" : "no");
    if (tasks[task].output != (o.output != NULL))
        return att_usage(&att_verb_lm, "%s takes %s --output", argv[first],
                         tasks[task].output ? "an" : "no");
    att_lm_run r;
    att_status st = att_lm_run_open(&r, cli, &o);
    if (!st)
        st = tasks[task].run(&r);
    if (st)
        fprintf(stderr, "attest lm %s: %s\n", argv[first], r.why.text);
    att_lm_run_close(&r);
    return att_exit_of(st);
}

const att_verb att_verb_lm = {.name = "lm",
                              .operands = "tokens|logits|nll|speed|capture",
                              .summary = "what the language model makes of a text, and how fast",
                              .options = options,
                              .run = run};
