/* SPDX-License-Identifier: Apache-2.0 */
#include "str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Room for `more` further bytes and the NUL. */
static bool reserve(att_buf *b, size_t more)
{
    if (b->failed)
        return false;
    if (more < b->capacity - b->length) /* capacity 0: length 0, so never true */
        return true;
    size_t need = b->length + more + 1, size = b->capacity ? b->capacity : 64;
    if (need <= more || need > SIZE_MAX / 2) {
        b->failed = true;
        return false;
    }
    while (size < need)
        size *= 2;
    char *data = realloc(b->data, size);
    if (!data) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = size;
    return true;
}

void att_buf_add(att_buf *b, const char *text, size_t length)
{
    if (!reserve(b, length))
        return;
    if (length > 0)
        memcpy(b->data + b->length, text, length);
    b->length += length;
    b->data[b->length] = '\0';
}

void att_buf_puts(att_buf *b, const char *text)
{
    att_buf_add(b, text, strlen(text));
}

void att_buf_printf(att_buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        b->failed = true;
    else if (reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->length, (size_t)n + 1, format, again);
        b->length += (size_t)n;
    }
    va_end(again);
    va_end(args);
}

void att_buf_drop(att_buf *b)
{
    free(b->data);
    *b = (att_buf){0};
}

/* On a mismatch only the last '*' needs to take one more character: linear in practice, never
 * exponential. */
bool att_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

size_t att_str_distance(const char *a, const char *b)
{
    size_t row[65], n = strnlen(a, 64), m = strnlen(b, 64);

    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}

bool att_str_choice(const char *choices, const char *text, char nearest[64])
{
    size_t best = SIZE_MAX;

    *nearest = '\0';
    for (const char *at = choices; *at;) {
        size_t n = strcspn(at, "|");
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), at);
        if (strcmp(name, text) == 0)
            return true;
        size_t d = att_str_distance(name, text);
        if (d < best) {
            best = d;
            memcpy(nearest, name, sizeof name);
        }
        at += n + (at[n] == '|');
    }
    return false;
}

char *att_file_read(const char *path, size_t limit, size_t *length)
{
    FILE *f = fopen(path, "rb");
    att_buf b = {0};
    char chunk[1 << 14];
    int error = 0;

    if (!f)
        return NULL;
    att_buf_add(&b, "", 0);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0 && !error;) {
        att_buf_add(&b, chunk, n);
        error = b.failed ? ENOMEM : b.length > limit ? EFBIG : 0;
    }
    if (!error && (ferror(f) || b.failed))
        error = b.failed ? ENOMEM : errno ? errno : EIO; /* a directory: EISDIR */
    fclose(f);
    if (error) {
        att_buf_drop(&b);
        errno = error;
        return NULL;
    }
    if (length)
        *length = b.length;
    return b.data;
}

static bool write_all(int fd, const char *data, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        length -= (size_t)n;
    }
    return true;
}

/* So that the rename itself survives a power cut; a file system without directory fsync is let be.
 */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

bool att_file_write(const char *path, const char *data, size_t length)
{
    att_buf temporary = {0};
    bool ok = false;
    int fd = -1, error = 0;

    att_buf_printf(&temporary, "%s.XXXXXX", path);
    if (temporary.failed) {
        error = ENOMEM;
        goto done;
    }
    if ((fd = mkostemp(temporary.data, O_CLOEXEC)) < 0) {
        error = errno;
        goto done;
    }
    if (fchmod(fd, 0644) != 0 || !write_all(fd, data, length) || fsync(fd) != 0)
        error = errno;
    if (close(fd) != 0 && !error)
        error = errno;
    if (!error && rename(temporary.data, path) != 0)
        error = errno;
    if (error) {
        unlink(temporary.data);
        goto done;
    }
    sync_folder(path);
    ok = true;
done:
    att_buf_drop(&temporary);
    if (!ok)
        errno = error;
    return ok;
}
