# SPDX-License-Identifier: Apache-2.0
"""Every vector of tests/vectors with real packets through nftables at both ends: each endpoint that
has an enforcer has nft in its place.  As with the edge (test_vectors_edge.py), what only a host
agent can tell is the most permissive here."""
import functools

import pytest
from edge import compile_programs
from nft import Nft
from test_vectors_edge import has_edge, most_permissive, why_not
from test_vectors_kernel import CASES, Stage, count_for, known_answers, load


class NftStage(Stage):
    def _agents(self, name, folder, endpoints):
        programs = compile_programs(self.lab.folder, folder / f"{name}.policy.json",
                                    folder / f"{name}.inventory.json",
                                    [e for e, data in endpoints.items() if has_edge(data)], 1,
                                    self.vector["now"])
        for endpoint, program in programs.items():
            nft = Nft(self.hosts[endpoint])
            nft.load(program)
            nft.end()


@functools.cache
def measured(name):
    """(results by case number, reason of a skip by case number, expectation) of one file."""
    folder, _ = known_answers(name)
    vector = load(name)
    skips = {n: reason for n, case in enumerate(vector["cases"])
             if (reason := why_not(vector, case))}
    stage = NftStage(name, folder)
    try:
        results = stage.measure([n for n in range(len(vector["cases"])) if n not in skips])
    finally:
        stage.lab.down()
    assert stage.lab.leftovers() == []
    return results, skips, most_permissive(name, folder)


@pytest.mark.parametrize("name, number", CASES, ids=[
    f"{f}-{load(f)['cases'][n]['name'].replace(' ', '_')}" for f, n in CASES])
def test_vector(name, number):
    case = load(name)["cases"][number]
    results, skips, passes = measured(name)
    if number in skips:
        count_for("nftables", "skipped")
        pytest.skip(skips[number])
    seen = results[number]
    agree = bool(seen) and all((r == "open") == passes[number] for r in seen.values())
    count_for("nftables", "agree" if agree else "differ")
    assert agree, f"{case['query']}: expected {'to pass' if passes[number] else 'no way'}, saw {seen}"


def test_most_vectors_ran():
    ran = sum(1 for f, n in CASES if n not in measured(f)[1])
    assert ran >= len(CASES) * 3 // 4
