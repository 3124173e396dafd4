/* SPDX-License-Identifier: Apache-2.0 */
/* clsact filters on every interface but loopback, and the set of this machine's own addresses. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "enforce/common/filter.h"
#include "enforce/host/internal.h"
#include "host.skel.h"

enum { FILTER_HANDLE = 0x736d, FILTER_PRIORITY = 1, TC_NOTIFICATIONS = 1 << (RTNLGRP_TC - 1) };

static int filter_fd(const struct host *h, bool ethernet, enum bpf_tc_attach_point point)
{
    const struct bpf_program *p;

    if (point == BPF_TC_EGRESS)
        p = ethernet ? h->bpf->progs.nic_egress : h->bpf->progs.nic_egress_l3;
    else
        p = ethernet ? h->bpf->progs.nic_ingress : h->bpf->progs.nic_ingress_l3;
    return bpf_program__fd(p);
}

static struct filter filter_of(unsigned ifindex, enum bpf_tc_attach_point point)
{
    return (struct filter){ifindex, point, FILTER_HANDLE, FILTER_PRIORITY};
}

void nics_uncover(unsigned ifindex)
{
    static const enum bpf_tc_attach_point points[] = {BPF_TC_EGRESS, BPF_TC_INGRESS};

    for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
        struct filter f = filter_of(ifindex, points[i]);

        filter_clear(&f);
    }
}

static struct host_nic *find_nic(struct host *h, unsigned ifindex)
{
    for (size_t i = 0; i < h->n_nics; i++)
        if (h->nics[i].ifindex == ifindex)
            return &h->nics[i];
    return NULL;
}

static void cover(struct host *h, const char *name, unsigned ifindex, bool ethernet, bool first)
{
    static const enum bpf_tc_attach_point points[] = {BPF_TC_EGRESS, BPF_TC_INGRESS};
    bool known = find_nic(h, ifindex) != NULL, tampered = false;

    for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
        struct filter f = filter_of(ifindex, points[i]);
        int fd = filter_fd(h, ethernet, points[i]), r;

        if (filter_is_there(&f, filter_program_id(fd)))
            continue;
        r = filter_set(&f, fd);
        if (r < 0)
            host_notice(h, NOTICE_TAMPER, "cannot put a filter on %s: %s", name, strerror(-r));
        else
            tampered = tampered || known;
    }
    if (tampered)
        host_notice(h, NOTICE_TAMPER, "a tc filter of %s was removed; put back", name);
    if (known || h->n_nics == HOST_MAX_NICS)
        return;
    h->nics[h->n_nics++] = (struct host_nic){.ifindex = ifindex, .ethernet = ethernet};
    if (!first)
        host_notice(h, NOTICE_NIC, "%s appeared and is covered", name);
}

/* Somebody else's: forgotten, and opened when it was ours. */
static void leave(struct host *h, unsigned ifindex)
{
    struct host_nic *nic = find_nic(h, ifindex);

    if (!nic)
        return;
    nics_uncover(ifindex);
    *nic = h->nics[--h->n_nics];
}

static bool address_of_interface(const struct sockaddr *sa, struct abi_address *a)
{
    memset(a, 0, sizeof(*a));
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, sa, sizeof(in));
        a->word[2] = htonl(0xffff);
        a->word[3] = in.sin_addr.s_addr;
        return true;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, sa, sizeof(in6));
        memcpy(a, &in6.sin6_addr, sizeof(*a));
        return true;
    }
    return false;
}

static bool listed(const struct ifaddrs *list, const struct abi_address *a)
{
    struct abi_address b;

    for (const struct ifaddrs *i = list; i; i = i->ifa_next)
        if (i->ifa_addr && address_of_interface(i->ifa_addr, &b) && memcmp(a, &b, sizeof(b)) == 0)
            return true;
    return false;
}

/* Makes the 'locals' map equal to the addresses of the interfaces. */
static void refresh_locals(struct host *h, const struct ifaddrs *list)
{
    int fd = bpf_map__fd(h->bpf->maps.locals);
    struct abi_address a, next;
    uint32_t one = 1;
    void *previous = NULL;

    for (const struct ifaddrs *i = list; i; i = i->ifa_next)
        if (i->ifa_addr && address_of_interface(i->ifa_addr, &a))
            (void)bpf_map_update_elem(fd, &a, &one, BPF_ANY);
    while (bpf_map_get_next_key(fd, previous, &next) == 0) {
        if (!listed(list, &next)) {
            (void)bpf_map_delete_elem(fd, &next);
            previous = NULL; /* Begin again: the key that we stood on is gone. */
            continue;
        }
        a = next;
        previous = &a;
    }
}

static bool has_ethernet_header(unsigned short type)
{
    return type == ARPHRD_ETHER || type == ARPHRD_LOOPBACK;
}

/* Forgets interfaces that are gone, so that a new one with the same number is new. */
static void forget_gone(struct host *h)
{
    char name[IF_NAMESIZE];
    size_t n = 0;

    for (size_t i = 0; i < h->n_nics; i++)
        if (if_indextoname(h->nics[i].ifindex, name))
            h->nics[n++] = h->nics[i];
    h->n_nics = n;
}

void nics_refresh(struct host *h, bool first)
{
    struct ifaddrs *list = NULL;

    if (getifaddrs(&list) < 0)
        return;
    forget_gone(h);
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        struct sockaddr_ll link;

        if (!i->ifa_addr || i->ifa_addr->sa_family != AF_PACKET || (i->ifa_flags & IFF_LOOPBACK))
            continue;
        memcpy(&link, i->ifa_addr, sizeof(link));
        if (h->nic_is_left && h->nic_is_left(h->nic_left_arg, i->ifa_name))
            leave(h, (unsigned)link.sll_ifindex);
        else
            cover(h, i->ifa_name, (unsigned)link.sll_ifindex, has_ethernet_header(link.sll_hatype),
                  first);
    }
    refresh_locals(h, list);
    freeifaddrs(list);
}

int nics_open(struct host *h, struct buf *why)
{
    struct sockaddr_nl me = {.nl_family = AF_NETLINK,
                             .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                          TC_NOTIFICATIONS};

    h->netlink_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (h->netlink_fd < 0 || bind(h->netlink_fd, (struct sockaddr *)&me, sizeof(me)) < 0) {
        int r = -errno;

        buf_printf(why, "cannot follow the network interfaces: %s", strerror(-r));
        return r;
    }
    return 0;
}

int host_link_fd(const struct host *h)
{
    return h->netlink_fd;
}

void host_leave_nics(struct host *h, bool (*is_left)(void *arg, const char *name), void *arg)
{
    h->nic_is_left = is_left;
    h->nic_left_arg = arg;
}

void host_refresh_nics(struct host *h)
{
    if (h->attached)
        nics_refresh(h, false);
}

void host_links_changed(struct host *h)
{
    char chunk[8192];

    /* What changed does not matter, nor whether messages were lost: the whole list is compared. */
    for (int i = 0; i < 64; i++)
        if (recv(h->netlink_fd, chunk, sizeof(chunk), MSG_DONTWAIT) < 0 && errno != ENOBUFS)
            break;
    if (h->attached)
        nics_refresh(h, false);
}
