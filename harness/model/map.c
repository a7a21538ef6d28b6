/* SPDX-License-Identifier: Apache-2.0 */
/* Read-only mappings of files: weights are read in place, and only the parts that are used. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/map.h"

att_status att_map_open(const char *path, size_t least, const void **data, size_t *size,
                        att_why *why)
{
    att_status st = ATT_IO;
    struct stat s;
    void *map;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &s)) {
        att_why_set(why, "%s: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(s.st_mode)) {
        att_why_set(why, "%s: not a regular file", path);
        goto done;
    }
    if ((size_t)s.st_size < least) {
        att_why_set(why, "%s: byte %lld: the file ends inside its header", path,
                    (long long)s.st_size);
        st = ATT_CORRUPT;
        goto done;
    }
    map = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        att_why_set(why, "%s: %s", path, strerror(errno));
        goto done;
    }
    *data = map;
    *size = (size_t)s.st_size;
    st = ATT_OK;
done:
    if (fd >= 0)
        close(fd);
    return st;
}

void att_map_close(const void *data, size_t size)
{
    if (data)
        munmap((void *)(uintptr_t)data, size);
}
