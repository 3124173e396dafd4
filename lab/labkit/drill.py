# SPDX-License-Identifier: Apache-2.0
"""A drill: an intruder walks a running world from one host, hop by hop, by real connections.

From each host that he has, a probe tries the TCP and UDP ports of every other host of the lab, and no
address besides.  Where something answers, that host is his, too: a marker is left there, as root its
agent is ended and detached, and he goes on from there.  Afterwards everything is put back.

A host with a 'hole' in its world (a press controller, for example) is not his for answering: he sends
the request that goes through its hole, and only when the program there has taken it, by leaving the
marker itself, is it his.  Who answers and does not take it is 'patched': something on the way knows
that request.

What he reached is compared with what the policy says of it (the controller's blast radius, without
ways through the outside, where the lab has no host)."""
import json
import subprocess
import threading
import time

from labkit.control import binary
from labkit.programs import modbus_tool
from labkit.reach import INSIDE, place_probe
from labkit.system import PATIENCE, LabError

MARKER = "/tmp/suimitsu-drill"
NAMELESS = 9  # A port that no service of the worlds names.
LIMIT_MS = 700
HOLE_S = 5  # An answer comes at once, from the program or from what is before it.
ALARM_S = 5  # After the last step: agents report about once a second.


class Drill:
    """'as_root': he ends the agents of what he owns; else they go on."""

    def __init__(self, lab, control, start, as_root=True):
        if start not in lab.hosts:
            raise LabError(f"drill: no host '{start}'; there are {', '.join(lab.hosts)}")
        if start == control.host.name:
            raise LabError(f"drill: {start} runs the controller, which no drill touches")
        self.lab, self.control, self.start, self.as_root = lab, control, start, as_root
        self.catchers, self.ended, self.patched = {}, [], {}
        self.owned, self.stopped = {start}, False
        self.holes = {n: h["hole"] for n, h in lab.world.hosts.items() if h.get("hole")}
        self.victims = [n for n in lab.hosts if n != control.host.name]

    # -- what there is to try

    def ports(self):
        """(protocol, port): of each named service the first port, the holes', and a nameless one."""
        found = {("tcp", NAMELESS), ("udp", NAMELESS)} | {("tcp", h["port"]) for h in self.holes.values()}
        for service in self.control.api("GET", "/services"):
            for text in service["ports"]:
                protocol, port = text.split("/")
                if protocol in ("tcp", "udp"):
                    found.add((protocol, int(port.split("-")[0])))
        return sorted(found)

    def listening(self, host):
        """(protocol, port) of real programs on the host."""
        found = set()
        for protocol, option in (("tcp", "-t"), ("udp", "-u")):
            for line in self.lab[host].run("ss", "-Hln", option).stdout.splitlines():
                found.add((protocol, int(line.split()[3].rsplit(":", 1)[1])))
        return found

    def set_catchers(self):
        """Something answers at every port, so that the policy alone decides."""
        place_probe(self.lab)
        self.tried = self.ports()
        for name in set(self.victims) - set(self.holes):  # A device offers what it offers.
            real = self.listening(name)
            wanted = [f"{protocol},{port}" for protocol, port in self.tried
                      if (protocol, port) not in real]
            process = self.lab[name].popen([INSIDE, "serve", "-q", *wanted], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE)
            self.catchers[name] = process
        for name, process in self.catchers.items():
            if b"ready" not in process.stdout.readline():
                raise LabError(f"drill: nothing answers on {name}")

    # -- the walk

    def own(self, name):
        host = self.lab[name]
        host.path(MARKER).write_text("an intruder was here\n")
        if not self.as_root or not self.lab.world.hosts[name].get("agent"):
            return
        if self.lab.program_pid(name, "agent") is not None:
            self.lab.stop_program(name, "agent")
            self.ended.append(name)
        done = host.run(binary("suimitsu-agent"), "detach", "--instance", host.namespace, check=False)
        if done.returncode not in (0, 4):  # 4: there was nothing.
            raise LabError(f"drill: {name}: {done.stderr.strip()}")

    def try_from(self, sources, targets):
        """{target: (source, "tcp/22")} of what answered to one of the sources."""
        running = []
        for source in sources:
            wanted = {f"{protocol},{address},{port}": (name, f"{protocol}/{port}")
                      for name in targets for address in self.lab.world.addresses(name)
                      for protocol, port in self.tried}
            process = self.lab[source].popen([INSIDE, "try", "-t", LIMIT_MS, "-"],
                                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            running.append((source, wanted, process))
        found = {}
        for source, wanted, process in running:
            out, _ = process.communicate("\n".join(wanted) + "\n", timeout=LIMIT_MS / 1000 + 60)
            for line in map(json.loads, out.splitlines()):
                name, service = wanted[line["target"]]
                self.stopped |= line["result"] in ("denied", "timeout")
                if line["result"] == "open":
                    found.setdefault(name, (source, service))
        return self.attack(sources, found)

    def attack(self, sources, found):
        """Of what answered, what is his: a host with a hole only when its own program left the marker."""
        running = [(name, source, self.lab[source].popen(
            ["/usr/bin/python3", modbus_tool(self.lab[source], "client.py"), "--port", self.holes[name]["port"], "--limit",
             HOLE_S, address, self.holes[name]["request"]], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL)) for name in set(found) & set(self.holes) for source in sources
            for address in self.lab.world.addresses(name)]
        for _, _, process in running:
            process.wait(HOLE_S + 60)
        taken = {}
        for name, (source, service) in found.items():
            hole = self.holes.get(name)
            if not hole:
                taken[name] = (source, service)
            elif self.lab[name].path(MARKER).exists():
                taken[name] = (source, f"tcp/{hole['port']}, through its hole")
                self.patched.pop(name, None)
            else:
                self.patched.setdefault(name, (source, service))
        return taken

    def walk(self):
        """[{hops, seconds, reached: {name: (from, service)}}]"""
        began, waves = time.monotonic(), []
        self.own(self.start)
        frontier = [self.start]
        while frontier:
            targets = [n for n in self.victims if n not in self.owned]
            found = self.try_from(frontier, targets) if targets else {}
            if not found:
                break
            for name in set(found) - set(self.holes):
                self.own(name)
            self.owned |= set(found)
            frontier = list(found)
            waves.append({"hops": len(waves) + 1, "seconds": round(time.monotonic() - began, 2),
                          "reached": found})
        return waves

    def listen_for_alarm(self, ended):
        """Notes when the controller first hears of a denial of what he tried, in seconds.  What learn
        and test mode would deny is told, too, but stops nobody."""
        known = self.control.api("GET", "/status")["flows"]
        began, heard = time.monotonic(), []

        def listen():
            while not heard and not ended.wait(0.05):
                flows = self.control.api("GET", f"/flows?denied&after={known}&max=1000")["flows"]
                if any(f["verdict"] == "deny" and f["from"] in self.owned for f in flows):
                    heard.append(round(time.monotonic() - began, 2))
        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        return thread, heard

    def compare(self, waves):
        """What the policy says and the drill did not find, and the reverse."""
        said = self.control.api("GET", f"/policy/radius?from=endpoint:{self.start}&inside")
        computed = {n: h["hops"] for h in said["hops"] for n in h["endpoints"] if n in self.victims}
        walked = {n: w["hops"] for w in waves for n in w["reached"]}
        return {"computed": computed, "patched": self.patched,
                "only_computed": sorted(set(computed) - set(walked) - set(self.patched)),
                "only_walked": sorted(set(walked) - set(computed)),
                "other_hops": sorted(n for n in set(walked) & set(computed) if walked[n] != computed[n])}

    def put_back(self):
        for process in self.catchers.values():
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
        for name in self.lab.hosts:
            self.lab[name].path(MARKER).unlink(missing_ok=True)
        for name in self.ended:
            self.control.start_agent(self.lab[name])
        if self.ended:
            self.control.wait_enforced()

    def note(self, said):
        """On the controller's timeline, with what was measured."""
        alarm = said["first_alarm_s"]
        self.control.note(f"drill from {said['from']}, as {said['as']}: {said['reached']} of {said['of']} hosts reached"
                          + (f", first denial reported after {alarm} s" if alarm is not None else ", nothing denied"),
                          **({"detect_ms": round(alarm * 1000)} if alarm is not None else {}))

    def run(self, stay=lambda waves: None):
        """The whole: a report as a value.  He does not leave before 'stay' returns: how long a walk takes
        is the machine's, and whoever shall see him there looks at a time of his own."""
        said = {}
        try:
            self.set_catchers()
            ended = threading.Event()
            thread, heard = self.listen_for_alarm(ended)
            waves = self.walk()
            said = {"from": self.start, "as": "root" if self.as_root else "user", "waves": waves,
                    "reached": sum(len(w["reached"]) for w in waves), "of": len(self.victims) - 1,
                    **self.compare(waves)}
            stay(waves)
            if self.stopped:  # Then somebody tells of it, and it may still be on its way.
                thread.join(ALARM_S * PATIENCE)
            ended.set()
            said["first_alarm_s"] = heard[0] if heard else None
        finally:
            self.put_back()
        self.note(said)
        return said


def report(said):
    """Lines of text."""
    lines = [f"from {said['from']}, as {said['as']}: {said['reached']} of {said['of']} hosts"]
    for wave in said["waves"]:
        for name, (source, service) in sorted(wave["reached"].items()):
            lines.append(f"  hop {wave['hops']}  {name:<9} from {source} by {service}")
        lines.append(f"         after {wave['seconds']} s")
    for name, (source, service) in sorted(said["patched"].items()):
        lines.append(f"  no hop {name:<9} answers {source} by {service}, but what goes through its hole does "
                     "not arrive")
    alarm = said["first_alarm_s"]
    lines.append("the first denial was reported after " + f"{alarm} s" if alarm is not None
                 else "nothing was denied, so nobody was told")
    if said["as"] == "user":
        lines.append("not compared: the computed radius is that of somebody who owns the box")
        return lines
    agree = not (said["only_computed"] or said["only_walked"] or said["other_hops"])
    lines.append("NOT as the policy says:" if not agree else "as the policy says; it lets "
                 f"{', '.join(sorted(said['patched']))} be spoken to, and names no rule for that request"
                 if said["patched"] else "as the policy says")
    for key, text in (("only_walked", "reached, but not by the policy"),
                      ("only_computed", "reachable by the policy, but by nothing that answers there: another protocol, "
                       "a port not tried, or a rule that wants a serving program (served-by)"),
                      ("other_hops", "in another number of hops")):
        if said[key]:
            lines.append(f"  {text}: {', '.join(said[key])}")
    return lines
