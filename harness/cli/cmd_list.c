/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

static void list_kernels(const att_kernel *const *table)
{
    for (; *table; table++)
        printf("%-20s %-8s %s\n", (*table)->name, (*table)->family, (*table)->summary);
}

extern const att_verb att_verb_list;

static int run(const att_cli *cli, int argc, char **argv)
{
    int first = 0, code = att_options_read(&att_verb_list, argc, argv, NULL, &first);

    if (code >= 0)
        return code;
    const char *what = first < argc ? argv[first] : "kernels";
    if (strcmp(what, "kernels") == 0)
        list_kernels(cli->kernels->kernels);
    else if (strcmp(what, "zoo") == 0)
        list_kernels(cli->kernels->zoo);
    else if (strcmp(what, "evals") == 0)
        for (const att_eval *const *e = cli->evals; *e; e++)
            printf("%-20s %s\n", (*e)->name, (*e)->summary);
    else
        return att_usage(&att_verb_list, "unknown table %s; kernels, evals or zoo", what);
    return ATT_EXIT_PASS;
}

const att_verb att_verb_list = {
    .name = "list", .operands = "[kernels|evals|zoo]", .summary = "what there is", .run = run};
