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
    double memory;   /* bytes of address space, reservations apart; 0 = no limit */
    bool open;       /* guards let everything through (att_guard_open) */
} att_pool_command;

/* exec's a worker (never a fork that goes on: BLAS threads don't survive one). */
att_status att_pool_start(const att_pool_command *command, att_pool_worker *out, att_why *why);
/* Seconds of processor time that it has used, all threads together; 0 where that can't be told. */
double att_pool_worked(const att_pool_worker *w);
/* After more than `most` seconds without a word: does it hang?  Not while one of its threads would
 * run if others let it, and it has not worked for `most` seconds since `worked`; a machine may be
 * as busy as it likes. */
bool att_pool_hangs(const att_pool_worker *w, double worked, double most, double silent);
/* Ends the worker: by SIGKILL, or (gently) by closing its pipe.  *status as of waitpid. */
void att_pool_stop(att_pool_worker *w, bool kill_it, int *status);

#endif
