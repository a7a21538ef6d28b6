/* SPDX-License-Identifier: Apache-2.0 */
/* Sequences as text, and random ones. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/sequence.h"

bool sequence_parse(const char *text, const char *letters, sequence *out)
{
    *out = (sequence){0};
    while (*text) {
        char *end;
        if (out->n == SEQUENCE_MOST || !strchr(letters, *text))
            return false;
        sequence_step *s = &out->step[out->n++];
        s->what = *text++;
        s->n = strtoll(text, &end, 10);
        if (s->n < -1 || s->n > 4096)
            return false;
        text = end;
        if (*text && *text++ != ':')
            return false;
        if (text[-1] == ':' && !*text)
            return false;
    }
    return out->n > 0;
}

void sequence_print(const sequence *s, char *out, size_t size)
{
    size_t at = 0;

    *out = '\0';
    for (size_t i = 0; i < s->n && at < size; i++) {
        const sequence_step *step = &s->step[i];
        int n = strchr("crapfxz", step->what) ? 0 : 1;
        if (n == 0 && step->n == 0)
            at += (size_t)snprintf(out + at, size - at, "%s%c", i ? ":" : "", step->what);
        else
            at += (size_t)snprintf(out + at, size - at, "%s%c%" PRId64, i ? ":" : "", step->what,
                                   step->n);
    }
}

static void push(sequence *s, char what, int64_t n)
{
    if (s->n < SEQUENCE_MOST)
        s->step[s->n++] = (sequence_step){what, n};
}

typedef struct choice {
    char what;
    int64_t n[4];
    uint64_t levels;
} choice;

#define LIGHT 8 /* the first so many settings leave sizes and strides as they are */

/* A call, then a setting that changes and another call, over and over; now and then the
 * same call again, another plan, other addresses. */
void sequence_draw_calls(att_rng *rng, int64_t n, sequence *out)
{
    static const choice settings[] = {
        {'s', {0, 1, 2}, 3}, {'m', {0, 1, 2, 4}, 4}, {'m', {0, 3}, 2},    {'k', {0, 2}, 2},
        {'z', {0, 1, 2}, 3}, {'w', {-1, 0, 5}, 3},   {'e', {0, 1, 2}, 3}, {'h', {0, 1, 2}, 3},
        {'l', {0, 1, 2}, 3}, {'b', {1, 2, 4}, 3},    {'q', {1, 2, 5}, 3}, {'n', {7, 17, 40}, 3},
        {'y', {0, 1, 2}, 3}, {'u', {0, 1, 2}, 3},
    };

    *out = (sequence){0};
    push(out, 'c', 0);
    while (out->n < (size_t)n && out->n < SEQUENCE_MOST) {
        uint64_t roll = att_rng_below(rng, 10);
        if (roll < 2)
            push(out, 'r', 0);
        else if (roll == 2)
            push(out, 'p', 0);
        else if (roll == 3)
            push(out, 'a', 0);
        else if (roll > 1) { /* sizes stay for a while, so that plans are used again */
            const choice *c = &settings[att_rng_below(
                rng, roll < 9 ? LIGHT : sizeof settings / sizeof *settings)];
            push(out, c->what, c->n[att_rng_below(rng, c->levels)]);
        }
        push(out, 'c', 0);
    }
}

/* A session's life: a prompt of any length, then appends above all, what goes back or changes now
 * and then, and an attend after most steps; in the end every session that is left is asked once
 * more. */
void sequence_draw_session(att_rng *rng, int64_t n, const parity_spec *spec, sequence *out)
{
    static const char steps[] = "aaaaaauuarrrrzggffxcsv";
    const uint64_t sizes = (uint64_t)spec->sq;

    *out = (sequence){0};
    for (int64_t prompt = 1 + (int64_t)att_rng_below(rng, (uint64_t)spec->sk * 3 / 4 + 1);
         prompt > 0 && out->n + 16 < (size_t)n; prompt -= spec->sq)
        push(out, 'a', prompt < spec->sq ? prompt : spec->sq);
    while (out->n + 8 < (size_t)n) {
        char what = steps[att_rng_below(rng, sizeof steps - 1)];
        int64_t size = 1 + (int64_t)att_rng_below(rng, sizes);
        if (what == 'g')
            size = 1 + (int64_t)att_rng_below(rng, 4);
        if (what == 's' || what == 'x')
            size = (int64_t)att_rng_below(rng, 3);
        if (strchr("zfc", what))
            size = 0;
        push(out, what, size);
        if (what == 'g') /* seen by the next append */
            push(out, 'a', 1 + (int64_t)att_rng_below(rng, sizes));
        if (att_rng_below(rng, 5) < 3)
            push(out, 't', 1 + (int64_t)att_rng_below(rng, sizes));
    }
    for (int64_t i = 0; i < 3; i++) {
        push(out, 'x', i);
        push(out, 't', 1 + (int64_t)att_rng_below(rng, sizes));
    }
}
