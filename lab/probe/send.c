/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BURST = 64, RAW_PORT = 7006 };

static uint16_t header_checksum(const struct iphdr *ip)
{
    const uint16_t *words = (const uint16_t *)ip;
    uint32_t sum = 0;

    for (size_t i = 0; i < sizeof(*ip) / 2; i++)
        sum += words[i];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* A whole UDP datagram over Ethernet and IPv4, past the kernel's own IP layer. */
static int send_frame(const struct target *t)
{
    struct {
        struct ethhdr eth;
        struct iphdr ip;
        struct udphdr udp;
        char data[TOKEN_SIZE];
    } __attribute__((packed)) f = {.eth.h_proto = htons(ETH_P_IP),
                                   .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = 17},
                                   .data = "frame"};
    struct sockaddr_ll to = {.sll_family = AF_PACKET,
                             .sll_ifindex = (int)if_nametoindex(t->interface),
                             .sll_halen = 6,
                             .sll_protocol = htons(ETH_P_IP)};
    struct iphdr ip = f.ip;
    struct ifreq own = {0};
    ssize_t r;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    snprintf(own.ifr_name, sizeof(own.ifr_name), "%s", t->interface);
    if (ioctl(fd, SIOCGIFHWADDR, &own) < 0) {
        r = -errno;
        close(fd);
        return (int)r;
    }
    memcpy(f.eth.h_source, own.ifr_hwaddr.sa_data, 6); /* A bridge drops frames without one. */
    memcpy(f.eth.h_dest, t->mac, 6);
    memcpy(to.sll_addr, t->mac, 6);
    ip.tot_len = htons(sizeof(f) - sizeof(f.eth));
    memcpy(&ip.saddr, t->source.sin6_addr.s6_addr + 12, 4);
    memcpy(&ip.daddr, t->address.sin6_addr.s6_addr + 12, 4);
    ip.check = header_checksum(&ip);
    f.ip = ip;
    f.udp.source = t->source.sin6_port;
    f.udp.dest = htons(t->port);
    f.udp.len = htons(sizeof(f.udp) + sizeof(f.data)); /* No checksum: allowed over IPv4. */
    r = sendto(fd, &f, sizeof(f), 0, (struct sockaddr *)&to, sizeof(to));
    if (r < 0)
        r = -errno;
    close(fd);
    return r < 0 ? (int)r : 0;
}

/* A packet of any IP protocol, which begins as a UDP header to RAW_PORT does. */
static int send_raw(const struct target *t)
{
    bool v4 = target_is_v4(&t->address);
    struct sockaddr_storage address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    socklen_t len = target_address(t, &t->address, &address);
    uint8_t data[TOKEN_SIZE] = {0, 1, RAW_PORT >> 8, RAW_PORT & 255, 0, TOKEN_SIZE};
    ssize_t r;
    int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, t->port);

    if (fd < 0)
        return -errno;
    if (!v4)
        v6->sin6_port = 0; /* A raw IPv6 socket takes the protocol or nothing here. */
    r = sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&address, len);
    if (r < 0)
        r = -errno;
    close(fd);
    return r < 0 ? (int)r : 0;
}

int send_strange(const struct target *t)
{
    return t->kind == KIND_FRAME ? send_frame(t) : send_raw(t);
}

static bool stdin_ended(void)
{
    struct pollfd p = {.fd = 0, .events = POLLIN};
    char line[64];

    return poll(&p, 1, 0) == 1 && read(0, line, sizeof(line)) <= 0;
}

static int send_syn(const struct target *t, const struct sockaddr_storage *address, socklen_t len)
{
    struct linger at_once = {.l_onoff = 1};
    int r, fd = target_socket(t);

    if (fd < 0)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    r = connect(fd, (const struct sockaddr *)address, len);
    r = r < 0 && errno != EINPROGRESS ? -errno : 0;
    close(fd);
    return r;
}

int run_flood(struct target *t, uint64_t count, bool until_eof)
{
    struct sockaddr_storage address;
    socklen_t len = target_address(t, &t->address, &address);
    uint64_t sent = 0, refused = 0;
    char data[TOKEN_SIZE] = "flood";
    int fd = t->kind == KIND_UDP ? target_socket(t) : -1;

    printf("{\"event\": \"up\"}\n");
    do {
        for (int i = 0; i < BURST; i++) {
            int r = t->kind == KIND_TCP ? send_syn(t, &address, len)
                    : t->kind == KIND_UDP
                        ? (int)sendto(fd, data, sizeof(data), 0, (struct sockaddr *)&address, len)
                        : send_strange(t);

            sent++;
            refused += r < 0;
        }
    } while (sent < count || (until_eof && !stdin_ended()));
    printf("{\"event\": \"end\", \"sent\": %lu, \"refused\": %lu}\n", sent, refused);
    return 0;
}
