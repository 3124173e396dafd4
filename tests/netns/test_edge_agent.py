# SPDX-License-Identifier: Apache-2.0
"""An edge agent with its controller: endpoints without an agent of their own are guarded at the ports
that they hang on, by what the inventory says, through deaths and changes of both."""
import os
import signal

import pytest
import yaml
from edge import Edge, mac_of
from labkit import Control, EdgeAgent, Lab, World, inventory
from labkit.system import NETNS, run, wait_for
from probing import Running, install_probe, try_one
from unconfirmed import while_unconfirmed
from wall import EVIL, GOOD, SERVER, target

# The agent stands where the bridge is, outside of a and b, which know nothing of it.
WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  control: {labels: {role: controller}, bridge: lan, addresses: [10.77.0.9, "fd77::9"]}
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"]}
  b: {labels: {role: server}, bridge: lan, addresses: [10.77.0.2, "fd77::2"]}
"""
RULES = """\
suimitsu: 1
groups:
  clients: {match: {role: client}}
  servers: {match: {role: server}}
services:
  one: [tcp/7001]
  two: [tcp/7002]
allow:
  - {id: by-name, from: clients, to: servers, service: %s, why: test, owner: test}
"""
ONE, TWO = RULES % "one", RULES % "two"


class Site:
    """Controller, two guests, and what stands outside of them."""

    def __init__(self, lab, enforcers=(), **options):
        self.lab, self.control = lab, Control(lab)
        self.a, self.b = lab["a"], lab["b"]
        self.control.start()
        self.outside = EdgeAgent(lab, self.control, "outside", **options)
        self.ledger = inventory(lab.world)
        self.ledger["endpoints"]["outside"] = {"labels": {}, "addresses": ["10.77.0.254"],
                                               "enforcers": list(enforcers)}
        for name in "ab":
            self.ledger["endpoints"][name] |= {
                "enforcers": ["edge"],
                "edge": {"agent": "outside", "port": name, "macs": [mac_of(lab[name])]}}
        self.control.apply_inventory(yaml.safe_dump(self.ledger))
        self.outside.enroll()
        self.outside.start()
        self.wait_current()

    def edges(self):
        return {e["name"]: e for e in self.control.api("GET", "/enforcers") if e.get("edge") == "outside"}

    def wait_current(self, *names):
        def settled():
            known = self.edges()
            return known and all(known[n]["state"] == "ACTIVE" and known[n]["running"] == known[n]["wanted"]
                                 for n in names or ("a", "b"))
        wait_for(settled, 30, "edges to run the wanted revision", 0.02)

    def wait_unconfirmed_over(self):
        wait_for(lambda: not self.control.api("GET", "/status")["confirm_by"], 10, "the controller to end its waiting")
        self.wait_current()

    def apply(self, text):
        path = self.lab.folder / "policy.yaml"
        path.write_text(text)
        self.control.apply(path)

    def opens(self, port, source="a", to="b"):
        return try_one(self.lab[source], target("tcp", self.lab[to], port), GOOD, limit_ms=700) == "open"

    def restart_controller(self):
        if not self.control.answers():
            self.control.start()
        self.wait_current()


@pytest.fixture(scope="module")
def site():
    with Lab(World("edge-agent", WORLD), f"sm-o{os.getpid() % 10000}-") as lab:
        for name in ("a", "b"):
            install_probe(lab[name], GOOD, EVIL, SERVER)
        with Running(lab["b"], "serve", ["tcp,7001", "tcp,7002"], SERVER, options=["-q"]):
            site = Site(lab)
            try:
                yield site
            finally:
                site.outside.down()
    assert lab.leftovers() == []


def test_before_a_first_policy_guests_are_only_watched(site):
    assert site.opens(7001) and site.opens(7002)
    assert {e["interface"] for e in site.outside.status()["edges"].values()} == {"a", "b"}


def test_a_policy_of_names_holds_outside_of_guests_without_an_agent(site):
    site.apply(ONE)
    assert site.opens(7001) and not site.opens(7002)
    denied = wait_for(lambda: [f for f in site.control.api("GET", "/flows?from=a&to=b&denied")["flows"]
                               if f["port"] == 7002 and f["verdict"] == "deny"], 10,
                      "the denial to be reported")
    assert denied[0]["layer"] == "default" and denied[0]["enforced"]


def test_root_inside_the_guest_changes_nothing(site):
    site.apply(ONE)
    mac = mac_of(site.a)
    site.a.run("nft", "flush", "ruleset")
    site.a.run("ip", "link", "set", "eth0", "address", "02:66:66:66:66:66")
    try:
        assert not site.opens(7001)
        counters = site.outside.status()["edges"]["a"]["counters"]
        assert counters["mac_spoof"] > 0, counters
    finally:
        site.a.run("ip", "link", "set", "eth0", "address", mac)
    wait_for(lambda: site.opens(7001), 10, "the guest to be itself again")
    assert not site.opens(7002)


def test_changes_cut_and_open_and_long_sessions_survive(site):
    site.apply(ONE)
    with Running(site.a, "hold", [target("tcp", site.b, 7001)], GOOD) as session:
        site.apply(ONE.replace("why: test", "why: the same"))
        assert session.end()["cut"] == 0
    site.apply(TWO)
    assert site.opens(7002) and not site.opens(7001)


def test_enforcement_stays_when_agent_and_controller_are_killed(site):
    site.apply(ONE)
    site.outside.end(signal.SIGKILL)
    site.lab.stop_program("control", "suimitsud", signal.SIGKILL)
    assert site.opens(7001) and not site.opens(7002)
    site.outside.start()  # Without a controller: what is on disk and in the kernel goes on.
    wait_for(lambda: (site.outside.status() or {}).get("edges"), 20, "the agent to take its ports up")
    assert site.opens(7001) and not site.opens(7002)
    site.restart_controller()
    assert site.opens(7001) and not site.opens(7002)


def test_quarantine_cuts_a_guest_off(site):
    site.apply(ONE)
    site.control.quarantine("a", "beacon")
    try:
        wait_for(lambda: not site.opens(7001), 10, "the suspect to be cut off")
    finally:
        site.control.release("a", "reinstalled")
    site.wait_current()
    wait_for(lambda: site.opens(7001), 10, "the released one to be let in")


def test_an_unconfirmed_policy_is_gone_back_from_at_the_edge(site):
    site.apply(ONE)
    path = site.lab.folder / "policy.yaml"
    path.write_text(TWO)
    seen, seconds = while_unconfirmed(lambda s: site.control.apply(path, confirm_s=s), lambda: site.opens(7002),
                                      site.wait_unconfirmed_over)
    assert seen
    wait_for(lambda: site.opens(7001) and not site.opens(7002), 4 * seconds, "the former policy", 0.1)
    site.wait_unconfirmed_over()


def test_a_guest_that_the_inventory_moves_away_is_let_go(site):
    site.apply(ONE)
    ledger = yaml.safe_load(yaml.safe_dump(site.ledger))
    del ledger["endpoints"]["a"]["edge"]
    site.control.apply_inventory(yaml.safe_dump(ledger))
    wait_for(lambda: list(site.outside.status()["edges"]) == ["b"], 10, "the port to be let go")
    assert not site.opens(7002)  # b's own edge stands.
    site.control.apply_inventory(yaml.safe_dump(site.ledger))
    site.wait_current()
    assert set(site.outside.status()["edges"]) == {"a", "b"}


def test_a_second_agent_on_the_same_ports_is_refused_and_the_first_goes_on(site):
    site.apply(ONE)
    second = EdgeAgent(site.lab, site.control, "outside")
    second.log = site.outside.folder / "second"
    said = site.outside.log.read_bytes()
    second.start()
    try:
        wait_for(lambda: second.log.read_bytes().count(b"another agent runs") > 1, 10, "the second agent to be refused")
    finally:
        second.process.terminate()
        second.process.wait(20)
    assert b"connected" not in second.log.read_bytes()  # The controller would take it for the first.
    assert site.outside.log.read_bytes() == said
    assert site.opens(7001) and not site.opens(7002)
    site.apply(TWO)
    assert site.opens(7002) and not site.opens(7001)


def test_seats_without_an_edge_refuse_and_say_why(site):
    """Another edge stands there: programs are refused, the agent lives, and takes over once it may."""
    site.apply(ONE)
    site.outside.end(signal.SIGKILL)
    with Edge(site.lab, name="other"):
        begin = (site.outside.folder / "log").stat().st_size
        site.outside.start()

        def said():
            return (site.outside.folder / "log").read_bytes()[begin:].decode()
        wait_for(lambda: "another edge (process" in said(), 20, "the edge to be refused")
        site.control.host.path("/opt/two.yaml").write_text(TWO)
        site.control.cli("apply", "/opt/two.yaml")
        wait_for(lambda: "there is no edge on this machine" in said(), 20, "the programs to be refused")
        assert site.outside.status()["edges"]["a"]["attached"] is False
        assert site.opens(7001) and not site.opens(7002)  # What the former agent left goes on.
    site.outside.end()
    site.outside.start()
    site.wait_current()
    assert site.outside.status()["edges"]["a"]["attached"]
    assert site.opens(7002) and not site.opens(7001)


def test_the_inventory_puts_a_port_in_line(site):
    def outside(*words):
        run("nsenter", f"--net={NETNS / site.lab.net}", "ip", *words)

    site.apply(ONE)
    outside("link", "add", "far0", "type", "veth", "peer", "name", "up0")
    outside("link", "set", "dev", "b", "nomaster")
    for name in ("up0", "far0"):
        outside("link", "set", "dev", name, "up")
    outside("link", "set", "dev", "up0", "master", "lan")
    assert not site.opens(7001)
    ledger = yaml.safe_load(yaml.safe_dump(site.ledger))
    ledger["endpoints"]["b"]["edge"] |= {"pair": "far0", "refuse": "reset"}
    site.control.apply_inventory(yaml.safe_dump(ledger))
    try:
        wait_for(lambda: site.outside.status()["edges"]["b"].get("joined"), 10, "the wire to be joined")
        wait_for(lambda: site.opens(7001), 10, "the device to be reached over the wire")
        assert not site.opens(7002)
        shown = site.outside.status()["edges"]["b"]
        assert (shown["pair"], shown["before"]) == ("far0", "closed")
        said = site.control.cli("endpoint", "show", "b").stdout
        assert "port b of outside, in line with far0; fail-closed: without a program nothing passes" in said
        site.outside.end(signal.SIGKILL)  # Pulled: what stands goes on.
        assert site.opens(7001) and not site.opens(7002)
    finally:
        if site.outside.process.poll() is not None:
            site.outside.start()
        site.control.apply_inventory(yaml.safe_dump(site.ledger))
        outside("link", "del", "far0")
        outside("link", "set", "dev", "b", "master", "lan")
    site.wait_current()
    wait_for(lambda: site.opens(7001), 10, "the device to be reached as before")
