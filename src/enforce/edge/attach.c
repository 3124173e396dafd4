/* SPDX-License-Identifier: Apache-2.0 */
/* Programs on ports: tcx links where the kernel has them, clsact filters else.
 *
 * A tcx link comes first of all classifiers of its interface, so that none before it can let a
 * frame pass; it is pinned, and updated in place by later agents. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "edge.skel.h"
#include "enforce/common/filter.h"
#include "enforce/edge/guard.h"
#include "enforce/edge/internal.h"
#include "enforce/edge/pair.h"

enum {
    TCX_INGRESS = 46, /* BPF_TCX_INGRESS and _EGRESS of Linux 6.6; older headers lack them. */
    TCX_EGRESS = 47,
    LINK_FIRST = 1 << 3, /* BPF_F_BEFORE, without saying before whom. */
    FILTER_HANDLE = 0x7365,
    FILTER_PRIORITY = 1,
    TC_NOTIFICATIONS = 1 << (RTNLGRP_TC - 1),
};

static int program_fd(const struct edge *e, unsigned direction)
{
    return bpf_program__fd(direction == ABI_OUT ? e->bpf->progs.from_guest
                                                : e->bpf->progs.to_guest);
}

static void pin_path(const struct edge *e, uint32_t number, unsigned direction, char *path,
                     size_t size)
{
    (void)snprintf(path, size, "%s/link_%u_%s", e->pin_dir, number,
                   direction == ABI_OUT ? "out" : "in");
}

static struct filter filter_of(unsigned ifindex, unsigned direction)
{
    return (struct filter){ifindex, direction == ABI_OUT ? BPF_TC_INGRESS : BPF_TC_EGRESS,
                           FILTER_HANDLE, FILTER_PRIORITY};
}

/* The interface of a tcx link; 0: detached, or not there any more. */
static uint32_t link_ifindex(int fd)
{
    struct bpf_link_info info = {.type = 0};
    uint32_t size = sizeof(info);

    /* tcx.ifindex has the same place as xdp.ifindex, which older headers know. */
    return bpf_obj_get_info_by_fd(fd, &info, &size) < 0 ? 0 : info.xdp.ifindex;
}

static int make_link(struct edge *e, uint32_t number, unsigned direction)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = LINK_FIRST);
    char path[256];
    int fd = bpf_link_create(program_fd(e, direction), (int)e->ports[number].kernel.ifindex,
                             direction == ABI_OUT ? (enum bpf_attach_type)TCX_INGRESS
                                                  : (enum bpf_attach_type)TCX_EGRESS,
                             &opts);

    if (fd < 0)
        return -errno;
    pin_path(e, number, direction, path, sizeof(path));
    (void)unlink(path); /* Of an interface that is gone. */
    if (bpf_obj_pin(fd, path) < 0) {
        int r = -errno;

        close(fd);
        return r;
    }
    return fd;
}

static void close_link(struct port *p, unsigned direction)
{
    if (p->links[direction] >= 0)
        close(p->links[direction]);
    p->links[direction] = -1;
}

/* The pinned link, its program replaced in place; or a new one. */
static int take_link(struct edge *e, uint32_t number, unsigned direction)
{
    struct port *p = &e->ports[number];
    char path[256];
    int fd;

    if (p->links[direction] >= 0 && link_ifindex(p->links[direction]) == p->kernel.ifindex)
        return 0;
    close_link(p, direction);
    pin_path(e, number, direction, path, sizeof(path));
    fd = bpf_obj_get(path);
    if (fd >= 0 && (link_ifindex(fd) != p->kernel.ifindex ||
                    bpf_link_update(fd, program_fd(e, direction), NULL) < 0)) {
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        fd = make_link(e, number, direction);
    if (fd < 0)
        return fd;
    p->links[direction] = fd;
    return 0;
}

static int take_filter(struct edge *e, uint32_t number, unsigned direction)
{
    struct filter f = filter_of(e->ports[number].kernel.ifindex, direction);
    int fd = program_fd(e, direction);

    if (filter_is_there(&f, filter_program_id(fd)))
        return 0;
    return filter_set(&f, fd);
}

/* Puts programs on both sides of the port's interface, the way out of the guest first. */
static int put_programs(struct edge *e, uint32_t number)
{
    struct port *p = &e->ports[number];
    int r = 0;

    for (unsigned direction = 0; direction < 2 && !e->no_tcx && r == 0; direction++)
        r = take_link(e, number, direction);
    if (!e->no_tcx && r == 0) {
        p->by_tcx = true;
        return 0;
    }
    if (r == -EINVAL || r == -EOPNOTSUPP)
        e->no_tcx = true; /* Before Linux 6.6. */
    else if (r < 0)
        return r;
    for (unsigned direction = 0; direction < 2; direction++) {
        r = take_filter(e, number, direction);
        if (r < 0)
            return r;
    }
    p->by_tcx = false;
    return 0;
}

static int set_number(struct edge *e, uint32_t ifindex, uint32_t number)
{
    return bpf_map_update_elem(bpf_map__fd(e->bpf->maps.by_ifindex), &ifindex, &number, BPF_ANY) < 0
               ? -errno
               : 0;
}

/* The port's wire, when it is in line: again and again, since either end may be unplugged. */
static int join_wire(const struct port *p, struct buf *why)
{
    const struct edge_binding *b = &p->binding;

    if (!p->bound || !b->pair[0] || !if_nametoindex(b->pair))
        return 0; /* It is joined when it appears. */
    return pair_join(b->interface, b->pair, b->open_before, why);
}

/* The interface is (again) there: its number first, then the programs that ask for it. */
int attach_port(struct edge *e, uint32_t number, struct buf *why)
{
    struct port *p = &e->ports[number];
    uint32_t ifindex = if_nametoindex(p->binding.interface), before = p->kernel.ifindex;
    int r;

    if (before && before != ifindex) {
        guard_close_port(e, before);
        (void)bpf_map_delete_elem(bpf_map__fd(e->bpf->maps.by_ifindex), &before);
        p->attached = false;
    }
    p->kernel.ifindex = ifindex;
    r = edge_store_port(e, number);
    if (!ifindex || r < 0)
        return r;
    r = set_number(e, ifindex, number);
    if (r == 0)
        r = put_programs(e, number);
    if (r < 0) {
        buf_printf(why, "cannot put programs on %s: %s", p->binding.interface, strerror(-r));
        if (p->binding.open_before)
            (void)join_wire(p, why);
        return r;
    }
    if (!p->attached)
        guard_open_port(e, ifindex);
    p->attached = true;
    return join_wire(p, why);
}

void attach_remove(struct edge *e, uint32_t number)
{
    struct port *p = &e->ports[number];
    char path[256];

    guard_close_port(e, p->kernel.ifindex);
    for (unsigned direction = 0; direction < 2; direction++) {
        struct filter f = filter_of(p->kernel.ifindex, direction);

        pin_path(e, number, direction, path, sizeof(path));
        (void)unlink(path);
        close_link(p, direction);
        if (p->kernel.ifindex)
            filter_clear(&f);
    }
    (void)bpf_map_delete_elem(bpf_map__fd(e->bpf->maps.by_ifindex), &p->kernel.ifindex);
    p->attached = false;
}

static bool is_whole(const struct edge *e, uint32_t number)
{
    const struct port *p = &e->ports[number];

    for (unsigned direction = 0; direction < 2; direction++) {
        struct filter f = filter_of(p->kernel.ifindex, direction);

        if (p->by_tcx ? link_ifindex(p->links[direction]) != p->kernel.ifindex
                      : !filter_is_there(&f, filter_program_id(program_fd(e, direction))))
            return false;
    }
    return true;
}

static void verify_pins(struct edge *e, uint32_t number)
{
    const struct port *p = &e->ports[number];
    char path[256];

    for (unsigned direction = 0; p->by_tcx && direction < 2; direction++) {
        pin_path(e, number, direction, path, sizeof(path));
        if (access(path, F_OK) < 0 && bpf_obj_pin(p->links[direction], path) == 0)
            edge_notice(e, NOTICE_TAMPER, "pin %s was removed; put back", path);
    }
}

void attach_verify(struct edge *e, uint32_t number)
{
    struct port *p = &e->ports[number];
    CLEANUP(buf_done) struct buf why = BUF_INIT;

    if (!p->attached || if_nametoindex(p->binding.interface) != p->kernel.ifindex)
        return; /* attach_refresh() takes care of it. */
    if (!is_whole(e, number)) {
        if (attach_port(e, number, &why) < 0)
            edge_notice(e, NOTICE_TAMPER, "%s", buf_str(&why));
        else
            edge_notice(e, NOTICE_TAMPER, "programs of %s were detached; attached again",
                        p->binding.interface);
    }
    verify_pins(e, number);
}

int attach_listen(struct edge *e, struct buf *why)
{
    struct sockaddr_nl me = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | TC_NOTIFICATIONS};

    e->netlink_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (e->netlink_fd < 0 || bind(e->netlink_fd, (struct sockaddr *)&me, sizeof(me)) < 0) {
        int r = -errno;

        buf_printf(why, "cannot follow the network interfaces: %s", strerror(-r));
        return r;
    }
    return 0;
}

static void refresh(struct edge *e, uint32_t number)
{
    struct port *p = &e->ports[number];
    uint32_t ifindex = if_nametoindex(p->binding.interface);
    CLEANUP(buf_done) struct buf why = BUF_INIT;

    if (ifindex == p->kernel.ifindex && (p->attached || !ifindex)) {
        if (ifindex && join_wire(p, &why) < 0 && !p->wire_told)
            edge_notice(e, NOTICE_NIC, "%s; it is tried again", buf_str(&why));
        p->wire_told = why.size > 0;
        return;
    }
    if (attach_port(e, number, &why) < 0)
        edge_notice(e, NOTICE_NIC, "%s; it is tried again", buf_str(&why));
    else if (ifindex)
        edge_notice(e, NOTICE_NIC, "%s appeared and is covered", p->binding.interface);
}

void attach_refresh(struct edge *e)
{
    for (uint32_t number = 1; number < EDGE_PORTS; number++)
        if (e->ports[number].used && e->ports[number].bound)
            refresh(e, number);
}

int edge_link_fd(const struct edge *e)
{
    return e->netlink_fd;
}

void edge_links_changed(struct edge *e)
{
    char chunk[8192];

    /* What changed does not matter, nor whether messages were lost: all ports are compared. */
    for (int i = 0; i < 64; i++)
        if (recv(e->netlink_fd, chunk, sizeof(chunk), MSG_DONTWAIT) < 0 && errno != ENOBUFS)
            break;
    attach_refresh(e);
}
