# SPDX-License-Identifier: Apache-2.0
"""A part of an enterprise with real packets: hosts of the lab, real agents, and programs that really connect.

Which endpoints: those between whom troubles happen, then those who talk most, up to a number; the controller is one more
host.  What is sent: of each kind of connection between them (source, destination, service, program, user) at most a few of
the first day, in the order of the schedule, without its pauses.  Each program is a copy of the lab's probe at the path that
the policy names (below /opt/usr instead of /usr, which is the machine's own), run as the user.  Nothing outside is reached:
connections to the outside stay with the records of live.py."""
import collections
import contextlib
import json
import pathlib
import pwd
import re
import subprocess

from labkit.control import Control, binary
from labkit.lab import Lab
from labkit.programs import install
from labkit.reach import PROBE
from labkit.system import LabError, wait_for
from labkit.world import World
from life.days import Days

AT_ONCE = 64     # Programs that run at a time; each makes its connections one after the other.
NEIGHBOURS = 256  # Of a host, at most so many at a time, in both families.
LIMIT_MS = 900   # For an answer: less than a second, or SYN is sent again, and a denial counted twice.
REPEATS = 2      # Of each kind.


def moved(path):
    """Where a program lies in a host: /usr is shared with the machine."""
    return "/opt" + path if path.startswith("/usr/") else path


def kind_of(f):
    return (f.src.name, f.dst.name, f.protocol, f.port, f.program, f.user)


def choose(days, n):
    """n endpoints, and the connections among them, a few of each kind, by time."""
    pairs, troubled, flows = collections.Counter(), [], []
    for h in range(24):
        for f in days.hour(h):
            if f.src and f.dst and f.src.born == f.dst.born == days.world.start:
                flows.append(f)
                pairs[f.src, f.dst] += 1
                if f.truth != "routine" and f.campaign not in ("worm", "slow-scan") and (f.src, f.dst) not in troubled:
                    troubled.append((f.src, f.dst))
    chosen = []
    for src, dst in troubled + [p for p, _ in pairs.most_common()]:
        both = [e for e in (src, dst) if e not in chosen]
        if len(chosen) + len(both) <= n:
            chosen += both
    seen, few = collections.Counter(), []
    for f in flows:
        if f.src in chosen and f.dst in chosen:
            seen[kind_of(f)] += 1
            if seen[kind_of(f)] <= REPEATS:
                few.append(f)
    return chosen, few


def syns_again(ms):
    """How often the kernel may have sent SYN again, on a machine that lets a probe wait so long: after 1, 3, 7 s, and
    from Linux 6.5 on after each of the first seconds (tcp_syn_linear_timeouts)."""
    return int(ms / 1000 + .01)


class Neighbours:
    """Room in the kernel's tables of neighbours, which all namespaces share: 1,024 at first, and beyond that packets are lost."""

    def __init__(self, hosts):
        self.wanted, self.before = hosts * NEIGHBOURS, {}

    def __enter__(self):
        for family in ("ipv4", "ipv6"):
            for n in (3, 2):
                path = pathlib.Path(f"/proc/sys/net/{family}/neigh/default/gc_thresh{n}")
                if int(path.read_text()) < self.wanted:
                    self.before[path] = path.read_text()
                    path.write_text(str(self.wanted))
        return self

    def __exit__(self, *_):
        for path, text in self.before.items():
            path.write_text(text)


class Real:
    """`n` endpoints with their agents; use it with 'with'."""

    def __init__(self, world, n, prefix="sm-"):
        self.enterprise = world
        self.chosen, self.flows = choose(Days(world), n)
        self.unanswered = collections.Counter()  # By record: allowed, and no answer came in time.
        self.repeated = collections.Counter()  # By record: its SYN was sent again, so a denial may be told again.
        self.hosts = {e.name: f"h{i + 1}" for i, e in enumerate(self.chosen)}
        self.lab = Lab(World("life", self._world_text()), prefix)
        self.neighbours = Neighbours(len(self.hosts))

    def _world_text(self):
        sites = sorted({e.site for e in self.chosen} | {"inz"})
        numbers = {e.site: e.places[0][1][0].split(".")[1] for e in self.enterprise.endpoints}
        bridges = {s: {"v4": f"10.{numbers[s]}.255.254/16", "v6": f"fd48:{int(numbers[s]):x}::ffff/64"} for s in sites}
        hosts = {"control": {"bridge": "inz", "labels": {"role": "controller"},
                             "addresses": [f"10.{numbers['inz']}.255.5", f"fd48:{int(numbers['inz']):x}::fff5"]}}
        for e in self.chosen:
            hosts[self.hosts[e.name]] = {"bridge": e.site, "addresses": list(e.place(self.enterprise.start)),
                                         "agent": e.agent}
        there = {p.pw_name for p in pwd.getpwall()}
        users = {f.user: {} for f in self.flows if f.user and f.user not in there}
        return json.dumps({"suimitsu-lab": 1, "bridges": bridges, "hosts": hosts, "users": users})  # JSON is YAML.

    def host(self, endpoint):
        return self.lab[self.hosts[endpoint.name]]

    def policy(self):
        return re.sub(r"process: /usr/", "process: /opt/usr/", self.enterprise.policy())

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.neighbours)
            self.lab.up()
            stack.callback(self.lab.down)
            self._start()
            self.end = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.end.close()

    def _start(self):
        self.control = Control(self.lab)
        self.control.start("--enrolments-per-minute", "1000")
        files = [{"name": f"i{i}.yaml", "text": t} for i, t in enumerate(
            self.enterprise.inventory(self.enterprise.start))]  # The others' agents are away, as it were.
        self._put("/policy", {"files": [{"name": "p.yaml", "text": self.policy()}], "inventory": files})
        self._install()  # Before the agents: they would see a program that comes later only when they look again.
        for e in self.chosen:
            if e.agent:
                self._enrol(e)
        self._serve()
        names = {e.name for e in self.chosen if e.agent}
        wait_for(lambda: {x["name"] for x in self.control.api("GET", "/enforcers")
                          if x["state"] == "ACTIVE" and x["running"] == x["wanted"]} >= names, 60,
                 "all agents to run the policy", .05)

    def _put(self, path, body):
        """The API's PUT; Control.api() knows no headers."""
        from life.live import Socket
        c = Socket(self.control.socket)
        c.request("PUT", "/api/v1" + path, json.dumps(body | {"comment": "life"}),
                  {"Content-Type": "application/json", "If-Match": "*"})
        answer = c.getresponse()
        said = answer.read()
        c.close()
        if answer.status >= 300:
            raise LabError(f"PUT {path}: {answer.status} {said.decode()[:2000]}")

    def _enrol(self, e):
        host = self.host(e)
        token = self.control.cli("token", "create", e.name, "--valid", "10m").stdout
        host.run(binary("suimitsu-agent"), "enroll", "--controller", self.control.address, "--token-file", "-", stdin=token)
        self.control.start_agent(host)

    def _install(self):
        ends = {(f.src.name, moved(f.program or "/opt/probe")) for f in self.flows}
        ends |= {(f.dst.name, moved(f.server or "/opt/serve")) for f in self.flows if f.protocol != "icmp"}
        for name, path in ends:
            install(self.lab[self.hosts[name]], PROBE, path)

    def _serve(self):
        """A program for each service that somebody asks for."""
        wanted = collections.defaultdict(set)
        for f in self.flows:
            if f.protocol != "icmp":
                wanted[f.dst.name, moved(f.server or "/opt/serve")].add(f"{f.protocol},{f.port}")
        # A port that two programs would want has the first.
        taken = set()
        for (name, path), ports in sorted(wanted.items()):
            host = self.lab[self.hosts[name]]
            mine = sorted(p for p in ports if (name, p) not in taken)
            taken |= {(name, p) for p in mine}
            if mine:
                first, _, port = mine[0].partition(",")
                host.start(f"serve-{pathlib.Path(path).name}", [path, "serve", "-q", *mine],
                           ready=lambda h=host, n=int(port), p=first: h.listens(n, p))

    # -- what is sent

    def send(self):
        """Everything, in the order of each source's schedule, some programs at a time; {(truth, expected, result): times}."""
        groups = collections.OrderedDict()
        for f in self.flows:
            groups.setdefault((f.src.name, f.program, f.user), []).append(f)
        results, running = collections.Counter(), collections.deque()

        def end_of(flows, process):
            said, _ = process.communicate(timeout=LIMIT_MS / 1000 * len(flows) + 60)
            for f, line in zip(flows, said.splitlines()):
                line = json.loads(line)
                result = line["result"]
                results[f.truth, f.expect, result] += 1
                for n in range(syns_again(line["ms"]) if f.protocol == "tcp" else 0):
                    self.repeated.update(self._keys(f))
                if result == "timeout" and (f.expect == "allow" or f.expect == "default" and self.enterprise.mode != "enforce"):
                    self.unanswered.update(self._keys(f))
        for (name, program, user), flows in groups.items():
            if len(running) == AT_ONCE:
                end_of(*running.popleft())
            targets = [f"{f.protocol},{f.dst_ip}" + (f",{f.port}" if f.protocol != "icmp" else "") for f in flows]
            running.append((flows, self.lab[self.hosts[name]].popen(
                [moved(program or "/opt/probe"), "try", "-t", LIMIT_MS, *targets], user=None if user == "root" else user or None,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)))
        while running:
            end_of(*running.popleft())
        return results

    def _keys(self, f):
        """The records of a connection: (reporter, from, to, direction, protocol, port, program, user, verdict); programs and
        users of sources."""
        verdict = {"allow": "allow", "never": "deny"}.get(f.expect,
                                                          "deny" if self.enterprise.mode == "enforce" else "would-deny")
        ends = [(e, out) for e, out in ((f.src, True), (f.dst, False)) if e.agent]
        for e, out in ends[:1] if verdict == "deny" else ends:
            yield (e.name, f.src.name, f.dst.name, "out" if out else "in", f.protocol, 8 if f.protocol == "icmp" else f.port,
                   moved(f.program or "/opt/probe") if out else "", (f.user or "root") if out else "", verdict)

    def expected(self):
        return collections.Counter(k for f in self.flows for k in self._keys(f))

    def recorded(self):
        """What the history has about the chosen, in the same words."""
        for e in self.chosen:
            if e.agent:
                self.control.api("POST", f"/enforcers/{e.name}/control", {"verb": "report"})
        folder, names = self.control.host.path("/var/lib/suimitsu/history"), set(self.hosts)
        done = subprocess.run([binary("suimitsu"), "history", "export", folder, "--format", "json"], capture_output=True,
                              text=True, check=True)
        found = collections.Counter()
        for r in map(json.loads, done.stdout.splitlines()):
            if r["from"] in names and r["to"] in names:
                out = r["direction"] == "out"
                found[r["reporter"], r["from"], r["to"], r["direction"], r["protocol"], r["port"],
                      r["process"] if out else "", r["user"] if out else "", r["verdict"]] += r["count"]
        return found

    def differences(self):
        """{record: (expected, found)} where they differ.  What had no answer in time may never have left: it may be missing."""
        expected, found = self.expected(), self.recorded()
        return {k: (expected[k], found[k]) for k in expected.keys() | found.keys()
                if not expected[k] - self.unanswered[k] <= found[k] <= expected[k] + self.repeated[k]}


def main(options):
    """`lab/lab life --real N`."""
    import time

    from life import Enterprise
    began = time.monotonic()
    world = Enterprise(options.seed, options.endpoints, 24, 1793577600, options.mode)
    with Real(world, options.real) as real:
        print(f"{time.monotonic() - began:6.1f} s  {len(real.chosen)} endpoints are up, "
              f"{sum(e.agent for e in real.chosen)} with an agent", flush=True)
        results = real.send()
        print(f"{time.monotonic() - began:6.1f} s  {len(real.flows)} connections were tried", flush=True)
        for (truth, expect, result), n in sorted(results.items()):
            print(f"  {truth:<17} {expect:<8} {result:<12} {n:>6}")
        wrong = real.differences()
        end = time.monotonic() + 75  # A minute has to end before its records are told.
        while wrong and time.monotonic() < end:
            time.sleep(1)
            wrong = real.differences()
        print(f"{time.monotonic() - began:6.1f} s  {len(real.expected())} kinds of records: "
              + ("all as sent" if not wrong else f"{len(wrong)} DIFFER")
              + (f"; {sum(real.unanswered.values())} of those not answered in time" if real.unanswered else ""))
        for k, v in list(wrong.items())[:20]:
            print("   ", k, v)
    return 1 if wrong else 0
