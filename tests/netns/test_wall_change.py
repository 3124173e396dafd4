# SPDX-License-Identifier: Apache-2.0
"""What a change does to living connections: policy, trust state and mode."""
import pytest
from labkit.system import wait_for
from probing import Running, try_one, try_targets
from wall import GOOD, SERVER, Wall, target

SERVICES = """
services:
  one: [tcp/7001, udp/7001]
  two: [tcp/7002, udp/7002]
  three: [tcp/7003, udp/7003]
"""
TWO_ALLOWED = SERVICES + """
allow:
  - {id: one, from: clients, to: servers, service: one, why: test, owner: test}
  - {id: two, from: clients, to: servers, service: two, why: test, owner: test}
"""
ONE_ALLOWED = SERVICES + """
allow:
  - {id: two, from: clients, to: servers, service: two, why: test, owner: test}
"""
QUARANTINE = SERVICES + """
quarantine:
  - {id: cleaner, to: others, service: three, why: test, owner: soc}
allow:
  - {id: one, from: clients, to: servers, service: one, why: test, owner: test}
  - {id: three, from: clients, to: others, service: three, why: test, owner: test}
"""
MODE = SERVICES + """
never:
  - {id: no-three, from: any, to: any, service: three, why: test, owner: test}
allow:
  - {id: one, from: clients, to: servers, service: one, why: test, owner: test}
mode:
  default: %s
"""


@pytest.fixture(scope="module")
def wall():
    with Wall("c") as wall:
        ports = [f"{k},{p}" for k in ("tcp", "udp") for p in (7001, 7002, 7003)]
        with Running(wall["b"], "serve", ports, SERVER, options=["-q"]), \
                Running(wall["c"], "serve", ports, SERVER, options=["-q"]):
            yield wall
    assert wall.lab.leftovers() == []


def cut_targets(session):
    return [line["target"] for line in session.lines if line.get("event") == "cut"]


@pytest.mark.parametrize("version", [4, 6])
def test_sessions_that_a_change_forbids_are_cut_and_the_others_go_on(wall, version):
    a, b = wall["a"], wall["b"]
    wall.apply(TWO_ALLOWED)
    forbidden = [target(k, b, 7001, version) for k in ("tcp", "udp")]
    allowed = [target(k, b, 7002, version) for k in ("tcp", "udp")]
    with Running(a, "hold", forbidden + allowed, GOOD, options=["-i", "20"]) as session:
        wall.apply(ONE_ALLOWED)
        while set(cut_targets(session)) != set(forbidden):
            assert session.next_line(10) is not None
        before = session.totals()["exchanges"]
        wait_for(lambda: session.totals()["exchanges"] > before + 20, 10, "the allowed sessions")
        assert set(cut_targets(session)) == set(forbidden)
    assert set(try_targets(a, forbidden, GOOD).values()).isdisjoint({"open"})
    assert set(try_targets(a, allowed, GOOD).values()) == {"open"}


def test_sessions_survive_twenty_changes_that_do_not_concern_them(wall):
    a, b = wall["a"], wall["b"]
    wall.apply(TWO_ALLOWED)
    kept = [target(k, b, 7002, v) for k in ("tcp", "udp") for v in (4, 6)]
    with Running(a, "hold", kept, GOOD, options=["-i", "5", "-n", "5"]) as session:
        for _ in range(10):
            wall.apply(ONE_ALLOWED)
            wall.apply(TWO_ALLOWED)
        end = session.end()
    assert end["cut"] == 0 and end["exchanges"] > 100, end


def test_quarantine_stands_above_allow_and_cuts_the_suspect(wall):
    a, b, c = wall["a"], wall["b"], wall["c"]
    wall.apply(QUARANTINE)
    one, cleaner = target("tcp", b, 7001), target("tcp", c, 7003)
    assert try_targets(a, [one, cleaner], GOOD) == {one: "open", cleaner: "open"}
    with Running(a, "hold", [one], GOOD) as session:
        wall.apply(QUARANTINE, {"a": "black"})
        cut = session.wait_event("cut")
        assert cut["target"] == one
    results = try_targets(a, [one, target("udp", b, 7001), cleaner], GOOD)
    assert results.pop(cleaner) == "open"
    assert "open" not in results.values()
    wall.apply(QUARANTINE)
    assert try_one(a, one, GOOD) == "open"


def test_the_destination_holds_a_suspect_back_too(wall):
    a, b = wall["a"], wall["b"]
    wall.apply(QUARANTINE, {"b": "black"})
    assert try_one(a, target("tcp", b, 7001), GOOD) != "open"
    assert try_one(wall["c"], target("tcp", b, 7003), GOOD) != "open"


@pytest.mark.parametrize("mode, verdict", [("test", "would-deny"), ("learn", "would-deny")])
def test_a_default_deny_only_reports_in_test_and_learn(wall, mode, verdict):
    a, b = wall["a"], wall["b"]
    wall.apply(MODE % mode)
    assert try_one(a, target("tcp", b, 7002), GOOD) == "open"
    assert try_one(a, target("udp", b, 7002, 6), GOOD) == "open"
    wall.agents["a"].wait_flow(verdict=verdict, port=7002, protocol="tcp")


@pytest.mark.parametrize("mode", ["test", "learn"])
def test_never_is_enforced_even_in_test_and_learn(wall, mode):
    wall.apply(MODE % mode)
    assert try_one(wall["a"], target("tcp", wall["b"], 7003), GOOD) != "open"
    assert try_one(wall["a"], target("tcp", wall["b"], 7001), GOOD) == "open"


def test_a_denied_connection_is_reported_with_program_layer_and_rule(wall):
    wall.apply(MODE % "enforce")
    agent = wall.agents["a"]
    assert try_one(wall["a"], target("tcp", wall["b"], 7003), GOOD) == "denied"
    flow = agent.wait_flow(verdict="deny", port=7003, layer="never", rule="no-three")
    assert flow["direction"] == "out" and flow["process"] == GOOD
    assert try_one(wall["a"], target("tcp", wall["b"], 7001), GOOD) == "open"
    agent.wait_flow(verdict="allow", port=7001, layer="allow", rule="one")
