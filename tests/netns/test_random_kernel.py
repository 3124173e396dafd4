# SPDX-License-Identifier: Apache-2.0
"""Random policies with real packets: hosts with an agent, with an edge before them, with both, with
neither, and two addresses outside.  Whether a packet arrives must be what the evaluator and the
naive one say.  Policies follow each other in one world, so this is about changes, too.

`make check LONG=1` asks a thousand policies, in parts; a failure names the seed of its policy."""
import json
import os
import random

import pytest
import table
from edge import Edge, compile_programs
from labkit import binary
from labkit.system import run
from naive import Naive
from test_vectors_kernel import NEUTRAL, Stage
from wall import Agent

SEED = 20261122
PARTS = 4 if os.environ.get("SUIMITSU_LONG") else 1
POLICIES = 250 if os.environ.get("SUIMITSU_LONG") else 20  # In each part.
PACKETS = 60
NOW = "2026-11-22T12:00:00Z"
ROW = "host + edge, random"
ENFORCERS = {"h1": ["host"], "h2": ["host"], "b1": ["host", "edge"], "b2": ["host", "edge"],
             "e1": ["edge"], "n1": []}
OUTSIDE = ["10.66.7.7", "fd66:0:0:7::7"]
PROGRAMS = [NEUTRAL, "/usr/bin/curl", "/usr/bin/wget"]
PEOPLE = ["root", "alice", "bob", "carol"]
USERS = {"alice": ["ops"], "bob": ["ops", "dev"], "carol": ["dev"]}
GROUPS = ["ax", "ay", "bx", "axby", "some", "all-out", "net"]
SERVICES = ["s1", "s2", "s3", "s4", "tcp/7003"]


def endpoint(r, n, enforcers):
    return {"labels": {"a": r.choice("xy"), "b": r.choice("xy")}, "enforcers": enforcers,
            "addresses": [f"10.66.0.{n + 10}", f"fd66::{n + 10}"],
            "state": r.choice(["white"] * 6 + ["grey", "black"])}


def fields(r, served_by=True):
    made = {}
    for key in ("from", "to"):
        if r.random() < .75:
            made[key] = r.sample(GROUPS, r.choice((1, 1, 2)))
    if r.random() < .75:
        made["service"] = r.sample(SERVICES, r.choice((1, 1, 2)))
    if r.random() < .3:
        made["process"] = r.sample(PROGRAMS[1:], 1)
    if r.random() < .25:
        made["user"] = r.sample(["alice", "@ops", "@dev"], 1)
    if served_by and r.random() < .15:
        made["served-by"] = r.sample(PROGRAMS[1:], 1)
    return made


def rule(r, n):
    layer = r.choice(["quarantine", "never", "allow", "allow", "allow"])
    made = {"id": f"r{r.randrange(9)}-{n}", "why": "w", "owner": "o", **fields(r, layer != "never"),
            "accept-weaker": "some have no agent"}
    if layer == "quarantine":
        keep = r.choice(("from", "to"))
        made[keep] = made.get(keep, ["any"])
        made.pop({"from": "to", "to": "from"}[keep], None)
    if layer == "never" and r.random() < .5:
        made["except"] = fields(r, False) or {"from": ["ax"]}
    if r.random() < .1:
        made["expires"] = r.choice(("2026-11-21", "2026-11-22"))
    return layer, made


def make(seed):
    """A policy and inventory in the form of a vector, without cases."""
    r = random.Random(seed)
    policy = {"suimitsu": 1, "groups": {
        "ax": {"match": {"a": "x"}}, "ay": {"match": {"a": "y"}}, "bx": {"match": {"b": ["x", "z"]}},
        "axby": {"match": {"a": "x", "b": "y"}}, "some": {"members": r.sample(list(ENFORCERS), 2)},
        "all-out": {"outside": True}, "net": {"outside": ["10.66.7.0/24"]}},
        "services": {"s1": ["tcp/7000"], "s2": ["tcp/7000-7004", "udp/7001"], "s3": ["icmp/echo"],
                     "s4": ["udp/7000-7002", "icmp/echo"]},
        "mode": {"default": r.choice(("learn", "enforce", "enforce"))}}
    for group in GROUPS[:5]:
        if r.random() < .3:
            policy["mode"][group] = r.choice(("learn", "test", "enforce"))
    for n in range(r.randrange(3, 10)):
        layer, made = rule(r, n)
        policy.setdefault(layer, []).append(made)
    inventory = {"suimitsu-inventory": 1, "users": {u: {"groups": g} for u, g in USERS.items()},
                 "endpoints": {name: endpoint(r, n, enforcers)
                               for n, (name, enforcers) in enumerate(ENFORCERS.items())}}
    return {"policy": policy, "inventory": inventory, "now": NOW, "seed": seed}


def ask_packets(vector):
    """Random packets; on each port of each host one program serves."""
    r = random.Random(vector["seed"] + 1)
    serving, cases, ends = {}, {}, [*ENFORCERS, *OUTSIDE]
    while len(cases) < PACKETS:
        source, target = r.sample(ends, 2)
        if source in OUTSIDE and target in OUTSIDE:
            continue
        query = {"from": source, "to": target, "protocol": r.choice(("tcp", "tcp", "udp", "icmp")),
                 "process": r.choice(PROGRAMS), "user": r.choice(PEOPLE)}
        if query["protocol"] == "icmp":
            query["type"] = "echo"
        else:
            query["port"] = r.randrange(7000, 7006)
            query["served_by"] = serving.setdefault(
                (target, query["protocol"], query["port"]), r.choice(PROGRAMS))
        cases[json.dumps(query)] = {"query": query}
    vector["cases"] = list(cases.values())


def is_mixed(folder):
    """W-CROSS: a deny that no end can tell alone."""
    done = run(binary("suimitsu"), "policy", "check", folder / "p.json", "--inventory",
               folder / "i.json", "--now", NOW, "-o", "json")
    return "W-CROSS" in {f["code"] for f in json.loads(done.stdout)["findings"]}


def vectors(folder, part):
    """Random ones, as many as asked for, that mix no conditions; written to the folder in turn."""
    seed, n = SEED + 1000000 * part, 0
    while n < POLICIES:
        vector = make(seed)
        seed += 2
        (folder / "p.json").write_text(json.dumps(vector["policy"]))
        (folder / "i.json").write_text(json.dumps(vector["inventory"]))
        if is_mixed(folder):
            continue
        ask_packets(vector)
        n += 1
        yield n, vector


def answers(folder, vector):
    queries = [c["query"] for c in vector["cases"]]
    out = run(binary("suimitsu"), "policy", "verdict", folder / "p.json", "--inventory",
              folder / "i.json", "--now", NOW, "--queries", "-",
              stdin="".join(json.dumps(q) + "\n" for q in queries)).stdout
    found = [json.loads(line) for line in out.splitlines()]
    naive = Naive(vector["policy"], vector["inventory"], NOW)
    for query, answer in zip(queries, found):
        plain = naive.judge(query)
        assert {k: answer[k] for k in plain} == plain, (vector["seed"], query)
    return found


class RandomStage(Stage):
    def _agents(self, name, folder, endpoints):
        self.agents = {e: Agent(self.hosts[e]) for e in ENFORCERS if "host" in ENFORCERS[e]}
        self.edge = Edge(self.lab)
        for e in ENFORCERS:
            if "edge" in ENFORCERS[e]:
                self.edge.put(self.hosts[e])

    def apply(self, revision, folder, vector):
        self.vector = vector
        programs = compile_programs(self.lab.folder, folder / "p.json", folder / "i.json",
                                    [e for e in ENFORCERS if ENFORCERS[e]], revision, NOW)
        for e, agent in self.agents.items():
            agent.install(programs[e])
            if agent.process is None:
                agent.start()
            else:
                agent.reload()
        for e in ENFORCERS:
            if "edge" in ENFORCERS[e]:
                self.edge.load(self.hosts[e], programs[e])
        for agent in self.agents.values():
            agent.wait_revision(revision)


@pytest.fixture
def stage():
    world = make(SEED)
    ends = [*ENFORCERS, *OUTSIDE]
    world["cases"] = [{"query": {"from": e, "to": e, "process": PROGRAMS[i % 3],
                                 "user": PEOPLE[1 + i % 3]}} for i, e in enumerate(ends)]
    stage = RandomStage(world, "random", None, range(len(ends)))
    yield stage
    stage.edge.down()
    stage.down()
    assert not stage.edge.pins.exists()


@pytest.mark.parametrize("part", range(PARTS))
def test_random_packets_pass_where_the_evaluators_say_so(stage, part, tmp_path):
    folder, wrong, passed = tmp_path, [], 0
    for revision, vector in vectors(folder, part):
        expected = answers(folder, vector)
        stage.apply(revision, folder, vector)
        results = stage.measure(range(len(vector["cases"])))
        for n, answer in enumerate(expected):
            passes = answer["verdict"] != "deny" or not answer["enforced"]
            seen = results.get(n, {})
            agree = bool(seen) and all((r == "open") == passes for r in seen.values())
            table.count(ROW, "agree" if agree else "differ")
            passed += passes
            if not agree:
                wrong.append((vector["seed"], vector["cases"][n]["query"], answer, seen))
    assert not wrong, f"{len(wrong)} differ: {wrong[:5]}"
    assert POLICIES * PACKETS / 10 < passed < POLICIES * PACKETS * 9 / 10
