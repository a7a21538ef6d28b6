/* SPDX-License-Identifier: Apache-2.0 */
/* The suites of a checkout: ci/suites/NAME.json. */
#ifndef ATT_SUITES_H
#define ATT_SUITES_H

#include "base/json.h"

#define ATT_SUITES_FOLDER "ci/suites"

/* Names in order; *names and each of them free()d by the caller.  IO where there is no such folder.
 */
att_status att_suites_list(char ***names, size_t *n, att_why *why);
/* A suite's JSON; *json: cJSON_Delete it. */
att_status att_suites_read(const char *name, cJSON **json, att_why *why);

#endif
