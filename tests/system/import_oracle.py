"""First-match evaluators of the original rule sets, written apart from the importer: they walk the
rules one by one with one packet, and never resolve a shadow.

A packet opens a connection: state new, TCP flags SYN alone.  An evaluator answers with a Verdict, or
with None where the outcome depends on a condition that the ledger lists (what a policy has no words
for).  A condition that the evaluator does not know has to be in the ledger: else the test fails."""
import ipaddress
import json
import random
import re
import shlex
from dataclasses import dataclass, field

NUMBERS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "ipv6-icmp": 58, "gre": 47, "esp": 50,
           "ah": 51, "ahp": 51, "vrrp": 112, "igmp": 2, "ospf": 89, "sctp": 132, "eigrp": 88,
           "pim": 103, "udplite": 136}
V4_OF_V6 = {1: 3, 3: 11, 4: 12, 128: 8, 129: 0}
MULTICAST = [ipaddress.ip_network(n) for n in ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8")]


@dataclass
class Packet:
    src: object
    dst: object
    proto: int              # ICMPv6 is 58.
    port: int = 0           # Or the ICMP type of its family.
    sport: int = 40000
    iif: str = "elsewhere0"
    oif: str = "elsewhere0"

    def to_multicast(self):
        return any(self.dst.version == n.version and self.dst in n for n in MULTICAST)

    def query(self):
        q = {"from": str(self.src), "to": str(self.dst), "protocol": self.proto}
        if self.proto in (6, 17):
            q["port"] = self.port
        elif self.proto == 1:
            q["type"] = self.port
        elif self.proto == 58:
            q["protocol"], q["type"] = 1, V4_OF_V6[self.port]
        return q


@dataclass
class Verdict:
    accept: bool
    line: object            # Of the deciding rule; None: a policy.
    named: bool = False     # Some condition on the way names the destination.
    proto: bool = False     # Some condition on the way names the protocol.


class Unknown(Exception):
    """The outcome depends on what the ledger lists."""


class Undecided(Exception):
    """A condition that neither the evaluator nor the ledger knows."""


@dataclass
class Ledger:
    """Lines that the ledger lists, with their reasons."""
    entries: dict = field(default_factory=dict)

    @classmethod
    def of(cls, document):
        own = cls()
        for e in document["ledger"]:
            own.entries.setdefault(e.get("line"), []).append((e["effect"], e["reason"]))
        return own

    def says(self, line, *words):
        """'line' may be a list: any of them."""
        return any(effect != "same" and any(w in reason for w in words)
                   for one in (line if isinstance(line, list) else [line])
                   for effect, reason in self.entries.get(one, []))

    @property
    def says_forward_is_left_out(self):
        return any("forwards everything" in reason for found in self.entries.values()
                   for _, reason in found)

    def inexact(self, line):
        return self.says(line, "also asks for", "source port that only")


# ---- iptables ----

class Iptables:
    def __init__(self, text, v6=False):
        self.v6 = v6
        self.chains, self.policies, self.policy_lines = {}, {}, {}
        table = "filter"
        for number, line in enumerate(text.splitlines(), 1):
            words = shlex.split(line, comments=False) if not line.startswith("#") else []
            if not words:
                continue
            if words[0][0] == "*":
                table = words[0][1:]
            if table != "filter" or words[0] == "COMMIT" or words[0][0] == "*":
                continue
            if words[0][0] == "[":
                words = words[1:]
            if words[0][0] == ":" or words[0] in ("-P", "-N"):
                name, policy = (words[0][1:], words[1]) if words[0][0] == ":" else \
                    (words[1], words[2] if words[0] == "-P" else "-")
                self.chains.setdefault(name, [])
                self.policies[name] = policy
                self.policy_lines[name] = number
            elif words[0] == "-A":
                self.policy_lines.setdefault(words[1], number)
                self.chains.setdefault(words[1], []).append((number, words[2:]))

    def lines(self):
        return [(n, w) for rules in self.chains.values() for n, w in rules]

    def judge(self, chain, p, ledger):
        """None: the original says nothing of such packets."""
        if chain not in self.chains:
            return None
        verdict = self.walk(chain, p, ledger, False, False)
        if verdict:
            return verdict
        return Verdict(self.policies.get(chain) == "ACCEPT", self.policy_lines.get(chain))

    def walk(self, chain, p, ledger, named, proto):
        """None: the packet fell off the chain's end, or was returned."""
        for number, words in self.chains[chain]:
            matches, unsure, names, asks, target, goto = self.match(words, p, number)
            if not matches or target is None:
                continue
            if unsure:
                if not ledger.inexact(number):
                    raise Undecided(f"line {number}: {words}")
                raise Unknown
            if target in ("ACCEPT", "DROP", "REJECT"):
                return Verdict(target == "ACCEPT", number, named or names, proto or asks)
            if target == "RETURN":
                return None
            found = self.walk(target, p, ledger, named or names, proto or asks)
            if found or goto:
                return found
        return None

    def match(self, words, p, number):
        matches, unsure, named, proto, target, goto = True, False, False, False, None, False
        i = 0

        def value():
            nonlocal i
            i += 1
            return words[i - 1]

        def networks(text, address):
            hit = False
            for part in text.split(","):
                if "-" in part:
                    low, high = map(ipaddress.ip_address, part.split("-"))
                    hit |= low <= address <= high
                else:
                    hit |= address in ipaddress.ip_network(part, strict=False)
            return hit

        def ports(text, port):
            for part in text.split(","):
                low, _, high = part.partition(":")
                high = high or (65535 if ":" in part else low)
                if int(low or 0) <= port <= int(high):
                    return True
            return False

        while i < len(words):
            negated = words[i] == "!"
            i += negated
            w = value()
            if w in ("-j", "-g"):
                target, goto = value(), w == "-g"
                if target in ("LOG", "TCPMSS", "MARK", "NFLOG", "CT"):
                    target = None
                    break
                continue
            if w in ("-m", "--comment", "--reject-with"):
                value()
                continue
            if w in ("-s", "--src-range"):
                hit = networks(value(), p.src)
            elif w in ("-d", "--dst-range"):
                hit, named = networks(value(), p.dst), True
            elif w == "-p":
                name = value()
                hit = name == "all" or p.proto == (NUMBERS.get(name) or int(name))
                proto = True
            elif w == "-i":
                hit = interface(value(), p.iif)
            elif w == "-o":
                hit = interface(value(), p.oif)
            elif w in ("--dport", "--dports"):
                hit = p.proto in (6, 17) and ports(value(), p.port)
                if negated and p.proto not in (6, 17):
                    hit = True
            elif w in ("--sport", "--sports"):
                value()
                unsure = True
                continue
            elif w in ("--icmp-type", "--icmpv6-type"):
                t = value()
                names = {"echo-request": 128 if self.v6 else 8}
                hit = p.proto in (1, 58) and p.port == int(names.get(t, t))
            elif w in ("--state", "--ctstate"):
                hit = "NEW" in value().split(",")
            elif w == "--tcp-flags":
                mask, flags = value().split(","), value().split(",")
                wanted = [] if flags == ["NONE"] else flags
                hit = (["SYN"] if "SYN" in mask or mask == ["ALL"] else []) == wanted
            elif w == "--syn":
                hit = True
            else:
                while i < len(words) and words[i][0] != "-" and words[i] != "!":
                    i += 1
                unsure = True
                continue
            matches &= hit != negated
        return matches, unsure, named, proto, target, goto


def interface(pattern, name):
    return name.startswith(pattern[:-1]) if pattern[-1] in "+*" else name == pattern


# ---- nft ----

class Nft:
    """Rules are known by "FAMILY TABLE CHAIN handle N", which is how the importer calls them."""

    def __init__(self, document):
        self.bases, self.chains, self.sets = [], {}, {}
        for e in document["nftables"]:
            kind, x = next(iter(e.items()))
            if kind == "chain":
                self.chains[x["family"], x["table"], x["name"]] = []
                if x.get("type") == "filter":
                    self.bases.append(x)
            elif kind in ("set", "map"):
                self.sets[x["family"], x["table"], x["name"]] = x
            elif kind == "rule":
                self.chains[x["family"], x["table"], x["chain"]].append(x)
        self.bases.sort(key=lambda x: x["prio"])

    def judge(self, hook, p, ledger):
        lines, named, proto, met = [], False, False, False
        for base in self.bases:
            if base["hook"] != hook.lower() or \
                    base["family"] not in ("inet", "ip6" if p.dst.version == 6 else "ip"):
                continue
            met = True
            at = (base["family"], base["table"], base["name"])
            v = self.walk(at, p, ledger, False, False)
            if v is None:
                policy = base.get("policy", "accept")
                v = Verdict(policy == "accept", f"the policy of {' '.join(at)}, {policy.upper()}")
            lines.append(v.line)
            named, proto = named or v.named, proto or v.proto
            if not v.accept:
                return Verdict(False, lines, named, proto)
        return Verdict(True, lines, named, proto) if met else None

    def walk(self, at, p, ledger, named, proto):
        for rule in self.chains[at]:
            line = f"{' '.join(at)} handle {rule['handle']}"
            matches, unsure, names, asks, verdict = self.match(at, rule, p)
            if not matches or verdict is None:
                continue
            if unsure:
                if not ledger.inexact(line):
                    raise Undecided(line)
                raise Unknown
            word, value = next(iter(verdict.items()))
            if word in ("accept", "drop", "reject"):
                return Verdict(word == "accept", line, named or names, proto or asks)
            if word == "return":
                return None
            if word == "continue":
                continue
            found = self.walk((at[0], at[1], value["target"]), p, ledger, named or names,
                              proto or asks)
            if found or word == "goto":
                return found
        return None

    def match(self, at, rule, p):
        matches, unsure, named, proto = True, False, False, False
        for statement in rule["expr"]:
            word, x = next(iter(statement.items())) if isinstance(statement, dict) else \
                (statement, None)
            if word == "match":
                hit, names, asks = self.condition(at, x["left"], x["op"], x["right"], p)
                named, proto = named or names, proto or asks
                if hit is None:
                    unsure = True
                else:
                    matches = matches and hit
            elif word == "vmap":
                for key, verdict in self.elements(at, x["data"]):
                    hit, names, asks = self.condition(at, x["key"], "==", key, p)
                    if hit:
                        return matches, unsure, named or names, proto or asks, verdict
                return False, unsure, named, proto, None
            elif word in ("accept", "drop", "return", "jump", "goto", "continue"):
                return matches, unsure, named, proto, statement
            elif word == "reject":
                kind = (x or {}).get("type")
                matches = matches and not (
                    (kind == "icmp" and p.dst.version == 6) or
                    (kind == "icmpv6" and p.dst.version == 4) or
                    (kind == "tcp reset" and p.proto != 6))
                return matches, unsure, named, proto or kind == "tcp reset", statement
            elif word not in ("counter", "log"):
                unsure = True
        return matches, unsure, named, proto, None

    def elements(self, at, right):
        if isinstance(right, str):
            return self.sets[at[0], at[1], right[1:]].get("elem", [])
        return right["set"]

    def condition(self, at, left, op, right, p):
        """(true, false or None for unknown; whether it names the destination; the protocol)"""
        if "concat" in left:
            hit, named, proto = False, False, False
            for element in [right] if "concat" in right else self.elements(at, right):
                parts = [self.condition(at, k, "==", v, p)
                         for k, v in zip(left["concat"], element["concat"])]
                hit = hit or all(h for h, _, _ in parts)
                named = any(n for _, n, _ in parts)
                proto = any(a for _, _, a in parts)
            return (hit if op == "==" else not hit), named, proto
        masked = "&" in left
        if masked:
            left, mask = left["&"]
        kind, x = next(iter(left.items()))
        key = (x.get("protocol"), x["field"]) if kind == "payload" else (kind, x.get("key"))
        if key[1] == "flags" and key[0] == "tcp":
            wanted = right if isinstance(right, list) else [right]
            if p.proto != 6:
                return False, False, True
            if op == "in":
                return "syn" in wanted, False, True
            mine = ["syn"] if not masked or "syn" in mask else []
            return (mine == wanted) == (op != "!="), False, True
        value = {("ip", "saddr"): p.src, ("ip6", "saddr"): p.src, ("ip", "daddr"): p.dst,
                 ("ip6", "daddr"): p.dst, ("ip", "protocol"): p.proto, ("ip6", "nexthdr"): p.proto,
                 ("meta", "l4proto"): p.proto, ("meta", "iifname"): p.iif,
                 ("meta", "oifname"): p.oif, ("ct", "state"): "new", ("icmp", "type"): p.port,
                 ("icmpv6", "type"): p.port,
                 ("meta", "nfproto"): "ipv4" if p.dst.version == 4 else "ipv6"}.get(key)
        named, proto = key[1] == "daddr", key[1] in ("protocol", "l4proto", "nexthdr")
        if key[0] in ("ip", "ip6") and (p.dst.version == 6) != (key[0] == "ip6"):
            return False, named, proto
        if key[0] in ("tcp", "udp", "th", "icmp", "icmpv6"):
            proto = True
            if p.proto not in ((6, 17) if key[0] == "th" else (NUMBERS[key[0]],)):
                return False, named, proto
            if key[1] == "dport":
                value = p.port
            elif key[1] == "sport":
                return None, named, proto
        if value is None:
            return None, named, proto
        if op in ("<", ">", "<=", ">="):
            return {"<": value < right, ">": value > right, "<=": value <= right,
                    ">=": value >= right}[op], named, proto
        hit = any(self.takes(key, v, value) for v in self.values(at, right))
        return hit == (op != "!="), named, proto

    def values(self, at, right):
        if isinstance(right, list):
            return right
        if (isinstance(right, str) and right[0] == "@") or \
                (isinstance(right, dict) and "set" in right):
            return self.elements(at, right)
        return [right]

    @staticmethod
    def takes(key, v, value):
        if isinstance(v, dict) and "elem" in v:
            v = v["elem"]["val"]
        if key[1] in ("saddr", "daddr"):
            if isinstance(v, dict) and "prefix" in v:
                net = ipaddress.ip_network(f"{v['prefix']['addr']}/{v['prefix']['len']}", False)
                return value.version == net.version and value in net
            low, high = map(ipaddress.ip_address, v["range"] if isinstance(v, dict) else (v, v))
            return value.version == low.version and low <= value <= high
        if isinstance(v, dict):
            return v["range"][0] <= value <= v["range"][1]
        if key[0] == "meta" and key[1] in ("iifname", "oifname"):
            return interface(v, value)
        types = {"echo-request": 8, "destination-unreachable": 3, "echo-reply": 0,
                 "time-exceeded": 11}
        types6 = {"echo-request": 128, "nd-neighbor-solicit": 135, "nd-router-advert": 134,
                  "destination-unreachable": 1, "time-exceeded": 3}
        if isinstance(v, str) and key[1] == "type":
            v = (types if key[0] == "icmp" else types6)[v]
        if isinstance(v, str) and key[1] in ("l4proto", "protocol", "nexthdr"):
            v = NUMBERS[v]
        return v == value


# ---- IOS ----

IOS_PORTS = {"www": 80, "domain": 53, "smtp": 25, "ssh": 22, "telnet": 23, "ntp": 123, "snmp": 161}
IOS_TYPES = {"echo": 8, "echo-reply": 0, "unreachable": 3, "ttl-exceeded": 11}
IOS_TYPES6 = {"echo-request": 128, "echo-reply": 129}


class Ios:
    def __init__(self, text):
        self.lists, self.networks, self.services = {}, {}, {}
        block = None
        for number, line in enumerate(text.splitlines(), 1):
            w = line.split()
            if not w or w[0] == "!":
                continue
            if w[0] == "access-list":
                self.add(w[1], 4, number, w[2:], int(w[1]) < 100)
                block = None
            elif w[:2] in (["ip", "access-list"], ["ipv6", "access-list"]):
                v6, w = w[0] == "ipv6", w[2:]
                standard = w[0] == "standard"
                block = ("list", w[-1], 6 if v6 else 4, standard)
            elif w[0] == "object-group":
                block = (w[1], w[2])
                (self.networks if w[1] == "network" else self.services)[w[2]] = []
            elif line[0] != " ":
                block = None
            elif block and block[0] == "list":
                self.add(block[1], block[2], number, w, block[3])
            elif block and block[0] == "network":
                self.networks[block[1]].append(w)
            elif block and block[0] == "service":
                self.services[block[1]].append(w)

    def add(self, name, version, number, words, standard):
        if words[0].isdigit():
            words = words[1:]
        if words[0] == "sequence":
            words = words[2:]
        if words[0] != "remark":
            self.lists.setdefault((name, version), []).append((number, words, standard))

    def judge(self, name, p, ledger):
        rules = self.lists.get((name, p.dst.version))
        if rules is None:
            return None
        for number, words, standard in rules:
            hit, unsure, named, proto = self.match(list(words[1:]), standard, p)
            if not hit:
                continue
            if unsure:
                if not ledger.inexact(number):
                    raise Undecided(f"line {number}")
                raise Unknown
            return Verdict(words[0] == "permit", number, named, proto)
        return Verdict(False, None)

    def match(self, w, standard, p):
        if standard:
            return self.end(w, p.src)[0], False, False, False
        service = None
        if w[0] == "object-group":
            service = self.services[w[1]]
            del w[0]
        protocol = w.pop(0)
        hit = True
        if service is None and protocol not in ("ip", "ipv6"):
            hit = p.proto == (58 if protocol == "icmp" and p.dst.version == 6 else
                              NUMBERS.get(protocol) or int(protocol))
        if service is not None:
            hit = any(self.service(list(s), p) for s in service)
        unsure = False
        src, _ = self.end(w, p.src)
        if protocol in ("tcp", "udp") and self.ports(w, p.sport) is not None:
            unsure = True
        dst, named = self.end(w, p.dst)
        if protocol in ("tcp", "udp"):
            found = self.ports(w, p.port)
            hit = hit and found is not False
        types = IOS_TYPES6 if p.dst.version == 6 else IOS_TYPES
        if protocol == "icmp" and w and (w[0] in types or w[0].isdigit()):
            t = w.pop(0)
            hit = hit and p.port == int(types.get(t, t))
        if "sequence" in w:
            at = w.index("sequence")
            del w[at:at + 2]
        for rest in w:
            if rest == "established":
                hit = False  # A lone SYN has neither ACK nor RST.
            elif rest not in ("log", "log-input"):
                unsure = True
        return hit and src and dst, unsure, named, service is not None or protocol not in ("ip", "ipv6")

    def service(self, s, p):
        if s[0] == "ip":
            return True
        if p.proto != NUMBERS[s.pop(0)]:
            return False
        return self.ports(s, p.port) is not False if s else True

    def end(self, w, address):
        """Whether the address is meant, and whether any was named; takes the words."""
        first = w.pop(0)
        if first == "any":
            return True, False
        if first == "host":
            return address == ipaddress.ip_address(w.pop(0)), True
        if first == "object-group":
            return any(self.network(list(n), address) for n in self.networks[w.pop(0)]), True
        if "/" in first:
            return address in ipaddress.ip_network(first, strict=False), True
        base = int(ipaddress.IPv4Address(first))
        wildcard = int(ipaddress.IPv4Address(w.pop(0))) if w and w[0].count(".") == 3 else 0
        return (int(address) | wildcard) == (base | wildcard), True

    def network(self, n, address):
        if n[0] == "description":
            return False
        if n[0] == "host":
            return address == ipaddress.ip_address(n[1])
        if n[0] == "range":
            return ipaddress.ip_address(n[1]) <= address <= ipaddress.ip_address(n[2])
        if n[0] == "group-object":
            return any(self.network(list(x), address) for x in self.networks[n[1]])
        return address in ipaddress.ip_network(f"{n[0]}/{n[1]}", strict=False)

    @staticmethod
    def ports(w, port):
        """None: no operator stands there."""
        def number(s):
            return IOS_PORTS[s] if s in IOS_PORTS else int(s)
        if not w or w[0] not in ("eq", "neq", "range", "gt", "lt"):
            return None
        operator = w.pop(0)
        if operator == "range":
            return number(w.pop(0)) <= port <= number(w.pop(0))
        if operator in ("gt", "lt"):
            n = number(w.pop(0))
            return port > n if operator == "gt" else port < n
        listed = []
        while w and (w[0].isdigit() or w[0] in IOS_PORTS):
            listed.append(number(w.pop(0)))
        return (port in listed) == (operator == "eq")


# ---- packets ----

def interesting_addresses(text, v6):
    found = set()
    for token in re.findall(r"[0-9a-fA-F:.]+(?:/[0-9.]+)?", text):
        try:
            net = ipaddress.ip_network(token, strict=False)
        except ValueError:
            continue
        if (net.version == 6) != v6 or net.prefixlen == 0:
            continue
        for n in (int(net[0]) - 1, int(net[0]), int(net[-1]), int(net[-1]) + 1,
                  int(net[0]) + net.num_addresses // 2):
            if 0 < n < 2 ** (128 if v6 else 32):
                found.add(ipaddress.IPv6Address(n) if v6 else ipaddress.IPv4Address(n))
    return sorted(found)


def interesting_ports(text):
    found = {1, 22, 80, 1023, 1024, 65535}
    for token in re.findall(r"\d+", text):
        found |= {p for p in (int(token) - 1, int(token), int(token) + 1) if 0 < p < 65536}
    return sorted(found)


def is_odd(address):
    """Addresses that no policy speaks of: loopback, and what maps IPv4 into IPv6."""
    return address.is_loopback or int(address) == 0 or \
        (address.version == 6 and int(address) >> 118 == 0)


class Packets:
    """Seeded, biased to what stands in the text and one beside it."""

    def __init__(self, text, seed, v6=False, interfaces=()):
        self.random = random.Random(seed)
        self.v6 = v6
        self.addresses = interesting_addresses(text, v6) or [
            ipaddress.ip_address("fd00::1" if v6 else "10.0.0.1")]
        self.ports = interesting_ports(text)
        self.interfaces = list(interfaces) + ["elsewhere0"]

    def address(self):
        r = self.random
        while True:
            if r.random() < 0.8:
                a = r.choice(self.addresses)
            elif self.v6:
                a = ipaddress.IPv6Address(r.choice([0x2001, 0xfd00]) << 112 | r.getrandbits(112))
            else:
                a = ipaddress.IPv4Address(r.getrandbits(32))
            if not is_odd(a):
                return a

    def packet(self, src=None, dst=None):
        r = self.random
        while True:
            p = Packet(src or self.address(), dst or self.address(), 6,
                       sport=r.choice([20, 53, 80, 1023, 1024, 33000, 65535]),
                       iif=r.choice(self.interfaces), oif=r.choice(self.interfaces))
            if p.src != p.dst:
                break
        p.proto = r.choice([6, 6, 6, 17, 17, 58 if self.v6 else 1, 47, 112, 89])
        if p.proto in (6, 17):
            p.port = r.choice(self.ports) if r.random() < 0.9 else r.randint(1, 65535)
        elif p.proto == 1:
            p.port = r.choice([0, 3, 8, 8, 11, 13, 5])
        elif p.proto == 58:
            p.port = r.choice([1, 3, 128, 128, 129])
        return p
