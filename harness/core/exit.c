/* SPDX-License-Identifier: Apache-2.0 */
#include "exit.h"

#include <stddef.h>

const att_exit_row att_exit_rows[] = {
    {ATT_EXIT_PASS, "every contract holds (never with zero cases)"},
    {ATT_EXIT_FAIL, "a contract failed; a kernel's crash, timeout or NaN too"},
    {ATT_EXIT_USAGE, "usage: an unknown name or flag, a plugin that does not load"},
    {ATT_EXIT_INCONCLUSIVE, "inconclusive: a required cell with too few items"},
    {ATT_EXIT_NOTHING, "no case ended pass or fail"},
    {ATT_EXIT_INCOMPLETE, "incomplete: a case lost, an output that can't be written"},
    {ATT_EXIT_CORRUPT, "a corrupt or lying input"},
    {ATT_EXIT_INTERRUPT, "interrupted (SIGINT); --resume goes on"},
    {ATT_EXIT_TERMINATED, "terminated (SIGTERM); --resume goes on"},
    {ATT_EXIT_PASS, NULL}};

int att_exit_worse(int a, int b)
{
    static const int order[] = {ATT_EXIT_PASS,    ATT_EXIT_INCONCLUSIVE, ATT_EXIT_FAIL,
                                ATT_EXIT_NOTHING, ATT_EXIT_INCOMPLETE,   ATT_EXIT_CORRUPT,
                                ATT_EXIT_USAGE,   ATT_EXIT_INTERRUPT,    ATT_EXIT_TERMINATED};
    int at_a = -1, at_b = -1;

    for (int i = 0; i < (int)(sizeof order / sizeof *order); i++) {
        if (order[i] == a)
            at_a = i;
        if (order[i] == b)
            at_b = i;
    }
    return at_b > at_a ? b : a;
}

int att_exit_of(att_status status)
{
    static const int codes[] = {
        [ATT_OK] = ATT_EXIT_PASS,         [ATT_UNSUPPORTED] = ATT_EXIT_NOTHING,
        [ATT_INVALID] = ATT_EXIT_USAGE,   [ATT_NO_MEMORY] = ATT_EXIT_INCOMPLETE,
        [ATT_FAILED] = ATT_EXIT_FAIL,     [ATT_IO] = ATT_EXIT_INCOMPLETE,
        [ATT_CORRUPT] = ATT_EXIT_CORRUPT,
    };

    if ((size_t)status >= sizeof codes / sizeof *codes)
        return ATT_EXIT_FAIL;
    return codes[status];
}
