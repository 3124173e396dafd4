# SPDX-License-Identifier: Apache-2.0
"""Metrics 7 and 11: a change that reaches all agents, and what many agents cost, beside bare TLS.

The agents are those of lab/swarm: the real protocol in one process.  Beside: tests/bench/push.c, a server of OpenSSL and
epoll alone, to which the same agents turn, with the same certificates; each frame that it pushes is as long as the delta was,
and is answered at once.  Both servers run in turn on the same machine at the same time of day.

  7   from the request (PUT /policy: read, checked, compiled, on the disk) until each agent has acknowledged; the floor from
      the first byte.  Agents check what they get; at the floor they do not look at it.
  11  memory: resident memory with all connected and idle, less that with all enrolled and none connected, by agent.
      Storm: all connections are cut; agents come back by themselves (0.5 to 1.5 s later, then later), until the last is
      there and says hello; CPU time of the server alone.  They come by their tickets, at the floor too (where nobody looks
      at a certificate again); in storms of their own, after all the others, without any: each handshake is a full one."""
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))
from life.live import Daemon, Swarm, file_limit, raise_file_limit  # noqa: E402

CHANGES = 10  # In a round.
SPARE_FILES = 200  # Of a process beside its agents'.
POLICY = """suimitsu: 1
groups: {a: {match: {r: a}}, b: {match: {r: b}}}
allow:
  - {id: r, from: a, to: b, service: tcp/%d, why: w, owner: o}
"""


def inventory(n):
    return ["suimitsu-inventory: 1\nendpoints:\n" + "".join(
        f"  e{i}: {{labels: {{r: {'ab'[i % 2]}}}, addresses: 10.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}, enforcers: host}}\n"
        for i in range(first, min(n, first + 10000))) for first in range(0, n, 10000)]


def cpu_s(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def rss_kb(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


class Floor:
    """The bare server, with a certificate of the controller's own authority."""

    def __init__(self, state):
        self.folder = tempfile.TemporaryDirectory(prefix="sm-push-")
        f = pathlib.Path(self.folder.name)
        (f / "ext").write_text("subjectAltName=DNS:suimitsud\nextendedKeyUsage=serverAuth\n")

        def openssl(*words):
            subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f / "key",
                "-subj", "/CN=suimitsud", "-out", f / "csr")
        openssl("x509", "-req", "-in", f / "csr", "-CA", state / "ca.crt", "-CAkey", state / "ca.key", "-CAserial", f / "srl",
                "-CAcreateserial", "-days", "2", "-extfile", f / "ext", "-out", f / "crt")
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.process = subprocess.Popen([ROOT / "build/tests/push", str(self.port), state / "ca.crt", f / "crt", f / "key"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=raise_file_limit)
        self.rss_kb = json.loads(self.process.stdout.readline())["rss_kb"]

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def hear(self):
        return json.loads(self.process.stdout.readline())

    def end(self):
        self.process.stdin.close()
        self.process.wait(60)
        self.folder.cleanup()


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Rig:
    """One controller and 'n' agents that are enrolled."""

    def __init__(self, folder, n):
        self.n, self.port = n, 1000
        self.daemon = Daemon(folder, "--enrolments-per-minute", "1000000")
        self.swarm = Swarm(self.daemon)
        self.revision = self.daemon.apply(POLICY % self.port, inventory(n))
        for i in range(n):
            self.swarm.say(f"enrol e{i} {self.daemon.token(f'e{i}')}")
        self.swarm.ask("settle 0")
        self.before_kb = rss_kb(self.daemon.process.pid)
        self.swarm.say("connect")
        self.swarm.ask(f"settle {self.revision}")

    def end(self):
        ended = self.swarm.end(), self.daemon.end()
        assert ended == (0, 0), f"agents and suimitsud ended with {ended}"

    def change(self):
        """Milliseconds until each agent had acknowledged; bytes that each was told."""
        self.port += 1
        before = self.swarm.ask("state")
        began = self.swarm.ask("mark")["marked"]
        now = time.monotonic_ns()
        self.revision = self.daemon.apply(POLICY % self.port)
        acks = self.swarm.ask(f"settle {self.revision}")["acks_us"]
        assert len(acks) == self.n and now >= began
        told = self.swarm.ask("state")
        assert told["deltas"] - before["deltas"] == self.n
        return [a / 1000 for a in acks], (told["bytes_in"] - before["bytes_in"]) / self.n

    def come_back(self, full=False):
        """From the floor, or after a cut: seconds until all are back and known to be current, and the controller's CPU time."""
        if full:
            self.swarm.say("forget-tickets")
        resumed = self.swarm.ask("state")["resumed"]
        cpu, began = cpu_s(self.daemon.process.pid), time.monotonic()
        self.swarm.say(f"turn {self.daemon.agents_port} real")
        self.swarm.ask("settle 0")
        while self.daemon.api("GET", "/status")["enforcers"]["current"] < self.n:
            time.sleep(.02)
        took = time.monotonic() - began, cpu_s(self.daemon.process.pid) - cpu
        by_ticket = self.swarm.ask("state")["resumed"] - resumed
        assert by_ticket == 0 if full else by_ticket >= self.n * .99, f"{by_ticket} of {self.n} came by tickets"
        return took


class Bare:
    """The floor, to which the same agents turn."""

    def __init__(self, rig):
        self.rig, self.floor, self.pushes, self.memory_kb = rig, Floor(rig.daemon.folder / "state"), 0, None

    def come(self, full=False):
        """Seconds until all are here, and the server's CPU time."""
        if full:
            self.rig.swarm.say("forget-tickets")
        began = time.monotonic()
        self.floor.say(f"accept {self.rig.n}")
        self.rig.swarm.say(f"turn {self.floor.port} bare")
        self.rig.swarm.ask("settle 0")
        said = self.floor.hear()
        took = time.monotonic() - began
        self.memory_kb = self.memory_kb or (said["rss_kb"] - self.floor.rss_kb) / self.rig.n
        return took, said["cpu_s"]

    def leave(self):
        """Before the agents turn back: the floor forgets them."""
        self.floor.say("drop")
        self.floor.hear()

    def push(self, size):
        self.pushes += 1
        self.rig.swarm.ask("mark")
        self.floor.say(f"push {max(8, round(size))}")
        acks = self.rig.swarm.ask(f"settle {self.pushes}")["acks_us"]
        assert self.floor.hear()["pushed"] == len(acks) == self.rig.n
        return [a / 1000 for a in acks]


def measure(lines, rounds, wanted, agents=None):
    """'wanted': of "7" and "11"; both are measured in the same rounds."""
    if not wanted:
        return
    room = file_limit() - SPARE_FILES
    if (agents or 1000) > room:
        raise SystemExit(f"bench: --agents {agents}: each is an open file, and this machine allows {room} (ulimit -Hn)")
    with tempfile.TemporaryDirectory(prefix="sm-bench-", dir="/dev/shm") as name:
        rig = Rig(Daemon.folder_of(name), agents or 1000)
        bare = Bare(rig)
        try:
            ours_kb = (rss_kb(rig.daemon.process.pid) - rig.before_kb) / rig.n
            done = [round_(rig, bare) for _ in range(rounds + 1)][1:]  # The first is for warmth, and for tickets.
            if "7" in wanted:
                metric_7(lines, rig, done)
            if "11" in wanted:
                metric_11(lines, rig, bare, done, ours_kb)
                full = [storms(rig, bare, True) for _ in range(min(rounds, 3))]
                metric_11_storm(lines, rig, full, "full handshakes")
        finally:
            bare.floor.end()
            rig.end()


def storms(rig, bare, full):
    """To the floor and back, nothing else."""
    there = bare.come(full)
    bare.leave()
    return rig.come_back(full), there


def round_(rig, bare):
    """{what: ours, floor}: changes, a storm to the floor, pushes, a storm back."""
    changes = [rig.change() for _ in range(CHANGES)]
    size = changes[-1][1]
    there = bare.come()
    pushes = [bare.push(size) for _ in range(CHANGES)]
    bare.leave()
    return {"size": size, "acks": ([acks for acks, _ in changes], pushes), "storm": (rig.come_back(), there)}


def metric_7(lines, rig, rounds):
    for name, share in (("median", .5), ("99th of a hundred", .99)):
        a, b = (percentile([percentile(acks, share) for r in rounds for acks in r["acks"][side]], .5) for side in (0, 1))
        lines.add("7", f"change -> acknowledged by {rig.n:,} agents, {name}", f"{a:.1f} ms", f"{b:.1f} ms",
                  f"bare TLS push of {rounds[-1]['size']:.0f} B", f"{a / b:.2f}")


def metric_11(lines, rig, bare, rounds, ours_kb):
    work = f"memory of an agent's connection, {rig.n:,} agents"
    lines.add("11", work, f"{ours_kb:.1f} KiB", f"{bare.memory_kb:.1f} KiB", "bare TLS", f"{ours_kb / bare.memory_kb:.2f}")
    lines.add("11", work, f"{ours_kb:.1f} KiB", "32 KiB", "goal", f"{ours_kb / 32:.2f}")
    metric_11_storm(lines, rig, [r["storm"] for r in rounds], "tickets")


def metric_11_storm(lines, rig, rounds, how):
    """'rounds': of pairs, ours and the floor, of seconds and CPU-seconds."""
    a, b = (percentile([r[side][0] for r in rounds], .5) for side in (0, 1))
    goal, work = 20 * rig.n / 10000, f"storm: {rig.n:,} agents are back, {how}"
    lines.add("11", work, f"{a:.1f} s", f"{b:.1f} s", "bare TLS", f"{a / b:.2f}")
    lines.add("11", work, f"{a:.1f} s", f"{goal:.1f} s", "goal, 20 s for 10,000", f"{a / goal:.2f}")
    a, b = (rig.n / percentile([r[side][1] for r in rounds], .5) for side in (0, 1))
    lines.add("11", f"agents taken back, {how}", f"{a:,.0f}/CPU-s", f"{b:,.0f}/CPU-s", "bare TLS", f"{a / b:.2f}")
