/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the harness is: cases a second over a fixed list, and where the time goes. */
#ifndef ATT_CLI_BENCH_CASES_H
#define ATT_CLI_BENCH_CASES_H

#include "cli.h"

/* Measures the cases of the list at `path` (core/plan.h) in one worker a processor, as `attest run`
 * does but for the journal, three times; prints the fastest.  Returns an exit code: not 0 where a
 * case did not pass, since a time over cases that ended early says nothing. */
int att_bench_cases(const att_cli *cli, const char *path, bool json);

#endif
