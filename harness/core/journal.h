/* SPDX-License-Identifier: Apache-2.0 */
/* The journal of a run: one row a case in SQLite (run.db), so that what was measured outlives a
 * crash of the machine.  One process writes, the coordinator. */
#ifndef ATT_JOURNAL_H
#define ATT_JOURNAL_H

#include <stdbool.h>

#include "base/why.h"
#include "core/result.h"

typedef struct att_journal att_journal;

/* resume: opens what is there (or makes it), CORRUPT where its integrity check fails or a row
 * is not what was written.  Otherwise
 * the file is made anew.  IO where it can't be made or another process holds it.  stamp: builds and
 * environment; a row belongs to its case's line and to the stamp it was put under. */
att_status att_journal_open(const char *path, bool resume, const char *stamp, att_journal **out,
                            att_why *why);

/* Opens a journal that is not written any more, to read rows of; nothing beside it is made or
 * changed.  IO where it can't be read, or was not closed: a run is writing it, or was killed. */
att_status att_journal_read(const char *path, const char *stamp, att_journal **out, att_why *why);

/* Adds a row.  Rows are committed together, at most 200 ms or 256 rows after the first of them.
 * INVALID for a line that is there under the stamp: nothing runs twice.  base: what the reader will
 * know of the case (att_record_print_beside); NULL = nothing. */
att_status att_journal_put(att_journal *j, const char *line, const att_record *base,
                           const att_record *r, att_why *why);
/* Commits if 200 ms have passed since the first row that is not committed: call it while waiting.
 */
att_status att_journal_tick(att_journal *j, att_why *why);
/* Commits now. */
att_status att_journal_flush(att_journal *j, att_why *why);

/* The row of a line, beside the base it was put beside; *found says whether there is one.  CORRUPT
 * for a damaged row. */
att_status att_journal_get(att_journal *j, const char *line, const att_record *base,
                           att_record *out, bool *found, att_why *why);

/* Rows, those not yet committed too. */
int64_t att_journal_count(const att_journal *j);

/* Commits (as far as it can: flush first to hear of a failure) and closes.  NULL is fine. */
void att_journal_close(att_journal *j);

#endif
