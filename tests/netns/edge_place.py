# SPDX-License-Identifier: Apache-2.0
"""A small world for the edge's tests, and the frames that they share."""
import itertools
import json
import os

from edge import Edge, compile_programs, mac_of
from frames import Wire
from labkit import Lab, World, inventory
from scapy.layers.inet import UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"], agent: true}
  b: {labels: {role: server}, bridge: lan, addresses: [10.77.0.2, "fd77::2"], agent: true}
  c: {labels: {role: other}, bridge: lan, addresses: [10.77.0.3, "fd77::3"]}
"""
GROUPS = """\
suimitsu: 1
groups:
  clients: {match: {role: client}}
  servers: {match: {role: server}}
  others: {match: {role: other}}
"""
ALL = "ff:ff:ff:ff:ff:ff"


_places = itertools.count()


class Place:
    """Hosts a, b and c on one bridge, and an edge; ports are bound by bind()."""

    def __init__(self, rules, *options, flush=(), enforcers=()):
        self.revision, self.enforcers = 0, list(enforcers)
        self.lab = Lab(World("edge", WORLD), f"sm-g{os.getpid() % 10000}{chr(97 + next(_places))}-").up()
        self.wires, self.edge = {}, None
        try:
            self._set_up(rules, options, flush)
        except BaseException:
            self.down()
            raise

    def _set_up(self, rules, options, flush):
        self.a, self.b, self.c = (self.lab[x] for x in "abc")
        self.wires = {x: Wire(self.lab[x]) for x in "abc"}
        self.mac = {x: mac_of(self.lab[x]) for x in "abc"}
        self.bound = set()
        self.fences = itertools.count(1)
        for name in flush:  # A kernel without addresses answers nothing by itself.
            for version in ("-4", "-6"):
                self.lab[name].run("ip", version, "addr", "flush", "dev", "eth0")
        self.edge = Edge(self.lab, *options)
        self.apply(rules)

    def down(self):
        for wire in self.wires.values():
            wire.close()
        if self.edge:
            self.edge.down()
        self.lab.down()
        assert self.lab.leftovers() == [] and not (self.edge and self.edge.pins.exists())

    def compile(self, rules, states=None):
        """{endpoint: program file} of the next revision."""
        self.revision += 1
        data = inventory(self.lab.world)
        for name in "ab" if self.enforcers else "":
            data["endpoints"][name]["enforcers"] = self.enforcers
        for name, state in (states or {}).items():
            data["endpoints"][name]["state"] = state
        policy, ledger = self.lab.folder / "policy.yaml", self.lab.folder / "inventory.json"
        policy.write_text(GROUPS + rules)
        ledger.write_text(json.dumps(data))
        self.programs = compile_programs(self.lab.folder, policy, ledger, "ab", self.revision)
        return self.programs

    def apply(self, rules, states=None):
        """Compiles groups + rules and loads them where ports are bound."""
        self.compile(rules, states)
        for name in self.bound:
            self.edge.load(self.lab[name], self.programs[name])

    def bind(self, *names, flags=()):
        """Exactly these ports are bound."""
        for name in self.bound - set(names):
            self.edge.command("remove", name)
        for name in names:
            self.edge.put(self.lab[name], *flags)
            self.edge.load(self.lab[name], self.programs[name])
        self.bound = set(names)

    def fence(self, source, target):
        """An ARP question that passes from everybody to the target; each one is different."""
        n = next(self.fences)
        return Ether(src=self.mac[source], dst=ALL) / ARP(
            op=1, hwsrc=self.mac[source], psrc="0.0.0.0",
            pdst=self.lab[target].address(), hwdst=f"00:00:00:00:{n >> 8:02x}:{n & 255:02x}")

    def send(self, source, target, *frames):
        """What of these frames arrives at the target."""
        fence = self.fence(source, target)
        self.wires[target].received()
        self.wires[source].send(*frames, fence)
        return self.wires[target].received_until(fence)


def link_local(mac):
    b = [int(x, 16) for x in mac.split(":")]
    return f"fe80::{b[0] ^ 2:02x}{b[1]:02x}:{b[2]:02x}ff:fe{b[3]:02x}:{b[4]:02x}{b[5]:02x}"


def ether(p, **fields):
    return Ether(**{"src": p.mac["a"], "dst": p.mac["b"], **fields})


def udp(text="x" * 30):
    return UDP(sport=4000, dport=7001) / Raw(text)
