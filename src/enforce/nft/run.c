/* SPDX-License-Identifier: Apache-2.0 */
/* posix_spawn(3), memfd_create(2), nfnetlink; see run.h. */
#include "enforce/nft/run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/nft_rules.h"
#include "sys/file.h"

enum { MAX_SAID = 1 << 28, MAX_COMPLAINT = 2000, TIMEOUT_S = 2 };

static int write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t n = write(fd, data, size);

        if (n < 0)
            return -errno;
        data += n;
        size -= (size_t)n;
    }
    return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static int read_all(int fd, struct buf *to)
{
    off_t size = lseek(fd, 0, SEEK_END), at = 0;
    char chunk[16384];
    ssize_t n;

    if (size > MAX_SAID)
        return -EFBIG;
    while ((n = pread(fd, chunk, sizeof(chunk), at)) > 0) {
        buf_add(to, chunk, (size_t)n);
        at += n;
    }
    return n < 0 ? -errno : 0;
}

static int spawn(const char *binary, char *const argv[], int in, int out, int err)
{
    char *const env[] = {(char[]){"LC_ALL=C"}, NULL};
    posix_spawn_file_actions_t actions;
    int r, status = -1;
    pid_t pid;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, in, 0);
    (void)posix_spawn_file_actions_adddup2(&actions, out, 1);
    (void)posix_spawn_file_actions_adddup2(&actions, err, 2);
    r = posix_spawn(&pid, binary, &actions, NULL, argv, env);
    (void)posix_spawn_file_actions_destroy(&actions);
    if (r)
        return -r;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return status == 0 ? 0 : -EIO;
}

int run_nft(const char *binary, const struct buf *input, struct buf *out, struct buf *why)
{
    char *const load[] = {(char[]){"nft"}, (char[]){"-j"}, (char[]){"-f"}, (char[]){"-"}, NULL};
    char *const list[] = {
        (char[]){"nft"},   (char[]){"-j"},   (char[]){"-s"},      (char[]){"list"},
        (char[]){"table"}, (char[]){"inet"}, (char[]){NFT_TABLE}, NULL};
    CLEANUP(fd_closep) int in = memfd_create("nft-in", MFD_CLOEXEC);
    CLEANUP(fd_closep) int said = memfd_create("nft-out", MFD_CLOEXEC);
    CLEANUP(fd_closep) int wrong = memfd_create("nft-err", MFD_CLOEXEC);
    CLEANUP(buf_done) struct buf complaint = BUF_INIT;
    int r;

    if (in < 0 || said < 0 || wrong < 0)
        return -errno;
    r = input ? write_all(in, input->data, input->size) : 0;
    if (r == 0)
        r = spawn(binary, input ? load : list, in, said, wrong);
    if (r == 0)
        return read_all(said, out);
    (void)read_all(wrong, &complaint); /* Then without its words. */
    buf_puts(why, "nft: ");
    if (r == -EIO && complaint.size)
        buf_escape(why, complaint.data, complaint.size, MAX_COMPLAINT);
    else
        buf_puts(why, strerror(-r));
    return r;
}

/* ---- generation ---- */

int generation_open(void)
{
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    CLEANUP(fd_closep) int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
        return -errno;
    return TAKE_FD(fd);
}

int generation_get(int fd, uint32_t *ret_generation)
{
    struct {
        struct nlmsghdr head;
        struct nfgenmsg message;
    } ask = {.head = {.nlmsg_len = sizeof(ask),
                      .nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
                      .nlmsg_flags = NLM_F_REQUEST},
             .message = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0}};
    struct {
        struct nlmsghdr head;
        struct nfgenmsg message;
        struct nlattr attribute; /* NFTA_GEN_ID: the kernel puts it first. */
        uint32_t generation;
        char rest[256];
    } answer;
    ssize_t n;

    if (send(fd, &ask, sizeof(ask), 0) != (ssize_t)sizeof(ask))
        return -errno;
    n = recv(fd, &answer, sizeof(answer), 0);
    if (n < 0)
        return -errno;
    if (n < (ssize_t)offsetof(__typeof__(answer), rest) ||
        answer.head.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN) ||
        answer.attribute.nla_type != NFTA_GEN_ID)
        return -EPROTO;
    *ret_generation = ntohl(answer.generation);
    return 0;
}
