/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STARVED 40 /* limits that a case may be silent for want of a processor */

/* In the child: pipes on 3 and 4, output to the log, limits, exec.  Only async-signal-safe calls.
 */
static void become(const att_pool_command *c, char *const argv[], int in, int out, int log)
{
    int a = fcntl(in, F_DUPFD, 10), b = fcntl(out, F_DUPFD, 10), null = open("/dev/null", O_RDONLY);
    struct rlimit none = {0, 0}, memory;

    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a killed coordinator leaves nobody behind */
    setpgid(0, 0);                    /* ^C is the coordinator's to handle */
    signal(SIGPIPE, SIG_DFL);
    if (a < 0 || b < 0 || dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 ||
        dup2(a, 3) < 0 || dup2(b, 4) < 0)
        _exit(126);
    for (int fd = 5; fd < 256; fd++)
        close(fd);
    setrlimit(RLIMIT_CORE, &none);
    if (c->memory > 0 && getrlimit(RLIMIT_AS, &memory) == 0) {
        memory.rlim_cur = (rlim_t)c->memory; /* the soft one: reservations raise it (base/far.h) */
        if (memory.rlim_cur > memory.rlim_max)
            memory.rlim_cur = memory.rlim_max;
        setrlimit(RLIMIT_AS, &memory);
    }
    execv(c->self, argv);
    _exit(127);
}

att_status att_pool_start(const att_pool_command *c, att_pool_worker *out, att_why *why)
{
    int down[2] = {-1, -1}, up[2] = {-1, -1};
    char *argv[8] = {(char *)(uintptr_t)c->self, "worker", "--datasets",
                     (char *)(uintptr_t)c->datasets};
    size_t n = 4;
    int log = open(c->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    pid_t pid = -1;

    if (c->open)
        argv[n++] = "--open";
    if (c->model) {
        argv[n++] = "--model";
        argv[n] = (char *)(uintptr_t)c->model;
    }
    if (log >= 0 && pipe2(down, O_CLOEXEC) == 0 && pipe2(up, O_CLOEXEC) == 0) {
        setenv("OPENBLAS_NUM_THREADS", "1", 1);
        pid = fork();
        if (pid == 0)
            become(c, argv, down[0], up[1], log);
    }
    if (pid < 0)
        att_why_set(why, "%s: a worker can't be started: %s", c->log, strerror(errno));
    if (log >= 0)
        close(log);
    if (down[0] >= 0)
        close(down[0]);
    if (up[1] >= 0)
        close(up[1]);
    if (pid < 0) {
        if (down[1] >= 0)
            close(down[1]);
        if (up[0] >= 0)
            close(up[0]);
        return ATT_IO;
    }
    *out = (att_pool_worker){pid, down[1], up[0]};
    return ATT_OK;
}

double att_pool_worked(const att_pool_worker *w)
{
    struct timespec t;
    clockid_t clock;

    if (!w->pid || clock_getcpuclockid(w->pid, &clock) != 0 || clock_gettime(clock, &t) != 0)
        return 0;
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Is a process that it started and may be waiting for (core/apart.h) running, or would it be? */
static bool child_would_run(pid_t pid)
{
    char path[320], text[512];
    bool any = false;

    DIR *all = opendir("/proc");
    for (struct dirent *e; all && !any && (e = readdir(all));) {
        snprintf(path, sizeof path, "/proc/%.20s/stat", e->d_name);
        FILE *f = e->d_name[0] < '0' || e->d_name[0] > '9' ? NULL : fopen(path, "re");
        if (!f)
            continue;
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
        const char *state = strrchr(text, ')'); /* "pid (name) S ppid ..." */
        any = state && state[1] && (state[2] == 'R' || state[2] == 'D') &&
              strtol(state + 3, NULL, 10) == pid;
    }
    if (all)
        closedir(all);
    return any;
}

/* Is any thread running, ready to run, or waiting for a page? */
static bool would_run(pid_t pid)
{
    char path[320], text[512];
    bool any = false;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    for (struct dirent *e; tasks && !any && (e = readdir(tasks));) {
        snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", (int)pid, e->d_name);
        FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
        if (!f)
            continue;
        text[fread(text, 1, sizeof text - 1, f)] = '\0';
        fclose(f);
        const char *state = strrchr(text, ')'); /* "tid (name) S ..." */
        any = state && state[1] && (state[2] == 'R' || state[2] == 'D');
    }
    if (tasks)
        closedir(tasks);
    return any;
}

bool att_pool_hangs(const att_pool_worker *w, double worked, double most, double silent)
{
    if (silent > STARVED * most || att_pool_worked(w) - worked >= most)
        return true;
    return !would_run(w->pid) && !child_would_run(w->pid);
}

void att_pool_stop(att_pool_worker *w, bool kill_it, int *status)
{
    if (!w->pid)
        return;
    close(w->in);
    if (kill_it)
        kill(w->pid, SIGKILL);
    while (waitpid(w->pid, status, 0) < 0 && errno == EINTR)
        ;
    close(w->out);
    w->pid = 0;
}
