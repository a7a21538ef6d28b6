/* SPDX-License-Identifier: Apache-2.0 */
/* attest merge: the shards of a run as one run directory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "core/shard_merge.h"
#include "core/verdict.h"
#include "gate/compare.h"
#include "run_folder.h"
#include "session.h"
#include "tables.h"

typedef struct options {
    const char *out;
    bool mixed, json;
} options;

static const att_option table[] = {
    {"out", ATT_OPTION_TEXT, offsetof(options, out), "DIR", NULL, "where runs go; default: runs"},
    {"mixed-builds", ATT_OPTION_FLAG, offsetof(options, mixed), NULL, NULL,
     "shards of several builds of attest or a plugin may be merged"},
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "the summary as JSON"},
    {0}};

extern const att_verb att_verb_merge;

/* Everything into a new folder; the link to it last, so that it never leads to half a run. */
static att_status write_run(const att_cli *cli, const options *o, att_registry *registry,
                            att_shards *merge, att_result *result, char *folder, size_t size,
                            att_why *why)
{
    char path[4200];
    att_status status = att_run_folder_make(o->out, merge->whole.hash, folder, size, why);

    if (status != ATT_OK)
        return status;
    snprintf(path, sizeof path, "%s/run.db", folder);
    status = att_shards_fill(merge, registry, path, result, why);
    if (status == ATT_OK && !(result->run_id = strdup(strrchr(folder, '/') + 1)))
        status = ATT_NO_MEMORY;
    if (status == ATT_OK)
        status = att_compare_fill(result, ATT_VERDICT_DENSE, why);
    snprintf(path, sizeof path, "%s/plan.json", folder);
    if (status == ATT_OK)
        status = att_plan_file_write(&merge->whole, path, why);
    if (status == ATT_OK)
        status = att_run_folder_fill(cli, result, folder, why);
    if (status == ATT_OK)
        att_run_folder_latest(o->out, folder);
    return status;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {.out = "runs"};
    att_shards merge = {0};
    att_result result = {0};
    att_registry *registry = NULL;
    att_why why = {""};
    char folder[4096] = "";
    int first = 0, code = att_options_read(&att_verb_merge, argc, argv, &o, &first);

    if (code >= 0)
        return code;
    if (first == argc)
        return att_usage(&att_verb_merge, "which run directories?");
    const att_tables tables = att_cli_tables(cli);
    const att_plugin_source plugins = att_cli_plugins(cli);
    att_status status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK)
        status = att_shards_open((const char *const *)argv + first, (size_t)(argc - first), o.mixed,
                                 &merge, &why);
    if (status == ATT_OK)
        status = write_run(cli, &o, registry, &merge, &result, folder, sizeof folder, &why);
    code = status == ATT_OK ? att_verdict_exit(&result, 0) : att_exit_of(status);
    if (status == ATT_OK)
        att_run_print_summary(&result, folder, code, o.json);
    else
        fprintf(stderr, "attest merge: %s\n", why.text);
    att_result_clear(&result);
    att_shards_drop(&merge);
    att_registry_drop(registry);
    return code;
}

const att_verb att_verb_merge = {.name = "merge",
                                 .operands = "RUNDIR...",
                                 .summary = "make one run of the shards of a plan",
                                 .options = table,
                                 .run = run};
