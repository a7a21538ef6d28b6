/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs.  One file a verb, `cmd_<verb>.c`, whose last definition is `const att_verb
 * att_verb_<verb>`, and one row in verbs.def.  A verb's options are one table: parsing, --help and
 * nearest-name suggestions come from it.  Data to stdout, everything else to stderr. */
#ifndef ATT_CLI_H
#define ATT_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/eval.h"
#include "core/exit.h"
#include "core/writer.h"
#include "kernels/table.h"

/* What main hands to a verb. */
typedef struct att_cli {
    const char *self; /* path of this binary, to start workers from */
    const att_kernel_tables *kernels;
    const att_eval *const *evals;
    const att_writer *const *writers;
} att_cli;

typedef enum att_option_type {
    ATT_OPTION_FLAG = 0, /* bool */
    ATT_OPTION_TEXT,     /* const char * */
    ATT_OPTION_INT,      /* int64_t, within domain "lo:hi" */
    ATT_OPTION_REAL,     /* double, within domain */
    ATT_OPTION_LIST      /* att_list: may be given several times */
} att_option_type;

typedef struct att_list {
    const char *at[64];
    size_t n;
} att_list;

/* One option; its value goes to `offset` of the verb's own struct, which holds the defaults. */
typedef struct att_option {
    const char *name; /* without "--"; NULL ends the table */
    att_option_type type;
    size_t offset;
    const char *argument; /* how --help calls the value: "FILE"; NULL for a flag */
    const char *domain;   /* INT, REAL: "lo:hi", NULL = any */
    const char *help;     /* one line */
} att_option;

typedef struct att_verb {
    const char *name;
    const char *operands; /* "CASE", "NAME...", "" */
    const char *summary;
    const att_option *options; /* NULL = none beside --help */
    int (*run)(const att_cli *cli, int argc,
               char **argv); /* argv[0] = the verb; returns the exit code */
    bool hidden;             /* not listed by --help */
} att_verb;

/* Every verb, in the order of verbs.def; NULL at the end. */
extern const att_verb *const att_verbs[];

/* Reads the options of argv into *into; operands stay at argv[*first] and after.  Returns -1 to go
 * on, or the exit code after --help or a usage error (already printed). */
int att_options_read(const att_verb *verb, int argc, char **argv, void *into, int *first);

/* "attest VERB: message" to stderr; returns ATT_EXIT_USAGE. */
int att_usage(const att_verb *verb, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
