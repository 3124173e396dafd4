# SPDX-License-Identifier: Apache-2.0
"""The world plant: a press controller that nobody will ever mend, an office PC in its segment, and the
patch that the edge is: of Modbus, only the functions that a rule names arrive."""
import json
import os

import pytest
import yaml
from labkit import Control, EdgeAgent, Lab, inventory
from labkit.drill import MARKER, Drill, report
from labkit.programs import modbus_tool
from labkit.system import ROOT, wait_for

POLICY = ROOT / "lab" / "worlds" / "plant.policy.yaml"
READ, WRITE, WRITE_MANY, HOLE = "3:0:4", "6:0:30", "16:3:1,2,3", "90:x"


class Plant:
    def __init__(self, lab):
        self.lab = lab
        self.control = Control(lab)
        self.control.start()
        self.control.apply_inventory(yaml.safe_dump(inventory(lab.world)))
        self.edge = EdgeAgent(lab, self.control)
        self.edge.enroll()
        self.edge.start()
        self.control.wait_guarded()
        for host in self.control.agent_hosts():
            self.control.enroll(host)
        self.control.wait_enforced()

    def ask(self, source, *requests, user=None, to="plc1"):
        """Results of Modbus requests, in order."""
        client = modbus_tool(self.lab[source], "client.py")
        out = self.lab[source].run("/usr/bin/python3", client, "--limit", "5", to, *requests,
                                   user=user, check=False).stdout
        return [json.loads(line)["result"] for line in out.splitlines()]

    def polls(self, host="hmi1", name="hmi"):
        """How many requests of the host's own client were answered."""
        return self.lab[host].path(f"/var/log/{name}.log").read_text().count('"ok"')

    def is_infected(self):
        return self.lab["plc1"].path(MARKER).exists()

    def drill(self, stay=lambda waves: None):
        said = Drill(self.lab, self.control, "pc9").run(stay)
        assert not self.is_infected()
        return said

    def apply(self, text):
        path = self.lab.folder / "policy.yaml"
        path.write_text(text)
        self.control.apply(path)

    def keeps_polling(self, more=4):
        before = self.polls()
        wait_for(lambda: self.polls() >= before + more, 15, "the panel to go on polling")


@pytest.fixture(scope="module")
def plant():
    with Lab("plant", f"sm-p{os.getpid() % 10000}-") as lab:
        plant = Plant(lab)
        try:
            yield plant
        finally:
            plant.edge.down()
    assert lab.leftovers() == []


@pytest.fixture(scope="module")
def flat(plant):
    """What can be done before the first policy; every other test comes after it."""
    seen = {"said": plant.drill(), "reads": plant.ask("pc9", READ, WRITE), "hmi": plant.ask("hmi1", WRITE),
            "hole": plant.ask("pc9", HOLE), "infected": plant.is_infected()}
    wait_for(lambda: '"values": [9999, 300' in plant.lab["hmi1"].path("/var/log/hmi.log").read_text(), 20,
             "the panel to show the intruder's program")
    plant.lab["plc1"].path(MARKER).unlink()
    return seen


@pytest.fixture(scope="module")
def patched(plant, flat):
    plant.control.apply(POLICY)
    return plant


def test_before_the_policy_the_office_pc_goes_through_the_hole_of_the_press(flat):
    said = flat["said"]
    assert said["waves"][0]["reached"]["plc1"] == ("pc9", "tcp/502, through its hole"), report(said)
    assert said["reached"] == 4 and not said["patched"] and said["first_alarm_s"] is None
    assert flat["reads"] == ["ok", "ok"] and flat["hmi"] == ["ok"] and flat["hole"] == ["ok"]
    assert flat["infected"]


def test_after_it_the_press_is_out_of_reach_and_the_panel_goes_on_polling(patched):
    said = patched.drill(lambda _: patched.keeps_polling())
    assert [sorted(w["reached"]) for w in said["waves"]] == [["hist1"]], report(said)
    assert said["patched"] == {"plc1": ("hist1", "tcp/502")}  # It answers who owns the historian.
    assert not (said["only_computed"] or said["only_walked"] or said["other_hops"]), report(said)
    assert said["computed"] == {"hist1": 1, "plc1": 2}
    assert said["first_alarm_s"] is not None
    patched.keeps_polling()


def test_each_may_do_what_its_rule_says(patched):
    assert patched.ask("hmi1", READ, "4:0:5") == ["ok", "ok"]
    assert patched.ask("hist1", "4:0:5") == ["ok"]
    assert patched.ask("eng1", READ, "6:1:55", WRITE_MANY, user="eng-1") == ["ok"] * 3
    assert patched.ask("hmi1", WRITE) == patched.ask("hmi1", WRITE_MANY) == ["exception"]
    assert patched.ask("hist1", WRITE) == ["exception"]
    assert "ok" not in patched.ask("eng1", READ, WRITE)  # Not eng-1.
    assert "ok" not in patched.ask("pc9", READ)
    patched.keeps_polling()


@pytest.mark.parametrize("source, user, said", [("hmi1", None, "exception"), ("hist1", None, "exception"),
                                                ("eng1", "eng-1", "exception"), ("pc9", None, "denied")])
def test_nobody_gets_through_the_hole(patched, source, user, said):
    assert patched.ask(source, HOLE, user=user) == [said]
    assert not patched.is_infected()


def test_a_write_takes_hold_of_the_process(patched):
    assert patched.ask("eng1", "6:1:70", user="eng-1") == ["ok"]

    def shown():
        last = [json.loads(x) for x in patched.lab["hmi1"].path("/var/log/hmi.log").read_text().splitlines()[-4:]]
        return any(x.get("values", [])[1:2] == [70] for x in last if x["function"] == 4)
    wait_for(shown, 15, "the panel to show the new force")


def test_without_the_functions_the_hole_is_open_again_behind_the_historian(patched):
    """The patch is the functions, and nothing else."""
    text = POLICY.read_text().replace("modbus-read:    {ports: [tcp/502], modbus: [1, 2, 3, 4]}",
                                      "modbus-read:    [tcp/502]")
    assert text.count("modbus: [1, 2, 3, 4]") == 0
    tests = text.index("\ntests:")  # They notice.
    try:
        patched.apply(text[:tests])
        said = patched.drill()
        assert [sorted(w["reached"]) for w in said["waves"]] == [["hist1"], ["plc1"]], report(said)
        assert said["waves"][1]["reached"]["plc1"] == ("hist1", "tcp/502, through its hole")
        assert not (said["only_computed"] or said["only_walked"] or said["other_hops"]), report(said)
    finally:
        patched.control.apply(POLICY)
    assert [sorted(w["reached"]) for w in patched.drill()["waves"]] == [["hist1"]]


def test_the_panel_cannot_be_spoken_for_by_its_neighbour(patched):
    """pc9 takes the panel's address and MAC; its own port knows better.  Its agent would let no such packet
    out; he went round it (PACKET_QDISC_BYPASS)."""
    pc9, world = patched.lab["pc9"], patched.lab.world

    def dropped():
        counters = patched.edge.status()["edges"]["pc9"]["counters"]
        return [counters[reason] for reason in ("mac_spoof", "ip_spoof")]
    before = dropped()
    pc9.run("/usr/bin/python3", "-c", f"""
import socket
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.setsockopt(263, 20, 1)
s.bind(("eth0", 0))
for mac in ("{world.mac('hmi1')}", "{world.mac('pc9')}"):
    for n in range(50):
        s.send(bytes(Ether(src=mac, dst="{world.mac('plc1')}") /
                     IP(src="10.67.9.21", dst="10.67.9.10") / TCP(sport=2000 + n, dport=502, flags="S")))
""")
    wait_for(lambda: sum(dropped()) - sum(before) >= 100, 10, lambda: f"all frames to be judged: {before}, {dropped()}")
    patched.keeps_polling()
    assert [now - then for now, then in zip(dropped(), before)] == [50, 50]
