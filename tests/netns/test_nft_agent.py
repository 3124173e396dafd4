# SPDX-License-Identifier: Apache-2.0
"""The agent with nftables (`suimitsu-agent run --enforcer nft`) and its controller: a machine where eBPF
cannot go, between others, through changes, deaths, a boot and edits by hand."""
import calendar
import contextlib
import json
import os
import signal
import time

import pytest
import yaml
from labkit import Control, Lab, LabError, World, binary, inventory
from labkit.system import BPFFS, NETNS, run, wait_for
from probing import Running, install_probe, try_one
from unconfirmed import while_unconfirmed
from wall import GOOD, GROUPS, OTHER, SERVER, agent_pids, compile_policy, target

# lan 10.77.0.0/24 fd77::/64:   control .9 --+-- a .1, agent with nftables
#                                           +-- b .2, server    c .3, other; without an agent
WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  control: {labels: {role: controller}, bridge: lan, addresses: [10.77.0.9, "fd77::9"]}
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"], agent: true}
  b: {labels: {role: server}, bridge: lan, addresses: [10.77.0.2, "fd77::2"]}
  c: {labels: {role: other}, bridge: lan, addresses: [10.77.0.3, "fd77::3"]}
"""
RULES = GROUPS + """
services:
  one: [tcp/7001]
  two: [tcp/7002]
allow:
  - {id: by-name, from: clients, to: servers, service: %s, why: test, owner: test}
  - {id: way-in, from: others, to: clients, service: two, why: test, owner: test}
"""
ONE, TWO = RULES % "one", RULES % "two"
BY_PROGRAM = ONE.replace("{id: by-name,", "{id: by-name, process: {exe: /opt/t/good},")


class Site:
    def __init__(self, lab):
        self.lab, self.control = lab, Control(lab)
        self.a, self.b, self.c = (lab[x] for x in "abc")
        self.control.start()
        self.ledger = inventory(lab.world)
        self.say_enforcers("nft")
        token = self.control.cli("token", "create", "a", "--valid", "10m").stdout
        self.a.run(binary("suimitsu-agent"), "enroll", "--controller", self.control.address,
                   "--token-file", "-", stdin=token)
        self.start()
        self.control.wait_enforced()

    def say_enforcers(self, *names):
        self.ledger["endpoints"]["a"]["enforcers"] = list(names)
        self.control.apply_inventory(yaml.safe_dump(self.ledger))

    def start(self):
        self.a.start("agent", [
            binary("suimitsu-agent"), "run", "--enforcer", "nft", "--instance", self.a.namespace,
            "--controller", self.control.address, "--flows", "/var/log/flows.json"])

    def kill(self, sign=signal.SIGKILL):
        for pid in agent_pids(self.a):
            with contextlib.suppress(ProcessLookupError):  # One half ends the other.
                os.kill(pid, sign)
        wait_for(lambda: not agent_pids(self.a), 10, "the agent to be gone")

    def apply(self, text):
        path = self.lab.folder / "policy.yaml"
        path.write_text(text)
        self.control.apply(path)

    def opens(self, port, host=None, source=None, version=4):
        return try_one(source or self.a, target("tcp", host or self.b, port, version), GOOD,
                       limit_ms=700) == "open"

    def holds(self, allowed, denied):
        """Towards the server, and from the other one only by the way in."""
        return (all(self.opens(allowed, version=v) and not self.opens(denied, version=v)
                    for v in (4, 6))
                and self.opens(7002, self.a, self.c) and not self.opens(7001, self.a, self.c)
                and not self.opens(7001, self.c))

    def nft(self, *words, stdin=None):
        """Somebody else's nft in the same host."""
        return run("nsenter", f"--net={NETNS / self.a.namespace}", "nft", *words, stdin=stdin).stdout

    def enforcer(self):
        return self.control.enforcers()["a"]

    def status(self):
        done = self.a.run(binary("suimitsu-agent"), "status", "-o", "json", check=False)
        return yaml.safe_load(done.stdout) if done.returncode == 0 else {}

    def settle(self):
        """An agent that runs, and the policy ONE."""
        if not agent_pids(self.a):
            self.start()
        self.control.wait_enforced()
        self.apply(ONE)


@pytest.fixture(scope="module")
def site():
    with Lab(World("nft-agent", WORLD), f"sm-nf{os.getpid() % 10000}-") as lab:
        for name in "abc":
            install_probe(lab[name], GOOD, SERVER, OTHER)
        ports = ["tcp,7001", "tcp,7002"]
        with Running(lab["a"], "serve", ports, OTHER, options=["-q"]), \
                Running(lab["b"], "serve", ports, SERVER, options=["-q"]), \
                Running(lab["c"], "serve", ports, SERVER, options=["-q"]):
            yield Site(lab)
    assert lab.leftovers() == []


def test_before_a_first_policy_nothing_is_blocked_and_the_table_stands(site):
    assert site.opens(7001) and site.opens(7002) and site.opens(7001, site.a, site.c)
    assert "would deny" in site.nft("list", "table", "inet", "suimitsu")
    assert site.enforcer()["features"] == ["nft"]


def test_an_applied_policy_holds_both_ways_and_a_change_replaces_it(site):
    site.apply(ONE)
    assert site.holds(7001, 7002)
    site.apply(TWO)
    assert site.holds(7002, 7001)
    status = site.status()
    assert status["enforcer"] == "nft" and status["revision"] == site.enforcer()["running"]
    assert status["hooks"] == {"nft table inet suimitsu": True}
    shown = site.a.run(binary("suimitsu-agent"), "status").stdout
    assert "nft" in shown and "enforce" in shown


def test_real_programs_connect_where_they_may(site):
    site.settle()
    connect = ["/usr/bin/python3", "-c", "import socket, sys; socket.create_connection"
               "((sys.argv[1], int(sys.argv[2])), 1)", site.b.address()]
    assert site.a.run(*connect, 7001, check=False).returncode == 0
    assert site.a.run(*connect, 7002, check=False).returncode != 0


def test_living_connections_are_cut_by_a_change_and_allowed_ones_stay(site):
    site.settle()
    with Running(site.a, "hold", [target("tcp", site.b, 7001)], GOOD, options=["-i", "10"]) as lost, \
            Running(site.c, "hold", [target("tcp", site.a, 7002)], GOOD, options=["-i", "10"]) as kept:
        site.apply(TWO)
        lost.wait_event("cut", 20)
        end = kept.end()
    assert end["cut"] == 0 and end["exchanges"] > 0, end


def test_quarantine_holds_at_once_and_release_opens_again(site):
    site.settle()
    site.control.quarantine("a", "beacon")
    try:
        wait_for(lambda: not site.opens(7001), 5, "the quarantine", 0.05)
        assert not site.opens(7002, site.a, site.c)
        wait_for(lambda: site.status()["trust"] == "black", 5, "the agent to say so")
    finally:
        site.control.release("a", "false alarm")
    wait_for(lambda: site.opens(7001), 5, "the release", 0.05)
    assert site.holds(7001, 7002)


def test_another_ones_quarantine_closes_the_way_to_him(site):
    site.settle()
    with Running(site.a, "hold", [target("tcp", site.b, 7001)], GOOD, options=["-i", "10"]) as lost:
        site.control.quarantine("b", "beacon")
        try:
            lost.wait_event("cut", 20)
            assert not site.opens(7001) and site.opens(7002, site.a, site.c)
        finally:
            site.control.release("b", "false alarm")
    wait_for(lambda: site.opens(7001), 5, "the release", 0.05)


def test_a_killed_agent_changes_nothing_and_the_next_one_takes_the_table_over(site):
    site.settle()
    before = site.nft("-s", "list", "table", "inet", "suimitsu")
    with Running(site.a, "hold", [target("tcp", site.b, 7001)], GOOD, options=["-i", "10"]) as kept:
        site.kill()
        assert site.nft("-s", "list", "table", "inet", "suimitsu") == before
        assert site.holds(7001, 7002)
        site.start()
        site.control.wait_enforced()
        assert site.holds(7001, 7002)
        assert kept.end()["cut"] == 0


def test_an_ended_agent_changes_nothing(site):
    site.settle()
    site.kill(signal.SIGTERM)
    assert site.holds(7001, 7002)


def test_after_a_boot_the_stored_policy_stands_before_anybody_is_asked(site):
    site.settle()
    site.kill()
    site.lab.stop_program("control", "suimitsud", signal.SIGKILL)
    site.nft("delete", "table", "inet", "suimitsu")  # As after a boot: the kernel knows nothing.
    assert site.opens(7002)
    site.start()
    try:
        wait_for(lambda: site.status().get("revision"), 20, "the agent")
        assert site.holds(7001, 7002)
    finally:
        site.control.start()
        site.control.wait_enforced()


def test_with_a_damaged_policy_the_kernels_table_goes_on(site):
    site.settle()
    site.kill()
    stored = site.a.path("/var/lib/suimitsu-agent/program")
    stored.write_bytes(stored.read_bytes()[:-9])
    site.lab.stop_program("control", "suimitsud", signal.SIGKILL)
    site.start()
    try:
        wait_for(site.status, 20, "the agent")
        assert site.holds(7001, 7002)
    finally:
        site.control.start()
    site.control.wait_enforced()  # It asks for the program again, as it has none.
    assert site.holds(7001, 7002) and stored.exists()


def test_with_a_damaged_policy_and_none_in_the_kernel_all_is_closed_until_the_controller_is_there(site):
    site.settle()
    site.kill()
    stored = site.a.path("/var/lib/suimitsu-agent/program")
    stored.write_bytes(stored.read_bytes()[:-9])
    site.lab.stop_program("control", "suimitsud", signal.SIGKILL)
    site.nft("delete", "table", "inet", "suimitsu")
    for _ in range(2):  # The second one finds that the first has moved it aside.
        site.start()
        wait_for(site.status, 20, "the agent")
        assert not site.opens(7001) and not site.opens(7002) and not site.opens(7002, site.a, site.c)
        site.kill()
        site.nft("delete", "table", "inet", "suimitsu")
    site.start()
    site.control.start()
    site.control.wait_enforced()
    assert site.holds(7001, 7002) and stored.exists()


EDITS = {
    "a rule that accepts everything": ["insert", "rule", "inet", "suimitsu", "out", "accept"],
    "no table": ["delete", "table", "inet", "suimitsu"],
    "no rules at all": ["flush", "ruleset"],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_table_edited_by_hand_is_repaired_and_told(edit, site):
    site.settle()
    wait_for(lambda: site.status(), 20, "the agent")
    before = site.status()["tampers_repaired"]
    site.nft(*EDITS[edit])
    wait_for(lambda: site.status()["tampers_repaired"] == before + 1, 5, "the repair")
    assert site.holds(7001, 7002)
    wait_for(lambda: "tamper" in site.a.path("/var/log/flows.json").read_text(), 5, "the report")
    assert site.status()["tampers_repaired"] == before + 1


def test_the_controller_hears_of_it(site):
    """By a notice of this edit: those of the edits before have another second."""
    site.settle()
    before = int(time.time())
    wait_for(lambda: int(time.time()) > before, 3, "the next second")

    def told():
        return [n for n in json.loads(site.control.cli("notices", "-o", "json").stdout)
                if "table inet suimitsu was changed" in n["text"] and calendar.timegm(
                    time.strptime(n["time"], "%Y-%m-%dT%H:%M:%SZ")) > before]
    site.nft("flush", "table", "inet", "suimitsu")
    wait_for(told, 5, "the notice at the controller", 0.1)


def test_tables_of_others_are_not_touched_and_their_changes_are_no_tamper(site):
    site.settle()
    site.nft("-f", "-", stdin="table ip theirs {\n chain jump1 {\n type filter hook output "
             "priority 10;\n tcp dport 7009 counter drop\n }\n}\n")
    try:
        before, tampers = site.nft("-a", "-s", "list", "table", "ip", "theirs"), \
            site.status()["tampers_repaired"]
        site.apply(TWO)
        site.nft("flush", "table", "inet", "suimitsu")
        wait_for(lambda: site.status()["tampers_repaired"] == tampers + 1, 5, "the repair")
        site.nft("add", "chain", "ip", "theirs", "more")
        site.nft("delete", "chain", "ip", "theirs", "more")
        site.apply(ONE)
        assert site.nft("-a", "-s", "list", "table", "ip", "theirs") == before
        assert site.status()["tampers_repaired"] == tampers + 1 and site.holds(7001, 7002)
    finally:
        site.nft("delete", "table", "ip", "theirs")


def test_a_condition_on_programs_is_refused_by_the_policy_where_the_inventory_is_honest(site):
    site.settle()
    with pytest.raises(LabError, match="E-WIDEN"):
        site.apply(BY_PROGRAM)
    assert site.holds(7001, 7002)


def test_a_condition_on_programs_is_refused_by_the_agent_where_the_inventory_promises_more(site):
    site.settle()
    running, inside = site.enforcer()["running"], site.control.host.path("/opt/policy.yaml")
    site.say_enforcers("host")
    try:
        inside.write_text(BY_PROGRAM)
        site.control.cli("apply", "/opt/policy.yaml", "--comment", "more than nft can")
        wait_for(lambda: site.enforcer()["refused"], 10, "the refusal")
        said = site.enforcer()
        assert "E-WIDEN" in said["last_result"] and "by-name" in said["last_result"], said
        assert said["running"] >= running and said["running"] < said["wanted"]
        assert site.holds(7001, 7002)
    finally:
        inside.write_text(ONE)
        site.control.cli("apply", "/opt/policy.yaml", "--comment", "back")
        site.say_enforcers("nft")
    site.control.wait_enforced()
    assert site.holds(7001, 7002)


def test_check_says_what_there_is_to_do_where_ebpf_cannot_go(site):
    done = site.a.run(binary("suimitsu-agent"), "check", "-o", "json", check=False)
    answer = yaml.safe_load(done.stdout)
    assert answer["nft"] == {"present": True, "why": ""}
    before = site.nft("-s", "list", "table", "inet", "suimitsu")
    without = site.a.run("/usr/bin/setpriv", "--bounding-set", "-bpf,-sys_admin,-perfmon",
                         binary("suimitsu-agent"), "check", check=False)
    assert without.returncode == 1 and "--enforcer nft" in without.stdout, without.stdout
    assert site.nft("-s", "list", "table", "inet", "suimitsu") == before


def test_an_unconfirmed_policy_rolls_itself_back(site):
    site.settle()
    path = site.lab.folder / "policy.yaml"
    path.write_text(TWO)

    def again():
        wait_for(lambda: not site.control.api("GET", "/status")["confirm_by"], 10, "the controller to end its waiting")
        site.control.wait_enforced()
    seen, seconds = while_unconfirmed(lambda s: site.control.apply(path, s), lambda: site.opens(7002), again)
    assert seen
    wait_for(lambda: site.holds(7001, 7002), 4 * seconds, "the roll-back", 0.1)


def test_it_does_not_start_beside_programs_that_the_host_enforcer_left(site):
    site.settle()
    site.kill()
    pins = BPFFS / site.a.namespace
    pins.mkdir()
    try:
        done = site.a.run(binary("suimitsu-agent"), "run", "--enforcer", "nft", "--instance",
                          site.a.namespace, "--program", "/nowhere", check=False)
        assert done.returncode == 1 and "suimitsu-agent detach" in done.stderr, done.stderr
        assert site.holds(7001, 7002)
    finally:
        pins.rmdir()


def test_a_program_file_is_enforced_without_a_controller_and_read_again(site):
    site.settle()
    site.kill()

    def install(text):
        file, revision = compile_policy(site.lab.folder, text, site.ledger, "a")
        site.a.path("/opt/t/program").write_bytes(file.read_bytes())
        return revision
    first = install(TWO)
    agent = site.a.start("agent", [
        binary("suimitsu-agent"), "run", "--enforcer", "nft", "--instance", site.a.namespace,
        "--state-dir", "/var/lib/alone", "--program", "/opt/t/program"])
    try:
        wait_for(lambda: site.status().get("revision") == first, 20, "the program")
        assert site.holds(7002, 7001)
        second = install(ONE)
        agent.send_signal(signal.SIGHUP)
        wait_for(lambda: site.status()["revision"] == second, 20, "the other program")
        assert site.holds(7001, 7002)
    finally:
        site.kill()


def test_a_host_enforcers_program_on_disk_keeps_nobody_from_starting(site):
    site.settle()
    file, revision = compile_policy(
        site.lab.folder, BY_PROGRAM,
        {**site.ledger, "endpoints": {**site.ledger["endpoints"], "a": {
            **site.ledger["endpoints"]["a"], "enforcers": ["host"]}}}, "a")
    site.kill()
    site.a.path("/var/lib/suimitsu-agent/program").write_bytes(file.read_bytes())
    site.start()
    wait_for(site.status, 20, "the agent")
    assert site.holds(7001, 7002)  # What the kernel holds goes on.
    assert "E-WIDEN" in site.a.path("var/log/agent.log").read_text()
    site.control.wait_enforced()
    site.apply(TWO)
    assert site.holds(7002, 7001)


def test_detach_opens_and_nothing_else_does(site):
    site.settle()
    refused = site.a.run(binary("suimitsu-agent"), "detach", check=False)
    assert refused.returncode == 1 and "an agent runs" in refused.stderr
    site.kill(signal.SIGTERM)
    assert site.holds(7001, 7002)
    site.a.run(binary("suimitsu-agent"), "detach", "--instance", site.a.namespace)
    assert site.opens(7002) and "suimitsu" not in site.nft("list", "ruleset")
    again = site.a.run(binary("suimitsu-agent"), "detach", "--instance", site.a.namespace,
                       check=False)
    assert again.returncode == 4
