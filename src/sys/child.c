/* SPDX-License-Identifier: Apache-2.0 */
/* child.c - posix_spawn(3), memfd_create(2), pidfd_open(2) since Linux 5.3; see child.h */
#include "sys/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/file.h"

static int write_all(int fd, const struct buf *input)
{
    for (size_t at = 0; at < input->size;) {
        ssize_t n = write(fd, input->data + at, input->size - at);

        if (n < 0)
            return -errno;
        at += (size_t)n;
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static int read_all(int fd, size_t limit, struct buf *to)
{
    off_t size = lseek(fd, 0, SEEK_END), at = 0;
    char chunk[16384];
    ssize_t n;

    if (size > (off_t)limit)
        return -EFBIG;
    while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
        buf_add(to, chunk, (size_t)n);
        at += n;
    }
    return n < 0 ? -errno : 0;
}

static int spawn(const char *const argv[], const int fds[3], pid_t *ret_pid)
{
    char *const env[] = {(char[]){"LC_ALL=C"}, NULL};
    posix_spawn_file_actions_t actions;
    int r;

    (void)posix_spawn_file_actions_init(&actions);
    for (int i = 0; i < 3; i++)
        (void)posix_spawn_file_actions_adddup2(&actions, fds[i], i);
    /* posix_spawn(3) takes words that it does not change without saying so. */
    r = posix_spawn(ret_pid, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv, env);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -r;
}

static int reap(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return status == 0 ? 0 : -EIO;
}

static int wait_for(pid_t pid, unsigned timeout_ms)
{
    CLEANUP(fd_closep) int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd ended = {.fd = fd, .events = POLLIN};
    int r;

    if (fd >= 0)
        do
            r = poll(&ended, 1, (int)timeout_ms);
        while (r < 0 && errno == EINTR);
    if (fd >= 0 && r > 0)
        return reap(pid);
    (void)kill(pid, SIGKILL);
    (void)reap(pid);
    return fd < 0 ? -ENOSYS : -ETIME;
}

int child_run(const char *const argv[], const struct buf *input, size_t limit, unsigned timeout_ms,
              struct buf *out, struct buf *complaint)
{
    CLEANUP(fd_closep) int in = memfd_create("in", MFD_CLOEXEC);
    CLEANUP(fd_closep) int said = memfd_create("out", MFD_CLOEXEC);
    CLEANUP(fd_closep) int wrong = memfd_create("err", MFD_CLOEXEC);
    pid_t pid;
    int r;

    if (in < 0 || said < 0 || wrong < 0)
        return -errno;
    r = input ? write_all(in, input) : 0;
    if (r == 0)
        r = spawn(argv, (const int[]){in, said, wrong}, &pid);
    if (r == 0)
        r = wait_for(pid, timeout_ms);
    if (r == 0)
        return read_all(said, limit, out);
    (void)read_all(wrong, limit, complaint); /* Else without its words. */
    return r;
}
