# SPDX-License-Identifier: Apache-2.0
"""What holds while the agent starts, dies, is upgraded or tampered with."""
import json
import pathlib
import time

import pytest
from labkit.system import run, wait_for
from probing import Running, try_one, try_targets
from wall import EVIL, GOOD, SERVER, Wall, agent_pids, target

RULES = """
services:
  work: [tcp/7001, udp/7001]
  served: [tcp/7003, udp/7003]
  free: [tcp/7005, udp/7005]
  closed: [tcp/7010]  # Allowed, and nobody listens.
allow:
  - {id: work, from: clients, process: {exe: /opt/t/good}, to: servers, service: work,
     why: test, owner: test}
  - {id: served, from: clients, to: servers, served-by: {exe: /opt/t/server}, service: served,
     why: test, owner: test}
  - {id: free, from: clients, to: servers, service: free, why: test, owner: test}
  - {id: closed, from: clients, to: servers, service: closed, why: test, owner: test}
"""
PORTS = [f"{k},{p}" for k in ("tcp", "udp") for p in (7001, 7003, 7005)]
FORBIDDEN = 100_000


def allowed_targets(b):
    return [target(k, b, p, v) for k in ("tcp", "udp") for p in (7001, 7003, 7005) for v in (4, 6)]


def denied_targets(b):
    return [target(k, b, 7006, v) for k in ("tcp", "udp") for v in (4, 6)]


def assert_holds(wall):
    a, b = wall["a"], wall["b"]
    assert set(try_targets(a, allowed_targets(b), GOOD).values()) == {"open"}
    assert "open" not in try_targets(a, denied_targets(b), GOOD).values()
    assert "open" not in try_targets(a, [target("tcp", b, 7001), target("udp", b, 7001)],
                                     EVIL).values()


@pytest.fixture(scope="module")
def wall():
    with Wall("l") as wall:
        with Running(wall["b"], "serve", PORTS, SERVER, options=["-q"]), \
                Running(wall["b"], "serve", ["tcp,7006", "udp,7006"], SERVER) as forbidden:
            wall.forbidden = forbidden
            yield wall
    assert wall.lab.leftovers() == []


def test_sockets_that_were_there_before_the_agent_are_adopted_or_cut(wall):
    """First in the file: here the agents start for the first time."""
    a, b = wall["a"], wall["b"]
    named = [target(k, b, 7001, v) for k in ("tcp", "udp") for v in (4, 6)]
    with Running(a, "hold", named + allowed_targets(b), GOOD) as good, \
            Running(a, "hold", named, EVIL) as evil:
        wall.apply(RULES)
        while len([x for x in evil.lines if x.get("event") == "cut"]) < len(named):
            assert evil.next_line(10) is not None
        before = good.totals()["exchanges"]
        wait_for(lambda: good.totals()["exchanges"] > before + 50, 10, "the adopted sessions")
        assert good.end()["cut"] == 0
    assert_holds(wall)


def test_the_listener_that_was_there_before_the_agent_serves_by_its_name(wall):
    wall.apply(RULES)
    assert try_one(wall["a"], target("tcp", wall["b"], 7003), EVIL) == "open"


@pytest.mark.parametrize("version", [4, 6, "mapped"])
def test_a_closed_port_that_is_allowed_refuses_at_once(wall, version):
    wall.apply(RULES)
    assert try_one(wall["a"], target("tcp", wall["b"], 7010, version), EVIL) == "refused"


def test_enforcement_stays_when_the_agents_are_killed(wall):
    a, b = wall["a"], wall["b"]
    wall.apply(RULES)
    with Running(a, "hold", allowed_targets(b), GOOD) as session:
        for agent in wall.agents.values():
            agent.kill()
        assert_holds(wall)
        before = session.totals()["exchanges"]
        wait_for(lambda: session.totals()["exchanges"] > before + 50, 10, "sessions going on")
        assert session.end()["cut"] == 0
    wall.apply(RULES)
    assert_holds(wall)


def test_no_connection_breaks_and_no_forbidden_packet_passes_while_agents_restart(wall):
    """The upgrade: killed and started anew under traffic, on both hosts, with policy changes."""
    a, b, c = wall["a"], wall["b"], wall["c"]
    wall.apply(RULES)
    before = wall.forbidden.totals()
    count = ["-c", str(FORBIDDEN), "-e"]
    with Running(a, "hold", allowed_targets(b), GOOD, options=["-i", "5", "-n", "4"]) as session, \
            Running(a, "flood", [target("udp", b, 7006)], EVIL, options=count) as inside, \
            Running(a, "flood", [target("tcp", b, 7006)], EVIL, options=count) as connects, \
            Running(c, "flood", [target("udp", b, 7006, 6)], EVIL, options=count) as outside:
        for agent in [*wall.agents.values()] * 3:
            agent.kill()
            agent.start()
            agent.wait_running()
        wall.apply(RULES)
        sent = [x.end(120) for x in (inside, connects, outside)]
        end = session.end()
    assert all(x["sent"] >= FORBIDDEN for x in sent), sent
    assert end["cut"] == 0 and end["exchanges"] > 200, end
    assert wall.forbidden.totals() == before
    assert_holds(wall)


def test_a_damaged_program_file_is_refused_and_the_former_policy_stays(wall):
    wanted = wall.apply(RULES)
    agent = wall.agents["a"]
    good = agent.program.read_bytes()
    for bad in (good[:-1], good[:200] + bytes([good[200] ^ 1]) + good[201:], b"", b"SMPROG"):
        errors = agent.log().count(" error: ")
        agent.install_bytes(bad)
        agent.reload()
        wait_for(lambda: agent.log().count(" error: ") > errors, 5, "the refusal in the log")
        assert agent.status()["revision"] == wanted["a"]
    assert_holds(wall)


def pinned(wall, name, what):
    """The pinned files of a host's agent whose names hold a word."""
    found = [p for p in wall[name].pins.rglob("*") if p.is_file() and what in p.name]
    assert found, f"no pin with '{what}' in {sorted(wall[name].pins.rglob('*'))}"
    return found


REPAIR_S = 1.0  # Promised.


class Tamper:
    """What is done within is repaired within a second of its end, counted and reported.  The time is that of the
    report: how soon a test on a busy machine sees it says nothing.  Neither does the time for which the agent was
    ready to run and the machine did not let it."""

    def __init__(self, agent):
        self.agent = agent

    def tampers(self):
        return [x for x in self.agent.notices() if x["notice"] == "tamper"]

    def waited_ms(self):
        """Of each of its processes, for a processor (proc_pid_schedstat: the second number, in nanoseconds)."""
        return {pid: int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e6
                for pid in agent_pids(self.agent.host)}

    def __enter__(self):
        self.waited = self.waited_ms()
        self.repairs, self.told = self.agent.status()["tampers_repaired"], len(self.tampers())

    def __exit__(self, kind, *_):
        if kind:
            return
        end_ms = time.time() * 1000
        wait_for(lambda: self.agent.status()["tampers_repaired"] > self.repairs, 5, "the repair")
        first = wait_for(lambda: self.tampers()[self.told:], 5, "the report")[0]
        waited = max(ms - self.waited[pid] for pid, ms in self.waited_ms().items())
        assert first["time_ms"] - end_ms < REPAIR_S * 1000 + waited


def test_a_detached_link_is_attached_again_within_a_second_and_reported(wall):
    wall.apply(RULES)
    with Tamper(wall.agents["a"]):
        for link in pinned(wall, "a", "connect4"):
            run("bpftool", "link", "detach", "pinned", link)
    assert_holds(wall)


def test_a_removed_pin_comes_back_and_is_reported(wall):
    wall.apply(RULES)
    pins = pinned(wall, "a", "connect4")
    with Tamper(wall.agents["a"]):
        for pin in pins:
            pin.unlink()
    assert all(p.exists() for p in pins)
    assert_holds(wall)


def test_a_deleted_tc_filter_comes_back_within_a_second_and_is_reported(wall):
    wall.apply(RULES)
    a = wall["a"]
    with Tamper(wall.agents["a"]):
        a.run("tc", "qdisc", "del", "dev", "eth0", "clsact", check=False)
        for link in [p for p in a.pins.rglob("*") if "tcx" in p.name]:
            run("bpftool", "link", "detach", "pinned", link)
    assert_holds(wall)


@pytest.mark.parametrize("byte", [0, 8], ids=["other_policy_active", "own_trust"])
def test_an_edited_map_is_put_right_within_a_second_and_reported(wall, byte):
    wall.apply(RULES)
    pin = wall["a"].pins / "map_config"
    lookup = ["bpftool", "-j", "map", "lookup", "pinned", pin, "key", "hex", "0", "0", "0", "0"]

    def value():
        return [int(x, 16) for x in json.loads(run(*lookup).stdout)["value"]]
    good = value()
    bad = list(good)
    bad[byte] ^= 1
    with Tamper(wall.agents["a"]):
        run("bpftool", "map", "update", "pinned", pin, "key", "hex", "0", "0", "0", "0", "value", "hex",
            *(f"{x:02x}" for x in bad))
    assert value() == good
    assert_holds(wall)


@pytest.mark.parametrize("table", ["map_addresses", "map_entries", "map_processes", "map_services"])
def test_the_tables_of_the_running_policy_cannot_be_edited_even_by_root(wall, table):
    wall.apply(RULES)
    slots = json.loads(run("bpftool", "-j", "map", "dump", "pinned", wall["a"].pins / table).stdout)
    inner = [slot_map(x) for x in slots]
    assert inner
    for number in filter(None, inner):
        info = json.loads(run("bpftool", "-j", "map", "show", "id", number).stdout)
        assert info["frozen"] == 1, info
    assert_holds(wall)


def slot_map(element):
    """The map's number in one element of an array of maps, as bpftool prints it."""
    if "formatted" in element:
        element = element["formatted"]
    value = element.get("inner_map_id", element.get("value"))
    if isinstance(value, list):
        value = int.from_bytes(bytes(int(x, 16) for x in value), "little")
    return value


def test_detach_removes_everything_and_the_host_is_flat_again(wall):
    """Last in the file."""
    a, b = wall["a"], wall["b"]
    wall.apply(RULES)
    for agent in wall.agents.values():
        agent.kill()
        agent.detach()
    assert not a.pins.exists() and not b.pins.exists()
    every = allowed_targets(b) + denied_targets(b)
    assert set(try_targets(a, every, EVIL).values()) == {"open"}
