# SPDX-License-Identifier: Apache-2.0
"""Enforcers that are killed in the middle of a change of policy: the old one stands, or the new one, and
never both, neither or a part; what both forbid does not pass."""
import select

import pytest
from edge_place import Place
from labkit.system import wait_for
from probing import Running, try_targets
from wall import GROUPS, SERVER, Wall, compile_policy, target

TIMES = 14
FLOOD = ["-c", "10000", "-e"]  # And on, until it is ended.
RULES = """
services:
  always: [tcp/7001]
  now: [tcp/%d]
allow:
  - {id: always, from: clients, to: servers, service: always, why: test, owner: test}
  - {id: now, from: clients, to: servers, service: now, why: test, owner: test}
"""
OLD, NEW = RULES % 7002, RULES % 7003
PORTS = ["tcp,7001", "tcp,7002", "tcp,7003", "udp,7006"]


class Aim:
    """When to kill: later while it is too early, earlier while it is too late, so about in the middle."""

    def __init__(self, first_s):
        self.delay_s, self.seen = first_s, {False: 0, True: 0}

    def shots(self):
        """TIMES, and on a machine that is slower than thought as many more as it takes to hit both."""
        for n in range(5 * TIMES):
            if n < TIMES or not all(self.seen.values()):
                yield n

    def wait(self, *fds):
        select.select(fds, [], [], self.delay_s)

    def note(self, is_new):
        self.seen[is_new] += 1
        self.delay_s *= 0.6 if is_new else 1.7


def open_ports(source, to):
    targets = [target("tcp", to, port, v) for port in (7001, 7002, 7003) for v in (4, 6)]
    said = try_targets(source, targets, limit_ms=700)
    return {int(t.split(",")[2]) for t in targets if said[t] == "open"}, sum(r == "open" for r in said.values())


def test_an_edge_that_is_killed_in_a_swap_leaves_the_old_or_the_new_policy():
    aim, place = Aim(0.002), Place(OLD)
    try:
        place.bind("a", "b")
        programs = [place.compile(NEW), place.compile(OLD)]
        with Running(place.b, "serve", PORTS, options=["-q"]) as server, \
                Running(place.a, "flood", [target("udp", place.b, 7006)], options=FLOOD) as flood:
            before = server.totals()["datagrams"]
            for n in aim.shots():
                edge = place.edge
                wanted = place.revision - 1 + n % 2
                edge.process.stdin.write(f"load a {programs[n % 2]['a']}\n".encode())
                edge.process.stdin.flush()
                aim.wait(edge.process.stdout)
                edge.kill()
                ports, n_open = open_ports(place.a, place.b)  # b's own: the old one.
                assert ports <= {7001, 7002} and 7001 in ports and n_open % 2 == 0, (n, ports)
                edge.start()
                for name in "ab":
                    edge.put(place.lab[name])
                aim.note(edge.status("a")["revision"] == wanted)
                edge.load(place.a, programs[n % 2]["a"])
            assert flood.end()["sent"] >= 10000
            assert server.totals()["datagrams"] == before
            assert all(aim.seen.values()), f"every kill was too early or too late: {aim.seen}"
    finally:
        place.down()


@pytest.fixture
def wall():
    with Wall("k", ("a",)) as wall:
        yield wall
    assert wall.lab.leftovers() == []


def test_a_host_agent_that_is_killed_in_a_swap_leaves_the_old_or_the_new_policy(wall):
    aim, agent = Aim(0.01), wall.agents["a"]
    wall.apply(OLD)
    with Running(wall["b"], "serve", PORTS, SERVER, options=["-q"]) as server:
        before = server.totals()["datagrams"]
        with Running(wall["a"], "flood", [target("udp", wall["b"], 7006)], options=FLOOD) as flood:
            for n in aim.shots():
                path, revision = compile_policy(wall.lab.folder, GROUPS + (NEW, OLD)[n % 2], wall.inventory, "a")
                agent.install(path)
                agent.reload()
                aim.wait()
                agent.kill()
                ports, n_open = open_ports(wall["a"], wall["b"])
                assert ports in ({7001, 7002}, {7001, 7003}) and n_open == 4, (n, ports)
                aim.note(max(ports) == 7003 - n % 2)
                agent.start()
                agent.wait_revision(revision)
                wait_for(lambda: open_ports(wall["a"], wall["b"])[0] == {7001, 7003 - n % 2}, 10, "the new policy")
            assert flood.end()["sent"] >= 10000
        assert server.totals()["datagrams"] == before
        assert all(aim.seen.values()), f"every kill was too early or too late: {aim.seen}"
