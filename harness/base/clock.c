/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"

#include <time.h>

double att_clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void att_clock_stamp(char out[17])
{
    time_t now = time(NULL);
    struct tm utc;

    gmtime_r(&now, &utc);
    if (strftime(out, 17, "%Y%m%dT%H%M%SZ", &utc) != 16)
        out[0] = '\0';
}
