/* SPDX-License-Identifier: Apache-2.0 */
/* Does an approximating kernel keep the keys that its parameters promise?
 *
 * What `select` reports is what parity holds the output to, so a pattern gone wrong in both goes
 * unseen there.  Here the patterns stand once more, in closed form, told by the names of a kernel's
 * parameters: whoever declares {left} promises a sliding window, whatever it is called.
 *
 *   left                      p - p_j <= left
 *   sinks left                j < sinks or p - p_j <= left
 *   stride local              |p - j| < local or (p - j) mod stride = 0;   local = 0 is stride
 *   block local global stride |P - J| < local or J < global or (J + h) mod stride = 0, in blocks
 *
 * p: the query's position, p_j the key's, h the query head; a position before the first key lies in
 * block -1.  Each is intersected with the problem's own rules, as the oracle reports them. */
#include "evals/numeric/parity_own.h"

#define MOST 4 /* parameters of a pattern */

/* One pair: query head, query position, key index and position. */
typedef struct pair {
    int64_t h, at, j, key_at;
} pair;

static bool in_window(const int64_t *v, const pair *p)
{
    return p->at - p->key_at <= v[0];
}

static bool in_sinks_or_window(const int64_t *v, const pair *p)
{
    return p->j < v[0] || p->at - p->key_at <= v[1];
}

static bool in_strides(const int64_t *v, const pair *p)
{
    int64_t apart = p->at > p->j ? p->at - p->j : p->j - p->at;

    return apart < (v[1] ? v[1] : v[0]) || apart % v[0] == 0;
}

static bool in_blocks(const int64_t *v, const pair *p)
{
    int64_t own = p->at < 0 ? -1 : p->at / v[0], block = p->j / v[0];
    int64_t apart = own > block ? own - block : block - own;

    return apart < v[1] || block < v[2] || (v[3] && (block + p->h) % v[3] == 0);
}

static const struct pattern {
    const char *params[MOST + 1];
    bool (*keeps)(const int64_t *values, const pair *p);
} patterns[] = {
    {{"left"}, in_window},
    {{"sinks", "left"}, in_sinks_or_window},
    {{"stride", "local"}, in_strides},
    {{"block", "local", "global", "stride"}, in_blocks},
};

/* The kernel's values in the order of the pattern; false: its parameters are others. */
static bool values_of(const struct pattern *of, const att_variant_part *part, int64_t *out)
{
    const att_param *own = part->kernel->params;
    int n = 0, count = 0;

    while (own && own[count].name)
        count++;
    for (; of->params[n]; n++) {
        int i = 0;
        while (i < count && !parity_is(own[i].name, of->params[n]))
            i++;
        if (i == count || own[i].type != ATT_PARAM_INT)
            return false;
        out[n] = part->values[i].i;
    }
    return n == count;
}

/* How many pairs the kernel keeps against its pattern, or drops. */
static int64_t differences(const parity_inputs *in, const parity_inputs *own,
                           const struct pattern *of, const int64_t *values)
{
    const parity_spec *s = &in->spec;
    const int64_t *keys = in->plain.k_positions.data;
    const uint8_t *may = in->allowed, *kept = own->allowed;
    int64_t wrong = 0;

    for (int64_t r = 0; r < s->b * s->hq * s->sq; r++) {
        int64_t i = r % s->sq, b = r / s->sq / s->hq;
        pair p = {.h = r / s->sq % s->hq, .at = parity_position(in, b, i)};
        for (p.j = 0; p.j < s->sk; p.j++, may++, kept++) {
            p.key_at = keys ? keys[b * s->sk + p.j] : p.j;
            wrong += *may && of->keeps(values, &p) != (*kept != 0);
        }
    }
    return wrong;
}

void parity_check_pattern(att_ctx *x, const parity_inputs *in, const parity_inputs *own)
{
    const att_variant_part *part = &att_ctx_variant(x)->part[0];
    int64_t values[MOST];

    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
        if (values_of(&patterns[i], part, values))
            att_ctx_record(x, "select_pattern", (double)differences(in, own, &patterns[i], values));
}
