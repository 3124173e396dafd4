/* SPDX-License-Identifier: Apache-2.0 */
/* A child process, and nfnetlink; see run.h. */
#include "enforce/nft/run.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "core/nft_rules.h"
#include "sys/child.h"
#include "sys/file.h"

enum { MAX_SAID = 1 << 28, MAX_COMPLAINT = 2000, TIMEOUT_S = 2, NFT_TIMEOUT_MS = 60000 };

int run_nft(const char *binary, enum nft_errand errand, const struct buf *input, struct buf *out,
            struct buf *why)
{
    const char *const load[] = {binary, "-j", "-f", "-", NULL};
    const char *const list[] = {binary, "-j", "-s", "list", "table", "inet", NFT_TABLE, NULL};
    const char *const check[] = {binary, "-j", "-c", "-f", "-", NULL};
    const char *const *const words[] = {[NFT_LIST] = list, [NFT_LOAD] = load, [NFT_CHECK] = check};
    CLEANUP(buf_done) struct buf complaint = BUF_INIT;
    int r = child_run(words[errand], input, MAX_SAID, NFT_TIMEOUT_MS, out, &complaint);

    if (r == 0)
        return 0;
    buf_puts(why, "nft: ");
    if (r == -EIO && complaint.size)
        buf_escape(why, complaint.data, complaint.size, MAX_COMPLAINT);
    else if (r == -ETIME)
        buf_printf(why, "did not end within %d s, and was ended", NFT_TIMEOUT_MS / 1000);
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

int ruleset_generation(int fd, uint32_t *ret_generation)
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
