# SPDX-License-Identifier: Apache-2.0
"""Allowed and denied by program, user, serving program and port; TCP, UDP and ICMP; IPv4, IPv6 and
v4-mapped; enforced at both ends, at the source alone and at the destination alone."""
import functools

import pytest
from probing import Running, try_lines
from wall import EVIL, GOOD, OTHER, SERVER, Wall, target

FAMILIES = [4, 6, "mapped"]
ENDS = {"both": ("a", "b"), "source": ("a",), "destination": ("b",)}
SERVICES = """
services:
  work: [tcp/7001, udp/7001]
  person: [tcp/7002, udp/7002]
  served: [tcp/7003-7004, udp/7003-7004]
  plain: [tcp/7005, udp/7005]
  ping: [icmp/echo]
allow:
"""
BY_SOURCE = """
  - {id: by-program, from: clients, process: {exe: /opt/t/good}, to: servers, service: work,
     why: test, owner: test}
  - {id: by-user, from: clients, user: alice, to: servers, service: person, why: test, owner: test}
"""
BY_DESTINATION = """
  - {id: by-server, from: clients, to: servers, served-by: {exe: /opt/t/server}, service: served,
     why: test, owner: test}
"""
PLAIN = """
  - {id: by-port, from: clients, to: servers, service: plain, why: test, owner: test}
  - {id: by-ping, from: clients, to: servers, service: ping, why: test, owner: test}
"""
RULES = {"both": BY_SOURCE + BY_DESTINATION + PLAIN, "source": BY_SOURCE + PLAIN,
         "destination": BY_DESTINATION + PLAIN}

# Other ways than from a to b.
WAYS = [("ping", "a", "b"), ("ping back", "b", "a"), ("server as client", "b", "a"),
        ("stranger", "c", "b"), ("to stranger", "a", "c")]

# (sentence, program, user, port, passes, the ends that can tell)
CASES = [
    ("the named program passes", GOOD, None, 7001, True, ("both", "source")),
    ("a copy of the named program is denied", EVIL, None, 7001, False, ("both", "source")),
    ("the named user passes", EVIL, "alice", 7002, True, ("both", "source")),
    ("another user is denied", EVIL, "bob", 7002, False, ("both", "source")),
    ("root is not the named user", EVIL, None, 7002, False, ("both", "source")),
    ("what the named program serves is reached", EVIL, None, 7003, True, ("both", "destination")),
    ("what another program serves is denied", EVIL, None, 7004, False, ("both", "destination")),
    ("a port that a rule names passes", EVIL, None, 7005, True, tuple(ENDS)),
    ("a port that no rule names is denied", GOOD, "alice", 7006, False, tuple(ENDS)),
]



@functools.cache
def measured(ends):
    """Every case of one way of enforcing, tried once: {(sentence, kind, family): the probe's line},
    and the tokens of the datagrams that reached a server."""
    with Wall(f"v{ends[0]}", ENDS[ends]) as wall:
        wall.apply(SERVICES + RULES[ends])
        a, b, c = wall["a"], wall["b"], wall["c"]
        results = {}

        def measure(source, wanted, exe=GOOD, user=None):
            for t, line in try_lines(source, wanted, exe, user).items():
                results[wanted[t]] = line
        ports = [f"{k},{p}" for k in ("tcp", "udp") for p in (7001, 7002, 7003, 7005, 7006)]
        with Running(b, "serve", ports, SERVER) as server, \
                Running(b, "serve", ["tcp,7004", "udp,7004"], OTHER) as other, \
                Running(a, "serve", ["tcp,7005", "udp,7005"], SERVER) as back, \
                Running(c, "serve", ["tcp,7005", "udp,7005"], SERVER) as outside:
            for exe, user in {case[1:3] for case in CASES}:
                measure(a, {target(k, b, case[3], f): (case[0], k, f) for case in CASES
                            for k in ("tcp", "udp") for f in FAMILIES if case[1:3] == (exe, user)},
                        exe, user)
            for name, source, destination in WAYS:
                kinds = [("icmp", None)] if "ping" in name else [("tcp", 7005), ("udp", 7005)]
                measure(wall[source], {target(k, wall[destination], p, f): (name, k, f)
                                       for k, p in kinds for f in FAMILIES
                                       if (k, f) != ("icmp", "mapped")})
            reached = set()
            for running in (server, other, back, outside):
                running.totals()
                reached |= {line.get("token") for line in running.lines}
    assert wall.lab.leftovers() == []
    return results, reached


def check(ends, key, passes):
    """A denied datagram must not even arrive: its answer may be what was stopped."""
    results, reached = measured(ends)
    line = results[key]
    assert (line["result"] == "open") == passes, line
    if key[1] == "udp":
        assert (line["token"] in reached) == passes, line


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
@pytest.mark.parametrize("ends, case", [
    pytest.param(ends, case, id=f"{ends}-{case[0].replace(' ', '_')}")
    for ends in ENDS for case in CASES if ends in case[5]])
def test_a_connection(ends, case, kind, family):
    check(ends, (case[0], kind, family), case[4])


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("family", [4, 6])
def test_ping_passes_where_it_is_allowed_and_not_the_other_way(ends, family):
    check(ends, ("ping", "icmp", family), True)
    check(ends, ("ping back", "icmp", family), False)


@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_the_same_port_in_the_other_direction_is_denied(ends, kind, family):
    check(ends, ("server as client", kind, family), False)


@pytest.mark.parametrize("ends, way", [
    ("both", "stranger"), ("both", "to stranger"), ("destination", "stranger"),
    ("source", "to stranger")])
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_host_without_agent_is_held_by_the_other_end(ends, way, kind, family):
    check(ends, (way, kind, family), False)
