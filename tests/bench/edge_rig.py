# SPDX-License-Identifier: Apache-2.0
"""Metrics 1 and 2 for the edge: guests on two networks, and the machine between them that routes.

    a ---port a--- | router | ---port b--- b        the work goes from a to b and back

* none: the router forwards everything.
* edge: our edge at both ports, each with a program of that many entries.
* nft map: `ct state established accept`, then a verdict map of as many (address, port) elements, in
  the router's forward hook: stateful as the edge is, but it knows ports by address only - no MACs,
  no spoofing, nothing per guest.

A bridge table of nftables beside it would have to be stateless here (no conntrack for bridges in
this kernel), and Open vSwitch has no kernel datapath here; neither is measured.

Counted is the CPU time of both guests' cgroups - with the forwarding that the kernel does on their
behalf, and the edge's own process, which is put there - and of ksoftirqd."""
import os
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "lab"), str(ROOT / "tests" / "netns")]
from edge import Edge  # noqa: E402
from labkit import Lab, World  # noqa: E402
from labkit.system import NETNS, LabError, run  # noqa: E402
from softirq import softirq_us  # noqa: E402

TESTS = ROOT / "build" / "tests"
WORLD = """\
suimitsu-lab: 1
bridges:
  left:  {v4: 10.79.1.254/24, v6: "fd79:1::fe/64"}
  right: {v4: 10.79.2.254/24, v6: "fd79:2::fe/64"}
hosts:
  a: {bridge: left, addresses: [10.79.1.1, "fd79:1::1"]}
  b: {bridge: right, addresses: [10.79.2.1, "fd79:2::1"]}
"""
ADDRESS = {"a": "10.79.1.1", "b": "10.79.2.1"}
PORT = 7000
KINDS = ("none", "edge", "map")
WORK = {"tcp": 4000, "udp": 96_000, "bulk": 2 << 30}
LOAD = "/opt/bench/load"


def map_rules(size):
    """As many pairs as the edge has entries, and the one that the work uses."""
    pairs = [(f"11.{i // 100 >> 16 & 255}.{i // 100 >> 8 & 255}.{i // 100 & 255}", 20000 + i % 100)
             for i in range(size)]
    elements = ",\n".join(f"{a} . {p} : accept" for a, p in [*pairs, (ADDRESS["b"], PORT)])
    return ("add table inet bench\ndelete table inet bench\ntable inet bench {\n"
            "map verdicts { type ipv4_addr . inet_service : verdict\n"
            f"elements = {{ {elements} }} }}\n"
            "chain c { type filter hook forward priority 0; policy drop;\n"
            "ct state established,related accept\n"
            "meta l4proto { tcp, udp } ip daddr . th dport vmap @verdicts\n}\n}\n")


class Rig:
    """Two guests and their router, with one way of enforcing."""

    def __init__(self, kind):
        self.kind, self.edge, self.revision = kind, None, 0
        self.lab = Lab(World("bench-edge", WORLD), f"sm-e{kind[:2]}{os.getpid() % 10000}-").up()
        for host in self.lab.hosts.values():
            target = host.path(LOAD)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((TESTS / "load").read_bytes())
            target.chmod(0o755)
        self.server = self.lab["b"].popen(["taskset", "-c", "0", LOAD, "serve", PORT],
                                          stdout=subprocess.PIPE)
        if self.server.stdout.readline() != b"ready\n":
            raise LabError("the benchmark's server did not start")

    def end(self):
        if self.edge:
            self.edge.down()
        self.lab.down()

    def set_size(self, size):
        if self.kind == "map":
            run("nsenter", f"--net={NETNS / self.lab.net}", "nft", "-f", "-", stdin=map_rules(size))
        elif self.kind == "edge":
            self._apply_edge(size)

    def _apply_edge(self, size):
        if not self.edge:
            self.edge = Edge(self.lab)
            (self.lab["a"].cgroup / "cgroup.procs").write_text(str(self.edge.process.pid))
            for name in "ab":
                self.edge.put(self.lab[name])
        self.revision += 1
        for name, peer in (("a", "b"), ("b", "a")):
            file = self.lab.folder / f"{name}.program"
            # Two names of programs, which an edge does not tell apart.
            run(TESTS / "programs", "make", self.revision, ADDRESS[name], ADDRESS[peer], PORT, LOAD,
                f"{LOAD}-client", size, file)
            self.edge.load(self.lab[name], file)
            file.unlink()

    def cpu_us(self):
        total = softirq_us()
        for host in self.lab.hosts.values():
            stat = (host.cgroup / "cpu.stat").read_text()
            total += int(re.search(r"usage_usec (\d+)", stat)[1])
        return total

    def work(self, what):
        """Units of work a CPU-second."""
        before = self.cpu_us()
        self.lab["a"].run("taskset", "-c", "0", LOAD, what, ADDRESS["b"], PORT, WORK[what],
                          timeout=600)
        return WORK[what] / (self.cpu_us() - before) * 1e6


def in_turn(rigs, what, rounds):
    results = {rig.kind: [] for rig in rigs}
    for n in range(rounds + 1):
        for rig in rigs:
            value = rig.work(what)
            if n:  # The first is for warmth.
                results[rig.kind].append(value)
    return {kind: statistics.median(values) for kind, values in results.items()}


def measure(lines, sizes, rounds):
    rigs = []
    try:
        for kind in KINDS:
            rigs.append(Rig(kind))
        for size in sizes:
            for rig in rigs:
                rig.set_size(size)
            for what, unit in (("tcp", "new TCP connections/CPU-s"), ("udp", "small UDP packets/CPU-s")):
                medians = in_turn(rigs, what, rounds)
                for peer, name in (("none", "no policy"), ("map", "nft map")):
                    lines.add("1e", f"edge: {unit}, {size} entries", f"{medians['edge']:,.0f}",
                              f"{medians[peer]:,.0f}", name, f"{medians['edge'] / medians[peer]:.2f}")
        medians = in_turn(rigs, "bulk", rounds)
        for peer, name in (("none", "no policy"), ("map", "nft map")):
            lines.add("2e", "edge: established TCP, GB/CPU-s", f"{medians['edge'] / 1e9:.2f}",
                      f"{medians[peer] / 1e9:.2f}", name, f"{medians['edge'] / medians[peer]:.3f}")
    finally:
        for rig in rigs:
            rig.end()
