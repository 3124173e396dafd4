# SPDX-License-Identifier: Apache-2.0
"""A machine that is enforced itself and guards others at its ports: neither judges the other's packets."""
import os
import signal

import pytest
from labkit import Lab, World
from probing import Running, install_probe, try_one
from test_edge_agent import ONE, TWO, WORLD, Site
from wall import EVIL, GOOD, SERVER, target


@pytest.fixture(scope="module")
def site():
    with Lab(World("beside", WORLD), f"sm-q{os.getpid() % 10000}-") as lab:
        for name in ("a", "b"):
            install_probe(lab[name], GOOD, EVIL, SERVER)
        with Running(lab["b"], "serve", ["tcp,7001", "tcp,7002"], SERVER, options=["-q"]):
            # Without --edge-only: what is in the agent's own cgroup is its host.
            site = Site(lab, ["host"], options=["--cgroup", lab.net_cgroup])
            try:
                yield site
            finally:
                site.outside.down()
    assert lab.leftovers() == []


def ping(site, source, to):
    return try_one(site.lab[source], target("icmp", site.lab[to]), GOOD, limit_ms=700)


def test_the_guarded_are_judged_by_their_own_policies_alone(site):
    """The machine's own policy allows it nothing but its controller."""
    site.apply(ONE)
    assert site.opens(7001) and not site.opens(7002)
    site.apply(TWO)
    assert site.opens(7002) and not site.opens(7001)
    assert ping(site, "a", "b") != "open"  # No rule for it, at a's own port.


def test_the_neighbours_of_the_guarded_on_the_bridge_are_not_the_machines_business(site):
    """control is no endpoint with an enforcer: what it sends to b meets b's port and nothing before."""
    before = {n: e["running"] for n, e in site.edges().items()}
    assert try_one(site.lab["control"], target("tcp", site.b, 7002), limit_ms=700) != "open"
    assert set(before) == {"a", "b"}


def test_the_machine_itself_is_enforced(site):
    known = {e["name"]: e for e in site.control.api("GET", "/enforcers") if not e.get("edge")}
    assert known["outside"]["state"] == "ACTIVE" and known["outside"]["running"] == known["outside"]["wanted"]


def test_both_hold_when_the_agent_dies_and_comes_back(site):
    site.outside.end(signal.SIGKILL)
    assert site.opens(7002) and not site.opens(7001)
    site.outside.start()
    site.wait_current("a", "b")
    site.apply(ONE)
    assert site.opens(7001) and not site.opens(7002)
