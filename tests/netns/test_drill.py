# SPDX-License-Identifier: Apache-2.0
"""Drills: what a real intruder reaches hop by hop is what the policy's blast radius says."""
import json
import os
import subprocess

import pytest
import yaml
from labkit import Control, Lab, World, binary, inventory
from labkit.drill import MARKER, Drill, report
from labkit.system import CLONE_NEWNET, NETNS, PATIENCE, enter_namespace, run
from probing import Running

WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  control: {labels: {role: controller}, bridge: lan, addresses: [10.77.0.9, "fd77::9"]}
  pc1: {labels: {kind: pc}, bridge: lan, addresses: [10.77.0.11, "fd77::11"], agent: true}
  pc2: {labels: {kind: pc}, bridge: lan, addresses: [10.77.0.12, "fd77::12"], agent: true}
  web1: {labels: {tier: web}, bridge: lan, addresses: [10.77.0.21, "fd77::21"], agent: true}
  db1: {labels: {tier: db}, bridge: lan, addresses: [10.77.0.22, "fd77::22"], agent: true}
  jump1: {labels: {role: jump}, bridge: lan, addresses: [10.77.0.23, "fd77::23"], agent: true}
"""
POLICY = """\
suimitsu: 1
groups:
  pcs: {match: {kind: pc}}
  web: {match: {tier: web}}
  db: {match: {tier: db}}
  jump: {match: {role: jump}}
services:
  https: [tcp/443]
  postgres: [tcp/5432]
  admin: [tcp/22]
  syslog: [udp/514]
never:
  - {id: no-admin, service: admin, except: {from: jump}, why: worms walk there, owner: o}
allow:
  - {id: pages, from: pcs, to: web, service: https, why: work, owner: o}
  - {id: orders, from: web, process: /opt/shop/orders, to: db, service: postgres, why: work, owner: o}
  - {id: care, from: jump, to: [web, db, pcs], service: admin, why: work, owner: o}
  - {id: logs, from: db, to: jump, service: syslog, why: work, owner: o}
"""
FLAT = "suimitsu: 1\nallow: [{id: all, from: any, to: any, why: flat, owner: o}]\n"


@pytest.fixture(scope="module")
def site():
    with Lab(World("drill", WORLD), f"sm-d{os.getpid() % 10000}-") as lab:
        control = Control(lab)
        control.start()
        control.apply_inventory(yaml.safe_dump(inventory(lab.world)))
        for host in control.agent_hosts():
            control.enroll(host)
        control.wait_enforced()
        yield lab, control
    assert lab.leftovers() == []


def drill(site, policy, start, as_root=True):
    lab, control = site
    path = lab.folder / "policy.yaml"
    path.write_text(policy)
    control.apply(path)
    said = Drill(lab, control, start, as_root).run()
    assert not any(lab[name].path(MARKER).exists() for name in lab.hosts)
    return said


def agrees(said):
    return not (said["only_computed"] or said["only_walked"] or said["other_hops"])


def test_in_a_flat_network_one_hop_is_enough(site):
    said = drill(site, FLAT, "pc1")
    assert (said["reached"], len(said["waves"]), said["first_alarm_s"]) == (4, 1, None)
    assert agrees(said), said


def test_an_intruder_walks_as_far_as_the_policy_says_and_no_further(site):
    said = drill(site, POLICY, "pc1")
    assert agrees(said), report(said)
    assert [sorted(w["reached"]) for w in said["waves"]] == [["web1"], ["db1"], ["jump1"], ["pc2"]]
    assert said["waves"][0]["reached"]["web1"] == ("pc1", "tcp/443")
    assert said["waves"][1]["reached"]["db1"] == ("web1", "tcp/5432")  # Its own agent was ended.
    assert said["first_alarm_s"] is not None and said["first_alarm_s"] < 5 * PATIENCE


def test_one_rule_less_is_seen_by_both(site):
    less = POLICY.replace("  - {id: logs, from: db, to: jump, service: syslog, why: work, owner: o}\n", "")
    said = drill(site, less, "pc1")
    assert agrees(said), report(said)
    assert said["reached"] == 2


def test_without_root_the_programs_condition_holds(site):
    said = drill(site, POLICY, "pc1", as_root=False)
    assert [sorted(w["reached"]) for w in said["waves"]] == [["web1"]], report(said)
    assert "not compared" in report(said)[-1]


def test_afterwards_the_agents_enforce_again(site):
    lab, control = site
    drill(site, POLICY, "pc1")
    assert drill(site, POLICY, "pc2", as_root=False)["reached"] == 1
    assert all(e["state"] == "ACTIVE" for e in control.enforcers().values())


# -- the command line

def suimitsu(*words, host=None, control=None):
    """On the machine of the lab, or as a program of one of its hosts that may ask the controller."""
    def enter():
        if host:
            (host.cgroup / "cgroup.procs").write_text("0")
            enter_namespace(NETNS / host.namespace, CLONE_NEWNET)
    done = subprocess.run([binary("suimitsu"), "drill", *words, *(["--socket", control.socket] if control else [])],
                          text=True, capture_output=True, timeout=120 * PATIENCE, preexec_fn=enter)
    return done.returncode, done.stdout, done.stderr


def apply(site, policy):
    lab, control = site
    (lab.folder / "policy.yaml").write_text(policy)
    control.apply(lab.folder / "policy.yaml")


def test_the_command_walks_a_running_world(site):
    lab, _ = site
    apply(site, POLICY)
    code, out, err = suimitsu("--from", "pc1", "--prefix", lab.prefix)
    assert code == 0 and "from pc1, as root: 4 of 4 hosts" in out and "as the policy says" in out, (out, err)
    code, out, err = suimitsu("--from", "pc1", "--as", "user", "--prefix", lab.prefix, "--world", "drill", "-o",
                              "json")
    said = json.loads(out)
    assert code == 0 and [sorted(w["reached"]) for w in said["waves"]] == [["web1"]], (out, err)
    code, out, err = suimitsu("--from", "pc1", "--prefix", lab.prefix, "--world", "shop")
    assert code == 4 and "no world" in err


def really(site, source, *hosts, options=()):
    lab, control = site
    code, out, err = suimitsu("--from", source, "--really", *hosts, *options, "-o", "json", host=lab[source],
                              control=control)
    assert err == "", err
    return code, json.loads(out)


def test_a_real_drill_tries_the_named_hosts_and_says_what_differs_from_the_radius(site):
    lab, _ = site
    apply(site, POLICY)
    with Running(lab["web1"], "serve", ["tcp,443", "tcp,22"], options=["-q"]), \
            Running(lab["db1"], "serve", ["tcp,5432"], options=["-q"]):
        code, said = really(site, "pc1", "web1", "db1", "pc2")
    assert code == 0 and said["agrees"], said
    assert said["waves"][0]["reached"] == {"web1": ["pc1", "tcp/443"]}
    assert said["first_alarm_s"] is not None and said["first_alarm_s"] < 5 * PATIENCE
    tried = {(c["to"], c["port"]): c for c in said["connections"]}
    assert set(tried) == {(h, p) for h in ("web1", "db1", "pc2") for p in (9, 22, 443, 5432)}
    assert tried["web1", 443]["result"] == "open" and tried["web1", 443]["by"] == "pages"
    assert tried["web1", 22]["result"] in ("denied", "silent") and tried["web1", 22]["by"] == "no-admin"
    kinds = {(x["to"], x["kind"]) for x in said["differences"]}
    assert kinds == {("db1", "further"), ("pc2", "further")}, said["differences"]


def test_a_condition_of_the_own_agent_is_told_as_the_difference_that_it_is(site):
    """Whoever owns web1 reaches db1; this program, with web1's agent alive, does not."""
    lab, _ = site
    apply(site, POLICY)
    with Running(lab["db1"], "serve", ["tcp,5432"], options=["-q"]):
        code, said = really(site, "web1", "db1")
    assert code == 0 and said["reached"] == 0
    assert [(x["to"], x["kind"]) for x in said["differences"]] == [("db1", "own-agent")], said["differences"]
    assert "orders" in said["differences"][0]["text"]


def test_a_server_that_is_allowed_and_silent_is_told_and_no_leak(site):
    lab, _ = site
    apply(site, POLICY)
    run("ip", "-n", lab.net, "link", "set", "dev", "web1", "down")
    try:
        code, said = really(site, "pc1", "web1", options=("--service", "https", "--rate", "100"))
    finally:
        run("ip", "-n", lab.net, "link", "set", "dev", "web1", "up")
    assert code == 0 and {"no-answer", "not-tried"} == {x["kind"] for x in said["differences"]}, said
    assert {c["port"] for c in said["connections"]} == {443} and len(said["connections"]) == 2


def test_what_is_reached_against_the_policy_is_a_leak_with_exit_code_1(site):
    """From the controller, which has no agent, to a host whose agent was taken off by its owner."""
    lab, control = site
    apply(site, POLICY)
    host = lab["db1"]
    lab.stop_program("db1", "agent")
    host.run(binary("suimitsu-agent"), "detach", "--instance", host.namespace)
    try:
        with Running(host, "serve", ["tcp,5432"], options=["-q"]):
            code, said = really(site, "control", "db1")
    finally:
        control.start_agent(host)
        control.wait_enforced()
    leaks = [x for x in said["differences"] if x["kind"] == "leak"]
    assert code == 1 and not said["agrees"] and [x["port"] for x in leaks] == [5432], said
    assert {x["kind"] for x in said["differences"]} == {"leak", "outside-radius"}


def test_a_server_that_a_rule_asks_for_is_judged_behind_the_connection(site):
    lab, _ = site
    apply(site, POLICY.replace("{id: pages, from: pcs,", "{id: pages, served-by: /opt/web, from: pcs,"))
    with Running(lab["web1"], "serve", ["tcp,443"], options=["-q"]):
        code, said = really(site, "pc1", "web1", options=("--service", "tcp/443"))
    assert code == 0 and said["connections"][0]["verdict"] == "depends", said
    assert {c["result"] for c in said["connections"]} <= {"silent", "refused", "denied"}
