/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "core/ctx_own.h"
#include "core/declare.h"
#include "core/journal.h"
#include "core/record.h"
#include "core/second_look.h"
#include "core/verdict.h"
#include "core/wire.h"

#define WORKERS_MOST 64
#define SECOND_LOOKS 8 /* crashes of a kernel that are looked into */

/* A case may take this long before its worker counts as hung: loading a model may be part of it. */
static double patience(const att_run_options *o, const att_case *c)
{
    const double grace = o->grace > 0 ? o->grace : c->eval->grace > 0 ? c->eval->grace : 30;

    return o->timeout > 0 ? o->timeout : grace + 20 * c->seconds;
}

/* A kernel that crashed or hung. */
typedef struct fallen {
    const char *kernel; /* its text, of the plan */
    int deaths;
} fallen;

typedef struct lane {
    att_pool_worker w;
    size_t next, end; /* the leased cases that are left: next is being measured, if busy */
    bool busy, started;
    bool used;            /* a kernel ran in its worker */
    double since, worked; /* the clock, and its worker's processor time, when it was asked */
} lane;

typedef struct runner {
    const att_run_plan *plan;
    const att_run_options *o;
    att_result *result;
    att_journal *journal;
    lane lanes[WORKERS_MOST];
    size_t queue; /* the first case no lane has */
    size_t done, told;
    double *spent; /* seconds a row */
    double begin;
    fallen *fallen;
    size_t n_fallen;
} runner;

/* Set by the signal handler alone; a process-wide signal has no other place to go. */
static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

static void tell(runner *x)
{
    double now = att_clock_now() - x->begin;
    size_t n = x->plan->n, tenth = n ? x->done * 10 / n : 10;
    bool terminal = isatty(2) && !getenv("CI");

    if (x->o->quiet || n == 0)
        return;
    double left = x->done ? now * (double)(n - x->done) / (double)x->done : 0;
    if (terminal) {
        int full = (int)(x->done * 30 / n);
        fprintf(stderr, "\r[%.*s%*s] %zu/%zu  %.0f s left   ", full,
                "##############################", 30 - full, "", x->done, n, left);
        if (x->done == n)
            fputc('\n', stderr);
    } else if (tenth > x->told) {
        x->told = tenth;
        fprintf(stderr, "%zu%%  %zu of %zu cases, %.0f s, about %.0f s left\n", tenth * 10, x->done,
                n, now, left);
    }
}

/* Takes a finished record into its place, journals and counts it. */
static att_status finish(runner *x, size_t i, att_record *r, bool journaled, att_why *why)
{
    const att_planned *p = &x->plan->cases[i];
    att_status status = ATT_OK;

    r->required = p->required;
    if (!journaled && x->journal) {
        att_record base;
        status = att_record_base(&base, p->c)
                     ? att_journal_put(x->journal, p->c->line, &base, r, why)
                     : ATT_NO_MEMORY;
        att_record_clear(&base);
    }
    att_verdict_case(p->c->eval, r);
    x->spent[p->row] += r->seconds;
    x->result->records[i] = *r;
    x->done++;
    tell(x);
    return status;
}

/* A case that ended without a record of its own; `r` may hold what is to be said of it. */
static att_status finish_with(runner *x, size_t i, att_record *r, att_outcome outcome, int number,
                              const char *reason, double seconds, att_why *why)
{
    if (!att_record_identify(r, x->plan->cases[i].c))
        return ATT_NO_MEMORY;
    r->status = outcome;
    r->signal = number;
    r->reason = strdup(reason);
    r->seconds = seconds;
    return finish(x, i, r, outcome == ATT_NOT_RUN, why);
}

static att_status finish_dead(runner *x, size_t i, att_outcome outcome, int number,
                              const char *reason, double seconds, att_why *why)
{
    att_record r = {.chance = (double)NAN};

    return finish_with(x, i, &r, outcome, number, reason, seconds, why);
}

/* The kernel's entry; NULL if it never crashed or hung. */
static fallen *fallen_of(const runner *x, const char *kernel)
{
    for (size_t i = 0; i < x->n_fallen; i++)
        if (strcmp(x->fallen[i].kernel, kernel) == 0)
            return &x->fallen[i];
    return NULL;
}

static att_status count_death(runner *x, const char *kernel)
{
    fallen *f = fallen_of(x, kernel);

    if (!f) {
        fallen *more = realloc(x->fallen, (x->n_fallen + 1) * sizeof *more);
        if (!more)
            return ATT_NO_MEMORY;
        x->fallen = more;
        f = &more[x->n_fallen++];
        *f = (fallen){.kernel = kernel};
    }
    f->deaths++;
    return ATT_OK;
}

/* Is case i's kernel not to be tried again? */
static bool given_up(const runner *x, size_t i)
{
    const fallen *f = x->o->give_up > 0 && x->n_fallen > 0
                          ? fallen_of(x, x->plan->cases[i].c->variant->text)
                          : NULL;

    return f && f->deaths >= x->o->give_up;
}

/* Rows of the journal; false where there is none for case i. */
static att_status recall(runner *x, size_t i, bool *found, att_why *why)
{
    const char *line = x->plan->cases[i].c->line;
    att_record r = {0}, base;

    if (!att_record_base(&base, x->plan->cases[i].c))
        return ATT_NO_MEMORY;
    att_status status = att_journal_get(x->journal, line, &base, &r, found, why);
    att_record_clear(&base);
    return status == ATT_OK && *found ? finish(x, i, &r, true, why) : status;
}

/* The next group: cases [*from, *to) without those that are done or past their row's budget. */
static att_status next_lease(runner *x, lane *l, att_why *why)
{
    const att_run_plan *p = x->plan;

    while (x->queue < p->n && !l->busy) {
        size_t i = x->queue++;
        double budget = p->rows[p->cases[i].row].budget;
        if (x->result->records[i].line)
            continue;
        if (budget > 0 && x->spent[p->cases[i].row] > budget) {
            att_status status =
                finish_dead(x, i, ATT_NOT_RUN, 0, "the row's budget is spent", 0, why);
            if (status != ATT_OK)
                return status;
            continue;
        }
        l->busy = true;
        l->next = i;
        while (x->queue < p->n && !x->result->records[x->queue].line &&
               strcmp(p->cases[x->queue].c->group, p->cases[i].c->group) == 0)
            x->queue++;
        l->end = x->queue;
    }
    return ATT_OK;
}

/* Sends the lane's next case, starting its worker where it has none. */
static att_status send_case(runner *x, lane *l, att_why *why)
{
    const char *line = x->plan->cases[l->next].c->line;
    bool apart = x->plan->cases[l->next].c->eval->apart;
    int ended;

    if (apart && l->used)
        att_pool_stop(&l->w, false, &ended);
    for (int tries = 0; tries < 2; tries++) {
        if (!l->w.pid) {
            att_status status = att_pool_start(&x->o->command, &l->w, why);
            if (status != ATT_OK)
                return status;
            l->used = false;
        }
        l->used |= !apart;
        l->since = att_clock_now();
        l->worked = att_pool_worked(&l->w);
        l->started = false;
        if (att_wire_send(l->w.in, line, strlen(line)) == ATT_OK)
            return ATT_OK;
        int status;
        att_pool_stop(&l->w, true, &status);
    }
    att_why_set(why, "workers die before they take a case; see %s", x->o->command.log);
    return ATT_IO;
}

static att_status advance(runner *x, lane *l, att_why *why)
{
    for (;;) {
        att_status status = ATT_OK;
        if (l->busy && ++l->next == l->end)
            l->busy = false;
        if (!l->busy)
            status = next_lease(x, l, why);
        if (status != ATT_OK || !l->busy)
            return status;
        if (!given_up(x, l->next))
            return send_case(x, l, why);
        status = finish_dead(x, l->next, ATT_NOT_RUN, 0,
                             "the kernel crashed or hung too often to be tried again", 0, why);
        if (status != ATT_OK)
            return status;
    }
}

static void say(att_record *r, const char *fault, const char *text)
{
    r->diagnoses = calloc(1, sizeof *r->diagnoses);
    if (r->diagnoses)
        r->diagnoses[r->n_diagnoses++] =
            (att_diagnosis){.fault = strdup(fault), .text = strdup(text)};
}

/* Is it a memory access, and not one crash of the kernel among many? */
static bool worth_a_look(const runner *x, size_t i, int number)
{
    const fallen *f = fallen_of(x, x->plan->cases[i].c->variant->text);

    return (number == SIGSEGV || number == SIGBUS) && (!f || f->deaths < SECOND_LOOKS);
}

/* The worker ended, or was ended, in the middle of a case. */
static att_status bury(runner *x, lane *l, bool hung, att_why *why)
{
    int status = 0;
    char reason[256];
    double seconds = att_clock_now() - l->since;
    att_record r = {.chance = (double)NAN};

    att_pool_stop(&l->w, hung, &status);
    int number = !hung && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (hung)
        snprintf(reason, sizeof reason, "no answer for %.1f s", seconds);
    else if (number == SIGALRM) { /* by core/watch */
        snprintf(reason, sizeof reason, "deadlock: every thread waits for another");
        say(&r, "deadlock", "every thread waits for another");
        hung = true;
        number = 0;
    } else if (number)
        snprintf(reason, sizeof reason, "killed by signal %d (%s)", number, strsignal(number));
    else
        snprintf(reason, sizeof reason, "the worker exited with %d; see %s", WEXITSTATUS(status),
                 x->o->command.log);
    if (worth_a_look(x, l->next, number))
        att_second_look(&x->o->command, x->plan->cases[l->next].c->line, &r);
    att_status code =
        finish_with(x, l->next, &r, hung ? ATT_TIMEOUT : ATT_CRASH, number, reason, seconds, why);
    if (code == ATT_OK)
        code = count_death(x, x->plan->cases[l->next].c->variant->text);
    return code == ATT_OK ? advance(x, l, why) : code;
}

static att_status hear(runner *x, lane *l, att_why *why)
{
    char *text = NULL;
    size_t length = 0;
    cJSON *json = NULL;
    att_record r = {0};
    att_status status = att_wire_receive(l->w.out, &text, &length);

    if (status == ATT_OK && !l->started && strcmp(text, "start") == 0) {
        l->started = true;
        free(text);
        return ATT_OK;
    }
    if (status == ATT_OK)
        status = att_json_parse(text, length, "worker", &json, why);
    if (status == ATT_OK)
        status = att_record_parse(json, &r, why);
    cJSON_Delete(json);
    free(text);
    if (status != ATT_OK)
        return bury(x, l, false, why);
    status = finish(x, l->next, &r, false, why);
    if (status == ATT_OK && x->o->give_up_on_failure &&
        x->result->records[l->next].status == ATT_FAIL)
        status = count_death(x, x->plan->cases[l->next].c->variant->text);
    return status == ATT_OK ? advance(x, l, why) : status;
}

static bool is_hung(const runner *x, const lane *l)
{
    const double most = patience(x->o, x->plan->cases[l->next].c);
    const double silent = att_clock_now() - l->since;

    return silent > most && att_pool_hangs(&l->w, l->worked, most, silent);
}

/* Waits for any lane at most 50 ms, then looks after those that have been silent too long. */
static att_status turn(runner *x, int workers, att_why *why)
{
    struct pollfd fds[WORKERS_MOST];
    att_status status = ATT_OK;

    for (int k = 0; k < workers; k++)
        fds[k] = (struct pollfd){x->lanes[k].busy ? x->lanes[k].w.out : -1, POLLIN, 0};
    int n = poll(fds, (nfds_t)workers, 50);
    for (int k = 0; k < workers && status == ATT_OK; k++) {
        lane *l = &x->lanes[k];
        if (n > 0 && fds[k].fd >= 0 && fds[k].revents)
            status = hear(x, l, why);
        else if (l->busy && is_hung(x, l))
            status = bury(x, l, true, why);
    }
    if (status == ATT_OK && x->journal)
        status = att_journal_tick(x->journal, why);
    return status;
}

static bool is_busy(const runner *x, int workers)
{
    for (int k = 0; k < workers; k++)
        if (x->lanes[k].busy)
            return true;
    return false;
}

static att_status measure(runner *x, att_why *why)
{
    int workers = x->o->workers < 1              ? 1
                  : x->o->workers > WORKERS_MOST ? WORKERS_MOST
                                                 : x->o->workers;
    att_status status = ATT_OK;
    bool found;
    int ended;

    for (size_t i = 0; x->o->resume && x->journal && i < x->plan->n && status == ATT_OK; i++)
        status = recall(x, i, &found, why);
    for (int k = 0; k < workers && status == ATT_OK; k++)
        status = advance(x, &x->lanes[k], why);
    while (status == ATT_OK && !caught && is_busy(x, workers))
        status = turn(x, workers, why);
    for (int k = 0; k < workers; k++)
        att_pool_stop(&x->lanes[k].w, caught != 0 || status != ATT_OK, &ended);
    for (size_t i = 0; i < x->plan->n && (status == ATT_OK || caught); i++)
        if (!x->result->records[i].line) {
            att_status told = finish_dead(x, i, ATT_NOT_RUN, 0, "the run was interrupted", 0, why);
            status = status == ATT_OK ? told : status;
        }
    return status;
}

att_status att_run_plan_measure(const att_run_plan *plan, const att_run_options *options,
                                att_result *result, int *signal_out, att_why *why)
{
    runner x = {.plan = plan, .o = options, .result = result, .begin = att_clock_now()};
    struct sigaction act = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN};
    struct sigaction old_int, old_term, old_pipe;
    att_status status = ATT_OK;

    caught = 0;
    result->records = calloc(plan->n + 1, sizeof *result->records);
    result->n_records = plan->n;
    x.spent = calloc(plan->n_rows + 1, sizeof *x.spent);
    if (!result->records || !x.spent) {
        att_why_set(why, "no memory for %zu cases", plan->n);
        status = ATT_NO_MEMORY;
    }
    sigaction(SIGINT, &act, &old_int);
    sigaction(SIGTERM, &act, &old_term);
    sigaction(SIGPIPE, &ignore, &old_pipe);
    if (status == ATT_OK)
        status = att_declarations_fill(plan, result, why);
    if (status == ATT_OK && options->journal)
        status =
            att_journal_open(options->journal, options->resume, options->stamp, &x.journal, why);
    if (status == ATT_OK)
        status = measure(&x, why);
    if (x.journal && status == ATT_OK)
        status = att_journal_flush(x.journal, why);
    att_journal_close(x.journal);
    sigaction(SIGINT, &old_int, NULL);
    sigaction(SIGTERM, &old_term, NULL);
    sigaction(SIGPIPE, &old_pipe, NULL);
    free(x.spent);
    free(x.fallen);
    *signal_out = caught;
    result->seconds = att_clock_now() - x.begin;
    att_verdict_run(result);
    return status;
}
