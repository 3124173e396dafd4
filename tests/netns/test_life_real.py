# SPDX-License-Identifier: Apache-2.0
"""A part of a pretend enterprise with real agents and real packets: what was sent is what is recorded."""
import os

import pytest
from labkit.system import wait_for
from life import Enterprise
from life.real import Real, choose
from life.days import Days

LONG = bool(os.environ.get("SUIMITSU_LONG"))


@pytest.mark.parametrize("mode", ["enforce", "test"] if LONG else ["enforce"])
def test_every_connection_that_programs_made_is_in_the_history_with_names_and_verdict(mode):
    world = Enterprise(1, 80, 24, 1793577600, mode)
    with Real(world, 48 if LONG else 9, f"sm-l{os.getpid() % 10000}-") as real:
        results = real.send()
        assert sum(results.values()) == len(real.flows) > 30
        assert {t for t, _, _ in results} >= {"routine", "misconfiguration"}
        for (_, expect, result), n in results.items():  # Who is not allowed gets nowhere.
            passes = expect == "allow" or (expect == "default" and mode == "test")
            assert passes or result != "open", (expect, result, n)
            assert not passes or result in ("open", "timeout"), (expect, result, n)
        wait_for(lambda: not real.differences(), 90,
                 lambda: f"the history to be what was sent: {real.differences()}", .5)
        assert sum(real.unanswered.values()) < .1 * sum(real.expected().values())
        gaps = real.control.api("GET", "/flows")["incomplete"]
        assert gaps == []
    assert real.lab.leftovers() == []


def test_those_between_whom_troubles_happen_are_chosen_first():
    days = Days(Enterprise(1, 80, 24, 1793577600))
    few, flows = choose(days, 9)
    assert len(few) == 9 and {f.truth for f in flows} >= {"routine", "misconfiguration"}
    more, flows = choose(days, 40)
    assert set(few) <= set(more) and {f.truth for f in flows} == {"routine", "misconfiguration", "attack"}
