# SPDX-License-Identifier: Apache-2.0
"""Every vector of tests/vectors with real packets through edges: nothing is enforced in the hosts,
and the port of each endpoint that has an enforcer judges in both directions.  What only a host can
tell, or the stream behind the handshake, is the most permissive here: the expected answer is that of
the evaluator over all programs, serving programs, users and functions of the file."""
import functools
import itertools
import json

import pytest
from edge import Edge, compile_programs
from labkit import binary
from labkit.system import run
from test_vectors_kernel import CASES, NEUTRAL, Stage, count_for, known_answers, load


def why_not(vector, case):
    query, answer = case["query"], case["answer"]
    ends = [vector["inventory"]["endpoints"].get(query[k], {}) for k in ("from", "to")]
    if query["protocol"] == "icmp" and query.get("type", "echo") != "echo":
        return "only echo is sent"
    if "modbus" in query:
        return "functions are judged in the stream, which the probe does not speak"
    if answer["verdict"] == "deny" and answer["enforced"] and \
            not any(has_edge(e) for e in ends):
        return "enforced by something other than an edge in the place of a host"
    return None


def has_edge(endpoint):
    return bool({"host", "edge"} & set(endpoint.get("enforcers") or []))


def most_permissive(name, folder):
    """Per case: may it pass for some program, serving program, user and function?"""
    vector = load(name)
    queries = [c["query"] for c in vector["cases"]]
    named = {k: sorted({q[k] for q in queries if q.get(k)})
             for k in ("process", "served_by", "user", "modbus")}
    numbers, asked = [], []
    for n, query in enumerate(queries):
        for process, served_by, user, function in itertools.product(
                [NEUTRAL, *named["process"]], [NEUTRAL, *named["served_by"]],
                ["root", *named["user"]], named["modbus"] or [None]):
            numbers.append(n)
            asked.append({**query, "process": process, "served_by": served_by, "user": user,
                          **({"modbus": function} if function else {})})
    out = run(binary("suimitsu"), "policy", "verdict", folder / f"{name}.policy.json",
              "--inventory", folder / f"{name}.inventory.json", "--now", vector["now"],
              "--queries", "-", stdin="".join(json.dumps(q) + "\n" for q in asked)).stdout
    passes = [False] * len(queries)
    for n, line in zip(numbers, out.splitlines()):
        answer = json.loads(line)
        passes[n] |= answer["verdict"] in ("allow", "would-deny") or not answer["enforced"]
    return passes


class EdgeStage(Stage):
    def _agents(self, name, folder, endpoints):
        self.edge = Edge(self.lab)
        programs = compile_programs(self.lab.folder, folder / f"{name}.policy.json",
                                    folder / f"{name}.inventory.json",
                                    [e for e, data in endpoints.items() if has_edge(data)], 1,
                                    self.vector["now"])
        for endpoint, program in programs.items():
            self.edge.put(self.hosts[endpoint])
            self.edge.load(self.hosts[endpoint], program)


@functools.cache
def measured(name):
    """(results by case number, reason of a skip by case number, expectation) of one file."""
    folder, _ = known_answers(name)
    vector = load(name)
    skips = {n: reason for n, case in enumerate(vector["cases"])
             if (reason := why_not(vector, case))}
    stage = EdgeStage(name, folder)
    try:
        results = stage.measure([n for n in range(len(vector["cases"])) if n not in skips])
    finally:
        stage.edge.down()
        stage.lab.down()
    assert stage.lab.leftovers() == [] and not stage.edge.pins.exists()
    return results, skips, most_permissive(name, folder)


@pytest.mark.parametrize("name, number", CASES, ids=[
    f"{f}-{load(f)['cases'][n]['name'].replace(' ', '_')}" for f, n in CASES])
def test_vector(name, number):
    case = load(name)["cases"][number]
    results, skips, passes = measured(name)
    if number in skips:
        count_for("edge (kernel)", "skipped")
        pytest.skip(skips[number])
    seen = results[number]
    agree = bool(seen) and all((r == "open") == passes[number] for r in seen.values())
    count_for("edge (kernel)", "agree" if agree else "differ")
    assert agree, f"{case['query']}: expected {'to pass' if passes[number] else 'no way'}, saw {seen}"


def test_most_vectors_ran():
    ran = sum(1 for f, n in CASES if n not in measured(f)[1])
    assert ran >= len(CASES) * 3 // 4
