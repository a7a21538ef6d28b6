/* SPDX-License-Identifier: Apache-2.0 */
/* Why something failed, in words a user can act on.  The caller owns the buffer; a function that
 * returns a status other than ATT_OK has filled it (file and place first, then what is wrong). */
#ifndef ATT_WHY_H
#define ATT_WHY_H

#include <stdarg.h>
#include <stdio.h>

typedef struct att_why {
    char text[512];
} att_why;

/* printf into why (which may be NULL); text that does not fit is cut. */
static inline void att_why_set(att_why *why, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static inline void att_why_set(att_why *why, const char *format, ...)
{
    if (!why)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
}

#endif
