/* SPDX-License-Identifier: Apache-2.0 */
/* Tables after IANA's registries, iptables-extensions(8), nft(8) and IOS; see wellknown.h. */
#include "import/wellknown.h"

#include <errno.h>
#include <netinet/in.h>

#include "base/number.h"
#include "text/port.h"

static const struct wellknown ports[] = {
    {20, IPPROTO_TCP, "ftp-data", "FTP data", false},
    {21, IPPROTO_TCP, "ftp", "FTP", true},
    {22, IPPROTO_TCP, "ssh", "SSH", false},
    {23, IPPROTO_TCP, "telnet", "Telnet", false},
    {25, IPPROTO_TCP, "smtp", "mail (SMTP)", true},
    {53, IPPROTO_TCP, "dns-tcp", "DNS", true},
    {53, IPPROTO_UDP, "dns", "DNS", true},
    {67, IPPROTO_UDP, "dhcp-server", "DHCP", true},
    {68, IPPROTO_UDP, "dhcp-client", "DHCP", false},
    {69, IPPROTO_UDP, "tftp", "TFTP", true},
    {80, IPPROTO_TCP, "http", "the web (HTTP)", true},
    {88, IPPROTO_TCP, "kerberos", "Kerberos", true},
    {110, IPPROTO_TCP, "pop3", "mail (POP3)", true},
    {111, IPPROTO_TCP, "rpcbind", "RPC", false},
    {123, IPPROTO_UDP, "ntp", "NTP", true},
    {135, IPPROTO_TCP, "msrpc", "Windows RPC", false},
    {137, IPPROTO_UDP, "netbios-ns", "NetBIOS names", false},
    {138, IPPROTO_UDP, "netbios-dgm", "NetBIOS datagrams", false},
    {139, IPPROTO_TCP, "netbios", "NetBIOS sessions", false},
    {143, IPPROTO_TCP, "imap", "mail (IMAP)", true},
    {161, IPPROTO_UDP, "snmp", "SNMP", false},
    {162, IPPROTO_UDP, "snmp-trap", "SNMP traps", true},
    {179, IPPROTO_TCP, "bgp", "BGP", true},
    {389, IPPROTO_TCP, "ldap", "LDAP", true},
    {443, IPPROTO_TCP, "https", "the web (HTTPS)", true},
    {445, IPPROTO_TCP, "smb", "SMB", true},
    {465, IPPROTO_TCP, "smtps", "mail (SMTPS)", true},
    {500, IPPROTO_UDP, "ike", "IPsec keys", true},
    {502, IPPROTO_TCP, "modbus-tcp", "Modbus", true},
    {514, IPPROTO_UDP, "syslog", "syslog", true},
    {587, IPPROTO_TCP, "submission", "mail (submission)", true},
    {636, IPPROTO_TCP, "ldaps", "LDAPS", true},
    {853, IPPROTO_TCP, "dns-tls", "DNS over TLS", true},
    {873, IPPROTO_TCP, "rsync", "rsync", true},
    {993, IPPROTO_TCP, "imaps", "mail (IMAPS)", true},
    {995, IPPROTO_TCP, "pop3s", "mail (POP3S)", true},
    {1194, IPPROTO_UDP, "openvpn", "OpenVPN", true},
    {1433, IPPROTO_TCP, "mssql", "Microsoft SQL Server", true},
    {1521, IPPROTO_TCP, "oracle", "Oracle", true},
    {1883, IPPROTO_TCP, "mqtt", "MQTT", true},
    {2049, IPPROTO_TCP, "nfs", "NFS", true},
    {2379, IPPROTO_TCP, "etcd", "etcd", true},
    {2888, IPPROTO_TCP, "zookeeper-peer", "ZooKeeper's followers", true},
    {3128, IPPROTO_TCP, "proxy", "a web proxy", true},
    {3260, IPPROTO_TCP, "iscsi", "iSCSI", true},
    {3306, IPPROTO_TCP, "mysql", "MySQL", true},
    {3389, IPPROTO_TCP, "rdp", "Remote Desktop", false},
    {3888, IPPROTO_TCP, "zookeeper-election", "ZooKeeper's election", true},
    {4444, IPPROTO_TCP, "galera-sst", "Galera's state transfer", true},
    {4567, IPPROTO_TCP, "galera", "Galera replication", true},
    {4568, IPPROTO_TCP, "galera-ist", "Galera's incremental transfer", true},
    {4789, IPPROTO_UDP, "vxlan", "VXLAN", true},
    {5060, IPPROTO_UDP, "sip", "SIP", true},
    {5353, IPPROTO_UDP, "mdns-names", "multicast DNS", false},
    {5405, IPPROTO_UDP, "corosync", "Corosync", true},
    {5432, IPPROTO_TCP, "postgres", "PostgreSQL", true},
    {5672, IPPROTO_TCP, "amqp", "AMQP", true},
    {5900, IPPROTO_TCP, "vnc", "VNC", false},
    {5985, IPPROTO_TCP, "winrm", "WinRM", false},
    {6379, IPPROTO_TCP, "redis", "Redis", true},
    {6443, IPPROTO_TCP, "kube-api", "Kubernetes", true},
    {6653, IPPROTO_TCP, "openflow", "OpenFlow", true},
    {8080, IPPROTO_TCP, "http-alt", "the web (HTTP)", true},
    {8443, IPPROTO_TCP, "https-alt", "the web (HTTPS)", true},
    {9090, IPPROTO_TCP, "prometheus", "Prometheus", true},
    {9092, IPPROTO_TCP, "kafka", "Kafka", true},
    {9100, IPPROTO_TCP, "metrics", "a metrics exporter", false},
    {9200, IPPROTO_TCP, "elasticsearch", "Elasticsearch", true},
    {11211, IPPROTO_TCP, "memcached", "memcached", true},
    {27017, IPPROTO_TCP, "mongodb", "MongoDB", true},
    {51820, IPPROTO_UDP, "wireguard", "WireGuard", true},
};

struct named_number {
    const char *name;
    uint16_t number;
};

static const struct named_number port_names[] = {{"bootpc", 68},
                                                 {"bootps", 67},
                                                 {"domain", 53},
                                                 {"www", 80},
                                                 {"isakmp", 500},
                                                 {"ldap", 389},
                                                 {"microsoft-ds", 445},
                                                 {"netbios-ssn", 139},
                                                 {"ntp", 123},
                                                 {"pop3", 110},
                                                 {"smtp", 25},
                                                 {"snmp", 161},
                                                 {"snmptrap", 162},
                                                 {"sqlnet", 1521},
                                                 {"ssh", 22},
                                                 {"sunrpc", 111},
                                                 {"syslog", 514},
                                                 {"tacacs", 49},
                                                 {"telnet", 23},
                                                 {"tftp", 69},
                                                 {"ftp", 21},
                                                 {"ftp-data", 20},
                                                 {"http", 80},
                                                 {"https", 443},
                                                 {"bgp", 179},
                                                 {"cmd", 514},
                                                 {"exec", 512},
                                                 {"login", 513},
                                                 {"lpd", 515},
                                                 {"nntp", 119},
                                                 {"non500-isakmp", 4500},
                                                 {"radius", 1812},
                                                 {"radius-acct", 1813},
                                                 {"rip", 520},
                                                 {"nfs", 2049},
                                                 {"imap", 143},
                                                 {"gopher", 70},
                                                 {"finger", 79},
                                                 {"ident", 113},
                                                 {"irc", 194},
                                                 {"kerberos", 88},
                                                 {"klogin", 543},
                                                 {"kshell", 544},
                                                 {"talk", 517},
                                                 {"time", 37},
                                                 {"uucp", 540},
                                                 {"whois", 43},
                                                 {"discard", 9},
                                                 {"echo", 7},
                                                 {"daytime", 13},
                                                 {"chargen", 19},
                                                 {"hostname", 101},
                                                 {"pim-auto-rp", 496},
                                                 {"biff", 512},
                                                 {"dnsix", 195},
                                                 {"mobile-ip", 434},
                                                 {"nameserver", 42},
                                                 {"netbios-dgm", 138},
                                                 {"netbios-ns", 137},
                                                 {"who", 513},
                                                 {"xdmcp", 177},
                                                 {"pop2", 109},
                                                 {"drip", 3949},
                                                 {"mysql", 3306},
                                                 {"postgresql", 5432},
                                                 {"ms-wbt-server", 3389}};

static const struct named_number protocol_names[] = {{"icmpv6", IPPROTO_ICMPV6},
                                                     {"ipv6-icmp", IPPROTO_ICMPV6},
                                                     {"icmp6", IPPROTO_ICMPV6},
                                                     {"ospf", 89},
                                                     {"eigrp", 88},
                                                     {"pim", 103},
                                                     {"vrrp", 112},
                                                     {"l2tp", 115},
                                                     {"dccp", 33},
                                                     {"ahp", 51},
                                                     {"ipinip", 4},
                                                     {"nos", 94},
                                                     {"pcp", 108},
                                                     {"ipencap", 4},
                                                     {"ipv6", 41}};

static const struct named_number icmp_names[] = {{"echo-reply", 0},
                                                 {"pong", 0},
                                                 {"destination-unreachable", 3},
                                                 {"unreachable", 3},
                                                 {"source-quench", 4},
                                                 {"redirect", 5},
                                                 {"echo-request", 8},
                                                 {"ping", 8},
                                                 {"echo", 8},
                                                 {"router-advertisement", 9},
                                                 {"router-solicitation", 10},
                                                 {"time-exceeded", 11},
                                                 {"ttl-exceeded", 11},
                                                 {"parameter-problem", 12},
                                                 {"timestamp-request", 13},
                                                 {"timestamp-reply", 14},
                                                 {"info-request", 15},
                                                 {"info-reply", 16},
                                                 {"address-mask-request", 17},
                                                 {"address-mask-reply", 18},
                                                 {"mask-request", 17},
                                                 {"mask-reply", 18},
                                                 {"traceroute", 30}};

static const struct named_number icmp6_names[] = {{"destination-unreachable", 1},
                                                  {"unreachable", 1},
                                                  {"packet-too-big", 2},
                                                  {"time-exceeded", 3},
                                                  {"ttl-exceeded", 3},
                                                  {"parameter-problem", 4},
                                                  {"echo-request", 128},
                                                  {"echo", 128},
                                                  {"echo-reply", 129},
                                                  {"mld-query", 130},
                                                  {"mld-listener-query", 130},
                                                  {"mld-listener-report", 131},
                                                  {"mld-report", 131},
                                                  {"mld-listener-done", 132},
                                                  {"mld-reduction", 132},
                                                  {"mld-listener-reduction", 132},
                                                  {"router-solicitation", 133},
                                                  {"nd-router-solicit", 133},
                                                  {"router-advertisement", 134},
                                                  {"nd-router-advert", 134},
                                                  {"neighbour-solicitation", 135},
                                                  {"neighbor-solicitation", 135},
                                                  {"nd-neighbor-solicit", 135},
                                                  {"nd-ns", 135},
                                                  {"neighbour-advertisement", 136},
                                                  {"neighbor-advertisement", 136},
                                                  {"nd-neighbor-advert", 136},
                                                  {"nd-na", 136},
                                                  {"redirect", 137},
                                                  {"nd-redirect", 137},
                                                  {"mld2-listener-report", 143}};

const struct wellknown *wellknown_of(uint8_t protocol, uint16_t port)
{
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
        if (ports[i].port == port && ports[i].protocol == protocol)
            return &ports[i];
    return NULL;
}

static int lookup(const struct named_number *names, size_t n, const char *s, uint64_t *ret)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(names[i].name, s) == 0) {
            *ret = names[i].number;
            return 0;
        }
    return -EINVAL;
}

int wellknown_port(const char *name, uint64_t *ret_port)
{
    return lookup(port_names, ARRAY_SIZE(port_names), name, ret_port);
}

int wellknown_protocol(const char *name, uint8_t *ret_protocol)
{
    uint64_t v;

    if (lookup(protocol_names, ARRAY_SIZE(protocol_names), name, &v) < 0)
        return protocol_parse(name, ret_protocol);
    *ret_protocol = (uint8_t)v;
    return 0;
}

int wellknown_icmp(const char *name, bool v6, unsigned *ret_type)
{
    uint64_t v;
    int r = v6 ? lookup(icmp6_names, ARRAY_SIZE(icmp6_names), name, &v)
               : lookup(icmp_names, ARRAY_SIZE(icmp_names), name, &v);

    if (r < 0)
        r = number_parse(name, strlen(name), 255, &v);
    if (r == 0)
        *ret_type = (unsigned)v;
    return r;
}
