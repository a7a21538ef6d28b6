/* SPDX-License-Identifier: Apache-2.0 */
/* A report format: one file, one `const att_writer att_writer_<stem>` at its end, one row in
 * reports/writers.def.  It prints what a result holds; it neither measures nor judges. */
#ifndef ATT_WRITER_H
#define ATT_WRITER_H

#include "core/result.h"

typedef struct att_writer {
    const char *name; /* "junit" */
    const char *file; /* what it leaves in the run directory: "junit.xml", "plots" */
    bool asked;       /* written only by `attest report --only`, not by each run */
    /* Writes dir/file (through a temporary file).  IO, with the path, where it can't. */
    att_status (*write)(const att_result *result, const char *dir, att_why *why);
} att_writer;

#endif
