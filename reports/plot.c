/* SPDX-License-Identifier: Apache-2.0 */
/* gnuplot is started without a shell, in the picture's folder, with its defaults (-d: no start-up
 * files) and a fixed locale, so that a rerun gives the same bytes.  Names that come from kernels
 * and cases reach it only as single-quoted constants and table fields (see escape.h). */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "reports/escape.h"
#include "reports/plot.h"

#define LONGEST_SECONDS 60.0
#define NOT_FOUND       127
#define LONGEST_NAME    48u
#define COLUMN_PIXELS   8 /* of the font used, on the safe side */

void att_plot_text(att_plot *plot, const char *name, const char *value)
{
    att_buf_printf(&plot->settings, "%s = ", name);
    att_gnuplot_put(&plot->settings, value);
    att_buf_puts(&plot->settings, "\n");
}

int att_plot_name(att_plot *plot, const char *name, const char *kernel)
{
    char shown[LONGEST_NAME + 4];
    size_t n = strnlen(kernel, LONGEST_NAME + 1);

    if (n > LONGEST_NAME) { /* never cut inside a UTF-8 character */
        for (n = LONGEST_NAME - 3; n > 0 && ((unsigned char)kernel[n] & 0xc0) == 0x80; n--)
            ;
        snprintf(shown, sizeof shown, "%.*s...", (int)n, kernel);
        n += 3;
    } else {
        memcpy(shown, kernel, n + 1);
    }
    att_plot_text(plot, name, shown);
    return (int)n * COLUMN_PIXELS;
}

void att_plot_real(att_plot *plot, const char *name, double value)
{
    if (isnan(value))
        att_buf_printf(&plot->settings, "%s = NaN\n", name);
    else
        att_buf_printf(&plot->settings, "%s = %.17g\n", name, value);
}

void att_plot_drop(att_plot *plot)
{
    att_buf_drop(&plot->settings);
    att_buf_drop(&plot->table);
}

/* The environment of gnuplot: ours, but for what changes its output. */
static char **environment(void)
{
    static const char *const changing[] = {"LC_", "LANG", "GNUTERM", "GNUPLOT_"};
    size_t n = 0, kept = 0;

    while (environ[n])
        n++;
    char **out = calloc(n + 2, sizeof *out);
    for (size_t i = 0; out && i < n; i++) {
        bool keep = true;
        for (size_t k = 0; k < sizeof changing / sizeof *changing; k++)
            keep &= strncmp(environ[i], changing[k], strlen(changing[k])) != 0;
        if (keep)
            out[kept++] = environ[i];
    }
    if (out)
        out[kept] = (char *)(uintptr_t) "LC_ALL=C.UTF-8";
    return out;
}

/* Only calls that are safe between fork and exec. */
static void become_gnuplot(const char *dir, const char *script, int output, char **env)
{
    char program[] = "gnuplot", defaults[] = "-d";
    char *const argv[] = {program, defaults, (char *)(uintptr_t)script, NULL};
    int input = open("/dev/null", O_RDONLY);

    if (input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 ||
        chdir(dir) != 0)
        _exit(126);
    execvpe(program, argv, env);
    _exit(errno == ENOENT ? NOT_FOUND : 126);
}

/* Keeps the first `size - 1` bytes that come until the other end closes; false after the time
 * limit. */
static bool listen_to(int fd, char *said, size_t size)
{
    double end = att_clock_now() + LONGEST_SECONDS;
    size_t n = 0;

    said[0] = '\0';
    for (;;) {
        char chunk[512];
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        double left = end - att_clock_now();
        if (left <= 0)
            return false;
        int ready = poll(&wait, 1, (int)(left * 1000) + 1);
        if (ready < 0 && errno != EINTR)
            return false;
        if (ready <= 0)
            continue;
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got == 0 || (got < 0 && errno != EINTR))
            return got == 0;
        for (ssize_t i = 0; i < got && n + 1 < size; i++)
            said[n++] = chunk[i] == '\n' ? ' ' : chunk[i];
        said[n] = '\0';
    }
}

static att_status run_gnuplot(const char *dir, const char *script, att_why *why)
{
    int ends[2], code = 0;
    char said[400];
    char **env = environment();

    if (!env || pipe2(ends, O_CLOEXEC) != 0) {
        free(env);
        att_why_set(why, "%s/%s: %s", dir, script, env ? strerror(errno) : "out of memory");
        return ATT_NO_MEMORY;
    }
    pid_t child = fork();
    if (child == 0)
        become_gnuplot(dir, script, ends[1], env);
    close(ends[1]);
    free(env);
    if (child < 0) {
        close(ends[0]);
        att_why_set(why, "%s/%s: fork: %s", dir, script, strerror(errno));
        return ATT_FAILED;
    }
    bool ended = listen_to(ends[0], said, sizeof said);
    if (!ended)
        kill(child, SIGKILL);
    close(ends[0]);
    while (waitpid(child, &code, 0) < 0 && errno == EINTR)
        ;
    if (ended && WIFEXITED(code) && WEXITSTATUS(code) == 0)
        return ATT_OK;
    if (WIFEXITED(code) && WEXITSTATUS(code) == NOT_FOUND) {
        att_why_set(why,
                    "%s: gnuplot is not installed: data and scripts are written, pictures are "
                    "not (install gnuplot-nox, then `attest report` draws them)",
                    dir);
        return ATT_UNSUPPORTED;
    }
    att_why_set(why, "%s/%s: gnuplot %s: %s", dir, script,
                ended ? "failed" : "was stopped after 60 s", said);
    return ATT_FAILED;
}

static att_status put_file(const char *dir, const char *stem, const char *suffix,
                           const att_buf *text, att_why *why)
{
    att_status status = ATT_OK;
    att_buf path = {0};

    att_buf_printf(&path, "%s/%s%s", dir, stem, suffix);
    if (text->failed || path.failed) {
        status = ATT_NO_MEMORY;
        att_why_set(why, "%s/%s%s: out of memory", dir, stem, suffix);
    } else if (!att_file_write(path.data, text->data ? text->data : "", text->length)) {
        status = ATT_IO;
        att_why_set(why, "%s: %s", path.data, strerror(errno));
    }
    att_buf_drop(&path);
    return status;
}

att_status att_plot_draw(const att_plot *plot, const char *dir, bool run, att_why *why)
{
    att_buf script = {0}, name = {0};
    att_status status;

    att_buf_printf(&script,
                   "# Made by attest; `gnuplot -d %s.gp` in this folder draws it again.\n"
                   "set encoding utf8\n"
                   "set terminal svg size %d,%d enhanced background rgb 'white' "
                   "font 'sans-serif,13'\n"
                   "set output '%s.svg'\n"
                   "data = '%s.tsv'\n",
                   plot->stem, plot->width, plot->height, plot->stem, plot->stem);
    if (plot->settings.failed)
        script.failed = true;
    else if (plot->settings.data)
        att_buf_add(&script, plot->settings.data, plot->settings.length);
    att_buf_puts(&script, "\n");
    att_buf_add(&script, plot->script, (size_t)(plot->script_end - plot->script));
    att_buf_printf(&name, "%s.gp", plot->stem);
    status = name.failed ? ATT_NO_MEMORY : put_file(dir, plot->stem, ".gp", &script, why);
    if (status == ATT_OK)
        status = put_file(dir, plot->stem, ".tsv", &plot->table, why);
    if (status == ATT_OK && run)
        status = run_gnuplot(dir, name.data, why);
    att_buf_drop(&script);
    att_buf_drop(&name);
    return status;
}
