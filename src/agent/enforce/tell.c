/* SPDX-License-Identifier: Apache-2.0 */
/* To the other half: reports leave room for what matters more, and losses are told to the end. */
#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/sockios.h>

#include "agent/enforce/internal.h"
#include "base/reader.h"
#include "sys/sealed.h"

enum { END_MS = 2000, LOST_PATH_SIZE = SEAT_DIR_SIZE + 8 };

static void lost_path(const struct seat *s, char path[LOST_PATH_SIZE])
{
    (void)snprintf(path, LOST_PATH_SIZE, "%s/lost", s->dir);
}

void tell_begin(struct enforce *e)
{
    socklen_t len = sizeof(e->flows_room);

    if (e->options.net_fd < 0 ||
        getsockopt(e->options.net_fd, SOL_SOCKET, SO_SNDBUF, &e->flows_room, &len) < 0)
        e->flows_room = 0;
    e->flows_room /= 2;
}

/* Reports fill half of the way; acknowledgements, notices and status have the other. */
static bool way_is_full(const struct enforce *e)
{
    int queued = 0;

    return ioctl(e->options.net_fd, SIOCOUTQ, &queued) == 0 && queued > e->flows_room;
}

int enforce_tell(struct seat *s, enum ipc_kind kind, const void *body, size_t size)
{
    struct enforce *e = s->owner;
    int r = 0;

    if (e->options.net_fd >= 0 && s->number == SEAT_UNTOLD)
        r = -EAGAIN; /* The other half has yet to say how this seat is called. */
    else if (e->options.net_fd >= 0 && kind == IPC_FLOW && way_is_full(e))
        r = -EAGAIN;
    else if (e->options.net_fd >= 0)
        r = ipc_send(e->options.net_fd, kind, s->number, body, size);
    if (r < 0)
        e->n_untold += kind != IPC_FLOW; /* Reports wait for the next flush. */
    else if (kind == IPC_FLOW && e->flows)
        enforce_write_flow(e, s, body);
    return r;
}

/* ---- losses ---- */

static bool is_loss(const char *name)
{
    return strcmp(name, "lost_flows") == 0 || strcmp(name, "lost_closes") == 0 ||
           strcmp(name, "lost_denials") == 0;
}

/* What the kernel has counted since its maps were made. */
static uint64_t lost_in_kernel(struct enforce *e, struct seat *s)
{
    bool own = s == &e->host_seat;
    struct ipc_status status;
    uint64_t n = 0;

    if (own && !e->host)
        return 0;
    if (own)
        enforce_status(e, &status);
    else
        edges_status(e, s, &status);
    for (size_t i = 0; i < status.n_counters; i++)
        if (is_loss(own ? host_counter_name(i) : edge_counter_name(i)))
            n += status.counters[i];
    return n;
}

static void read_lost(struct seat *s)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    char path[LOST_PATH_SIZE];
    struct reader r;

    s->lost_known = true;
    lost_path(s, path);
    if (sealed_read(path, sizeof(uint64_t), &bytes) < 0)
        return;
    r = reader_of(bytes.data, bytes.size);
    s->lost_told = reader_be64(&r);
}

static void save_lost(const struct seat *s)
{
    CLEANUP(buf_done) struct buf bytes = BUF_INIT;
    char path[LOST_PATH_SIZE];

    lost_path(s, path);
    buf_be64(&bytes, s->lost_told);
    (void)sealed_write(path, bytes.data, bytes.size); /* Else some are told again: not fewer. */
}

void tell_losses(struct enforce *e, struct seat *s)
{
    uint64_t now = lost_in_kernel(e, s), reported = report_lost(s->report), n;

    if (e->options.net_fd < 0)
        return;
    if (!s->lost_known)
        read_lost(s);
    if (now < s->lost_told) /* The maps are new. */
        s->lost_told = 0;
    n = now - s->lost_told + reported - s->lost_reported;
    if (!n || enforce_tell(s, IPC_LOST, &n, sizeof(n)) < 0)
        return;
    s->lost_told = now;
    s->lost_reported = reported;
    save_lost(s);
}

/* ---- now, and at the end ---- */

/* Connections that pass wait in the kernel for the next round. */
static void drain_kernel(struct enforce *e)
{
    if (e->host) {
        (void)host_drain(e->host);
        host_flush(e->host);
    }
    edges_flush(e, true);
}

void tell_report(struct enforce *e, struct seat *s)
{
    uint32_t nothing = 0;

    drain_kernel(e);
    report_flush(s->report, REPORT_ALL);
    tell_losses(e, s);
    (void)enforce_tell(s, IPC_REPORTED, &nothing, sizeof(nothing));
}

/* True when nothing of this seat waits any more. */
static bool told_all(struct enforce *e, struct seat *s)
{
    struct pollfd writable = {.fd = e->options.net_fd, .events = POLLOUT};
    uint64_t end = loop_now_ms() + END_MS;

    for (;;) {
        report_flush(s->report, REPORT_ALL);
        tell_losses(e, s);
        if (!report_waiting(s->report))
            return true;
        if (s->number == SEAT_UNTOLD || loop_now_ms() >= end)
            return false;
        (void)poll(&writable, 1, 20); /* Half full is still writable: hence the pause. */
        (void)poll(NULL, 0, 5);
    }
}

void tell_end(struct enforce *e)
{
    uint32_t nothing = 0;
    bool all;

    drain_kernel(e);
    if (e->options.net_fd < 0)
        return;
    all = told_all(e, &e->host_seat);
    for (size_t i = 0; i < e->n_edges; i++)
        all = told_all(e, e->edges[i]) && all;
    if (all)
        (void)enforce_tell(&e->host_seat, IPC_END, &nothing, sizeof(nothing));
}
