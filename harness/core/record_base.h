/* SPDX-License-Identifier: Apache-2.0 */
/* What the cases of a result have in common, so that result.json says it once: of a kernel its
 * class, family and margin; of a measure its parameters' defaults and, of each metric, unit,
 * direction, limit and verdict.  Defaults are those that the cases themselves show (a parameter
 * that an id leaves out), so a result is read without the tables it was made with. */
#ifndef ATT_RECORD_BASE_H
#define ATT_RECORD_BASE_H

#include <stdio.h>

#include "base/json.h"
#include "core/result.h"

typedef struct att_bases {
    att_record *kernels;  /* kernel, class, family, margin; sorted by kernel */
    att_record *measures; /* measure, params, metrics (no values); sorted by measure */
    size_t n_kernels, n_measures;
} att_bases;

/* Of a result's records.  NO_MEMORY. */
att_status att_bases_make(const att_record *records, size_t n, att_bases *out);
/* Members "evals" and "variants" of a result.json, as they are written; results before version
 * 1.2 have neither.  CORRUPT, with the member. */
att_status att_bases_read(const cJSON *root, att_bases *out, att_why *why);
void att_bases_drop(att_bases *bases);

/* What a case of this measure and kernel is written beside; it points into `bases`.  False where
 * one of the two is not known: the case is then written whole. */
bool att_bases_find(const att_bases *bases, const char *measure, const char *kernel,
                    att_record *out);
/* Two members of a JSON object, each an array with an element a line. */
void att_bases_print_evals(const att_bases *bases, FILE *f);
void att_bases_print_variants(const att_bases *bases, FILE *f);

/* All parameters of a record: `defaults` with those of its id in their place, free()d by the
 * caller; NULL where its id has others or another order (or no memory is left). */
char *att_record_params(const char *defaults, const att_record *r);

/* A metric beside what is known of it (NULL = nothing); valued: with its value. */
void att_metric_print(const att_metric *m, const att_metric *known, bool valued, FILE *f);
/* An element of "evals", of "variants"; CORRUPT as att_record_parse. */
att_status att_measure_parse(const cJSON *object, att_record *out, att_why *why);
att_status att_variant_record_parse(const cJSON *object, att_record *out, att_why *why);

#endif
