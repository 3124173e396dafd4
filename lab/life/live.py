# SPDX-License-Identifier: Apache-2.0
"""A controller and thousands of simulated agents live through an enterprise's days in virtual time.

The real suimitsud, the real protocol (lab/swarm), the real store.  The daemon's clock is libfaketime's; it stands, and is set from
instant to instant, so that inventories come into force when they did, and names are those of then.  docs/life.md tells how to use it."""
import calendar
import email.utils
import gzip
import http.client
import json
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import time

from life.days import HEADER, row
from labkit.control import binary
from labkit.system import ROOT, LabError, wait_for

PACK_FROM = 4 << 20  # Bytes of a body: more goes packed.
TOKENS = 500         # At once; the daemon keeps 10,000.
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


def raise_file_limit():
    """Each agent is a file; root may have more than it was given."""
    for limit in (1 << 17, resource.getrlimit(resource.RLIMIT_NOFILE)[1]):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return
        except (ValueError, PermissionError):
            continue


def file_limit():
    """What raise_file_limit() gets."""
    raise_file_limit()
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def peak_mb(process):
    """What it took of memory, at most."""
    return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{process.pid}/status").read_text())[1]) >> 10


class Socket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("suimitsud", timeout=600)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """suimitsud on loopback, with files below 'folder'; 'clock': Unix seconds that it shall begin at (None: real time)."""

    def __init__(self, folder, *options, clock=None):
        self.folder, self.clock, self.connection = pathlib.Path(folder), self.folder_of(folder) / "clock", None
        environment = dict(os.environ)
        if clock is not None:
            if not os.path.exists(FAKETIME):
                raise LabError(f"{FAKETIME} is not there; `make deps` installs it (package faketime)")
            self._stop_clock(clock)
            environment |= {"LD_PRELOAD": FAKETIME, "TZ": "UTC", "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                            "FAKETIME_CACHE_DURATION": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        self.log = open(self.folder / "suimitsud.log", "ab+")
        self.process = subprocess.Popen(
            [binary("suimitsud"), "--user", "nobody", "--state-dir", self.folder / "state", "--run-dir", self.folder / "run",
             "--listen-agents", "127.0.0.1:0", "--listen-api", "127.0.0.1:0", "--web-dir", ROOT / "web/dist", *options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment, preexec_fn=raise_file_limit)
        wait_for(self._is_ready, 60, "suimitsud to be ready", .02)

    @staticmethod
    def folder_of(folder):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # The daemon becomes nobody.
        return folder

    def _is_ready(self):
        said = (self.folder / "suimitsud.log").read_text(errors="replace")
        if self.process.poll() is not None:
            raise LabError(f"suimitsud ended: {said[-1500:]}")
        m = re.search(r"ready: agents at \S+:(\d+), API at \S+:(\d+) ", said)
        if m:
            self.agents_port, self.api_port = int(m[1]), int(m[2])
        return m

    def _stop_clock(self, clock):
        """It stands at this instant until another is set; timers go by the monotonic clock, which is real."""
        new = self.clock.with_suffix(".new")
        new.write_text(time.strftime("%Y-%m-%d %H:%M:%S\n", time.gmtime(clock)))
        new.chmod(0o644)
        new.rename(self.clock)

    def set_clock(self, clock):
        """Returns when the daemon's own clock says so."""
        def says_so():
            self.api("GET", "/status")
            return self.told_at == clock
        self._stop_clock(clock)
        wait_for(says_so, 60, f"the daemon's clock to be {clock}", .05)

    def api(self, method, path, body=None, headers=None):
        data = json.dumps(body).encode() if body is not None else None
        packed = data and len(data) > PACK_FROM
        headers = {"Content-Type": "application/json", **({"Content-Encoding": "gzip"} if packed else {}), **(headers or {})}
        data = gzip.compress(data, 3) if packed else data
        for attempt in (1, 2):
            try:
                self.connection = self.connection or Socket(self.folder / "run/api.sock")
                self.connection.request(method, f"/api/v1{path}", data, headers)
                response = self.connection.getresponse()
                said = response.read()
                self.told_at = calendar.timegm(email.utils.parsedate(response.headers["Date"]))
                break
            except (http.client.HTTPException, OSError):
                self.connection = None  # It closes what is kept open for long.
                if attempt == 2:
                    raise
        if response.status >= 300:
            raise LabError(f"{method} {path}: {response.status} {said.decode(errors='replace')[:2000]}")
        return json.loads(said) if said else None

    def apply(self, policy=None, inventory=None):
        """The revision in force afterwards."""
        def files(texts, name):
            return [{"name": f"{name}-{i}.yaml", "text": t} for i, t in enumerate(texts)]
        body = {"comment": "life"}
        if policy is not None:
            body["files"] = files([policy], "policy")
            if inventory is not None:
                body["inventory"] = files(inventory, "inventory")
            return self.api("PUT", "/policy", body, {"If-Match": "*"})["revision"]
        return self.api("PUT", "/inventory", body | {"files": files(inventory, "inventory")}, {"If-Match": "*"})["revision"]

    def token(self, endpoint):
        return self.api("POST", "/tokens", {"kind": "enroll", "endpoint": endpoint})["token"]

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(120)
        for name in ("faketime_shm", "sem.faketime_sem"):  # libfaketime's own, which the unprivileged daemon cannot remove.
            pathlib.Path(f"/dev/shm/{name}_{self.process.pid}").unlink(missing_ok=True)
        self.log.close()
        return self.process.returncode


class Swarm:
    """lab/swarm/swarm.h tells the commands."""

    def __init__(self, daemon):
        self.process = subprocess.Popen(
            [ROOT / "build/lab/swarm/agents", "127.0.0.1", str(daemon.agents_port), daemon.folder / "state/ca.crt"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1 << 20)

    def say(self, line):
        try:
            self.process.stdin.write(line + "\n")
        except BrokenPipeError:
            self._died()

    def ask(self, line):
        self.say(line)
        try:
            self.process.stdin.flush()
        except BrokenPipeError:
            self._died()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else self._died()

    def _died(self):
        raise LabError(f"the agents ended: {self.process.stderr.read()[-1000:]}")

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(60)
        return self.process.returncode


def line(f):
    """A connection as the agents are told of it: without its truth."""
    def word(x):
        return str(x) if x not in (None, "") else "-"
    port = 8 if f.protocol == "icmp" else f.port  # Echo.
    return " ".join(("flow", f.src.name if f.src else "-", f.dst.name if f.dst else "-", f.src_ip, f.dst_ip, f.protocol,
                     str(port), word(f.program), word(f.user), word(f.server), str(f.count), str(f.time_ms),
                     str(f.lasting_ms), str(f.bytes_out), str(f.bytes_in)))


class Life:
    """An enterprise's days, lived.  'agents': at most so many have one (None: all that should)."""

    def __init__(self, days, folder, agents=None, say=lambda text: None):
        self.days, self.world, self.folder = days, days.world, pathlib.Path(folder)
        self.most, self.say, self.known, self.told = agents, say, set(), 0
        self.expected = {}  # What the history has to hold, by everything that a record tells but time and bytes.
        self.truth = {}     # truth: [lines, connections, lines that an agent saw]
        self.allowed = 0    # Connections that the policy allows and an agent saw.
        self.began = time.monotonic()
        self.daemon = Daemon(folder, "--enrolments-per-minute", "1000000", "--history-max-age", "0",
                             "--history-max-rate", "0", clock=self.world.start - 60)
        self.swarm = Swarm(self.daemon)

    def end(self):
        ended = self.swarm.end(), self.daemon.end()
        return ended

    def step(self, text):
        self.say(f"{time.monotonic() - self.began:7.1f} s  {text}")

    # -- who has an agent

    def with_agent(self, at):
        """The names, servers first."""
        names = [e.name for e in sorted(self.world.endpoints, key=lambda e: e.role in ("pc", "pos"))
                 if e.agent and e.lives(at)]
        return names if self.most is None else names[:self.most]

    def _people(self, at):
        """Brings inventory and agents to what they are from an instant on."""
        names = self.with_agent(at)
        wanted = set(names)
        for name in self.known - wanted:
            self.swarm.say(f"forget {name}")
        self.swarm.ask("state")  # They are gone.
        texts = self.world.inventory(at, wanted if self.most is not None else None)
        if at == self.world.start:
            revision = self.daemon.apply(self.world.policy(self.most is None), texts)
        else:
            revision = self.daemon.apply(inventory=texts)
        new = [name for name in names if name not in self.known]
        for i, name in enumerate(new):
            self.swarm.say(f"enrol {name} {self.daemon.token(name)}")
            if i % TOKENS == TOKENS - 1:
                self.swarm.ask("settle 0")
        self.swarm.ask("settle 0")  # Before all want their programs.
        if len(new) >= TOKENS:
            self.step(f"{len(new)} agents are enrolled")
        self.known = wanted
        self.swarm.say("connect")
        settled = self.swarm.ask(f"settle {revision}")["settled"]
        self.step(f"{time.strftime('%a %d %H:%M', time.gmtime(at))}  revision {revision}, {settled} agents run it")

    # -- what they do

    def _expect(self, f):
        """The records that both ends will tell of it."""
        mode = self.world.mode
        word = {"allow": "allow", "never": "deny"}.get(f.expect, "deny" if mode == "enforce" else "would-deny")
        ends = [(e, out) for e, out in ((f.src, True), (f.dst, False)) if e and e.name in self.known]
        ends = ends[:1] if word == "deny" else ends  # The first end that sees it ends it.
        seen = self.truth.setdefault(f.truth, [0, 0, 0])
        seen[0] += 1
        seen[1] += f.count
        seen[2] += bool(ends)
        self.allowed += f.count if ends and word == "allow" else 0
        for e, out in ends:
            key = (e.name, f.src.name if f.src else "", f.dst.name if f.dst else "", "out" if out else "in", f.protocol,
                   8 if f.protocol == "icmp" else f.port, f.program if out else f.server, f.user if out else "", word)
            self.expected[key] = self.expected.get(key, 0) + f.count

    def _hours(self, truth, begin, end):
        """The hours of an interval that one inventory stood."""
        for n in range((begin - self.world.start) // 3600, (end - self.world.start) // 3600):
            for f in self.days.hour(n):
                truth.write(row(f))
                self._expect(f)
                self.swarm.say(line(f))
                self.told += 1

    def live(self):
        """Everything, from the first instant to the last; the truth goes to truth.csv of the folder."""
        marks = [self.world.start, *self.world.changes, self.world.end]
        with open(self.folder / "truth.csv", "w") as truth:
            truth.write(HEADER)
            for begin, end in zip(marks, marks[1:]):
                self.daemon.set_clock(begin)
                self._people(begin)
                self.daemon.set_clock(end - 1)
                self._hours(truth, begin, end)
                said = self.swarm.ask("flush")
                self.step(f"{time.strftime('%a %d %H:%M', time.gmtime(end))}  {self.told} connections lived, "
                          f"{said['flushed']} records told and on the disk, {said['denied']} denied")
        return self

    # -- and what became of it

    def recorded(self):
        """What the history holds, in the words of 'expected'."""
        done = subprocess.Popen([binary("suimitsu"), "history", "export", self.folder / "state/history", "--format", "json"],
                                stdout=subprocess.PIPE, text=True)
        found = {}
        for text in done.stdout:
            r = json.loads(text)
            key = (r["reporter"], r["from"], r["to"], r["direction"], r["protocol"], r["port"], r["process"], r["user"],
                   r["verdict"])
            found[key] = found.get(key, 0) + r["count"]
        if done.wait():
            raise LabError("history export failed")
        return found

    def differences(self):
        """Keys whose counts differ: {key: (expected, found)}.  Empty: the history is what was lived."""
        found = self.recorded()
        return {k: (self.expected.get(k, 0), found.get(k, 0)) for k in self.expected.keys() | found.keys()
                if self.expected.get(k, 0) != found.get(k, 0)}

    def summary(self):
        state = self.daemon.api("GET", "/status")
        agents = self.swarm.ask("state")
        lines = [f"{len(self.world.endpoints)} endpoints ever, {state['endpoints']} at the end; "
                 f"{agents['members']} agents, {agents['snapshots']} snapshots, {agents['deltas']} deltas"]
        lines.append(f"memory at most: suimitsud {peak_mb(self.daemon.process)} MiB, "
                     f"all agents {peak_mb(self.swarm.process)} MiB")
        for truth, (n, connections, seen) in sorted(self.truth.items()):
            lines.append(f"  {truth:<17} {n:>9} lines {connections:>10} connections, {seen} seen by an agent")
        h = state["history"]
        lines.append(f"history: {h['records']} records, {h['bytes'] / max(1, h['records']):.1f} bytes each, from {h['oldest']} "
                     f"to {h['newest']}; lost {h['lost_records']}, twice {h['duplicates']}")
        wrong = self.differences()
        lines.append(f"counts by name, program, user and verdict: {len(self.expected)} kinds, "
                     + ("all as lived" if not wrong else f"{len(wrong)} DIFFER, such as "
                        + "; ".join(f"{k}: {v}" for k, v in list(wrong.items())[:3])))
        return lines, wrong


def main(options):
    """`lab/lab life`."""
    import tempfile

    from life import Days, Enterprise
    hours = options.hours or options.days * 24
    if options.start:
        start = calendar.timegm(time.strptime(options.start, "%Y-%m-%d"))
    else:
        start = (int(time.time()) // 86400 - (hours + 23) // 24) * 86400
    days = Days(Enterprise(options.seed, options.endpoints, hours, start, options.mode), options.intensity)
    folder = pathlib.Path(options.keep or tempfile.mkdtemp(prefix="sm-life-", dir="/dev/shm"))
    life = Life(days, Daemon.folder_of(folder), options.agents, lambda text: print(text, flush=True))
    try:
        lines, wrong = life.live().summary()
        print("\n".join(lines))
    finally:
        ended = life.end()
        if not options.keep:
            subprocess.run(["rm", "-rf", str(folder)], check=False)
    if options.keep:
        print(f"kept: {folder}/truth.csv, and {folder}/state for suimitsud --state-dir")
    if ended != (0, 0):
        print(f"agents and suimitsud ended with {ended}", file=sys.stderr)
    return 1 if wrong or ended != (0, 0) else 0
