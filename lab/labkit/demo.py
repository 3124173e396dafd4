# SPDX-License-Identifier: Apache-2.0
"""The demo: the pretend shop, then the plant, flat and then watertight.  Whatever it prints was measured."""
import subprocess
import time

import yaml

from labkit.console import NAME, keep_login, make_password, open_console
from labkit.control import Control
from labkit.demo_plant import PlantDemo
from labkit.drill import Drill, report
from labkit.lab import Lab
from labkit.reach import measure, place_probe, table
from labkit.system import PATIENCE, ROOT, LabError, wait_for
from labkit.world import inventory

POLICY = ROOT / "lab" / "worlds" / "shop.policy.yaml"
SOURCES = ["pc1", "pc2", "pos1", "web1", "db1", "jump1", "fix1", "scan1"]
SERVICES = [("web1", 443), ("web1", 22), ("db1", 5432), ("db1", 22), ("jump1", 22), ("fix1", 443),
            ("pc1", 8080), ("pc1", 22), ("pc2", 8080), ("pc2", 22)]


class Demo:
    """One run; each step prints what it did and how long that took."""

    def __init__(self, prefix="sm-"):
        self.lab = Lab("shop", prefix)
        self.password = make_password()
        self.plant = PlantDemo(prefix, self.step, self.password)
        self.control = None
        self.began = time.monotonic()

    def step(self, text, do):
        start = time.monotonic()
        result = do()
        print(f"  {text}  [{time.monotonic() - start:.1f} s]", flush=True)
        return result

    def run(self):
        for lab in (self.lab, self.plant.lab):
            if (lab.folder / "world.yaml").exists():
                raise LabError(f"the {lab.world.name} is up already; end it first: sudo make demo-stop")
        try:
            self.set_up()
            before = self.flat()
            self.watertight(before)
            self.program()
            self.quarantine()
            self.drill("5. Drill: an intruder who owns pc1 walks again, hop by hop, as root; where he "
                       "arrives he ends the agent")
            self.plant.run()
        except BaseException:
            print("\nThe demo failed; the lab is taken down again.", flush=True)
            self.lab.down()
            self.plant.lab.down()
            raise
        self.farewell()

    def next_second(self):
        """Of one second the timeline shows the last state only: what shall be seen in the replay has its own."""
        begun = int(time.time())
        wait_for(lambda: int(time.time()) > begun, 3, "the next second")

    def story_begin(self):
        """When its first note was written."""
        told = self.control.api("GET", "/timeline?max=1000")
        return min(e["time"] for e in told if "note" in e["what"])

    # -- steps

    def set_up(self):
        print("Suimitsu demo: a pretend shop of network namespaces on this machine.\n")
        self.step("9 hosts with real programs: nginx, PostgreSQL, sshd, an order program, a till",
                  self.lab.up)
        place_probe(self.lab)
        write_report(self.lab["web1"])
        self.control = Control(self.lab)
        self.step("suimitsud runs on control", self.control.start)
        self.open_console()
        self.control.apply_inventory(yaml.safe_dump(inventory(self.lab.world)))
        hosts = self.control.agent_hosts()

        def enroll():
            for host in hosts:
                self.control.enroll(host)
            self.control.wait_enforced()
        self.step(f"{len(hosts)} agents enrolled, each with a one-time token: "
                  f"{' '.join(h.name for h in hosts)}", enroll)

    def open_console(self):
        self.address = open_console(self.control, self.password)
        self.login = keep_login(self.lab, [f"address {self.address}", f"name {NAME}", f"password {self.password}"])
        print(f"  the web console: {self.address}  (its certificate is of the demo's own authority)\n"
              f"    name {NAME}  password {self.password}   (again: sudo cat {self.login})", flush=True)

    def reach(self):
        found = measure(self.lab, SOURCES, SERVICES)
        for line in table(self.lab, found, SOURCES, SERVICES):
            print(f"    {line}", flush=True)
        return found

    def flat(self):
        print("\n1. Flat: no policy yet, so the agents only learn.  An intruder's program (the "
              "probe, as root)\n   tries from every host, over IPv4 and IPv6:\n")
        self.control.note("1. Flat: no policy yet, the agents only learn; a probe tries from every host")
        found = self.reach()
        self.drill("   The same intruder walks hop by hop, from pc1")
        return found

    def drill(self, text):
        print(f"\n{text}:")
        said = Drill(self.lab, self.control, "pc1").run()
        for line in report(said):
            print(f"    {line}", flush=True)
        if said["only_walked"]:
            raise LabError("he got further than the policy says")

    def watertight(self, before):
        print(f"\n2. Watertight: {POLICY.relative_to(ROOT)} is applied; unconfirmed, it would roll "
              "itself back after 60 s.")

        self.next_second()
        self.step("applied, and in the kernels of all agents",
                  lambda: self.control.apply(POLICY, 60, f"2. Watertight: {POLICY.name}"))
        self.works("the shop works")
        self.control.confirm()
        print("  confirmed\n")
        after = self.reach()
        self.control.note(f"the same probe again: {sum(map(bool, before.values()))} open paths before, "
                          f"{sum(map(bool, after.values()))} now")
        if sum(map(bool, after.values())) >= sum(map(bool, before.values())):
            raise LabError("the policy closed nothing")

    def works(self, text):
        """The real programs that the policy is there for go on doing their work."""
        def all_of_it():
            grows(self.lab["web1"], "orders", "an order written to db1")
            grows(self.lab["pos1"], "till", "a price fetched by the till")
            self.lab["pc1"].run("curl", "-skf", "-m", "15", "https://web1/", "-o", "/dev/null")
            self.lab["jump1"].run("ssh", "-n", "web1", "true", user="ops-1")
        self.step(f"{text}: orders reach db1, the till and pc1 read web1 by https, ops-1 may ssh "
                  "from jump1", all_of_it)
        stopped = self.lab["jump1"].run("ssh", "-n", "web1", "true", user="contractor-1",
                                        check=False)
        if stopped.returncode == 0:
            raise LabError("contractor-1 could log in")
        print(f"  contractor-1 on jump1 may not: {stopped.stderr.strip().splitlines()[-1]}")

    def program(self):
        print("\n3. The same host, the same port, another program: python3 on web1 calls db1:5432")
        script = "import socket; socket.create_connection(('db1', 5432), 3)"
        done = self.lab["web1"].run("/usr/bin/python3", "-c", script, check=False)
        if done.returncode == 0:
            raise LabError("python3 reached the database")
        print(f"  {done.stderr.strip().splitlines()[-1]}")
        self.next_second()
        self.control.note("3. Another program: python3 on web1 was refused at db1, where the order program writes")
        words = ["why", "web1", "db1", "postgres", "--process", "/usr/bin/python3"]
        print(f"  $ suimitsu {' '.join(words)}")
        out = self.control.cli(*words, check=False)
        for line in (out.stdout or out.stderr).strip().splitlines():
            print(f"    {line}")

    def quarantine(self):
        print("\n4. Quarantine: pc1 is downloading from web1 when the SOC isolates it")
        pc1 = self.lab["pc1"]
        part = pc1.path("/tmp/report")
        session = pc1.popen(["curl", "-sSk", "-N", "-o", "/tmp/report",
                             "https://web1/slow/report.bin"], stderr=subprocess.PIPE, text=True)
        self.next_second()
        wait_for(lambda: part.exists() and part.stat().st_size > 0, 10, "the download to begin")
        start = time.monotonic()
        self.control.quarantine("pc1", "4. Quarantine: it beacons")
        _, said = session.communicate(timeout=20 * PATIENCE)
        took = (time.monotonic() - start) * 1000
        if session.returncode == 0:
            raise LabError("the download went on to its end")
        self.control.note(f"pc1's living download was cut {took:.0f} ms after the command", contain_ms=round(took))
        print(f"  its live session was cut {took:.0f} ms after the command was given: "
              f"{said.strip()}")
        found = measure(self.lab, ["pc1"], SERVICES)
        left = [f"{h}:{p}" for (_, h, p), n in found.items() if n]
        print(f"  pc1 now reaches: {' '.join(left) or 'nothing'} (the remediation server)")
        if left != ["fix1:443"]:
            raise LabError(f"a suspect must reach fix1:443 alone, not {left}")

        def release():
            self.control.release("pc1", "reinstalled")
            wait_for(lambda: pc1.run("curl", "-skf", "-m", "2", "https://web1/", "-o", "/dev/null",
                                     check=False).returncode == 0, 10, "pc1 to reach web1 again")
        self.next_second()
        self.step("released; pc1 reads web1 again", release)

    def farewell(self):
        print(f"\nThe story on the map: {self.address}#/map?window=h&at={self.story_begin()}\n"
              f"  (the triangle under the title plays it; the login: sudo cat {self.login})\n"
              f"The plant: {self.plant.address}, same login")
        print(f"\nShop and plant go on running ({time.monotonic() - self.began:.0f} s so far).  Try:\n")
        for line in ("suimitsu status",
                     "suimitsu flows --since 1m --denied",
                     "suimitsu why pc1 pc2 tcp/8080",
                     "suimitsu quarantine pc2 --why test",
                     "suimitsu enforcer list"):
            print(f"  sudo lab/lab exec control -- {line}")
        for line in ("lab/lab exec hmi1 -- tail -f /var/log/hmi.log", "build/bin/suimitsu drill --from eng1"):
            print(f"  sudo {line}")
        print("\nEnd it with: sudo make demo-stop", flush=True)


def write_report(host):
    """Something to download for a while."""
    path = host.path("/opt/web/files/slow/report.bin")
    path.parent.mkdir()
    path.write_bytes(bytes(4 << 20))


def grows(host, name, what):
    log = host.path(f"/var/log/{name}.log")
    before = log.stat().st_size
    wait_for(lambda: log.stat().st_size > before, 10, what)


def stop(prefix="sm-"):
    for name in ("shop", "plant"):
        lab = Lab(name, prefix)
        lab.down()
        left = lab.leftovers()
        if left:
            raise LabError(f"still there: {', '.join(left)}")
    print("Shop and plant are gone; nothing was left behind.")
