"""`suimitsu export nft`: its rules, evaluated, say what `suimitsu policy verdict` says.

Real packets meet them in tests/netns/test_vectors_nft.py; here it is about many random policies.
"""
import json
import os
import subprocess

import pytest
from acl_worlds import EPHEMERAL, PORTS, random_world, remotes
from nft_simulator import Packet, Table
from test_acl import NUMBER, SUIMITSU, NOW, query, save, v6_type, verdicts

WORLDS = 1000 if os.environ.get("SUIMITSU_LONG") else 25
ANSWERS = {8: 0, 13: 14, 128: 129}


def export(folder, endpoint, *options, code=0):
    done = subprocess.run(
        [SUIMITSU, "export", "nft", folder / "policy.json", "--inventory",
         folder / "inventory.json", "--endpoint", endpoint, "--now", NOW, *options],
        text=True, capture_output=True)
    assert done.returncode == code, done.stderr
    return done


def packet_of(source, target, protocol, port):
    number = NUMBER[protocol]
    if protocol == "icmp":
        v6 = ":" in source
        return Packet(58 if v6 else 1, source, target, type=v6_type(port) if v6 else port)
    if protocol == "gre":
        return Packet(number, source, target)
    return Packet(number, source, target, EPHEMERAL, port)


def answer_to(p):
    return Packet(p.protocol, p.dst, p.src, p.dport, p.sport, ANSWERS.get(p.type, 0), "reply",
                  "established")


def mistakes(table, address, known):
    wrong = []
    for (source, target, protocol, port), answer in known.items():
        first, back = ("out", "in") if source == address else ("in", "out")
        passes = answer["verdict"] != "deny"
        asked = packet_of(source, target, protocol, port)
        if table.passes(first, asked) != passes:
            wrong.append((answer, first, asked))
        asked.state = "established"
        if table.passes(first, asked) != passes:
            wrong.append((answer, first, asked))
        if table.passes(back, answer_to(asked)) != passes:
            wrong.append((answer, back, answer_to(asked)))
    return wrong


@pytest.mark.parametrize("seed", range(10000, 10000 + WORLDS))
def test_a_random_policy_and_its_table_say_the_same(seed, tmp_path):
    policy, inventory = random_world(seed)
    own = inventory["endpoints"]["e0"]
    own["enforcers"] = ["nft"]
    save(tmp_path, policy, inventory)
    table = Table(json.loads(export(tmp_path, "e0").stdout))
    for address in own["addresses"]:
        v6 = ":" in address
        kinds = [(p, n) for p, ports in PORTS.items() for n in ports if not (v6 and n == 13)]
        kinds += [("gre", 0), ("tcp", EPHEMERAL), ("udp", EPHEMERAL)]
        pairs = [(a, b, p, n) for remote in remotes(inventory, ["e0"], 6 if v6 else 4)
                 for p, n in kinds for a, b in ((address, remote), (remote, address))]
        known = dict(zip(pairs, verdicts(tmp_path, [query(*x) for x in pairs])))
        wrong = mistakes(table, address, known)
        assert not wrong, "\n".join(map(str, wrong[:5]))


@pytest.fixture
def world(tmp_path):
    policy, inventory = random_world(3)
    inventory["endpoints"]["e0"]["enforcers"] = ["nft"]
    save(tmp_path, policy, inventory)
    return tmp_path, policy, inventory


def test_refusals_say_what_was_expected(world):
    folder, _, _ = world
    assert "do not name nft" in export(folder, "e1", code=3).stderr
    assert 'named "nobody"' in export(folder, "nobody", code=4).stderr
    assert "expected ADDRESS:PORT" in export(folder, "e0", "--controller", "here", code=2).stderr
    assert "cannot write" in export(folder, "e0", "-o", folder / "no" / "file", code=5).stderr


def test_a_program_that_only_nft_could_check_is_refused(world):
    folder, policy, inventory = world
    policy["allow"].append({"id": "p", "from": "some", "to": "any", "process": {"exe": "/opt/x"},
                            "why": "w", "owner": "o"})
    policy["groups"]["some"] = {"members": ["e0"]}
    save(folder, policy, inventory)
    done = export(folder, "e0", code=3)
    assert "E-WIDEN" in done.stderr and '"p"' in done.stderr and done.stdout == ""


def test_names_of_the_policy_are_comments_and_nothing_else(world):
    folder, policy, inventory = world
    for n, rule in enumerate(policy["allow"] + policy["never"]):
        rule["id"] = ["drop", "accept", "jump", "flush", "table", "in", "out", "g0_a1", "lo", "tcp",
                      "rule"][n]
    save(folder, policy, inventory)
    document = json.loads(export(folder, "e0").stdout)
    for command in document["nftables"]:
        for what in command.values():
            for data in what.values():
                data.pop("comment", None)
    for rule in policy["allow"] + policy["never"]:
        rule["id"] = "x" + rule["id"]
    save(folder, policy, inventory)
    other = json.loads(export(folder, "e0").stdout)
    for command in other["nftables"]:
        for what in command.values():
            for data in what.values():
                data.pop("comment", None)
    assert Table(document).maps.keys() == Table(other).maps.keys()
    assert {w for c in document["nftables"] for w in c} == {"add", "delete", "flush"}


def test_the_lifeline_passes_whatever_the_policy_says(world):
    folder, _, _ = world
    save(folder, {"suimitsu": 1, "groups": {}, "allow": []}, world[2])
    table = Table(json.loads(export(folder, "e0", "--controller", "10.9.0.250:7443").stdout))
    own = world[2]["endpoints"]["e0"]["addresses"][0]
    asked = Packet(6, own, "10.9.0.250", 40000, 7443)
    assert table.passes("out", asked) and table.passes("in", answer_to(asked))
    assert not table.passes("out", Packet(6, own, "10.9.0.250", 40000, 7444))
    assert not table.passes("in", Packet(6, "10.9.0.250", own, 40000, 7443))
