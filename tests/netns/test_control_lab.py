# SPDX-License-Identifier: Apache-2.0
"""Controller and agents together, over real TLS between hosts: what holds when one of them dies."""
import contextlib
import os
import signal
import time

import pytest
import yaml
from labkit import Control, Lab, LabError, World, binary, inventory
from labkit.system import wait_for
from probing import Running, install_probe, try_one
from unconfirmed import while_unconfirmed
from wall import EVIL, GOOD, GROUPS, SERVER, agent_pids, target

# lan 10.77.0.0/24 fd77::/64:   control .9 --+-- a .1, agent
#                                           +-- b .2, agent
WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  control: {labels: {role: controller}, bridge: lan, addresses: [10.77.0.9, "fd77::9"]}
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"], agent: true}
  b: {labels: {role: server}, bridge: lan, addresses: [10.77.0.2, "fd77::2"], agent: true}
"""
RULES = GROUPS + """
services:
  one: [tcp/7001]
  two: [tcp/7002]
allow:
  - {id: by-name, from: clients, process: {exe: /opt/t/good}, to: servers, service: %s,
     why: test, owner: test}
"""
ONE, TWO = RULES % "one", RULES % "two"


class Site:
    """The world with its controller, and the policies as files."""

    def __init__(self, lab):
        self.lab, self.control = lab, Control(lab)
        self.a, self.b = lab["a"], lab["b"]
        self.control.start()
        self.control.apply_inventory(yaml.safe_dump(inventory(lab.world)))
        for host in self.control.agent_hosts():
            self.control.enroll(host)
        self.control.wait_enforced()

    def apply(self, text, confirm_s=0):
        path = self.lab.folder / "policy.yaml"
        path.write_text(text)
        self.control.apply(path, confirm_s)

    def enforce(self, text):
        """Confirmed at once.  An agent may have rolled back a moment before its controller."""
        self.restart_controller()
        wait_for(lambda: not self.control.api("GET", "/status")["confirm_by"], 10,
                 "the controller to end its waiting")
        self.apply(text)

    def unconfirmed(self, look=lambda: None):
        """ONE stands, then TWO waits for its confirmation: (what look() saw meanwhile, the seconds of the waiting)."""
        def again():
            for host in (self.a, self.b):
                if not agent_pids(host):
                    self.control.start_agent(host)
            self.enforce(ONE)
        self.enforce(ONE)
        return while_unconfirmed(lambda seconds: self.apply(TWO, seconds), look, again)

    def opens(self, port, exe=GOOD):
        return try_one(self.a, target("tcp", self.b, port), exe, limit_ms=700) == "open"

    def holds(self, allowed, denied):
        return self.opens(allowed) and not self.opens(denied) and not self.opens(allowed, EVIL)

    def kill_controller(self):
        self.lab.stop_program("control", "suimitsud", signal.SIGKILL)

    def kill_agents(self):
        for host in (self.a, self.b):
            for pid in agent_pids(host):
                with contextlib.suppress(ProcessLookupError):  # One half ends the other.
                    os.kill(pid, signal.SIGKILL)
            wait_for(lambda h=host: not agent_pids(h), 10, "the agent to be gone")

    def restart_controller(self):
        if not self.control.answers():
            self.control.start()
        self.control.wait_enforced()


@pytest.fixture(scope="module")
def site():
    with Lab(World("site", WORLD), f"sm-s{os.getpid() % 10000}-") as lab:
        for name in ("a", "b"):
            install_probe(lab[name], GOOD, EVIL, SERVER)
        with Running(lab["b"], "serve", ["tcp,7001", "tcp,7002"], SERVER, options=["-q"]):
            yield Site(lab)
    assert lab.leftovers() == []


def test_before_a_first_policy_nothing_is_blocked(site):
    assert site.opens(7001, EVIL) and site.opens(7002, GOOD)


def test_an_applied_policy_is_enforced_at_both_ends(site):
    site.enforce(ONE)
    assert site.holds(7001, 7002)


def test_enforcement_stays_when_the_controller_is_killed(site):
    site.enforce(ONE)
    with Running(site.a, "hold", [target("tcp", site.b, 7001)], GOOD) as session:
        site.kill_controller()
        assert site.holds(7001, 7002)
        assert session.end()["cut"] == 0
    site.restart_controller()
    assert site.holds(7001, 7002)


def test_agents_of_a_restarted_controller_take_changes_again(site):
    site.enforce(ONE)
    site.kill_controller()
    site.restart_controller()
    site.enforce(TWO)
    assert site.holds(7002, 7001)


def test_a_confirmed_policy_stays(site):
    def confirm():
        site.control.wait_enforced()
        site.control.confirm()
    _, seconds = site.unconfirmed(confirm)
    end = time.monotonic() + seconds + 1
    while time.monotonic() < end:
        assert not site.opens(7001)
    assert site.holds(7002, 7001)


def test_an_unconfirmed_policy_rolls_itself_back(site):
    seen, seconds = site.unconfirmed(lambda: site.opens(7002))
    assert seen
    wait_for(lambda: site.holds(7001, 7002), 4 * seconds, "the roll-back", 0.1)


def test_with_a_damaged_policy_and_none_in_the_kernel_all_is_closed_until_the_controller_is_there(site):
    site.enforce(ONE)
    site.kill_controller()
    for pid in agent_pids(site.a):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not agent_pids(site.a), 10, "the agent to be gone")
    stored = site.a.path("/var/lib/suimitsu-agent/program")
    stored.write_bytes(stored.read_bytes()[:-9])
    site.a.run(binary("suimitsu-agent"), "detach", "--instance", site.a.namespace)
    assert site.opens(7001)
    site.control.start_agent(site.a)
    status = [binary("suimitsu-agent"), "status"]
    wait_for(lambda: site.a.run(*status, check=False).returncode == 0, 20, "the agent")
    assert not site.opens(7001) and not site.opens(7002)
    site.restart_controller()
    assert site.holds(7001, 7002)


def test_an_unconfirmed_policy_rolls_back_though_the_controller_is_dead(site):
    def look():
        site.kill_controller()
        return site.holds(7002, 7001)
    seen, seconds = site.unconfirmed(look)
    assert seen
    wait_for(lambda: site.holds(7001, 7002), 4 * seconds, "the roll-back", 0.1)
    site.restart_controller()
    assert site.holds(7001, 7002)


def test_an_agent_killed_before_the_confirmation_rolls_back_when_it_is_there_again(site):
    def kill():
        site.kill_controller()
        site.kill_agents()
    _, seconds = site.unconfirmed(kill)
    assert site.holds(7002, 7001)  # Nobody is there who could roll back.
    for host in (site.a, site.b):
        site.control.start_agent(host)
    wait_for(lambda: site.holds(7001, 7002), 4 * seconds, "the roll-back", 0.1)
    site.restart_controller()
    assert site.holds(7001, 7002)


def test_quarantine_cuts_a_live_session_and_outlives_the_controller(site):
    site.enforce(ONE)
    with Running(site.a, "hold", [target("tcp", site.b, 7001)], GOOD) as session:
        site.control.quarantine("a", "test")
        session.wait_event("cut")
    site.kill_controller()
    assert not site.opens(7001)
    site.restart_controller()
    assert not site.opens(7001)
    site.control.release("a", "test")
    wait_for(lambda: site.holds(7001, 7002), 10, "the release")


def ports_of_agents(site):
    """Of their connections to the controller."""
    said = site.a.run("ss", "-tnH", "state", "established", "dst", "10.77.0.9")
    return {line.split()[2].rsplit(":", 1)[1] for line in said.stdout.splitlines()}


@pytest.mark.skipif(not os.environ.get("SUIMITSU_LONG"), reason="only with LONG=1: takes most of a minute")
def test_an_agent_whose_connection_died_in_silence_is_back_within_a_minute(site):
    site.enforce(ONE)
    [port] = ports_of_agents(site)
    site.a.run("nft", f"""table inet cut {{
        chain in {{ type filter hook input priority -300; tcp dport {port} drop
        }}
        chain out {{ type filter hook output priority -300; tcp sport {port} drop
        }}
    }}""")
    began = time.monotonic()
    wait_for(lambda: ports_of_agents(site) - {port}, 90, "another connection of the agent", 0.1)
    site.control.wait_enforced()
    took = time.monotonic() - began
    site.a.run("nft", "delete", "table", "inet", "cut")
    assert took < 60
    assert site.holds(7001, 7002)


def test_a_token_serves_once(site):
    token = site.control.api("POST", "/tokens", {"kind": "enroll", "endpoint": "a",
                                                 "valid_s": 60})["token"]
    enroll = [binary("suimitsu-agent"), "enroll", "--controller", site.control.address,
              "--state-dir", "/opt/again", "--token-file", "-"]
    site.a.run(*enroll, stdin=token)
    with pytest.raises(LabError, match="exit code"):
        site.a.run(*enroll, stdin=token)
