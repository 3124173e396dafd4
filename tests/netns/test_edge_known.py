# SPDX-License-Identifier: Apache-2.0
"""Packets of known flows are looked at less (pass_known() of edge_flow.h): what that must not excuse."""
import json

import pytest
from edge_place import Place, ether, udp
from frames import has
from labkit.system import run, wait_for
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw

LAST_NS_AT = 8  # struct edge_flow
RULES = """
services: {one: [udp/7001, tcp/7001]}
allow:
  - {id: one, from: clients, to: servers, service: one, why: test, owner: test}
"""
NOBODY, STRANGER = "00:00:00:00:00:00", "02:00:00:00:00:99"


@pytest.fixture
def place():
    place = Place(RULES, flush="ab", enforcers=["edge"])
    try:
        place.bind("a", "b")
        yield place
    finally:
        place.down()


def there(p, **fields):
    return ether(p, **fields) / IP(src=p.a.address(), dst=p.b.address()) / udp()


def back(p, **fields):
    fields = {"src": p.mac["b"], "dst": p.mac["a"], **fields}
    return ether(p, **fields) / IP(src=p.b.address(), dst=p.a.address()) / \
        UDP(sport=7001, dport=4000) / Raw(b"answer")


def passes(p, source, target, frame):
    return has(p.send(source, target, frame), frame)


def begin(p):
    for _ in range(3):  # The first begins the flow, the second is looked at wholly, the third is known.
        assert passes(p, "a", "b", there(p)) and passes(p, "b", "a", back(p))


def dropped(p, reason, port, source, target, frame):
    before = p.edge.counters(port)[reason]
    return not passes(p, source, target, frame) and p.edge.counters(port)[reason] == before + 1


def test_a_spoofed_mac_in_a_known_flow_is_dropped_in_both_directions(place):
    begin(place)
    assert dropped(place, "mac_spoof", "a", "a", "b", there(place, src=STRANGER))
    assert dropped(place, "mac_spoof", "b", "b", "a", back(place, src=STRANGER))
    assert passes(place, "a", "b", there(place))


def test_zeroes_are_no_macs_of_a_flow_that_has_only_begun(place):
    assert passes(place, "a", "b", there(place))
    assert dropped(place, "mac_spoof", "a", "a", "b", there(place, src=NOBODY, dst=NOBODY))
    assert passes(place, "a", "b", there(place)) and passes(place, "b", "a", back(place))


def test_a_binding_that_changes_is_looked_at_again(place):
    begin(place)
    place.edge.command("put", "a", STRANGER)
    before = place.edge.counters("a")["mac_spoof"]
    place.wires["b"].received()
    place.wires["a"].send(there(place))
    wait_for(lambda: place.edge.counters("a")["mac_spoof"] > before, 5, "the old MAC to be dropped")
    assert not has(place.wires["b"].received(), there(place))
    place.edge.put(place.a)
    assert passes(place, "a", "b", there(place))


def test_a_policy_and_a_trust_that_change_are_asked_again(place):
    begin(place)
    place.apply("services: {}\nallow: []\n")
    assert dropped(place, "denied", "a", "a", "b", there(place))
    place.apply(RULES)
    begin(place)
    place.edge.command("trust", place.a.address(), "black")
    assert dropped(place, "denied", "a", "a", "b", there(place))


def test_an_address_that_is_taken_away_is_no_longer_its_own(place):
    begin(place)
    place.programs["a"], place.programs["b"] = place.programs["b"], place.programs["a"]
    taken = place.edge.command("load", "a", place.programs["a"])
    assert taken["ok"]
    assert dropped(place, "ip_spoof", "a", "a", "b", there(place))


def test_the_other_ends_mac_may_change(place):
    begin(place)
    place.bind("a")
    begin(place)
    assert passes(place, "b", "a", back(place, src=STRANGER)) and passes(place, "b", "a", back(place))


def test_segments_that_move_no_state_still_count_for_the_connection(place):
    a, b = place.a.address(), place.b.address()
    out = ether(place) / IP(src=a, dst=b)
    into = ether(place, src=place.mac["b"], dst=place.mac["a"]) / IP(src=b, dst=a)
    assert passes(place, "a", "b", out / TCP(sport=5000, dport=7001, flags="S", seq=100))
    assert passes(place, "b", "a", into / TCP(sport=7001, dport=5000, flags="SA", seq=900, ack=101))
    for _ in range(3):
        assert passes(place, "a", "b", out / TCP(sport=5000, dport=7001, flags="A", seq=101, ack=901))
    assert dropped(place, "tcp_flags", "a", "a", "b",
                   out / TCP(sport=5000, dport=7001, flags="SF", seq=101, ack=901))
    assert dropped(place, "tcp_flags", "a", "a", "b",
                   out / TCP(sport=5000, dport=7001, flags="", seq=101, ack=901))
    assert passes(place, "a", "b", out / TCP(sport=5000, dport=7001, flags="R", seq=101, ack=901))
    # Closed: a plain segment passes for a while, and a SYN begins anew.
    assert passes(place, "a", "b", out / TCP(sport=5000, dport=7001, flags="S", seq=7000))
    assert dropped(place, "stray_tcp", "b", "b", "a",
                   into / TCP(sport=7001, dport=5000, flags="A", seq=901, ack=101) / Raw(b"old"))


def segment(p, source, flags, seq, ack, **fields):
    a, b = p.a.address(), p.b.address()
    if source == "a":
        return ether(p, **fields) / IP(src=a, dst=b) / TCP(sport=6000, dport=7001, flags=flags, seq=seq, ack=ack)
    return ether(p, **{"src": p.mac["b"], "dst": p.mac["a"], **fields}) / IP(src=b, dst=a) / \
        TCP(sport=7001, dport=6000, flags=flags, seq=seq, ack=ack)


def establish(p):
    assert passes(p, "a", "b", segment(p, "a", "S", 100, 0))
    assert passes(p, "b", "a", segment(p, "b", "SA", 900, 101))
    for _ in range(2):
        assert passes(p, "a", "b", segment(p, "a", "A", 101, 901))
        assert passes(p, "b", "a", segment(p, "b", "A", 901, 101))


@pytest.mark.parametrize("flags", ["A", "FA", "R"])
def test_segments_that_move_the_state_of_a_known_flow_need_its_macs_too(place, flags):
    establish(place)
    assert dropped(place, "mac_spoof", "a", "a", "b", segment(place, "a", flags, 101, 901, src=STRANGER))
    assert dropped(place, "mac_spoof", "b", "b", "a", segment(place, "b", flags, 901, 101, src=STRANGER))
    assert passes(place, "a", "b", segment(place, "a", flags, 101, 901))


def test_a_handshake_is_answered_with_the_macs_that_it_began_with(place):
    assert passes(place, "a", "b", segment(place, "a", "S", 100, 0))
    assert dropped(place, "mac_spoof", "b", "b", "a", segment(place, "b", "SA", 900, 101, src=STRANGER))
    assert passes(place, "b", "a", segment(place, "b", "SA", 900, 101))


def test_a_packet_that_is_refused_makes_the_former_mac_no_longer_the_ports(place):
    """The port's MAC changes; what comes from the new one judges the flow anew, and is no segment of it."""
    establish(place)
    place.edge.command("put", "b", STRANGER)
    for reason, frame in (("stray_tcp", segment(place, "b", "S", 901, 0, src=STRANGER)),
                          ("mac_spoof", segment(place, "b", "A", 901, 101))):
        before = place.edge.counters("b")[reason]
        place.wires["b"].send(frame)  # Without a fence, which would come from the former MAC.
        wait_for(lambda r=reason, n=before: place.edge.counters("b")[r] == n + 1, 5, f"{reason} to be counted")


def test_a_packet_that_another_processor_overtook_is_still_of_its_flow(place):
    """The flow's last packet has a later time than this one's."""
    establish(place)
    table = place.edge.pins / "map_edge_flows"
    for flow in json.loads(run("bpftool", "-j", "map", "dump", "pinned", table).stdout):
        value = [int(x, 16) for x in flow["value"]]
        later = int.from_bytes(bytes(value[LAST_NS_AT:LAST_NS_AT + 8]), "little") + 3_000_000_000
        value[LAST_NS_AT:LAST_NS_AT + 8] = later.to_bytes(8, "little")
        run("bpftool", "map", "update", "pinned", table, "key", *(int(x, 16) for x in flow["key"]), "value", *value)
    assert passes(place, "a", "b", segment(place, "a", "A", 101, 901))
    assert passes(place, "b", "a", segment(place, "b", "FA", 901, 101))


def test_bytes_of_known_flows_are_told(place):
    begin(place)
    place.edge.events.clear()
    place.edge.command("remove", "b")
    place.bound.discard("b")
    for _ in range(10):
        assert passes(place, "a", "b", there(place))
    flow = place.edge.wait_event(limit_s=40, endpoint="a", port=7001, count=0)
    assert flow["bytes_out"] >= 13 * len(there(place)) and flow["bytes_in"] == 3 * len(back(place))
