/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of the parity eval: a case's inputs in guarded memory, the oracle's answer to them, and
 * the dictionary of faults that explains a wrong one. */
#ifndef ATT_PARITY_H
#define ATT_PARITY_H

#include <stdbool.h>

#include "attn.h"
#include "base/mem.h"
#include "base/rng.h"
#include "core/ctx.h"
#include "core/error.h"

/* A case's parameters. */
typedef struct parity_spec {
    int64_t b, hq, hkv, sq, sk, d, dv, left, right, page;
    const char *causal, *mask, *bias, *block, *sinks, *alibi, *lens, *store, *layout, *values;
    const char *quant; /* how K and V are stored; NULL = none: as q */
    double softcap;
    double scale;    /* in units of head_dim^-1/2; 0 = the default */
    uint64_t draw;   /* which numbers of the case's streams: one a call of a sequence */
    const char *far; /* the tensor whose rows lie 2^apart elements apart; NULL = none */
    int64_t apart;
    int32_t dtype;
    att_placement place;
    bool lse;
} parity_spec;

#define PARITY_GUARDS   24
#define PARITY_PROFILES 4
#define PARITY_FARS     3

typedef struct parity_far parity_far; /* parity_far.h */

/* One case's inputs, shared by every kernel that runs it.  `given` is what a kernel gets: storage
 * types, strides, packing, pages, all in frozen guarded buffers.  `plain` states the same problem
 * with q, k, v as dense doubles [B,H,S,D] and lengths, for the oracle and the judge. */
typedef struct parity_inputs {
    parity_spec spec;
    att_problem given, plain;
    double *q, *k, *v;    /* plain's */
    int32_t *nq, *nk;     /* [B] rows and keys of each sequence */
    int32_t *cu_q, *cu_k; /* [B+1], packed only */
    int32_t *table;       /* [B][pages], paged only */
    int64_t pages;        /* a sequence */
    int64_t page_step;    /* the numbers of used pages are multiples of it */
    uint8_t *allowed;     /* [B,Hq,Sq,Skv] */
    double *out, *lse;    /* the oracle's answer, dense */
    double *rounded_q;    /* parity_own.h: q's, where they are not those of the case */
    double *unrounded;    /* that on k and v before they were quantised; NULL = they were not */
    att_guard guard[PARITY_GUARDS];
    size_t guards;
    parity_far *far[PARITY_FARS];
    const char *far_name[PARITY_FARS]; /* "q", "k", "v", "mask", "bias" */
    size_t fars;
    att_profile *profile[PARITY_PROFILES]; /* one an accumulator type */
    double profile_unit[PARITY_PROFILES];
} parity_inputs;

static inline bool parity_is(const char *word, const char *other)
{
    for (; *word && *word == *other; word++, other++)
        ;
    return *word == *other;
}

typedef struct parity_shape {
    int64_t n[4], stride[4];
    int64_t offset; /* of element (0,0,0,0) */
    int64_t extent; /* elements from the buffer's start to its last element */
} parity_shape;

/* a * b * ... as elements; the covering constraint keeps them small, hand-written cases are
 * checked. */
bool parity_fits(const parity_spec *s);

/* parity.c: a case of parity_params.def; what contradicts itself, NULL = nothing; and what an eval
 * of such cases says of them: its group, which values are valid, which are covered, what they cost.
 */
#define PARITY_GROUP                                                                               \
    "b hq hkv sq sk d dv causal wl wr mask bias block scale softcap sinks alibi lens store "       \
    "layout far apart dtype values place threads lse quant"
parity_spec parity_spec_of(const att_value *values);
const char *parity_nonsense(const parity_spec *s);
bool parity_valid(const att_value *values);
bool parity_covers(const att_value *values);
double parity_seconds(const char *task, const att_value *values);

/* --- parity_inputs.c */
att_status parity_inputs_make(att_ctx *x, const parity_spec *spec, parity_inputs **out);
/* The same, with numbers changed by `edit` before they are stored: it may write to q, k, v, to the
 * data of masks, biases, sinks, slopes and positions, and set both problems' scale. */
typedef void (*parity_edit)(parity_inputs *in, void *arg);
att_status parity_inputs_make_edited(att_ctx *x, const parity_spec *spec, parity_edit edit,
                                     void *arg, parity_inputs **out);
void parity_inputs_drop(void *inputs);
/* A guarded buffer that lives with the inputs; NULL when there is no memory. */
void *parity_buffer(parity_inputs *in, size_t bytes);
/* A far tensor that lives with them (parity_far_make); false: no memory. */
bool parity_put_far(parity_inputs *in, const char *name, const parity_shape *shape, int32_t dtype,
                    att_tensor *out);
/* The profile for an accumulator, made on first use. */
att_status parity_profile(att_ctx *x, parity_inputs *in, double u_acc, att_profile **out);

/* --- parity_layout.c */
parity_shape parity_shape_of(const char *layout, int64_t n0, int64_t n1, int64_t n2, int64_t n3);
att_tensor parity_tensor(const parity_shape *s, void *data, int32_t dtype);
/* Where row i of sequence b lies in dimensions 0 and 2 of q and out (query) or of k and v. */
void parity_query_row(const parity_inputs *in, int64_t b, int64_t i, int64_t *i0, int64_t *i2);
void parity_key_row(const parity_inputs *in, int64_t b, int64_t j, int64_t *i0, int64_t *i2);
/* Shapes of q (or out, with dv) and of k or v as stored. */
parity_shape parity_query_shape(const parity_inputs *in, const char *layout, int64_t width);
parity_shape parity_key_shape(const parity_inputs *in, const char *layout, int64_t width);
/* k and v: stores and loads row j, of n elements. */
void parity_store_row(const att_tensor *t, int64_t i0, int64_t h, int64_t i2, int64_t n,
                      const double *x);
void parity_load_row(const att_tensor *t, int64_t i0, int64_t h, int64_t i2, int64_t n, double *x);

/* --- parity_quant.c: K and V stored quantised, each with its codes and scales. */
typedef struct parity_scheme {
    const char *name;
    int32_t dtype, scales; /* the scales' type; -1 = none */
    int32_t axis;          /* 2 = token, 3 = channel */
    int64_t group;         /* 0: the whole axis */
    bool head;             /* tokens share their scale too */
} parity_scheme;
/* NULL: there is none of that name. */
const parity_scheme *parity_scheme_named(const char *name);
/* That of K, or of V, where `quant` says; NULL: none. */
const parity_scheme *parity_scheme_of(const char *quant, bool value);
/* A tensor's scheme, axis and group, without memory for scales; and the extents of its scales. */
att_quant parity_quant_of(const parity_scheme *how, const int64_t n[4], int64_t scales[4]);
/* Codes as stored, of which `units` (blocks, or elements) make a row of `width`. */
int64_t parity_code_units(int32_t dtype, int64_t width);
att_tensor parity_code_tensor(const parity_shape *units, void *data, int32_t dtype, int64_t width);
/* Row (i0, h, i2) of t: widens the scales that it needs; stores it; reads what its codes mean. */
void parity_scale_row(const att_tensor *t, const att_quant *q, int64_t i0, int64_t h, int64_t i2,
                      const double *x);
void parity_code_row(const att_tensor *t, const att_quant *q, int64_t i0, int64_t h, int64_t i2,
                     const double *x);
void parity_decode_row(const att_tensor *t, const att_quant *q, int64_t i0, int64_t h, int64_t i2,
                       double *x);
bool parity_quantised(const parity_spec *s);
/* What contradicts a quantised case; NULL = nothing. */
const char *parity_quant_nonsense(const parity_spec *s);
/* Storage of k and v, and how it is scaled. */
bool parity_quant_make(parity_inputs *in);
/* Stores k and v of all rows and reads them back as what their codes mean. */
void parity_quant_round(parity_inputs *in);
/* Poisons a stored row of k and of v. */
void parity_quant_hide(parity_inputs *in, int64_t i0, int64_t h, int64_t i2);

/* --- parity_values.c: q, k, v of a family as dense doubles. */
att_status parity_values(att_ctx *x, parity_inputs *in, att_rng *rng);
/* --- parity_extras.c: lengths; then mask, bias, sinks, slopes, positions. */
bool parity_lengths(parity_inputs *in, att_rng *rng);
bool parity_extras(parity_inputs *in, att_rng *rng);
/* Do sequences begin with the first one's pages? */
bool parity_shares_pages(const parity_spec *s);
/* --- parity_masks.c: mask=document and mask=tree; fills m [B,1,Sq,Skv]; false: no memory. */
bool parity_mask_planted(const char *kind);
bool parity_mask_plant(const parity_inputs *in, att_rng *rng, const att_tensor *m);

/* --- parity_outputs.c: the kernel's output and LSE in guarded memory, all NaN; and dense copies of
 * what it wrote, [B,Hq,Sq,Dv] and {1,B,Hq,Sq}. */
typedef struct parity_outputs {
    att_guard out, lse;
    parity_far *far; /* in place of the one that is far; NULL = none */
    att_tensor got, got_lse;
} parity_outputs;
/* Gives p its out and lse; false: no memory (drop all the same). */
bool parity_outputs_make(const parity_inputs *in, att_problem *p, parity_outputs *o);
/* Moves what was written into the dense copies and puts the pattern back in its place, so that any
 * byte still changed was written where nothing should be. */
void parity_outputs_collect(const parity_inputs *in, const att_problem *p, parity_outputs *o);
size_t parity_outputs_changed(const parity_outputs *o);
/* Red zones of signalling NaNs of the type: whatever reads one, adds to it and writes it back makes
 * it quiet, be it a zero that is added. */
void parity_arm(att_guard *guard, int32_t dtype);
/* Every byte of both, before the call. */
void parity_outputs_fill(parity_outputs *o, int byte);
void parity_outputs_drop(parity_outputs *o);

/* --- parity_judge.c: whether the kernel under test can be judged on such cases, and its units. */
att_status parity_ready(att_ctx *x, const parity_spec *spec, att_units *units);
/* Takes what the call on p wrote, and records what parity_metrics.def lists.  explain: names what
 * explains a wrong output of an exact kernel. */
att_status parity_judge(att_ctx *x, parity_inputs *in, const att_problem *p, parity_outputs *o,
                        const att_units *units, bool explain);

/* The same of a session that evicts: on the keys that it says were seen, [B,Hq,Sq,Skv]. */
att_status parity_judge_seen(att_ctx *x, parity_inputs *in, const att_problem *p,
                             const uint8_t *seen, parity_outputs *o, const att_units *units);

/* --- parity_layout.c: the contract's position of query i of sequence b. */
int64_t parity_position(const parity_inputs *in, int64_t b, int64_t i);
/* Pairs times width: what a case costs. */
double parity_work(const parity_spec *s);

/* --- parity_faults.c: names what explains a wrong output, and where it is wrong first.  e: the
 * judgement, LSE included; explain: look into the dictionary. */
void parity_diagnose(att_ctx *x, parity_inputs *in, const parity_outputs *o, const att_units *units,
                     const att_error *e, bool explain);
/* The output is right, and bytes outside its rows were written. */
void parity_say_outside(att_ctx *x, size_t bytes);

#endif
