/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions that evict: an attend is held to the oracle's answer on the keys that the session says
 * its rows saw.  Those must be allowed ones, no more a row than the kernel's `budget`, and what a
 * session no longer had it may not have again. */
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/parity_own.h"
#include "evals/numeric/sequence_session.h"

bool session_evicts(const sessions *c)
{
    const att_kernel *k = c->part->kernel;

    return k->class_ == ATT_APPROX && (k->abi & 0xffffu) >= 2 && c->ops->seen;
}

void session_forget(sessions *c)
{
    free(c->last.seen);
    c->last = (session_last){0};
}

/* Keys seen by a row beyond the budget, and keys that came back since the last attend. */
static void compare(sessions *c, const parity_inputs *in, const uint8_t *seen)
{
    const parity_spec *s = &in->spec;
    const int64_t budget = parity_value(c->part, "budget");
    const session_last *last = &c->last;
    const bool known = last->seen && last->session == c->now->number && last->batch == s->b;
    int64_t over = 0, back = 0;

    for (int64_t r = 0; r < s->b * s->hq * s->sq; r++) {
        const int64_t head = r / s->sq, b = head / s->hq;
        int64_t n = 0;
        for (int64_t j = 0; j < s->sk; j++) {
            const bool was = known && j < last->length[b];
            n += seen[r * s->sk + j] != 0;
            back += seen[r * s->sk + j] && was && !last->seen[head * last->most + j];
        }
        over += budget > 0 && n > budget ? n - budget : 0;
    }
    att_ctx_record(c->x, "select_over", (double)over);
    att_ctx_record(c->x, "select_pattern", (double)back);
}

/* What the last row of each sequence and head saw. */
static bool keep(sessions *c, const parity_inputs *in, const uint8_t *seen)
{
    const parity_spec *s = &in->spec;

    session_forget(c);
    c->last.seen = malloc((size_t)(s->b * s->hq * s->sk) + 1);
    if (!c->last.seen)
        return false;
    c->last.session = c->now->number;
    c->last.batch = s->b;
    c->last.most = s->sk;
    for (int64_t b = 0; b < s->b; b++)
        c->last.length[b] = in->nk[b];
    for (int64_t n = 0; n < s->b * s->hq; n++)
        memcpy(c->last.seen + n * s->sk, seen + ((n + 1) * s->sq - 1) * s->sk, (size_t)s->sk);
    return true;
}

att_status session_judge_seen(sessions *c, parity_inputs *in, const att_problem *p,
                              parity_outputs *o)
{
    const parity_spec *s = &in->spec;
    uint8_t *seen = malloc((size_t)(s->b * s->hq * s->sq * s->sk) + 1);
    att_status status = seen ? c->ops->seen(c->now->session, seen) : ATT_NO_MEMORY;

    if (seen && status != ATT_OK) {
        free(seen);
        return session_refused(c, "seen", status);
    }
    if (status == ATT_OK)
        status = parity_judge_seen(c->x, in, p, seen, o, &c->units);
    if (status == ATT_OK) {
        compare(c, in, seen);
        status = keep(c, in, seen) ? ATT_OK : ATT_NO_MEMORY;
    }
    free(seen);
    return status;
}
