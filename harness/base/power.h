/* SPDX-License-Identifier: Apache-2.0 */
/* How many items a paired question needs, and what a number of items can find. */
#ifndef ATT_POWER_H
#define ATT_POWER_H

#include <stdint.h>

/* The probability that n paired items give att_mcnemar_worse <= level where an item is lost with
 * probability `loss` and won with probability `win` (exact: a sum over discordant pairs). */
double att_mcnemar_power(int64_t n, double loss, double win, double level);

/* The fewest items with that probability >= power; -1 where 10 million are too few. */
int64_t att_mcnemar_items(double loss, double win, double level, double power);

/* The smallest true loss (loss minus win, as a share of the items) that n items find with
 * probability `power`; NAN where they find none. */
double att_mcnemar_detectable(int64_t n, double win, double level, double power);

/* How many items it takes until the lower bound of the paired difference (core/paired.h) lies above
 * -margin with probability `power`, where `loss` and `win` are the shares of discordant items and
 * `effect` the design effect of their contexts; -1 where the difference itself lies below. */
int64_t att_margin_items(double margin, double loss, double win, double effect, double confidence,
                         double power);

#endif
