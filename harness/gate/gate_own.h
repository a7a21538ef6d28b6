/* SPDX-License-Identifier: Apache-2.0 */
/* Private to gate*.c. */
#ifndef ATT_GATE_OWN_H
#define ATT_GATE_OWN_H

#include "core/paired.h"
#include "gate/gate.h"

/* A new finding about a case of the run (record) or of the baseline; NULL: no memory. */
att_finding *att_gate_find(att_gate *g, att_gate_kind kind, const att_record *r);
/* A text in the gate's arena; "" where memory ran out. */
const char *att_gate_text(att_gate *g, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* One id on both sides, its seeds together. */
typedef struct att_gate_pair {
    const att_baseline_case *was;
    const att_record *is; /* the first of them */
    att_paired paired;    /* items of the seeds that both sides have */
} att_gate_pair;

/* A run and its baseline, walked side by side. */
typedef struct att_gate_walk {
    const att_gate_ask *ask;
    att_gate *g;
    const att_record **records; /* by id and seed */
    size_t n;
    att_gate_pair *pairs;
    size_t n_pairs;
} att_gate_walk;

bool att_gate_was_good(att_outcome status);
/* A finding that its text says all of. */
bool att_gate_find_plain(att_gate_walk *w, att_gate_kind kind, const att_record *r,
                         const char *text);
/* What a record's own outcome says, beside what it was.  `was` NULL: another seed or none. */
bool att_gate_look_at(att_gate_walk *w, const att_record *r, const att_baseline_run *was);
/* One seed: its outcome, its numbers; its items go to the pair.  *same stays true where nothing is
 * different. */
bool att_gate_judge_seed(att_gate_walk *w, const att_record *r, const att_baseline_case *c,
                         const att_baseline_run *was, att_gate_pair *pair, bool *same);

/* Found only where the policy requires the case to be decided.  false: no memory. */
bool att_gate_inconclusive(const att_gate_ask *ask, const att_record *r, const char *text,
                           att_gate *g);
/* Items that a kernel which claims to be exact hit and now misses by more than a tie. */
bool att_gate_flips(const att_gate_ask *ask, const att_record *r, const att_baseline_run *was,
                    att_gate *g);

/* Step 4 over all cases: fills findings from pairs (one an id that has items on both sides). */
bool att_gate_pairs(const att_gate_ask *ask, att_gate_pair *pairs, size_t n, att_gate *g);
/* What kernels declare now and did. */
bool att_gate_declarations(const att_gate_ask *ask, att_gate *g);
/* Entries from findings. */
bool att_gate_group(const att_gate_ask *ask, att_gate *g);

#endif
