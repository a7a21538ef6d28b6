/* SPDX-License-Identifier: Apache-2.0 */
/* attest report: writes the reports of a run again, from its result.json alone. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli.h"

typedef struct options {
    const char *only;
} options;

static const att_option table[] = {
    {"only", ATT_OPTION_TEXT, offsetof(options, only), "FORMAT", NULL,
     "one format, not all; csv and ndjson (one case a line) are written only so"},
    {.name = NULL}};

extern const att_verb att_verb_report;

static const att_writer *find(const att_writer *const *writers, const char *name)
{
    for (; *writers; writers++)
        if (strcmp((*writers)->name, name) == 0)
            return *writers;
    return NULL;
}

static int no_writer(const att_cli *cli, const char *name)
{
    att_buf names = {0};

    for (const att_writer *const *w = cli->writers; *w; w++)
        att_buf_printf(&names, " %s", (*w)->name);
    int code = att_usage(&att_verb_report, "no format %s; there are:%s", name,
                         names.failed || !names.data ? "" : names.data);
    att_buf_drop(&names);
    return code;
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {0};
    int first = 0, code = att_options_read(&att_verb_report, argc, argv, &o, &first);
    att_buf path = {0};
    att_result result = {0};
    att_why why = {""};

    if (code >= 0)
        return code;
    if (argc - first > 1)
        return att_usage(&att_verb_report, "one run directory, not %d", argc - first);
    if (o.only && !find(cli->writers, o.only))
        return no_writer(cli, o.only);
    const char *dir = first < argc ? argv[first] : "runs/latest";
    att_buf_printf(&path, "%s/result.json", dir);
    att_status status = path.failed ? ATT_NO_MEMORY : att_result_read(path.data, &result, &why);
    code = status == ATT_OK ? ATT_EXIT_PASS : att_exit_of(status);
    if (status != ATT_OK)
        fprintf(stderr, "attest report: %s\n", why.text);
    for (const att_writer *const *w = cli->writers; status == ATT_OK && *w; w++) {
        if (o.only ? strcmp((*w)->name, o.only) != 0 : (*w)->asked)
            continue;
        att_status wrote = (*w)->write(&result, dir, &why);
        if (wrote == ATT_OK)
            printf("%s/%s\n", dir, (*w)->file);
        else
            fprintf(stderr, "attest report: %s: %s\n", (*w)->name, why.text);
        /* A missing drawing program loses no result. */
        if (wrote != ATT_OK && wrote != ATT_UNSUPPORTED)
            code = att_exit_worse(code, ATT_EXIT_INCOMPLETE);
    }
    att_result_clear(&result);
    att_buf_drop(&path);
    return code;
}

const att_verb att_verb_report = {.name = "report",
                                  .operands = "[RUNDIR]",
                                  .summary = "write a run's reports again from its result.json",
                                  .options = table,
                                  .run = run};
