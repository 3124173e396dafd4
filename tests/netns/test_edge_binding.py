# SPDX-License-Identifier: Apache-2.0
"""Who a port may claim to be: frames that root inside a guest makes byte by byte.  Every shape is
shown to arrive while nothing is bound; each that the edge drops is counted under its reason."""
import pytest
from edge_place import ALL, Place, ether, link_local, udp
from frames import has
from scapy.contrib.lldp import LLDPDU, LLDPDUChassisID, LLDPDUEndOfLLDPDU, LLDPDUPortID, LLDPDUTimeToLive
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise, DHCP6_Solicit
from scapy.layers.eap import EAPOL
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (ICMPv6MLQuery2, ICMPv6MLReport2, ICMPv6ND_NA, ICMPv6ND_NS,
                                ICMPv6ND_RA, ICMPv6ND_Redirect, ICMPv6ND_RS, ICMPv6NDOptDstLLAddr,
                                ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrHopByHop, RouterAlert)
from scapy.layers.l2 import ARP, LLC, STP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.packet import Raw

EVIL = "02:66:66:66:66:66"
ALL_NODES, ALL_ROUTERS = "33:33:00:00:00:01", "33:33:00:00:00:02"
POLICY = """
allow:
  - {id: all, from: any, to: any, why: test, owner: test}
"""


@pytest.fixture(scope="module")
def place():
    place = Place(POLICY)
    try:
        yield place
    finally:
        place.down()


def nd(p, **fields):
    return IPv6(**{"src": "fd77::1", "dst": "ff02::1", "hlim": 255, **fields})


def dhcp(p, op, kind, mac, **fields):
    raw = bytes(int(x, 16) for x in mac.split(":"))
    ends = {"src": "0.0.0.0", "dst": "255.255.255.255"} if op == 1 else \
        {"src": "10.77.0.1", "dst": "255.255.255.255"}
    ports = (68, 67) if op == 1 else (67, 68)
    return IP(**{**ends, **fields}) / UDP(sport=ports[0], dport=ports[1]) / \
        BOOTP(op=op, chaddr=raw, yiaddr="10.77.0.66" if op == 2 else "0.0.0.0") / \
        DHCP(options=[("message-type", kind), "end"])


# name: (reason, frame); frames from a, all dropped at a's own port.
OUT = {
    "another MAC": ("mac_spoof", lambda p: ether(p, src=EVIL) / IP(src="10.77.0.1", dst="10.77.0.2") / udp()),
    "a neighbour's MAC": ("mac_spoof", lambda p: ether(p, src=p.mac["c"]) / IP(src="10.77.0.1", dst="10.77.0.2") / udp()),
    "a neighbour's IPv4 address": ("ip_spoof", lambda p: ether(p) / IP(src="10.77.0.3", dst="10.77.0.2") / udp()),
    "an outside IPv4 address": ("ip_spoof", lambda p: ether(p) / IP(src="192.0.2.1", dst="10.77.0.2") / udp()),
    "no IPv4 address": ("ip_spoof", lambda p: ether(p) / IP(src="0.0.0.0", dst="10.77.0.2") / udp()),
    "a neighbour's IPv6 address": ("ip_spoof", lambda p: ether(p) / IPv6(src="fd77::3", dst="fd77::2") / udp()),
    "another's link-local address": ("ip_spoof", lambda p: ether(p) / IPv6(src="fe80::1", dst="fd77::2") / udp()),
    "no IPv6 address": ("ip_spoof", lambda p: ether(p) / IPv6(src="::", dst="fd77::2") / udp()),
    "the victim's own address": ("ip_spoof", lambda p: ether(p) / IP(src="10.77.0.2", dst="10.77.0.2") / udp()),
    "loopback as source": ("malformed", lambda p: ether(p) / IP(src="127.0.0.1", dst="10.77.0.2") / udp()),
    "loopback as destination": ("malformed", lambda p: ether(p) / IP(src="10.77.0.1", dst="127.0.0.1") / udp()),
    "itself as destination": ("malformed", lambda p: ether(p) / IP(src="10.77.0.1", dst="10.77.0.1") / udp()),
    "v4-mapped addresses on the wire": ("malformed", lambda p: ether(p) / IPv6(src="::ffff:10.77.0.1", dst="::ffff:10.77.0.2") / udp()),
    "a group by the victim's MAC": ("malformed", lambda p: ether(p) / IP(src="10.77.0.1", dst="224.0.0.251") / udp()),
    "ARP reply for the gateway": ("arp_spoof", lambda p: ether(p) / ARP(op=2, hwsrc=p.mac["a"], psrc="10.77.0.254", hwdst=p.mac["b"], pdst="10.77.0.2")),
    "gratuitous ARP for a neighbour": ("arp_spoof", lambda p: ether(p, dst=ALL) / ARP(op=1, hwsrc=p.mac["a"], psrc="10.77.0.3", pdst="10.77.0.3")),
    "ARP with another MAC inside": ("arp_spoof", lambda p: ether(p, dst=ALL) / ARP(op=1, hwsrc=EVIL, psrc="10.77.0.1", pdst="10.77.0.2")),
    "ARP reply from 0.0.0.0": ("arp_spoof", lambda p: ether(p) / ARP(op=2, hwsrc=p.mac["a"], psrc="0.0.0.0", hwdst=p.mac["b"], pdst="10.77.0.2")),
    "reverse ARP": ("malformed", lambda p: ether(p, dst=ALL) / ARP(op=3, hwsrc=p.mac["a"], psrc="10.77.0.1", pdst="10.77.0.2")),
    "ARP for another kind of network": ("malformed", lambda p: ether(p, dst=ALL) / ARP(hwtype=6, op=1, hwsrc=p.mac["a"], psrc="10.77.0.1", pdst="10.77.0.2")),
    "neighbour advertisement for a neighbour": ("nd_spoof", lambda p: ether(p, dst=ALL_NODES) / nd(p) / ICMPv6ND_NA(tgt="fd77::3", O=1) / ICMPv6NDOptDstLLAddr(lladdr=p.mac["a"])),
    "neighbour advertisement with another MAC": ("nd_spoof", lambda p: ether(p, dst=ALL_NODES) / nd(p) / ICMPv6ND_NA(tgt="fd77::1", O=1) / ICMPv6NDOptDstLLAddr(lladdr=EVIL)),
    "neighbour question with another MAC": ("nd_spoof", lambda p: ether(p, dst=ALL_NODES) / nd(p) / ICMPv6ND_NS(tgt="fd77::2") / ICMPv6NDOptSrcLLAddr(lladdr=EVIL)),
    "neighbour question from far away": ("nd_spoof", lambda p: ether(p, dst=ALL_NODES) / nd(p, hlim=64) / ICMPv6ND_NS(tgt="fd77::2")),
    "neighbour advertisement cut off": ("malformed", lambda p: ether(p, dst=ALL_NODES) / nd(p, plen=12, nh=58) / Raw(bytes(ICMPv6ND_NA(tgt="fd77::1"))[:12])),
    "neighbour option of no size": ("malformed", lambda p: ether(p, dst=ALL_NODES) / nd(p) / ICMPv6ND_NA(tgt="fd77::1") / Raw(b"\x02\x00" + b"\0" * 6)),
    "router advertisement": ("rogue_ra", lambda p: ether(p, dst=ALL_NODES) / nd(p, src=link_local(p.mac["a"])) / ICMPv6ND_RA()),
    "question for listeners": ("rogue_ra", lambda p: ether(p, dst=ALL_NODES) / IPv6(src=link_local(p.mac["a"]), dst="ff02::1", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLQuery2()),
    "IGMP question": ("rogue_ra", lambda p: ether(p, dst="01:00:5e:00:00:01") / IP(src="10.77.0.1", dst="224.0.0.1", ttl=1, proto=2) / Raw(b"\x11\x64\xee\x9b\0\0\0\0")),
    "IPv6 redirect": ("redirect", lambda p: ether(p) / nd(p, src=link_local(p.mac["a"]), dst="fd77::2") / ICMPv6ND_Redirect(tgt="fd77::1", dst="fd77::3")),
    "IPv4 redirect": ("redirect", lambda p: ether(p) / IP(src="10.77.0.1", dst="10.77.0.2") / ICMP(type=5, code=1, gw="10.77.0.1") / IP(src="10.77.0.2", dst="10.77.0.3") / UDP()),
    "DHCP offer": ("rogue_dhcp", lambda p: ether(p, dst=ALL) / dhcp(p, 2, "offer", p.mac["b"])),
    "DHCP acknowledgement to one": ("rogue_dhcp", lambda p: ether(p) / dhcp(p, 2, "ack", p.mac["b"], dst="10.77.0.2")),
    "DHCP request for another's MAC": ("rogue_dhcp", lambda p: ether(p, dst=ALL) / dhcp(p, 1, "discover", EVIL)),
    "DHCPv6 advertisement": ("rogue_dhcp", lambda p: ether(p) / IPv6(src=link_local(p.mac["a"]), dst="fd77::2") / UDP(sport=547, dport=546) / DHCP6_Advertise()),
    "VLAN tag": ("vlan", lambda p: ether(p) / Dot1Q(vlan=7) / IP(src="10.77.0.1", dst="10.77.0.2") / udp()),
    "VLAN tag 0": ("vlan", lambda p: ether(p) / Dot1Q(vlan=0, prio=7) / IP(src="10.77.0.1", dst="10.77.0.2") / udp()),
    "two VLAN tags": ("vlan", lambda p: ether(p) / Dot1AD(vlan=7) / Dot1Q(vlan=8) / IP(src="10.77.0.1", dst="10.77.0.2") / udp()),
    "CDP": ("control", lambda p: ether(p, dst="01:00:0c:cc:cc:cc", type=0x2000) / Raw(b"\x02" * 60)),
    "LLDP to all": ("control", lambda p: ether(p, dst=ALL, type=0x88CC) / LLDPDUChassisID(id=b"x") / LLDPDUPortID(id=b"y") / LLDPDUTimeToLive() / LLDPDUEndOfLLDPDU()),
    "EAPOL to the victim": ("control", lambda p: ether(p) / EAPOL(type=1)),
    "IPX": ("foreign", lambda p: ether(p, type=0x8137) / Raw(b"\xff" * 46)),
    "MPLS": ("foreign", lambda p: ether(p, type=0x8847) / Raw(b"\0\1\1\xff" + bytes(IP(src="10.77.0.1", dst="10.77.0.2") / udp()))),
    "PPPoE": ("foreign", lambda p: ether(p, type=0x8863) / Raw(b"\x11\x09\0\0\0\4\1\1\0\0")),
    "802.3 with LLC": ("foreign", lambda p: Dot3(src=p.mac["a"], dst=p.mac["b"]) / LLC() / Raw(b"z" * 40)),
}
# Bridges drop or keep these, edge or none: only the counter shows them.
KEPT_BY_BRIDGES = {
    "a group as source MAC": ("mac_spoof", lambda p: ether(p, src="01:00:5e:00:00:01") / IP(src="10.77.0.1", dst="10.77.0.2") / udp()),
    "STP": ("control", lambda p: Dot3(src=p.mac["a"], dst="01:80:c2:00:00:00") / LLC(dsap=0x42, ssap=0x42, ctrl=3) / STP()),
    "LLDP": ("control", lambda p: ether(p, dst="01:80:c2:00:00:0e", type=0x88CC) / LLDPDUChassisID(id=b"x") / LLDPDUPortID(id=b"y") / LLDPDUTimeToLive() / LLDPDUEndOfLLDPDU()),
    "802.1X": ("control", lambda p: ether(p, dst="01:80:c2:00:00:03") / EAPOL(type=1)),
}
# What an honest guest has to be able to say.
HONEST = {
    "ARP question": lambda p: ether(p, dst=ALL) / ARP(op=1, hwsrc=p.mac["a"], psrc="10.77.0.1", pdst="10.77.0.2"),
    "ARP probe": lambda p: ether(p, dst=ALL) / ARP(op=1, hwsrc=p.mac["a"], psrc="0.0.0.0", pdst="10.77.0.1"),
    "ARP announcement": lambda p: ether(p, dst=ALL) / ARP(op=1, hwsrc=p.mac["a"], psrc="10.77.0.1", pdst="10.77.0.1"),
    "ARP reply": lambda p: ether(p) / ARP(op=2, hwsrc=p.mac["a"], psrc="10.77.0.1", hwdst=p.mac["b"], pdst="10.77.0.2"),
    "neighbour question": lambda p: ether(p, dst="33:33:ff:00:00:02") / nd(p, dst="ff02::1:ff00:2") / ICMPv6ND_NS(tgt="fd77::2") / ICMPv6NDOptSrcLLAddr(lladdr=p.mac["a"]),
    "address check": lambda p: ether(p, dst="33:33:ff:00:00:01") / nd(p, src="::", dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt="fd77::1"),
    "neighbour advertisement": lambda p: ether(p, dst=ALL_NODES) / nd(p) / ICMPv6ND_NA(tgt="fd77::1", O=1) / ICMPv6NDOptDstLLAddr(lladdr=p.mac["a"]),
    "advertisement of the link-local address": lambda p: ether(p, dst=ALL_NODES) / nd(p, src=link_local(p.mac["a"])) / ICMPv6ND_NA(tgt=link_local(p.mac["a"])) / ICMPv6NDOptDstLLAddr(lladdr=p.mac["a"]),
    "router question": lambda p: ether(p, dst=ALL_ROUTERS) / nd(p, src=link_local(p.mac["a"]), dst="ff02::2") / ICMPv6ND_RS() / ICMPv6NDOptSrcLLAddr(lladdr=p.mac["a"]),
    "listener report": lambda p: ether(p, dst="33:33:00:00:00:16") / IPv6(src=link_local(p.mac["a"]), dst="ff02::16", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()]) / ICMPv6MLReport2(),
    "IGMP report": lambda p: ether(p, dst="01:00:5e:00:00:16") / IP(src="10.77.0.1", dst="224.0.0.22", ttl=1, proto=2, options=b"\x94\x04\0\0") / Raw(b"\x22\0\xdd\xff\0\0\0\0"),
    "DHCP discover": lambda p: ether(p, dst=ALL) / dhcp(p, 1, "discover", p.mac["a"]),
    "DHCPv6 solicit": lambda p: ether(p, dst="33:33:00:01:00:02") / IPv6(src=link_local(p.mac["a"]), dst="ff02::1:2") / UDP(sport=546, dport=547) / DHCP6_Solicit(),
    "a datagram": lambda p: ether(p) / IP(src="10.77.0.1", dst="10.77.0.2") / udp(),
    "a datagram by IPv6": lambda p: ether(p) / IPv6(src="fd77::1", dst="fd77::2") / udp(),
}
# name: (reason, frame); from a, which is not bound, dropped at b's port.
IN = {
    "b's own MAC": ("duplicate", lambda p: ether(p, src=p.mac["b"], dst=ALL) / ARP(op=1, hwsrc=p.mac["a"], psrc="10.77.0.1", pdst="10.77.0.2")),
    "ARP claims b's address": ("duplicate", lambda p: ether(p, dst=ALL) / ARP(op=1, hwsrc=p.mac["a"], psrc="10.77.0.2", pdst="10.77.0.2")),
    "ARP reply claims b's address": ("duplicate", lambda p: ether(p) / ARP(op=2, hwsrc=p.mac["a"], psrc="10.77.0.2", hwdst=p.mac["b"], pdst="10.77.0.2")),
    "advertisement of b's address": ("duplicate", lambda p: ether(p, dst=ALL_NODES) / nd(p) / ICMPv6ND_NA(tgt="fd77::2", O=1) / ICMPv6NDOptDstLLAddr(lladdr=p.mac["a"])),
    "advertisement of b's link-local address": ("duplicate", lambda p: ether(p, dst=ALL_NODES) / nd(p) / ICMPv6ND_NA(tgt=link_local(p.mac["b"]))),
    "b's address as source": ("duplicate", lambda p: ether(p) / IP(src="10.77.0.2", dst="10.77.0.2") / udp()),
    "b's IPv6 address as source": ("duplicate", lambda p: ether(p) / IPv6(src="fd77::2", dst="fd77::2") / udp()),
    "a group as source": ("malformed", lambda p: ether(p) / IP(src="224.0.0.1", dst="10.77.0.2") / udp()),
    "loopback as source": ("malformed", lambda p: ether(p) / IP(src="127.0.0.1", dst="10.77.0.2") / udp()),
    "loopback by IPv6": ("malformed", lambda p: ether(p) / IPv6(src="::1", dst="fd77::2") / udp()),
    "a question for somebody else": ("not_for_us", lambda p: ether(p, dst=ALL) / ARP(op=1, hwsrc=p.mac["a"], psrc="10.77.0.1", pdst="10.77.0.3")),
    "flooded to a MAC that nobody has": ("not_for_us", lambda p: ether(p, dst="02:77:77:77:77:77") / IP(src="10.77.0.1", dst="10.77.0.2") / udp()),
    "another's address by b's MAC": ("not_for_us", lambda p: ether(p) / IP(src="10.77.0.1", dst="10.77.0.3") / udp()),
    "another's IPv6 address by b's MAC": ("not_for_us", lambda p: ether(p) / IPv6(src="fd77::1", dst="fd77::3") / udp()),
    "an offer of DHCP for somebody else": ("not_for_us", lambda p: ether(p, dst=ALL) / dhcp(p, 2, "offer", EVIL)),
    "a request of DHCP": ("not_for_us", lambda p: ether(p, dst=ALL) / dhcp(p, 1, "discover", p.mac["a"])),
    "IPv6 redirect": ("redirect", lambda p: ether(p) / nd(p, src=link_local(p.mac["a"]), dst="fd77::2") / ICMPv6ND_Redirect(tgt="fd77::1", dst="fd77::3")),
    "IPv4 redirect": ("redirect", lambda p: ether(p) / IP(src="10.77.0.1", dst="10.77.0.2") / ICMP(type=5, code=1, gw="10.77.0.1") / IP(src="10.77.0.2", dst="10.77.0.3") / UDP()),
    "advertisement from far away": ("nd_spoof", lambda p: ether(p, dst=ALL_NODES) / nd(p, hlim=64) / ICMPv6ND_NA(tgt="fd77::1")),
    "VLAN tag": ("vlan", lambda p: ether(p) / Dot1Q(vlan=7) / IP(src="10.77.0.1", dst="10.77.0.2") / udp()),
}


def arrives_flat(p, frame):
    p.bind()
    return has(p.send("a", "b", frame), frame)


@pytest.mark.parametrize("name", OUT)
def test_a_guest_cannot_send(place, name):
    reason, make = OUT[name]
    frame = make(place)
    assert arrives_flat(place, frame)
    place.bind("a")
    before = place.edge.counters("a")
    assert not has(place.send("a", "b", frame), frame)
    after = place.edge.counters("a")
    assert {k: after[k] - before[k] for k in after if after[k] != before[k] and k != "passed"} == {reason: 1}


@pytest.mark.parametrize("name", KEPT_BY_BRIDGES)
def test_a_guest_cannot_speak_to_the_bridge_itself(place, name):
    reason, make = KEPT_BY_BRIDGES[name]
    place.bind("a")
    before = place.edge.counters("a")[reason]
    place.send("a", "b", make(place))
    assert place.edge.counters("a")[reason] == before + 1


@pytest.mark.parametrize("name", HONEST)
def test_a_guest_can_send(place, name):
    frame = HONEST[name](place)
    place.bind("a")
    assert has(place.send("a", "b", frame), frame)


@pytest.mark.parametrize("name", IN)
def test_a_guest_is_not_reached_by(place, name):
    reason, make = IN[name]
    frame = make(place)
    assert arrives_flat(place, frame)
    place.bind("b")
    before = place.edge.counters("b")
    assert not has(place.send("a", "b", frame), frame)
    assert place.edge.counters("b")[reason] == before[reason] + 1


def test_nobody_claims_the_address_of_a_port_of_this_edge(place):
    """c is not bound; what it says of a's address never reaches b."""
    place.bind("a", "b")
    arp = Ether(src=place.mac["c"], dst=ALL) / ARP(op=2, hwsrc=place.mac["c"], psrc="10.77.0.1",
                                                  hwdst=place.mac["b"], pdst="10.77.0.2")
    na = Ether(src=place.mac["c"], dst=ALL_NODES) / IPv6(src="fd77::3", dst="ff02::1", hlim=255) / \
        ICMPv6ND_NA(tgt="fd77::1", O=1) / ICMPv6NDOptDstLLAddr(lladdr=place.mac["c"])
    before = place.edge.counters("b")
    got = place.send("c", "b", arp, na)
    assert not has(got, arp) and not has(got, na)
    after = place.edge.counters("b")
    assert (after["arp_spoof"], after["nd_spoof"]) == (before["arp_spoof"] + 1, before["nd_spoof"] + 1)


def test_a_port_that_is_a_dhcp_server_and_a_router_may_act_as_one(place):
    place.bind("a", flags=("dhcp", "router"))
    for name in ("DHCP offer", "router advertisement", "question for listeners", "IGMP question"):
        frame = OUT[name][1](place)
        assert has(place.send("a", "b", frame), frame), name


def test_an_offer_of_dhcp_reaches_the_one_it_is_for(place):
    place.bind("b")
    frame = Ether(src=place.mac["a"], dst=ALL) / dhcp(place, 2, "offer", place.mac["b"])
    assert has(place.send("a", "b", frame), frame)


def test_a_hundred_thousand_spoofed_frames_are_dropped_and_counted_exactly(place):
    place.bind("a")
    frames = [bytes(OUT[name][1](place)) for name in (
        "another MAC", "a neighbour's IPv4 address", "ARP reply for the gateway",
        "neighbour advertisement for a neighbour", "DHCP offer")]
    before = place.edge.counters("a")
    arrived = []
    for _ in range(100):
        arrived += place.send("a", "b", *(frames * 200))
    assert not any(has(arrived, f) for f in frames)
    after = place.edge.counters("a")
    for reason in ("mac_spoof", "ip_spoof", "arp_spoof", "nd_spoof", "rogue_dhcp"):
        assert after[reason] - before[reason] == 20000
    place.edge.wait_notice("arp_spoof")
