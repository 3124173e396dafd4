# SPDX-License-Identifier: Apache-2.0
"""The demo's second half: the pretend plant, whose press controller nobody will ever mend."""
import json

import yaml

from labkit.console import NAME, keep_login, open_console
from labkit.control import Control, EdgeAgent
from labkit.drill import Drill, report
from labkit.lab import Lab
from labkit.programs import modbus_tool
from labkit.system import ROOT, LabError, wait_for
from labkit.world import inventory

POLICY = ROOT / "lab" / "worlds" / "plant.policy.yaml"
FORCE, PROGRAM = 1, 4  # Of the press's input registers: lab/modbus/plc.py.
MAX_FORCE, OWN_PROGRAM, STRANGE_PROGRAM = 100, 1, 666
OWN_FORCE = 60  # What it is set to.
ANSWERS = 5  # So many show that the panel goes on.


class Panel:
    """What hmi1 has read from the press since the last look, from its own log; it asks twice a second."""

    def __init__(self, lab):
        self.log = lab["hmi1"].path("/var/log/hmi.log")
        self.at = self.log.stat().st_size

    def look(self):
        """(how many requests were answered, how many were not, [the press's input registers as shown])"""
        text = self.log.read_bytes()[self.at:]
        text = text[:text.rfind(b"\n") + 1]  # What is half written is for the next look.
        self.at += len(text)
        said = [json.loads(line) for line in text.splitlines()]
        shown = [x["values"] for x in said if x["result"] == "ok" and x["function"] == 4]
        fine = sum(x["result"] == "ok" for x in said)
        return fine, len(said) - fine, shown

    def wait_force(self):
        """The force that it shows of a press that follows the intruder's program."""
        def strange():
            forces = [v[FORCE] for v in self.look()[2] if v[PROGRAM] == STRANGE_PROGRAM]
            return max(forces, default=0) > MAX_FORCE and max(forces)
        return wait_for(strange, 10, "the panel to show the intruder's program")

    def wait_own(self):
        """A press moves on to what it is set to only by and by, also when its program is its own again."""
        def own():
            return any((v[PROGRAM], v[FORCE]) == (OWN_PROGRAM, OWN_FORCE) for v in self.look()[2][-1:])
        wait_for(own, 10, "the press to be itself again")


class PlantDemo:
    """'step' prints what is done and how long it took."""

    def __init__(self, prefix, step, password):
        self.lab, self.step, self.password = Lab("plant", prefix), step, password

    def run(self):
        print("\n6. A plant: a press whose controller will never see an update, with its panel, historian,\n"
              "   engineering station and an office PC in one segment; an edge stands at their ports")
        self.set_up()
        panel = Panel(self.lab)
        print("\n   Flat: an intruder walks from pc9, the office PC:", flush=True)
        forces = []

        def stay(waves):
            if not waves or "plc1" not in waves[0]["reached"]:
                raise LabError("nobody got through the hole of the press before the policy")
            forces.append(panel.wait_force())
        self.drill(stay)
        print(f"    the panel showed the press at {forces[0]} kN, of the {MAX_FORCE} that it bears, by program "
              f"{STRANGE_PROGRAM}\n")
        self.patched(panel)
        self.functions()

    def set_up(self):
        def up():
            self.lab.up()
            self.control = Control(self.lab)
            self.control.start()
            self.address = open_console(self.control, self.password)
            keep_login(self.lab, [f"address {self.address}", f"name {NAME}", f"password {self.password}"])
            self.control.apply_inventory(yaml.safe_dump(inventory(self.lab.world)))
            edge = EdgeAgent(self.lab, self.control)
            edge.enroll()
            edge.start()
            self.control.wait_guarded()
            for host in self.control.agent_hosts():
                self.control.enroll(host)
            self.control.wait_enforced()
        self.step("6 hosts; the press speaks Modbus/TCP, three agents and five guarded ports", up)

    def drill(self, stay):
        said = Drill(self.lab, self.control, "pc9").run(stay)
        for line in report(said):
            print(f"    {line}", flush=True)
        if said["only_walked"]:
            raise LabError("he got further than the policy says")
        return said

    def patched(self, panel):
        panel.wait_own()
        self.step(f"{POLICY.relative_to(ROOT)} is applied: the functions that a rule names, and no other",
                  lambda: self.control.apply(POLICY, comment=f"6. The plant: {POLICY.name}"))
        print("   The same intruder walks again:", flush=True)
        fine, lost, shown = 0, 0, []

        def polls_on():
            nonlocal fine, lost
            answered, unanswered, values = panel.look()
            fine, lost = fine + answered, lost + unanswered
            shown.extend(values)
            return fine >= ANSWERS and shown
        said = self.drill(lambda _: wait_for(polls_on, 15, "the panel to go on showing the press"))
        if any("plc1" in w["reached"] for w in said["waves"]):
            raise LabError("somebody got through the hole of the press")
        polls_on()
        if any(v[PROGRAM] != OWN_PROGRAM for v in shown):
            raise LabError("the panel showed another program than the plant's own")
        force = max(v[FORCE] for v in shown)
        print(f"    the panel polled on meanwhile: {fine} answers, {lost} connections to begin anew, "
              f"the press at {force} kN")

    def functions(self):
        """Who may write, by real requests."""
        for source, user, wanted, text in (("hmi1", None, False, "the panel, which may only read"),
                                           ("eng1", "eng-1", True, "the engineer")):
            client = modbus_tool(self.lab[source], "client.py")
            out = self.lab[source].run("/usr/bin/python3", client, "--limit", "10", "plc1", "6:0:30", user=user,
                                         check=False).stdout
            result = json.loads(out)["result"]
            if (result == "ok") != wanted:
                raise LabError(f"a write by {source}: {result}")
            print(f"    a write (function 6) from {source}, {text}: {result}", flush=True)
