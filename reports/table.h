/* SPDX-License-Identifier: Apache-2.0 */
/* The report formats, expanded from writers.def; ends with NULL. */
#ifndef ATT_REPORTS_TABLE_H
#define ATT_REPORTS_TABLE_H

#include "core/writer.h"

extern const att_writer *const att_writers[];

#endif
