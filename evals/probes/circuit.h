/* SPDX-License-Identifier: Apache-2.0 */
/* Circuits of the operator track: token items become Q, K, V without training, so that what a
 * kernel loses is its own.  CIRCUITS.md writes them down. */
#ifndef ATT_PROBES_CIRCUIT_H
#define ATT_PROBES_CIRCUIT_H

#include <stdbool.h>
#include <stddef.h>

#include "attn.h"
#include "base/rng.h"
#include "core/ctx.h"

#define PROBE_CODES    4096 /* unit vectors; a token is the number of one */
#define PROBE_HAY      1024 /* a haystack's codes start here where probe_draw gives one */
#define PROBE_CODE     64   /* their dimensions, and head_dim */
#define PROBE_EVIDENCE 8    /* positions that one answer may need */

/* Columns of V behind the value's code, the same in every task: what they add up to is read off
 * the output exactly. */
enum {
    PROBE_ALL = PROBE_CODE, /* 1 everywhere: the sum of the weights */
    PROBE_FIRST,            /* 1 at the first four tokens */
    PROBE_SIGNS,            /* random signs; sum over them of out^2 / PROBE_N_SIGNS estimates the
                             * sum of the squared weights */
    PROBE_N_SIGNS = 6,
    PROBE_MARKS = PROBE_SIGNS + PROBE_N_SIGNS /* the task's own columns */
};

/* One question: a row of one query head. */
typedef struct probe_question {
    int64_t context, head, row; /* head: within the context's; row: of the last `rows` positions */
    int64_t answer;             /* the value code that is right */
    int64_t mark;               /* V's column that is 1 where the answer stands; -1 = none */
    int64_t rival;              /* the column of what it may be mistaken for; -1 = none */
    int64_t evidence[PROBE_EVIDENCE]; /* positions that all must be seen */
    int64_t n_evidence;
    bool any;     /* one of them is enough */
    int64_t hops; /* attentions after which it is answered; 0 = all of the task's */
    int64_t kind; /* the task's own */
    double at;    /* 0..1, where the evidence lies in the context */
} probe_question;

/* `contexts` of `len` tokens, each a KV head, asked by `heads` query heads in the last `rows`
 * positions.  Everything dense f32; owned. */
typedef struct probe_circuit {
    int64_t contexts, len, heads, rows,
        width; /* width: columns of V, PROBE_MARKS + marks up to 8 */
    float *k;  /* [contexts,len,PROBE_CODE] unit vectors */
    float *v;  /* [contexts,len,width] */
    float *q;  /* [contexts * heads,rows,PROBE_CODE] unit vectors, 0 where nothing is asked */
    const float *code; /* [PROBE_CODES,PROBE_CODE], shared */
    probe_question *asked;
    int64_t n_asked, room;
    int64_t facts;           /* a context */
    const char *haystack;    /* the case's word */
    int64_t *drawn, n_drawn; /* [contexts,n_drawn] codes, see probe_draw */
    void *own;               /* the task's, freed with the circuit */
} probe_circuit;

/* The codes, made once a worker. */
att_status probe_codes(att_ctx *x, const float **out);

/* Room for K, V, Q; K and V are not filled, Q is 0, the columns of every task are written. */
att_status probe_circuit_open(probe_circuit *c, int64_t marks, att_rng *rng);
void probe_circuit_drop(void *circuit);

/* n different codes below PROBE_HAY for every context: what the task's words are called there. */
att_status probe_draw(probe_circuit *c, att_rng *rng, int64_t n);
/* The i-th of them. */
int64_t probe_drawn(const probe_circuit *c, int64_t context, int64_t i);

/* Key and value of one token. */
void probe_put(const probe_circuit *c, int64_t context, int64_t at, int64_t key, int64_t value);
/* A unit vector at this cosine from unit vector a, turned towards b.  May write over either. */
void probe_near(const float *a, const float *b, double cosine, float *out);
/* The same as a token's key: a code and the code that it is turned towards. */
void probe_put_near(const probe_circuit *c, int64_t context, int64_t at, int64_t key, int64_t to,
                    double cosine, int64_t value);
/* V's column `column` at one token. */
void probe_mark(const probe_circuit *c, int64_t context, int64_t at, int64_t column, float value);
/* Fills every token with a haystack of keys and values in [first, PROBE_CODES): "none" zeros;
 * "noise" independent draws; "prose" by Zipf's law, so that some words come again and again;
 * "needles" as few repeats as there can be. */
void probe_hay(const probe_circuit *c, att_rng *rng, int64_t first);
/* The same in one context, with codes order[first] to order[PROBE_CODES - 1]. */
void probe_hay_of(const probe_circuit *c, att_rng *rng, int64_t context, int64_t first,
                  const int64_t *order);
/* Leaves the first dims numbers of n vectors, at norm 1; zeros stay zeros. */
void probe_narrow(float *vector, int64_t n, int64_t dims);
/* n different positions of [from, to), one in each n-th part, ascending.  n <= to - from. */
void probe_places(att_rng *rng, int64_t from, int64_t to, int64_t n, int64_t *out);

/* The same for lists of `each` positions: list l's, ascending, in out[l * each] on, the lists
 * interleaved at random.  NO_MEMORY. */
att_status probe_interleave(att_rng *rng, int64_t from, int64_t to, int64_t lists, int64_t each,
                            int64_t *out);

/* The question of a needle at a token: asked by `head` from the last position, the one piece of
 * evidence.  Its column of V is PROBE_MARKS + mark, 1 at the token (mark < 0: none). */
probe_question probe_needle(const probe_circuit *c, int64_t context, int64_t head, int64_t at,
                            int64_t value, int64_t mark);
/* Hides a needle and asks for it: key and value codes, the column of its head. */
att_status probe_hide(probe_circuit *c, int64_t context, int64_t head, int64_t at, int64_t key,
                      int64_t value, int64_t kind);
/* c->contexts of c->facts needles each (keys: the first codes, values: the next ones, shuffled) at
 * stratified places of a haystack of codes from `hay` on, a head each. */
att_status probe_needles(probe_circuit *c, att_rng *rng, int64_t hay);
/* Adds a question, asked with the vector of `code`.  NULL: no memory. */
probe_question *probe_ask(probe_circuit *c, probe_question question, int64_t code);
/* Records hits of n under a metric, with Wilson's interval; nothing where n is 0. */
void probe_share(att_ctx *x, const char *metric, int64_t hits, int64_t n);

/* Its query vector in q, which is laid out as c->q. */
float *probe_query(const probe_circuit *c, const probe_question *question, float *q);
/* Its row of out [contexts * heads,rows,width]. */
const float *probe_row(const probe_circuit *c, const probe_question *question, const float *out);
/* The outputs of one hop, from 0, of out [hops][contexts * heads,rows,width]. */
const float *probe_hop(const probe_circuit *c, const float *out, int64_t hop);
/* Its position in the context. */
int64_t probe_position(const probe_circuit *c, const probe_question *question);

/* The code in [first, first + n) that is nearest (largest dot product) to a vector; -1 where a
 * number is not finite.  `margin`: how far that of `answer` lies above the best
 * other's. */
int64_t probe_nearest(const probe_circuit *c, const float *vector, int64_t first, int64_t n,
                      int64_t answer, double *margin);

#endif
