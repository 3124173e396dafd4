# SPDX-License-Identifier: Apache-2.0
"""The nftables enforcer with real packets: replacement under traffic, edits by hand, other tables."""
import json

import pytest
from labkit import binary
from labkit.system import run
from nft import Nft
from probing import Running, try_one, try_targets
from wall import GOOD, GROUPS, OTHER, SERVER, compile_policy, make_lab, target

from labkit import inventory

SERVICES = """
services:
  one: [tcp/7001, udp/7001]
  two: [tcp/7002, udp/7002]
  three: [tcp/7003, udp/7003]
"""
ALLOW = SERVICES + """
never:
  - {id: drop, from: any, to: any, service: three, why: test, owner: test}
allow:
  - {id: accept, from: clients, to: servers, service: one, why: test, owner: test}
  - {id: jump, from: clients, to: servers, service: two, why: test, owner: test}
"""
LESS = SERVICES + """
never:
  - {id: drop, from: any, to: any, service: three, why: test, owner: test}
allow:
  - {id: jump, from: clients, to: servers, service: two, why: test, owner: test}
"""
FLOOD = 3000


class Place:
    """Host a with nft, hosts b and c with servers and nothing else."""

    def __init__(self):
        self.lab = make_lab("n", ends=())
        self.a, self.b, self.c = (self.lab[x] for x in "abc")
        self.inventory = inventory(self.lab.world)
        self.inventory["endpoints"]["a"]["enforcers"] = ["nft"]
        self.nft = Nft(self.a)

    def apply(self, rules, states=None, groups=GROUPS):
        for name, endpoint in self.inventory["endpoints"].items():
            endpoint.pop("state", None)
            if (states or {}).get(name):
                endpoint["state"] = states[name]
        program, revision = compile_policy(self.lab.folder, groups + rules, self.inventory, "a")
        assert self.nft.load(program)["revision"] == revision

    def holds(self):
        """True when exactly what ALLOW says passes."""
        seen = try_targets(self.a, [target(k, self.b, p, v) for k in ("tcp", "udp")
                                    for p in (7001, 7002, 7003) for v in (4, 6)], GOOD, limit_ms=400)
        return all((r == "open") == ("7003" not in t) for t, r in seen.items())

    def down(self):
        self.nft.end()
        self.lab.down()
        assert self.lab.leftovers() == []


@pytest.fixture(scope="module")
def place():
    place = Place()
    ports = [f"{k},{p}" for k in ("tcp", "udp") for p in (7001, 7002, 7003)]
    try:
        with Running(place.b, "serve", ports, SERVER, options=["-q"]), \
                Running(place.c, "serve", ports, SERVER, options=["-q"]), \
                Running(place.a, "serve", ports, OTHER, options=["-q"]):
            yield place
    finally:
        place.down()


def test_both_families_and_both_ways_are_judged_and_others_come_in_only_where_a_rule_says(place):
    place.apply(ALLOW)
    assert place.holds()
    assert try_one(place.a, target("icmp", place.b), GOOD, limit_ms=400) != "open"
    for version in (4, 6):
        assert try_one(place.a, target("tcp", place.c, 7001, version), GOOD, limit_ms=400) != "open"
        for kind in ("tcp", "udp"):
            assert try_one(place.b, target(kind, place.a, 7001, version), GOOD,
                           limit_ms=400) != "open"
    place.apply(ALLOW.replace("from: clients, to: servers", "from: servers, to: clients"))
    for version in (4, 6):
        for kind in ("tcp", "udp"):
            assert try_one(place.b, target(kind, place.a, 7001, version), GOOD) == "open"
            assert try_one(place.a, target(kind, place.b, 7001, version), GOOD,
                           limit_ms=400) != "open"


def test_echo_passes_where_it_is_allowed_and_not_back(place):
    place.apply("allow:\n  - {id: e, from: clients, to: servers, service: icmp/echo, why: w, "
                "owner: o}\n")
    for version in (4, 6):
        assert try_one(place.a, target("icmp", place.b, None, version), GOOD) == "open"
        assert try_one(place.b, target("icmp", place.a, None, version), GOOD, limit_ms=400) != "open"


def test_a_change_holds_for_living_connections_and_leaves_the_others_alone(place):
    place.apply(ALLOW)
    forbidden = [target(k, place.b, 7001, v) for k in ("tcp", "udp") for v in (4, 6)]
    allowed = [target(k, place.b, 7002, v) for k in ("tcp", "udp") for v in (4, 6)]
    with Running(place.a, "hold", allowed, GOOD, options=["-i", "10", "-n", "5"]) as kept, \
            Running(place.a, "hold", forbidden, GOOD, options=["-i", "10"]) as lost:
        for _ in range(10):
            place.apply(ALLOW)
        place.apply(LESS)
        cut = set()
        while cut != set(forbidden):
            line = lost.next_line(20)
            assert line is not None
            if line.get("event") == "cut":
                cut.add(line["target"])
        end = kept.end()
    assert end["cut"] == 0 and end["exchanges"] > 50, end


def test_no_packet_that_is_allowed_is_refused_while_tables_are_replaced(place):
    """A refused datagram ends its session at once: send() says EPERM."""
    place.apply(ALLOW)
    with Running(place.a, "hold", [target("udp", place.b, 7002, v) for v in (4, 6)], GOOD,
                 options=["-i", "1", "-n", "40"]) as kept:
        for n in range(60):
            place.apply(LESS if n % 2 else ALLOW)
        end = kept.end()
    assert end["cut"] == 0, [x for x in kept.lines if x.get("event") == "cut"]


@pytest.mark.parametrize("edit", [["add", "chain", "inet", "suimitsu", "{}z9"],
                                  ["add", "rule", "inet", "suimitsu", "{}a1", "accept"]])
def test_what_an_interrupted_replacement_left_is_no_obstacle(place, edit):
    """The other slot has something, and it is not in use."""
    place.apply(ALLOW)
    used = "g1_" if "@g1_" in place.nft.nft("list", "chain", "inet", "suimitsu", "out") else "g0_"
    other = {"g0_": "g1_", "g1_": "g0_"}[used]
    for words in (["add", "chain", "inet", "suimitsu", "{}a1"], edit):
        place.nft.nft(*[w.format(other) for w in words])
    place.nft.nft("add", "map", "inet", "suimitsu", f"{other}s00", "{ type inet_proto . inet_service : verdict; }")
    place.apply(LESS)
    listing = place.nft.nft("list", "table", "inet", "suimitsu")
    assert used not in listing and other in listing and f"{other}z9" not in listing
    assert try_one(place.a, target("tcp", place.b, 7002), GOOD) == "open"
    assert try_one(place.a, target("tcp", place.b, 7001), GOOD, limit_ms=400) != "open"


RELUCTANT = """#!/bin/sh
# nft, but the step that points the hooks to the new tables is refused.
case "$*" in *"-f -"*) ;; *) exec /usr/sbin/nft "$@" ;; esac
/bin/cat >"$0.document"
if [ -e "$0.refuse" ] && /bin/grep -q '"hook"' "$0.document" && ! /bin/grep -q '"delete":{"table"' "$0.document"; then
    echo "Error: Could not process rule: Cannot allocate memory" >&2
    exit 1
fi
exec /usr/sbin/nft "$@" <"$0.document"
"""


def test_what_nft_refuses_is_not_in_force_and_the_reason_is_told(place):
    nft = place.lab.folder / "reluctant-nft"
    nft.write_text(RELUCTANT)
    nft.chmod(0o755)
    place.nft.end()
    place.nft = Nft(place.a, nft)
    place.apply(ALLOW)
    running = place.nft.ask("check")["revision"]
    program, revision = compile_policy(place.lab.folder, GROUPS + LESS, place.inventory, "a")
    nft.with_suffix(".refuse").touch()
    refused = place.nft.ask(f"load {program}", check=False)
    assert not refused["ok"] and "Cannot allocate memory" in refused["why"], refused
    assert refused["revision"] == running != revision
    assert place.holds()
    nft.with_suffix(".refuse").unlink()
    assert place.nft.load(program)["revision"] == revision
    assert not place.holds()


def test_nothing_forbidden_passes_while_tables_are_replaced_under_a_flood(place):
    place.apply(ALLOW)
    count_b = Nft(place.b)
    count_b.nft("-f", "-", stdin="table inet count {\n chain c {\n type filter hook prerouting "
                "priority -400;\n udp dport 7003 counter\n udp dport 7002 counter\n }\n}\n")
    try:
        with Running(place.a, "flood", [target("udp", place.b, 7003)], GOOD,
                     options=["-c", str(FLOOD), "-e"]) as four, \
                Running(place.a, "flood", [target("udp", place.b, 7003, 6)], GOOD,
                        options=["-c", str(FLOOD), "-e"]) as six, \
                Running(place.a, "hold", [target("tcp", place.b, 7002)], GOOD,
                        options=["-i", "5", "-n", "5"]) as kept:
            for n in range(20):
                place.apply(LESS if n % 2 else ALLOW)
            ends = [x.end(120) for x in (four, six)]
            kept_end = kept.end()
        listing = json.loads(count_b.nft("-j", "list", "table", "inet", "count"))
    finally:
        count_b.nft("delete", "table", "inet", "count")
        count_b.end()
    counted = [e["counter"]["packets"] for x in listing["nftables"] if "rule" in x
               for e in x["rule"]["expr"] if "counter" in e]
    assert all(x["sent"] >= FLOOD for x in ends), ends
    assert counted[0] == 0
    assert kept_end["cut"] == 0 and kept_end["exchanges"] > 0


EDITS = {
    "a rule that accepts everything": ["insert", "rule", "inet", "suimitsu", "out", "accept"],
    "a chain without its rules": ["flush", "chain", "inet", "suimitsu", "out"],
    "a table without its rules": ["flush", "table", "inet", "suimitsu"],
    "no table": ["delete", "table", "inet", "suimitsu"],
    "a base chain that accepts by default": ["add", "chain", "inet", "suimitsu", "out",
                                             "{ policy accept; }"],
    "a chain more": ["add", "chain", "inet", "suimitsu", "g0_z9"],
    "a set more": ["add", "set", "inet", "suimitsu", "mine", "{ type ipv4_addr; }"],
    "a base chain more": ["add", "chain", "inet", "suimitsu", "mine",
                          "{ type filter hook output priority -10; }"],
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_table_edited_by_hand_is_noticed_and_repaired(edit, place):
    place.apply(ALLOW)
    before = place.nft.nft("-s", "list", "table", "inet", "suimitsu")
    assert not place.nft.check()
    place.nft.nft(*EDITS[edit])
    assert place.nft.check()
    assert not place.nft.check()
    after = place.nft.nft("-s", "list", "table", "inet", "suimitsu")
    assert sorted(after.replace("g1_", "g0_").splitlines()) == \
        sorted(before.replace("g1_", "g0_").splitlines())
    assert place.holds()


def test_an_element_taken_out_of_a_map_is_noticed(place):
    place.apply(ALLOW)
    listing = json.loads(place.nft.nft("-j", "list", "table", "inet", "suimitsu"))
    found = next(x["map"] for x in listing["nftables"] if "map" in x
                 and x["map"]["name"].endswith("o_v4"))
    first = found["elem"][0][0]["range"]
    place.nft.nft("delete", "element", "inet", "suimitsu", found["name"],
                  "{ " + "-".join(first) + " }")
    assert place.nft.check() and not place.nft.check() and place.holds()


def test_other_tables_stay_as_they_are_and_go_on_counting_and_dropping(place):
    place.nft.nft("-f", "-", stdin="table ip theirs {\n set s { type ipv4_addr; elements = "
                  "{ 10.77.0.3 } }\n chain jump1 {\n type filter hook output priority 10;\n"
                  " ip daddr 10.77.0.2 tcp dport 7002 counter drop\n }\n}\n"
                  "table inet suimitsu_other {\n chain out { accept; }\n}\n")
    try:
        def theirs():
            return [place.nft.nft("-a", "-s", "list", "table", *t.split())
                    for t in ("ip theirs", "inet suimitsu_other")]
        before = theirs()
        place.apply(ALLOW)
        place.apply(LESS)
        place.nft.nft("delete", "table", "inet", "suimitsu")
        assert place.nft.check()
        place.apply(ALLOW)
        assert try_one(place.a, target("tcp", place.b, 7002), GOOD, limit_ms=400) != "open"
        assert try_one(place.a, target("tcp", place.b, 7001), GOOD) == "open"
        place.nft.ask("detach")
        assert theirs() == before
        assert "suimitsu {" not in place.nft.nft("list", "ruleset")
    finally:
        place.nft.nft("delete", "table", "ip", "theirs")
        place.nft.nft("delete", "table", "inet", "suimitsu_other")


def test_what_test_mode_would_deny_passes_and_is_counted(place):
    place.apply(ALLOW + "mode: {default: test}\n")
    assert try_one(place.a, target("tcp", place.c, 7001), GOOD) == "open"
    assert place.nft.counter("w0") == 1
    assert try_one(place.a, target("tcp", place.b, 7001), GOOD) == "open"
    assert place.nft.counter("w0") == 1
    assert try_one(place.a, target("tcp", place.b, 7003), GOOD, limit_ms=400) != "open"


def test_a_suspect_reaches_only_what_quarantine_lists(place):
    rules = "quarantine:\n  - {id: q, to: others, service: tcp/7003, why: w, owner: soc}\n"
    place.apply(ALLOW.replace("service: three", "service: icmp/echo") + rules, {"a": "black"})
    assert try_one(place.a, target("tcp", place.c, 7003), GOOD) == "open"
    for host, port in ((place.b, 7001), (place.c, 7001), (place.b, 7003)):
        assert try_one(place.a, target("tcp", host, port), GOOD, limit_ms=400) != "open"


def test_what_is_said_of_a_rule_is_counted_by_its_number(place):
    place.apply(ALLOW)
    listing = place.nft.nft("list", "table", "inet", "suimitsu")
    for name in ("drop", "accept", "jump"):  # Only as comments.
        assert f'comment "rule {name}"' in listing
    program = place.lab.folder / "a.program"
    assert program.exists()
    assert try_one(place.a, target("tcp", place.b, 7003), GOOD, limit_ms=400) != "open"
    rules = [x for x in listing.splitlines() if 'comment "rule drop"' in x]
    assert rules and "counter" in rules[0]


def test_the_exported_document_is_what_nft_takes_and_a_check_without_a_place_is_refused(place):
    folder = place.lab.folder
    (folder / "policy.yaml").write_text(GROUPS + ALLOW)
    (folder / "inventory.json").write_text(json.dumps(place.inventory))
    command = [binary("suimitsu"), "export", "nft", folder / "policy.yaml", "--inventory",
               folder / "inventory.json", "--endpoint", "a"]
    run(*command, "-o", folder / "table.json")
    place.nft.nft("-j", "-f", folder / "table.json")
    assert place.holds()
    place.nft.nft("-j", "-f", "-", stdin=run(*command).stdout)
    assert place.holds()
    (folder / "policy.yaml").write_text(GROUPS + ALLOW.replace(
        "{id: jump,", "{id: jump, process: {exe: /opt/x},"))
    refused = run(*command, check=False)
    assert refused.returncode == 3 and "E-WIDEN" in refused.stderr and refused.stdout == ""
    other = run(*command[:-1], "b", check=False)
    assert other.returncode == 3 and "do not name nft" in run(*command[:-1], "c",
                                                              check=False).stderr or other
