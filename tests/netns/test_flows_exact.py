# SPDX-License-Identifier: Apache-2.0
"""Real connections, counted: as many as were made are answered, through restarts of agents and kills of the
controller; and a flood hides no denial."""
import os
import signal

import pytest
import yaml
from labkit import Control, Lab, World, inventory
from labkit.system import wait_for
from probing import Running, install_probe, try_one
from test_control_lab import RULES, WORLD
from wall import EVIL, GOOD, SERVER, agent_pids, target

ROUNDS, TRIES = 6, 5


class Site:
    """Two hosts with agents, and what was done between them."""

    def __init__(self, lab):
        self.lab, self.control = lab, Control(lab)
        self.a, self.b = lab["a"], lab["b"]
        self.control.start()
        self.control.apply_inventory(yaml.safe_dump(inventory(lab.world)))
        for host in self.control.agent_hosts():
            self.control.enroll(host)
        self.control.wait_enforced()
        self.apply(RULES % "one")

    def apply(self, text):
        path = self.lab.folder / "policy.yaml"
        path.write_text(text)
        self.control.apply(path)

    def edges(self, **query):
        words = "&".join(f"{k}={v}" for k, v in {"from": "a", "to": "b", **query}.items())
        return self.control.api("GET", f"/edges?{words}")

    def count(self, **query):
        return sum(e["count"] for e in self.edges(**query)["edges"])

    def told(self, port):
        """{reporter: how many}"""
        flows = self.control.api("GET", f"/flows?max=1000&port={port}")["flows"]
        return {r: sum(f["count"] for f in flows if f["reporter"] == r) for r in ("a", "b")}

    def report(self):
        """What agents have collected is told now, not at the end of the minute."""
        for name in ("a", "b"):
            self.control.api("POST", f"/enforcers/{name}/control", {"verb": "report"})

    def restart_agent(self, host):
        """In order: what it knows goes to its spool."""
        pid = max(agent_pids(host), key=lambda p: len(children(p)))
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not agent_pids(host), 20, "the agent to be gone")
        self.control.start_agent(host)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return f.read().split()


@pytest.fixture(scope="module")
def site():
    with Lab(World("flows", WORLD), f"sm-f{os.getpid() % 10000}-") as lab:
        for name in ("a", "b"):
            install_probe(lab[name], GOOD, EVIL, SERVER)
        with Running(lab["b"], "serve", ["tcp,7001", "tcp,7002"], SERVER, options=["-q"]):
            yield Site(lab)
    assert lab.leftovers() == []


def test_as_many_connections_as_were_made_are_counted(site):
    """Restarts of the agents in order, kills of the controller, and the spool between them."""
    made = 0
    for round_ in range(ROUNDS):
        if round_ % 2:
            site.lab.stop_program("control", "suimitsud", signal.SIGKILL)
        for _ in range(TRIES):
            assert try_one(site.a, target("tcp", site.b, 7001), GOOD) == "open"
            made += 1
        if round_ in (1, 2):
            site.restart_agent(site.a)
        if round_ == 3:
            site.restart_agent(site.b)
        if not site.control.answers():
            site.control.start()
        site.control.wait_enforced()
    site.report()
    wait_for(lambda: site.told(7001) == {"a": made, "b": made}, 40,
             lambda: f"both ends to tell {made} connections: {site.told(7001)}")
    edge, = site.edges(port=7001)["edges"]
    assert (edge["count"], edge["verdict"], edge["rule"], edge["process"]) == (made, "allow", "by-name", GOOD)
    assert site.edges()["incomplete"] == []
    used = {r["rule"]: r["hits"] for r in site.control.api("GET", "/rules/use")["rules"]}
    assert used["by-name"] == made


def test_what_was_made_a_moment_ago_is_told_when_it_is_asked_for(site):
    """Its minute is not over, and neither is the second in which the enforcing half adds up.  Each time both:
    only the second try is sure to be no first denial or first sight, which go at once."""
    for _ in range(2):
        known = site.count(port=7001)
        assert try_one(site.a, target("tcp", site.b, 7001), GOOD) == "open"
        site.report()
        wait_for(lambda: site.count(port=7001) == known + 1, 10, lambda: f"one more than {known}: {site.edges()}")


def test_a_rule_is_named_though_others_run_and_nobody_else_remembers_it_when_it_is_told(site):
    """Two changes within the second in which the enforcing half adds up, and a controller that was started again."""
    known = site.count(port=7001, rule="by-name")
    assert try_one(site.a, target("tcp", site.b, 7001), GOOD) == "open"
    for why in ("another reason", "test"):
        site.apply((RULES % "one").replace("why: test", f"why: {why}"))
    site.lab.stop_program("control", "suimitsud", signal.SIGKILL)
    site.control.start()
    site.control.wait_enforced()
    site.report()
    wait_for(lambda: site.count(port=7001, rule="by-name") == known + 1, 10, lambda: f"one more than {known}: {site.edges()}")


def test_a_killed_agent_is_said_to_be_interrupted(site):
    for pid in sorted(agent_pids(site.a), reverse=True):  # Else its halves end in order when it is gone.
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not agent_pids(site.a), 10, "the agent to be gone")
    site.control.start_agent(site.a)
    site.control.wait_enforced()
    assert try_one(site.a, target("tcp", site.b, 7001), GOOD) == "open"
    site.report()
    gaps = wait_for(lambda: site.edges()["incomplete"], 20, "the gap to be told")
    assert [(g["stream"], g["interrupted"]) for g in gaps] == [("a", 1)]


def test_a_denial_is_told_at_once_in_a_flood_of_what_is_allowed(site):
    known = site.control.api("GET", "/status")["flows"]
    with Running(site.a, "flood", [target("tcp", site.b, 7001)], GOOD, options=["-e"]):
        assert try_one(site.a, target("tcp", site.b, 7002), GOOD, limit_ms=700) != "open"
        denied = wait_for(lambda: site.control.api(
            "GET", f"/flows?denied&port=7002&after={known}")["flows"], 10, "the denial")
        assert denied[0]["from"] == "a" and denied[0]["verdict"] == "deny"
        site.control.quarantine("a", "alerts go through a flood, too")
        wait_for(lambda: try_one(site.a, target("tcp", site.b, 7001), GOOD, limit_ms=700) != "open", 10,
                 "the quarantine to hold")
        site.control.release("a", "test")
