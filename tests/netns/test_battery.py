# SPDX-License-Identifier: Apache-2.0
"""The battery: root inside a guest, with its own firewall flushed, sends everything in battery.py.  Without
enforcement all of it arrives at the victim; with an agent inside what SECURITY.md lists; with an edge
outside besides, nothing; and with the edge alone, its agent killed by root, what only an agent can see."""
import json
import os
import pathlib

import pytest
import table
from battery import ALL, Shape, shapes
from edge import Edge, compile_programs, mac_of
from edge_place import GROUPS
from frames import Wire, has
from labkit import Lab, World, binary, inventory
from labkit.system import LabError
from probing import Running, install_probe
from scapy.layers.l2 import ARP, Ether
from test_edge_and_host import Bypass
from wall import EVIL, GOOD, SERVER, Agent

WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"], agent: true}
  b: {labels: {role: server}, bridge: lan, addresses: [10.77.0.2, "fd77::2"]}
  c: {labels: {role: other}, bridge: lan, addresses: [10.77.0.3, "fd77::3"]}
"""
RULES = """
services:
  work: [tcp/7001, udp/7001]
  free: [tcp/7005, udp/7005]
  read: {ports: [tcp/502], modbus: [3]}
allow:
  - {id: work, from: clients, process: {exe: /opt/t/good}, to: servers, service: work, why: t, owner: t}
  - {id: free, from: clients, to: servers, service: free, why: t, owner: t}
"""
READ = "  - {id: read, from: clients, to: servers, service: read, why: t, owner: t}\n"
HEAD = """
import os, socket, struct, subprocess, sys
B4, B6, C4, BMAC = "10.77.0.2", "fd77::2", "10.77.0.3", sys.argv[2]
TOKEN = bytes.fromhex(sys.argv[1])
def sh(line):
    subprocess.run(["/bin/sh", "-c", line], check=False, stderr=subprocess.DEVNULL)
def csum(d):
    n = sum(struct.unpack(f">{len(d) // 2}H", d)); n = (n >> 16) + (n & 65535); return n + (n >> 16)
def wait(s):
    s.settimeout(0.15)
    try:
        s.recv(64)
    except OSError:
        pass
"""
SECURITY = (pathlib.Path(__file__).resolve().parents[2] / "SECURITY.md").read_text()
SHAPES = shapes()
# With the agent dead, nobody sees which program it is.  The edge passes the port for any.
PROGRAMS = {"another program by TCP", "another program by UDP", "a copy of the program", "the program by the loader",
            "a program in memory"}


class Macs:
    def __init__(self, lab):
        self.a, self.b, self.c = (mac_of(lab[x]) for x in "abc")


class Battery:
    """The guest a, its victim b, and what of each shape arrives there."""

    def __init__(self, lab):
        self.lab, self.macs, self.n = lab, Macs(lab), 0
        self.wires = {x: Wire(lab[x]) for x in "abc"}
        self.bypass = Bypass(lab["a"])

    def fence(self):
        self.n += 1
        return Ether(src=self.macs.a, dst=ALL) / ARP(op=1, hwsrc=self.macs.a, psrc="10.77.0.1", pdst="10.77.0.2",
                                                     hwdst=f"00:00:00:00:{self.n >> 8:02x}:{self.n & 255:02x}")

    def leaks(self, shape):
        """Does it arrive?"""
        self.wires["b"].received()
        token = b"BATTERY-%06d" % (self.n + 1)
        if shape.how == "script":
            self.script(shape, token)
        else:
            frame = shape.what(self.macs)
            try:
                (self.bypass if shape.how == "bypass" else self.wires["a"]).send(frame)
            except OSError:  # Its own kernel refuses.
                pass
        fence = self.fence()
        self.bypass.send(fence)
        arrived = self.wires["b"].received_until(fence)
        if shape.seen:
            return any(shape.seen(f) for f in arrived)
        return any(token in f for f in arrived) if shape.how == "script" else has(arrived, frame)

    def script(self, shape, token):
        options = {} if shape.cgroup else {"cgroup": self.lab["a"].cgroup.parent}
        self.lab["a"].run("/usr/bin/python3", "-c", HEAD + shape.what, token.hex(), self.macs.b, check=False,
                          **options)

    def run(self, label, expected):
        """Sends all; the names of what arrived."""
        found = {s.name for s in SHAPES if self.leaks(s)}
        table.say(f"battery, {label:<38} {len(found):>4} of {len(SHAPES)} shapes arrive, "
                  f"{len(found - expected)} more and {len(expected - found)} less than expected")
        for word, names in (("more", found - expected), ("less", expected - found)):
            if names:
                table.say(f"battery, {label}, {word}: {'; '.join(sorted(names))}")
        return found

    def close(self):
        for wire in self.wires.values():
            wire.close()


@pytest.fixture(scope="module")
def battery():
    lab = Lab(World("battery", WORLD), f"sm-b{os.getpid() % 10000}-").up()
    lab.edge = None
    try:
        install_probe(lab["a"], GOOD, EVIL)
        install_probe(lab["b"], SERVER)
        lab["a"].run("nft", "flush", "ruleset")
        lab["a"].run("ip", "route", "add", "239.1.1.1/32", "dev", "eth0")
        lab["a"].run("ip", "neigh", "replace", "10.77.0.2", "lladdr", mac_of(lab["b"]), "dev", "eth0")
        battery = Battery(lab)
        with Running(lab["b"], "serve", ["tcp,502", "tcp,7001", "udp,7001", "udp,7006"], SERVER, options=["-q"]):
            yield battery
        battery.close()
    finally:
        if lab.edge:
            lab.edge.down()
        lab.down()
    assert lab.leftovers() == []


@pytest.fixture(scope="module")
def flat(battery):
    return battery.run("no enforcement", {s.name for s in SHAPES})


def program_of(battery, rules, enforcers, revision):
    data, folder = inventory(battery.lab.world), battery.lab.folder
    data["endpoints"]["a"]["enforcers"] = enforcers
    (folder / "policy.yaml").write_text(GROUPS + rules)
    (folder / "inventory.json").write_text(json.dumps(data))
    return compile_programs(folder, folder / "policy.yaml", folder / "inventory.json", "a", revision)["a"]


@pytest.fixture(scope="module")
def with_agent(battery, flat):
    """The agent alone: a rule with functions would be refused without an edge, so there is none."""
    battery.agent = Agent(battery.lab["a"])
    battery.agent.install(program_of(battery, RULES, ["host"], 1))
    battery.agent.start()
    battery.agent.wait_revision(1)
    return battery.run("agent alone", {s.name for s in SHAPES if s.residue})


@pytest.fixture(scope="module")
def with_both(battery, with_agent):
    program = program_of(battery, RULES + READ, ["host", "edge"], 2)
    battery.agent.install(program)
    battery.agent.reload()
    battery.agent.wait_revision(2)
    battery.lab.edge = Edge(battery.lab)
    battery.lab.edge.put(battery.lab["a"])
    battery.lab.edge.load(battery.lab["a"], program)
    return battery.run("agent inside and edge outside", set())


@pytest.fixture(scope="module")
def with_edge(battery, with_both):
    battery.agent.kill()
    battery.lab["a"].run(binary("suimitsu-agent"), "detach", *battery.agent.options)
    return battery.run("edge alone, the agent ended by root", PROGRAMS)


def test_there_are_more_than_sixty_shapes_and_no_two_are_called_alike():
    assert len(SHAPES) >= 60 and len({s.name for s in SHAPES}) == len(SHAPES)
    assert all(isinstance(s, Shape) for s in SHAPES)


def test_without_enforcement_every_shape_arrives(flat):
    assert {s.name for s in SHAPES} - flat == set()


def test_with_an_agent_alone_arrives_what_the_security_page_lists_and_nothing_else(with_agent):
    listed = {s.name: s.residue for s in SHAPES if s.residue}
    assert with_agent - set(listed) == set()
    assert set(listed) - with_agent == set()  # Else the page lists too much.
    for residue in set(listed.values()):
        assert f"\n| {residue}" in SECURITY


def test_with_an_edge_outside_nothing_arrives(with_both):
    assert with_both == set()


def test_with_the_edge_alone_only_programs_are_not_told_apart(with_edge):
    assert with_edge == PROGRAMS


def test_the_honest_still_passes_when_all_is_over(battery, with_edge):
    said = battery.lab["a"].run("/usr/bin/python3", "-c", HEAD + "s = socket.create_connection((B4, 502), 2)\n"
                                "s.sendall(b'\\0\\1\\0\\0\\0\\6\\1\\3\\0\\0\\0\\1'); s.settimeout(2); print(len(s.recv(64)))",
                                "00", battery.macs.b)
    assert said.stdout.strip() == "12"


def test_a_shape_that_cannot_be_sent_is_no_proof(battery):
    """The bench itself: a fence that does not come back is an error, not a pass."""
    with pytest.raises(LabError, match="fence"):
        battery.wires["b"].received_until(b"\xff" * 64, limit_s=0.2)
