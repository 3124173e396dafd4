"""`suimitsu export acl`: its text, evaluated as a switch would, says what the policy says.

The evaluator (acl_simulator.py) knows the vendors' syntax and nothing of the exporter; the oracle is
`suimitsu policy verdict`.
"""
import collections
import ipaddress
import json
import os
import pathlib
import subprocess

import pytest
import table
from acl_simulator import Packet, Switch
from acl_worlds import EPHEMERAL, PORTS, random_world, remotes

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
GOLDEN = pathlib.Path(__file__).resolve().parent / "golden"
NUMBER = {"tcp": 6, "udp": 17, "icmp": 1, "gre": 47}
WORLDS = 1000 if os.environ.get("SUIMITSU_LONG") else 30
NOW = "2026-11-22T12:00:00Z"


def save(folder, policy, inventory):
    (folder / "policy.json").write_text(json.dumps(policy))
    (folder / "inventory.json").write_text(json.dumps(inventory))


def export(folder, at, dialect, *options, code=0):
    done = subprocess.run(
        [SUIMITSU, "export", "acl", folder / "policy.json", "--inventory",
         folder / "inventory.json", "--format", dialect, "--at", at, "--now", NOW, *options],
        text=True, capture_output=True)
    assert done.returncode == code, done.stderr
    return done


def verdicts(folder, queries, now=NOW):
    done = subprocess.run(
        [SUIMITSU, "policy", "verdict", folder / "policy.json", "--inventory",
         folder / "inventory.json", "--queries", "-", "--now", now],
        input="".join(json.dumps(q) + "\n" for q in queries), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def query(source, target, protocol, port):
    # The program that rules name: a switch relies on the agents, where there are any, to check it.
    asked = {"from": source, "to": target, "protocol": protocol, "process": "/opt/x"}
    if protocol == "icmp":
        return {**asked, "type": str(port)}
    return {**asked, "port": port} if protocol in ("tcp", "udp") else asked


def v6_type(kind):
    return {8: 128, 0: 129}[kind]


def request(source, target, protocol, port):
    """The first packet of a connection."""
    v6 = ":" in source
    if protocol == "icmp":
        return Packet(58 if v6 else 1, source, target, type=v6_type(port) if v6 else port)
    if protocol == "gre":
        return Packet(47, source, target)
    return Packet(NUMBER[protocol], source, target, EPHEMERAL, port)


def reply(source, target, protocol, port):
    """What the target of a connection answers."""
    v6 = ":" in source
    if protocol == "icmp":
        answer = {8: 0, 13: 14}[port]
        return Packet(58 if v6 else 1, target, source, type=v6_type(answer) if v6 else answer)
    return Packet(NUMBER[protocol], target, source, port, EPHEMERAL, established=protocol == "tcp")


def udp_ranges(policy):
    for rule in [r for layer in ("quarantine", "never", "allow") for r in policy.get(layer, [])]:
        for match in (rule, rule.get("except", {})):
            named = match.get("service", [])
            for text in [named] if isinstance(named, str) else named:
                for port in policy.get("services", {}).get(text, [text]):
                    if port.startswith("udp/"):
                        low, _, high = port[4:].partition("-")
                        yield int(low), int(high or low)


class Case:
    """One endpoint's port: what the oracle says about every pair of interest."""

    def __init__(self, folder, policy, inventory, own, address):
        self.address, self.known = address, {}
        self.udp = list(udp_ranges(policy))
        version = ipaddress.ip_address(address).version
        kinds = [(p, n) for p, ports in PORTS.items() for n in ports
                 if not (version == 6 and (p, n) == ("icmp", 13))] + [("gre", 0)]
        kinds += [(p, EPHEMERAL) for p in ("tcp", "udp")]
        self.remotes = remotes(inventory, own, version)
        pairs = [(a, b, p, n) for remote in self.remotes for p, n in kinds
                 for a, b in ((address, remote), (remote, address))]
        for pair, answer in zip(pairs, verdicts(folder, [query(*x) for x in pairs])):
            self.known[pair] = answer

    def word(self, *pair):
        return self.known[pair]["verdict"]

    def mistakes(self, switch):
        wrong = []
        for (source, target, protocol, port), answer in self.known.items():
            way, back = ("in", "out") if source == self.address else ("out", "in")
            word = answer["verdict"]
            asked = request(source, target, protocol, port)
            entry = switch.judge(way, asked)
            passes = entry is not None and entry.permit
            # A question that looks like the answer to one that may be asked from there.
            mirrored = protocol == "udp" and port == EPHEMERAL and \
                self.word(target, source, "udp", EPHEMERAL) == "allow"
            if passes != (word != "deny") and not mirrored:
                wrong.append((word, answer, asked, entry))
            if passes and protocol == "tcp" and entry.log != (word == "would-deny"):
                wrong.append(("log", answer, asked, entry))
            if protocol == "gre":
                continue
            answered = reply(source, target, protocol, port)
            back_passes = switch.passes(back, answered)
            named = protocol != "udp" or self.named(port)
            if word == "allow" and named and not back_passes:
                wrong.append(("reply", answer, answered, switch.judge(back, answered)))
            if word == "deny" and back_passes and not self.forward_allows(target, source, protocol):
                wrong.append(("unasked", answer, answered, switch.judge(back, answered)))
        return wrong

    def named(self, port):
        """Some rule's service names the UDP port."""
        return any(low <= port <= high for low, high in self.udp)

    def forward_allows(self, source, target, protocol):
        """The reply's packet may pass as a connection of its own."""
        if protocol == "icmp":
            return True  # Asked elsewhere.
        return self.word(source, target, protocol, EPHEMERAL) != "deny"


def check_minimal(switch):
    for name, (_, entries) in switch.lists.items():
        for i, late in enumerate(entries):
            for early in entries[:i]:
                assert not early.covers(late), f"{name}: {early.text} covers {late.text}"
        for a, b in zip(entries, entries[1:]):
            if a.text.split()[:2] == b.text.split()[:2] and a.src == b.src and a.log == b.log and \
                    (a.sport, a.dport, a.type, a.established) == \
                    (b.sport, b.dport, b.type, b.established):
                assert a.dst.prefixlen != b.dst.prefixlen or \
                    a.dst.supernet() != b.dst.supernet(), f"{name}: {a.text} and {b.text} are one"


@pytest.mark.parametrize("seed", range(WORLDS))
def test_a_random_policy_and_its_access_lists_say_the_same(seed, tmp_path):
    policy, inventory = random_world(seed)
    save(tmp_path, policy, inventory)
    for at, own in (("sw1:Gi1/0/7", ["e0", "e1"]), ("sw1:Gi1/0/8", ["e2"])):
        dialect = "ios" if seed % 2 else "eos"
        switch = Switch(export(tmp_path, at, dialect).stdout, dialect)
        assert switch.interface == at.split(":")[1]
        check_minimal(switch)
        for name in own:
            for address in inventory["endpoints"][name]["addresses"]:
                case = Case(tmp_path, policy, inventory, own, address)
                wrong = case.mistakes(switch)
                assert not wrong, "\n".join(map(str, wrong[:5]))


# ---- the vectors ----

VECTORS = sorted((ROOT / "tests/vectors").glob("*.json"))
CONDITIONS = ("process", "user", "served-by")
TABLE = collections.Counter()


def without_conditions(vector):
    """The policy as one that looks at addresses and ports alone would have it: allows without
    their conditions, nevers with conditions left to those who can check them."""
    policy = json.loads(json.dumps(vector["policy"]))
    functions = {n for n, s in policy.get("services", {}).items()
                 if isinstance(s, dict) and s.pop("modbus", None)}
    for layer in ("allow", "quarantine"):
        for rule in policy.get(layer, []):
            for field in CONDITIONS:
                rule.pop(field, None)
    policy["never"] = [
        {**rule, **({"except": {k: v for k, v in rule["except"].items() if k not in CONDITIONS}}
                    if "except" in rule else {})}
        for rule in policy.get("never", [])
        if not any(f in rule for f in CONDITIONS) and
        not functions & set([rule["service"]] if isinstance(rule.get("service"), str)
                            else rule.get("service", [])) and
        set(rule.get("except", {"from": 1})) - set(CONDITIONS)]
    policy.pop("tests", None)
    policy.pop("prove", None)
    return {**vector, "policy": policy}


def at_switch(vector, only=False):
    """All endpoints at ports of their own, with the switch as one more enforcer."""
    inventory = json.loads(json.dumps(vector["inventory"]))
    for n, e in enumerate(inventory["endpoints"].values()):
        others = [x for x in e.get("enforcers") or [] if x not in ("none", "switch")]
        e["enforcers"] = ["switch"] if only else [*others, "switch"]
        e["switch"] = {"name": "sw", "port": f"Eth{n}"}
    return inventory


def end_addresses(vector, end):
    return vector["inventory"]["endpoints"].get(end, {"addresses": [end]})["addresses"]


def packets(vector, asked):
    """The first packet between each pair of addresses of the ends, as far as it can be made."""
    protocol, port = asked["protocol"], asked.get("port", 0)
    if protocol == "icmp":
        port = {"echo": 8, "echo-reply": 0, "timestamp": 13}.get(asked["type"], asked["type"])
    for source in end_addresses(vector, asked["from"]):
        for target in end_addresses(vector, asked["to"]):
            if protocol in NUMBER and (":" in source) == (":" in target) and \
                    not (":" in source and protocol == "icmp" and port not in (0, 8)):
                yield request(source, target, protocol, int(port))


def looks_like_a_reply(folder, vector, asked):
    """UDP that the other end may have asked for: its question to any port of the source."""
    back = {"from": asked["to"], "to": asked["from"], "protocol": "udp", "port": EPHEMERAL}
    return asked["protocol"] == "udp" and \
        verdicts(folder, [back], vector["now"])[0]["verdict"] == "allow"


def of_a_switch(folder, vector, case, weak, ports, owner):
    """"agree", "differ", or why a switch lets pass what the policy denies."""
    asked, answer = case["query"], case["answer"]
    ends = [owner.get(asked[k], asked[k]) for k in ("from", "to")]
    tried = list(packets(vector, asked))
    if ends[0] == ends[1]:
        return "an endpoint to itself: no switch between"
    if not tried or not set(ends) & set(ports):
        return "no packet of it meets a switch port"
    passed = [all(ports[end].passes(way, packet) for end, way in zip(ends, ("in", "out"))
                  if end in ports) for packet in tried]
    if answer["verdict"] != "deny":
        return "agree" if all(passed) else "differ"
    if not any(passed):
        return "agree"
    if weak["verdict"] != "deny":
        return "turns on a program, person or function"
    return "UDP that may be a reply: a list remembers nothing" \
        if looks_like_a_reply(folder, vector, asked) else "differ"


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
@pytest.mark.parametrize("dialect", ["ios", "eos"])
def test_vectors_pass_both_ports_where_the_verdict_lets_them(path, dialect, tmp_path):
    vector = json.loads(path.read_text())
    inventory = at_switch(vector)
    save(tmp_path, vector["policy"], inventory)
    ports = {name: Switch(export(tmp_path, f"sw:{e['switch']['port']}", dialect, "--now",
                                 vector["now"]).stdout, dialect)
             for name, e in inventory["endpoints"].items()}
    owner = {a: n for n, e in inventory["endpoints"].items() for a in e["addresses"]}
    wide = tmp_path / "wide"
    wide.mkdir()
    save(wide, without_conditions(vector)["policy"], inventory)
    weakest = verdicts(wide, [{k: v for k, v in c["query"].items() if k not in
                               ("process", "served_by", "user", "modbus")}
                              for c in vector["cases"]], vector["now"])
    wrong = []
    for case, weak in zip(vector["cases"], weakest):
        said = of_a_switch(tmp_path, vector, case, weak, ports, owner)
        table.count(f"ACL simulator ({dialect})", said if said in ("agree", "differ") else
                    "refused", said)
        TABLE[said] += 1
        if said == "differ":
            wrong.append(f"{case['name']}: {case['query']} {case['answer']}")
    assert not wrong, "\n".join(wrong)


def test_most_vectors_need_nobody_but_the_switch():
    assert TABLE["agree"] > 4 * (TABLE.total() - TABLE["agree"]) > 0, TABLE


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_a_condition_that_only_a_switch_could_check_is_refused(path, tmp_path):
    vector = json.loads(path.read_text())
    save(tmp_path, vector["policy"], at_switch(vector, only=True))
    rules = [r for layer in ("allow", "quarantine", "never")
             for r in vector["policy"].get(layer, [])]
    modbus = {n for n, s in vector["policy"].get("services", {}).items()
              if isinstance(s, dict) and "modbus" in s}
    conditions = [r["id"] for r in rules
                  if (any(f in r for f in CONDITIONS) or
                      r.get("service") in [*modbus]) and "accept-weaker" not in r]
    done = export(tmp_path, "sw:Eth0", "ios", code=3 if conditions else 0)
    assert ("E-WIDEN" in done.stderr) == bool(conditions)
    for rule in conditions:
        assert f'"{rule}"' in done.stderr
    assert bool(done.stdout) != bool(conditions)


# ---- by hand ----

POLICY = {
    "suimitsu": 1,
    "groups": {"web": {"match": {"tier": "web"}}, "db": {"match": {"tier": "db"}},
               "pc": {"match": {"kind": "pc"}}, "internet": {"outside": True}},
    "never": [{"id": "no-admin", "from": "any", "to": "any",
               "service": ["tcp/22", "tcp/3389", "udp/161"], "why": "ransomware walks on them",
               "owner": "secops"}],
    "allow": [
        {"id": "shop-db", "from": "web", "to": "db", "service": "tcp/5432",
         "why": "the shop reads and writes orders", "owner": "shop-team", "expires": "2027-06-30"},
        {"id": "surf", "from": "web", "to": "internet", "service": ["tcp/443", "udp/53"],
         "why": "updates", "owner": "shop-team"},
        {"id": "serve", "from": ["pc", "internet"], "to": "web", "service": "tcp/443",
         "why": "customers buy", "owner": "shop-team"},
        {"id": "care", "from": "pc", "to": "web", "why": "the shop's people look after it",
         "owner": "shop-team"}]}


def endpoint(labels, *addresses, enforcers=("host",), port=None, **more):
    made = {"labels": labels, "addresses": list(addresses), "enforcers": list(enforcers), **more}
    return {**made, "switch": {"name": "sw1", "port": port}} if port else made


INVENTORY = {"suimitsu-inventory": 1, "endpoints": {
    "web1": endpoint({"tier": "web"}, "10.20.1.11", "fd00:20::11", enforcers=["switch"],
                     port="Gi1/0/7"),
    "web2": endpoint({"tier": "web"}, "10.20.1.12", enforcers=["switch"], port="Gi1/0/7"),
    "db1": endpoint({"tier": "db"}, "10.20.2.10", "fd00:20::20"),
    "db2": endpoint({"tier": "db"}, "10.20.2.11", "fd00:20::21"),
    "pc1": endpoint({"kind": "pc"}, "10.20.3.13"),
    "pc2": endpoint({"kind": "pc"}, "10.20.3.14", state="black"),
    "lone": endpoint({"kind": "other"}, "10.20.4.1", enforcers=["host"], port="Gi1/0/8")}}


@pytest.mark.parametrize("dialect", ["ios", "eos"])
def test_the_text_is_as_it_was(dialect, tmp_path):
    save(tmp_path, POLICY, INVENTORY)
    done = export(tmp_path, "sw1:Gi1/0/7", dialect, "--controller", "10.20.0.9:7443")
    golden = GOLDEN / f"acl-{dialect}.txt"
    text = done.stdout + "---\n" + done.stderr
    if os.environ.get("GOLDEN_WRITE"):
        golden.write_text(text)
    assert text == golden.read_text()
    Switch(done.stdout, dialect)


def test_the_lifeline_stands_above_everything(tmp_path):
    save(tmp_path, {**POLICY, "allow": []}, INVENTORY)
    switch = Switch(export(tmp_path, "sw1:Gi1/0/7", "ios", "--controller",
                           "10.20.0.9:7443").stdout, "ios")
    for source in ("10.20.1.11", "10.20.1.12"):
        assert switch.passes("in", Packet(6, source, "10.20.0.9", 40000, 7443))
        assert switch.passes("out", Packet(6, "10.20.0.9", source, 7443, 40000, True))
        assert not switch.passes("in", Packet(6, source, "10.20.0.9", 40000, 7444))
        assert not switch.passes("out", Packet(6, "10.20.0.9", source, 7443, 40000))


def test_nobody_sends_with_a_borrowed_address(tmp_path):
    save(tmp_path, POLICY, INVENTORY)
    switch = Switch(export(tmp_path, "sw1:Gi1/0/7", "ios").stdout, "ios")
    assert switch.passes("in", Packet(6, "10.20.1.11", "10.20.2.10", 40000, 5432))
    for source in ("10.20.1.13", "10.20.3.13", "8.8.8.8"):
        assert not switch.passes("in", Packet(6, source, "10.20.2.10", 40000, 5432))


def test_what_keeps_the_link_alive_passes_and_what_captures_it_does_not(tmp_path):
    save(tmp_path, {**POLICY, "allow": []}, INVENTORY)
    switch = Switch(export(tmp_path, "sw1:Gi1/0/7", "ios").stdout, "ios")
    for kind, entering, leaving in ((135, 1, 1), (136, 1, 1), (133, 1, 0), (134, 0, 1),
                                    (137, 0, 0), (2, 1, 1)):
        packet = Packet(58, "fe80::1", "ff02::1", type=kind)
        assert switch.passes("in", packet) == bool(entering), kind
        assert switch.passes("out", packet) == bool(leaving), kind
    assert switch.passes("in", Packet(17, "0.0.0.0", "255.255.255.255", 68, 67))
    assert not switch.passes("in", Packet(17, "10.20.1.11", "10.20.3.13", 67, 68))
    assert switch.passes("out", Packet(17, "10.20.0.1", "10.20.1.11", 67, 68))


def test_an_endpoint_without_ipv6_has_an_ipv6_list_that_lets_nothing_through(tmp_path):
    inventory = json.loads(json.dumps(INVENTORY))
    inventory["endpoints"]["lone"]["enforcers"] = ["switch"]
    save(tmp_path, POLICY, inventory)
    switch = Switch(export(tmp_path, "sw1:Gi1/0/8", "eos").stdout, "eos")
    for way in ("in", "out"):
        assert not switch.passes(way, Packet(6, "fd00:20::99", "fd00:20::20", 40000, 5432))
        assert switch.entries(way, True)[-1].text == "deny ipv6 any any"


def test_mirrored_udp_is_the_named_residue_and_not_more(tmp_path):
    policy = {**POLICY, "allow": [{"id": "dns", "from": "pc", "to": "web", "service": "udp/53",
                                   "why": "w", "owner": "o"}]}
    save(tmp_path, policy, INVENTORY)
    done = export(tmp_path, "sw1:Gi1/0/7", "ios", "-o", "json")
    answer = json.loads(done.stdout)
    switch = Switch(answer["text"], "ios")
    assert switch.passes("in", Packet(17, "10.20.1.11", "10.20.3.13", 53, 40000))
    assert switch.passes("in", Packet(17, "10.20.1.11", "10.20.3.13", 53, 161))  # docs/acl.md
    assert not switch.passes("in", Packet(17, "10.20.1.11", "10.20.3.13", 54, 40000))
    assert not switch.passes("in", Packet(17, "10.20.1.11", "10.20.2.10", 53, 40000))
    assert not switch.passes("in", Packet(6, "10.20.1.11", "10.20.3.13", 53, 40000, True))
    assert answer["udp_replies"] == len([e for w in ("in", "out") for v in (False, True)
                                         for e in switch.entries(w, v)
                                         if e.protocol == 17 and e.sport == (53, 53)])
    assert "stateless" in answer["text"]


def test_the_numbers_are_told_and_what_does_not_fit_is_refused(tmp_path):
    save(tmp_path, POLICY, INVENTORY)
    answer = json.loads(export(tmp_path, "sw1:Gi1/0/7", "ios", "-o", "json").stdout)
    total = answer["entries"]["total"]
    assert total == len(Switch(answer["text"], "ios")) == \
        sum(n for k, n in answer["entries"].items() if k != "total")
    assert answer["endpoints"] == ["web1", "web2"] and answer["max_entries"] is None
    fits = export(tmp_path, "sw1:Gi1/0/7", "ios", "--max-entries", str(total))
    assert f"{total} entries" in fits.stderr
    refused = export(tmp_path, "sw1:Gi1/0/7", "ios", "--max-entries", str(total - 1), code=3)
    assert refused.stdout == ""
    assert f"needs {total} entries" in refused.stderr and f"where {total - 1} fit" in refused.stderr
    assert "most by rule" in refused.stderr


def test_neighbouring_addresses_and_ports_become_one_entry(tmp_path):
    endpoints = {"e": endpoint({"r": "e"}, "10.0.0.1", enforcers=["switch"], port="Gi1/0/7")}
    endpoints |= {f"s{i}": endpoint({"r": "s"}, f"10.1.0.{i}") for i in range(64, 128)}
    allow = {"id": "a", "from": "e", "to": "s", "why": "w", "owner": "o",
             "service": ["tcp/80", "tcp/81-90", "tcp/91"]}
    save(tmp_path, {"suimitsu": 1, "groups": {"e": {"match": {"r": "e"}},
                                              "s": {"match": {"r": "s"}}}, "allow": [allow]},
         {"suimitsu-inventory": 1, "endpoints": endpoints})
    lines = export(tmp_path, "sw1:Gi1/0/7", "ios").stdout
    assert "permit tcp host 10.0.0.1 10.1.0.64 0.0.0.63 range 80 91\n" in lines
    switch = Switch(lines, "ios")
    assert not switch.passes("in", Packet(6, "10.0.0.1", "10.1.0.63", 40000, 80))
    assert not switch.passes("in", Packet(6, "10.0.0.1", "10.1.0.128", 40000, 80))


HOSTILE = ["a\u2028deny ip any any", "! exit", "?", "x" * 500, "end; reload", "^C$(reboot)|more",
           "\U0001f600 \u6ce8\u6587", "\u202egnp.exe", "interface Gi1/0/1"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_sentence_becomes_syntax(text, tmp_path):
    policy = json.loads(json.dumps(POLICY))
    for rule in policy["allow"]:
        rule["why"] = rule["owner"] = text
    save(tmp_path, policy, INVENTORY)
    done = subprocess.run([SUIMITSU, "export", "acl", tmp_path / "policy.json", "--inventory",
                           tmp_path / "inventory.json", "--format", "ios", "--at", "sw1:Gi1/0/7",
                           "--now", NOW], capture_output=True)
    if done.returncode:
        assert done.returncode == 3 and b"E-TEXT" in done.stderr or b"E-VALUE" in done.stderr
        return
    switch = Switch(done.stdout.decode("ascii"), "ios")
    save(tmp_path, POLICY, INVENTORY)
    usual = Switch(export(tmp_path, "sw1:Gi1/0/7", "ios").stdout, "ios")
    assert list(switch.lists) == list(usual.lists)  # Their names are hashes of what they say.
    assert [e.text for w in ("in", "out") for e in switch.entries(w, False)] == \
        [e.text for w in ("in", "out") for e in usual.entries(w, False)]


@pytest.mark.parametrize("port", ["Gi1/0/7\nexit", "Gi1/0/7 ! x", "Gi 1/0/7", "", "/1", "x" * 64])
def test_a_port_is_a_word(port, tmp_path):
    inventory = json.loads(json.dumps(INVENTORY))
    inventory["endpoints"]["web1"]["switch"]["port"] = port
    save(tmp_path, POLICY, inventory)
    done = export(tmp_path, f"sw1:{port}", "ios", code=3)
    assert "E-" in done.stderr and done.stdout == ""


@pytest.mark.parametrize("at, dialect, options, code, words", [
    ("sw1:Gi1/0/9", "ios", [], 4, "did you mean sw1:Gi1/0/"),
    ("sw1", "ios", [], 4, "no endpoint of the inventory hangs at"),
    ("sw1:Gi1/0/8", "ios", [], 3, "its enforcers do not name switch"),
    ("sw1:Gi1/0/7", "junos", [], 2, "expected ios or eos"),
    ("sw1:Gi1/0/7", "ios", ["--max-entries", "many"], 2, "expected a number"),
    ("sw1:Gi1/0/7", "ios", ["--controller", "nowhere"], 2, "expected ADDRESS:PORT"),
])
def test_refusals_say_what_was_expected(at, dialect, options, code, words, tmp_path):
    save(tmp_path, POLICY, INVENTORY)
    done = export(tmp_path, at, dialect, *options, code=code)
    assert words in done.stderr and done.stdout == ""


def test_a_group_in_test_mode_is_let_through_and_logged_but_never_stays_never(tmp_path):
    save(tmp_path, {**POLICY, "mode": {"default": "test"}}, INVENTORY)
    switch = Switch(export(tmp_path, "sw1:Gi1/0/7", "ios").stdout, "ios")
    unnamed = switch.judge("in", Packet(6, "10.20.1.11", "10.20.2.10", 40000, 9999))
    assert unnamed.permit and unnamed.log
    named = switch.judge("in", Packet(6, "10.20.1.11", "10.20.2.10", 40000, 5432))
    assert named.permit and not named.log
    assert not switch.passes("in", Packet(6, "10.20.1.11", "10.20.2.10", 40000, 22))
    assert not switch.passes("in", Packet(6, "10.20.1.11", "10.20.3.14", 40000, 9999))  # Black.


@pytest.mark.parametrize("way, group", [("in", "IN4"), ("out", "OUT4")])
def test_the_importer_reads_the_lists_back(way, group, tmp_path):
    """What was written is IOS to the importer too: nothing is left over, and its draft says the
    same about connections."""
    save(tmp_path, POLICY, INVENTORY)
    text = export(tmp_path, "sw1:Gi1/0/7", "ios").stdout
    switch = Switch(text, "ios")
    (tmp_path / "running.cfg").write_text(text)
    name = next(n for n in switch.lists if group in n)
    done = subprocess.run(
        [SUIMITSU, "policy", "import", tmp_path / "running.cfg", "--format", "ios", "--chain", name,
         "--output", tmp_path / "draft"], text=True, capture_output=True)
    assert done.returncode in (0, 9), done.stderr
    draft = tmp_path / "draft"
    asked = []
    for remote in ("10.20.2.10", "10.20.2.12", "10.20.3.13", "10.20.3.14", "8.8.8.8", "10.20.1.13"):
        for port in (22, 443, 5432, 9999):
            ends = ("10.20.1.11", remote) if way == "in" else (remote, "10.20.1.11")
            asked.append(Packet(6, *ends, 40000, port))
    queries = [{"from": str(p.src), "to": str(p.dst), "protocol": "tcp", "port": p.dport}
               for p in asked]
    done = subprocess.run(
        [SUIMITSU, "policy", "verdict", draft / "policy.yaml", "--inventory",
         draft / "inventory.yaml", "--queries", "-"], text=True, capture_output=True,
        input="".join(json.dumps(q) + "\n" for q in queries))
    assert done.returncode == 0, done.stderr
    for packet, line in zip(asked, done.stdout.splitlines()):
        assert (json.loads(line)["verdict"] == "allow") == switch.passes(way, packet), packet
