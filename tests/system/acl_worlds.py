"""Random policies and inventories with endpoints at switch ports, and packets to try on them."""
import ipaddress
import random

SERVICES = ["tcp/80", "tcp/443", "tcp/440-450", "tcp/1-1023", "tcp/8080", "tcp/49152-65535",
            "udp/53", "udp/161", "udp/500-600", "icmp/echo", "icmp/timestamp",
            ["tcp/22", "tcp/23", "udp/69"], ["tcp/443", "udp/443"]]
OUTSIDE = ["198.51.100.0/24", "198.51.100.64/26", "198.51.0.0/16", "2001:db8::/32",
           "2001:db8:1::/48", "203.0.113.5/32", "0.0.0.0/0", "10.9.0.0/22"]
STRANGERS = ["198.51.100.70", "198.51.100.7", "198.51.9.9", "203.0.113.5", "203.0.113.4", "8.8.8.8",
             "10.9.0.200", "10.9.1.9", "2001:db8:1::9", "2001:db8:2::9", "2a00::1", "fd09::ffff"]
PORTS = {"tcp": [22, 80, 443, 445, 1023, 1024, 8080, 50000], "udp": [53, 69, 161, 443, 550, 61],
         "icmp": [8, 13]}
EPHEMERAL = 40123  # In no service.


def random_world(seed):
    """(policy, inventory); e0 and e1 hang at sw1:Gi1/0/7, e2 at sw1:Gi1/0/8."""
    r = random.Random(seed)
    endpoints = {}
    n = r.randint(4, 14)
    spread = r.sample(range(40), n)
    for i in range(n):
        addresses = [f"10.9.0.{16 + spread[i]}"] + ([f"fd09::{16 + spread[i]:x}"]
                                                    if r.random() < .8 else [])
        if r.random() < .15:
            addresses.append(f"10.9.1.{16 + spread[i]}")
        endpoints[f"e{i}"] = {
            "labels": {k: r.choice("ab") for k in r.sample("xyz", r.randint(1, 3))},
            "addresses": addresses, "enforcers": ["switch"] if i < 3 else
            r.choice([["host"], ["edge"], ["switch"], ["host", "edge"], []])}
        if r.random() < .12:
            endpoints[f"e{i}"]["state"] = r.choice(["grey", "black", "black"])
        if i < 3:
            endpoints[f"e{i}"]["switch"] = {"name": "sw1", "port": f"Gi1/0/{8 if i == 2 else 7}"}
    groups = {f"{k}{v}": {"match": {k: v}} for k in "xyz" for v in "ab"}
    groups["some"] = {"members": r.sample(sorted(endpoints), r.randint(1, 3))}
    groups["world"] = {"outside": True}
    groups["part"] = {"outside": r.sample(OUTSIDE, r.randint(1, 3))}
    groups["part2"] = {"outside": r.sample(OUTSIDE, 1)}
    inside = [g for g in groups if g not in ("world", "part", "part2")]

    def end():
        chance = r.random()
        if chance < .25:
            return "any"
        return r.choice(sorted(groups)) if chance < .6 else r.sample(sorted(groups), 2)

    def rule(kind, i):
        made = {"id": f"{kind}-{i}", "from": end(), "to": end(), "why": f"because {i}",
                "owner": r.choice(["ops", "plant"])}
        if r.random() < .85:
            made["service"] = r.choice(SERVICES)
        if kind == "never" and r.random() < .4:
            made["except"] = r.choice([{"from": r.choice(inside)}, {"to": r.choice(inside)},
                                       {"service": r.choice(SERVICES)}])
        if kind == "allow" and r.random() < .15:
            made["process"] = {"exe": "/opt/x"}
            made["accept-weaker"] = "nobody can look there"
        return made

    policy = {"suimitsu": 1, "groups": groups,
              "never": [rule("never", i) for i in range(r.randint(0, 2))],
              "allow": [rule("allow", i) for i in range(r.randint(0, 7))],
              "quarantine": [{"id": f"q{i}", r.choice(["to", "from"]): r.choice(inside),
                              "service": r.choice(SERVICES), "why": "w", "owner": "soc"}
                             for i in range(r.randint(0, 2))]}
    modes = {g: r.choice(["learn", "test", "enforce"]) for g in r.sample(inside, r.randint(0, 2))}
    policy["mode"] = {"default": r.choice(["enforce", "enforce", "test"]), **modes}
    return policy, {"suimitsu-inventory": 1, "endpoints": endpoints}


def remotes(inventory, own, version):
    """Addresses of the other endpoints, neighbours of them, and of strangers, of one family."""
    found = []
    for name, e in inventory["endpoints"].items():
        if name not in own:
            found += e["addresses"]
    found += [str(ipaddress.ip_address(a) + 1) for a in found]
    taken = {a for name in own for a in inventory["endpoints"][name]["addresses"]}
    return sorted({a for a in [*found, *STRANGERS]
                   if ipaddress.ip_address(a).version == version} - taken)
