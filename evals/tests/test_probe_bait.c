/* SPDX-License-Identifier: Apache-2.0 */
/* Bait and collapse: repeats, dispersion, near-synonyms, first tokens, decoys.  Dense is right and
 * as theory says; made kernels that blur, prefer the latest or round fall as they must. */
#include <stdlib.h>

#include "evals/tests/probe_house.h"

/* The row of logits of query head h. */
static void logits_of(const att_problem *p, int64_t h, double *to)
{
    const float *q = (const float *)p->q.data + h * p->head_dim;
    const float *k = (const float *)p->k.data +
                     h / (p->heads_q / p->heads_kv) * p->kv_len * p->head_dim;

    for (int64_t j = 0; j < p->kv_len; j++) {
        to[j] = 0;
        for (int64_t d = 0; d < p->head_dim; d++)
            to[j] += (double)q[d] * (double)k[j * p->head_dim + d] / 8;
    }
}

/* o = sum of e^(logit sharp) v over its sum, in steps of `unit`, or only of the last key whose
 * logit exceeds 16. */
typedef struct how {
    double sharp, unit;
    bool latest;
} how;

static att_status attend_how(const att_problem *p, how way)
{
    double *weight = malloc((size_t)(p->kv_len + p->value_dim) * sizeof *weight);

    if (!weight)
        return ATT_NO_MEMORY;
    double *sum = weight + p->kv_len;
    for (int64_t h = 0; h < p->heads_q; h++) {
        const float *v = (const float *)p->v.data +
                         h / (p->heads_q / p->heads_kv) * p->kv_len * p->value_dim;
        float *out = (float *)p->out.data + h * p->value_dim;
        int64_t last = -1;
        double all = 0;
        logits_of(p, h, weight);
        for (int64_t j = 0; j < p->kv_len; j++)
            last = weight[j] > 16 ? j : last;
        for (int64_t d = 0; d < p->value_dim; d++)
            sum[d] = 0;
        for (int64_t j = 0; j < p->kv_len; j++) {
            const double w = way.latest ? j == last : exp(way.sharp * weight[j]);
            all += w;
            for (int64_t d = 0; w > 0 && d < p->value_dim; d++)
                sum[d] += w * (double)v[j * p->value_dim + d];
        }
        for (int64_t d = 0; d < p->value_dim; d++)
            out[d] = (float)(way.unit > 0 ? round(sum[d] / all / way.unit) * way.unit
                                          : sum[d] / fmax(all, 1e-300));
    }
    free(weight);
    return ATT_OK;
}

static att_status latest_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    return attend_how(p, (how){.latest = true});
}

static att_status dull_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    return attend_how(p, (how){.sharp = 0.5});
}

static att_status coarse_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)s;
    return attend_how(p, (how){.sharp = 1, .unit = 0x1p-9});
}

static const att_kernel latest = PROBE_MADE("latest", latest_attend);
static const att_kernel dull = PROBE_MADE("dull", dull_attend);
static const att_kernel coarse = PROBE_MADE("coarse", coarse_attend);

static void open_house(void)
{
    static const att_kernel *const made[] = {&latest, &dull, &coarse, NULL};

    house_open(1, made);
}

static const char *const tasks[] = {"repeats", "dispersion", "clusters", "first_tokens", "decoys"};

static void dense_is_right_on_all(void)
{
    static const char *const lengths[] = {"len=256", "len=1024", "len=4096", NULL};

    for (size_t t = 0; t < 5; t++)
        dense_is_right(tasks[t], lengths);
}

static void what_is_seen_is_found(void)
{
    closed_form_holds("dispersion");
    closed_form_holds("clusters");
    closed_form_holds("first_tokens");
    closed_form_holds("decoys");
}

static void the_right_controls_are_punished(void)
{
    static const char *const controls[] = {"last_k", "random", "uniform", "first_k", "sink_only"};

    for (size_t c = 0; c < 5; c++)
        for (size_t t = 0; t < 5; t++)
            /* equal weights count, and the first tokens are what the last two controls see */
            if (!(t == 0 && c == 2) && !(t == 3 && c > 2))
                is_punished(tasks[t], controls[c], 0.3);
    CU_ASSERT_EQUAL(probe_number("first_tokens", "sink_only", "len=1024", "accuracy"), 1);
}

static void twins_come_together_as_softmax_says(void)
{
    const double near = probe_number("repeats", "dense", "len=1024", "twin_distance");
    const double far = probe_number("repeats", "dense", "len=4096", "twin_distance");
    const double want = probe_number("repeats", "dense", "len=4096", "twin_distance_predicted");

    CU_ASSERT_TRUE(fabs(far / want - 1) < 0.01);
    CU_ASSERT_TRUE(far < near / 10 && far > near / 20); /* about n^-2 */
    CU_ASSERT_EQUAL(probe_number("repeats", "dense", "len=4096", "exact_repeats"), 1025);
}

static void outputs_in_coarse_steps_lose_count(void)
{
    const double exact = probe_number("repeats", "coarse", "len=4096", "exact_repeats");

    CU_ASSERT_TRUE(exact < 300);
    CU_ASSERT_TRUE(probe_number("repeats", "coarse", "len=4096", "accuracy") < 1);
    CU_ASSERT_EQUAL(probe_number("repeats", "coarse", "len=4096", "repeats_asked"), 1025);
}

static void the_largest_weight_is_as_softmax_says(void)
{
    for (int len = 256; len <= 4096; len *= 4) {
        char params[32];
        snprintf(params, sizeof params, "len=%d", len);
        const double want = exp(12) / (exp(12) + len - 1);
        att_record r = probe_measure("dispersion", "dense", params, 2);
        CU_ASSERT_DOUBLE_EQUAL(probe_metric(&r, "max_weight"), want, 1e-4);
        CU_ASSERT_DOUBLE_EQUAL(probe_metric(&r, "max_weight_predicted"), want, 1e-9);
        CU_ASSERT_TRUE(probe_metric(&r, "max_weight_error") < 1e-3);
        CU_ASSERT_EQUAL(probe_metric(&r, "majority_logit"),
                        probe_metric(&r, "majority_logit_predicted"));
        att_record_clear(&r);
    }
}

static void half_the_sharpness_needs_twice_the_logit(void)
{
    CU_ASSERT_EQUAL(probe_number("dispersion", "dense", "len=512", "majority_logit"), 8);
    CU_ASSERT_EQUAL(probe_number("dispersion", "dull", "len=512", "majority_logit"), 14);
    CU_ASSERT_TRUE(isinf(probe_number("dispersion", "uniform", "len=512", "majority_logit")));
}

static void whoever_prefers_the_latest_takes_the_bait_before_it(void)
{
    CU_ASSERT_EQUAL(probe_number("decoys", "latest", "len=512", "bait_taken"), 0.75);
    CU_ASSERT_EQUAL(probe_number("decoys", "latest", "len=512", "bait_order"), 1);
    CU_ASSERT_EQUAL(probe_number("decoys", "dense", "len=512", "bait_taken"), 0);
    CU_ASSERT_EQUAL(probe_number("decoys", "dense", "len=512", "bait_order"), 0);
    CU_ASSERT_TRUE(probe_number("clusters", "latest", "len=512", "bait_taken") > 0.5);
    CU_ASSERT_EQUAL(probe_number("clusters", "latest", "len=512", "bait_taken") +
                        probe_number("clusters", "latest", "len=512", "accuracy"),
                    1);
}

static void items_are_the_seed_s(void)
{
    items_follow_the_seed("repeats");
    items_follow_the_seed("dispersion");
    items_follow_the_seed("clusters");
    items_follow_the_seed("decoys");
    items_follow_the_seed("first_tokens");
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"dense is right on all", dense_is_right_on_all},
        {"what is seen is found", what_is_seen_is_found},
        {"the right controls are punished", the_right_controls_are_punished},
        {"twins come together as softmax says", twins_come_together_as_softmax_says},
        {"outputs in coarse steps lose count", outputs_in_coarse_steps_lose_count},
        {"the largest weight is as softmax says", the_largest_weight_is_as_softmax_says},
        {"half the sharpness needs twice the logit", half_the_sharpness_needs_twice_the_logit},
        {"whoever prefers the latest takes the bait before it",
         whoever_prefers_the_latest_takes_the_bait_before_it},
        {"items are the seed's", items_are_the_seed_s},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_bait", tests);
}
