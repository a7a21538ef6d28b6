/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels that only tests have: two right ones, and six that parity must see through. */
#ifndef ATT_MADE_KERNELS_H
#define ATT_MADE_KERNELS_H

#include "common/plain.h"

static att_status plain_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {0};
    (void)self;
    return att_plain_attend(p, &way, s);
}

static att_status beyond_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    att_status status = plain_attend(self, p, s);
    const int64_t end =
        att_tensor_at(&p->out, p->batch - 1, p->heads_q - 1, p->q_len - 1, p->value_dim);
    att_store(p->out.data, p->out.dtype, end, 1.0f); /* one element past the last */
    return status;
}

static att_status idle_attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    (void)self, (void)p, (void)s;
    return ATT_OK;
}

/* Says that it keeps every pair, allowed or not. */
static att_status boast_select(const att_kernel *self, const att_problem *p, const att_scratch *s,
                               uint8_t *allowed)
{
    (void)self, (void)s;
    memset(allowed, 1, (size_t)(p->batch * p->heads_q * p->q_len * p->kv_len));
    return ATT_OK;
}

static att_status boast_supports(const att_kernel *self, att_op op, const att_problem *p,
                                 const att_value *params, att_reason *why)
{
    return op == ATT_OP_SELECT ? ATT_OK : att_plain_supports(self, op, p, params, why);
}

/* Writes one pair too many. */
static att_status spills_select(const att_kernel *self, const att_problem *p, const att_scratch *s,
                                uint8_t *allowed)
{
    const att_rules rules = att_rules_make(p, ATT_KEEP_ALL);

    (void)self, (void)s;
    att_rules_select(&rules, allowed);
    allowed[p->batch * p->heads_q * p->q_len * p->kv_len] = 0;
    return ATT_OK;
}

/* Says nothing of the keys that it keeps. */
static att_status mute_select(const att_kernel *self, const att_problem *p, const att_scratch *s,
                              uint8_t *allowed)
{
    (void)self, (void)p, (void)s, (void)allowed;
    return ATT_OK;
}

/* Sliding windows: the plain loop on the keys at most `left` before the query. */
typedef struct windowed {
    att_plain way;
    int64_t left;
} windowed;

static int64_t left_of(const att_kernel *self, const att_value *params)
{
    return params[0].i + (strcmp(self->name, "strays") == 0); /* one key too many */
}

static bool windowed_allowed(const att_plain_row *w, int64_t j)
{
    const int64_t left = ((const windowed *)(const void *)w->way)->left;
    return att_plain_allowed(w, j) &&
           w->row.position - att_key_position(w->rules->p, w->seq, j) <= left;
}

static att_status windowed_attend(const att_kernel *self, const att_problem *p,
                                  const att_scratch *s)
{
    const windowed own = {{.allowed = windowed_allowed}, left_of(self, s->params)};
    return att_plain_attend(p, &own.way, s);
}

static att_status windowed_select(const att_kernel *self, const att_problem *p,
                                  const att_scratch *s, uint8_t *allowed)
{
    const att_rules rules = att_rules_make(p, (att_keep){.left = left_of(self, s->params)});
    att_rules_select(&rules, allowed);
    return ATT_OK;
}

static const att_param windowed_params[] = {{.name = "left",
                                             .type = ATT_PARAM_INT,
                                             .unit = "keys",
                                             .fallback = "3",
                                             .domain = "0:1000",
                                             .help = "keys before the query that it sees"},
                                            {0}};

#define F32_PRECISION                                                                              \
    {                                                                                              \
        .acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES                                         \
    }

static const att_kernel plain = {.struct_size = sizeof(att_kernel),
                                 .abi = ATT_ABI,
                                 .name = "plain",
                                 .family = "made",
                                 .summary = "the plain loop, nothing replaced",
                                 .precision = F32_PRECISION,
                                 .supports = att_plain_supports,
                                 .plan = att_plain_plan_of,
                                 .attend = plain_attend};
static const att_kernel beyond = {.struct_size = sizeof(att_kernel),
                                  .abi = ATT_ABI,
                                  .name = "beyond",
                                  .family = "made",
                                  .summary = "writes past its output",
                                  .precision = F32_PRECISION,
                                  .supports = att_plain_supports,
                                  .plan = att_plain_plan_of,
                                  .attend = beyond_attend};
static const att_kernel idle = {.struct_size = sizeof(att_kernel),
                                .abi = ATT_ABI,
                                .name = "idle",
                                .family = "made",
                                .summary = "writes nothing",
                                .precision = F32_PRECISION,
                                .supports = att_plain_supports,
                                .attend = idle_attend};
static const att_kernel boast = {.struct_size = sizeof(att_kernel),
                                 .abi = ATT_ABI,
                                 .name = "boast",
                                 .family = "made",
                                 .summary = "claims pairs that are not allowed",
                                 .class_ = ATT_APPROX,
                                 .precision = F32_PRECISION,
                                 .supports = boast_supports,
                                 .plan = att_plain_plan_of,
                                 .attend = plain_attend,
                                 .select = boast_select};
static const att_kernel spills = {.struct_size = sizeof(att_kernel),
                                  .abi = ATT_ABI,
                                  .name = "spills",
                                  .family = "made",
                                  .summary = "reports one pair more than there are",
                                  .class_ = ATT_APPROX,
                                  .precision = F32_PRECISION,
                                  .supports = boast_supports,
                                  .plan = att_plain_plan_of,
                                  .attend = plain_attend,
                                  .select = spills_select};
static const att_kernel mute = {.struct_size = sizeof(att_kernel),
                                .abi = ATT_ABI,
                                .name = "mute",
                                .family = "made",
                                .summary = "leaves the pairs of select as they were",
                                .class_ = ATT_APPROX,
                                .precision = F32_PRECISION,
                                .supports = boast_supports,
                                .plan = att_plain_plan_of,
                                .attend = plain_attend,
                                .select = mute_select};
static const att_kernel strays = {.struct_size = sizeof(att_kernel),
                                  .abi = ATT_ABI,
                                  .name = "strays",
                                  .family = "made",
                                  .summary = "keeps and reports one key more than it declares",
                                  .class_ = ATT_APPROX,
                                  .precision = F32_PRECISION,
                                  .params = windowed_params,
                                  .supports = boast_supports,
                                  .plan = att_plain_plan_of,
                                  .attend = windowed_attend,
                                  .select = windowed_select};
static const att_kernel stays = {.struct_size = sizeof(att_kernel),
                                 .abi = ATT_ABI,
                                 .name = "stays",
                                 .family = "made",
                                 .summary = "a sliding window under another name",
                                 .class_ = ATT_APPROX,
                                 .precision = F32_PRECISION,
                                 .params = windowed_params,
                                 .supports = boast_supports,
                                 .plan = att_plain_plan_of,
                                 .attend = windowed_attend,
                                 .select = windowed_select};

#endif
