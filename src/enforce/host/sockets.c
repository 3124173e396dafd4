/* SPDX-License-Identifier: Apache-2.0 */
/* The iterators: each is attached, read to its end, and closed. */
#include <errno.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "enforce/host/internal.h"
#include "host.skel.h"
#include "rejudge.skel.h"
#include "sweep.skel.h"

/* As in src/bpf/sweep.bpf.c. */
struct identified {
    uint32_t fd;
    uint32_t pid;
    struct abi_file file;
};

static int open_iterator(const struct bpf_program *program, uint32_t pid,
                         struct bpf_link **ret_link)
{
    union bpf_iter_link_info info;
    LIBBPF_OPTS(bpf_iter_attach_opts, opts);
    struct bpf_link *link;
    int fd;

    memset(&info, 0, sizeof(info));
    info.task.pid = pid;
    if (pid) { /* Linux >= 6.1; before, all tasks are visited and we pick ours. */
        opts.link_info = &info;
        opts.link_info_len = sizeof(info);
    }
    link = bpf_program__attach_iter(program, &opts);
    if (!link && pid)
        link = bpf_program__attach_iter(program, NULL);
    if (!link)
        return -errno;
    fd = bpf_iter_create(bpf_link__fd(link));
    if (fd < 0) {
        fd = -errno;
        (void)bpf_link__destroy(link);
        return fd;
    }
    *ret_link = link;
    return fd;
}

static void run(const struct bpf_program *program)
{
    struct bpf_link *link = NULL;
    char chunk[4096];
    int fd = open_iterator(program, 0, &link);

    if (fd < 0)
        return;
    while (read(fd, chunk, sizeof(chunk)) > 0 || errno == EAGAIN)
        errno = 0;
    close(fd);
    (void)bpf_link__destroy(link);
}

void sockets_identify(struct host *h, const int fds[], size_t n, struct abi_file files[])
{
    uint32_t mine = (uint32_t)getpid();
    struct bpf_link *link = NULL;
    struct identified found[64];
    ssize_t size;
    int fd;

    memset(files, 0, n * sizeof *files);
    fd = open_iterator(h->sweep->progs.identify, mine, &link);
    if (fd < 0)
        return;
    while ((size = read(fd, found, sizeof(found))) > 0)
        for (size_t i = 0; i < (size_t)size / sizeof(found[0]); i++)
            for (size_t k = 0; k < n; k++)
                if (fds[k] >= 0 && found[i].fd == (uint32_t)fds[k] && found[i].pid == mine)
                    files[k] = found[i].file;
    close(fd);
    (void)bpf_link__destroy(link);
}

void sockets_adopt(struct host *h)
{
    uint64_t before = host_counter(h, ABI_COUNT_ADOPTED), n;

    run(h->sweep->progs.listeners);
    run(h->sweep->progs.adopt);
    n = host_counter(h, ABI_COUNT_ADOPTED) - before;
    if (n)
        host_notice(h, NOTICE_ADOPTED, "%llu sockets were older than the enforcer",
                    (unsigned long long)n);
}

void sockets_rejudge(struct host *h)
{
    uint64_t before = host_counter(h, ABI_COUNT_DESTROYED), n;

    run(h->sweep->progs.listeners);
    if (!h->rejudge)
        return;
    run(h->rejudge->progs.rejudge);
    n = host_counter(h, ABI_COUNT_DESTROYED) - before;
    if (n)
        host_notice(h, NOTICE_CUT, "%llu living connections are no longer allowed and were ended",
                    (unsigned long long)n);
}
