/* SPDX-License-Identifier: Apache-2.0 */
/* A case that crashed at a guard is measured again in a worker whose guards let everything through,
 * only to learn what the dictionary of faults makes of it. */
#ifndef ATT_SECOND_LOOK_H
#define ATT_SECOND_LOOK_H

#include "core/pool.h"
#include "core/result.h"

/* Takes the diagnoses of that second run into *r, which has none yet; it stays as it is where there
 * is no answer within a few seconds. */
void att_second_look(const att_pool_command *command, const char *line, att_record *r);

#endif
