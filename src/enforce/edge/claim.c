/* SPDX-License-Identifier: Apache-2.0 */
/* One edge a network name space: two would share the guard's table and the filters' handle, and
 * each would repair what the other one did.
 *
 * The claim is an abstract UNIX socket: such names belong to the network name space, and go with
 * the process.  Anybody may take such a name; only root's counts. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "enforce/edge/internal.h"

#define CLAIM "suimitsu-edge"

enum { ASKERS = 64 };

static socklen_t claim_address(struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(a->sun_path + 1, CLAIM, sizeof(CLAIM) - 1); /* A leading NUL: abstract. */
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(CLAIM));
}

/* The process that listens there, when it is root's; 0: nobody's that counts. */
static pid_t holder(void)
{
    struct ucred peer = {.pid = 0, .uid = 1};
    socklen_t size = sizeof(peer);
    struct sockaddr_un a;
    socklen_t length = claim_address(&a);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    /* A full backlog is an answer too: credentials are then unknown, and it does not count. */
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, length) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
        peer.uid = 1;
    if (fd >= 0)
        close(fd);
    return peer.uid == 0 ? peer.pid : 0;
}

int claim_namespace(struct edge *e, struct buf *why)
{
    struct sockaddr_un a;
    socklen_t length = claim_address(&a);
    pid_t other;

    e->claim_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (e->claim_fd < 0 ||
        (bind(e->claim_fd, (struct sockaddr *)&a, length) == 0 && listen(e->claim_fd, ASKERS) == 0))
        return 0;
    other = errno == EADDRINUSE ? holder() : 0;
    close(e->claim_fd);
    e->claim_fd = -1;
    if (!other)
        return 0;
    buf_printf(why,
               "another edge (process %d) stands at the ports of this network name space; end "
               "it first, or let its agent have these ports too",
               (int)other);
    return -EBUSY;
}

void claim_answer(const struct edge *e)
{
    for (int i = 0; e->claim_fd >= 0 && i < ASKERS; i++) {
        int fd = accept4(e->claim_fd, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            return;
        close(fd); /* Who we are was all that they asked. */
    }
}
