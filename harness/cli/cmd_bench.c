/* SPDX-License-Identifier: Apache-2.0 */
/* attest bench: kernel x shape, each timed in turn with a peer in the same run on the same host.
 *
 * Why: a time alone says little on a machine that others use; the ratio to a peer (naive_blas)
 * timed between the same moments, and the distance to measured peaks, say more.  GFLOP/s count
 * useful work, by each kernel's own declared cost. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/rng.h"
#include "bench_cases.h"
#include "bench_peak.h"
#include "core/host.h"
#include "tables.h"

typedef struct options {
    bool quick, json;
    att_list kernels;
    const char *peer, *cases;
    int64_t threads;
} options;

typedef struct shape {
    const char *phase;
    int64_t heads_q, heads_kv, q_len, kv_len, dim;
    int32_t causal;
    bool quick;
} shape;

static const shape SHAPES[] = {
    {"prefill", 9, 3, 1024, 1024, 64, ATT_CAUSAL_BOTTOM_RIGHT, true},
    {"prefill", 4, 4, 2048, 2048, 64, ATT_CAUSAL_BOTTOM_RIGHT, true},
    {"prefill", 4, 4, 2048, 2048, 64, ATT_CAUSAL_NONE, false},
    {"prefill", 4, 4, 2048, 2048, 128, ATT_CAUSAL_BOTTOM_RIGHT, false},
    {"prefill", 4, 4, 2048, 2048, 128, ATT_CAUSAL_NONE, false},
    {"decode", 9, 3, 1, 2048, 64, ATT_CAUSAL_BOTTOM_RIGHT, true},
    {"decode", 9, 3, 1, 8192, 64, ATT_CAUSAL_BOTTOM_RIGHT, false},
    {"decode", 8, 8, 1, 4096, 128, ATT_CAUSAL_BOTTOM_RIGHT, true},
};

/* A kernel ready to run one problem over and over. */
typedef struct runner {
    const att_kernel *kernel;
    const att_value *values;
    att_plan plan;
    att_scratch scratch;
    double best;
} runner;

typedef struct bench {
    const options *options;
    att_registry *registry;
    att_arena arena;
    att_host host;
    double peak_flops, peak_bytes, sgemm;
    size_t rows;
    att_why why;
} bench;

static att_status runner_open(bench *b, const att_variant *variant, const att_problem *p, runner *r)
{
    const att_variant_part *part = variant->part;
    att_reason reason = {""};
    *r = (runner){.kernel = part->kernel, .values = part->values, .best = INFINITY};
    const att_kernel *k = r->kernel;
    if (!k->attend)
        return ATT_UNSUPPORTED;
    att_status status = k->supports ? k->supports(k, ATT_OP_ATTEND, p, r->values, &reason) : ATT_OK;
    if (!status && k->plan)
        status = k->plan(k, ATT_OP_ATTEND, p, r->values, &r->plan);
    if (status)
        return status;
    const size_t align = r->plan.scratch_align ? r->plan.scratch_align : 64;
    r->scratch = (att_scratch){.bytes = r->plan.scratch_bytes,
                               .handle = r->plan.handle,
                               .params = r->values,
                               .host = &b->host};
    if (r->plan.scratch_bytes > SIZE_MAX - 2 * align)
        return ATT_NO_MEMORY;
    r->scratch.data = aligned_alloc(align, (r->plan.scratch_bytes / align + 1) * align);
    return r->scratch.data ? ATT_OK : ATT_NO_MEMORY;
}

static void runner_close(runner *r)
{
    free(r->scratch.data);
    if (r->kernel && r->kernel->drop && r->plan.handle)
        r->kernel->drop(r->kernel, r->plan.handle);
}

static att_status runner_once(runner *r, const att_problem *p)
{
    const double begin = att_clock_now();
    const att_status status = r->kernel->attend(r->kernel, p, &r->scratch);
    const double took = att_clock_now() - begin;
    r->best = took < r->best ? took : r->best;
    return status;
}

static int32_t storage_of(const char *name)
{
    return strstr(name, "bf16") ? ATT_BF16 : strstr(name, "f16") ? ATT_F16 : ATT_F32;
}

/* Any bits are numbers of use here but NaN and Inf: exponents are kept small. */
static void fill(void *data, int32_t dtype, int64_t n, att_rng *rng)
{
    for (int64_t i = 0; i < n; i++) {
        const double x = att_rng_unit(rng) - 0.5;
        const float f = (float)x;
        uint32_t bits;
        memcpy(&bits, &f, sizeof bits);
        if (dtype == ATT_F32)
            ((float *)data)[i] = f;
        else if (dtype == ATT_BF16)
            ((uint16_t *)data)[i] = (uint16_t)(bits >> 16);
        else /* f16 numbers of size 1/4 to 1/2, either sign */
            ((uint16_t *)data)[i] =
                (uint16_t)(0x3400u | (bits >> 13 & 0x3ffu) | (bits >> 16 & 0x8000u));
    }
}

/* q, k, v and out in one block that `p` owns through q.data; false: no memory. */
static bool problem_make(const shape *s, int32_t dtype, att_problem *p)
{
    const int64_t nq = s->heads_q * s->q_len * s->dim, nk = s->heads_kv * s->kv_len * s->dim;
    const size_t item = att_dtype_size(dtype);
    att_rng rng = att_rng_make(1, "bench");
    char *data = malloc((size_t)(2 * nq + 2 * nk) * item);

    *p = att_problem_init();
    if (!data)
        return false;
    fill(data, dtype, nq + 2 * nk, &rng);
    p->batch = 1, p->heads_q = s->heads_q, p->heads_kv = s->heads_kv;
    p->q_len = s->q_len, p->kv_len = s->kv_len, p->head_dim = p->value_dim = s->dim;
    p->causal = s->causal;
    p->q = att_tensor_dense(data, dtype, 1, s->heads_q, s->q_len, s->dim);
    p->k = att_tensor_dense(data + (size_t)nq * item, dtype, 1, s->heads_kv, s->kv_len, s->dim);
    p->v =
        att_tensor_dense(data + (size_t)(nq + nk) * item, dtype, 1, s->heads_kv, s->kv_len, s->dim);
    p->out = att_tensor_dense(data + (size_t)(nq + 2 * nk) * item, dtype, 1, s->heads_q, s->q_len,
                              s->dim);
    return true;
}

static void row_print(bench *b, const char *name, const shape *s, const runner *r,
                      const runner *peer, const att_problem *p)
{
    const att_cost cost = att_cost_of(r->kernel, p, r->values);
    char text[96];
    const double gflops = cost.flops_useful / r->best * 1e-9;
    const double gbytes = cost.kv_bytes_read / r->best * 1e-9;
    const double ratio = peer ? peer->best / r->best : (double)NAN;
    snprintf(text, sizeof text, "hq=%lld hkv=%lld sq=%lld sk=%lld d=%lld%s threads=%d",
             (long long)s->heads_q, (long long)s->heads_kv, (long long)s->q_len,
             (long long)s->kv_len, (long long)s->dim, s->causal ? " causal=br" : "",
             b->host.threads);
    if (!b->options->json) {
        printf("%-30s %-8s %-52s %9.3f ms %7.1f GFLOP/s %6.1f GB/s %7.2f x %s\n", name, s->phase,
               text, r->best * 1e3, gflops, gbytes, ratio, b->options->peer);
        return;
    }
    const struct {
        const char *key;
        double value;
    } number[] = {{"gbytes_per_s", gbytes}, {"gflops", gflops}};
    fputs(b->rows++ ? ",\n{" : "\n{", stdout);
    for (int i = 0; i < 2; i++) {
        printf("\"%s\":", number[i].key);
        att_json_put_real(stdout, number[i].value);
        putchar(',');
    }
    fputs("\"kernel\":", stdout);
    att_json_put_text(stdout, name);
    fputs(",\"peak_gbytes_per_s\":", stdout);
    att_json_put_real(stdout, b->peak_bytes);
    fputs(",\"peak_gflops\":", stdout);
    att_json_put_real(stdout, b->peak_flops);
    fputs(",\"peer\":", stdout);
    att_json_put_text(stdout, b->options->peer);
    printf(",\"phase\":\"%s\",\"ratio\":", s->phase);
    att_json_put_real(stdout, ratio);
    fputs(",\"seconds\":", stdout);
    att_json_put_real(stdout, r->best);
    printf(",\"shape\":\"%s\"}", text);
}

/* Best of as many turns as fit in the budget, kernel and peer alternating.  The peer runs f32. */
static att_status measure(bench *b, const att_variant *variant, const att_variant *peer_variant,
                          const shape *s)
{
    const double budget = b->options->quick ? 0.15 : 0.6;
    att_problem p, pf32;
    runner r = {0}, peer = {0};
    bool with_peer = false;
    att_status status = ATT_NO_MEMORY;

    if (!problem_make(s, storage_of(variant->part->kernel->name), &p))
        return ATT_NO_MEMORY;
    if (!problem_make(s, ATT_F32, &pf32))
        goto done;
    status = runner_open(b, variant, &p, &r);
    if (status)
        goto done;
    with_peer = runner_open(b, peer_variant, &pf32, &peer) == ATT_OK;
    const double begin = att_clock_now();
    for (int turn = 0; turn < 3 || att_clock_now() - begin < budget; turn++) {
        status = runner_once(&r, &p);
        if (!status && with_peer)
            status = runner_once(&peer, &pf32);
        if (status)
            goto done;
    }
    row_print(b, variant->text, s, &r, with_peer ? &peer : NULL, &p);
done:
    runner_close(&r);
    runner_close(&peer);
    free(p.q.data);
    free(pf32.q.data);
    return status;
}

static att_status one_kernel(void *arg, const char *text, att_why *why)
{
    bench *b = arg;
    const att_variant *variant, *peer;
    att_status status = att_variant_parse(b->registry, text, &b->arena, &variant, why);
    if (!status)
        status = att_variant_parse(b->registry, b->options->peer, &b->arena, &peer, why);
    if (status)
        return status;
    if (!strcmp(variant->part->kernel->name, "reference_f64"))
        return ATT_OK; /* the oracle is not meant to be fast */
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        if (b->options->quick && !SHAPES[i].quick)
            continue;
        status = measure(b, variant, peer, &SHAPES[i]);
        if (status && status != ATT_UNSUPPORTED) {
            att_why_set(why, "%s failed on %s, Sq=%lld Skv=%lld", variant->text, SHAPES[i].phase,
                        (long long)SHAPES[i].q_len, (long long)SHAPES[i].kv_len);
            return status;
        }
    }
    return ATT_OK;
}

static const att_option OPTIONS[] = {
    {"quick", ATT_OPTION_FLAG, offsetof(options, quick), NULL, NULL, "fewer shapes, shorter turns"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one JSON object on stdout"},
    {"kernel", ATT_OPTION_LIST, offsetof(options, kernels), "GLOB", NULL,
     "these kernels; default: every variant"},
    {"peer", ATT_OPTION_TEXT, offsetof(options, peer), "KERNEL", NULL,
     "what each is timed in turn with; default: naive_blas"},
    {"threads", ATT_OPTION_INT, offsetof(options, threads), "N", "1:1024",
     "threads of the kernels; default: 1"},
    {"cases", ATT_OPTION_TEXT, offsetof(options, cases), "FILE", NULL,
     "the harness instead: how fast it measures the cases of a list"},
    {0}};

extern const att_verb att_verb_bench;

static att_status bench_all(bench *b, const att_cli *cli)
{
    const att_tables tables = att_cli_tables(cli);
    att_status status = att_registry_make(&tables, NULL, &b->registry, &b->why);
    if (!status)
        status = att_host_make((int)b->options->threads, &b->host);
    if (status)
        return status;
    b->peak_flops = att_peak_fma(cli->kernels->isa);
    b->peak_bytes = att_peak_read();
    b->sgemm = att_peak_sgemm(b->options->quick ? 512 : 1024);
    if (b->options->json)
        fputs("{\"rows\":[", stdout);
    else
        printf(
            "one thread, level %s: %.1f GFLOP/s multiply-add, %.1f GFLOP/s sgemm, %.1f GB/s read\n",
            cli->kernels->isa, b->peak_flops, b->sgemm, b->peak_bytes);
    if (!b->options->kernels.n)
        status = att_registry_match(b->registry, "*", one_kernel, b, &b->why);
    for (size_t i = 0; i < b->options->kernels.n && !status; i++)
        status = att_registry_match(b->registry, b->options->kernels.at[i], one_kernel, b, &b->why);
    if (b->options->json) {
        fputs("\n],\"sgemm_gflops\":", stdout);
        att_json_put_real(stdout, b->sgemm);
        puts("}");
    }
    return status;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.peer = "naive_blas", .threads = 1};
    int first = 0, code = att_options_read(&att_verb_bench, argc, argv, &o, &first);
    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_bench, "unexpected %s", argv[first]);
    if (o.cases)
        return att_bench_cases(cli, o.cases, o.json);
    bench b = {.options = &o};
    const att_status status = bench_all(&b, cli);
    att_host_drop(&b.host);
    att_registry_drop(b.registry);
    att_arena_drop(&b.arena);
    if (!status)
        return ATT_EXIT_PASS;
    if (status == ATT_INVALID)
        return att_usage(&att_verb_bench, "%s", b.why.text);
    fprintf(stderr, "attest bench: %s\n", b.why.text[0] ? b.why.text : "out of memory");
    return ATT_EXIT_FAIL;
}

const att_verb att_verb_bench = {
    .name = "bench",
    .operands = "",
    .summary = "how fast kernels are, beside a peer and measured peaks",
    .options = OPTIONS,
    .run = run};
