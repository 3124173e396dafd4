"""The JSON of nftables, evaluated as nft(8) describes it: enough of it for tables of ours.

What it does not know is an error, never a match.
"""
import dataclasses
import ipaddress

ICMP = {"icmp": 1, "icmpv6": 58}
FINAL = ("accept", "drop", "reject")


@dataclasses.dataclass
class Packet:
    protocol: int
    src: str
    dst: str
    sport: int = 0
    dport: int = 0
    type: int = 0
    direction: str = "original"
    state: str = "new"

    @property
    def v6(self):
        return ":" in self.src


class Table:
    def __init__(self, document):
        self.chains, self.maps = {}, {}
        for command in document["nftables"]:
            (verb, what), = command.items()
            (kind, data), = what.items()
            assert data["family"] == "inet" and (data.get("table") or data["name"]) == "suimitsu"
            if verb != "add" or kind == "table":
                assert verb in ("add", "delete", "flush"), verb
            elif kind == "chain":
                assert data["name"] not in self.chains
                self.chains[data["name"]] = (data.get("policy"), [])
            elif kind == "map":
                assert data["name"] not in self.maps and data["map"] == "verdict"
                self.maps[data["name"]] = self._disjoint(data["elem"], data["flags"])
            else:
                assert kind == "rule"
                self.chains[data["chain"]][1].append(data["expr"])

    @staticmethod
    def _disjoint(elements, flags):
        """nft refuses intervals that overlap; and chains that are not there yet."""
        assert flags == ["interval"]
        bounds = sorted((low, high) for low, high in (Table._bounds(k) for k, _ in elements))
        assert all(a[1] < b[0] for a, b in zip(bounds, bounds[1:])), elements
        return elements

    @staticmethod
    def _bounds(key):
        """As numbers; a concatenation as protocol and port."""
        def number(x):
            return x if isinstance(x, int) else int(ipaddress.ip_address(x))
        if isinstance(key, dict) and "concat" in key:
            protocol, port = key["concat"]
            low, high = port["range"]
            assert low <= high
            return (protocol, low), (protocol, high)
        low, high = key["range"] if isinstance(key, dict) else (key, key)
        assert number(low) <= number(high)
        return number(low), number(high)

    def _left(self, p, left):
        """A number, an address, or a word; None: the packet has no such thing."""
        (kind, data), = left.items()
        if kind == "concat":
            parts = tuple(self._left(p, x) for x in data)
            return None if None in parts else parts
        if kind == "meta":
            return {"l4proto": p.protocol, "oifname": "eth0", "iifname": "eth0", "length": 60}[
                data["key"]]
        if kind == "ct":
            if p.state in ("invalid", "untracked") and data["key"] == "direction":
                return None
            return {"state": p.state, "direction": p.direction}[data["key"]]
        assert kind == "payload"
        protocol, field = data["protocol"], data["field"]
        if protocol in ("ip", "ip6"):
            if (protocol == "ip6") != p.v6:
                return None
            return {"saddr": p.src, "daddr": p.dst, "protocol": p.protocol}[field]
        if protocol in ICMP:
            return p.type if ICMP[protocol] == p.protocol else None
        if protocol in ("tcp", "udp") and p.protocol != {"tcp": 6, "udp": 17}[protocol]:
            return None
        return {"sport": p.sport, "dport": p.dport, "flags": "ack"}[field]

    def _matches(self, p, match):
        left, right = self._left(p, match["left"]), match["right"]
        if left is None:
            return False
        if match["op"] == "<=":
            return left <= right
        if match["op"] == "in":
            return left in ([right] if isinstance(right, str) else right)
        assert match["op"] == "=="
        if isinstance(right, dict) and "set" in right:
            return left in right["set"]
        if isinstance(right, dict):
            prefix = ipaddress.ip_network((right["prefix"]["addr"], right["prefix"]["len"]))
            return ipaddress.ip_address(left) in prefix
        if isinstance(right, str) and isinstance(left, str) and left[0].isdigit():
            return ipaddress.ip_address(left) == ipaddress.ip_address(right)
        return left == right

    def _look_up(self, p, vmap):
        key = self._left(p, vmap["key"])
        if key is None:
            return None
        if isinstance(key, str):
            key = int(ipaddress.ip_address(key))
        data = vmap["data"]
        elements = data["set"] if isinstance(data, dict) else self.maps[data[1:]]
        for element, verdict in elements:
            low, high = self._bounds(element)
            if low <= key <= high:
                return verdict
        return None

    def _run(self, chain, p):
        policy, rules = self.chains[chain]
        for rule in rules:
            for expr in rule:
                (kind, data), = expr.items()
                if kind == "match":
                    if not self._matches(p, data):
                        break
                elif kind == "vmap" or kind == "goto":
                    verdict = self._look_up(p, data) if kind == "vmap" else expr
                    if verdict is None:
                        break
                    assert list(verdict) == ["goto"]
                    return self._run(verdict["goto"]["target"], p) or policy
                elif kind in FINAL:
                    return kind
                else:
                    assert kind in ("counter", "log", "limit"), kind
        return policy

    def passes(self, hook, p):
        return self._run(hook, p) == "accept"
