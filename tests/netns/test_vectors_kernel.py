# SPDX-License-Identifier: Apache-2.0
"""Every vector of tests/vectors with real packets: its endpoints are hosts with the vector's
addresses, the agents run what `suimitsu policy compile` made, the query's program is a real program
at that path, its user a real user.  Allowed and would-be-denied traffic must pass; denied traffic
must not, where somebody enforces.  A vector that real packets cannot show is a visible skip."""
import json
import os
import subprocess

import pytest
import table
from ahead import Ahead
from labkit import Lab, World, binary
from labkit.system import ROOT, run
from probing import Running, install_probe
from wall import Agent

VECTORS = ROOT / "tests" / "vectors"
NEUTRAL = "/opt/v/probe"  # A program that no vector names.
WORLD = {"suimitsu-lab": 1,
         "bridges": {"lan": {"v4": "10.66.255.254/16", "v6": "fd66::ffff/64"}}}
LIMIT_MS = 1500


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text())


NAMES = [path.stem for path in sorted(VECTORS.glob("*.json"))]
CASES = [(name, n) for name in NAMES for n in range(len(load(name)["cases"]))]
IDS = [f"{f}-{load(f)['cases'][n]['name'].replace(' ', '_')}" for f, n in CASES]


def why_not(vector, case):
    """Why real packets cannot show this case, whoever enforces; None: they can."""
    query = case["query"]
    if query["protocol"] not in ("tcp", "udp", "icmp"):
        return "a protocol that answers nobody"
    if query["protocol"] == "icmp" and query.get("type", "echo") != "echo":
        return "a type of ICMP other than echo"
    if "modbus" in query:
        return "a protocol function: judged in the stream, which the probe does not speak"
    families = [{":" in a for a in vector["inventory"]["endpoints"].get(
        query[k], {"addresses": [query[k]]})["addresses"]} for k in ("from", "to")]
    if query["from"] not in vector["inventory"]["endpoints"] and \
            any(query["from"] in e["addresses"] for e in vector["inventory"]["endpoints"].values()):
        return None  # Another address of an endpoint.
    return None if families[0] & families[1] else "the ends have no family in common"


def turns_on_function(vector, case):
    """A port of a service that asks for functions, with an edge at one of the ends."""
    query, endpoints = case["query"], vector["inventory"]["endpoints"]
    ports = [p for s in vector["policy"].get("services", {}).values()
             if isinstance(s, dict) and "modbus" in s for p in s["ports"]]
    return f"{query['protocol']}/{query.get('port')}" in ports and \
        any("edge" in endpoints.get(query[k], {}).get("enforcers", []) for k in ("from", "to"))


def known_answers(vector, name):
    """What the vectors' queries would be answered for the neutral program, run by root: the cases
    where that differs turn on a program or user that nobody knows."""
    folder = ROOT / "build" / "vectors"
    folder.mkdir(exist_ok=True)
    for part in ("policy", "inventory"):
        (folder / f"{name}.{part}.json").write_text(json.dumps(vector[part]))
    queries = [{"process": NEUTRAL, "user": "root", "served_by": NEUTRAL, **case["query"]}
               for case in vector["cases"]]
    out = run(binary("suimitsu"), "policy", "verdict", folder / f"{name}.policy.json",
              "--inventory", folder / f"{name}.inventory.json", "--now", vector["now"],
              "--queries", "-", stdin="".join(json.dumps(q) + "\n" for q in queries)).stdout
    return folder, [json.loads(line) for line in out.splitlines()]


class Stage:
    """The hosts of one vector, for these of its cases.  An endpoint's enforcer, of whatever kind,
    is an agent here: what the others check, names and ports, it checks as well."""

    def __init__(self, vector, name, folder, numbers):
        self.vector = vector
        queries = [vector["cases"][n]["query"] for n in numbers]
        asked = {q[k] for q in queries for k in ("from", "to")}
        endpoints = {n: e for n, e in vector["inventory"]["endpoints"].items()
                     if n in asked or asked & set(e["addresses"])}
        self.owner = {a: n for n, e in endpoints.items() for a in e["addresses"]}
        for end in sorted(asked - set(endpoints) - set(self.owner)):
            self.owner[end] = end  # An address outside is a host of its own.
        names = [*endpoints, *(a for a, n in self.owner.items() if a == n)]
        users = sorted({q["user"] for q in queries if q.get("user")})
        hosts = {f"h{n}": {"bridge": "lan", "addresses": endpoints.get(x, {}).get("addresses", [])}
                 for n, x in enumerate(names)}
        world = {**WORLD, "hosts": hosts, "users": {u: {} for u in users}}
        self.lab = Lab(World("vectors", json.dumps(world)), f"sm-e{os.getpid() % 10000}-").up()
        self.hosts = {x: self.lab[f"h{n}"] for n, x in enumerate(names)}
        self.paths = sorted({q[k] for q in queries for k in ("process", "served_by") if q.get(k)})
        try:
            for host in self.hosts.values():
                self._programs(host)
            self._outside()
            self._agents(name, folder, endpoints)
        except BaseException:
            self.lab.down()
            raise

    def down(self):
        self.lab.down()
        assert self.lab.leftovers() == []

    def _programs(self, host):
        """The probe at the neutral path and, bound over the machine's files, at each named one."""
        install_probe(host, NEUTRAL, *(f"/opt/v/{n}" for n in range(len(self.paths))))
        for n, path in enumerate(self.paths):
            host.run("mount", "--bind", f"/opt/v/{n}", path)

    def _outside(self):
        """Each address outside is on the same wire, so that nothing but an enforcer can stop it."""
        for address in (a for a, n in self.owner.items() if a == n):
            v6 = ":" in address
            prefix = f"{address}/{128 if v6 else 32}"
            own = self.hosts[address]
            run("ip", "-n", own.namespace, "addr", "add", prefix, "dev", "eth0",
                *(["nodad"] if v6 else []))
            run("ip", "-n", own.namespace, "route", "add", "fd66::/64" if v6 else "10.66.0.0/16",
                "dev", "eth0", "src", address)
            for host in self.hosts.values():
                if any((a.version == 6) == v6 for a in self.lab.world.addresses(host.name)):
                    run("ip", "-n", host.namespace, "route", "add", prefix, "dev", "eth0")

    def _agents(self, name, folder, endpoints):
        agents = []
        for endpoint, data in endpoints.items():
            if not data.get("enforcers"):
                continue
            agent = Agent(self.hosts[endpoint])
            program = self.lab.folder / f"{agent.host.name}.program"
            run(binary("suimitsu"), "policy", "compile", folder / f"{name}.policy.json",
                "--inventory", folder / f"{name}.inventory.json", "--endpoint", endpoint,
                "--now", self.vector["now"], "--revision", 1, "-o", program)
            agent.install(program)
            agent.start()
            agents.append(agent)
        for agent in agents:
            agent.wait_revision(1)

    # -- packets

    def ways(self, query):
        """(source host, destination host, destination address) for each family that both have."""
        source, target = query["from"], query["to"]
        found = []
        for address in self._addresses(target):
            if any((":" in a) == (":" in address) for a in self._addresses(source)) or \
                    self.owner.get(source, source) == self.owner.get(target, target):
                found.append((self.hosts[self.owner.get(source, source)],
                              self.hosts[self.owner.get(target, target)], address))
        return found

    def _addresses(self, end):
        if end in self.owner:
            return [end]
        return self.vector["inventory"]["endpoints"][end]["addresses"]

    def batches(self, numbers):
        """Cases that can be tried at once: no two want another server on the same port."""
        batch, servers = [], {}
        for n in numbers:
            query = self.vector["cases"][n]["query"]
            if query["protocol"] == "icmp":
                batch.append(n)
                continue
            _, host, _ = self.ways(query)[0]
            key = (host, query["protocol"], query["port"])
            exe = query.get("served_by") or NEUTRAL
            if servers.setdefault(key, exe) != exe:
                yield batch, servers
                batch, servers = [], {key: exe}
            batch.append(n)
        yield batch, servers

    def measure(self, numbers):
        """{case number: {address: result}}"""
        results = {}
        for batch, servers in self.batches(numbers):
            by_program = {}
            for (host, protocol, port), exe in servers.items():
                by_program.setdefault((host, exe), []).append(f"{protocol},{port}")
            running = [Running(host, "serve", ports, exe, options=["-q"])
                       for (host, exe), ports in by_program.items()]
            try:
                self._try(batch, results)
            finally:
                for server in running:
                    server.kill()
        return results

    def _try(self, batch, results):
        groups = {}
        for n in batch:
            query = self.vector["cases"][n]["query"]
            for source, _, address in self.ways(query):
                target = f"icmp,{address}" if query["protocol"] == "icmp" else \
                    f"{query['protocol']},{address},{query['port']}"
                key = (source, query.get("process") or NEUTRAL, query.get("user"))
                groups.setdefault(key, {}).setdefault(target, []).append((n, address))
        running = []
        for (source, exe, user), targets in groups.items():
            running.append((targets, source.popen(
                [exe, "try", "-t", LIMIT_MS, *targets], user=user, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, text=True)))
        for targets, process in running:
            out, _ = process.communicate(timeout=60)
            for line in map(json.loads, out.splitlines()):
                for n, address in targets[line["target"]]:
                    results.setdefault(n, {})[address] = line["result"]


def skips_of(vector, known):
    """Why cases cannot be shown where an agent enforces, by number."""
    skips = {}
    for n, case in enumerate(vector["cases"]):
        reason = why_not(vector, case)
        if not reason and turns_on_function(vector, case):
            reason = "turns on a protocol function, which a host does not see"
        if not reason and known[n].get("verdict") != case["answer"]["verdict"]:
            reason = "turns on a program or user that nobody tells; a real packet has both"
        if reason:
            skips[n] = reason
    return skips


def measure_on(stage_class, vector, name, folder, skips):
    """{case number: {address: result}} of the cases that are not skipped."""
    numbers = [n for n in range(len(vector["cases"])) if n not in skips]
    if not numbers:
        return {}
    stage = stage_class(vector, name, folder, numbers)
    try:
        return stage.measure(numbers)
    finally:
        stage.down()


def measure_exactly(stage_class, name):
    """(results by case number, reason of a skip by case number) of one file."""
    vector = load(name)
    folder, known = known_answers(vector, name)
    skips = skips_of(vector, known)
    return measure_on(stage_class, vector, name, folder, skips), skips


def check_exactly(row, case, results, skips, number):
    """The answer of the vector, and nothing weaker, decides what passes."""
    if number in skips:
        table.count(row, "refused", skips[number])
        pytest.skip(skips[number])
    answer = case["answer"]
    passes = answer["verdict"] in ("allow", "would-deny") or not answer["enforced"]
    seen = results[number]
    agree = bool(seen) and all((r == "open") == passes for r in seen.values())
    table.count(row, "agree" if agree else "differ")
    assert agree, f"{case['query']}: expected {answer}, saw {seen}"


def measure_file(name):
    return measure_exactly(Stage, name)


measured = Ahead(measure_file, NAMES)


@pytest.mark.parametrize("name, number", CASES, ids=IDS)
def test_vector(name, number):
    case = load(name)["cases"][number]
    check_exactly("host (kernel)", case, *measured(name), number)


def test_most_of_the_vectors_ran():
    ran = sum(1 for f, n in CASES if n not in measured(f)[1])
    assert ran >= 300 and ran >= len(CASES) * 3 // 4
