# SPDX-License-Identifier: Apache-2.0
"""Malformed everything: frames with random bits, lengths and pieces changed, by the ten thousand.  Whatever
arrives is judged by a reader of packets of its own, which knows only what may arrive."""
import ipaddress
import random
import struct

import pytest
from edge_place import ALL, Place, ether, link_local
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6EchoRequest, ICMPv6ND_NS, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

SEED, ROUNDS, EACH = 20261122, 40, 500
RULES = """
services:
  work: [tcp/7001, udp/7001]
allow:
  - {id: work, from: clients, to: servers, service: work, why: test, owner: test}
"""
A4, B4, A6, B6 = "10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2"
V4, V6, ARP_TYPE = 0x0800, 0x86DD, 0x0806


@pytest.fixture(scope="module")
def place():
    place = Place(RULES, flush="ab")
    try:
        place.bind("a")
        yield place
    finally:
        place.down()


def seeds(p):
    """Frames to change: what is allowed, what is not, and what lies between."""
    v4, v6 = IP(src=A4, dst=B4), IPv6(src=A6, dst=B6)
    work, shut = UDP(sport=4000, dport=7001) / Raw(b"x" * 40), UDP(sport=4000, dport=7002) / Raw(b"x" * 40)
    return [bytes(f) for f in (
        ether(p) / v4 / work, ether(p) / v6 / work, ether(p) / v4 / shut, ether(p) / v6 / shut,
        ether(p) / v4 / TCP(sport=4001, dport=7001, flags="S"), ether(p) / v4 / TCP(sport=4001, dport=7002, flags="S"),
        ether(p) / v6 / TCP(sport=4002, dport=7001, flags="S", options=[("MSS", 1460), ("WScale", 7)]),
        ether(p) / v4 / ICMP(id=7), ether(p) / v6 / ICMPv6EchoRequest(id=7),
        ether(p) / v6 / IPv6ExtHdrDestOpt() / work, ether(p) / v6 / IPv6ExtHdrFragment(nh=17, id=9) / work,
        ether(p) / IP(src=A4, dst=B4, flags="MF", id=9) / work, ether(p) / Dot1Q(vlan=3) / v4 / work,
        ether(p, dst=ALL) / ARP(op=1, hwsrc=p.mac["a"], psrc=A4, pdst=B4),
        ether(p, dst="33:33:ff:00:00:02") / IPv6(src=A6, dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt=B6),
        ether(p) / v4 / UDP(sport=68, dport=67) / Raw(b"\1\1\6\0" + b"\0" * 236))]


def mutate(chance, frame):
    """Some bits, a number at a boundary, cut off, or two frames crossed; MAC addresses mostly stay."""
    data = bytearray(frame)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        at = chance.randrange(12, len(data)) if chance.random() < 0.9 else chance.randrange(len(data))
        kind = chance.randrange(5)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        elif kind == 2:
            value = chance.choice((0, 1, 7001, 7002, 0xFFFF, 0x8000, len(data)))
            data[at:at + 2] = struct.pack(">H", value)
        elif kind == 3 and len(data) > 40:
            del data[at:at + chance.randrange(1, 5)]
        else:
            data[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 9)))
    if chance.random() < 0.1:
        del data[chance.randrange(20, max(21, len(data))):]
    return bytes(data[:1500]).ljust(15, b"\0")


class Reader:
    """Only what may arrive from a: its own MAC and addresses, no tag, no option, UDP and SYNs to 7001 (or what
    follows a SYN), and the upkeep of the link.  None: it may; else why not."""

    def __init__(self, p):
        self.mac = bytes.fromhex(p.mac["a"].replace(":", ""))
        self.own = {ipaddress.ip_address(x) for x in (A4, A6, link_local(p.mac["a"]))}

    def wrong(self, f):
        try:
            return self.judge(f)
        except (ValueError, IndexError, struct.error):
            return "cut off"

    def judge(self, f):
        if f[6:12] != self.mac:
            return "another MAC"
        kind = struct.unpack(">H", f[12:14])[0]
        if kind == ARP_TYPE:
            psrc = ipaddress.ip_address(f[28:32])
            return None if f[22:28] == self.mac and (psrc in self.own or psrc.packed == bytes(4)) else "ARP of another"
        if kind == V4:
            return self.wrong_v4(f[14:])
        if kind == V6:
            return self.wrong_v6(f[14:])
        return f"type {kind:04x}"

    def wrong_v4(self, d):
        if d[0] != 0x45 and d[9] != 2:  # IGMP reports carry router alert.
            return "options or version"
        source, to = ipaddress.ip_address(d[12:16]), ipaddress.ip_address(d[16:20])
        offset = struct.unpack(">H", d[6:8])[0] & 0x1FFF
        body = d[(d[0] & 15) * 4:]
        if d[9] == 17 and not offset and struct.unpack(">HH", body[:4]) == (68, 67):
            return None if source in self.own or source.packed == bytes(4) else "DHCP of another"
        if source not in self.own:
            return "another source"
        if d[9] == 2 and to.is_multicast:
            return None
        return self.wrong_port(d[9], body, offset)

    def wrong_v6(self, d):
        source = ipaddress.ip_address(d[8:24])
        kind, body, offset = d[6], d[40:], 0
        while kind in (0, 60, 44):
            if kind == 44:
                offset = struct.unpack(">H", body[2:4])[0] >> 3
                kind, body = body[0], body[8:]
            else:
                kind, body = body[0], body[8 + 8 * body[1]:]
        if kind == 58 and not offset and body[0] in (133, 135, 136, 143, 131, 132):  # Link upkeep.
            return None if source in self.own or source.packed == bytes(16) else "upkeep of another"
        if kind == 17 and not offset and struct.unpack(">HH", body[:4]) == (546, 547):
            return None
        if source not in self.own:
            return "another source"
        return self.wrong_port(kind, body, offset)

    def wrong_port(self, protocol, body, offset):
        if offset:
            return "a piece without its first"
        if protocol not in (6, 17):
            return f"protocol {protocol}"
        port = struct.unpack(">H", body[2:4])[0]
        return None if port == 7001 else f"port {port}"


def through(p, frames):
    """What of these arrives at b; others on the wire have things to say, too."""
    sent = set(frames)
    return [f for f in p.send("a", "b", *frames) if f in sent]


def test_of_twenty_thousand_changed_frames_arrives_only_what_may(place):
    chance, reader, made = random.Random(SEED), Reader(place), seeds(place)
    arrived = []
    for _ in range(ROUNDS):
        arrived += through(place, [mutate(chance, chance.choice(made)) for _ in range(EACH)])
    wrong = [(reader.wrong(f), f.hex()) for f in arrived if reader.wrong(f)]
    assert not wrong, f"{len(wrong)} of {len(arrived)}: {wrong[:3]}"
    assert len(arrived) > 300  # Some are as good as before: else this would prove nothing.
    place.edge.status("a")  # It lives.


def test_the_reader_itself_sees_what_is_wrong(place):
    reader, base = Reader(place), seeds(place)
    assert [n for n, f in enumerate(base) if not reader.wrong(f)] == [0, 1, 4, 6, 9, 10, 11, 13, 14, 15]
    place.bind()
    try:  # Without the edge the same frames arrive, wrong ones among them.
        chance = random.Random(SEED)
        arrived = through(place, [mutate(chance, chance.choice(base)) for _ in range(EACH)])
        assert len([f for f in arrived if reader.wrong(f)]) > EACH / 4
    finally:
        place.bind("a")
    assert Ether(base[0]).dst == place.mac["b"]
