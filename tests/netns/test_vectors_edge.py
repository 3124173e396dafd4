# SPDX-License-Identifier: Apache-2.0
"""Every vector of tests/vectors with real packets through edges: nothing is enforced in the hosts,
and the port of each endpoint that has an enforcer, of whatever kind, judges in both directions.
What only a host can tell, or the stream behind the handshake, is the most permissive here: the
expected answer is that of the evaluator over all programs, serving programs, users and functions of
the file."""
import itertools
import json

import pytest
import table
from ahead import Ahead
from edge import Edge, compile_programs
from labkit import binary
from labkit.system import run
from test_vectors_kernel import (CASES, IDS, NAMES, NEUTRAL, Stage, known_answers, load, measure_on,
                                 why_not)


def named_in(vector, key, field):
    """What questions, rules and their exceptions name."""
    rules = [r for layer in ("quarantine", "never", "allow")
             for r in vector["policy"].get(layer, [])]
    found = [c["query"].get(key) for c in vector["cases"]]
    for fields in rules + [r["except"] for r in rules if "except" in r]:
        value = fields.get(field, [])
        value = value["exe"] if isinstance(value, dict) else value
        found += value if isinstance(value, list) else [value]
    return {x for x in found if x}


def most_permissive(vector, name, folder):
    """Per case: may it pass for some program, serving program, user and function?"""
    queries = [c["query"] for c in vector["cases"]]
    named = {"process": sorted(named_in(vector, "process", "process")),
             "served_by": sorted(named_in(vector, "served_by", "served-by")),
             "user": sorted({u for u in named_in(vector, "user", "user") if u[0] != "@"} |
                            set(vector["inventory"].get("users", {}))),
             "modbus": sorted({q["modbus"] for q in queries if q.get("modbus")})}
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
                                    [e for e, data in endpoints.items() if data.get("enforcers")], 1,
                                    self.vector["now"])
        for endpoint, program in programs.items():
            self.edge.put(self.hosts[endpoint])
            self.edge.load(self.hosts[endpoint], program)

    def down(self):
        self.edge.down()
        super().down()
        assert not self.edge.pins.exists()


def measure_by_packets(stage_class, name):
    """(results by case number, reason of a skip by case number, expectation) of one file."""
    vector = load(name)
    folder, _ = known_answers(vector, name)
    skips = {n: reason for n, case in enumerate(vector["cases"])
             if (reason := why_not(vector, case))}
    return (measure_on(stage_class, vector, name, folder, skips), skips,
            most_permissive(vector, name, folder))


def check_by_packets(row, case, results, skips, passes, number):
    """What only a host can tell, or the stream behind the handshake, is the most permissive."""
    if number in skips:
        table.count(row, "refused", skips[number])
        pytest.skip(skips[number])
    seen = results[number]
    agree = bool(seen) and all((r == "open") == passes[number] for r in seen.values())
    table.count(row, "agree" if agree else "differ")
    assert agree, \
        f"{case['query']}: expected {'to pass' if passes[number] else 'no way'}, saw {seen}"


def measure_file(name):
    return measure_by_packets(EdgeStage, name)


measured = Ahead(measure_file, NAMES)


@pytest.mark.parametrize("name, number", CASES, ids=IDS)
def test_vector(name, number):
    check_by_packets("edge (kernel)", load(name)["cases"][number], *measured(name), number)


def test_most_vectors_ran():
    ran = sum(1 for f, n in CASES if n not in measured(f)[1])
    assert ran >= 300 and ran >= len(CASES) * 3 // 4
