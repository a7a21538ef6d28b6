/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors whose offsets pass 2^31 and 2^32: rows far apart in reserved address space, decoys where
 * an offset kept in 32 bits would land. */
#ifndef ATT_PARITY_FAR_H
#define ATT_PARITY_FAR_H

#include "attn.h"
#include "base/far.h"
#include "base/mem.h"
#include "base/rng.h"
#include "evals/numeric/parity.h"

/* How an offset loses its upper half: of what, and in which unit and type it is kept. */
typedef enum parity_wrap_way {
    PARITY_WRAP_SUM,    /* the whole offset */
    PARITY_WRAP_ROW,    /* the product of the last but one dimension */
    PARITY_WRAP_EACH,   /* every product by itself */
    PARITY_WRAP_STRIDE, /* the strides */
} parity_wrap_way;

typedef struct parity_wrap {
    parity_wrap_way way;
    bool has_sign, bytes;
    const char *text;
} parity_wrap;

#define PARITY_WRAPS 16
extern const parity_wrap parity_wraps[PARITY_WRAPS];

/* Where row (i0,i1,i2) of t begins for whoever keeps offsets that way, in bytes from t's data. */
int64_t parity_wrapped(const att_tensor *t, const parity_wrap *w, const int64_t row[3]);

/* One far tensor. */
struct parity_far {
    att_far memory;
    att_tensor t;
    int64_t (*row)[3]; /* [rows] those that are memory */
    int64_t rows;
};

/* Is tensor `what` of the case far?  K and V are, where kv is. */
bool parity_is_far(const parity_spec *s, const char *what);
/* What forbids the case; NULL = nothing. */
const char *parity_far_nonsense(const parity_spec *s);
/* Rows 2^apart elements and a little apart. */
parity_shape parity_far_shape(const parity_spec *s, int64_t n0, int64_t n1, int64_t n2, int64_t n3);
/* The least distance, in page numbers, of two pages of the pool that are used. */
int64_t parity_far_pages(const parity_spec *s);

/* Reserves and opens the rows, all of them where `row` is NULL (else the caller's, from malloc,
 * owned from now on) and what their wrapped offsets would touch; false: no memory. */
bool parity_far_make(parity_far *far, const parity_shape *shape, int32_t dtype, att_placement place,
                     int64_t (*row)[3], int64_t rows);
/* Once the rows are written: numbers of their own where wrapped offsets land. */
void parity_far_decoys(parity_far *far, att_rng *rng);
/* What is read of a row at its wrapped offset, n elements; false: a place that traps. */
bool parity_far_read(const parity_far *far, const parity_wrap *w, const int64_t row[3], int64_t n,
                     double *to);
/* Does any row's offset change? */
bool parity_far_wraps(const parity_far *far, const parity_wrap *w);
void parity_far_drop(parity_far *far);

#endif
