/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of a run: how it is named, and what is written into it at the end. */
#ifndef ATT_CLI_RUN_FOLDER_H
#define ATT_CLI_RUN_FOLDER_H

#include "cli.h"
#include "core/result.h"

/* Makes BASE/<UTC>-<sha8 of the plan> into out[size].  IO. */
att_status att_run_folder_make(const char *base, const char *hash, char *out, size_t size,
                               att_why *why);
/* Points the link BASE/latest at a folder in BASE; a run without it is whole. */
void att_run_folder_latest(const char *base, const char *folder);

/* result.json, every report, then DONE; a report that can't be drawn here is left out and said.
 * IO. */
att_status att_run_folder_fill(const att_cli *cli, const att_result *result, const char *folder,
                               att_why *why);

/* What a run ends with on stdout: counts, exit code, folder; as one JSON object if `json`. */
void att_run_print_summary(const att_result *result, const char *folder, int code, bool json);

#endif
