# SPDX-License-Identifier: Apache-2.0
"""Attack traffic of root inside a guest, one shape a line: what the policy forbids, in every form that
we could think of.  tests/netns/test_battery.py sends them, with and without enforcement.

The policy lets a (clients) reach b (servers) by tcp/7005 and udp/7005, by 7001 with the program
/opt/t/good only, and by Modbus function 3.  Everything below is something else.

A shape is (name, how, what, residue).  'how':
  frame    root's packet socket; 'what' makes the frame
  bypass   the same past the queueing discipline (PACKET_QDISC_BYPASS)
  script   Python as root in the guest, with B4 B6 C4 (addresses) and TOKEN; leaks when 'what' carries
           the token, or when 'seen' of the shape says so of a frame
'residue': the row of SECURITY.md that lists it as what an agent alone does not stop; None: it does."""
from scapy.contrib.lldp import LLDPDUChassisID, LLDPDUEndOfLLDPDU, LLDPDUPortID, LLDPDUTimeToLive
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise
from scapy.layers.eap import EAPOL
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR, IPOption_RR
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6MLQuery2, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA,
                                ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr, ICMPv6NDOptSrcLLAddr, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
                                RouterAlert)
from scapy.layers.l2 import ARP, LLC, Dot1AD, Dot1Q, Dot3, Ether
from scapy.packet import Raw

A4, B4, C4, A6, B6 = "10.77.0.1", "10.77.0.2", "10.77.0.3", "fd77::1", "fd77::2"
EVIL, ALL = "02:66:66:66:66:66", "ff:ff:ff:ff:ff:ff"
FREE, WORK, SHUT = 7005, 7001, 7006
# Rows of SECURITY.md, by their first words.
BYPASS = "AF_XDP; packet sockets with PACKET_QDISC_BYPASS"
ARP_ROW = "ARP and neighbour spoofing"
LINK = "Link upkeep"
SENDER = "Claiming another sender"
REWRITE = "Rewriting behind the agent"
# Towards what the policy allows, from somebody else or in a strange form.
CLAIMS = {"the neighbour's address", "an outside address", "the victim's own address", "an address of loopback",
          "the neighbour's IPv6 address", "another MAC", "the neighbour's MAC and address", "v4-mapped addresses",
          "a header of its own", "SYN and FIN", "five extension headers", "routing header type 0",
          "lengths that do not agree"}


class Shape:
    def __init__(self, name, how, what, residue=None, seen=None, cgroup=True):
        self.name, self.how, self.what, self.residue = name, how, what, residue
        self.seen, self.cgroup = seen, cgroup


def link_local(mac):
    b = [int(x, 16) for x in mac.split(":")]
    return f"fe80::{b[0] ^ 2:02x}{b[1]:02x}:{b[2]:02x}ff:fe{b[3]:02x}:{b[4]:02x}{b[5]:02x}"


def tcp_to(port):
    """A SYN to this port, by whatever address."""
    def seen(frame):
        packet = Ether(frame)
        return TCP in packet and packet[TCP].dport == port and packet[TCP].flags.S and not packet[TCP].flags.A
    return seen


def udp_to(port):
    def seen(frame):
        packet = Ether(frame)
        return UDP in packet and packet[UDP].dport == port
    return seen


def frames():
    """[(name, make, residue)]; make(m) with m.a, m.b, m.c: MAC addresses."""
    def e(m, **fields):
        return Ether(**{"src": m.a, "dst": m.b, **fields})

    def v4(**fields):
        return IP(**{"src": A4, "dst": B4, **fields})

    def v6(**fields):
        return IPv6(**{"src": A6, "dst": B6, **fields})

    def udp(to=SHUT, **fields):
        return UDP(**{"sport": 4000, "dport": to, **fields}) / Raw(b"battery")

    def nd(m, **fields):
        return IPv6(**{"src": A6, "dst": "ff02::1", "hlim": 255, **fields})

    def tcp(flags, to=FREE, **fields):
        return TCP(sport=4001, dport=to, flags=flags, seq=77, **fields)

    hidden = bytes(v4() / udp())
    nodes = {"dst": "33:33:00:00:00:01"}
    rows = [
        ("a datagram", lambda m: e(m) / v4() / udp()),
        ("a datagram by IPv6", lambda m: e(m) / v6() / udp()),
        ("a connection", lambda m: e(m) / v4() / tcp("S", SHUT)),
        ("a connection by IPv6", lambda m: e(m) / v6() / tcp("S", SHUT)),
        ("a datagram from port 53", lambda m: e(m) / v4() / udp(sport=53)),
        ("a datagram from the allowed port", lambda m: e(m) / v4() / udp(sport=FREE)),
        ("a datagram without checksum", lambda m: e(m) / v4() / udp(chksum=0)),
        ("data of no connection", lambda m: e(m) / v4() / tcp("PA") / Raw(b"battery")),
        ("an answer to no connection", lambda m: e(m) / v4() / tcp("SA")),
        ("a reset of no connection", lambda m: e(m) / v4() / tcp("R")),
        ("a FIN scan", lambda m: e(m) / v4() / tcp("F")),
        ("a null scan", lambda m: e(m) / v4() / tcp("")),
        ("a Christmas tree", lambda m: e(m) / v4() / tcp("FPU")),
        ("SYN and FIN", lambda m: e(m) / v4() / tcp("SF")),
        ("the neighbour's address", lambda m: e(m) / v4(src=C4) / udp(FREE)),
        ("an outside address", lambda m: e(m) / v4(src="192.0.2.1") / udp(FREE)),
        ("the victim's own address", lambda m: e(m) / v4(src=B4) / udp(FREE)),
        ("an address of loopback", lambda m: e(m) / v4(src="127.0.0.1") / udp(FREE)),
        ("the neighbour's IPv6 address", lambda m: e(m) / v6(src="fd77::3") / udp(FREE)),
        ("another MAC", lambda m: e(m, src=EVIL) / v4() / udp(FREE)),
        ("the neighbour's MAC and address", lambda m: e(m, src=m.c) / v4(src=C4) / udp(FREE)),
        ("v4-mapped addresses", lambda m: e(m) / v6(src="::ffff:10.77.0.1", dst="::ffff:10.77.0.2") / udp(FREE)),
        ("a tail without a first piece", lambda m: e(m) / v4(proto=17, frag=64) / Raw(bytes(udp(FREE)) + b"x" * 40)),
        ("a first piece of eight bytes", lambda m: e(m) / v4(proto=6, flags="MF") / Raw(bytes(tcp("S"))[:8])),
        ("a piece at offset one", lambda m: e(m) / v4(proto=6, frag=1) / Raw(bytes(tcp("S", SHUT))[8:])),
        ("a forbidden first piece", lambda m: e(m) / v4(proto=17, flags="MF") / Raw(bytes(udp()) + b"\0")),
        ("a tail by IPv6", lambda m: e(m) / v6() / IPv6ExtHdrFragment(nh=17, offset=9, id=7) / Raw(b"x" * 40)),
        ("a forbidden atomic fragment", lambda m: e(m) / v6() / IPv6ExtHdrFragment(nh=17, id=7) / udp()),
        ("loose source routing", lambda m: e(m) / v4(options=[IPOption_LSRR(routers=[C4])]) / udp(FREE)),
        ("record route", lambda m: e(m) / v4(options=[IPOption_RR()]) / udp(FREE)),
        ("routing header type 0", lambda m: e(m) / v6() / IPv6ExtHdrRouting(type=0, addresses=["fd77::3"]) / udp(FREE)),
        ("five extension headers", lambda m: e(m) / v6() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / udp(FREE)),
        ("a forbidden datagram behind extension headers", lambda m: e(m) / v6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / udp()),
        ("lengths that do not agree", lambda m: e(m) / v4() / udp(FREE, len=900)),
        ("a ping", lambda m: e(m) / v4() / ICMP(type=8, id=3) / Raw(b"battery")),
        ("a ping by IPv6", lambda m: e(m) / v6() / ICMPv6EchoRequest(id=3, data=b"battery")),
        ("an echo that nobody asked for", lambda m: e(m) / v4() / ICMP(type=0, id=3) / Raw(b"battery")),
        ("a question for the time", lambda m: e(m) / v4() / ICMP(type=13)),
        ("an error of no flow", lambda m: e(m) / v4() / ICMP(type=3, code=4) / Raw(bytes(v4(src=B4, dst=A4) / udp())[:28])),
        ("a redirect", lambda m: e(m) / v4() / ICMP(type=5, code=1, gw=A4) / v4(src=B4, dst=C4) / UDP()),
        ("a broadcast datagram", lambda m: e(m, dst=ALL) / v4(dst="255.255.255.255") / udp()),
        ("a directed broadcast", lambda m: e(m, dst=ALL) / v4(dst="10.77.0.255") / udp()),
        ("a multicast datagram", lambda m: e(m, dst="01:00:5e:01:01:01") / v4(dst="239.1.1.1", ttl=1) / udp()),
        ("a multicast datagram by IPv6", lambda m: e(m, **nodes) / v6(dst="ff02::1", hlim=1) / udp()),
        ("a unicast datagram in a broadcast frame", lambda m: e(m, dst=ALL) / v4() / udp()),
        ("a VLAN tag", lambda m: e(m) / Dot1Q(vlan=5) / v4() / udp(FREE)),
        ("a priority tag", lambda m: e(m) / Dot1Q(vlan=0, prio=7) / v4() / udp(FREE)),
        ("two VLAN tags", lambda m: e(m) / Dot1AD(vlan=7) / Dot1Q(vlan=5) / v4() / udp(FREE)),
        ("MPLS", lambda m: e(m, type=0x8847) / Raw(b"\0\1\1\xff" + hidden)),
        ("PPPoE", lambda m: e(m, type=0x8864) / Raw(b"\x11\0\0\1\0\x30\0\x21" + hidden)),
        ("IPX", lambda m: e(m, type=0x8137) / Raw(b"\xff" * 46)),
        ("a protocol for experiments", lambda m: e(m, type=0x88B5) / Raw(b"battery" + b"\0" * 40)),
        ("802.3 with LLC", lambda m: Dot3(src=m.a, dst=m.b) / LLC() / Raw(b"z" * 40)),
        ("CDP", lambda m: e(m, dst="01:00:0c:cc:cc:cc", type=0x2000) / Raw(b"\2" * 60)),
        ("a server's DHCP offer", lambda m: e(m, dst=ALL) / v4(dst="255.255.255.255") / UDP(sport=67, dport=68) / BOOTP(op=2, chaddr=bytes(6), yiaddr="10.77.0.66") / DHCP(options=[("message-type", "offer"), "end"])),
        ("a server's DHCPv6 advertisement", lambda m: e(m) / v6(src=link_local(m.a)) / UDP(sport=547, dport=546) / DHCP6_Advertise()),
        ("RARP", lambda m: e(m, dst=ALL, type=0x8035) / ARP(op=3, hwsrc=m.a, psrc=A4, pdst=B4)),
    ]
    igmp = (LINK, "a question for listeners by IGMP", lambda m: e(m, dst="01:00:5e:00:00:01") / v4(dst="224.0.0.1", ttl=1, proto=2) / Raw(b"\x11\x64\xee\x9b\0\0\0\0"))
    rows += [(f"protocol {n}", lambda m, n=n: e(m) / v4(proto=n) / Raw(hidden))
             for n in (2, 4, 33, 41, 47, 50, 51, 89, 97, 103, 112, 115, 132, 136, 253)]
    rows += [(f"next header {n}", lambda m, n=n: e(m) / v6(nh=n) / Raw(hidden)) for n in (4, 41, 47, 50, 132, 253)]
    upkeep = [
        (ARP_ROW, "ARP for the gateway", lambda m: e(m) / ARP(op=2, hwsrc=m.a, psrc="10.77.0.254", pdst=B4)),
        (ARP_ROW, "gratuitous ARP for the neighbour", lambda m: e(m, dst=ALL) / ARP(op=1, hwsrc=m.a, psrc=C4, pdst=C4)),
        (ARP_ROW, "ARP with another MAC inside", lambda m: e(m, dst=ALL) / ARP(op=1, hwsrc=EVIL, psrc=A4, pdst=B4)),
        (ARP_ROW, "LLDP to one host", lambda m: e(m, type=0x88CC) / LLDPDUChassisID(id=b"x") / LLDPDUPortID(id=b"y") / LLDPDUTimeToLive() / LLDPDUEndOfLLDPDU()),
        (ARP_ROW, "EAPOL to one host", lambda m: e(m) / EAPOL(type=1)),
        (LINK, "advertisement of the neighbour's address", lambda m: e(m, **nodes) / nd(m) / ICMPv6ND_NA(tgt="fd77::3", O=1) / ICMPv6NDOptDstLLAddr(lladdr=m.a)),
        (LINK, "a neighbour question with another MAC", lambda m: e(m, **nodes) / nd(m) / ICMPv6ND_NS(tgt=B6) / ICMPv6NDOptSrcLLAddr(lladdr=EVIL)),
        (LINK, "router advertisement", lambda m: e(m, **nodes) / nd(m, src=link_local(m.a)) / ICMPv6ND_RA()),
        (None, "an IPv6 redirect", lambda m: e(m) / nd(m, src=link_local(m.a), dst=B6) / ICMPv6ND_Redirect(tgt=A6, dst="fd77::3")),
        (LINK, "a question for listeners", lambda m: e(m, **nodes) / IPv6(src=link_local(m.a), dst="ff02::1", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLQuery2()),
    ]
    return [(name, make, SENDER if name in CLAIMS else None) for name, make in rows] + \
        [(name, make, row) for row, name, make in [*upkeep, igmp]]


BYPASSED = ["a datagram", "a datagram by IPv6", "a connection", "data of no connection", "the neighbour's address",
            "another MAC", "a tail without a first piece", "routing header type 0", "a ping", "a VLAN tag",
            "a multicast datagram", "protocol 47", "protocol 4", "a protocol for experiments"]

UDP_SCRIPT = "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"


def scripts():
    probe = "import subprocess; subprocess.run([%s], stdout=subprocess.DEVNULL, timeout=10)"
    connect = "s = socket.socket(); s.settimeout(0.2); s.connect((B4, %d))"
    raw = "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, %d); s.sendto(%s, (B4, 0))"
    rows = [
        ("another program by TCP", connect % WORK, tcp_to(WORK)),
        ("another program by UDP", UDP_SCRIPT + "s.sendto(TOKEN, (B4, 7001))", None),
        ("a copy of the program", "import shutil; shutil.copy('/opt/t/good', '/opt/t/copy')\n" +
         probe % "'/opt/t/copy', 'try', '-t', '200', f'tcp,{B4},7001'", tcp_to(WORK)),
        ("the program by the loader", probe % "'/lib64/ld-linux-x86-64.so.2', '/opt/t/good', 'try', '-t', '200', f'tcp,{B4},7001'", tcp_to(WORK)),
        ("a program in memory", "fd = os.memfd_create('x'); os.write(fd, open('/opt/t/good', 'rb').read())\n"
         "os.execve(fd, ['good', 'try', '-t', '200', f'tcp,{B4},7001'], {})", tcp_to(WORK)),
        ("another socket family", "s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.sendto(TOKEN, ('::ffff:' + B4, 7006))", None),
        ("a connected socket to somebody else", UDP_SCRIPT + "s.connect((B4, 7005)); s.sendto(TOKEN, (B4, 7006))", None),
        ("many at once", probe % "'/opt/t/evil', 'try', '-t', '200', f'udp,{B4},7006,how=sendmmsg,via={B4}/7005'", udp_to(SHUT)),
        ("segments cut by the kernel", UDP_SCRIPT + "s.setsockopt(17, 103, 40); s.sendto(TOKEN * 8, (B4, 7006))", None),
        ("a corked datagram", UDP_SCRIPT + "s.connect((B4, 7006)); s.send(TOKEN, 0x8000); s.send(b'x')", None),
        ("UDP-Lite", "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136); s.sendto(TOKEN, (B4, 7005))", None),
        ("multipath TCP", "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262); s.settimeout(0.2); s.connect((B4, 7006))", tcp_to(SHUT)),
        ("TCP fast open", "s = socket.socket(); s.settimeout(0.2); s.sendto(TOKEN, 0x20000000, (B4, 7006))", tcp_to(SHUT)),
        ("a bound device", "s = socket.socket(); s.setsockopt(1, 25, b'eth0'); s.settimeout(0.2); s.connect((B4, 7006))", tcp_to(SHUT)),
        ("from the allowed port", "s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('', 7005)); s.settimeout(0.2); s.connect((B4, 7006))", tcp_to(SHUT)),
        ("from port 68 to 67", UDP_SCRIPT + "s.bind(('', 68)); s.sendto(TOKEN, (B4, 67))", None),
        ("a raw socket's datagram", raw % (17, "struct.pack('>HHHH', 4000, 7006, 8 + len(TOKEN), 0) + TOKEN"), None),
        ("a header of its own", "s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 255)\n"
         "s.sendto(struct.pack('>BBHHHBBH4s4s', 69, 0, 0, 0, 0, 64, 17, 0, socket.inet_aton('10.77.0.3'), socket.inet_aton(B4))"
         " + struct.pack('>HHHH', 4000, 7005, 8 + len(TOKEN), 0) + TOKEN, (B4, 0))", None),
        ("a ping with a letter inside", raw % (1, "b'\\x08\\0' + struct.pack('>H', 0xffff - csum(b'\\x08\\0\\0\\0\\0\\1\\0\\1' + TOKEN)) + b'\\0\\1\\0\\1' + TOKEN"), None),
        ("a ping socket", "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1); s.sendto(b'\\x08\\0\\0\\0\\0\\1\\0\\1' + TOKEN, (B4, 0))", None),
        ("SCTP by a raw socket", raw % (132, "TOKEN"), None),
        ("broadcast by a socket", UDP_SCRIPT + "s.setsockopt(1, 6, 1); s.sendto(TOKEN, ('10.77.0.255', 7006))", None),
        ("multicast by a socket", UDP_SCRIPT + "s.setsockopt(0, 32, struct.pack('4s4si', socket.inet_aton('239.1.1.1'), socket.inet_aton('10.77.0.1'), 0)); s.sendto(TOKEN, ('239.1.1.1', 7006))", None),
        ("somebody else's address by freebind", UDP_SCRIPT + "s.setsockopt(0, 15, 1); s.setsockopt(0, 19, 1); s.bind(('10.77.0.3', 0)); s.sendto(TOKEN, (B4, 7006))", None),
        ("the guest's own firewall rewrites the port", "sh('nft add table ip t; nft add chain ip t o { type nat hook output priority -100 \\\\; }; nft add rule ip t o udp dport 7005 dnat to 10.77.0.2:7006')\n"
         "try:\n  " + UDP_SCRIPT.strip() + "; s.sendto(TOKEN, (B4, 7005))\nfinally:\n  sh('nft delete table ip t')", lambda f: udp_to(SHUT)(f)),
        ("a container of its own, forwarded", "sh('ip netns add sm-inner; ip link add inner0 type veth peer name eth9 netns sm-inner; ip addr add 10.99.0.1/24 dev inner0; ip link set inner0 up; ip -n sm-inner addr add 10.99.0.2/24 dev eth9; ip -n sm-inner link set eth9 up; ip -n sm-inner route add default via 10.99.0.1; sysctl -qw net.ipv4.ip_forward=1')\n"
         "try:\n  sh('ip netns exec sm-inner /usr/bin/python3 -c \"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes.fromhex(\\'' + TOKEN.hex() + '\\'), (\\'10.77.0.2\\', 7006))\"')\n"
         "finally:\n  sh('ip netns del sm-inner; sysctl -qw net.ipv4.ip_forward=0')", None),
        ("a second interface on the wire (macvlan)", "sh('ip netns add sm-inner; ip link add link eth0 name mv0 netns sm-inner type macvlan mode bridge; ip -n sm-inner addr add 10.77.0.8/24 dev mv0; ip -n sm-inner link set mv0 up; ip -n sm-inner neigh add 10.77.0.2 lladdr ' + BMAC + ' dev mv0')\n"
         "try:\n  sh('ip netns exec sm-inner /usr/bin/python3 -c \"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(bytes.fromhex(\\'' + TOKEN.hex() + '\\'), (\\'10.77.0.2\\', 7006))\"')\n"
         "finally:\n  sh('ip netns del sm-inner')", None),
        ("a tunnel of the kernel (VXLAN)", "sh('ip link add vx0 type vxlan id 7 remote 10.77.0.2 dstport 4789; ip addr add 10.98.0.1/24 dev vx0; ip link set vx0 up; ip neigh add 10.98.0.2 lladdr 02:00:00:00:00:09 dev vx0')\n"
         "try:\n  " + UDP_SCRIPT.strip() + "; s.sendto(TOKEN, ('10.98.0.2', 7006))\nfinally:\n  sh('ip link del vx0')", None),
        ("the guest's own firewall rewrites what leaves", "sh('nft add table netdev t; nft add chain netdev t e { type filter hook egress device eth0 priority 500 \\\\; }; nft add rule netdev t e udp dport 7005 udp dport set 7006')\n"
         "try:\n  " + UDP_SCRIPT.strip() + "; s.sendto(TOKEN, (B4, 7005))\nfinally:\n  sh('nft delete table netdev t')", udp_to(SHUT)),
        ("another address on the interface", "sh('ip addr add 10.77.0.9/24 dev eth0')\n"
         "try:\n  " + UDP_SCRIPT.strip() + "; s.bind(('10.77.0.9', 0)); s.sendto(TOKEN, (B4, 7006))\nfinally:\n  sh('ip addr del 10.77.0.9/24 dev eth0')", None),
        ("a Modbus function that no rule names", "s = socket.create_connection((B4, 502), 0.5); s.sendall(b'\\0\\1\\0\\0' + struct.pack('>H', 2 + len(TOKEN)) + b'\\1\\x10' + TOKEN); wait(s)", None),
        ("a Modbus function in pieces", "s = socket.create_connection((B4, 502), 0.5); s.setsockopt(6, 1, 1)\n"
         "d = b'\\0\\1\\0\\0' + struct.pack('>H', 2 + len(TOKEN)) + b'\\1\\x5a' + TOKEN\n"
         "for n in range(7): s.sendall(d[n:n + 1])\ns.sendall(d[7:]); wait(s)", None),
        ("a Modbus function behind a good one", "s = socket.create_connection((B4, 502), 0.5)\n"
         "s.sendall(b'\\0\\1\\0\\0\\0\\6\\1\\3\\0\\0\\0\\1' + b'\\0\\2\\0\\0' + struct.pack('>H', 2 + len(TOKEN)) + b'\\1\\6' + TOKEN); wait(s)", None),
        ("no Modbus on Modbus's port", "s = socket.create_connection((B4, 502), 0.5); s.sendall(TOKEN * 4); wait(s)", None),
    ]
    residue = {"the guest's own firewall rewrites what leaves": REWRITE, **dict.fromkeys(CLAIMS, SENDER)}
    return [Shape(name, "script", code, residue.get(name), seen) for name, code, seen in rows] + [
        Shape("a program outside the agent's cgroup", "script", UDP_SCRIPT + "s.sendto(TOKEN, (B4, 7006))", cgroup=False)]


def shapes():
    made = [Shape(name, "frame", make, residue) for name, make, residue in frames()]
    by_name = {s.name: s for s in made}
    made += [Shape(f"{name}, past the queues", "bypass", by_name[name].what, BYPASS) for name in BYPASSED]
    return made + scripts()
