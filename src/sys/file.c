/* SPDX-License-Identifier: Apache-2.0 */
#include "sys/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void fd_closep(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd); /* Whoever cares about late errors calls fsync() first. */
}

int file_read(const char *path, size_t max, struct buf *out)
{
    CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
    char piece[16384];
    size_t total = 0;
    ssize_t n;

    if (fd < 0)
        return -errno;
    while ((n = read(fd, piece, sizeof(piece))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        total += (size_t)n;
        if (total > max)
            return -EFBIG;
        buf_add(out, piece, (size_t)n);
    }
    return 0;
}

static int write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return 0;
}

static int flush_folder(const char *path)
{
    CLEANUP(free_voidp) char *copy = xstrdup(path);
    CLEANUP(fd_closep) int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int file_write(const char *path, const void *data, size_t size, mode_t mode)
{
    CLEANUP(buf_done) struct buf temporary = BUF_INIT;
    CLEANUP(fd_closep) int fd = -1;
    int r;

    buf_printf(&temporary, "%s.new", path);
    (void)unlink(temporary.data); /* What a crash left behind. */
    fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0)
        return -errno;
    r = fchmod(fd, mode) < 0 ? -errno : write_all(fd, data, size);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    if (r == 0 && rename(temporary.data, path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlink(temporary.data);
        return r;
    }
    return flush_folder(path);
}
