# SPDX-License-Identifier: Apache-2.0
"""Drills: what a real intruder reaches hop by hop is what the policy's blast radius says."""
import os

import pytest
import yaml
from labkit import Control, Lab, World, inventory
from labkit.drill import MARKER, Drill, report

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
    assert said["first_alarm_s"] is not None and said["first_alarm_s"] < 5


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
