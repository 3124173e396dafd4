"""suimitsu policy import: the draft gives the verdicts of the original, wherever the ledger does not
say otherwise; findings, ledger, files and exit codes."""
import ipaddress
import json
import os
import pathlib
import random
import subprocess

import pytest

from import_oracle import Ios, Iptables, Ledger, Nft, Packets, Unknown

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SUIMITSU = ROOT / "build/bin/suimitsu"
FIXTURES = HERE / "fixtures/import"
INHERITED = pathlib.Path(os.environ.get("SUIMITSU_INHERITED_RULES",
                                        ROOT.parent / "shared/data/inherited-input-chain.rules"))
NO_WORDS = "have no words"


def run(*args, stdin="", cwd=None):
    done = subprocess.run([SUIMITSU, *map(str, args)], input=stdin, text=True, capture_output=True,
                          timeout=120, cwd=cwd)
    assert done.returncode >= 0, f"ended by signal {-done.returncode}: {done.stderr}"
    return done


def write_draft(folder, *files, options=()):
    """The document of an import that wrote its draft into 'folder'."""
    done = run("policy", "import", *files, *options, "--output", folder, "-o", "json")
    assert done.returncode in (0, 9), done.stderr + done.stdout
    document = json.loads(done.stdout)
    assert (done.returncode == 9) == (document["not_carried_over"] > 0)
    return document


def check_draft(folder):
    done = run("policy", "check", folder / "policy.yaml", "--inventory", folder / "inventory.yaml")
    assert done.returncode == 0, done.stderr


def ask(folder, packets):
    done = run("policy", "verdict", folder / "policy.yaml", "--inventory",
               folder / "inventory.yaml", "--queries", "-",
               stdin="".join(json.dumps(p.query()) + "\n" for p in packets))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def listed(verdict, packet, ledger, has_self):
    """True when the ledger says that this accept is not carried over."""
    if ledger.says(verdict.line, "who is behind", "cannot be told apart", "says nothing of who"):
        return True
    if packet.proto not in (1, 6, 17, 58) and ledger.says(verdict.line, NO_WORDS):
        return True
    if not packet.to_multicast():
        return False
    return not verdict.named if has_self else not verdict.proto and not verdict.named


def compare(folder, document, packets, judge, has_self=False, at_least=0.5):
    """Every packet's verdict, by 'judge' of the original and by the draft."""
    ledger = Ledger.of(document)
    compared, n_accepts = 0, 0
    for p, answer in zip(packets, ask(folder, packets), strict=True):
        try:
            v = judge(p, ledger)
        except Unknown:
            continue
        if v is None or (v.accept and listed(v, p, ledger, has_self)):
            continue
        compared += 1
        n_accepts += v.accept
        assert (answer["verdict"] == "allow") == v.accept, \
            f"{p}\noriginal: {v}\ndraft: {answer}\n" + (folder / "policy.yaml").read_text()
    assert compared >= at_least * len(packets), f"only {compared} of {len(packets)} compared"
    return compared, n_accepts


# ---- iptables: the proof ----

def of_hook(original, own, interfaces=None):
    """Judges by the hook that the ends select, when the box has these addresses."""
    def judge(p, ledger):
        if interfaces is not None:
            p.iif, p.oif = route(interfaces, p.src), route(interfaces, p.dst)
        if not own:
            return original.judge("INPUT", p, ledger)
        if p.src in own:
            return original.judge("OUTPUT", p, ledger)
        if p.dst in own or p.to_multicast():
            return original.judge("INPUT", p, ledger)
        if ledger.says_forward_is_left_out:
            return None
        return original.judge("FORWARD", p, ledger)
    return judge


def route(interfaces, address):
    """The interface with the longest prefix, as --interfaces promises."""
    best = ("elsewhere0", -1)
    for name, prefixes in interfaces.items():
        for prefix in prefixes:
            net = ipaddress.ip_network(prefix)
            if net.version == address.version and address in net and net.prefixlen > best[1]:
                best = (name, net.prefixlen)
    return best[0]


def packets_for(text, seed, own, n, v6=False, interfaces=()):
    source = Packets(text, seed, v6, interfaces)
    own = [a for a in own if (a.version == 6) == v6]
    out = []
    for i in range(n):
        if own and i % 3 == 0:
            out.append(source.packet(dst=source.random.choice(own)))
        elif own and i % 3 == 1:
            out.append(source.packet(src=source.random.choice(own)))
        else:
            out.append(source.packet())
    own = set(own)
    return [p for p in out if not (p.src in own and p.dst in own)]


SETS = {  # name: (files, addresses of the box)
    "web": (["web.v4.rules", "web.v6.rules"], ["10.20.1.1", "fd00:20::1"]),
    "web-v4": (["web.v4.rules"], ["10.20.1.1"]),
    "web-v4-two-addresses": (["web.v4.rules"], ["10.20.1.1", "10.20.3.7"]),
    "web-v6": (["web.v6.rules"], ["fd00:20::1", "2001:db8:bad::5"]),
    "web-without-self": (["web.v4.rules"], []),
    "gateway": (["gateway.rules"], ["10.1.0.1", "10.2.0.1"]),
    "gateway-without-self": (["gateway.rules"], []),
}


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_draft_of_iptables_gives_the_same_verdicts(name, tmp_path):
    files, own = SETS[name]
    own = [ipaddress.ip_address(a) for a in own]
    options = ["--self", "box", "--self-address", ",".join(map(str, own))] if own else []
    document = write_draft(tmp_path / "draft", *[FIXTURES / f for f in files], options=options)
    check_draft(tmp_path / "draft")
    for f in files:
        text, v6 = (FIXTURES / f).read_text(), "v6" in f
        packets = packets_for(text, 7, own, 4000, v6)
        # The ledger's lines are of both files: each original asks for its own.
        mine = {"ledger": [e for e in document["ledger"]
                           if e.get("file", str(FIXTURES / f)) == str(FIXTURES / f)]}
        _, n_accepts = compare(tmp_path / "draft", mine, packets,
                               of_hook(Iptables(text, v6), set(own)), bool(own))
        assert n_accepts > 30


def random_rules(r, interfaces, box):
    """A rule set from a small world, so that its rules overlap."""
    nets = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "10.1.2.4/32", "10.1.3.0/25",
            "192.168.7.9/24", "203.0.113.5/32", "0.0.0.0/0", "224.0.0.0/24"]
    own_chains = ["alpha", "beta", "gamma"][:r.randint(0, 3)]
    bases = ["INPUT", "OUTPUT", "FORWARD"] if box else ["INPUT"]
    lines = ["*filter"] + [f":{c} {r.choice(['ACCEPT', 'DROP', 'DROP'])} [0:0]" for c in bases]
    lines += [f":{c} - [0:0]" for c in own_chains]

    def condition():
        words = []
        for option in ("-s", "-d"):
            if r.random() < 0.45:
                words += (["!"] if r.random() < 0.2 else []) + [option, r.choice(nets)]
        if interfaces and r.random() < 0.3:
            words += (["!"] if r.random() < 0.2 else []) + ["-i", r.choice(interfaces + ["eth+"])]
        proto = r.choice([None, "tcp", "tcp", "udp", "icmp", "gre"])
        if proto:
            words += (["!"] if r.random() < 0.08 and proto != "gre" else []) + ["-p", proto]
        if proto in ("tcp", "udp") and "!" not in words[-3:-2] and r.random() < 0.8:
            low = r.choice([1, 22, 53, 80, 443, 1000])
            words += [f"-m {proto}", "--dport", r.choice([str(low), f"{low}:{low + 500}", f":{low}"])]
        if proto == "icmp" and "!" not in words and r.random() < 0.5:
            words += ["--icmp-type", "8"]
        if r.random() < 0.08:
            words += ["-m state --state", r.choice(["NEW", "ESTABLISHED,RELATED", "INVALID,NEW"])]
        if r.random() < 0.05:
            words += ["-m limit --limit 3/sec"]
        return " ".join(words)

    for i, chain in enumerate(bases + own_chains, 1 - len(bases)):
        later = own_chains[max(i, 0):]  # Jumps go one way only.
        for _ in range(r.randint(2, 9)):
            choices = ["-j ACCEPT"] * 4 + ["-j DROP"] * 3 + ["-j LOG"]
            if later:
                choices += [f"-j {c}" for c in later] + [f"-g {r.choice(later)}"]
            if i > 0:
                choices += ["-j RETURN"]
            lines.append(f"-A {chain} {condition()} {r.choice(choices)}".replace("  ", " "))
    return "\n".join(lines + ["COMMIT"]) + "\n"


MAP = {"eth0": ["0.0.0.0/0"], "eth1": ["10.1.0.0/16", "192.168.7.0/24"]}


@pytest.mark.parametrize("kind", ["list", "box", "interfaces", "mapped"])
def test_drafts_of_random_rule_sets_give_the_same_verdicts(kind, tmp_path):
    compared = accepts = 0
    for seed in range(60):
        r = random.Random(f"{kind}{seed}")
        interfaces = ["eth0", "eth1"] if kind in ("interfaces", "mapped") else []
        text = random_rules(r, interfaces, kind == "box")
        own = [ipaddress.ip_address("10.1.2.3")] if kind == "box" else []
        options = ["--self", "box", "--self-address", "10.1.2.3"] if own else []
        if kind == "mapped":
            options += ["--interfaces", ",".join(f"{k}={'+'.join(v)}" for k, v in MAP.items())]
        (tmp_path / "in.rules").write_text(text)
        folder = tmp_path / str(seed)
        document = write_draft(folder, tmp_path / "in.rules", options=options)
        check_draft(folder)
        n = compare(folder, document, packets_for(text, seed, own, 400, interfaces=interfaces),
                    of_hook(Iptables(text), set(own), MAP if kind == "mapped" else None),
                    bool(own), at_least=0)
        compared += n[0]
        accepts += n[1]
    assert compared > 12000 and accepts > 1500, (compared, accepts)


# ---- nft: the proof ----

def by_handle(document):
    """The ledger of an nft import, by the names of its rules instead of lines."""
    return {"ledger": [{**e, "line": e["text"].split(": ")[0]} if "text" in e else e
                       for e in document["ledger"]]}


@pytest.mark.parametrize("own", [["10.20.0.1", "fd00:20::1"], ["10.20.0.1", "10.20.4.5"], []])
def test_the_draft_of_nft_gives_the_same_verdicts(own, tmp_path):
    text = (FIXTURES / "shop.nft.json").read_text()
    options = ["--self", "box", "--self-address", ",".join(own)] if own else []
    document = by_handle(write_draft(tmp_path / "draft", FIXTURES / "shop.nft.json",
                                     options=options))
    check_draft(tmp_path / "draft")
    own = [ipaddress.ip_address(a) for a in own]
    for v6 in (False, True):
        packets = packets_for(text, 11, own, 4000, v6)
        if own and not any((a.version == 6) == v6 for a in own):
            continue
        _, n_accepts = compare(tmp_path / "draft", document, packets,
                               of_hook(Nft(json.loads(text)), set(own)), bool(own),
                               at_least=0.2)
        assert n_accepts > 40


def random_nft(r, interfaces):
    """A ruleset of JSON from a small world: sets, maps, concatenations, several base chains."""
    rules, handle = [], [10]
    nets = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32", "203.0.113.0/30"]
    nets6 = ["fd00::/8", "fd00:1::/32", "fd00:1::3/128", "2001:db8::/32"]
    chains = [("inet", "filter", c) for c in ["alpha", "beta"][:r.randint(0, 2)]]
    bases = [("inet", "filter", "input", 0)]
    if r.random() < 0.4:
        bases.append((r.choice(["ip", "ip6", "inet"]), "other", "input", r.choice([-10, 10])))

    def payload(protocol, field):
        return {"payload": {"protocol": protocol, "field": field}}

    def address(v6):
        n = ipaddress.ip_network(r.choice(nets6 if v6 else nets))
        if n.num_addresses == 1:
            return str(n[0])
        if r.random() < 0.3:
            return {"range": [str(n[1]), str(n[min(n.num_addresses - 2, 77)])]}
        return {"prefix": {"addr": str(n[0]), "len": n.prefixlen}}

    def port():
        low = r.choice([1, 22, 80, 443, 1000])
        return r.choice([low, {"range": [low, low + r.choice([1, 60, 600])]}])

    def some(make):
        if r.random() < 0.5:
            return make()
        kept = []
        for v in (make() for _ in range(r.randint(1, 3))):
            if v not in kept:
                kept.append(v)
        return {"set": kept}

    def conditions(family):
        out = []
        if r.random() < 0.5:
            v6 = family == "ip6" or (family == "inet" and r.random() < 0.4)
            op = r.choice(["==", "==", "==", "!="])
            out.append((payload("ip6" if v6 else "ip", r.choice(["saddr", "saddr", "daddr"])), op,
                        some(lambda: address(v6))))
        if r.random() < 0.6:
            kind = r.choice(["tcp", "tcp", "udp", "th", "icmp", "l4", "protocol"])
            if kind in ("tcp", "udp", "th"):
                if kind == "th":
                    out.append(({"meta": {"key": "l4proto"}}, "==", {"set": ["tcp", "udp"]}))
                op = r.choice(["==", "==", "!=", ">=", "<"])
                out.append((payload(kind, "dport"), op,
                            r.choice([80, 443]) if op in (">=", "<") else some(port)))
            elif kind == "icmp":
                v6 = family == "ip6"
                out.append((payload("icmpv6" if v6 else "icmp", "type"), "==", "echo-request"))
            elif kind == "l4":
                out.append(({"meta": {"key": "l4proto"}}, r.choice(["==", "!="]),
                            r.choice(["tcp", "udp", {"set": ["tcp", "udp"]}])))
            else:
                out.append(({"meta": {"key": "nfproto"}}, "==", r.choice(["ipv4", "ipv6"])))
        if interfaces and r.random() < 0.25:
            out.append(({"meta": {"key": "iifname"}}, r.choice(["==", "!="]),
                        some(lambda: r.choice(interfaces + ["eth*"]))))
        if r.random() < 0.1:
            out.append(({"ct": {"key": "state"}}, r.choice(["in", "!="]),
                        r.choice(["new", ["established", "related"], "invalid"])))
        return [{"match": {"left": k, "op": op, "right": v}} for k, op, v in out]

    def add(at, expr):
        handle[0] += 1
        rules.append({"rule": {"family": at[0], "table": at[1], "chain": at[2],
                               "handle": handle[0], "expr": expr}})

    for i, at in enumerate(bases + chains):
        later = chains[max(0, i - len(bases) + 1):] if at[1] == "filter" else []
        for _ in range(r.randint(2, 8)):
            family, verdicts = at[0], [{"accept": None}] * 4 + [{"drop": None}] * 3 + [
                {"reject": {"type": "tcp reset"}}]
            verdicts += [{"jump": {"target": c[2]}} for c in later]
            verdicts += [{"goto": {"target": c[2]}} for c in later[:1]]
            if i >= len(bases):
                verdicts += [{"return": None}]
            expr = conditions(family)
            pick = r.random()
            if pick < 0.1:
                keys = r.sample([22, 80, 81, 443, 1000], 3)
                expr.append({"vmap": {"key": payload("tcp", "dport"), "data": {
                    "set": [[k, r.choice(verdicts[:7])] for k in keys]}}})
            elif pick < 0.2 and family != "ip6":
                expr.append({"match": {
                    "left": {"concat": [payload("ip", "saddr"), payload("tcp", "dport")]},
                    "op": "==", "right": {"set": [{"concat": [address(False), port()]}
                                                  for _ in range(2)]}}})
                expr.append(r.choice(verdicts[:7]))
            else:
                expr += [{"counter": {"packets": 1, "bytes": 2}}, r.choice(verdicts)]
            add(at, expr)
    heads = [{"chain": {"family": f, "table": t, "name": n, "handle": 1, "type": "filter",
                        "hook": "input", "prio": prio, "policy": r.choice(["drop", "drop", "accept"])}}
             for f, t, n, prio in bases]
    heads += [{"chain": {"family": f, "table": t, "name": n, "handle": 2}} for f, t, n in chains]
    return {"nftables": heads + rules}


@pytest.mark.parametrize("kind", ["list", "box", "interfaces"])
def test_drafts_of_random_nft_rulesets_give_the_same_verdicts(kind, tmp_path):
    compared = accepts = 0
    for seed in range(50):
        r = random.Random(f"nft{kind}{seed}")
        interfaces = ["eth0", "eth1"] if kind == "interfaces" else []
        ruleset = random_nft(r, interfaces)
        own = [ipaddress.ip_address(a) for a in ("10.1.2.3", "fd00:1::3")] if kind == "box" else []
        options = ["--self", "box", "--self-address", "10.1.2.3,fd00:1::3"] if own else []
        path = tmp_path / "in.json"
        path.write_text(json.dumps(ruleset, indent=1 if seed % 2 else None))
        folder = tmp_path / str(seed)
        document = by_handle(write_draft(folder, path, options=options))
        check_draft(folder)
        for v6 in (False, True):
            packets = packets_for(json.dumps(ruleset), seed, own, 250, v6, interfaces)
            packets = [p for p in packets if not own or p.dst in own]
            n = compare(folder, document, packets, of_hook(Nft(ruleset), set(own)), bool(own),
                        at_least=0)
            compared += n[0]
            accepts += n[1]
    assert compared > 5000 and accepts > 1000, (compared, accepts)


# ---- IOS: the proof ----

@pytest.mark.parametrize("name,v6", [("OUTSIDE-IN", False), ("OUTSIDE-IN6", True), ("VTY", False),
                                     ("101", False), ("10", False)])
def test_the_draft_of_ios_lists_gives_the_same_verdicts(name, v6, tmp_path):
    text = (FIXTURES / "edge.ios").read_text()
    document = write_draft(tmp_path / "draft", FIXTURES / "edge.ios", options=["--chain", name])
    check_draft(tmp_path / "draft")
    original = Ios(text)
    _, n_accepts = compare(tmp_path / "draft", document, packets_for(text, 5, [], 4000, v6),
                           lambda p, ledger: original.judge(name, p, ledger))
    assert n_accepts >= 10


def test_lists_that_interfaces_apply_are_chosen(tmp_path):
    lines = (FIXTURES / "edge.ios").read_text().splitlines(keepends=True)
    both = "".join(line for line in lines if "access-class" not in line)
    (tmp_path / "edge.ios").write_text(both)
    document = write_draft(tmp_path / "draft", tmp_path / "edge.ios")
    check_draft(tmp_path / "draft")
    original = Ios(both)
    for name, v6 in (("OUTSIDE-IN", False), ("OUTSIDE-IN6", True)):
        compare(tmp_path / "draft", document, packets_for(both, 6, [], 2000, v6),
                lambda p, ledger: original.judge(name, p, ledger))
    done = run("policy", "import", FIXTURES / "edge.ios")
    assert done.returncode == 3 and "choose one by --chain NAME" in done.stderr


def random_ios(r):
    lines = ["ip access-list extended RANDOM"]
    for _ in range(r.randint(4, 14)):
        proto = r.choice(["ip", "ip", "tcp", "tcp", "udp", "icmp", "gre"])

        def end():
            return r.choice(["any", "any", "host 10.1.2.3", "10.1.2.0 0.0.0.255", "10.0.0.0 0.255.255.255",
                             "10.1.0.4 0.0.255.0", "10.1.2.2 0.0.0.1", "192.168.7.9 0.0.0.15",
                             "10.0.0.1 0.1.0.254"])

        def ports():
            if proto not in ("tcp", "udp") or r.random() < 0.3:
                return ""
            return r.choice([" eq 22", " eq www 443", " range 20 90", " gt 1023", " lt 100", " neq 80",
                             " neq 22 443"])

        rest = " echo" if proto == "icmp" and r.random() < 0.5 else ""
        rest += r.choice(["", "", "", " log"])
        rest += " established" if proto == "tcp" and r.random() < 0.1 else ""
        rest += " time-range T" if r.random() < 0.04 else ""
        lines.append(f" {r.choice(['permit', 'permit', 'deny'])} {proto} {end()} {end()}{ports()}{rest}")
    return "\n".join(lines) + "\n"


def test_drafts_of_random_access_lists_give_the_same_verdicts(tmp_path):
    compared = accepts = 0
    for seed in range(60):
        text = random_ios(random.Random(f"ios{seed}"))
        (tmp_path / "in.ios").write_text(text)
        folder = tmp_path / str(seed)
        document = write_draft(folder, tmp_path / "in.ios")
        check_draft(folder)
        original = Ios(text)
        n = compare(folder, document, packets_for(text, seed, [], 400),
                    lambda p, ledger: original.judge("RANDOM", p, ledger), at_least=0)
        compared += n[0]
        accepts += n[1]
    assert compared > 15000 and accepts > 2000, (compared, accepts)


# ---- the real input ----

@pytest.fixture
def inherited():
    if not INHERITED.exists():
        pytest.skip(f"{INHERITED} is not there (SUIMITSU_INHERITED_RULES names it)")
    return INHERITED


def count(document, code):
    return sum(f["code"] == code for f in document["findings"])


def test_what_is_wrong_with_the_inherited_chain(inherited, tmp_path):
    document = write_draft(tmp_path / "draft", inherited)
    lines = {code: [f["line"] for f in document["findings"] if f["code"] == code]
             for code in {f["code"] for f in document["findings"]}}
    assert document["rules"] == 38
    assert lines["W-DUPLICATE"] == [21]
    assert lines["W-HOST-NETWORK"] == list(range(15, 24))
    assert lines["W-SOURCE-PORT"] == [23]
    assert lines["W-STATELESS"] == [3]
    assert lines["W-WIDE"] == [30, 31, 32]
    assert lines["W-OWNER"] == list(range(1, 39))
    assert all(f["message"] and f["fix"] and f["text"] for f in document["findings"])


@pytest.mark.parametrize("own", [["192.168.10.4"], ["192.168.10.4", "10.0.0.4"], []])
def test_the_inherited_chain_keeps_its_verdicts(own, inherited, tmp_path):
    text = inherited.read_text()
    where = {"eth0": ["0.0.0.0/0"], "eth1": ["192.168.128.0/24"], "vxlan5": ["192.168.10.0/24"]}
    options = ["--interfaces", ",".join(f"{k}={'+'.join(v)}" for k, v in where.items())]
    options += ["--self", "gw", "--self-address", ",".join(own)] if own else []
    document = write_draft(tmp_path / "draft", inherited, options=options)
    check_draft(tmp_path / "draft")
    own = [ipaddress.ip_address(a) for a in own]
    packets = [p for p in packets_for(text, 3, own, 6000) if not own or p.src not in own
               and (p.dst in own or p.to_multicast())]
    _, n_accepts = compare(tmp_path / "draft", document, packets,
                           of_hook(Iptables(text), set(own), where), bool(own))
    assert n_accepts > 100


# ---- findings of the fixtures ----

def found(document, code):
    return [f["line"] for f in document["findings"] if f["code"] == code]


def test_what_is_wrong_with_the_gateway(tmp_path):
    document = write_draft(tmp_path / "draft", FIXTURES / "gateway.rules",
                           options=["--self", "gw", "--self-address", "10.1.0.1,10.2.0.1"])
    assert found(document, "W-HOST-NETWORK") == [9]
    assert found(document, "W-SOURCE-PORT") == [10]
    assert found(document, "W-SHADOWED") == [21]
    # Line 28 stands behind a line that decides everything; nothing jumps to the chain of line 32.
    assert found(document, "W-UNREACHABLE") == [28, 32]
    assert found(document, "W-WIDE") == []
    assert 24 not in found(document, "W-OWNER") and 25 in found(document, "W-OWNER")


def test_owners_and_reasons_come_from_comments(tmp_path):
    write_draft(tmp_path / "draft", FIXTURES / "web.v4.rules",
                options=["--self", "web1", "--self-address", "10.20.1.1"])
    policy = (tmp_path / "draft/policy.yaml").read_text()
    assert 'why: "orders\' database; owner=shop-team (web.v4.rules:27)"\n    owner: "shop-team"' in policy
    assert "postgres: [tcp/5432]   # PostgreSQL" in policy
    inventory = (tmp_path / "draft/inventory.yaml").read_text()
    assert "  web1: {" in inventory and "postgres-client" in inventory


@pytest.mark.parametrize("rule,code", [
    ("-A INPUT -j ACCEPT", "W-WIDE"),
    ("-A INPUT -p tcp --sport 20 -j ACCEPT", "W-SOURCE-PORT"),
    ("-A INPUT -p tcp --tcp-flags ACK ACK -j ACCEPT", "W-STATELESS"),
    ("-A INPUT -s 10.0.0.9/8 -j DROP", "W-HOST-NETWORK"),
])
def test_one_rule_one_finding(rule, code, tmp_path):
    (tmp_path / "in.rules").write_text(f"-P INPUT DROP\n{rule}\n")
    codes = [f["code"] for f in json.loads(
        run("policy", "import", tmp_path / "in.rules", "-o", "json").stdout)["findings"]]
    assert codes == sorted([code, "W-OWNER"]) or codes == [code, "W-OWNER"]


@pytest.mark.parametrize("rule", [
    "-A INPUT -p tcp --sport 20 --dport 80 -j ACCEPT", "-A INPUT -i lo -j ACCEPT",
    "-A INPUT -d 224.0.0.0/4 -j ACCEPT", "-A INPUT -s 10.0.0.0/8 -j ACCEPT",
    "-A INPUT -m state --state ESTABLISHED -j ACCEPT", "-A INPUT -s 10.0.0.9/32 -j DROP"])
def test_rules_without_a_finding_but_their_owner(rule, tmp_path):
    (tmp_path / "in.rules").write_text(f"-P INPUT DROP\n{rule}\n")
    codes = [f["code"] for f in json.loads(
        run("policy", "import", tmp_path / "in.rules", "-o", "json").stdout)["findings"]]
    assert codes == ["W-OWNER"]


# ---- files, exit codes, limits ----

def test_files_are_written_all_or_none_and_never_over_others(tmp_path):
    draft = tmp_path / "draft"
    names = {"policy.yaml", "inventory.yaml", "ledger.txt", "findings.txt"}
    args = ["policy", "import", FIXTURES / "web.v4.rules", "--output", draft]
    assert run(*args).returncode == 9
    assert {p.name for p in draft.iterdir()} == names
    (draft / "policy.yaml").write_text("mine")
    (draft / "ledger.txt").unlink()
    done = run(*args)
    assert done.returncode == 6 and "--force" in done.stderr
    assert (draft / "policy.yaml").read_text() == "mine" and not (draft / "ledger.txt").exists()
    assert run(*args, "--force").returncode == 9
    assert {p.name for p in draft.iterdir()} == names
    assert (draft / "policy.yaml").read_text() != "mine"
    (tmp_path / "file").write_text("")
    done = run(*args[:-1], tmp_path / "file" / "draft")
    assert done.returncode == 5
    # A folder where a file should be stops everything, --force or not.
    other = tmp_path / "other"
    (other / "findings.txt").mkdir(parents=True)
    assert run(*args[:-1], other, "--force").returncode == 6
    assert [p.name for p in other.iterdir()] == ["findings.txt"]


def test_exit_codes_say_whether_all_was_carried_over(tmp_path):
    (tmp_path / "all.rules").write_text("-P INPUT DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\n")
    done = run("policy", "import", tmp_path / "all.rules")
    assert done.returncode == 0 and "1 rules became 1 allow" in done.stdout
    (tmp_path / "bad.rules").write_text("-P INPUT DROP\n-A INPUT -p tcp --dport 70000 -j ACCEPT\n")
    done = run("policy", "import", tmp_path / "bad.rules", "--output", tmp_path / "no")
    assert done.returncode == 3 and not (tmp_path / "no").exists()
    assert "bad.rules:2:25: error E-RANGE" in done.stderr
    assert run("policy", "import", tmp_path / "absent").returncode == 4
    for words in (["--format", "pf"], ["--self", "a b", "--self-address", "10.0.0.1"],
                  ["--self", "box"], ["-o", "xml"]):
        assert run("policy", "import", tmp_path / "all.rules", *words).returncode == 2, words
    for words in (["--self-address", "10.0.0"], ["--self-address", "fd00::1"],
                  ["--interfaces", "eth0"], ["--interfaces", "eth0=10.0.0.1/8"],
                  ["--chain", "none"]):
        assert run("policy", "import", tmp_path / "all.rules", *words).returncode == 3, words
    document = json.loads(run("policy", "import", tmp_path / "bad.rules", "-o", "json").stdout)
    assert document["ok"] is False and document["errors"][0]["code"] == "E-RANGE"


BAD = {  # name: (text, code, place)
    "unknown chain": ("-A INPUT -j nowhere\n", "E-UNKNOWN", "1:1"),
    "circle": ("-A INPUT -j a\n-A a -j b\n-A b -j a\n", "E-VALUE", "3:1"),
    "deep": ("-A INPUT -j c0\n" + "".join(f"-A c{i} -j c{i + 1}\n" for i in range(40)) +
             "-A c40 -j DROP\n", "E-LIMIT", None),
    "quote": ("-A INPUT -m comment --comment \"open -j DROP\n", "E-SYNTAX", "1:31"),
    "no value": ("-A INPUT -s\n", "E-SYNTAX", "1:1"),
    "address": ("-A INPUT -s 10.0.0.256 -j DROP\n", "E-VALUE", "1:13"),
    "families": ("-A INPUT -s 10.0.0.1 -j DROP\n-A INPUT -p tcp -d fd00::1 -j DROP\n", "E-VALUE", "1:13"),
    "v4 in v6": ("# Generated by ip6tables-save\n-A INPUT -s 10.0.0.1 -j DROP\n", "E-VALUE", "2:13"),
    "state": ("-A INPUT -m state --state OLD -j DROP\n", "E-VALUE", "1:27"),
    "policy": (":INPUT MAYBE [0:0]\n", "E-VALUE", "1:8"),
    "words": ("-A INPUT" + " -m x" * 200 + "\n", "E-LIMIT", None),
    "rules": ("-A INPUT -j DROP\n" * 10001, "E-LIMIT", None),
    "explosion": ("".join(f"-A c{i} -j c{i + 1}\n" * 2 for i in range(12)) + "-A INPUT -j c0\n" +
                  "-A c12 -p tcp --dport 1 -j ACCEPT\n" * 30, "E-LIMIT", None),
    "nothing": ("hello\n", "E-SYNTAX", "1:1"),
    "json": ("{\"nftables\": [\n", "E-SYNTAX", None),
    "json without rules": ("{\"a\": 1}\n", "E-SYNTAX", "1:1"),
    "ios port": ("access-list 101 permit tcp any any eq 70000\n", "E-RANGE", "1:39"),
    "ios word": ("access-list 101 allow tcp any any\n", "E-SYNTAX", "1:17"),
    "ios group": ("access-list 101 permit ip object-group A any\n", "E-UNKNOWN", "1:40"),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_what_cannot_be_read_is_refused_with_its_place(name, tmp_path):
    text, code, place = BAD[name]
    (tmp_path / "in").write_text(text)
    done = run("policy", "import", tmp_path / "in")
    assert done.returncode == 3 and f"error {code}" in done.stderr, done.stderr
    assert place is None or f"/in:{place}: " in done.stderr, done.stderr


def test_a_file_over_the_limit_is_refused(tmp_path):
    (tmp_path / "in").write_text("# " + "x" * (4 << 20))
    done = run("policy", "import", tmp_path / "in")
    assert done.returncode == 3 and "larger than 4194304 bytes" in done.stderr


def test_hostile_comments_stay_text(tmp_path):
    evil = "a\u202eb'''''''''' # x: [y\\n \x1b[2J owner: eve\u202e"
    (tmp_path / "in.rules").write_text(
        f'-P INPUT DROP\n-A INPUT -s 10.0.0.1 -p tcp --dport 22 -m comment --comment "{evil}" -j ACCEPT\n')
    document = write_draft(tmp_path / "draft", tmp_path / "in.rules")
    check_draft(tmp_path / "draft")
    assert "\u202e" not in json.dumps(document, ensure_ascii=False)
    assert "\x1b" not in (tmp_path / "draft/policy.yaml").read_text()


def test_all_of_ipv6_is_an_address(tmp_path):
    rules = "-P INPUT DROP\n-A INPUT -s ::/0 -p tcp --dport 22 -j ACCEPT\n-A INPUT -s fd00::1 -j ACCEPT\n"
    document = json.loads(run("policy", "import", "-", "-o", "json", stdin=rules).stdout)
    assert document["ok"] and document["allows"] == 2


def test_a_firewalls_netmask_is_no_wildcard(tmp_path):
    (tmp_path / "asa").write_text(
        "access-list OUT extended permit tcp 10.9.0.1 255.255.255.255 10.8.0.0 255.255.0.0 eq 22\n")
    write_draft(tmp_path / "draft", tmp_path / "asa")
    policy = (tmp_path / "draft/policy.yaml").read_text()
    assert 'outside: ["10.8.0.0/16"]' in policy
    assert '"10.9.0.1"' in (tmp_path / "draft/inventory.yaml").read_text()


def test_a_set_that_is_not_there_is_not_taken_for_empty(tmp_path):
    ruleset = {"nftables": [
        {"chain": {"family": "ip", "table": "t", "name": "c", "type": "filter", "hook": "input",
                   "prio": 0, "policy": "accept"}},
        {"rule": {"family": "ip", "table": "t", "chain": "c", "handle": 4, "expr": [
            {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                       "right": "@gone"}}, {"drop": None}]}}]}
    (tmp_path / "in.json").write_text(json.dumps(ruleset))
    document = write_draft(tmp_path / "draft", tmp_path / "in.json")
    assert [e["effect"] for e in document["ledger"] if "handle 4" in e.get("text", "")] == ["wider"]


def test_standard_input_and_yaml(tmp_path):
    import yaml
    rules = "-P INPUT DROP\n-A INPUT -p tcp --dport 22 -j ACCEPT\n"
    said = {f: run("policy", "import", "-", "-o", f, stdin=rules).stdout for f in ("json", "yaml")}
    assert yaml.safe_load(said["yaml"]) == json.loads(said["json"])
    assert json.loads(said["json"])["allows"] == 1


def test_the_example_of_the_documentation(tmp_path):
    text = (ROOT / "docs/import.md").read_text()

    def block(after, kind=""):
        start = text.index(f"```{kind}\n", text.index(after)) + len(kind) + 4
        return text[start:text.index("```", start)]
    (tmp_path / "box.rules").write_text(block("`box.rules`, as", "iptables"))
    console = text[text.index("$ suimitsu policy import box.rules"):].split("```")[0]
    commands = [line[2:].split() for line in console.splitlines() if line.startswith("$ ")]
    done = run(*commands[0][1:], cwd=tmp_path)
    assert done.returncode == 9 and done.stdout in console
    assert run(*commands[1][1:], cwd=tmp_path).returncode == 0
    policy = (tmp_path / "draft/policy.yaml").read_text()
    assert policy[policy.index("suimitsu: 1"):] == block("without the comment at its head", "yaml")
    assert block("without its head") in (tmp_path / "draft/ledger.txt").read_text()
