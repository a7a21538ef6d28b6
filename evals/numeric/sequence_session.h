/* SPDX-License-Identifier: Apache-2.0 */
/* What sessions were told, and what one holds after that: by the contract, or by a kernel with a
 * known fault. */
#ifndef ATT_SEQUENCE_SESSION_H
#define ATT_SEQUENCE_SESSION_H

#include "evals/numeric/sequence.h"

#define SESSION_BATCH 8 /* sequences of a session, at most */
#define SESSION_LIVE  4 /* sessions at a time */

/* A step that succeeded. */
typedef struct session_event {
    char what;                    /* o open, a append, r rollback, f fork, c close */
    size_t session;               /* each has its own number, in order of birth; f: the parent */
    int64_t n;                    /* a: tokens a sequence, at most; r: the length kept */
    int64_t batch;                /* o, a */
    int64_t first;                /* a: token i of sequence b is token first + b n + i */
    int32_t taken[SESSION_BATCH]; /* a */
} session_event;

/* All events, and all tokens ever appended: x = scale * code, scale 1 where nothing is quantised.
 */
typedef struct session_log {
    parity_spec spec; /* sq: the most a step moves; sk: the most a sequence holds */
    size_t events, sessions;
    session_event event[3 * SEQUENCE_MOST];
    int64_t tokens, room;
    double *code[2];  /* k, v: [tokens][Hkv][width] */
    double *scale[2]; /* [tokens][Hkv] */
} session_log;

static inline int64_t session_width(const parity_spec *s, int side)
{
    return side ? s->dv : s->d;
}

/* What a session holds: which token's code and which token's scale stand at each place; -1 =
 * nothing was ever stored there (zeros). */
typedef struct session_view {
    int64_t batch, most;
    int32_t length[SESSION_BATCH];
    int32_t *code, *scale; /* [batch][most] */
} session_view;

/* How a kernel departs from the contract; all 0 = not at all. */
typedef struct session_rules {
    bool ring;        /* a ring of `slots` a sequence; else a slot for each token */
    int start;        /* ring: 1 = read from (length mod slots) on, 2 = read from slot 0 on */
    bool sliced;      /* ring: a rollback takes the first slots for the oldest tokens */
    bool scales_stay; /* scales lie token by token; a new batch changes their strides alone */
    bool rows_stay;   /* and so do codes */
    bool scale_once;  /* a slot's scale stays that of its first token */
    int rollback;     /* 1 = ignored, 2 = of everything ignored, 3 = only of sequence 0,
                       * 4 = keeps one more, 5 = keeps one fewer */
    int fork;         /* 1 = the same memory, 2 = the same session, 3 = empty */
    int append;    /* 1 = of the first token alone, 2 = of the last alone, 3 = seen a step late */
    bool reopened; /* what the last closed session held is still there */
    bool first_alone; /* every sequence reads the first one's */
    int64_t slots;
} session_rules;

/* A session under test and what it holds. */
typedef struct live {
    size_t number;
    att_session *session;
    int64_t batch, length[SESSION_BATCH], longest[SESSION_BATCH];
} live;

/* What the last rows of a session that evicts saw, [batch][Hq][most]. */
typedef struct session_last {
    size_t session;
    int64_t batch, most, length[SESSION_BATCH];
    uint8_t *seen; /* NULL: nothing is known */
} session_last;

typedef struct sessions {
    att_ctx *x;
    const att_variant_part *part;
    const att_session_ops *ops;
    att_units units;
    int32_t dtype; /* of the cache */
    session_log log;
    live live[SESSION_LIVE], *now; /* now: NULL before one is open */
    size_t n_live, judged;
    int64_t next_batch;
    att_guard scratch[2 * SEQUENCE_MOST];
    size_t n_scratch;
    uint64_t draws;
    session_last last;
    bool explain;
} sessions;

/* --- sequence_append.c */
/* What both sides of the contract know of a session of `batch` sequences; no lengths, no data. */
att_problem session_problem(const sessions *c, int64_t batch);
/* One more event of the session in work. */
session_event *session_told(sessions *c, char what);
/* Records that a step which the contract has done was not. */
att_status session_refused(sessions *c, const char *step, att_status status);
/* The longest of n lengths. */
int64_t session_most(const int64_t *lengths, int64_t n);
/* Steps a, u and, of NaN, the first half of v; cut to what the session was opened for. */
att_status session_append(sessions *c, const sequence_step *step, bool nan);

/* --- sequence_seen.c: sessions that evict, that is, say which keys their rows saw. */
bool session_evicts(const sessions *c);
/* Judges the attend that wrote o. */
att_status session_judge_seen(sessions *c, parity_inputs *in, const att_problem *p,
                              parity_outputs *o);
/* Nothing is known of what was seen before. */
void session_forget(sessions *c);

/* --- sequence_replay.c */
/* false: no memory. */
bool session_replay(const session_log *log, const session_rules *rules, size_t session,
                    session_view *out);
void session_view_drop(session_view *v);
bool session_view_same(const session_view *a, const session_view *b);
/* Keys (side 0) or values (1) of a view as dense doubles [batch][Hkv][most][width]. */
void session_view_fill(const session_log *log, const session_view *v, int side, double *to);

/* --- sequence_holds.c: names what else the session may have held. */
void session_explain(att_ctx *x, const session_log *log, size_t session, parity_inputs *in,
                     const parity_outputs *o, const att_units *units);

#endif
