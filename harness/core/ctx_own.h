/* SPDX-License-Identifier: Apache-2.0 */
/* How a worker makes the context that an eval sees (ctx.h), and takes the measurements out of it.
 */
#ifndef ATT_CTX_OWN_H
#define ATT_CTX_OWN_H

#include "base/mem.h"
#include "core/case.h"
#include "core/ctx.h"
#include "core/result.h"

/* Objects shared by the cases of a group, and by the whole run ("run:..." keys). */
typedef struct att_shelf {
    struct att_shelf_object *first;
    char *group; /* of the objects that don't live as long as the run */
} att_shelf;

/* Drops the objects of another group than `group`; NULL drops everything. */
void att_shelf_keep(att_shelf *shelf, const char *group);

typedef struct att_options {
    const char *model;    /* path of the GGUF file; NULL = none */
    const char *datasets; /* the datasets folder */
} att_options;

struct att_ctx {
    att_registry *registry;
    const att_case *c;
    const att_host *host;
    const att_options *options;
    att_shelf *shelf;
    att_record *record; /* metrics, items and diagnoses are put here */
    att_arena arena;    /* of variants looked up by the eval */
    att_guard scratch;  /* kept between calls of one size: kernels meet it dirty */
    att_why why, note;
    bool failed; /* a measurement was lost: no memory, or a metric of no table */
};

/* Measures case c into *record (line, id, ... and status PASS where the eval measured; UNSUPPORTED,
 * ERROR, FAIL or CRASH with a reason otherwise).  The verdict is another's. */
void att_ctx_measure(att_registry *r, const att_case *c, const att_host *host,
                     const att_options *options, att_shelf *shelf, att_record *record);
/* What an eval that ended with `status` leaves in the record: the outcome and its reason. */
void att_ctx_conclude(att_ctx *x, att_status status);
/* The identity of a case in a zeroed record: line, id, measure, kernel, params, seed, class. */
bool att_record_identify(att_record *record, const att_case *c);
/* What the plan knows of a case's record, so that the journal need not say it (core/record.h): its
 * identity and, of its eval's metrics, unit and direction.  att_record_clear frees it; false: no
 * memory, and nothing to free. */
bool att_record_base(att_record *out, const att_case *c);

#endif
