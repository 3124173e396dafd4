# SPDX-License-Identifier: Apache-2.0
"""Every vector of tests/vectors with real packets through nftables at both ends: each endpoint that
has an enforcer has nft in its place.  As with the edge (test_vectors_edge.py), what only a host
agent can tell is the most permissive here."""
import pytest
from ahead import Ahead
from edge import compile_programs
from nft import Nft
from test_vectors_edge import check_by_packets, measure_by_packets
from test_vectors_kernel import CASES, IDS, NAMES, Stage, load


class NftStage(Stage):
    def _agents(self, name, folder, endpoints):
        programs = compile_programs(self.lab.folder, folder / f"{name}.policy.json",
                                    folder / f"{name}.inventory.json",
                                    [e for e, data in endpoints.items() if data.get("enforcers")], 1,
                                    self.vector["now"])
        for endpoint, program in programs.items():
            nft = Nft(self.hosts[endpoint])
            nft.load(program)
            nft.end()


def measure_file(name):
    return measure_by_packets(NftStage, name)


measured = Ahead(measure_file, NAMES)


@pytest.mark.parametrize("name, number", CASES, ids=IDS)
def test_vector(name, number):
    check_by_packets("nftables (kernel)", load(name)["cases"][number], *measured(name), number)


def test_most_vectors_ran():
    ran = sum(1 for f, n in CASES if n not in measured(f)[1])
    assert ran >= 300 and ran >= len(CASES) * 3 // 4
