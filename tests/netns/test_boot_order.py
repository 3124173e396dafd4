# SPDX-License-Identifier: Apache-2.0
"""Boot order: a guest that sends from its first instant, in a loop that began before its port was there,
gets nothing out before the policy stands: with the agent running, and with the agent starting later."""
import json
import os
import signal
import subprocess

import pytest
import yaml
from frames import Wire
from labkit import Control, EdgeAgent, Lab, World, inventory
from labkit.system import run, wait_for

WORLD = """\
suimitsu-lab: 1
edge: outside
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  control: {labels: {role: controller}, bridge: lan, addresses: [10.77.0.9, "fd77::9"]}
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"], edge: true}
  b: {labels: {role: server}, bridge: lan, addresses: [10.77.0.2, "fd77::2"], edge: true}
"""
POLICY = """\
suimitsu: 1
groups:
  clients: {match: {role: client}}
  servers: {match: {role: server}}
allow:
  - {id: work, from: clients, to: servers, service: udp/7001, why: test, owner: test}
"""
GUARD = ("--edge-only", "--guard", "a*", "--guard", "b*")
# Root in the guest: a packet socket as soon as there is an interface, and then frame after frame.  What is
# forbidden, what claims to be another, and what the policy allows; counted until SIGTERM.
SENDER = """
import json, signal, socket, sys
frames = [bytes.fromhex(x) for x in sys.argv[1:]]
ended, sent = [], 0
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
print("ready", flush=True)
while not ended:
    try:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind(("eth0", 0))
        while not ended:
            for frame in frames:
                s.send(frame)
                sent += 1
    except OSError:
        s.close()
print(json.dumps(sent), flush=True)
"""
FORBIDDEN, SPOOFED, ALLOWED = b"forbidden!", b"spoofed!!!", b"allowed!!!"


def datagram(world, port, token, source="10.77.0.1"):
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw
    return bytes(Ether(src=world.mac("a"), dst=world.mac("b")) / IP(src=source, dst="10.77.0.2") /
                 UDP(sport=4000, dport=port) / Raw(token)).hex()


class Guest:
    """a sends in a loop from before its port is there."""

    def __init__(self, site):
        self.site, self.process = site, None

    def __enter__(self):
        world = self.site.lab.world
        self.process = self.site.lab["a"].popen(
            ["/usr/bin/python3", "-c", SENDER, datagram(world, 7006, FORBIDDEN),
             datagram(world, 7001, SPOOFED, "10.77.0.66"), datagram(world, 7001, ALLOWED)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"
        return self

    def end(self):
        """How many it sent."""
        self.process.terminate()
        return json.loads(self.process.stdout.readline())

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class Site:
    def __init__(self, lab):
        self.lab, self.control = lab, Control(lab)
        self.control.start()
        self.control.apply_inventory(yaml.safe_dump(inventory(lab.world)))
        self.edge = EdgeAgent(lab, self.control, options=GUARD)
        self.edge.enroll()
        self.edge.start()
        self.control.wait_guarded()
        (lab.folder / "policy.yaml").write_text(POLICY)
        self.control.apply(lab.folder / "policy.yaml")
        self.wire, self.seen = Wire(lab["b"]), dict.fromkeys((FORBIDDEN, SPOOFED, ALLOWED), 0)

    def unplug(self):
        run("ip", "-n", self.lab.net, "link", "del", "dev", "a")

    def plug(self):
        """The port appears, up and in its bridge at once; the guest's end is up before it."""
        lab = self.lab
        run("ip", "-n", lab.net, "-batch", "-", stdin=f"""\
link add name a type veth peer name eth0 address {lab.world.mac("a")} netns {lab["a"].namespace}
link set dev a master lan
""")
        lab["a"].run("ip", "link", "set", "eth0", "up")
        run("ip", "-n", lab.net, "link", "set", "dev", "a", "up")

    def arrived(self):
        """{token: how many in all} at b."""
        for frame in self.wire.received():
            for token in self.seen:
                self.seen[token] += token in frame
        return self.seen

    def forget(self):
        self.wire.received()
        self.seen = dict.fromkeys(self.seen, 0)

    def sends_for_a_while(self):
        """Until the guest's own interface has counted some thousand frames."""
        def counted():
            text = self.lab["a"].run("cat", "/proc/net/dev").stdout
            line = next((x for x in text.splitlines() if "eth0:" in x), None)
            return line and int(line.split()[10]) > 3000
        wait_for(counted, 20, "the guest to send")


@pytest.fixture(scope="module")
def site():
    with Lab(World("boot", WORLD), f"sm-n{os.getpid() % 10000}-") as lab:
        site = Site(lab)
        try:
            yield site
        finally:
            site.edge.down()
    assert lab.leftovers() == []


def held(site):
    """Nothing but what the policy allows has come, and that has."""
    wait_for(lambda: site.arrived()[ALLOWED] > 20, 20, "the policy to stand at the port")
    seen = site.arrived()
    assert (seen[FORBIDDEN], seen[SPOOFED]) == (0, 0), seen


@pytest.mark.parametrize("time", range(5))
def test_a_port_that_appears_while_its_guest_sends_lets_out_what_the_policy_allows_and_no_frame_before(site, time):
    site.unplug()
    site.forget()
    with Guest(site) as guest:
        site.plug()
        held(site)
        site.sends_for_a_while()
        held(site)
        assert guest.end() > 3000


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_while_no_agent_runs_a_guarded_port_that_appears_is_closed_until_one_does(site, sign):
    site.edge.end(sign)
    site.unplug()
    site.forget()
    with Guest(site) as guest:
        site.plug()
        site.sends_for_a_while()
        assert sum(site.arrived().values()) == 0  # Not even what the policy allows.
        site.edge.start()
        held(site)
        site.sends_for_a_while()
        held(site)
        assert guest.end() > 3000
    site.control.wait_guarded()


def test_after_a_boot_the_policy_stands_without_the_controller(site):
    """Nothing of ours is in the kernel, as after a boot; the controller is not there.  The agent comes up
    first, as its unit is ordered (Before=network-pre.target), and then the guest."""
    site.edge.end()
    site.lab.stop_program("control", "suimitsud")
    assert site.edge.agent("detach").returncode == 0
    site.unplug()
    site.forget()
    site.edge.start()
    wait_for(lambda: (site.edge.status() or {}).get("edges"), 20, "the agent to stand guard")
    with Guest(site) as guest:
        site.plug()
        held(site)
        site.sends_for_a_while()
        held(site)
        assert guest.end() > 3000
    site.control.start()
    site.control.wait_guarded()


def test_a_guest_that_was_there_before_the_first_agent_is_closed_when_the_agent_says_that_it_runs(site):
    """The wrong order: what came before the agent came through, which shows that this bench sees it."""
    site.edge.end()
    assert site.edge.agent("detach").returncode == 0
    site.unplug()
    site.forget()
    with Guest(site) as guest:
        site.plug()
        wait_for(lambda: min(site.arrived().values()) > 20, 20, "frames of an unguarded port")
        site.edge.start()
        wait_for(lambda: (site.edge.status() or {}).get("edges"), 20, "the agent to stand guard")
        site.control.wait_guarded()
        site.forget()
        held(site)
        guest.end()
