/* SPDX-License-Identifier: Apache-2.0 */
#include "second_look.h"

#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "core/record.h"
#include "core/wire.h"

#define PATIENCE 5.0 /* seconds */

/* The answer of a worker to a line, NULL where none comes in time. */
static char *await(att_pool_worker *w, const char *line)
{
    const double until = att_clock_now() + PATIENCE;
    char *text = NULL;
    size_t length = 0;

    if (att_wire_send(w->in, line, strlen(line)) != ATT_OK)
        return NULL;
    for (;;) {
        struct pollfd fd = {w->out, POLLIN, 0};
        const double left = until - att_clock_now();
        if (left <= 0 || poll(&fd, 1, (int)(left * 1000)) <= 0 ||
            att_wire_receive(w->out, &text, &length) != ATT_OK)
            return NULL;
        if (strcmp(text, "start") != 0)
            return text;
        free(text);
    }
}

void att_second_look(const att_pool_command *command, const char *line, att_record *r)
{
    att_pool_command open = *command;
    att_pool_worker w = {0};
    att_record other = {.chance = (double)NAN};
    cJSON *json = NULL;
    int status;

    open.open = true;
    if (att_pool_start(&open, &w, NULL) != ATT_OK)
        return;
    char *text = await(&w, line);
    att_pool_stop(&w, true, &status);
    if (text && att_json_parse(text, strlen(text), "worker", &json, NULL) == ATT_OK &&
        att_record_parse(json, &other, NULL) == ATT_OK) {
        r->diagnoses = other.diagnoses;
        r->n_diagnoses = other.n_diagnoses;
        other.diagnoses = NULL;
        other.n_diagnoses = 0;
    }
    att_record_clear(&other);
    cJSON_Delete(json);
    free(text);
}
