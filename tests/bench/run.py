#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the host enforcer beside its peers: no policy, an nftables verdict map, a linear
nftables rule set.

  tests/bench/run.py [--sizes 10,1000,...] [--rounds 7] [--metrics 1,2,3,4,5,7,10,11,12]
                     [--markdown FILE]

Each rig is a pair of hosts (namespaces, joined by one veth pair) that keeps its policy at both ends
for a size; the rigs work in turn, A B C D A B C D, and a line gives the ratio of medians.

What is counted: CPU time of everything in both hosts' cgroups (cpu.stat usage_usec: work, agents
and the packet processing that the kernel does on their behalf) and of the ksoftirqd threads.  Metrics 4 and 5 (northd.py), 6 (questions.py), 7 and 11
(agents_rig.py) and 16 (web_map.py) need no hosts; edge_rig.py is 1 and 2 for the edge."""
import argparse
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "lab"), str(ROOT / "tests" / "netns")]
from labkit import Lab, LabError, World  # noqa: E402
from labkit.system import check_preconditions, run  # noqa: E402
from wall import Agent  # noqa: E402
import agents_rig  # noqa: E402
import edge_rig  # noqa: E402
import flows  # noqa: E402
import northd  # noqa: E402
import history_rig  # noqa: E402
import questions  # noqa: E402
import web_map  # noqa: E402
from softirq import softirq_us  # noqa: E402

TESTS = ROOT / "build" / "tests"
PORT = 7000
CLIENT, SERVER = "/opt/t/client", "/opt/t/server"
ADDRESS = {"a": "10.78.0.1", "b": "10.78.0.2"}
KINDS = ("none", "ours", "map", "linear")
LINEAR_LIMIT = 10_000  # Beyond, one connection takes longer than anybody would wait.
WORLD = """\
suimitsu-lab: 1
bridges: {lan: {v4: 10.79.0.254/24, v6: "fd79::fe/64"}}
hosts:
  a: {bridge: lan, agent: true}
  b: {bridge: lan, agent: true}
"""
WORK = {"tcp": 4000, "udp": 96_000, "bulk": 2 << 30}  # A round: about 0.3 to 0.5 CPU-seconds.


class Rig:
    """A pair of hosts with one way of enforcing."""

    def __init__(self, kind):
        self.kind = kind
        self.lab = Lab(World("bench", WORLD), f"sm-{kind[:3]}{os.getpid() % 10000}-").up()
        a, b = self.lab["a"], self.lab["b"]
        run("ip", "-n", a.namespace, "link", "add", "name", "wire", "type", "veth", "peer", "name",
            "wire", "netns", b.namespace)
        for name, host in self.lab.hosts.items():
            run("ip", "-n", host.namespace, "link", "set", "dev", "wire", "up")
            run("ip", "-n", host.namespace, "addr", "add", f"{ADDRESS[name]}/24", "dev", "wire")
            run("ip", "-n", host.namespace, "route", "add", "blackhole", "11.0.0.0/8")
            for path in (CLIENT, SERVER):
                target = host.path(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((TESTS / "load").read_bytes())
                target.chmod(0o755)
        self.agents = {}
        self.server = b.popen(["taskset", "-c", "0", SERVER, "serve", PORT],
                              stdout=subprocess.PIPE)
        if self.server.stdout.readline() != b"ready\n":
            raise LabError("the benchmark's server did not start")

    def end(self):
        self.lab.down()

    def set_size(self, size):
        if self.kind == "ours":
            self._apply_ours(size)
        elif self.kind in ("map", "linear"):
            for name in ("a", "b"):
                rules = nft_rules(self.kind, size, name)
                run("nsenter", f"--net=/run/netns/{self.lab[name].namespace}", "nft", "-f", "-",
                    stdin=rules)

    def _apply_ours(self, size):
        for name, peer in (("a", "b"), ("b", "a")):
            host = self.lab[name]
            agent = self.agents.setdefault(name, Agent(host))
            revision = self.agents.setdefault("revision", 0) + 1
            file = self.lab.folder / "program"
            run(TESTS / "programs", "make", revision, ADDRESS[name], ADDRESS[peer], PORT, SERVER,
                CLIENT, size, file)
            agent.install(file)
            if agent.process is None:
                agent.start(flows=False)
            else:
                agent.reload()
            agent.wait_revision(revision, 120)
            file.unlink()
        self.agents["revision"] = revision

    def cpu_us(self):
        total = softirq_us()
        for host in self.lab.hosts.values():
            stat = (host.cgroup / "cpu.stat").read_text()
            total += int(re.search(r"usage_usec (\d+)", stat)[1])
        return total

    def work(self, what, count):
        """Units of work a CPU-second."""
        before = self.cpu_us()
        self.lab["a"].run("taskset", "-c", "0", CLIENT, what, ADDRESS["b"], PORT, count,
                          timeout=600)
        return count / (self.cpu_us() - before) * 1e6


def nft_rules(kind, size, name):
    """The same policy in nftables: 'size' allowed pairs, then the one that the work uses; answers
    by connection tracking.  nftables cannot name the program."""
    peer = ADDRESS["b" if name == "a" else "a"]
    pairs = [(f"11.{i // 100 >> 16 & 255}.{i // 100 >> 8 & 255}.{i // 100 & 255}", 20000 + i % 100)
             for i in range(size)]
    pairs.append((peer, PORT))
    hook, side = ("output", "daddr") if name == "a" else ("input", "saddr")
    head = "add table inet bench\ndelete table inet bench\ntable inet bench {\n"
    chain = (f"chain c {{ type filter hook {hook} priority 0; policy drop;\n"
             "ct state established,related accept\n")
    if kind == "map":
        elements = ",\n".join(f"{a} . {p} : accept" for a, p in pairs)
        return (f"{head}map verdicts {{ type ipv4_addr . inet_service : verdict\n"
                f"elements = {{ {elements} }} }}\n{chain}"
                f"meta l4proto {{ tcp, udp }} ip {side} . th dport vmap @verdicts\n}}\n}}\n")
    rules = "".join(f"ip {side} {a} meta l4proto {{ tcp, udp }} th dport {p} accept\n"
                    for a, p in pairs)
    return f"{head}{chain}{rules}}}\n}}\n"


class Lines:
    """One line a metric, on the screen and for docs/performance.md."""

    def __init__(self):
        self.rows = []

    def add(self, metric, work, ours, peer, peer_name, ratio):
        self.rows.append((metric, work, ours, f"{peer_name} {peer}", ratio))
        print(f"{metric:<4} {work:<46} ours {ours:<12} {peer_name} {peer:<12} ratio {ratio}",
              flush=True)

    def markdown(self):
        text = "| # | work | ours | beside it | ratio |\n|---|---|---|---|---|\n"
        return text + "".join(f"| {' | '.join(row)} |\n" for row in self.rows)


def in_turn(rigs, what, rounds):
    """{rig: median units a CPU-second}, measured A B C A B C after one round for warmth."""
    results = {rig.kind: [] for rig in rigs}
    for n in range(rounds + 1):
        for rig in rigs:
            count = WORK[what]
            if rig.slow:
                count = max(count // 50, 64)
            value = rig.work(what, count)
            if n:
                results[rig.kind].append(value)
    return {kind: statistics.median(values) for kind, values in results.items()}


def metric_1(lines, rigs, size, rounds):
    active = [r for r in rigs.values() if r.kind != "linear" or size <= LINEAR_LIMIT]
    for rig in active:
        rig.slow = rig.kind == "linear" and size > 1000
        rig.set_size(size)
    for what, unit in (("tcp", "new TCP connections/CPU-s"), ("udp", "small UDP packets/CPU-s")):
        medians = in_turn(active, what, rounds)
        for peer in [r.kind for r in active if r.kind != "ours"]:
            lines.add("1", f"{unit}, {size} entries", f"{medians['ours']:,.0f}",
                      f"{medians[peer]:,.0f}", {"none": "no policy", "map": "nft map",
                                                "linear": "nft linear"}[peer],
                      f"{medians['ours'] / medians[peer]:.2f}")


def metric_2(lines, rigs, rounds):
    pair = [rigs["none"], rigs["ours"]]
    medians = in_turn(pair, "bulk", rounds)
    lines.add("2", "established TCP, GB/CPU-s", f"{medians['ours'] / 1e9:.2f}",
              f"{medians['none'] / 1e9:.2f}", "no policy",
              f"{medians['ours'] / medians['none']:.3f}")


def metric_3_user(lines, sizes):
    for skew in ("skewed", "uniform"):
        for size in sizes:
            runs = [json.loads(run(TESTS / "programs", "lookup", size,
                                   max(2_000_000 // max(size // 1000, 1), 20_000), skew).stdout)
                    for _ in range(5)]
            judge = statistics.median(r["judge_ns"] for r in runs)
            read = statistics.median(r["read_ns"] for r in runs)
            lines.add("3", f"verdict in user space, {skew}, {size} entries", f"{judge:.0f} ns",
                      f"{read:.0f} ns", "one random read", f"{judge / read:.1f}")


def hook_stats(pin):
    link = json.loads(run("bpftool", "-j", "link", "show", "pinned", pin).stdout)
    link = link[0] if isinstance(link, list) else link
    prog = json.loads(run("bpftool", "-j", "prog", "show", "id", link["prog_id"]).stdout)
    return prog.get("run_time_ns", 0), prog.get("run_cnt", 0)


def metric_3_kernel(lines, rig, size, first):
    """Mean time of the whole connect hook, by the kernel's own count, over connections to the
    addresses and ports of the entries; the network is cut off, so that nothing else happens."""
    pin = next(p for p in rig.lab["a"].pins.rglob("*connect4*") if p.is_file())
    for skew in ("skewed", "uniform"):
        before = hook_stats(pin)
        rig.lab["a"].run(CLIENT, "lookups", "11.0.0.0", skew, size, 100_000, timeout=120)
        after = hook_stats(pin)
        ns = (after[0] - before[0]) / max(after[1] - before[1], 1)
        base = first.setdefault(skew, ns)
        lines.add("3", f"connect hook in the kernel, {skew}, {size} entries", f"{ns:.0f} ns",
                  f"{base:.0f} ns", "ours at the first size", f"{ns / base:.2f}")


def agent_cpu_us(pids):
    return sum(int(pathlib.Path(f"/proc/{p}/schedstat").read_text().split()[0]) // 1000
               for p in pids)


def rss_kib(pids):
    return sum(int(re.search(r"Pss:\s+(\d+)", pathlib.Path(f"/proc/{p}/smaps_rollup").read_text())[1])
               for p in pids)


def metric_12(lines, rig, idle_s):
    from wall import agent_pids
    import time
    host = rig.lab["a"]
    pids = agent_pids(host)
    lines.add("12", f"agent's memory (Pss), {len(pids)} processes", f"{rss_kib(pids) / 1024:.1f} MiB",
              "16 MiB", "goal", f"{rss_kib(pids) / 1024 / 16:.2f}")
    before = agent_cpu_us(pids)
    time.sleep(idle_s)  # Idleness is what is measured here.
    idle = (agent_cpu_us(pids) - before) / idle_s / 1e4
    lines.add("12", f"agent's CPU, idle, over {idle_s} s", f"{idle:.3f} %", "0.1 %", "goal",
              f"{idle / 0.1:.2f}")
    process = host.popen([CLIENT, "rate", ADDRESS["b"], PORT, 1000], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    before = agent_cpu_us(pids)
    time.sleep(10)
    busy = (agent_cpu_us(pids) - before) / 10 / 1e4
    out, _ = process.communicate()
    done = json.loads(out)["connections"]
    lines.add("12", f"agent's CPU at {done / 10:.0f} connections/s", f"{busy:.2f} %", "1 %", "goal",
              f"{busy:.2f}")


def measure(options, lines):
    rigs = {}
    stats = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    try:
        for kind in KINDS:
            if kind != "linear" or "1" in options.metrics:
                rigs[kind] = Rig(kind)
                rigs[kind].slow = False
        first = {}
        for size in options.sizes:
            if "1" in options.metrics:
                metric_1(lines, rigs, size, options.rounds)
            else:
                rigs["ours"].set_size(size)
            if "3" in options.metrics:
                stats.write_text("1")
                metric_3_kernel(lines, rigs["ours"], size, first)
                stats.write_text("0")
            if size == options.sizes[min(2, len(options.sizes) - 1)]:
                if "2" in options.metrics:
                    metric_2(lines, rigs, options.rounds)
                if "12" in options.metrics:
                    metric_12(lines, rigs["ours"], options.idle)
        if "3" in options.metrics:
            metric_3_user(lines, options.sizes)
    finally:
        stats.write_text("0")
        for rig in rigs.values():
            rig.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="10,1000,10000,100000,1000000",
                        type=lambda s: [int(x) for x in s.split(",")])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--idle", type=int, default=60, help="seconds of idleness for metric 12")
    parser.add_argument("--metrics", default=["1", "2", "3", "4", "5", "6", "7", "9", "10", "11", "12", "16", "edge"], type=lambda s: s.split(","))
    parser.add_argument("--agents", type=int, help="for metrics 7 and 11 (default 1,000)")
    parser.add_argument("--markdown", type=pathlib.Path, help="also write the table there")
    options = parser.parse_args()
    lines = Lines()
    try:
        if set(options.metrics) - {"4", "5", "6", "7", "9", "10", "11", "16", "edge"}:
            check_preconditions()
            measure(options, lines)
        if {"4", "5"} & set(options.metrics):
            northd.measure(lines, options.metrics, min(options.rounds, 3))
        if "edge" in options.metrics:
            check_preconditions()
            edge_rig.measure(lines, [n for n in options.sizes if n <= 100_000], options.rounds)
        agents_rig.measure(lines, min(options.rounds, 3), [m for m in ("7", "11") if m in options.metrics], options.agents)
        if "6" in options.metrics:
            questions.measure(lines, min(options.rounds, 3))
        if "10" in options.metrics:
            history_rig.measure(lines, min(options.rounds, 5))
        if "9" in options.metrics:
            flows.measure(lines, min(options.rounds, 5))
        if "16" in options.metrics:
            web_map.measure(lines, min(options.rounds, 3))
    except (LabError, northd.NorthdError, questions.QuestionsError, web_map.WebMapError,
            history_rig.HistoryError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    if options.markdown:
        commit = run("git", "-C", ROOT, "rev-parse", "--short", "HEAD").stdout.strip()
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
        options.markdown.write_text(f"Measured {now}, commit {commit}, Linux {os.uname().release}, "
                                    f"{options.rounds} rounds.\n\n{lines.markdown()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
