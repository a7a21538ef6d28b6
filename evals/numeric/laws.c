/* SPDX-License-Identifier: Apache-2.0 */
/* Laws: does a kernel answer related problems alike?
 *
 * One case is one law on one problem: the base and its sides are parity cases in guarded memory,
 * the kernel answers all of them, each answer is judged by the oracle (a wrong kernel may keep a
 * law), and the answers are held against each other: bit for bit where something may not matter,
 * else within both error bounds.  What a law needs and a case lacks is added (a mask for the law of
 * masked keys), what it excludes is left out.  O(sides) cases of parity. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "evals/numeric/laws.h"
#include "evals/numeric/parity_own.h"

static const law *const groups[] = {laws_perturb, laws_order,  laws_forms,
                                    laws_steps,   laws_values, laws_packed};

#define GROUPS (sizeof groups / sizeof *groups)
#define INT    ATT_PARAM_INT
#define REAL   ATT_PARAM_REAL
#define WORD   ATT_PARAM_WORD
#define NAMES(sep)                                                                                 \
    "future" sep "masked" sep "key_order" sep "batch_order" sep "head_order" sep "gqa_repeat" sep  \
    "position_shift" sep "mask_forms" sep "mask_ones" sep "window_full" sep "sink_key" sep         \
    "logit_shift" sep "split_merge" sep "solo" sep "layout" sep "decode" sep "chunks" sep          \
    "constant_v" sep "v_linear" sep "mla_absorbed" sep "documents" sep "tree_paths"

static const att_param params[] = {
    {"law", WORD, 0, "", "future", NAMES("|"), NAMES(" "), "what must hold"},
    {"b", INT, 0, "", "1", "1:64", "1 2 3", "batch"},
    {"hq", INT, 0, "heads", "2", "1:64", "2 3 6", "query heads"},
    {"hkv", INT, 0, "heads", "0", "0:64", "0 1 2 3", "key/value heads; 0 = as many as query heads"},
    {"sq", INT, 0, "tokens", "9", "1:1024", "9 1 5 17 33", "queries"},
    {"sk", INT, 0, "keys", "17", "1:4096", "17 2 33 65 129", "keys"},
    {"d", INT, 0, "", "8", "1:256", "8 5 40 64", "head_dim"},
    {"dv", INT, 0, "", "0", "0:256", "0 1 40", "value_dim; 0 = head_dim"},
    {"causal", WORD, 0, "", "none", "none|tl|br|pos", "none tl br pos",
     "alignment of the causal mask"},
    {"wl", INT, 0, "keys", "-1", "-1:100000", "-1 0 7", "window to the left; -1 = off"},
    {"wr", INT, 0, "keys", "-1", "-1:100000", "-1 3", "window to the right; -1 = off"},
    {"mask", WORD, 0, "", "none", "none|full|rows|heads|keys|batch|column|ones|tile|empty",
     "none full heads keys empty", "boolean mask, by what it varies over"},
    {"bias", WORD, 0, "", "none", "none|full|rows|heads|keys|batch|column|inf",
     "none full heads inf", "additive bias, by what it varies over"},
    {"block", WORD, 0, "", "none", "none|full|heads|rows|batch|keys", "none full heads",
     "block mask, by what it varies over"},
    {"softcap", REAL, 0, "", "0", "0:1e6", "0 2", "0 = off"},
    {"sinks", WORD, 0, "", "none", "none|low|zero|high|mixed", "none mixed", "sink logits"},
    {"alibi", WORD, 0, "", "none", "none|on", "none on", "ALiBi slopes"},
    {"lens", WORD, 0, "", "none", "none|keys|both", "none both", "used lengths, some of them 0"},
    {"store", WORD, 0, "", "dense", "dense|packed|page1|page3|page16|page64",
     "dense packed page3 page16", "batches dense, packed, or paged K/V"},
    {"layout", WORD, 0, "", "bhsd", "bhsd|bshd|padded|pooled|reversed|stepped", "bhsd bshd padded",
     "strides"},
    {"dtype", WORD, 0, "", "f32", "f32|f16|bf16|f64", "f32 f16 bf16", "storage type"},
    {"values", WORD, 0, "", "normal",
     "normal|heavy|outlier|deep|flat|late|ramp|large|small|equal|zero|constant|coded|captured",
     "normal heavy late ramp coded", "family of q, k and v"},
    {"place", WORD, 0, "", "aligned", "aligned|flush", "aligned flush", "memory placement"},
    {"threads", INT, 0, "", "1", "1:64", "1 2", "threads the host lends"},
    {"quant", WORD, 0, "", "none", "none|i8tok|i8group|q8_0|q4_0|e5m2|i8k_q4v", NULL,
     "how K and V are stored, no scale shared by tokens; none = as q"},
    {0},
};

static const att_metric_spec metrics[] = {
    {"law_moved", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "elements whose bits moved with what may not matter"},
    {"law_nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL,
     "elements finite in one form of the problem and not in another"},
    {"law_bound", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL,
     "largest difference over both bounds together"},
    {"law_sigma", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL,
     "largest difference over both likely errors together"},
    {"law_lse", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL,
     "largest difference of LSEs over both bounds together"},
    {"redzone", "bytes", ATT_LOWER, 0, ATT_BINDS_ALL, "bytes written outside the outputs"},
    {"select_illegal", "pairs", ATT_LOWER, 0, ATT_BINDS_APPROX, "kept pairs that are not allowed"},
    {"nonfinite", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements whose NaN/Inf pattern is wrong"},
    {"sigma_ratio", "sigma", ATT_LOWER, 6, ATT_BINDS_ALL,
     "largest error of an answer over its likely size"},
    {"bound_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "largest error over its bound"},
    {"row_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "a row's mean squared error over tau(nu)"},
    {"hull", "count", ATT_LOWER, 0, ATT_BINDS_ALL, "elements outside the range of the values"},
    {"lse_ratio", "ratio", ATT_LOWER, 1, ATT_BINDS_ALL, "LSE error over its bound"},
    {"max_abs", "", ATT_LOWER, (double)NAN, ATT_BINDS_ALL, "largest absolute error"},
    {"nmse", "", ATT_LOWER, (double)NAN, ATT_BINDS_OWN,
     "sum of squared errors over sum of squares"},
    {"unjudged", "count", ATT_LOWER, (double)NAN, ATT_BINDS_OWN,
     "elements whose weights may all underflow"},
    {"reselected", "rows", ATT_LOWER, (double)NAN, ATT_BINDS_APPROX,
     "rows not compared, since the kernel kept other keys"},
    {"elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL, "elements judged"},
    {"law_elements", "count", ATT_NEITHER, (double)NAN, ATT_BINDS_ALL,
     "elements that the law speaks of"},
    {0},
};

static const law *law_named(const char *name)
{
    for (size_t g = 0; g < GROUPS; g++)
        for (const law *l = groups[g]; l->name; l++)
            if (parity_is(l->name, name))
                return l;
    return NULL;
}

/* ------------------------------------------------------------------------- parameters */

static const att_value *value_of(const att_value *v, const char *name)
{
    size_t i = 0;

    while (!parity_is(params[i].name, name))
        i++;
    return &v[i];
}

static parity_spec spec_of(const att_value *v)
{
    const char *store = value_of(v, "store")->s;
    parity_spec s = {
        .b = value_of(v, "b")->i,
        .hq = value_of(v, "hq")->i,
        .hkv = value_of(v, "hkv")->i,
        .sq = value_of(v, "sq")->i,
        .sk = value_of(v, "sk")->i,
        .d = value_of(v, "d")->i,
        .dv = value_of(v, "dv")->i,
        .left = value_of(v, "wl")->i,
        .right = value_of(v, "wr")->i,
        .page = strncmp(store, "page", 4) == 0 ? strtoll(store + 4, NULL, 10) : 0,
        .causal = value_of(v, "causal")->s,
        .mask = value_of(v, "mask")->s,
        .bias = value_of(v, "bias")->s,
        .block = value_of(v, "block")->s,
        .sinks = value_of(v, "sinks")->s,
        .alibi = value_of(v, "alibi")->s,
        .lens = value_of(v, "lens")->s,
        .store = store,
        .layout = value_of(v, "layout")->s,
        .values = value_of(v, "values")->s,
        .softcap = value_of(v, "softcap")->f,
        .dtype = att_dtype_named(value_of(v, "dtype")->s),
        .place = parity_is(value_of(v, "place")->s, "flush") ? ATT_PLACE_FLUSH : ATT_PLACE_ALIGNED,
        .lse = true,
        .quant = value_of(v, "quant")->s,
    };

    s.hkv = s.hkv ? s.hkv : s.hq;
    s.dv = s.dv ? s.dv : s.d;
    return s;
}

/* What contradicts itself; NULL = nothing. */
static const char *nonsense(const att_value *values, const parity_spec *s)
{
    static const char *const fresh[] = {"layout", "v_linear", "mla_absorbed"};
    const char *name = value_of(values, "law")->s;

    for (size_t i = 0; i < sizeof fresh / sizeof *fresh && parity_quantised(s); i++)
        if (parity_is(name, fresh[i]))
            return "the law asks for numbers or strides that quantised storage does not hold";
    return parity_nonsense(s);
}

static bool valid(const att_value *values)
{
    parity_spec s = spec_of(values);

    return !nonsense(values, &s);
}

static bool covers(const att_value *values)
{
    parity_spec s = spec_of(values);

    return !nonsense(values, &s) && parity_work(&s) <= 1e6;
}

static double seconds(const char *task, const att_value *values)
{
    parity_spec s = spec_of(values);

    (void)task;
    return 0.003 + parity_work(&s) * 2e-8;
}

/* --------------------------------------------------------------------------- running */

/* The spec with words of the law's own memory. */
static void own_words(law_case *c)
{
    parity_spec *s = &c->spec;
    const char **of[] = {&s->causal, &s->mask,  &s->bias,   &s->block,  &s->sinks, &s->alibi,
                         &s->lens,   &s->store, &s->layout, &s->values, &s->quant};

    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        strncpy(c->words[i], *of[i], sizeof c->words[i] - 1);
        *of[i] = c->words[i];
    }
}

static att_status make_shared(att_ctx *x, void *arg, void **out)
{
    law_case *c = calloc(1, sizeof *c);

    *out = NULL;
    if (!c)
        return ATT_NO_MEMORY;
    c->x = x;
    c->law = law_named(att_ctx_word(x, "law"));
    c->spec = *(const parity_spec *)arg;
    c->rng = att_ctx_group_rng(x, "law");
    own_words(c);
    if (c->law->adapt)
        c->law->adapt(&c->spec);
    att_status status = c->law->make(c);
    if (status == ATT_OK)
        *out = c;
    else
        law_drop(c);
    return status;
}

/* Why the law is not asked of this kernel; NULL = it is. */
static const char *exempt(const law *l, const att_kernel *kernel, const parity_spec *s)
{
    if (!(l->classes & (1u << parity_class(kernel))))
        return "the law binds no kernel of this class";
    if (parity_pools(kernel) && l->kind != LAW_BITWISE)
        return "pools heads: a key that one of them may not see is in all";
    if (s->place == ATT_PLACE_FLUSH &&
        (kernel->over_read > 0 || kernel->align > (int64_t)att_dtype_size(s->dtype)))
        return "the kernel declares an alignment or over-read that flush placement denies";
    if (parity_class(kernel) == ATT_APPROX && !kernel->select && !parity_pools(kernel))
        return "approximates without saying which keys it kept (no select)";
    if (kernel->class_ == ATT_OWN && !parity_knows(kernel))
        return "has a function of its own that parity does not know";
    return NULL;
}

static att_status run(att_ctx *x)
{
    parity_spec spec = spec_of(att_ctx_values(x));
    const att_kernel *kernel = att_ctx_kernel(x);
    const law *l = law_named(att_ctx_word(x, "law"));
    const char *wrong = nonsense(att_ctx_values(x), &spec), *hole = exempt(l, kernel, &spec);
    att_units units;
    void *c = NULL;

    if (wrong || hole) {
        att_ctx_why(x, "%s", wrong ? wrong : hole);
        return wrong ? ATT_INVALID : ATT_UNSUPPORTED;
    }
    if (att_units_of(&kernel->precision, spec.dtype, spec.dtype, &units) != ATT_OK) {
        att_ctx_why(x, "the kernel's declared precision names no float type");
        return ATT_INVALID;
    }
    att_status status = att_ctx_shared(x, "law", make_shared, &spec, law_drop, &c);
    return status == ATT_OK ? law_judge(c, x, &units) : status;
}

const att_eval att_eval_laws = {
    .name = "laws",
    .summary = "laws that hold between a kernel's answers to related problems",
    .params = params,
    .metrics = metrics,
    .group_by =
        "law b hq hkv sq sk d dv causal wl wr mask bias block softcap sinks alibi lens store "
        "layout dtype values place threads quant",
    .chance = (double)NAN,
    .valid = valid,
    .covers = covers,
    .seconds = seconds,
    .run = run,
};
