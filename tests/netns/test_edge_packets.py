# SPDX-License-Identifier: Apache-2.0
"""What a flow is, packet by packet: TCP's states, pieces of datagrams, headers, errors.  The hosts'
kernels have no addresses, so that every frame on the wire is the test's own."""
import itertools

import pytest
from edge_place import Place, ether
from frames import has
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_LSRR, IPOption_Router_Alert, IPOption_RR
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest,
                                ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment,
                                IPv6ExtHdrHopByHop, IPv6ExtHdrRouting)
from scapy.packet import Raw

RULES = """
services:
  work: [tcp/7001, udp/7001]
  both: [tcp/8001]
allow:
  - {id: work, from: clients, to: servers, service: [work, icmp/echo], why: test, owner: test}
  - {id: both, from: any, to: any, service: both, why: test, owner: test}
"""
ALL_RULES = """
allow:
  - {id: all, from: any, to: any, why: test, owner: test}
"""
A4, B4, A6, B6 = "10.77.0.1", "10.77.0.2", "fd77::1", "fd77::2"
PORTS = itertools.count(20000)


@pytest.fixture(scope="module")
def place():
    place = Place(RULES, flush="ab")
    try:
        place.bind("a")
        yield place
    finally:
        place.down()


@pytest.fixture(scope="module")
def open_place():
    """Everything is allowed by the policy: what is dropped, no service can name."""
    place = Place(ALL_RULES, flush="ab")
    try:
        place.bind("a")
        yield place
    finally:
        place.down()


def out(p, packet):
    """Does it get from a to b?"""
    frame = ether(p) / packet
    return has(p.send("a", "b", frame), frame)


def into(p, packet):
    """Does it get from b to a?"""
    frame = ether(p, src=p.mac["b"], dst=p.mac["a"]) / packet
    return has(p.send("b", "a", frame), frame)


def counted(p, action):
    """(result, {reason: how many}) of an action."""
    before = p.edge.counters("a")
    result = action()
    after = p.edge.counters("a")
    return result, {k: after[k] - before[k] for k in after
                    if after[k] != before[k] and k not in ("passed", "allowed")}


def dropped(p, reason, send, packet):
    result, why = counted(p, lambda: send(p, packet))
    return not result and why == {reason: 1}


class Talk:
    """One TCP connection; numbers as both ends would have them."""

    def __init__(self, p, version=4, to=7001, port=None):
        self.p, self.to, self.port = p, to, port or next(PORTS)
        self.a, self.b = (IP(src=A4, dst=B4), IP(src=B4, dst=A4)) if version == 4 else \
            (IPv6(src=A6, dst=B6), IPv6(src=B6, dst=A6))
        self.seq_a, self.seq_b = 1000, 9000

    def from_a(self, flags, data=b"", seq=None, ack=None):
        return self.a / TCP(sport=self.port, dport=self.to, flags=flags,
                            seq=self.seq_a if seq is None else seq,
                            ack=self.seq_b if ack is None else ack) / Raw(data)

    def from_b(self, flags, data=b"", seq=None, ack=None):
        return self.b / TCP(sport=self.to, dport=self.port, flags=flags,
                            seq=self.seq_b if seq is None else seq,
                            ack=self.seq_a if ack is None else ack) / Raw(data)

    def syn(self):
        assert out(self.p, self.from_a("S", ack=0))
        self.seq_a += 1
        return self

    def syn_ack(self):
        assert into(self.p, self.from_b("SA"))
        self.seq_b += 1
        return self

    def establish(self):
        self.syn().syn_ack()
        assert out(self.p, self.from_a("A"))
        return self


@pytest.mark.parametrize("version", [4, 6])
def test_a_connection_talks_both_ways_and_ends(place, version):
    talk = Talk(place, version).establish()
    assert out(place, talk.from_a("PA", b"question"))
    assert into(place, talk.from_b("PA", b"answer"))
    assert into(place, talk.from_b("FA"))
    assert out(place, talk.from_a("PA", b"half closed"))
    assert out(place, talk.from_a("FA"))
    assert into(place, talk.from_b("A"))


@pytest.mark.parametrize("flags", ["A", "PA", "FA", "R", "RA", "SA"])
def test_nothing_begins_in_the_middle(place, flags):
    talk = Talk(place)
    assert dropped(place, "stray_tcp", out, talk.from_a(flags, b"data"))
    assert dropped(place, "stray_tcp", into, talk.from_b(flags, b"data"))


@pytest.mark.parametrize("flags", ["", "F", "P", "U", "FPU", "SF", "SR", "SRA", "FR", "SFRPAU"])
def test_flags_that_no_stack_sends_pass_in_no_state(place, flags):
    talk = Talk(place)
    assert dropped(place, "tcp_flags", out, talk.from_a(flags))
    talk.establish()
    assert dropped(place, "tcp_flags", out, talk.from_a(flags))
    assert dropped(place, "tcp_flags", into, talk.from_b(flags))


def test_a_handshake_is_finished_only_by_who_saw_it(place):
    talk = Talk(place).syn()
    assert dropped(place, "stray_tcp", into, talk.from_b("SA", ack=77777))
    assert dropped(place, "stray_tcp", into, talk.from_b("RA", ack=77777))
    assert dropped(place, "stray_tcp", out, talk.from_a("A"))
    talk.syn_ack()
    half = place.edge.status("a")["half"]
    assert dropped(place, "stray_tcp", out, talk.from_a("A", ack=99999999))
    assert place.edge.status("a")["half"] == half
    assert out(place, talk.from_a("A"))
    assert place.edge.status("a")["half"] == half - 1


def test_data_waits_for_the_handshake(place):
    talk = Talk(place).syn()
    assert dropped(place, "stray_tcp", into, talk.from_b("PA", b"too early"))
    assert dropped(place, "stray_tcp", out, talk.from_a("PA", b"too early"))
    assert into(place, talk.from_b("A"))  # A challenge, without data: RFC 5961.


def test_a_syn_may_be_sent_again_and_carry_data(place):
    talk = Talk(place)
    first = talk.from_a("S", b"fast open", ack=0)
    assert out(place, first) and out(place, first)
    assert into(place, talk.from_b("SA", ack=1010))


def test_a_refused_connection_is_over_and_another_may_begin(place):
    talk = Talk(place).syn()
    assert into(place, talk.from_b("RA"))
    talk.seq_a = 5000
    talk.establish()
    assert out(place, talk.from_a("R"))
    talk.seq_a = 8000
    talk.establish()


def test_a_syn_the_other_way_needs_its_own_permission(place):
    talk = Talk(place).syn()
    assert not into(place, talk.from_b("S", ack=0))  # 7001 -> a: nobody allows that.
    talk.establish()
    assert not into(place, talk.from_b("S", ack=0))
    both = Talk(place, to=8001, port=8001).syn()  # Simultaneous open, allowed in both directions.
    assert into(place, both.from_b("S", ack=0))
    both.seq_b += 1
    assert out(place, both.from_a("SA", seq=1000))
    assert into(place, both.from_b("SA", seq=9000))
    assert out(place, both.from_a("A")) and into(place, both.from_b("PA", b"data"))


@pytest.mark.parametrize("packet", [
    lambda: IP(src=A4, dst=B4) / TCP(sport=1, dport=7001, dataofs=4, flags="S"),
    lambda: IP(src=A4, dst=B4) / TCP(sport=1, dport=7001, dataofs=15, flags="S"),
    lambda: IP(src=A4, dst=B4, proto=6) / Raw(bytes(TCP(sport=1, dport=7001))[:12]),
    lambda: IP(src=A4, dst=B4, len=2000) / UDP(sport=1, dport=7001) / Raw(b"x"),
    lambda: IP(src=A4, dst=B4, len=19) / UDP(sport=1, dport=7001),
    lambda: IP(src=A4, dst=B4, ihl=4) / UDP(sport=1, dport=7001),
    lambda: IP(src=A4, dst=B4, version=5) / UDP(sport=1, dport=7001),
    lambda: IP(src=A4, dst=B4, flags="evil") / UDP(sport=1, dport=7001),
    lambda: IP(src=A4, dst=B4) / UDP(sport=1, dport=7001, len=900) / Raw(b"x"),
    lambda: IP(src=A4, dst=B4) / UDP(sport=1, dport=7001, len=3) / Raw(b"x"),
    lambda: IP(src=A4, dst=B4, proto=1) / Raw(b"\x08\0\0\0"),
    lambda: IPv6(src=A6, dst=B6, plen=2000) / UDP(sport=1, dport=7001) / Raw(b"x"),
    lambda: IPv6(src=A6, dst=B6, version=4) / UDP(sport=1, dport=7001) / Raw(b"x"),
])
def test_lengths_that_do_not_agree_pass_nowhere(open_place, packet):
    assert dropped(open_place, "malformed", out, packet())


def test_a_datagram_is_answered_and_nothing_else_comes_in(place):
    port = next(PORTS)
    answer = IP(src=B4, dst=A4) / UDP(sport=7001, dport=port) / Raw(b"answer")
    assert dropped(place, "denied", into, answer)
    assert out(place, IP(src=A4, dst=B4) / UDP(sport=port, dport=7001) / Raw(b"question"))
    assert into(place, answer)
    assert dropped(place, "denied", into, IP(src=B4, dst=A4) / UDP(sport=7002, dport=port) / Raw(b"x"))
    assert dropped(place, "denied", into, IP(src="10.77.0.3", dst=A4) / UDP(sport=7001, dport=port) / Raw(b"x"))


@pytest.mark.parametrize("version", [4, 6])
def test_an_echo_is_answered_once_asked(place, version):
    number = next(PORTS)
    if version == 4:
        ask = IP(src=A4, dst=B4) / ICMP(type=8, id=number)
        reply, other = (IP(src=B4, dst=A4) / ICMP(type=0, id=i) for i in (number, number + 1000))
        question = IP(src=B4, dst=A4) / ICMP(type=8, id=number)
    else:
        ask = IPv6(src=A6, dst=B6) / ICMPv6EchoRequest(id=number)
        reply, other = (IPv6(src=B6, dst=A6) / ICMPv6EchoReply(id=i) for i in (number, number + 1000))
        question = IPv6(src=B6, dst=A6) / ICMPv6EchoRequest(id=number)
    assert dropped(place, "stray", into, reply)
    assert out(place, ask) and into(place, reply)
    assert dropped(place, "stray", into, other)
    assert dropped(place, "denied", into, question)  # b may not ask, with the same number neither.


# -- ICMP errors

def test_an_error_passes_only_with_the_flow_that_it_is_about(place):
    port = next(PORTS)
    sent = IP(src=A4, dst=B4) / UDP(sport=port, dport=7001) / Raw(b"question")
    error = IP(src=B4, dst=A4) / ICMP(type=3, code=3) / Raw(bytes(sent)[:28])
    assert dropped(place, "stray", into, error)
    assert out(place, sent)
    assert into(place, error)
    far = IP(src="203.0.113.9", dst=A4) / ICMP(type=11, code=0) / Raw(bytes(sent)[:28])
    assert into(place, far)  # A router on the way.
    for wrong in (IP(src=A4, dst=B4) / UDP(sport=port, dport=7002), IP(src=A4, dst=B4) / TCP(sport=port, dport=7001),
                  IP(src="10.77.0.3", dst=B4) / UDP(sport=port, dport=7001)):
        assert dropped(place, "stray", into, IP(src=B4, dst=A4) / ICMP(type=3, code=3) / Raw(bytes(wrong)[:28]))


def test_an_error_goes_to_nobody_but_who_it_is_for(place):
    talk = Talk(place).establish()
    came = talk.from_b("A")
    good = IP(src=A4, dst=B4) / ICMP(type=3, code=4) / Raw(bytes(came)[:28])
    assert out(place, good)
    assert dropped(place, "stray", out, IP(src=A4, dst="10.77.0.3") / ICMP(type=3, code=4) / Raw(bytes(came)[:28]))
    assert dropped(place, "stray", out, IP(src=A4, dst=B4) / ICMP(type=3, code=4) / Raw(b"\0" * 28))
    assert dropped(place, "stray", out, IP(src=A4, dst=B4) / ICMP(type=3, code=4) / Raw(bytes(good)[:56]))


def test_a_packet_too_big_comes_back_by_ipv6(place):
    talk = Talk(place, 6).establish()
    sent = bytes(talk.from_a("A", b"x" * 600))
    error = IPv6(src="2001:db8::9", dst=A6) / ICMPv6PacketTooBig(mtu=1280) / Raw(sent[:200])
    assert into(place, error)
    stranger = bytes(Talk(place, 6).from_a("A"))
    assert dropped(place, "stray", into, IPv6(src="2001:db8::9", dst=A6) / ICMPv6PacketTooBig() / Raw(stranger))
    assert dropped(place, "stray", into, IPv6(src=B6, dst=A6) / ICMPv6DestUnreach() / Raw(stranger))


# -- pieces

def v4_pieces(data, size, ident, proto=17, **fields):
    """IPv4 pieces of 'data' (transport header and payload)."""
    pieces = []
    for at in range(0, len(data), size):
        more = at + size < len(data)
        pieces.append(IP(**{"src": A4, "dst": B4, **fields}, id=ident, proto=proto, frag=at // 8,
                         flags="MF" if more else 0) / Raw(data[at:at + size]))
    return pieces


def v6_pieces(data, size, ident, nh=17, **fields):
    pieces = []
    for at in range(0, len(data), size):
        more = at + size < len(data)
        pieces.append(IPv6(**{"src": A6, "dst": B6, **fields}) /
                      IPv6ExtHdrFragment(nh=nh, offset=at // 8, m=int(more), id=ident) /
                      Raw(data[at:at + size]))
    return pieces


def datagram(to=7001, size=1000):
    return bytes(UDP(sport=next(PORTS), dport=to, len=8 + size)) + bytes(range(250)) * (size // 250)


PIECES = [v4_pieces, v6_pieces]


@pytest.mark.parametrize("cut", PIECES)
def test_pieces_in_order_pass_and_end(place, cut):
    pieces = cut(datagram(), 256, next(PORTS))
    assert [out(place, x) for x in pieces] == [True] * 4
    assert dropped(place, "fragment", out, pieces[-1])  # It ended.


@pytest.mark.parametrize("cut", PIECES)
def test_pieces_without_or_before_their_first_are_dropped(place, cut):
    pieces = cut(datagram(), 256, next(PORTS))
    for piece in reversed(pieces[1:]):
        assert dropped(place, "fragment", out, piece)
    assert out(place, pieces[0])


@pytest.mark.parametrize("cut", PIECES)
def test_pieces_that_overlap_or_leave_a_hole_end_the_datagram(place, cut):
    data = datagram()
    for wrong in (1, 3):  # Piece 1 again overlaps; piece 3 after 1 leaves a hole.
        pieces = cut(data, 256, next(PORTS))
        assert out(place, pieces[0]) and out(place, pieces[1])
        assert dropped(place, "fragment", out, pieces[wrong])
        assert dropped(place, "fragment", out, pieces[2])


@pytest.mark.parametrize("cut", PIECES)
def test_a_second_beginning_ends_the_datagram(place, cut):
    first, second = (cut(datagram(), 256, 4711 + PIECES.index(cut)) for _ in range(2))
    assert out(place, first[0])
    assert dropped(place, "fragment", out, second[0])
    assert dropped(place, "fragment", out, first[1])


@pytest.mark.parametrize("cut", PIECES)
def test_pieces_of_what_is_denied_are_denied(place, cut):
    pieces = cut(datagram(to=7002), 256, next(PORTS))
    assert dropped(place, "denied", out, pieces[0])
    assert dropped(place, "fragment", out, pieces[1])


@pytest.mark.parametrize("cut", PIECES)
@pytest.mark.parametrize("size", [8, 16])
def test_a_first_piece_without_the_whole_tcp_header_is_dropped(place, cut, size):
    data = bytes(TCP(sport=next(PORTS), dport=7001, flags="S")) + b"x" * 40
    proto = {"proto": 6} if cut is v4_pieces else {"nh": 6}
    pieces = cut(data, size, next(PORTS), **proto)
    assert dropped(place, "tiny", out, pieces[0])
    assert dropped(place, "fragment", out, pieces[1])


def test_the_ports_of_a_tail_are_payload(place):
    """A tail whose first bytes pose as an allowed service's ports."""
    data = bytes(UDP(sport=4000, dport=7001)) + b"x" * 100
    tail = IP(src=A4, dst=B4, id=next(PORTS), proto=17, frag=64) / Raw(data)
    assert dropped(place, "fragment", out, tail)


@pytest.mark.parametrize("cut", PIECES)
def test_a_datagram_longer_than_any_is_dropped(place, cut):
    piece = cut(datagram(), 1008, next(PORTS))[0]
    if cut is v4_pieces:
        piece.frag = 8189
    else:
        piece[IPv6ExtHdrFragment].offset = 8189
    assert dropped(place, "fragment", out, piece)


@pytest.mark.parametrize("cut", PIECES)
def test_a_middle_piece_of_an_odd_size_is_dropped(place, cut):
    assert dropped(place, "malformed", out, cut(datagram(), 252, next(PORTS))[0])


def test_an_atomic_fragment_is_a_whole_packet(place):
    packet = IPv6(src=A6, dst=B6) / IPv6ExtHdrFragment(offset=0, m=0, id=7)
    assert out(place, packet / UDP(sport=next(PORTS), dport=7001) / Raw(b"x"))
    assert dropped(place, "denied", out, packet / UDP(sport=next(PORTS), dport=7002) / Raw(b"x"))


def test_pieces_of_an_echo_and_its_answer_pass(place):
    number = next(PORTS)
    ask = bytes(ICMP(type=8, id=number)) + b"e" * 500
    answer = bytes(ICMP(type=0, id=number)) + b"e" * 500
    for piece in v4_pieces(ask, 256, number, proto=1):
        assert out(place, piece)
    for piece in v4_pieces(answer, 256, number, proto=1, src=B4, dst=A4):
        assert into(place, piece)


# -- headers

@pytest.mark.parametrize("option", [IPOption_RR(), IPOption_LSRR(routers=["10.77.0.3"]),
                                    IPOption_Router_Alert(), Raw(b"\x44\x0c\x05\0" + b"\0" * 8)])
def test_ipv4_options_pass_nowhere(open_place, option):
    packet = IP(src=A4, dst=B4, options=[option] if not isinstance(option, Raw) else bytes(option))
    assert dropped(open_place, "options", out, packet / UDP(sport=1, dport=7001) / Raw(b"x"))


def chain(*headers):
    packet = IPv6(src=A6, dst=B6)
    for header in headers:
        packet = packet / header
    return packet / UDP(sport=next(PORTS), dport=7001) / Raw(b"x")


def test_a_few_extension_headers_pass(place):
    assert out(place, chain(IPv6ExtHdrHopByHop()))
    assert out(place, chain(IPv6ExtHdrDestOpt()))
    assert out(place, chain(IPv6ExtHdrHopByHop(), IPv6ExtHdrDestOpt(), IPv6ExtHdrFragment(),
                            IPv6ExtHdrDestOpt()))


@pytest.mark.parametrize("headers", [
    (IPv6ExtHdrRouting(type=0, addresses=["fd77::3"]),),
    (IPv6ExtHdrRouting(type=2, addresses=["fd77::3"]),),
    (IPv6ExtHdrDestOpt(),) * 5,
    (IPv6ExtHdrDestOpt(), IPv6ExtHdrHopByHop()),
    (IPv6ExtHdrFragment(id=1), IPv6ExtHdrFragment(id=2)),
], ids=["type 0", "type 2", "five", "hop by hop second", "two fragment headers"])
def test_strange_chains_of_extension_headers_pass_nowhere(open_place, headers):
    assert dropped(open_place, "extensions", out, chain(*headers))


@pytest.mark.parametrize("protocol", [4, 41, 47, 50, 51, 55, 94, 97, 98, 108, 115, 137])
def test_packets_inside_of_packets_pass_nowhere(open_place, protocol):
    inner = bytes(IP(src=A4, dst="10.77.0.3") / UDP(sport=1, dport=22) / Raw(b"x" * 20))
    assert dropped(open_place, "encapsulated", out, IP(src=A4, dst=B4, proto=protocol) / Raw(inner))
    assert dropped(open_place, "encapsulated", out, IPv6(src=A6, dst=B6, nh=protocol) / Raw(inner))
    assert dropped(open_place, "encapsulated", into, IP(src=B4, dst=A4, proto=protocol) / Raw(inner))


@pytest.mark.parametrize("protocol", [132, 136, 33, 89, 112, 253])
def test_other_protocols_pass_only_with_a_rule_for_everything(place, open_place, protocol):
    packet = IP(src=A4, dst=B4, proto=protocol) / Raw(b"\x1b\x59\x1b\x59" + b"x" * 40)
    assert out(open_place, packet)
    assert dropped(place, "denied", out, packet)


def test_icmp_of_the_other_version_is_no_ping(place):
    assert not out(place, IP(src=A4, dst=B4, proto=58) / Raw(bytes(ICMPv6EchoRequest(cksum=1))))
    assert not out(place, IPv6(src=A6, dst=B6, nh=1) / Raw(bytes(ICMP(type=8))))
