/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of words: laid out, and what an attention says of how often each came. */
#include "evals/probes/words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "evals/probes/closed_form.h"

/* c->own: [contexts,WORDS_LISTS,WORDS_KNOWN] words, a list's most frequent first. */
static int64_t *words_of(const probe_circuit *c, int64_t context, int64_t list)
{
    return (int64_t *)c->own + (context * WORDS_LISTS + list) * WORDS_KNOWN;
}

static void put_word(const probe_circuit *c, int64_t g, int64_t at, int64_t list, int64_t word)
{
    float *v = c->v + (g * c->len + at) * c->width;

    probe_put(c, g, at, probe_drawn(c, g, list), 0);
    memset(v, 0, PROBE_CODE * sizeof *v);
    v[word] = 1;
    probe_mark(c, g, at, PROBE_MARKS + list, 1);
}

static att_status lay_out(probe_circuit *c, att_rng *rng, int64_t g, const int64_t *count,
                          int64_t *place)
{
    int64_t next = 0;

    for (int64_t j = 0; j < c->len; j++)
        place[j] = j;
    att_rng_shuffle(rng, place, (size_t)c->len, sizeof *place);
    for (int64_t list = 0; list < WORDS_LISTS; list++) {
        int64_t *word = words_of(c, g, list);
        for (int64_t r = 0; r < WORDS_KNOWN; r++)
            word[r] = r;
        att_rng_shuffle(rng, word, WORDS_KNOWN, sizeof *word);
        double sum = 0;
        int64_t tokens = 0;
        for (int64_t r = 0; r < WORDS_KNOWN; r++)
            for (int64_t n = 0; n < count[r]; n++, tokens++) {
                put_word(c, g, place[next], list, word[r]);
                sum += (double)place[next++];
            }
        probe_question a = {.context = g,
                            .head = list,
                            .answer = word[0],
                            .mark = PROBE_MARKS + list,
                            .rival = -1,
                            .at = sum / (double)(tokens * c->len)};
        if (!probe_ask(c, a, probe_drawn(c, g, list)))
            return ATT_NO_MEMORY;
    }
    return ATT_OK;
}

att_status words_make(probe_circuit *c, att_rng *rng, const int64_t *count, att_why *why)
{
    const int64_t top = c->facts;
    int64_t tokens = 0;

    for (int64_t r = 0; r < WORDS_KNOWN; r++)
        tokens += count[r];
    if (top < 1 || top >= WORDS_KNOWN || WORDS_LISTS * tokens > c->len ||
        count[top - 1] <= count[top]) {
        att_why_set(why, "%d lists of words do not fit", WORDS_LISTS);
        return ATT_UNSUPPORTED;
    }
    c->contexts = 3;
    c->heads = WORDS_LISTS;
    c->rows = 1;
    c->own = malloc((size_t)(c->contexts * WORDS_LISTS * WORDS_KNOWN) * sizeof(int64_t));
    int64_t *place = malloc((size_t)c->len * sizeof *place);
    att_status status = c->own && place ? probe_circuit_open(c, WORDS_LISTS, rng) : ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = probe_draw(c, rng, WORDS_LISTS);
    if (status == ATT_OK)
        probe_hay(c, rng, PROBE_HAY);
    for (int64_t g = 0; g < c->contexts && status == ATT_OK; g++)
        status = lay_out(c, rng, g, count, place);
    free(place);
    return status;
}

double words_chance(int64_t top)
{
    double chance = 1;

    for (int64_t i = 0; i < top; i++)
        chance *= (double)(top - i) / (double)(WORDS_KNOWN - i);
    return chance;
}

probe_outcome words_judge(const probe_circuit *c, int64_t i, const float *out)
{
    const probe_question *a = &c->asked[i];
    const int64_t *word = words_of(c, a->context, a->head), top = c->facts;
    const float *row = probe_row(c, a, out);
    double right = (double)INFINITY, other = -(double)INFINITY;

    for (int64_t r = 0; r < WORDS_KNOWN; r++) {
        const double weight = (double)row[word[r]];
        if (isnan(weight))
            return (probe_outcome){.score = (double)NAN, .note = "not a number"};
        if (r < top)
            right = fmin(right, weight);
        else
            other = fmax(other, weight);
    }
    return (probe_outcome){.hit = right > other, .score = right - other};
}

int words_predict(probe_eye eye, const probe_circuit *c, int64_t i)
{
    const probe_question *a = &c->asked[i];
    const int64_t *word = words_of(c, a->context, a->head), top = c->facts;
    int64_t seen[WORDS_KNOWN] = {0}, least = c->len, most = 0, all = 0;

    if (closed_form_of_best(eye.part))
        return -1;
    for (int64_t j = 0; j <= probe_position(c, a); j++) {
        const float *v = c->v + (a->context * c->len + j) * c->width;
        if (v[a->mark] != 1)
            continue;
        const int one = probe_sees(eye, c, a, j);
        if (one < 0)
            return -1;
        all += one;
        for (int64_t w = 0; w < WORDS_KNOWN; w++)
            seen[w] += one && v[w] == 1;
    }
    for (int64_t r = 0; r < WORDS_KNOWN; r++) {
        least = r < top && seen[word[r]] < least ? seen[word[r]] : least;
        most = r >= top && seen[word[r]] > most ? seen[word[r]] : most;
    }
    const double apart = fabs((double)(least - most)) / (double)all; /* NAN: none is seen */
    return apart > 2 * eye.rounding ? least > most : -1;
}

/* How many of the heaviest `top` words are wanted ones; words of equal weight come in their own
 * order, which says nothing. */
static int64_t found(const probe_circuit *c, const probe_question *a, const float *row)
{
    const int64_t *word = words_of(c, a->context, a->head), top = c->facts;
    int64_t right = 0;

    for (int64_t r = 0; r < top; r++) {
        const float weight = row[word[r]];
        int64_t above = 0;
        for (int64_t w = 0; w < WORDS_KNOWN; w++)
            above += !(row[w] <= weight) || (w < word[r] && row[w] == weight);
        right += above < top;
    }
    return right;
}

void words_record(att_ctx *x, const probe_circuit *c, const float *out)
{
    const int64_t top = c->facts;
    double f1 = 0;

    for (int64_t i = 0; i < c->n_asked; i++)
        f1 += (double)found(c, &c->asked[i], probe_row(c, &c->asked[i], out)) / (double)top;
    att_ctx_record(x, "set_f1", f1 / (double)c->n_asked);
}
