/* SPDX-License-Identifier: Apache-2.0 */
/* By rtnetlink(7), one request at a time; each waits for the kernel's answer. */
#include "enforce/edge/pair.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "base/base.h"

#define BRIDGE_NAME "suimitsu"
#define ALIAS_BEGIN "suimitsu: in line before "
#define ALIAS_OPEN ", fail-open"
#define ALIAS_CLOSED ", fail-closed"

enum { REQUEST_SIZE = 512, ANSWER_SIZE = 32768, ALIAS_SIZE = 64, GEN_MODE_NONE = 1 };

struct request {
    _Alignas(struct nlmsghdr) char bytes[REQUEST_SIZE];
    size_t size;
};

struct wire_end {
    unsigned ifindex, master; /* 0: none. */
    char alias[ALIAS_SIZE];
};

static void add(struct request *r, const void *data, size_t size)
{
    size_t room = NLMSG_ALIGN(size);

    assert(r->size + room <= sizeof(r->bytes));
    memcpy(r->bytes + r->size, data, size);
    r->size += room;
}

static struct request begin(uint16_t type, uint16_t flags, unsigned ifindex, unsigned up)
{
    struct nlmsghdr head = {.nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)};
    struct ifinfomsg link = {
        .ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex, .ifi_flags = up, .ifi_change = up};
    struct request r = {.size = 0};

    add(&r, &head, sizeof(head));
    add(&r, &link, sizeof(link));
    return r;
}

/* Attributes that hold others are opened here and closed by close_nest(). */
static size_t add_attribute(struct request *r, uint16_t type, const void *data, size_t size)
{
    struct rtattr a = {.rta_len = (uint16_t)RTA_LENGTH(size), .rta_type = type};
    size_t at = r->size;

    add(r, &a, sizeof(a));
    if (size)
        add(r, data, size);
    return at;
}

static void add_number(struct request *r, uint16_t type, uint32_t value)
{
    (void)add_attribute(r, type, &value, sizeof(value));
}

static void close_nest(struct request *r, size_t at)
{
    uint16_t size = (uint16_t)(r->size - at);

    memcpy(r->bytes + at + offsetof(struct rtattr, rta_len), &size, sizeof(size));
}

/* Returns what the kernel says, or the size of the first message that it answers with. */
static int ask(struct request *r, char *answer, size_t room)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    uint32_t size = (uint32_t)r->size;
    struct nlmsgerr error;
    struct nlmsghdr head;
    ssize_t n = -1;

    memcpy(r->bytes, &size, sizeof(size));
    if (fd >= 0 && sendto(fd, r->bytes, r->size, 0, (struct sockaddr *)&kernel, sizeof(kernel)) > 0)
        n = recv(fd, answer, room, 0);
    if (n < 0)
        n = -errno;
    if (fd >= 0)
        close(fd);
    if (n < (ssize_t)sizeof(head))
        return n < 0 ? (int)n : -EPROTO;
    memcpy(&head, answer, sizeof(head));
    if (head.nlmsg_type != NLMSG_ERROR)
        return (int)n;
    if (n < (ssize_t)(NLMSG_HDRLEN + sizeof(error)))
        return -EPROTO;
    memcpy(&error, answer + NLMSG_HDRLEN, sizeof(error));
    return error.error;
}

static int demand(struct request *r)
{
    char answer[REQUEST_SIZE * 2];

    return ask(r, answer, sizeof(answer));
}

static void read_attribute(struct wire_end *end, uint16_t type, const char *data, size_t size)
{
    uint32_t master;

    if (type == IFLA_MASTER && size == sizeof(master)) {
        memcpy(&master, data, sizeof(master));
        end->master = master;
    } else if (type == IFLA_IFALIAS) {
        (void)snprintf(end->alias, sizeof(end->alias), "%.*s", (int)size, data);
    }
}

static int look(const char *name, struct wire_end *ret_end)
{
    CLEANUP(free_voidp) char *answer = xcalloc(1, ANSWER_SIZE);
    struct wire_end end = {.ifindex = if_nametoindex(name)};
    struct request r = begin(RTM_GETLINK, 0, end.ifindex, 0);
    size_t at = NLMSG_SPACE(sizeof(struct ifinfomsg)), size;
    struct rtattr a;
    int n;

    if (!end.ifindex)
        return -ENODEV;
    n = ask(&r, answer, ANSWER_SIZE);
    if (n < 0)
        return n;
    for (size = (size_t)n; at + sizeof(a) <= size; at += RTA_ALIGN(a.rta_len)) {
        memcpy(&a, answer + at, sizeof(a));
        if (a.rta_len < sizeof(a) || a.rta_len > size - at)
            break;
        read_attribute(&end, a.rta_type, answer + at + sizeof(a), a.rta_len - sizeof(a));
    }
    *ret_end = end;
    return 0;
}

/* By the port's name, since the port may be unplugged and come again with another number.  Names of
 * interfaces are short: the alias has the port's whole, against twins. */
static void bridge_name(const char *port, char name[IF_NAMESIZE])
{
    uint32_t hash = 2166136261; /* FNV-1a */

    for (const char *c = port; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619;
    (void)snprintf(name, IF_NAMESIZE, BRIDGE_NAME "%04x", (hash ^ hash >> 16) & 0xffff);
}

static void alias_of(const char *port, bool open, char alias[ALIAS_SIZE])
{
    (void)snprintf(alias, ALIAS_SIZE, ALIAS_BEGIN "%s%s", port, open ? ALIAS_OPEN : ALIAS_CLOSED);
}

static bool is_for(const struct wire_end *bridge, const char *port)
{
    char open[ALIAS_SIZE], closed[ALIAS_SIZE];

    alias_of(port, true, open);
    alias_of(port, false, closed);
    return strcmp(bridge->alias, open) == 0 || strcmp(bridge->alias, closed) == 0;
}

static int make_bridge(const char *name)
{
    struct request r = begin(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, 0, 0);
    uint8_t zero = 0;
    size_t info, data;

    (void)add_attribute(&r, IFLA_IFNAME, name, strlen(name) + 1);
    info = add_attribute(&r, IFLA_LINKINFO, NULL, 0);
    (void)add_attribute(&r, IFLA_INFO_KIND, "bridge", strlen("bridge"));
    data = add_attribute(&r, IFLA_INFO_DATA, NULL, 0);
    add_number(&r, IFLA_BR_STP_STATE, 0);
    add_number(&r, IFLA_BR_FORWARD_DELAY, 0);
    (void)add_attribute(&r, IFLA_BR_MCAST_SNOOPING, &zero, sizeof(zero));
    close_nest(&r, data);
    close_nest(&r, info);
    return demand(&r);
}

/* No address of its own: nobody talks to the wire, and it says nothing. */
static void keep_silent(unsigned bridge)
{
    struct request r = begin(RTM_NEWLINK, NLM_F_ACK, bridge, 0);
    uint8_t none = GEN_MODE_NONE;
    size_t families = add_attribute(&r, IFLA_AF_SPEC, NULL, 0);
    size_t v6 = add_attribute(&r, AF_INET6, NULL, 0);

    (void)add_attribute(&r, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
    close_nest(&r, v6);
    close_nest(&r, families);
    (void)demand(&r); /* A kernel without IPv6 has nothing to keep. */
}

static int set_alias(unsigned bridge, const char *alias)
{
    struct request r = begin(RTM_NEWLINK, NLM_F_ACK, bridge, IFF_UP);

    (void)add_attribute(&r, IFLA_IFALIAS, alias, strlen(alias));
    return demand(&r);
}

static int enslave(unsigned ifindex, unsigned bridge)
{
    struct request r = begin(RTM_NEWLINK, NLM_F_ACK, ifindex, IFF_UP);

    add_number(&r, IFLA_MASTER, bridge);
    return demand(&r);
}

static int join(const struct wire_end *port, const struct wire_end *far, const char *name,
                const char *alias)
{
    struct wire_end bridge;
    int r = 0;

    if (look(name, &bridge) < 0) {
        r = make_bridge(name);
        if (r == 0)
            r = look(name, &bridge);
        if (r == 0)
            keep_silent(bridge.ifindex);
    }
    if (r == 0 && strcmp(bridge.alias, alias) != 0)
        r = set_alias(bridge.ifindex, alias);
    if (r == 0 && far->master != bridge.ifindex)
        r = enslave(far->ifindex, bridge.ifindex);
    if (r == 0 && port->master != bridge.ifindex)
        r = enslave(port->ifindex, bridge.ifindex);
    return r;
}

int pair_join(const char *port, const char *far, bool open, struct buf *why)
{
    char name[IF_NAMESIZE], alias[ALIAS_SIZE];
    struct wire_end a, b, bridge;
    unsigned ours = 0;
    int r = look(port, &a);

    if (r == 0)
        r = look(far, &b);
    if (r == 0) {
        bridge_name(port, name);
        alias_of(port, open, alias);
        if (look(name, &bridge) == 0)
            ours = is_for(&bridge, port) ? bridge.ifindex : UINT_MAX;
        if (a.master && a.master == b.master && a.master != ours)
            return 0;
        if (ours == UINT_MAX || (a.master && a.master != ours) || (b.master && b.master != ours))
            r = -EBUSY;
    }
    if (r == 0)
        r = join(&a, &b, name, alias);
    if (r < 0)
        buf_printf(why, "%s and %s cannot be one wire: %s", port, far,
                   r == -EBUSY ? "one of them, or the bridge's name, is taken by another bridge"
                               : strerror(-r));
    return r;
}

bool pair_is_joined(const char *port, const char *far)
{
    struct wire_end a, b;

    return look(port, &a) == 0 && look(far, &b) == 0 && a.master && a.master == b.master;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), end_len = strlen(end);

    return len >= end_len && strcmp(text + len - end_len, end) == 0;
}

static void end_bridge(const char *name, const char *port)
{
    struct wire_end bridge;
    struct request r;

    if (look(name, &bridge) < 0 || strncmp(bridge.alias, ALIAS_BEGIN, strlen(ALIAS_BEGIN)) != 0 ||
        !ends_with(bridge.alias, ALIAS_CLOSED) || (port && !is_for(&bridge, port)))
        return;
    r = begin(RTM_DELLINK, NLM_F_ACK, bridge.ifindex, 0);
    (void)demand(&r); /* Gone already: as it should be. */
}

void pair_end(const char *port)
{
    char name[IF_NAMESIZE];

    bridge_name(port, name);
    end_bridge(name, port);
}

void pair_end_all(void)
{
    struct if_nameindex *all = if_nameindex();

    for (const struct if_nameindex *i = all; i && i->if_index; i++)
        if (strncmp(i->if_name, BRIDGE_NAME, strlen(BRIDGE_NAME)) == 0)
            end_bridge(i->if_name, NULL);
    if (all)
        if_freenameindex(all);
}
