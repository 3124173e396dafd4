# SPDX-License-Identifier: Apache-2.0
"""Metrics 1, 2 and 3 for the edge: guests on two networks, and the machine between them that routes.

    a ---port a--- | router | ---port b--- b        the work goes from a to b and back

* none: the router forwards everything.
* edge: our edge at both ports, each with a program of that many entries; flows are made into records
  as the agent does, and none may be lost.
* nft map: `ct state established accept`, then a verdict map of as many (address, port) elements, in
  the router's forward hook: stateful as the edge is, but it knows ports by address only - no MACs,
  no spoofing, nothing per guest.

* ovs: an Open vSwitch between the two, with as many flows, and its connection tracking. This kernel
  lacks its datapath, so it is the one in user space, on packet sockets: no measure of one in the kernel.

* bridge: the same map in a bridge table of nftables, asked of each frame that a guest sends, by its
  destination or by its source. This kernel tracks no connections on bridges, so it is stateless: who has
  the right source port may say anything. It is what nftables can do outside of a guest here.

Counted is the CPU time of both guests' cgroups - with the forwarding that the kernel does on their
behalf, and the processes of the edge and the switch, which are put there - and of ksoftirqd."""
import json
import os
import pathlib
import re
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "lab"), str(ROOT / "tests" / "netns")]
from edge import Edge, mac_of  # noqa: E402
from frame_run import PASS, Runner  # noqa: E402
from frames import within  # noqa: E402
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
KINDS = ("none", "edge", "map", "bridge")  # And "ovs", where it is installed.
PEERS = {"none": "no policy", "map": "nft map", "bridge": "nft bridge map (stateless)", "ovs": "Open vSwitch (user space)"}
WORK = {"tcp": 4000, "udp": 96_000, "bulk": 2 << 30}
LOAD = "/opt/bench/load"
STATS = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
SYNS = 20_000


def pairs(size):
    """As many as the edge has entries, and the one that the work uses."""
    others = [(f"11.{i // 100 >> 16 & 255}.{i // 100 >> 8 & 255}.{i // 100 & 255}", 20000 + i % 100)
              for i in range(size)]
    return [*others, (ADDRESS["b"], PORT)]


def map_rules(size):
    elements = ",\n".join(f"{a} . {p} : accept" for a, p in pairs(size))
    return ("add table inet bench\ndelete table inet bench\ntable inet bench {\n"
            "map verdicts { type ipv4_addr . inet_service : verdict\n"
            f"elements = {{ {elements} }} }}\n"
            "chain c { type filter hook forward priority 0; policy drop;\n"
            "ct state established,related accept\n"
            "meta l4proto { tcp, udp } ip daddr . th dport vmap @verdicts\n}\n}\n")


def bridge_rules(size):
    elements = ",\n".join(f"{a} . {p} : accept" for a, p in pairs(size))
    return ("add table bridge bench\ndelete table bridge bench\ntable bridge bench {\n"
            "map verdicts { type ipv4_addr . inet_service : verdict\n"
            f"elements = {{ {elements} }} }}\n"
            "chain c { type filter hook prerouting priority 0; policy drop;\n"
            "ether type arp accept\n"
            "meta l4proto { tcp, udp } ip daddr . th dport vmap @verdicts\n"
            "meta l4proto { tcp, udp } ip saddr . th sport vmap @verdicts\n}\n}\n")


def switch_flows(size):
    """Stateful as the edge is: what is established passes, and new connections to these pairs."""
    lines = ["table=0,ip,actions=ct(table=1)",
             "table=1,priority=50,ct_state=+trk+est,in_port=1,ip,actions=output:2",
             "table=1,priority=50,ct_state=+trk+est,in_port=2,ip,actions=output:1"]
    lines += [f"table=1,priority=40,ct_state=+trk+new,in_port=1,{protocol},nw_dst={a},tp_dst={p},"
              "actions=ct(commit),output:2" for a, p in pairs(size) for protocol in ("tcp", "udp")]
    return "\n".join(lines) + "\n"


class Switch:
    """An Open vSwitch that takes the place of the router's bridges."""

    def __init__(self, lab):
        self.lab, self.folder, self.processes = lab, lab.folder / "ovs", []
        self.folder.mkdir()
        self.db = f"unix:{self.folder}/db.sock"
        macs = {name: mac_of(lab[name]) for name in "ab"}
        for name, other, gateway in (("a", "b", "10.79.1.254"), ("b", "a", "10.79.2.254")):
            self._in_net("ip", "link", "set", "dev", name, "nomaster")
            run("ip", "-n", lab[name].namespace, "neigh", "replace", gateway, "lladdr", macs[other], "dev", "eth0")
            # What a packet socket takes has no checksum while the device would have made it.
            run("ip", "netns", "exec", lab[name].namespace, "ethtool", "-K", "eth0", "tx", "off")
        run("ovsdb-tool", "create", self.folder / "conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        self._start("ovsdb-server", self.folder / "conf.db", f"--remote=p{self.db}",
                    f"--unixctl={self.folder}/db.ctl", "--log-file=/dev/null")
        self._wait(self.folder / "db.sock")
        self._configure("--no-wait", "init")
        self._start("ovs-vswitchd", self.db, "--disable-system", f"--unixctl={self.folder}/vs.ctl", "--log-file=/dev/null")
        self._configure("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail-mode=secure",
                        "--", "add-port", "br0", "a", "--", "set", "interface", "a", "ofport_request=1",
                        "--", "add-port", "br0", "b", "--", "set", "interface", "b", "ofport_request=2")
        self._wait(self.folder / "br0.mgmt")

    def _in_net(self, *words, **options):
        return run("nsenter", f"--net={NETNS / self.lab.net}", *words, **options)

    def _start(self, *words):
        process = subprocess.Popen(["nsenter", f"--net={NETNS / self.lab.net}", *map(str, words)],
                                   env=os.environ | {"OVS_RUNDIR": str(self.folder)},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        (self.lab["a"].cgroup / "cgroup.procs").write_text(str(process.pid))
        self.processes.append(process)

    def _configure(self, *words):
        self._in_net("ovs-vsctl", "--timeout=20", f"--db={self.db}", *words)

    @staticmethod
    def _wait(path):
        for _ in range(200):
            if path.exists():
                return
            time.sleep(0.05)
        raise LabError(f"Open vSwitch made no {path}")

    def set_size(self, size):
        file = self.folder / "flows"
        file.write_text(switch_flows(size))
        target = f"unix:{self.folder}/br0.mgmt"
        self._in_net("ovs-ofctl", "del-flows", target)
        self._in_net("ovs-ofctl", "add-flows", target, file, timeout=300)

    def down(self):
        for process in reversed(self.processes):
            process.terminate()
            process.wait(20)


class Rig:
    """Two guests and their router, with one way of enforcing."""

    def __init__(self, kind):
        self.kind, self.edge, self.switch, self.revision = kind, None, None, 0
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
        if kind == "ovs":
            self.switch = Switch(self.lab)

    def end(self):
        if self.edge:
            self.edge.down()
        if self.switch:
            self.switch.down()
        self.lab.down()

    def set_size(self, size):
        if self.kind in ("map", "bridge"):
            rules = map_rules(size) if self.kind == "map" else bridge_rules(size)
            run("nsenter", f"--net={NETNS / self.lab.net}", "nft", "-f", "-", stdin=rules)
        elif self.kind == "edge":
            self._apply_edge(size)
        elif self.kind == "ovs":
            self.switch.set_size(size)

    def _apply_edge(self, size):
        if not self.edge:
            self.edge = Edge(self.lab, "records")
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

    def check(self):
        for port in self.edge.status().values() if self.edge else ():
            lost = {name: n for name, n in port["counters"].items() if name.startswith("lost") and n}
            if lost:
                raise LabError(f"the edge lost events, so their cost was not measured: {lost}")

    def cpu_us(self):
        total = softirq_us()
        for host in self.lab.hosts.values():
            stat = (host.cgroup / "cpu.stat").read_text()
            total += int(re.search(r"usage_usec (\d+)", stat)[1])
        return total

    def work(self, what):
        """Units of work a CPU-second."""
        count = WORK[what] // (16 if self.kind == "ovs" else 1)  # A packet at a time.
        before = self.cpu_us()
        self.lab["a"].run("taskset", "-c", "0", LOAD, what, ADDRESS["b"], PORT, count, timeout=600)
        return count / (self.cpu_us() - before) * 1e6


def in_turn(rigs, what, rounds):
    results = {rig.kind: [] for rig in rigs}
    for n in range(rounds + 1):
        for rig in rigs:
            value = rig.work(what)
            if n:  # The first is for warmth.
                results[rig.kind].append(value)
    for rig in rigs:
        rig.check()
    return {kind: statistics.median(values) for kind, values in results.items()}


class Line:
    """A device with nothing in line before it, with a plain bridge, or with a pair and its edge.

        a --- b        a --- up0 - far0 | bridge | b --- b"""

    WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.79.1.254/24, v6: "fd79:1::fe/64"}
hosts:
  a: {bridge: lan, addresses: [10.79.1.1, "fd79:1::1"]}
  b: {bridge: lan, addresses: [10.79.1.2, "fd79:1::2"]}
"""

    def __init__(self, kind):
        self.kind, self.edge = kind, None
        self.lab = Lab(World("bench-line", self.WORLD), f"sm-l{kind[:2]}{os.getpid() % 10000}-").up()
        if kind != "wire":
            self._ip("link", "set", "dev", "b", "nomaster")
            self._ip("link", "add", "far0", "type", "veth", "peer", "name", "up0")
            self._ip("link", "set", "up0", "master", "lan", "up")
            self._ip("link", "set", "far0", "up")
        if kind == "bridge":
            self._ip("link", "add", "plain", "type", "bridge", "forward_delay", "0")
            for name in ("far0", "b"):
                self._ip("link", "set", "dev", name, "master", "plain")
            self._ip("link", "set", "plain", "up")
        elif kind == "pair":
            self._pair()
        self.ends = [within(self.lab[x], self._socket) for x in "ab"]
        self.ends[1].bind(("10.79.1.2", PORT))
        self.ends[0].connect(("10.79.1.2", PORT))
        self.ends[0].send(b"x")  # Says where it is.
        self.ends[1].connect(self.ends[1].recvfrom(100)[1])

    @staticmethod
    def _socket():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.settimeout(5)
        return made

    def _ip(self, *words):
        run("nsenter", f"--net={NETNS / self.lab.net}", "ip", *words)

    def _pair(self):
        self.edge = Edge(self.lab)
        self.edge.put(self.lab["b"], "pair=far0")
        file = self.lab.folder / "b.program"
        run(TESTS / "programs", "make", 1, "10.79.1.2", "10.79.1.1", PORT, LOAD, f"{LOAD}-client", 1000,
            file)
        self.edge.load(self.lab["b"], file)

    def end(self):
        for s in self.ends:
            s.close()
        if self.edge:
            self.edge.down()
        self.lab.down()

    def round_trips_us(self, n):
        """Median of n datagrams there and back, all by this process: no scheduler between."""
        a, b = self.ends
        times = []
        for _ in range(n):
            before = time.perf_counter_ns()
            a.send(b"there")
            b.recv(100)
            b.send(b"back")
            a.recv(100)
            times.append(time.perf_counter_ns() - before)
        return statistics.median(times) / 1000


def measure_line(lines, rounds):
    """What an in-line pair adds to a round trip."""
    rigs, results = [], {}
    try:
        for kind in ("wire", "bridge", "pair"):
            rigs.append(Line(kind))
        for n in range(rounds + 1):
            for rig in rigs:
                value = rig.round_trips_us(4000)
                if n:
                    results.setdefault(rig.kind, []).append(value)
        medians = {kind: statistics.median(values) for kind, values in results.items()}
        for peer, name in (("wire", "nothing in line"), ("bridge", "plain bridge in line")):
            lines.add("2l", "in-line pair: UDP round trip, us", f"{medians['pair']:.2f}",
                      f"{medians[peer]:.2f}", name, f"{medians['pair'] / medians[peer]:.2f}")
    finally:
        for rig in rigs:
            rig.end()


def measure_known(lines):
    """ns in the program at a's port for a packet of a known flow: the least of 9 times 100,000 runs."""
    rig = Rig("edge")
    try:
        rig.set_size(1000)
        ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 48, 1, 0, 64, 17, 0, socket.inet_aton(ADDRESS["a"]),
                         socket.inet_aton(ADDRESS["b"]))
        frame = bytes.fromhex("02000000000f" + mac_of(rig.lab["a"]).replace(":", "")) + b"\x08\0" + ip + \
            struct.pack(">HHHH", 4000, PORT, 28, 0) + bytes(20)
        with Runner(rig.edge, "a", "out") as runner:
            if {runner.run(frame)[0] for _ in range(3)} != {PASS}:
                raise LabError("the work's datagrams do not pass")
            least = min(runner.run(frame, 100_000)[1] for _ in range(9))
        lines.add("2f", "edge: ns in the program, a packet of a known flow", str(least), "", "nothing", "")
    finally:
        rig.end()


def program_stats(runner):
    """(ns, runs) that the kernel counted for the program of this port and direction."""
    shown = json.loads(run("bpftool", "-j", "prog", "show", "id", runner.id).stdout)
    return shown.get("run_time_ns", 0), shown.get("run_cnt", 0)


def measure_new(lines, sizes, rounds):
    """Mean ns in the program at a's port for the first packet of a connection: a SYN to the address
    and port of one of the entries, real and from a's own stack; the router throws it away."""
    rig = Rig("edge")
    run("nsenter", f"--net={NETNS / rig.lab.net}", "ip", "route", "add", "blackhole", "11.0.0.0/8")
    first = {}
    try:
        for size in sizes:
            rig.set_size(size)
            for skew in ("skewed", "uniform"):
                means = []
                for _ in range(rounds):
                    with Runner(rig.edge, "a", "out") as runner:
                        before = program_stats(runner)
                        STATS.write_text("1")
                        rig.lab["a"].run("taskset", "-c", "0", LOAD, "lookups", "11.0.0.0", skew, size,
                                         SYNS, timeout=120)
                        STATS.write_text("0")
                        after = program_stats(runner)
                    if after[1] - before[1] < SYNS:
                        raise LabError("the work's connections did not pass the edge")
                    means.append((after[0] - before[0]) / (after[1] - before[1]))
                ns = statistics.median(means)
                base = first.setdefault(skew, ns)
                lines.add("3e", f"edge: program, first packet, {skew}, {size} entries", f"{ns:.0f} ns",
                          f"{base:.0f} ns", "ours at the first size", f"{ns / base:.2f}")
    finally:
        STATS.write_text("0")
        rig.end()


def measure(lines, sizes, rounds):
    measure_line(lines, rounds)
    measure_known(lines)
    measure_new(lines, sizes, rounds)
    rigs = []
    try:
        kinds = [*KINDS, "ovs"] if shutil.which("ovs-vswitchd") and os.path.exists("/dev/net/tun") else KINDS
        if "ovs" not in kinds:
            print("bench: Open vSwitch is not measured: it is not installed, or there is no /dev/net/tun", flush=True)
        for kind in kinds:
            rigs.append(Rig(kind))
        for size in sizes:
            for rig in rigs:
                rig.set_size(size)
            for what, unit in (("tcp", "new TCP connections/CPU-s"), ("udp", "small UDP packets/CPU-s")):
                medians = in_turn(rigs, what, rounds)
                for peer in [k for k in kinds if k != "edge"]:
                    lines.add("1e", f"edge: {unit}, {size} entries", f"{medians['edge']:,.0f}",
                              f"{medians[peer]:,.0f}", PEERS[peer], f"{medians['edge'] / medians[peer]:.2f}")
        medians = in_turn(rigs, "bulk", rounds)
        for peer in [k for k in kinds if k != "edge"]:
            lines.add("2e", "edge: established TCP, GB/CPU-s", f"{medians['edge'] / 1e9:.2f}",
                      f"{medians[peer] / 1e9:.2f}", PEERS[peer], f"{medians['edge'] / medians[peer]:.3f}")
    finally:
        for rig in rigs:
            rig.end()
