/* SPDX-License-Identifier: Apache-2.0 */
#include "apart.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/ctx_own.h"
#include "core/host.h"
#include "core/record.h"
#include "core/verdict.h"

#define LONGEST_ANSWER ((size_t)1 << 24)

/* The forked copy: measures, writes its record as JSON, ends.  Never returns. */
static void measure(const att_ctx *from, att_status (*body)(att_ctx *x, void *arg), void *arg,
                    double seconds, int out)
{
    att_ctx x = *from;
    att_record record = {.chance = (double)NAN};
    att_host host;
    FILE *f = fdopen(out, "w");

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGALRM, SIG_DFL);
    alarm((unsigned)fmin(fmax(ceil(seconds), 1), 86400));
    x.record = &record;
    if (!f || !att_record_identify(&record, x.c))
        _exit(126);
    if (x.host->threads > 1) { /* the pool's threads did not come along */
        if (att_host_make(x.host->threads, &host) != ATT_OK)
            _exit(126);
        x.host = &host;
    }
    att_ctx_conclude(&x, body(&x, arg));
    att_record_print(&record, f);
    _exit(fflush(f) == 0 ? 0 : 126);
}

/* All that comes through the pipe; NULL: no memory, or more than any record is. */
static char *listen(int from, size_t *length)
{
    char *text = NULL;
    size_t room = 0, n = 0;

    for (;;) {
        if (n + 4096 > room) {
            char *more = room < LONGEST_ANSWER ? realloc(text, room = room * 2 + 8192) : NULL;
            if (!more)
                break;
            text = more;
        }
        ssize_t got = read(from, text + n, room - n - 1);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            text[n] = '\0';
            *length = n;
            return text;
        }
        n += (size_t)got;
    }
    free(text);
    return NULL;
}

/* A process that did not come back with a record. */
static att_status bury(const att_ctx *x, int status, double seconds, att_record *out)
{
    char reason[160];
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

    *out = (att_record){.chance = (double)NAN};
    if (!att_record_identify(out, x->c))
        return ATT_NO_MEMORY;
    out->status = number == SIGALRM ? ATT_TIMEOUT : ATT_CRASH;
    out->signal = number;
    if (number == SIGALRM)
        snprintf(reason, sizeof reason, "no answer for %.0f s", ceil(seconds));
    else if (number)
        snprintf(reason, sizeof reason, "killed by signal %d (%s)", number, strsignal(number));
    else
        snprintf(reason, sizeof reason, "the process exited with %d", WEXITSTATUS(status));
    out->reason = strdup(reason);
    return ATT_OK;
}

att_status att_ctx_apart(att_ctx *x, att_status (*body)(att_ctx *x, void *arg), void *arg,
                         double seconds, att_record *out)
{
    int pipe_[2], ended = 0;
    size_t length = 0;
    cJSON *json = NULL;
    att_record record = {0};
    att_why why;

    if (pipe2(pipe_, O_CLOEXEC) < 0) {
        att_ctx_why(x, "no pipe: %s", strerror(errno));
        return ATT_IO;
    }
    pid_t child = fork();
    if (child == 0) {
        close(pipe_[0]);
        measure(x, body, arg, seconds, pipe_[1]);
    }
    close(pipe_[1]);
    if (child < 0) {
        close(pipe_[0]);
        att_ctx_why(x, "no process: %s", strerror(errno));
        return ATT_IO;
    }
    char *text = listen(pipe_[0], &length);
    close(pipe_[0]);
    while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
        ;
    bool whole = text && WIFEXITED(ended) && WEXITSTATUS(ended) == 0 &&
                 att_json_parse(text, length, "apart", &json, &why) == ATT_OK &&
                 att_record_parse(json, &record, &why) == ATT_OK;
    cJSON_Delete(json);
    free(text);
    if (!whole)
        return bury(x, ended, seconds, out);
    att_verdict_case(x->c->eval, &record);
    *out = record;
    return ATT_OK;
}

bool att_ctx_holds(const att_ctx *x)
{
    return att_verdict_holds(x->c->eval, x->record);
}
