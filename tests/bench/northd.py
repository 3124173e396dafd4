# SPDX-License-Identifier: Apache-2.0
"""Metrics 4 and 5: a policy compiled whole, and changed in one place, beside OVN's ovn-northd.

Both sides get the same shape: endpoint (port) i is in group i % GROUPS, and each group's rules (ACLs)
let one other group in by one TCP port; OVN has 100 ports a switch, and one drop a group, which for us
is the default.  ovn-northd and its two databases run in a directory of their own, on unix sockets;
what is counted is the CPU time of ovn-northd alone, not that of the databases or the client.

Not the same output: OVN's is logical flows that name address sets, which every hypervisor expands
later; ours is classes, and (counted apart) the tables of all enforcers, with nothing left to expand."""
import json
import pathlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

COMPILE = pathlib.Path(__file__).resolve().parent.parent.parent / "build" / "tests" / "compile"
PROGRAMS = ("ovn-northd", "ovsdb-server", "ovsdb-tool")
SCHEMAS = pathlib.Path("/usr/share/ovn")
BOTH = ((1000, 1000, 100, 1), (3000, 3000, 300, 1), (10_000, 10_000, 1000, 1))
OURS_ALONE = ((100_000, 10_000, 1000, 1), (10_000, 10_000, 1000, 2), (10_000, 10_000, 1000, 5))
GOALS = {(10_000, 1): "0.1", (100_000, 1): "1"}  # CPU-seconds, by endpoints and groups an endpoint.
PORTS_A_SWITCH = 100
TRIES = 3
TIMEOUT_S = 300
CHANGES = {1: 200, 2: 50, 5: 20}  # Of ours, by groups an endpoint.


class NorthdError(Exception):
    """OVN could not be run as the benchmark needs it."""


class Database:
    """A connection to an ovsdb-server (RFC 7047)."""

    def __init__(self, path, name):
        self.name, self.data, self.decoder = name, "", json.JSONDecoder()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        deadline = time.monotonic() + 10
        while True:
            try:
                return self.socket.connect(str(path))
            except OSError as e:
                if time.monotonic() > deadline:
                    raise NorthdError(f"ovsdb-server did not answer at {path}: {e}") from None
                time.sleep(0.02)

    def _send(self, message):
        self.socket.sendall(json.dumps(message).encode())

    def _message(self):
        while True:
            try:
                message, end = self.decoder.raw_decode(self.data)
                self.data = self.data[end:].lstrip()
                return message
            except ValueError:
                parts = [self.data]
                while not parts[-1].endswith("}") or len(parts) == 1:
                    part = self.socket.recv(1 << 20)
                    if not part:
                        raise NorthdError("ovsdb-server closed the connection") from None
                    parts.append(part.decode("ascii"))
                self.data = "".join(parts)

    def transact(self, *operations):
        self._send({"method": "transact", "params": [self.name, *operations], "id": 1})
        while True:
            message = self._message()
            if message.get("method") == "echo":  # "Are you still there?"
                self._send({"result": message["params"], "error": None, "id": message["id"]})
            elif message.get("id") == 1:
                break
        bad = [r for r in message["result"] or [message] if r and r.get("error")]
        if bad:
            raise NorthdError(f"{self.name}: {bad[0]}")
        return message["result"]


def set_of(values):
    return ["set", list(values)]


def ip_of(i):
    return f"10.{i >> 16}.{i >> 8 & 255}.{i & 255}"


def insert(table, uuid_name=None, **row):
    named = {"uuid-name": uuid_name} if uuid_name else {}
    return {"op": "insert", "table": table, "row": row, **named}


def where_name(name):
    return [["name", "==", name]]


def port_of(i):
    return insert("Logical_Switch_Port", f"port{i}", name=f"port{i}",
                  addresses=f"02:00:00:{i >> 16:02x}:{i >> 8 & 255:02x}:{i & 255:02x} {ip_of(i)}")


def acl_of(name, to, source, tcp_port):
    return insert("ACL", name, priority=1000, direction="to-lport", action="allow-related",
                  match=f"outport == @group{to} && ip4.src == $members{source} "
                        f"&& tcp.dst == {tcp_port}")


def policy_of(n_ports, n_acls, n_groups):
    """The operations that make the policy that compile.c makes."""
    operations = []
    for first in range(0, n_ports, PORTS_A_SWITCH):
        mine = range(first, min(n_ports, first + PORTS_A_SWITCH))
        operations += [port_of(i) for i in mine]
        operations.append(insert("Logical_Switch", name=f"switch{first // PORTS_A_SWITCH}",
                                 ports=set_of(["named-uuid", f"port{i}"] for i in mine)))
    acls = {g: [] for g in range(n_groups)}
    for i in range(n_acls):
        to, k = i % n_groups, i // n_groups
        acls[to].append(acl_of(f"acl{i}", to, (to * 7 + k) % n_groups, 1000 + k))
    for g in range(n_groups):
        acls[g].append(insert("ACL", f"drop{g}", priority=1, direction="to-lport", action="drop",
                              match=f"outport == @group{g} && ip"))
        operations += acls[g]
        members = range(g, n_ports, n_groups)
        operations.append(insert("Port_Group", name=f"group{g}",
                                 ports=set_of(["named-uuid", f"port{i}"] for i in members),
                                 acls=set_of(["named-uuid", a["uuid-name"]] for a in acls[g])))
        operations.append(insert("Address_Set", name=f"members{g}",
                                 addresses=set_of(ip_of(i) for i in members)))
    return operations


class Northd:
    """ovn-northd and its two databases, until the end of the "with"."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="suimitsu-northd-"))
        self.processes, self.northd, self.asked = [], None, 0

    def __enter__(self):
        try:
            self.north = self._database("nb", "OVN_Northbound")
            self.south = self._database("sb", "OVN_Southbound")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in reversed(self.processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, *command):
        with open(self.folder / "log", "ab") as log:
            self.processes.append(subprocess.Popen(
                [str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "OVN_RUNDIR": str(self.folder),
                     "OVS_RUNDIR": str(self.folder)}))
        return self.processes[-1]

    def _database(self, short, name):
        file, path = self.folder / f"{short}.db", self.folder / f"{short}.sock"
        subprocess.run(["ovsdb-tool", "create", file, SCHEMAS / f"ovn-{short}.ovsschema"],
                       check=True, capture_output=True)
        self._start("ovsdb-server", f"--remote=punix:{path}",
                    f"--unixctl={self.folder / short}.ctl", file)
        return Database(path, name)

    def _wait(self):
        """Until ovn-northd has written everything that was asked of it."""
        self.north.transact({"op": "wait", "timeout": TIMEOUT_S * 1000, "table": "NB_Global",
                             "where": [], "columns": ["sb_cfg"], "until": "==",
                             "rows": [{"sb_cfg": self.asked}]})

    def cpu_s(self):
        tasks = pathlib.Path(f"/proc/{self.northd.pid}/task").glob("*/schedstat")
        return sum(int(t.read_text().split()[0]) for t in tasks) / 1e9

    def _settle(self):
        """What it still does after its answer is not charged to the next change."""
        before = -1.0
        while self.cpu_s() - before > 0.002:
            before = self.cpu_s()
            time.sleep(0.3)

    def compile(self, size):
        """The policy is there before ovn-northd starts: it compiles it once."""
        self.asked = 1
        self.north.transact(insert("NB_Global", nb_cfg=self.asked), *policy_of(*size))
        self.northd = self._start("ovn-northd", f"--ovnnb-db=unix:{self.folder}/nb.sock",
                                  f"--ovnsb-db=unix:{self.folder}/sb.sock",
                                  f"--unixctl={self.folder}/northd.ctl")
        self._wait()
        return self.cpu_s()

    def peak_mb(self):
        status = pathlib.Path(f"/proc/{self.northd.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024

    def n_flows(self):
        rows = self.south.transact({"op": "select", "table": "Logical_Flow", "where": [],
                                    "columns": ["_uuid"]})[0]["rows"]
        return len(rows)

    def change(self, make):
        """CPU milliseconds, the best of some tries."""
        best = float("inf")
        for n in range(TRIES):
            self._settle()
            self.asked += 1
            before = self.cpu_s()
            self.north.transact(*make(n), {"op": "update", "table": "NB_Global", "where": [],
                                           "row": {"nb_cfg": self.asked}})
            self._wait()
            best = min(best, self.cpu_s() - before)
        return best * 1e3


def one_more_acl(n):
    return (acl_of("new", 1, 3, 50_000 + n),
            {"op": "mutate", "table": "Port_Group", "where": where_name("group1"),
             "mutations": [["acls", "insert", set_of([["named-uuid", "new"]])]]})


def one_more_address(n):
    return ({"op": "mutate", "table": "Address_Set", "where": where_name("members3"),
             "mutations": [["addresses", "insert", set_of([f"10.250.0.{n + 1}"])]]},)


def one_more_port(n):
    i = 0xfb0000 + n
    return (port_of(i),
            {"op": "mutate", "table": "Logical_Switch", "where": where_name("switch0"),
             "mutations": [["ports", "insert", set_of([["named-uuid", f"port{i}"]])]]})


def run_peer(size):
    with Northd() as n:
        return {"full_s": n.compile(size), "peak_mb": n.peak_mb(), "flows": n.n_flows(),
                "rule": n.change(one_more_acl), "address": n.change(one_more_address),
                "member": n.change(one_more_port)}


def run_ours(shape):
    done = subprocess.run([str(COMPILE), *map(str, shape), str(CHANGES[shape[3]])], check=True,
                          capture_output=True, text=True, timeout=TIMEOUT_S)
    result = json.loads(done.stdout)
    for what in ("rule", "member", "address", "trust"):
        if what in result:
            result[f"{what}_max"] = result[what]["max_ms"]
            result[f"{what}_rows"] = result[what]["rows"]
            result[what] = result[what]["median_ms"]
    return result


def medians(runs):
    return {key: statistics.median(r[key] for r in runs) for key in runs[0]}


def missing():
    """Why the peer cannot run here, or None."""
    absent = [p for p in PROGRAMS if not shutil.which(p)]
    return f"no {', '.join(absent)} (package ovn-central)" if absent else None


def label(shape):
    endpoints, rules, groups, overlap = shape
    text = f"{endpoints}/{rules}/{groups}"
    return text if overlap == 1 else f"{text}, {overlap} groups an endpoint"


def add_full(lines, shape, ours, peer):
    at, goal = label(shape), GOALS.get((shape[0], shape[3]))
    whole = ours["classes_s"] + ours["tables_s"]
    work = {"full compile, classes": ours["classes_s"], "full compile, classes and tables": whole}
    for what, cpu in work.items():
        if peer:
            lines.add("4", f"{what}, {at}", f"{cpu:.4f} CPU-s", f"{peer['full_s']:.2f} CPU-s",
                      "ovn-northd", f"{cpu / peer['full_s']:.4f}")
        if goal or not peer:
            lines.add("4", f"{what}, {at}", f"{cpu:.4f} CPU-s", f"{goal or '0.1'} CPU-s", "goal",
                      f"{cpu / float(goal or '0.1'):.2f}")
    peak = ours["peak_kb"] / 1024
    beside = (peer["peak_mb"], "ovn-northd") if peer else (500, "goal")
    lines.add("4", f"peak memory, {at}", f"{peak:.1f} MiB", f"{beside[0]:.0f} MiB", beside[1],
              f"{peak / beside[0]:.3f}")
    if peer:
        lines.add("4", f"output, {at}", f"{ours['entries']:,.0f} entries", f"{peer['flows']:,.0f} flows",
                  "ovn-northd", "not the same")
    else:
        lines.add("4", f"output, {at}", f"{ours['entries']:,.0f} entries",
                  f"{ours['identities']:,.0f}", "identities", "-")


def add_changes(lines, shape, ours, peer):
    at = label(shape)
    for what, beside in (("rule", "one more ACL"), ("address", "one more address"),
                         ("member", "one more port"), ("trust", None)):
        if what not in ours:
            continue
        work = f"one {what} changed ({ours[f'{what}_rows']:,.0f} rows), {at}"
        if peer and beside:
            lines.add("5", work, f"{ours[what]:.4f} CPU-ms", f"{peer[what]:.0f} CPU-ms",
                      f"ovn-northd, {beside}", f"{ours[what] / peer[what]:.6f}")
        else:
            lines.add("5", work, f"{ours[what]:.4f} CPU-ms", "1 CPU-ms", "goal", f"{ours[what]:.4f}")


def measure(lines, metrics, rounds):
    """Metrics "4" and "5", whichever is asked for: A B A B, medians."""
    why_not = missing()
    if why_not:
        print(f"skipped: ovn-northd beside metrics 4 and 5: {why_not}", flush=True)
    for shape in BOTH + OURS_ALONE:
        peers, ours = [], []
        for _ in range(rounds):
            if shape in BOTH and not why_not:
                peers.append(run_peer(shape[:3]))
            ours.append(run_ours(shape))
        result, peer = medians(ours), medians(peers) if peers else None
        if "4" in metrics:
            add_full(lines, shape, result, peer)
        if "5" in metrics:
            add_changes(lines, shape, result, peer)
