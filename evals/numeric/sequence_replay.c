/* SPDX-License-Identifier: Apache-2.0 */
/* The history of sessions told once more, to a store of token numbers: by the contract, or with
 * one rule broken.  Numbers alone are moved, so a replay costs nothing beside an oracle. */
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/sequence_session.h"

/* Memory of a session: by sequence and slot, and, for strides that follow the batch, by token. */
typedef struct store {
    int32_t *code, *scale; /* [SESSION_BATCH][slots] */
    int32_t *flat;         /* [slots][batch] */
} store;

typedef struct state {
    size_t store;
    int64_t batch, length[SESSION_BATCH], longest[SESSION_BATCH], late[SESSION_BATCH];
} state;

typedef struct replay {
    const session_log *log;
    const session_rules *rules;
    int64_t slots;
    store *stores;
    state *states;
    size_t *alias; /* the state that a session works on */
    size_t born, closed;
    bool any_closed;
} replay;

static int32_t *cells(int64_t n)
{
    int32_t *c = malloc((size_t)(n + 1) * sizeof *c);

    if (c)
        memset(c, 0xff, (size_t)(n + 1) * sizeof *c);
    return c;
}

static bool store_make(const replay *r, store *s)
{
    s->code = cells(SESSION_BATCH * r->slots);
    s->scale = cells(SESSION_BATCH * r->slots);
    s->flat = cells(SESSION_BATCH * r->slots);
    return s->code && s->scale && s->flat;
}

static void store_copy(const replay *r, store *to, const store *from)
{
    size_t bytes = (size_t)(SESSION_BATCH * r->slots) * sizeof *to->code;

    memcpy(to->code, from->code, bytes);
    memcpy(to->scale, from->scale, bytes);
    memcpy(to->flat, from->flat, bytes);
}

static int64_t oldest(const replay *r, const state *s, int64_t b)
{
    return s->longest[b] > r->slots ? s->longest[b] - r->slots : 0;
}

/* -------------------------------------------------------------------------------- steps */

static void opened(replay *r, const session_event *e)
{
    size_t at = r->born++;
    state *s = &r->states[at];

    r->alias[at] = at;
    *s = (state){.store = at, .batch = e->batch};
    if (r->rules->reopened && r->any_closed) {
        const state *old = &r->states[r->closed];
        store_copy(r, &r->stores[at], &r->stores[old->store]);
        memcpy(s->length, old->length, sizeof s->length);
        memcpy(s->longest, old->longest, sizeof s->longest);
    }
}

static void put(replay *r, state *s, int64_t b, int64_t at, int32_t token)
{
    store *m = &r->stores[s->store];
    int64_t slot = at % r->slots;
    int32_t *scale = &m->scale[b * r->slots + slot];

    m->code[b * r->slots + slot] = token;
    if (!r->rules->scale_once || *scale < 0)
        *scale = token;
    m->flat[slot * s->batch + b] = token;
}

static void appended(replay *r, const session_event *e)
{
    state *s = &r->states[r->alias[e->session]];
    const bool one = r->rules->append == 1 || r->rules->append == 2;

    for (int64_t b = s->batch; b < e->batch; b++)
        s->length[b] = s->longest[b] = 0;
    s->batch = e->batch;
    for (int64_t b = 0; b < e->batch; b++) {
        int64_t n = e->taken[b], from = r->rules->append == 2 && n ? n - 1 : 0;
        s->late[b] = n;
        for (int64_t i = from; i < (one && n ? from + 1 : n); i++)
            put(r, s, b, s->length[b]++, (int32_t)(e->first + b * e->n + i));
        if (s->length[b] > s->longest[b])
            s->longest[b] = s->length[b];
    }
}

/* The first held slots become those of the oldest tokens. */
static void slice(replay *r, const state *s, int64_t b)
{
    int32_t *const rows[] = {r->stores[s->store].code + b * r->slots,
                             r->stores[s->store].scale + b * r->slots};
    const int64_t first = oldest(r, s, b);
    int32_t *old = cells(r->slots);

    for (int side = 0; old && side < 2; side++) {
        memcpy(old, rows[side], (size_t)r->slots * sizeof *old);
        for (int64_t i = 0; i < r->slots; i++)
            rows[side][(first + i) % r->slots] = old[i];
    }
    free(old);
}

static void rolled_back(replay *r, const session_event *e)
{
    state *s = &r->states[r->alias[e->session]];
    int how = r->rules->rollback;
    int64_t keep = e->n;

    if (how == 1 || (how == 2 && keep == 0))
        return;
    keep += how == 4 ? 1 : how == 5 && keep ? -1 : 0;
    for (int64_t b = 0; b < (how == 3 ? 1 : s->batch); b++) {
        if (s->length[b] <= keep)
            continue;
        if (r->rules->sliced)
            slice(r, s, b);
        s->length[b] = keep;
        if (keep == 0)
            s->longest[b] = 0;
        s->late[b] = 0;
    }
}

static void forked(replay *r, const session_event *e)
{
    size_t at = r->born++, parent = r->alias[e->session];

    r->alias[at] = r->rules->fork == 2 ? parent : at;
    r->states[at] = r->states[parent];
    if (r->rules->fork == 1)
        return;
    r->states[at].store = at;
    if (r->rules->fork == 3) {
        memset(r->states[at].length, 0, sizeof r->states[at].length);
        memset(r->states[at].longest, 0, sizeof r->states[at].longest);
    } else
        store_copy(r, &r->stores[at], &r->stores[r->states[parent].store]);
}

/* --------------------------------------------------------------------------------- view */

static int64_t slot_of(const replay *r, const state *s, int64_t b, int64_t i)
{
    const int64_t from = r->rules->start == 0   ? oldest(r, s, b)
                         : r->rules->start == 1 ? s->length[b]
                                                : 0;

    return (from + i) % r->slots;
}

static void look(const replay *r, const state *s, session_view *out)
{
    const store *m = &r->stores[s->store];

    for (int64_t b = 0; b < s->batch; b++)
        for (int64_t i = 0; i < out->length[b]; i++) {
            const int64_t of = r->rules->first_alone ? 0 : b, slot = slot_of(r, s, of, i);
            const int32_t flat = m->flat[slot * s->batch + of];
            int64_t at = b * out->most + i;
            out->code[at] = r->rules->rows_stay ? flat : m->code[of * r->slots + slot];
            out->scale[at] = r->rules->rows_stay || r->rules->scales_stay
                                 ? flat
                                 : m->scale[of * r->slots + slot];
        }
}

static bool view(const replay *r, size_t session, session_view *out)
{
    const state *s = &r->states[r->alias[session]];

    out->batch = s->batch;
    for (int64_t b = 0; b < s->batch; b++) {
        int64_t of = r->rules->first_alone ? 0 : b, n = s->length[of] - oldest(r, s, of);
        if (r->rules->append == 3)
            n -= s->late[of];
        out->length[b] = (int32_t)(n < 0 ? 0 : n);
        out->most = n > out->most ? n : out->most;
    }
    out->code = cells(s->batch * out->most);
    out->scale = cells(s->batch * out->most);
    if (out->code && out->scale)
        look(r, s, out);
    return out->code && out->scale;
}

bool session_replay(const session_log *log, const session_rules *rules, size_t session,
                    session_view *out)
{
    /* without a rollback a sequence may grow past what the contract has it hold */
    int64_t slots = rules->ring ? rules->slots
                                : log->spec.sk + (int64_t)log->events * (log->spec.sq + 1);
    replay r = {.log = log, .rules = rules, .slots = slots};
    bool good = true;

    *out = (session_view){0};
    r.stores = calloc(log->sessions + 1, sizeof *r.stores);
    r.states = calloc(log->sessions + 1, sizeof *r.states);
    r.alias = calloc(log->sessions + 1, sizeof *r.alias);
    good = r.stores && r.states && r.alias;
    for (size_t i = 0; i < log->sessions && good; i++)
        good = store_make(&r, &r.stores[i]);
    for (size_t i = 0; i < log->events && good; i++) {
        const session_event *e = &log->event[i];
        if (e->what == 'o')
            opened(&r, e);
        else if (e->what == 'a')
            appended(&r, e);
        else if (e->what == 'r')
            rolled_back(&r, e);
        else if (e->what == 'f')
            forked(&r, e);
        else {
            r.closed = r.alias[e->session];
            r.any_closed = true;
        }
    }
    good = good && view(&r, session, out);
    for (size_t i = 0; r.stores && i < log->sessions; i++) {
        free(r.stores[i].code);
        free(r.stores[i].scale);
        free(r.stores[i].flat);
    }
    free(r.stores);
    free(r.states);
    free(r.alias);
    return good;
}

void session_view_drop(session_view *v)
{
    free(v->code);
    free(v->scale);
    *v = (session_view){0};
}

bool session_view_same(const session_view *a, const session_view *b)
{
    size_t n = (size_t)(a->batch * a->most) * sizeof *a->code;

    return a->batch == b->batch && a->most == b->most &&
           memcmp(a->length, b->length, sizeof a->length) == 0 &&
           memcmp(a->code, b->code, n) == 0 && memcmp(a->scale, b->scale, n) == 0;
}

void session_view_fill(const session_log *log, const session_view *v, int side, double *to)
{
    const int64_t heads = log->spec.hkv, width = session_width(&log->spec, side);

    for (int64_t b = 0; b < v->batch; b++)
        for (int64_t h = 0; h < heads; h++)
            for (int64_t j = 0; j < v->most; j++) {
                int64_t code = v->code[b * v->most + j], scale = v->scale[b * v->most + j];
                double by = scale < 0 ? 0 : log->scale[side][scale * heads + h];
                for (int64_t d = 0; d < width; d++)
                    *to++ = code < 0 ? 0 : by * log->code[side][(code * heads + h) * width + d];
            }
}
