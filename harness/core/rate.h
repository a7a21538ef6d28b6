/* SPDX-License-Identifier: Apache-2.0 */
/* The share of hits among items of several records, with an interval that knows of contexts. */
#ifndef ATT_RATE_H
#define ATT_RATE_H

#include <stdbool.h>

#include "base/stats.h"
#include "core/result.h"

/* Zero-initialise; att_hits_drop frees. */
typedef struct att_hits {
    uint8_t *hit;
    int32_t *cluster;
    size_t n, room;
    int64_t hits;
    int32_t next;  /* the first cluster number that no record has taken */
    double chance; /* the largest of the records' */
} att_hits;

/* Adds all items of a record; its contexts are those of no other.  false: no memory. */
bool att_hits_add(att_hits *h, const att_record *r);
/* NAN where there are none. */
double att_hits_share(const att_hits *h);
/* Wilson's on the effective number of items (design effect of shared contexts). */
att_interval att_hits_interval(const att_hits *h, double confidence);
void att_hits_drop(att_hits *h);

#endif
