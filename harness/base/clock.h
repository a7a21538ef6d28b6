/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ATT_CLOCK_H
#define ATT_CLOCK_H

/* Seconds of the monotonic clock. */
double att_clock_now(void);
/* Now as "20261124T040000Z" into out[17]. */
void att_clock_stamp(char out[17]);

#endif
