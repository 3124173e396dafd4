/* SPDX-License-Identifier: Apache-2.0 */
/* Packets keep their borders, so there is nothing to parse; see ipc.h. */
#include "agent/ipc.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct head {
    uint32_t kind, seat;
};

int ipc_pair(int ret_fds[2])
{
    int fds[2], size = 4 << 20;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
        return -errno;
    for (int i = 0; i < 2; i++) {
        /* Best effort: with less room there is only more waiting. */
        (void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
        (void)setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    }
    ret_fds[0] = fds[0];
    ret_fds[1] = fds[1];
    return 0;
}

size_t ipc_size(enum ipc_kind kind)
{
    switch (kind) {
    case IPC_PROGRAM:
        return sizeof(struct ipc_program);
    case IPC_PIECE:
        return sizeof(struct ipc_piece);
    case IPC_CONFIRM:
        return sizeof(uint64_t);
    case IPC_TRUST:
        return sizeof(struct ipc_trust);
    case IPC_ASK_STATUS:
    case IPC_VERIFY:
    case IPC_REPORT:
        return sizeof(uint32_t);
    case IPC_PORT:
        return sizeof(struct ipc_port);
    case IPC_PORT_GONE:
        return sizeof(uint32_t);
    case IPC_ACK:
        return sizeof(struct ipc_ack);
    case IPC_FLOW:
        return sizeof(struct ipc_flow);
    case IPC_NOTICE:
        return sizeof(struct ipc_notice);
    case IPC_STATUS:
        return sizeof(struct ipc_status);
    case IPC_LOST:
        return sizeof(uint64_t);
    case IPC_REPORTED:
    case IPC_END:
        return sizeof(uint32_t);
    }
    return 0;
}

int ipc_send(int fd, enum ipc_kind kind, uint32_t seat, const void *body, size_t size)
{
    struct head head = {(uint32_t)kind, seat};
    struct iovec parts[2] = {{.iov_base = &head, .iov_len = sizeof(head)}, {.iov_len = size}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    memcpy(&parts[1].iov_base, &body, sizeof(body)); /* sendmsg() does not write there. */
    return sendmsg(fd, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int ipc_receive(int fd, enum ipc_kind *ret_kind, uint32_t *ret_seat, void *body, size_t room)
{
    struct head head = {0, 0};
    struct iovec parts[2] = {{.iov_base = &head, .iov_len = sizeof(head)},
                             {.iov_base = body, .iov_len = room}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = recvmsg(fd, &message, 0);
    size_t want;

    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (n == 0)
        return 0;
    want = ipc_size((enum ipc_kind)head.kind);
    if (want == 0 || head.seat >= IPC_SEATS || (size_t)n != want + sizeof(head) ||
        (message.msg_flags & MSG_TRUNC))
        return -EPROTO;
    *ret_kind = (enum ipc_kind)head.kind;
    *ret_seat = head.seat;
    return (int)want;
}
