/* SPDX-License-Identifier: Apache-2.0 */
/* attest worker: what `run` starts for each processor; messages on descriptors 3 (in) and 4 (out).
 */
#include "cli.h"

#include <stdio.h>

#include "base/mem.h"
#include "core/host.h"
#include "core/worker.h"
#include "tables.h"

typedef struct options {
    const char *model, *datasets;
    int64_t threads;
    bool open;
} options;

static const att_option table[] = {
    {"model", ATT_OPTION_TEXT, offsetof(options, model), "FILE", NULL, "the GGUF model"},
    {"datasets", ATT_OPTION_TEXT, offsetof(options, datasets), "DIR", NULL, "the datasets folder"},
    {"threads", ATT_OPTION_INT, offsetof(options, threads), "N", "1:256", "threads of the host"},
    {"open", ATT_OPTION_FLAG, offsetof(options, open), NULL, NULL,
     "guards let everything through and count it"},
    {0}};

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {NULL, "datasets", 1, false};
    att_host host;
    int first = 0, code = att_options_read(&att_verb_worker, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (o.open)
        att_guard_open();
    if (att_host_make((int)o.threads, &host) != ATT_OK) {
        fputs("attest worker: no memory for threads\n", stderr);
        return ATT_EXIT_INCOMPLETE;
    }
    att_tables tables = att_cli_tables(cli);
    att_options shared = {o.model, o.datasets};
    code = att_worker_serve(&tables, &shared, &host, 3, 4);
    att_host_drop(&host);
    return code;
}

const att_verb att_verb_worker = {"worker", "",  "measure cases leased over a pipe",
                                  table,    run, true};
