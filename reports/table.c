/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#define ATT_WRITER(x) extern const att_writer att_writer_##x;
#include "writers.def"
#undef ATT_WRITER

#define ATT_WRITER(x) &att_writer_##x,
const att_writer *const att_writers[] = {
#include "writers.def"
    NULL};
