/* SPDX-License-Identifier: Apache-2.0 */
/* Approximations are exact on something: on the keys that they say they kept, or on pooled heads.
 * The oracle answers that problem, and the numeric rule judges the output by it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/names.h"
#include "evals/numeric/parity_own.h"

#define SPARE 16 /* bytes behind the pairs, which select leaves alone */

bool parity_room_of_own(const parity_inputs *in, parity_inputs *own)
{
    const parity_spec *s = &in->spec;
    int64_t rows = s->b * s->hq * s->sq;

    *own = (parity_inputs){.spec = in->spec,
                           .plain = in->plain,
                           .nq = in->nq,
                           .nk = in->nk,
                           .cu_q = in->cu_q,
                           .q = in->q};
    own->allowed = calloc((size_t)(rows * s->sk) + SPARE, 1);
    own->out = calloc((size_t)(rows * s->dv) + 1, sizeof(double));
    own->lse = calloc((size_t)rows + 1, sizeof(double));
    own->plain.out = att_tensor_dense(own->out, ATT_F64, s->b, s->hq, s->sq, s->dv);
    own->plain.lse = att_tensor_dense(own->lse, ATT_F64, 1, s->b, s->hq, s->sq);
    return own->allowed && own->out && own->lse;
}

/* The oracle's answer on own->allowed; what is not allowed is counted, not followed. */
static att_status answer(att_ctx *x, const parity_inputs *in, parity_inputs *own, double *illegal)
{
    const parity_spec *s = &in->spec;
    const int64_t pairs = s->b * s->hq * s->sq * s->sk;

    for (int64_t i = 0; i < pairs; i++) {
        *illegal += own->allowed[i] > 1 || (own->allowed[i] && !in->allowed[i]);
        own->allowed[i] = own->allowed[i] && in->allowed[i];
    }
    own->plain.mask = att_tensor_dense(own->allowed, ATT_U8, s->b, s->hq, s->sq, s->sk);
    return att_ctx_oracle(x, ATT_OP_ATTEND, &own->plain);
}

/* The keys that an approximating kernel says it kept, and the oracle's answer on them. */
att_status parity_on_own_keys(att_ctx *x, const parity_inputs *in, const att_problem *p,
                              parity_inputs *own, double *illegal)
{
    const parity_spec *s = &in->spec;
    int64_t rows = s->b * s->hq * s->sq;

    if (!parity_room_of_own(in, own))
        return ATT_NO_MEMORY;
    memset(own->allowed, 0xa5, (size_t)(rows * s->sk) + SPARE); /* select writes every pair */
    att_status status =
        att_ctx_call(x, &att_ctx_variant(x)->part[0], ATT_OP_SELECT, p, own->allowed);
    if (status != ATT_OK)
        return status;
    for (int64_t i = rows * s->sk; i < rows * s->sk + SPARE; i++)
        *illegal += own->allowed[i] != 0xa5;
    return answer(x, in, own, illegal);
}

att_status parity_on_seen(att_ctx *x, const parity_inputs *in, const uint8_t *seen,
                          parity_inputs *own, double *illegal)
{
    const parity_spec *s = &in->spec;

    if (!parity_room_of_own(in, own))
        return ATT_NO_MEMORY;
    memcpy(own->allowed, seen, (size_t)(s->b * s->hq * s->sq * s->sk));
    return answer(x, in, own, illegal);
}

void parity_drop_own(parity_inputs *own)
{
    for (int f = 0; f < PARITY_PROFILES; f++)
        att_profile_drop(own->profile[f]);
    free(own->allowed);
    free(own->out);
    free(own->lse);
    free(own->k); /* pooled heads and rounded ones alone */
    free(own->v);
    free(own->rounded_q);
}

bool parity_pools(const att_kernel *kernel)
{
    bool groups = false;

    for (const att_param *p = kernel->params; p && p->name; p++)
        groups |= parity_is(p->name, "groups");
    return groups && kernel->class_ == ATT_APPROX && !kernel->select;
}

/* The mean of `together` heads, by the convention that kernels share: summed in f32 in the order of
 * the heads, then divided, so that which f32 numbers are attended to is not open. */
static double *pooled(const double *from, int64_t heads, int64_t together, int64_t size)
{
    double *to = malloc((size_t)(heads * size) * sizeof *to + 1);

    for (int64_t n = 0; to && n < heads * size; n++) {
        float sum = 0.0f;
        for (int64_t h = 0; h < together; h++)
            sum += (float)from[(n / size * together + h) * size + n % size];
        to[n] = (double)(sum / (float)together);
    }
    return to;
}

att_status parity_on_pooled(att_ctx *x, const parity_inputs *in, parity_inputs *own)
{
    const parity_spec *s = &in->spec;
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    int64_t groups = 1;

    for (size_t i = 0; part->values && part->kernel->params[i].name; i++)
        if (parity_is(part->kernel->params[i].name, "groups"))
            groups = part->values[i].i;
    if (!parity_room_of_own(in, own))
        return ATT_NO_MEMORY;
    if (s->hkv == 0)
        groups = 0;
    int64_t together = groups ? s->hkv / groups : 1, heads = s->b * groups;
    memcpy(own->allowed, in->allowed, (size_t)(s->b * s->hq * s->sq * s->sk));
    own->k = pooled(in->k, heads, together, s->sk * s->d);
    own->v = pooled(in->v, heads, together, s->sk * s->dv);
    if (!own->k || !own->v)
        return ATT_NO_MEMORY;
    own->plain.heads_kv = groups;
    own->plain.k = att_tensor_dense(own->k, ATT_F64, s->b, groups, s->sk, s->d);
    own->plain.v = att_tensor_dense(own->v, ATT_F64, s->b, groups, s->sk, s->dv);
    return att_ctx_oracle(x, ATT_OP_ATTEND, &own->plain);
}

/* Rows in which `kept` are not k + more of the allowed keys with weight, or all where there are no
 * more than k. */
static int64_t rows_unlike(const parity_inputs *in, const att_profile *all, const uint8_t *kept,
                           int64_t k, int64_t more, double *room)
{
    const parity_spec *s = &in->spec;
    int64_t unlike = 0;

    for (int64_t r = 0; r < s->b * s->hq * s->sq; r++) {
        int64_t open = 0, have = 0;
        if (!att_profile_logits(all, r, room, room + s->sk))
            continue;
        for (int64_t j = 0; j < s->sk; j++) {
            const bool weighs = !isnan(room[j]) && room[j] > -(double)INFINITY;
            open += weighs;
            have += weighs && kept[r * s->sk + j];
        }
        unlike += have != (open > k ? k + more : open);
    }
    return unlike;
}

/* The best were kept, but not as many as were asked for: one too few or too many? */
static bool explain_top(att_ctx *x, const parity_inputs *in, const att_profile *all,
                        const uint8_t *kept, int64_t k)
{
    double *room = malloc((size_t)(2 * in->spec.sk + 1) * sizeof *room);
    bool named = false;

    for (int64_t more = -1; room && more <= 1; more += 2)
        if (rows_unlike(in, all, kept, k, more, room) == 0) {
            att_ctx_diagnose(x, "keep_off_by_one", 0,
                             more < 0 ? "one key too few is kept" : "one key too many is kept");
            named = true;
        }
    if (room && !named)
        att_ctx_diagnose(x, ATT_UNKNOWN, (double)INFINITY, "no reading explains the choice");
    free(room);
    return room != NULL;
}

/* Top-k, told by its name's beginning, keeps the k largest logits; where two are too close to tell
 * apart either is right. */
att_status parity_check_top(att_ctx *x, parity_inputs *in, const parity_inputs *own, double u_acc,
                            bool explain)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    const att_kernel *kernel = part->kernel;
    att_profile *all = NULL;

    if (strncmp(kernel->name, "topk", 4) != 0)
        return ATT_OK;
    att_status status = parity_profile(x, in, u_acc, &all);
    if (status != ATT_OK)
        return status;
    const double gap = att_profile_gap(all, own->allowed, NULL);
    att_ctx_record(x, "select_gap", gap);
    for (size_t i = 0; part->values && kernel->params && kernel->params[i].name; i++)
        if (parity_is(kernel->params[i].name, "k")) {
            int64_t over = 0, k = part->values[i].i;
            const int64_t missing = att_profile_short(all, own->allowed, NULL, k, &over);
            att_ctx_record(x, "select_short", (double)missing);
            att_ctx_record(x, "select_over", (double)over);
            if (explain && gap <= 1 && (missing || over) && parity_choice_turn(x) &&
                !explain_top(x, in, all, own->allowed, k))
                return ATT_NO_MEMORY;
        }
    return ATT_OK;
}
