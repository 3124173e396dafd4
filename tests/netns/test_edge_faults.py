# SPDX-License-Identifier: Apache-2.0
"""What may happen to ports, bridges and edges while traffic runs."""
import itertools
import subprocess
from pathlib import Path

import pytest
from edge import Edge
from edge_place import Place
from frames import has
from labkit.system import BPFFS, NETNS, LabError, run, wait_for
from probing import Running, try_targets
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from wall import target

RULES = """
services:
  work: [tcp/7001, udp/7001]
allow:
  - {id: work, from: clients, to: servers, service: [work, icmp/echo], why: test, owner: test}
"""
PORTS = ["tcp,7001", "udp,7001", "tcp,7006", "udp,7006"]


@pytest.fixture
def place():
    place = Place(RULES)
    try:
        place.bind("a", "b")
        with Running(place.b, "serve", PORTS, options=["-q"]):
            yield place
    finally:
        place.down()


def net(place, *words):
    run("ip", "-n", place.lab.net, *words)


def holds(p):
    allowed = [target(k, p.b, 7001, v) for k in ("tcp", "udp") for v in (4, 6)]
    denied = [target(k, p.b, 7006, v) for k in ("tcp", "udp") for v in (4, 6)]
    return set(try_targets(p.a, allowed, limit_ms=500).values()) == {"open"} and \
        "open" not in try_targets(p.a, denied, limit_ms=300).values()


def test_a_port_that_flaps_loses_no_flow_and_lets_nothing_through(place):
    with Running(place.a, "hold", [target("tcp", place.b, 7001)], options=["-n", "20"]) as session:
        for _ in range(20):
            net(place, "link", "set", "dev", "a", "down")
            net(place, "link", "set", "dev", "a", "up")
        before = session.totals()["exchanges"]
        wait_for(lambda: session.totals()["exchanges"] > before + 50, 20, "sessions going on")
        assert session.end()["cut"] == 0
    assert holds(place)


def test_a_bridge_that_is_deleted_and_made_anew_changes_nothing_at_the_ports(place):
    net(place, "link", "del", "dev", "lan")
    net(place, "link", "add", "name", "lan", "type", "bridge", "forward_delay", "0")
    net(place, "link", "set", "dev", "lan", "up")
    for name in "abc":
        net(place, "link", "set", "dev", name, "master", "lan", "up")
    wait_for(lambda: holds(place), 10, "the bridge to forward")


@pytest.mark.parametrize("mtu", [1280, 1500, 9000, 65535])
def test_long_datagrams_pass_in_pieces_or_whole_at_any_mtu(place, mtu):
    for name in "ab":
        net(place, "link", "set", "dev", name, "mtu", str(mtu))
        place.lab[name].run("ip", "link", "set", "dev", "eth0", "mtu", str(mtu))
    net(place, "link", "set", "dev", "lan", "mtu", str(mtu))
    send = ("import socket,sys; s=socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
            "socket.SOCK_DGRAM); s.settimeout(3); s.connect((sys.argv[1], int(sys.argv[2])));"
            "s.send(b'x' * 20000); print(len(s.recv(65535)) > 0)")
    for version in (4, 6):
        said = place.a.run("/usr/bin/python3", "-c", send, place.b.address(version), "7001", check=False)
        assert said.stdout == "True\n", (version, said.stderr[-300:])
        said = place.a.run("/usr/bin/python3", "-c", send, place.b.address(version), "7006", check=False)
        assert said.stdout == "", version


def test_a_second_edge_is_refused_by_name_and_the_first_goes_on(place):
    with pytest.raises(LabError, match="EBUSY: another edge .process [0-9]+. stands at the ports"):
        Edge(place.lab, name="other")
    assert holds(place)
    place.edge.put(place.a)
    assert holds(place) and not Path(BPFFS / f"{place.lab.net}-other").exists()


def test_a_name_that_an_ordinary_user_takes_keeps_no_edge_away(place):
    squat = ("import os, socket, time; os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
             "s.bind(chr(0) + 'suimitsu-edge'); s.listen(); print('taken', flush=True); time.sleep(60)")
    place.edge.kill()
    squatter = subprocess.Popen(["nsenter", f"--net={NETNS / place.lab.net}", "/usr/bin/python3", "-c", squat],
                                stdout=subprocess.PIPE)
    try:
        assert squatter.stdout.readline() == b"taken\n"
        place.edge.start()
    finally:
        squatter.kill()
        squatter.wait()
    for name in sorted(place.bound):
        place.edge.put(place.lab[name])
        place.edge.load(place.lab[name], place.programs[name])
    assert holds(place)


def test_the_interface_goes_in_the_middle_of_a_flood(place):
    flood = subprocess.Popen(["nsenter", f"--net={NETNS / place.a.namespace}", "/usr/bin/python3", "-c",
                              "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                              "try:\n  while True: s.sendto(b'x',('10.77.0.2',7006))\nexcept OSError: pass"])
    try:
        wait_for(lambda: place.edge.counters("a")["denied"] > 1000, 10, "the flood")
        net(place, "link", "del", "dev", "a")
        wait_for(lambda: not place.edge.status("a")["present"], 10, "the port to be gone")
    finally:
        flood.kill()
        flood.wait()
    assert place.edge.status("b")["present"]


def test_a_suspect_stays_one_until_every_port_has_heard_otherwise():
    rules = RULES.replace("from: clients", "from: [clients, others]")
    place, sources = Place(rules, flush="b"), itertools.count(5000)  # Each time another flow.

    def passes():
        frame = Ether(src=place.mac["c"], dst=place.mac["b"]) / IP(src=place.lab["c"].address(),
                                                                   dst=place.lab["b"].address()) / \
            UDP(sport=next(sources), dport=7001) / Raw(bytes(30))
        return has(place.send("c", "b", frame), frame)
    try:
        place.bind("a", "b")
        assert passes()
        place.apply(rules, states={"c": "black"})
        assert not passes()
        place.compile(rules)  # Released; the ports hear of it one after the other.
        place.edge.load(place.a, place.programs["a"])
        assert not passes()
        place.edge.load(place.b, place.programs["b"])
        assert passes()
    finally:
        place.down()
