/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static att_status move(int fd, char *data, size_t n, int out)
{
    while (n) {
        ssize_t done = out ? write(fd, data, n) : read(fd, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return ATT_IO;
        data += done;
        n -= (size_t)done;
    }
    return ATT_OK;
}

att_status att_wire_send(int fd, const char *text, size_t length)
{
    unsigned char head[4];

    if (length > ATT_WIRE_LIMIT)
        return ATT_INVALID;
    for (int i = 0; i < 4; i++)
        head[i] = (unsigned char)(length >> (8 * i));
    att_status status = move(fd, (char *)head, 4, 1);
    return status == ATT_OK ? move(fd, (char *)(uintptr_t)text, length, 1) : status;
}

att_status att_wire_receive(int fd, char **text, size_t *length)
{
    unsigned char head[4];
    size_t n = 0;

    *text = NULL;
    att_status status = move(fd, (char *)head, 4, 0);
    if (status != ATT_OK)
        return status;
    for (int i = 0; i < 4; i++)
        n |= (size_t)head[i] << (8 * i);
    if (n > ATT_WIRE_LIMIT)
        return ATT_CORRUPT;
    char *data = malloc(n + 1);
    if (!data)
        return ATT_NO_MEMORY;
    if ((status = move(fd, data, n, 0)) != ATT_OK) {
        free(data);
        return status;
    }
    data[n] = '\0';
    *text = data;
    *length = n;
    return ATT_OK;
}
