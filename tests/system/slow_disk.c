/* SPDX-License-Identifier: Apache-2.0 */
/* slow_disk.c - a disk that takes as long as a test wants, to be preloaded
 *
 * While the FIFO $SUIMITSU_SLOW_DISK.held is there, flushing a journal of the history says so
 * through it, and then waits until somebody opens $SUIMITSU_SLOW_DISK.go for writing. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int open_fifo(const char *what, int flags)
{
    const char *prefix = getenv("SUIMITSU_SLOW_DISK");
    char path[500];

    if (!prefix)
        return -1;
    (void)snprintf(path, sizeof(path), "%s.%s", prefix, what);
    return open(path, flags | O_CLOEXEC);
}

static int is_journal(int fd)
{
    char link[64], path[500] = "";

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return readlink(link, path, sizeof(path) - 1) > 0 && strstr(path, "/journal-");
}

int fdatasync(int fd)
{
    int held = is_journal(fd) ? open_fifo("held", O_WRONLY) : -1;

    if (held >= 0) {
        if (write(held, "h", 1) != 1)
            abort();
        (void)close(held);
        (void)close(open_fifo("go", O_RDONLY));
    }
    return (int)syscall(SYS_fdatasync, fd);
}
