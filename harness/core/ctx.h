/* SPDX-License-Identifier: Apache-2.0 */
/* What an eval sees while it measures one case: parameters, random streams, the kernel under test,
 * the oracle, and where to put numbers.  Everything handed out lives until the eval returns, shared
 * objects until the group ends. */
#ifndef ATT_CTX_H
#define ATT_CTX_H

#include "attn.h"
#include "base/rng.h"
#include "base/why.h"
#include "core/variant.h"

typedef struct att_ctx att_ctx;

/* ------------------------------------------------------------------- the case */
const char *att_ctx_line(const att_ctx *x);                   /* the whole case line */
const char *att_ctx_task(const att_ctx *x);                   /* "" where the eval has no tasks */
int64_t att_ctx_int(const att_ctx *x, const char *name);      /* a declared INT parameter */
double att_ctx_real(const att_ctx *x, const char *name);      /* REAL or INT */
const char *att_ctx_word(const att_ctx *x, const char *name); /* WORD */
/* All of them, in the order of the eval's table. */
const att_value *att_ctx_values(const att_ctx *x);
/* Run-wide: "model" (GGUF path), "datasets"; NULL if not given. */
const char *att_ctx_option(const att_ctx *x, const char *name);

/* The stream `name` of this case: a function of (seed, id without the kernel), so that every kernel
 * meets the same items.  att_ctx_group_rng: of (seed, eval, the group's parameters) only, so that
 * the cases of a group can share what is made from it. */
att_rng att_ctx_rng(const att_ctx *x, const char *name);
att_rng att_ctx_group_rng(const att_ctx *x, const char *name);

/* --------------------------------------------------------------- the kernel */
const att_variant *att_ctx_variant(const att_ctx *x);
/* The kernel of a variant of one part; for a plan the first part. */
const att_kernel *att_ctx_kernel(const att_ctx *x);
const att_host *att_ctx_host(const att_ctx *x);
/* Another kernel of the table by its command-line text ("reference_f64", "dense", "topk{k=8}");
 * NULL if there is none. */
const att_variant *att_ctx_find(att_ctx *x, const char *text);

/* supports + plan + operator + drop on one part, with dirty scratch between guards.  `allowed` only
 * for SELECT.  UNSUPPORTED leaves the kernel's reason in the context. */
att_status att_ctx_call(att_ctx *x, const att_variant_part *part, att_op op, const att_problem *p,
                        uint8_t *allowed);
/* att_ctx_call of ATTEND on the kernel under test. */
att_status att_ctx_attend(att_ctx *x, const att_problem *p);
/* att_ctx_call on the float64 oracle ("reference_f64"). */
att_status att_ctx_oracle(att_ctx *x, att_op op, const att_problem *p);

/* ------------------------------------------------------------- measurements */
/* One number under a name of the eval's metric table. */
void att_ctx_record(att_ctx *x, const char *metric, double value);
/* The same with a sample size and an interval (NAN, NAN for none). */
void att_ctx_record_n(att_ctx *x, const char *metric, double value, int64_t n, double lo,
                      double hi);
/* One item of a probe, in item order: hit, the cluster it shares a context with, a continuous score
 * (gold margin; NAN = none), a coordinate 0..1 (depth; NAN = none), a short note ("" = none). */
void att_ctx_item(att_ctx *x, int hit, int32_t cluster, double score, double at, const char *note);
/* A bug or convention that explains the failure, with its ratio (smaller explains better). */
void att_ctx_diagnose(att_ctx *x, const char *fault, double ratio, const char *text);
/* Why the eval stops with a status other than OK. */
void att_ctx_why(att_ctx *x, const char *format, ...) __attribute__((format(printf, 2, 3)));
att_why *att_ctx_why_buffer(att_ctx *x);
/* What stands in the record beside a verdict on what was measured (a shorter case that fails). */
void att_ctx_note(att_ctx *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An object shared by the cases of a group in this worker, made on first use (an oracle's answer, a
 * loaded model, a prefilled context).  Key "run:..." lives until the worker ends. */
typedef att_status (*att_shared_make)(att_ctx *x, void *arg, void **out);
att_status att_ctx_shared(att_ctx *x, const char *key, att_shared_make make, void *arg,
                          void (*drop)(void *object), void **out);

#endif
