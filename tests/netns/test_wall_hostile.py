# SPDX-License-Identifier: Apache-2.0
"""What somebody on an enforced host may try.  Only the source enforces here, so that whatever gets
out is seen at the other end; each shape is shown to arrive before the policy stands."""
import subprocess

import pytest
from labkit.system import run, wait_for
from probing import Running, try_lines, try_one
from wall import EVIL, GOOD, SERVER, Wall, target

RULES = """
services:
  work: [tcp/7001, udp/7001]
  free: [tcp/7005, udp/7005, udp/7009]
allow:
  - {id: work, from: clients, process: {exe: /opt/t/good}, to: servers, service: work,
     why: test, owner: test}
  - {id: free, from: clients, to: servers, service: free, why: test, owner: test}
"""
STRANGE = {"IGMP to one host": 2, "GRE": 47, "IP in IP": 4, "UDP-Lite": 136, "ESP": 50, "experimental": 253}
PORTS = [f"{k},{p}" for k in ("tcp", "udp") for p in (7001, 7005, 7006)] + ["udp,67", "udp,68"]


def link_address(host, interface="eth0"):
    words = host.run("ip", "-o", "link", "show", interface).stdout.split()
    return words[words.index("link/ether") + 1]


@pytest.fixture(scope="module")
def wall():
    with Wall("h", ("a",)) as wall:
        raw = [f"raw,{p}" for p in STRANGE.values()]
        with Running(wall["b"], "serve", [*PORTS, *raw], SERVER) as server:
            wall.server = server
            flat_strangers(wall)
            wall.apply(RULES)
            yield wall
    assert wall.lab.leftovers() == []


def flat_strangers(wall):
    """Before the policy every shape arrives: else the tests below would prove nothing."""
    for protocol in STRANGE.values():
        before = wall.server.totals()["raw"]
        wall["a"].run(EVIL, "try", f"raw,{wall['b'].address()},{protocol}")
        wait_for(lambda: wall.server.totals()["raw"] > before, 5, f"protocol {protocol}")
    before = wall.server.totals()["datagrams"]
    wall["a"].run(EVIL, "try", frame(wall, 7006))
    wait_for(lambda: wall.server.totals()["datagrams"] > before, 5, "the frame")


def frame(wall, port, interface="eth0"):
    a, b = wall["a"], wall["b"]
    return f"frame,{interface},{link_address(b)},{a.address()},{b.address()},{port}"


def arrived(wall, action):
    """What arrived at b while 'action' ran.  A datagram that is allowed comes last: when it has
    arrived, so has all that was sent before it."""
    before = wall.server.totals()
    action()
    line = try_lines(wall["a"], [target("udp", wall["b"], 7005)], GOOD)
    assert all(x["result"] == "open" for x in line.values())
    after = wall.server.totals()
    return {"datagrams": after["datagrams"] - before["datagrams"] - 1,
            "raw": after["raw"] - before["raw"]}


def test_a_symbolic_link_to_the_program_is_the_same_program(wall):
    a = wall["a"]
    a.run("ln", "-sf", GOOD, "/opt/t/link")
    assert try_one(a, target("tcp", wall["b"], 7001), "/opt/t/link") == "open"


@pytest.mark.parametrize("path", ["/opt/t/copy", "/tmp/good", "/opt/t/good.bak"])
def test_a_copy_of_the_program_is_another_program(wall, path):
    a = wall["a"]
    a.run("cp", GOOD, path)
    assert try_one(a, target("tcp", wall["b"], 7001), path) == "denied"
    assert try_one(a, target("udp", wall["b"], 7001), path) != "open"


def test_the_program_run_by_the_loader_is_the_loader(wall):
    loader = "/lib64/ld-linux-x86-64.so.2"
    out = wall["a"].run(loader, GOOD, "try", target("tcp", wall["b"], 7001)).stdout
    assert '"denied"' in out


def test_a_program_whose_file_was_deleted_is_unknown_and_denied(wall):
    a = wall["a"]
    a.run("cp", EVIL, "/opt/t/gone")
    with a.popen(["/opt/t/gone", "try", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                 text=True) as process:
        a.run("rm", "/opt/t/gone")
        out, _ = process.communicate(target("tcp", wall["b"], 7001) + "\n", timeout=20)
    assert '"denied"' in out


def test_a_program_in_memory_only_is_unknown_and_denied(wall):
    script = ("import os, sys; fd = os.memfd_create('x'); "
              "os.write(fd, open(sys.argv[1], 'rb').read()); "
              "os.execve(fd, ['good', 'try', sys.argv[2]], {})")
    out = wall["a"].run("/usr/bin/python3", "-c", script, GOOD,
                        target("tcp", wall["b"], 7001)).stdout
    assert '"denied"' in out


def test_python_may_not_speak_where_only_the_program_may(wall):
    script = f"import socket; socket.create_connection(('{wall['b'].address()}', 7001), 2)"
    done = wall["a"].run("/usr/bin/python3", "-c", script, check=False)
    assert "PermissionError" in done.stderr


def test_a_program_that_an_upgrade_replaced_is_recognised_again(wall):
    a = wall["a"]
    a.run("cp", GOOD, "/opt/t/good.new")
    a.run("mv", "/opt/t/good.new", GOOD)
    wait_for(lambda: try_one(a, target("tcp", wall["b"], 7001), GOOD) == "open", 10,
             "the upgraded program to be allowed")
    assert try_one(a, target("tcp", wall["b"], 7001), EVIL) == "denied"


@pytest.mark.parametrize("version", [4, 6, "mapped"])
@pytest.mark.parametrize("how", ["connect", "sendto", "sendmmsg", "other"])
def test_every_way_to_send_a_datagram_is_judged_by_its_destination(wall, how, version):
    a, b = wall["a"], wall["b"]
    via = f"via={b.address(6 if version == 6 else 4)}/7005"
    allowed = target("udp", b, 7005, version, f"how={how}", via)
    denied = target("udp", b, 7006, version, f"how={how}", via)
    lines = try_lines(a, [allowed, denied], EVIL)
    assert lines[allowed]["result"] == "open", lines
    assert lines[denied]["result"] != "open", lines
    wall.server.totals()
    tokens = {line.get("token") for line in wall.server.lines}
    assert lines[allowed]["token"] in tokens and lines[denied]["token"] not in tokens


@pytest.mark.parametrize("source", [22, 53, 443, 7005, 40001])
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_chosen_source_port_opens_nothing(wall, kind, source):
    denied = target(kind, wall["b"], 7006, 4, f"from={source}")
    line = try_lines(wall["a"], [denied], EVIL)[denied]
    assert line["result"] != "open"
    wall.server.totals()
    assert line["token"] not in {x.get("token") for x in wall.server.lines}


@pytest.mark.parametrize("source, port", [(67, 68), (68, 67)])
def test_dhcp_ports_are_no_way_to_one_host(wall, source, port):
    denied = target("udp", wall["b"], port, 4, f"from={source}")
    line = try_lines(wall["a"], [denied], EVIL)[denied]
    assert line["result"] != "open"
    wall.server.totals()
    assert line["token"] not in {x.get("token") for x in wall.server.lines}


@pytest.mark.parametrize("name", STRANGE)
def test_a_protocol_that_no_rule_names_does_not_leave(wall, name):
    def send():
        wall["a"].run(EVIL, "try", f"raw,{wall['b'].address()},{STRANGE[name]}")
    assert arrived(wall, send)["raw"] == 0


def test_a_frame_past_the_ip_layer_does_not_leave(wall):
    def send():
        for port in (7006, 7001):
            wall["a"].run(EVIL, "try", frame(wall, port))
    assert arrived(wall, send)["datagrams"] == 0


def test_a_raw_udp_packet_does_not_leave(wall):
    def send():
        wall["a"].run(EVIL, "try", f"raw,{wall['b'].address()},17")
    assert arrived(wall, send) == {"datagrams": 0, "raw": 0}


SHAPES = {
    "multipath TCP": "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)\n"
                     "s.settimeout(2); s.connect((address, port))",
    "TCP fast open": "import signal; signal.alarm(3); s = socket.socket()\n"
                     "s.sendto(b'x', 0x20000000, (address, port)); s.recv(1)",
    "a bound device": "s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)\n"
                      "s.setsockopt(socket.SOL_SOCKET, 25, b'eth0')\n"
                      "s.settimeout(2); s.connect((address, port))",
    "a non-blocking connect": "s = socket.socket(); s.setblocking(False)\n"
                              "s.connect_ex((address, port)); import select\n"
                              "assert select.select([], [s], [], 2)[1]\n"
                              "s.getpeername()",
}


@pytest.mark.parametrize("port, passes", [(7005, True), (7006, False)])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_connection_made_in_another_way_is_judged_alike(wall, shape, port, passes):
    script = f"import socket, sys\naddress, port = sys.argv[1], int(sys.argv[2])\n{SHAPES[shape]}"
    done = wall["a"].run("/usr/bin/python3", "-c", script, wall["b"].address(), port, check=False)
    assert (done.returncode == 0) == passes, done.stderr


def test_a_new_interface_is_covered(wall):
    a = wall["a"]
    net = wall.lab.net
    run("ip", "-n", net, "link", "add", "name", "extra", "type", "veth", "peer", "name", "eth1",
        "netns", a.namespace)
    run("ip", "-n", net, "link", "set", "dev", "extra", "master", "lan", "up")
    run("ip", "-n", a.namespace, "link", "set", "dev", "eth1", "up")

    def covered():
        return arrived(wall, lambda: a.run(EVIL, "try", frame(wall, 7006, "eth1")))[
            "datagrams"] == 0
    try:
        wait_for(covered, 3, "the new interface to be covered")
        assert covered()
    finally:
        run("ip", "-n", net, "link", "del", "dev", "extra")


def test_a_program_outside_the_agents_cgroup_on_the_same_host_cannot_leave_by_it(wall):
    """Leaving the cgroup leads to the network backstop: the packets have no judged socket."""
    a = wall["a"]
    root = a.cgroup.parent
    with a.popen([EVIL, "try", target("udp", wall["b"], 7006)], cgroup=root,
                 stdout=subprocess.PIPE, text=True) as process:
        out, _ = process.communicate(timeout=20)
    assert '"open"' not in out


@pytest.mark.parametrize("version", [4, 6])
def test_icmp_errors_of_allowed_traffic_come_back(wall, version):
    """Nothing listens on udp/7009 of b: its kernel says so, and the sender hears it."""
    assert try_one(wall["a"], target("udp", wall["b"], 7009, version), GOOD) == "refused"
