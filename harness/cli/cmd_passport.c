/* SPDX-License-Identifier: Apache-2.0 */
/* attest passport: what a run's verdict on one kernel covers, and what it does not. */
#include <stdio.h>

#include "base/str.h"
#include "cli.h"
#include "passport.h"
#include "session.h"
#include "tables.h"

typedef struct options {
    bool json;
} options;

static const att_option table[] = {
    {"json", ATT_OPTION_FLAG, offsetof(options, json), NULL, NULL, "one object on stdout"},
    {.name = NULL}};

extern const att_verb att_verb_passport;

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {0};
    int first = 0, code = att_options_read(&att_verb_passport, argc, argv, &o, &first);
    att_registry *registry = NULL;
    att_passport passport = {0};
    att_result result = {0};
    att_buf path = {0};
    att_why why = {""};

    if (code >= 0)
        return code;
    if (argc - first < 1 || argc - first > 2)
        return att_usage(&att_verb_passport, "one kernel, and a run directory or none");
    att_tables tables = att_cli_tables(cli);
    att_plugin_source plugins = att_cli_plugins(cli);
    att_buf_printf(&path, "%s/result.json", argc - first > 1 ? argv[first + 1] : "runs/latest");
    att_status status = path.failed ? ATT_NO_MEMORY : att_result_read(path.data, &result, &why);
    if (status == ATT_OK)
        status = att_registry_make(&tables, &plugins, &registry, &why);
    if (status == ATT_OK)
        status = att_passport_make(registry, &result, argv[first], &passport, &why);
    if (status == ATT_OK && o.json)
        att_passport_print_json(&passport);
    else if (status == ATT_OK)
        att_passport_print_text(&passport);
    else
        fprintf(stderr, "attest passport: %s\n", why.text);
    att_passport_drop(&passport);
    att_result_clear(&result);
    att_registry_drop(registry);
    att_buf_drop(&path);
    return status == ATT_OK ? ATT_EXIT_PASS : att_exit_of(status);
}

const att_verb att_verb_passport = {.name = "passport",
                                    .operands = "KERNEL [RUNDIR]",
                                    .summary = "what a run's verdict on a kernel covers",
                                    .options = table,
                                    .run = run};
