# SPDX-License-Identifier: Apache-2.0
"""In line before a device: two interfaces of a machine as one wire, with the edge on the device's
side; unplugged, cut, killed and at the ends of what frames may be."""
import json
import socket

import pytest
from edge_place import Place
from frames import socket_in
from labkit.system import NETNS, run, wait_for

RULES = """
services: {one: [tcp/7001], two: [tcp/7002]}
allow:
  - {id: one, from: clients, to: servers, service: one, why: test, owner: test}
"""


class Line:
    """a is on the network, b is the device: lan - up0 - far0 | wire | b."""

    def __init__(self, *options):
        self.place = Place(RULES, *options, enforcers=["edge"])
        self.a, self.b, self.edge = self.place.a, self.place.b, self.place.edge
        self.listeners = []
        for port in (7001, 7002):
            listener = socket_in(self.b, socket.AF_INET)
            listener.bind(("10.77.0.2", port))
            listener.listen()
            self.listeners.append(listener)
        self.outside("link", "set", "dev", "b", "nomaster")
        self.plug()

    def down(self):
        for listener in self.listeners:
            listener.close()
        for name in self.bridges():
            self.outside("link", "del", name)
        self.place.down()

    def outside(self, *words):
        return run("nsenter", f"--net={NETNS / self.place.lab.net}", "ip", *words).stdout

    def plug(self):
        self.outside("link", "add", "far0", "type", "veth", "peer", "name", "up0")
        self.outside("link", "set", "up0", "master", "lan", "up")
        self.outside("link", "set", "far0", "up")

    def unplug(self):
        self.outside("link", "del", "far0")

    def bridges(self):
        """{name of our bridge: its alias}"""
        shown = json.loads(self.outside("-j", "-d", "link", "show", "type", "bridge") or "[]")
        return {x["ifname"]: x.get("ifalias") for x in shown if x["ifname"].startswith("suimitsu")}

    def put(self, *flags):
        self.edge.put(self.b, "pair=far0", *flags)

    def load(self):
        self.edge.load(self.b, self.place.programs["b"])

    def opens(self, port, limit_s=0.5):
        client = socket_in(self.a, socket.AF_INET)
        client.settimeout(limit_s)
        try:
            client.connect(("10.77.0.2", port))
            return True
        except (TimeoutError, OSError):
            return False
        finally:
            client.close()

    def comes_back(self, port=7001, limit_s=10):
        wait_for(lambda: self.opens(port), limit_s, f"port {port} to be reached again")


@pytest.fixture(params=[(), ("clsact",)], ids=["tcx", "clsact"])
def line(request):
    line = Line(*request.param)
    try:
        yield line
    finally:
        line.down()


def alias(how):
    return [f"suimitsu: in line before b, fail-{how}"]


def test_a_closed_wire_passes_nothing_before_the_first_policy_and_is_judged_then(line):
    assert not line.opens(7001)  # No wire at all.
    line.put()
    assert line.edge.status("b")["joined"] and list(line.bridges().values()) == alias("closed")
    assert not line.opens(7001)
    line.load()
    line.comes_back()
    assert not line.opens(7002) and line.edge.counters("b")["denied"] > 0


def test_an_open_wire_passes_everything_before_the_first_policy_and_is_judged_then(line):
    line.put("open")
    assert list(line.bridges().values()) == alias("open")
    assert line.opens(7001) and line.opens(7002)
    line.load()
    assert line.opens(7001) and not line.opens(7002)


def test_without_the_agent_the_wire_goes_on_as_it_was_judged(line):
    line.put()
    line.load()
    line.edge.kill()
    assert line.opens(7001) and not line.opens(7002)
    line.edge.start()
    assert line.opens(7001) and not line.opens(7002)  # Not told of its port yet.
    line.put()
    assert line.edge.status("b")["joined"]
    assert line.opens(7001) and not line.opens(7002)


def test_a_connection_survives_what_is_unplugged_and_plugged_in_again(line):
    line.put()
    line.load()
    client = socket_in(line.a, socket.AF_INET)
    client.connect(("10.77.0.2", 7001))
    server, _ = line.listeners[0].accept()
    server.settimeout(10)
    with client, server:
        line.unplug()
        client.sendall(b"while it is unplugged")
        line.plug()
        assert server.recv(100) == b"while it is unplugged"
        line.outside("link", "set", "dev", "b", "down")  # The device's cable.
        client.sendall(b"while the device is unplugged")
        line.outside("link", "set", "dev", "b", "up")
        assert server.recv(100) == b"while the device is unplugged"
    assert not line.opens(7002)


def test_a_bridge_that_somebody_deletes_is_made_again(line):
    line.put()
    line.load()
    line.outside("link", "del", *line.bridges())
    line.comes_back()
    assert list(line.bridges().values()) == alias("closed") and not line.opens(7002)


@pytest.mark.parametrize("how", ["open", "closed"])
def test_the_end_of_the_enforcement_leaves_an_open_wire_and_cuts_a_closed_one(line, how):
    line.put(*(["open"] if how == "open" else []))
    line.load()
    line.edge.command("remove", "b")
    assert line.opens(7002) == (how == "open")
    assert bool(line.bridges()) == (how == "open")
    line.put(*(["open"] if how == "open" else []))
    line.edge.down()  # Detaches.
    assert line.opens(7002) == (how == "open")
    assert bool(line.bridges()) == (how == "open")


def test_the_choice_may_change(line):
    line.put()
    line.put("open")
    assert list(line.bridges().values()) == alias("open") and line.opens(7002)
    line.put()
    assert list(line.bridges().values()) == alias("closed") and not line.opens(7002)


def test_interfaces_of_another_bridge_are_not_taken_away(line):
    line.outside("link", "set", "dev", "b", "master", "lan")
    answer = line.edge.command("put", "b", line.place.mac["b"], "pair=far0", check=False)
    assert not answer["ok"] and "another bridge" in answer["why"]
    line.outside("link", "set", "far0", "master", "lan")  # The operator's own wire is fine.
    line.put()
    assert line.edge.status("b")["joined"] and not line.bridges()


def test_frames_of_every_size_that_the_ends_allow_pass(line):
    line.put()
    line.load()
    for mtu in (9000, 1280, 68, 1500):
        for name in ("a", "far0", "up0", "b"):
            line.outside("link", "set", "dev", name, "mtu", str(mtu))
        for host in (line.a, line.b):
            host.run("ip", "link", "set", "eth0", "mtu", str(mtu))
        client = socket_in(line.a, socket.AF_INET)
        client.connect(("10.77.0.2", 7001))
        server, _ = line.listeners[0].accept()
        server.settimeout(10)
        with client, server:
            sent = bytes(range(256)) * 200
            client.sendall(sent)
            got = b""
            while len(got) < len(sent):
                got += server.recv(65536)
            assert got == sent


def test_a_frame_that_is_too_long_for_the_device_is_lost_alone(line):
    line.put()
    line.load()
    line.a.run("ip", "link", "set", "eth0", "mtu", "9000")
    for name in ("a", "far0", "up0"):
        line.outside("link", "set", "dev", name, "mtu", "9000")
    talker = socket_in(line.a, socket.AF_INET, socket.SOCK_DGRAM)
    with talker:
        talker.sendto(bytes(8000), ("10.77.0.2", 7001))
    assert line.opens(7001)


def test_no_wire_adds_a_neighbour_of_its_own(line):
    """The bridge has no address, and says nothing."""
    line.put()
    name, = line.bridges()
    shown = json.loads(line.outside("-j", "addr", "show", "dev", name))[0]
    assert shown["addr_info"] == []
