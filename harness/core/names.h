/* SPDX-License-Identifier: Apache-2.0 */
/* What the dictionary of faults says of a kernel as a whole.  Each failing case that it was tried
 * on names the faults that explain it, or none; a fault is believed as far as it explains the other
 * failing cases as well, with one number for all. */
#ifndef ATT_NAMES_H
#define ATT_NAMES_H

#include "core/result.h"

/* The entry of a case that the dictionary was tried on without finding anything. */
#define ATT_UNKNOWN "unknown"

typedef struct att_name {
    const char *fault, *text; /* with the number that explains most; they live in the result */
    size_t explained;         /* failing cases */
    double ratio;             /* mean over them */
    double share;             /* of the cases looked into, in the eval where it explains most */
} att_name;

typedef struct att_names {
    size_t failed;  /* fail, crash, timeout */
    size_t looked;  /* of them tried on the dictionary */
    att_name *name; /* best first: the share believed, then cases explained, then ratio */
    size_t n;
} att_names;

/* A fault may have a number of its own behind its name, as in straddling_tile_unmasked{32}.  Is it
 * one fault, whatever the number? */
bool att_fault_same(const char *a, const char *b);
/* An explanation holds (ratio at most 1, and 1 where nothing but NaN agrees); anything else only
 * says where something is wrong. */
bool att_diagnosis_explains(const att_diagnosis *d);
/* The first explanation of a record, NULL = none. */
const att_diagnosis *att_record_named(const att_record *r);

/* Has an explanation before diagnosis d of the record the same name, with another number? */
bool att_diagnosis_repeats(const att_record *r, size_t d);
/* One line without a newline: "looks like X: why (to 0.1 of what rounding allows)", "looks like
 * nothing known", "first bad: b=0 ...", "law Y: ...". */
void att_diagnosis_line(const att_diagnosis *d, char *line, size_t size);

/* Of the records of `kernel` (canonical text).  NO_MEMORY; drop it in any case. */
att_status att_names_of(const att_result *result, const char *kernel, att_names *out);
void att_names_drop(att_names *names);

/* Does it explain more than half of what was looked into? */
bool att_name_believed(const att_name *name);
/* How many names at the head of the list are believed and explain the same number of cases: 0 =
 * unknown, 1 = one is singled out, more = the cases cannot tell them apart. */
size_t att_names_tied(const att_names *names);

#endif
