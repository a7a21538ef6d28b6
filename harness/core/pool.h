/* SPDX-License-Identifier: Apache-2.0 */
/* Worker processes seen from the coordinator: start, lease a case, hear of it, kill. */
#ifndef ATT_POOL_H
#define ATT_POOL_H

#include <stdbool.h>
#include <sys/types.h>

#include "attn.h"
#include "base/why.h"

typedef struct att_pool_worker {
    pid_t pid;   /* 0 = not running */
    int in, out; /* we write lines to `in`, read answers from `out` */
} att_pool_worker;

typedef struct att_pool_command {
    const char *self;  /* this binary */
    const char *model; /* NULL = none */
    const char *datasets;
    const char *log; /* what workers and kernels print goes here */
    double memory;   /* bytes of address space; 0 = no limit */
} att_pool_command;

/* exec's a worker (never a fork that goes on: BLAS threads don't survive one). */
att_status att_pool_start(const att_pool_command *command, att_pool_worker *out, att_why *why);
/* Ends the worker: by SIGKILL, or (gently) by closing its pipe.  *status as of waitpid. */
void att_pool_stop(att_pool_worker *w, bool kill_it, int *status);

#endif
