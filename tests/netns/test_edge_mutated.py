# SPDX-License-Identifier: Apache-2.0
"""Mutated frames by the hundred thousand, straight into the programs at a port.  What passes is
checked by a reader that shares nothing with them: it has to be the port's own, and allowed."""
import ipaddress
import random
import struct

import pytest
from edge_place import ALL, Place, link_local
from frame_run import DROP, PASS, SHORTEST, Runner
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.inet6 import (ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6ND_RA, IPv6,
                                IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop,
                                IPv6ExtHdrRouting)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

FRAMES, SEED = 40_000, 20261122
RULES = """
services:
  one: [tcp/7001, udp/7001]
  read: {ports: [tcp/502], modbus: [1, 2, 3, 4]}
allow:
  - {id: one, from: clients, to: servers, service: one, why: test, owner: test}
  - {id: read, from: clients, to: servers, service: read, why: test, owner: test}
"""
OPEN = {7001, 502}
LINK = {130, 131, 132, 133, 135, 136, 143}  # ICMPv6 types that a guest sends by itself.


@pytest.fixture(scope="module")
def place():
    place = Place(RULES, flush="ab", enforcers=["edge"])
    try:
        place.bind("a", "b")
        yield place
    finally:
        place.down()


def seeds(p):
    """Whole frames from a, of every kind that the programs know."""
    a4, b4, a6, b6 = (p.lab[x].address(v) for v in (4, 6) for x in "ab")
    e, every = Ether(src=p.mac["a"], dst=p.mac["b"]), Ether(src=p.mac["a"], dst=ALL)
    v4, v6, big = IP(src=a4, dst=b4), IPv6(src=a6, dst=b6), Raw(bytes(range(64)))
    own = link_local(p.mac["a"])
    nd = Ether(src=p.mac["a"], dst="33:33:ff:00:00:02") / IPv6(src=a6, dst="ff02::1:ff00:2", hlim=255)
    modbus = Raw(struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, 1))
    frames = [
        e / v4 / UDP(sport=4000, dport=7001) / big, e / v6 / UDP(sport=4000, dport=7001) / big,
        e / v4 / TCP(sport=4001, dport=7001, flags="S", seq=1), e / v6 / TCP(sport=4001, dport=7001, flags="S"),
        e / v4 / TCP(sport=4001, dport=7001, flags="PA", options=[("Timestamp", (1, 2))]) / big,
        e / v4 / TCP(sport=4002, dport=502, flags="S", seq=1),
        e / v4 / TCP(sport=4002, dport=502, flags="PA", seq=2, ack=1) / modbus,
        e / v4 / ICMP(type=8) / big, e / v6 / ICMPv6EchoRequest() / big,
        e / v4 / ICMP(type=3) / IP(src=b4, dst=a4) / UDP(sport=7001, dport=4000) / big,
        every / ARP(op=1, hwsrc=p.mac["a"], psrc=a4, pdst=b4), e / ARP(op=2, hwsrc=p.mac["a"], psrc=a4, pdst=b4),
        nd / ICMPv6ND_NS(tgt=b6), nd / ICMPv6ND_NA(tgt=a6), nd / ICMPv6ND_RA(),
        Ether(src=p.mac["a"], dst="33:33:00:00:00:02") / IPv6(src=own, dst="ff02::2", hlim=255) / ICMPv6ND_NS(tgt=own),
        every / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67) /
        BOOTP(chaddr=bytes.fromhex(p.mac["a"].replace(":", ""))) / DHCP(options=[("message-type", 1), "end"]),
        e / Dot1Q(vlan=7) / v4 / UDP(sport=4000, dport=7001), e / IP(src=a4, dst=b4, proto=47) / big,
        e / v6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / UDP(sport=4000, dport=7001) / big,
        e / v6 / IPv6ExtHdrRouting(addresses=[b6]) / UDP(sport=4000, dport=7001) / big,
        e / v6 / IPv6ExtHdrFragment(id=5, offset=0, m=1) / UDP(sport=4000, dport=7001) / big,
        e / v6 / IPv6ExtHdrFragment(id=5, offset=9, m=0) / big,
    ]
    frames += [e / piece for piece in fragment(v4 / UDP(sport=4000, dport=7001) / (big / big / big), fragsize=64)]
    return [bytes(f) for f in frames]


def mutate(chance, frame, others):
    out = bytearray(frame)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3, 8])):
        at, how = chance.randrange(len(out)), chance.randrange(7)
        if how == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif how == 1:
            out[at] = chance.choice([0, 1, 4, 5, 6, 17, 41, 43, 44, 47, 58, 60, 127, 128, 255])
        elif how == 2:
            del out[at:at + chance.randrange(1, 40)]
        elif how == 3:
            out[at:at] = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 24)))
        elif how == 4:
            other = chance.choice(others)
            begin = chance.randrange(len(other))
            piece = other[begin:begin + chance.randrange(1, 40)]
            out[at:at + len(piece)] = piece
        elif how == 5:
            struct.pack_into(">H", out, min(at, len(out) - 2), chance.choice([0, 1, 7, 8, 20, 65535, chance.randrange(65536)]))
        else:
            out += bytes(chance.randrange(1, 64))
        if len(out) < SHORTEST:
            out += bytes(SHORTEST - len(out))
    return bytes(out[:1500])


class Reader:
    """What a frame from a to the others may be, if it passes."""

    def __init__(self, p):
        self.mac = {x: bytes.fromhex(p.mac[x].replace(":", "")) for x in "ab"}
        self.v4 = {x: ipaddress.ip_address(p.lab[x].address()).packed for x in "ab"}
        self.v6 = {x: ipaddress.ip_address(p.lab[x].address(6)).packed for x in "ab"}
        self.local = ipaddress.ip_address(link_local(p.mac["a"])).packed

    def objection(self, f, direction):
        """Why this frame must not have passed, or None."""
        if direction == "out" and f[6:12] != self.mac["a"]:
            return "another MAC"
        if direction == "in" and (f[6:12] == self.mac["b"] or not (f[0] & 1 or f[0:6] == self.mac["b"])):
            return "MAC not for it, or its own"
        kind = f[12:14]
        if kind == b"\x08\x06":
            return self._arp(f, direction)
        if kind == b"\x08\x00":
            return self._v4(f, direction)
        return self._v6(f, direction) if kind == b"\x86\xdd" else "neither ARP nor IP"

    def _arp(self, f, direction):
        sender_mac, sender = f[22:28], f[28:32]
        if direction == "out" and (sender_mac != self.mac["a"] or sender not in (self.v4["a"], bytes(4))):
            return "ARP for another"
        return "ARP by its own address" if direction == "in" and sender == self.v4["b"] else None

    def _v4(self, f, direction):
        source, to, protocol = f[26:30], f[30:34], f[23]
        at = 14 + (f[14] & 15) * 4
        if f[14] != 0x45 and protocol != 2:
            return "options, or no IPv4"
        if direction == "out" and source == bytes(4):
            return None if protocol == 2 or (protocol == 17 and f[at:at + 4] == b"\0\x44\0\x43") else "nobody"
        if direction == "out" and source != self.v4["a"]:
            return "another address"
        if struct.unpack(">H", f[20:22])[0] & 0x1fff:
            return None if to == self.v4["b"] and protocol in (6, 17) else "a piece of what is not allowed"
        if protocol == 1:
            return None if f[at] in (3, 11, 12) else "ICMP"
        if protocol == 2:
            return None
        is_to = to == self.v4["b"] or (direction == "in" and f[0] & 1)  # A network's broadcast, perhaps.
        return self._ports(f, at, protocol, source == self.v4["a"] and is_to, to, direction)

    def _ports(self, f, at, protocol, is_pair, to, direction):
        if protocol not in (6, 17):
            return f"protocol {protocol}"
        source, port = struct.unpack(">HH", f[at:at + 4])
        if protocol == 17 and (source, port) in ((68, 67), (546, 547)) and (to == b"\xff" * 4 or to[0] == 0xff):
            return None if direction == "out" else "a request to no server"
        if direction == "in" and protocol == 17 and (source, port) in ((67, 68), (547, 546)):
            return None  # Any server may answer: none is named.
        return None if is_pair and port in OPEN and (protocol == 6 or port == 7001) else "not allowed"

    def _v6(self, f, direction):
        source, to, kind, at = f[22:38], f[38:54], f[20], 54
        if direction == "out" and source not in (self.v6["a"], self.local, bytes(16)):
            return "another address"
        for _ in range(5):
            if kind == 44:
                if struct.unpack(">H", f[at + 2:at + 4])[0] & 0xfff8:
                    return None if to == self.v6["b"] else "a piece of what is not allowed"
                kind, at = f[at], at + 8
            elif kind in (0, 60):
                kind, at = f[at], at + 8 + f[at + 1] * 8
            else:
                break
        if kind == 43:
            return "a routing header"
        if kind == 58:
            types = LINK | {1, 2, 3, 4} | ({134} if direction == "in" else set())
            return None if f[at] in types else f"ICMPv6 {f[at]}"
        return self._ports(f, at, kind, source == self.v6["a"] and to == self.v6["b"], to, direction)


@pytest.mark.parametrize("port,direction", [("a", "out"), ("b", "in")])
def test_mutated_frames_pass_only_when_an_independent_reader_agrees(place, port, direction):
    chance, reader, whole = random.Random(f"{SEED} {port}"), Reader(place), seeds(place)
    before = place.edge.counters(port)
    passed, refused, wrong = 0, 0, []
    with Runner(place.edge, port, direction) as runner:
        for _ in range(FRAMES):
            frame = mutate(chance, chance.choice(whole), whole)
            verdict, _ = runner.run(frame)
            assert verdict in (PASS, DROP, None)
            refused += verdict is None
            if verdict == PASS:
                passed += 1
                why = reader.objection(frame, direction)
                if why:
                    wrong.append((why, frame.hex()))
    assert not wrong, (len(wrong), wrong[:3])
    after = place.edge.counters(port)
    reasons = list(after)[:list(after).index("allowed")]
    counted = {r: after[r] - before[r] for r in reasons if after[r] != before[r]}
    assert sum(counted.values()) >= FRAMES - refused and counted["passed"] >= passed
    assert 500 < passed < FRAMES // 2 and refused < FRAMES // 10, "the mutations say nothing"
    assert len(counted) > 12, counted  # They reach most reasons.


def test_a_hundred_thousand_spoofed_frames_pass_by_none(place):
    chance, whole = random.Random(SEED), seeds(place)
    mac = bytes.fromhex(place.mac["a"].replace(":", ""))
    before = place.edge.counters("a")["passed"]
    with Runner(place.edge, "a", "out") as runner:
        for n in range(100_000):
            frame = bytearray(chance.choice(whole))
            while frame[6:12] == mac:
                frame[6:12] = chance.randbytes(6)
            assert runner.run(frame)[0] == DROP, (n, frame.hex())
    assert place.edge.counters("a")["passed"] - before < 100  # What the kernel of a says meanwhile.
