/* SPDX-License-Identifier: Apache-2.0 */
/* slow_disk.c - a disk that takes as long as a test wants, to be preloaded
 *
 * While the FIFO $SUIMITSU_SLOW_DISK.journal is there, flushing a journal of the history says so
 * through it, and then waits until somebody opens $SUIMITSU_SLOW_DISK.go for writing.  The same
 * with $SUIMITSU_SLOW_DISK.horizon and what retention writes. */
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

static int held_by(int fd)
{
    static const char *const kinds[] = {"journal", "horizon"};
    char link[64], path[500] = "";
    const char *file;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    if (readlink(link, path, sizeof(path) - 1) < 0 || !(file = strrchr(path, '/')))
        return -1;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strncmp(file + 1, kinds[i], strlen(kinds[i])) == 0)
            return open_fifo(kinds[i], O_WRONLY);
    return -1;
}

static void wait_for_the_test(int fd)
{
    int held = held_by(fd);

    if (held < 0)
        return;
    if (write(held, "h", 1) != 1)
        abort();
    (void)close(held);
    (void)close(open_fifo("go", O_RDONLY));
}

int fdatasync(int fd)
{
    wait_for_the_test(fd);
    return (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    wait_for_the_test(fd);
    return (int)syscall(SYS_fsync, fd);
}
