/* SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "core/exit.h"
#include "core/plugin_so.h"
#include "core/record.h"
#include "core/wire.h"

static att_status answer(int out, const att_record *record)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);

    if (!f)
        return ATT_NO_MEMORY;
    att_record_print(record, f);
    att_status status = fclose(f) == 0 ? att_wire_send(out, text, length) : ATT_NO_MEMORY;
    free(text);
    return status;
}

/* A line that does not parse here parsed in the coordinator: a plugin changed under us. */
static void refuse(att_record *record, const char *line, const char *text)
{
    record->line = strdup(line);
    record->id = strdup(line);
    record->measure = strdup("");
    record->kernel = strdup("");
    record->params = strdup("");
    record->status = ATT_ERROR;
    record->reason = strdup(text);
    record->chance = (double)NAN;
}

int att_worker_serve(const att_tables *tables, const att_options *options, const att_host *host,
                     int in, int out)
{
    att_registry *registry = NULL;
    att_shelf shelf = {0};
    att_why why = {""};
    char *line = NULL;
    size_t length;
    att_status status = att_registry_make(tables, &att_plugin_loader, &registry, &why);

    if (status != ATT_OK) {
        fprintf(stderr, "worker: %s\n", why.text);
        return att_exit_of(status);
    }
    while (status == ATT_OK && att_wire_receive(in, &line, &length) == ATT_OK) {
        att_record record = {.chance = (double)NAN};
        att_case *c = NULL;
        struct rusage use;
        status = att_wire_send(out, "start", 5);
        if (att_case_parse(registry, line, &c, &why) == ATT_OK)
            att_ctx_measure(registry, c, host, options, &shelf, &record);
        else
            refuse(&record, line, why.text);
        if (record.status != ATT_HOLE && getrusage(RUSAGE_SELF, &use) == 0)
            record.peak_bytes = (int64_t)use.ru_maxrss * 1024;
        if (status == ATT_OK)
            status = answer(out, &record);
        att_record_clear(&record);
        att_case_drop(c);
        free(line);
    }
    att_shelf_keep(&shelf, NULL);
    att_registry_drop(registry);
    return status == ATT_OK ? ATT_EXIT_PASS : ATT_EXIT_INCOMPLETE;
}
