# SPDX-License-Identifier: Apache-2.0
"""Every vector of tests/vectors with real packets where an agent and an edge stand at each endpoint
that has an enforcer: together they say exactly what the evaluator says, and neither stops what it
allows."""
import pytest
from ahead import Ahead
from test_vectors_edge import EdgeStage
from test_vectors_kernel import CASES, IDS, NAMES, Stage, check_exactly, load, measure_exactly


class BothStage(EdgeStage):
    def _agents(self, name, folder, endpoints):
        EdgeStage._agents(self, name, folder, endpoints)
        Stage._agents(self, name, folder, endpoints)


def measure_file(name):
    return measure_exactly(BothStage, name)


measured = Ahead(measure_file, NAMES)


@pytest.mark.parametrize("name, number", CASES, ids=IDS)
def test_vector(name, number):
    check_exactly("host + edge (kernel)", load(name)["cases"][number], *measured(name), number)
