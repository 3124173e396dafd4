# SPDX-License-Identifier: Apache-2.0
"""Edited maps, policies that are too large, and sockets that change hands."""
import json

import pytest
from labkit.system import run, wait_for
from probing import Running, try_one
from wall import EVIL, GOOD, SERVER, Wall, compile_policy, target, GROUPS

PYTHON = "/usr/bin/python3"
RULES = """
services:
  work: [tcp/7001, udp/7001]
  scripts: [tcp/7005]
allow:
  - {id: work, from: clients, process: {exe: /opt/t/good}, to: servers, service: work,
     why: test, owner: test}
  - {id: scripts, from: clients, process: {exe: /opt/t/python}, to: servers, service: scripts,
     why: test, owner: test}
"""
MORE = "".join(f"""
  - {{id: more-{n}, from: clients, to: servers, service: tcp/{8000 + n}, why: test, owner: test}}"""
               for n in range(60))
# /opt/t/python makes a socket; another copy of Python receives it over a unix socket and connects.
MAKER = """
import socket, subprocess, sys
here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
made = socket.socket()
child = subprocess.Popen([sys.argv[1], "-c", sys.argv[2], sys.argv[3]], stdin=there)
socket.send_fds(here, [b"x"], [made.fileno()])
sys.exit(child.wait())
"""
TAKER = """
import socket, sys
taken = socket.socket(fileno=socket.recv_fds(socket.socket(fileno=0), 1, 1)[1][0])
try:
    taken.settimeout(3)
    taken.connect((sys.argv[1], 7005))
    print("open")
except OSError as e:
    print(type(e).__name__)
"""


@pytest.fixture(scope="module")
def wall():
    with Wall("m", ("a",)) as wall:
        wall["a"].run("cp", "/usr/bin/python3.11", "/opt/t/python")
        with Running(wall["b"], "serve", ["tcp,7001", "udp,7001", "tcp,7005"], SERVER):
            wall.apply(RULES)
            yield wall
    assert wall.lab.leftovers() == []


def map_of(wall, name):
    return wall["a"].pins / f"map_{name}"


def config_bytes(wall):
    out = run("bpftool", "-j", "map", "dump", "pinned", map_of(wall, "config")).stdout
    return [int(b, 16) for b in json.loads(out)[0]["value"]]


def assert_holds(wall):
    assert try_one(wall["a"], target("tcp", wall["b"], 7001), GOOD) == "open"
    assert try_one(wall["a"], target("tcp", wall["b"], 7001), EVIL) == "denied"


def test_an_edited_map_is_put_back_and_reported(wall):
    agent = wall.agents["a"]
    before, good = agent.status()["tampers_repaired"], config_bytes(wall)
    evil = [*good]
    evil[0] ^= 1  # The other slot.
    run("bpftool", "map", "update", "pinned", map_of(wall, "config"), "key", 0, 0, 0, 0, "value",
        *evil)
    wait_for(lambda: config_bytes(wall) == good, 5, "the repaired map")
    wait_for(lambda: agent.status()["tampers_repaired"] > before, 5, "the count")
    wait_for(lambda: any("config" in x["text"] for x in agent.notices() if x["notice"] == "tamper"), 5, "the report")
    assert_holds(wall)


def test_the_tables_of_a_policy_cannot_be_edited_at_all(wall):
    outer = run("bpftool", "-j", "map", "dump", "pinned", map_of(wall, "entries")).stdout
    inner = [int.from_bytes(bytes(int(b, 16) for b in x["value"]), "little")
             for x in json.loads(outer) if isinstance(x.get("value"), list)]
    assert inner, outer
    for number in inner:
        done = run("bpftool", "map", "update", "id", number, "key", *([0] * 12), "value",
                   *([0] * 8), check=False)
        assert done.returncode != 0 and "not permitted" in done.stderr.lower(), done.stderr
    assert_holds(wall)


def test_a_policy_over_the_limit_is_refused_by_name_and_number_and_the_former_stays(wall):
    agent = wall.agents["a"]
    former = agent.status()["revision"]
    agent.kill()
    agent.options += ["--max-entries", "40"]
    agent.start()
    agent.wait_revision(former)
    path, _ = compile_policy(wall.lab.folder, GROUPS + RULES + MORE, wall.inventory, "a")
    agent.install(path)
    agent.reload()
    wait_for(lambda: "the limit here is 40" in agent.log(), 5, "the refusal")
    assert "the policy for a needs" in agent.log()
    assert agent.status()["revision"] == former
    assert_holds(wall)
    assert try_one(wall["a"], target("tcp", wall["b"], 8003), GOOD) == "denied"
    agent.options = agent.options[:-2]


def test_a_socket_made_by_one_program_and_connected_by_another_belongs_to_neither(wall):
    a, address = wall["a"], wall["b"].address(4)
    own = a.run("/opt/t/python", "-c", MAKER, "/opt/t/python", TAKER, address)
    assert own.stdout.strip() == "open", own.stderr
    for maker, taker in (("/opt/t/python", PYTHON), (PYTHON, "/opt/t/python"), (PYTHON, PYTHON)):
        done = a.run(maker, "-c", MAKER, taker, TAKER, address)
        assert done.stdout.strip() == "PermissionError", (maker, taker, done.stdout, done.stderr)


ROUTED = """
import socket, sys
s = socket.socket()
if sys.argv[2] == "routed":  # Loose source route (RFC 791 section 3.1) by way of the target itself.
    s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS,
                 bytes([131, 7, 4]) + socket.inet_aton(sys.argv[1]) + bytes(1))
s.settimeout(2)
try:
    s.connect((sys.argv[1], 7005))
    print("open")
except OSError as e:
    print(type(e).__name__)
"""


def test_ip_options_cannot_lead_around_the_judged_destination(wall):
    a, address = wall["a"], wall["b"].address(4)
    before = wall.agents["a"].status()["counters"]["malformed"]
    assert a.run("/opt/t/python", "-c", ROUTED, address, "plain").stdout.strip() == "open"
    routed = a.run("/opt/t/python", "-c", ROUTED, address, "routed").stdout.strip()
    assert routed in ("TimeoutError", "PermissionError")
    assert wall.agents["a"].status()["counters"]["malformed"] > before


def takes_hangups(pid):
    """True when SIGHUP (the first bit) is blocked or caught: its default would end the agent."""
    fields = dict(line.split(":", 1) for line in open(f"/proc/{pid}/status"))
    return (int(fields["SigBlk"], 16) | int(fields["SigCgt"], 16)) & 1


def test_a_hangup_during_the_start_does_not_end_the_agent(wall):
    agent = wall.agents["a"]
    wanted = wall.apply(RULES)["a"]
    for _ in range(3):
        agent.kill()
        agent.start()
        wait_for(lambda: takes_hangups(agent.process.pid), 5, "main() of the agent", 0.001)
        for _ in range(200):
            agent.reload()
        agent.wait_revision(wanted)
    assert_holds(wall)
