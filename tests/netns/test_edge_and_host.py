# SPDX-License-Identifier: Apache-2.0
"""A host agent inside and an edge outside of the same guests: what both allow passes, what either
denies does not; and what root does to the agent inside opens nothing that the edge holds."""
import json
import os
import socket

import pytest
from edge import Edge, compile_programs, mac_of
from edge_place import ALL, GROUPS
from frames import Wire, has
from labkit import Lab, World, binary, inventory
from labkit.system import CLONE_NEWNET, NETNS, enter_namespace, wait_for
from probing import Running, install_probe, try_targets
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw
from wall import EVIL, GOOD, SERVER, Agent, target

WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"], agent: true}
  b: {labels: {role: server}, bridge: lan, addresses: [10.77.0.2, "fd77::2"]}
"""
RULES = """
services:
  work: [tcp/7001, udp/7001]
  free: [tcp/7005, udp/7005]
allow:
  - {id: work, from: clients, process: {exe: /opt/t/good}, to: servers, service: work, why: t, owner: t}
  - {id: free, from: clients, to: servers, service: free, why: t, owner: t}
"""
PACKET_QDISC_BYPASS = 20


@pytest.fixture(scope="module")
def both():
    """An agent in a, and an edge at a's port; b has neither, so that what gets out is seen."""
    lab = Lab(World("both", WORLD), f"sm-x{os.getpid() % 10000}-").up()
    lab.edge = None
    try:
        install_probe(lab["a"], GOOD, EVIL)
        install_probe(lab["b"], SERVER)
        data = inventory(lab.world)
        data["endpoints"]["a"]["enforcers"] = ["host", "edge"]
        (lab.folder / "policy.yaml").write_text(GROUPS + RULES)
        (lab.folder / "inventory.json").write_text(json.dumps(data))
        lab.program = compile_programs(lab.folder, lab.folder / "policy.yaml",
                                       lab.folder / "inventory.json", "a", 1)["a"]
        lab.edge = Edge(lab)
        lab.edge.put(lab["a"])
        lab.edge.load(lab["a"], lab.program)
        lab.agent = Agent(lab["a"])
        lab.agent.install(lab.program)
        lab.agent.start()
        lab.agent.wait_revision(1)
        ports = [f"{k},{p}" for k in ("tcp", "udp") for p in (7001, 7005, 7006)]
        with Running(lab["b"], "serve", [*ports, "raw,47", "raw,4"], SERVER) as lab.server:
            yield lab
    finally:
        if lab.edge:
            lab.edge.down()
        lab.down()
    assert lab.leftovers() == []


def ask(lab, exe):
    targets = [target(k, lab["b"], p, v) for k in ("tcp", "udp") for p in (7001, 7005, 7006)
               for v in (4, 6)]
    results = try_targets(lab["a"], targets, exe, limit_ms=300)
    return {p for p in (7001, 7005, 7006)
            if "open" in {r for t, r in results.items() if t.split(",")[2] == str(p)}}


def test_each_end_of_the_wall_holds_its_half(both):
    assert ask(both, GOOD) == {7001, 7005}
    assert ask(both, EVIL) == {7005}  # The program is the agent's to check.


class Bypass:
    """Root's packet socket that goes round tc inside the guest."""

    def __init__(self, host):
        home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        enter_namespace(NETNS / host.namespace, CLONE_NEWNET)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.socket.setsockopt(263, PACKET_QDISC_BYPASS, 1)
        enter_namespace(f"/proc/self/fd/{home}", CLONE_NEWNET)
        os.close(home)
        self.socket.bind(("eth0", 0))

    def send(self, frame):
        self.socket.send(bytes(frame))


def shapes(mac_a, mac_b):
    e = Ether(src=mac_a, dst=mac_b)
    ip = IP(src="10.77.0.1", dst="10.77.0.2")
    return {
        "a forbidden datagram": e / ip / UDP(sport=1, dport=7006) / Raw(b"x"),
        "a forbidden connection": e / ip / TCP(sport=1, dport=7006, flags="S"),
        "a segment of no connection": e / ip / TCP(sport=1, dport=7005, flags="PA") / Raw(b"x"),
        "another's address": e / IP(src="10.77.0.9", dst="10.77.0.2") / UDP(sport=1, dport=7005),
        "another's MAC": Ether(src="02:66:66:66:66:66", dst=mac_b) / ip / UDP(sport=1, dport=7005),
        "ARP for the gateway": e / ARP(op=2, hwsrc=mac_a, psrc="10.77.0.254", pdst="10.77.0.2"),
        "GRE": e / IP(src="10.77.0.1", dst="10.77.0.2", proto=47) / Raw(b"\0" * 40),
        "IP in IP": e / IP(src="10.77.0.1", dst="10.77.0.2", proto=4) / ip / UDP(dport=7006),
        "a VLAN tag": e / Dot1Q(vlan=5) / ip / UDP(sport=1, dport=7005) / Raw(b"x"),
        "a tail of a datagram": e / IP(src="10.77.0.1", dst="10.77.0.2", proto=17, frag=8) / Raw(b"x" * 40),
        "DHCP answers": Ether(src=mac_a, dst=ALL) / IP(src="10.77.0.1", dst="255.255.255.255") /
        UDP(sport=67, dport=68) / Raw(b"\2" + b"\0" * 300),
        "an unknown protocol": e / IP(src="10.77.0.1", dst="10.77.0.2", proto=253) / Raw(b"x" * 40),
    }


def test_what_goes_round_the_agent_does_not_go_round_the_edge(both):
    """AF_PACKET with PACKET_QDISC_BYPASS: the residue of the agent alone (SECURITY.md)."""
    bypass, seen = Bypass(both["a"]), Wire(both["b"])
    frames = shapes(mac_of(both["a"]), mac_of(both["b"]))
    for edge_is_there in (True, False):
        if not edge_is_there:
            both.edge.command("remove", "a")
        arrived = []
        for frame in frames.values():
            bypass.send(frame)
        fence = Ether(src=mac_of(both["a"]), dst=ALL) / ARP(
            op=1, hwsrc=mac_of(both["a"]), psrc="10.77.0.1", pdst="10.77.0.2",
            hwdst=f"00:00:00:00:00:{int(edge_is_there):02x}")
        bypass.send(fence)
        arrived = seen.received_until(fence)
        through = {name for name, frame in frames.items() if has(arrived, frame)}
        assert through == (set() if edge_is_there else set(frames)), through
    seen.close()
    both.edge.put(both["a"])
    both.edge.load(both["a"], both.program)


def test_an_agent_that_root_kills_and_detaches_leaves_the_edge(both):
    both.agent.kill()
    both["a"].run(binary("suimitsu-agent"), "detach", *both.agent.options)
    before = both.server.totals()
    both["a"].run(EVIL, "try", "-t", "300", f"raw,{both['b'].address()},47", f"raw,{both['b'].address()},4",
                  check=False)
    assert ask(both, EVIL) == {7001, 7005}  # No program is checked any more; ports are.
    assert both.server.totals()["raw"] == before["raw"]
    both.agent.start()
    both.agent.wait_revision(1)
    wait_for(lambda: ask(both, EVIL) == {7005}, 10, "both halves")
