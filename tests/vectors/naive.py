# SPDX-License-Identifier: Apache-2.0
"""The meaning of a policy once more, in the plainest Python, from docs/policy.md alone: a third
opinion beside a person's answers and the programs.  Policies and inventories are their JSON forms,
valid ones (nothing is checked here), questions and answers those of the vectors."""
import datetime
import ipaddress

TYPES = {"echo-reply": 0, "echo": 8, "timestamp": 13}
YES, NO, UNTOLD, BLIND = "yes", "no", "not told", "nobody can tell"
STRICTNESS = {None: 0, "learn": 1, "test": 2, "enforce": 3}


def listed(value):
    return value if isinstance(value, list) else [value]


class End:
    """One end of a question: an endpoint, or an address outside."""

    def __init__(self, inventory, asked):
        endpoints = inventory["endpoints"]
        self.name, self.data, self.address = None, {}, None
        if asked in endpoints:
            self.name = asked
        else:
            self.address = ipaddress.ip_address(asked)
            for name, data in endpoints.items():
                if self.address in map(ipaddress.ip_address, listed(data.get("addresses", []))):
                    self.name = name
        if self.name:
            self.data = endpoints[self.name]
        self.black = self.data.get("state") == "black"
        self.loopback = bool(self.address and self.address.is_loopback)

    def has(self, enforcer):
        return enforcer in listed(self.data.get("enforcers") or [])

    @property
    def enforced(self):
        return any(map(self.has, ("host", "edge", "nft", "switch")))

    @property
    def multicast(self):
        return self.name is None and (self.address.is_multicast or str(self.address) ==
                                      "255.255.255.255")

    def in_group(self, policy, name):
        if name == "any":
            return True
        group = policy["groups"][name]
        if "match" in group:
            labels = self.data.get("labels", {})
            return self.name is not None and all(
                labels.get(k) in listed(v) for k, v in group["match"].items())
        if "members" in group:
            return self.name in listed(group["members"])
        if self.name:
            return False
        prefixes = ["0.0.0.0/0", "::/0"] if group["outside"] is True else listed(group["outside"])
        nets = [ipaddress.ip_network(p) for p in prefixes]
        return any(n.version == self.address.version and self.address in n for n in nets)


class Naive:
    def __init__(self, policy, inventory, now):
        self.policy, self.inventory = policy, inventory
        self.today = datetime.date.fromisoformat(now[:10])

    def groups(self, wanted, end):
        if wanted is None:
            return YES
        return YES if any(end.in_group(self.policy, g) for g in listed(wanted)) else NO

    def program(self, wanted, end, program):
        if wanted is None:
            return YES
        if not end.has("host"):
            return BLIND
        if program is None:
            return UNTOLD
        paths = listed(wanted["exe"] if isinstance(wanted, dict) else wanted)
        return YES if program in paths else NO

    def user(self, wanted, end, user):
        if wanted is None:
            return YES
        if not end.has("host"):
            return BLIND
        if user is None:
            return UNTOLD
        own = self.inventory.get("users", {}).get(user, {}).get("groups", [])
        return YES if any(w == user or (w[0] == "@" and w[1:] in own) for w in listed(wanted)) \
            else NO

    def port(self, text, query):
        protocol, _, what = text.partition("/")
        if protocol != query["protocol"]:
            return False
        if protocol == "icmp":
            number = {n: TYPES.get(n, n) for n in (what, query["type"])}
            return int(number[what]) == int(number[query["type"]])
        low, _, high = what.partition("-")
        return int(low) <= query["port"] <= int(high or low)

    def service(self, wanted, query, edge):
        """The truths of all services of the list."""
        if wanted is None:
            return [YES]
        found = []
        for name in listed(wanted):
            service = self.policy.get("services", {}).get(name, [name])
            ports = service["ports"] if isinstance(service, dict) else service
            functions = service.get("modbus") if isinstance(service, dict) else None
            if not any(self.port(p, query) for p in listed(ports)):
                found.append(NO)
            elif functions is None:
                found.append(YES)
            elif not edge:
                found.append(BLIND)
            elif query.get("modbus") is None:
                found.append(UNTOLD)
            else:
                found.append(YES if query["modbus"] in listed(functions) else NO)
        return found

    def matches(self, fields, query, ends, closed, blind):
        """'closed': what the unknown counts as; 'blind': and what nobody there can tell."""
        source, target = ends
        counts = {YES: True, NO: False, UNTOLD: closed, BLIND: blind}
        services = self.service(fields.get("service"), query, source.has("edge") or
                                target.has("edge"))
        return any(counts[t] for t in services) and all(counts[t] for t in (
            self.groups(fields.get("from"), source), self.groups(fields.get("to"), target),
            self.program(fields.get("process"), source, query.get("process")),
            self.user(fields.get("user"), source, query.get("user")),
            self.program(fields.get("served-by"), target, query.get("served_by"))))

    def rule(self, layer, rule, query, ends):
        if "expires" in rule and datetime.date.fromisoformat(rule["expires"]) < self.today:
            return False
        weaker = "accept-weaker" in rule
        if layer == "never":
            if not self.matches(rule, query, ends, True, True):
                return False
            return "except" not in rule or not self.matches(rule["except"], query, ends, False,
                                                            weaker)
        if layer == "allow" and ends[1].multicast and "service" not in rule:
            return False
        return self.matches(rule, query, ends, False, weaker)

    def smallest(self, layer, query, ends, has=None):
        ids = [r["id"] for r in self.policy.get(layer, [])
               if (has is None or has in r) and self.rule(layer, r, query, ends)]
        return min(ids, default=None)

    def mode(self, end):
        if end.name is None:
            return 0
        modes = self.policy.get("mode", {})
        own = [STRICTNESS[m] for g, m in modes.items() if g != "default" and
               end.in_group(self.policy, g)]
        return max(own, default=STRICTNESS[modes.get("default", "enforce")])

    def judge(self, query):
        ends = source, target = [End(self.inventory, query[k]) for k in ("from", "to")]

        def answer(verdict, layer, rule=None):
            enforced = verdict == "allow" or (verdict == "deny" and
                                              (source.enforced or target.enforced))
            return {"verdict": verdict, "layer": layer, "rule": rule, "enforced": enforced}

        if (source.name and source.name == target.name) or target.loopback:
            return answer("allow", "lifeline")
        if source.black and target.black:
            return answer("deny", "quarantine")
        if source.black or target.black:
            rule = self.smallest("quarantine", query, ends, "to" if source.black else "from")
            return answer("allow" if rule else "deny", "quarantine", rule)
        rule = self.smallest("never", query, ends)
        if rule:
            return answer("deny", "never", rule)
        rule = self.smallest("allow", query, ends)
        if rule:
            return answer("allow", "allow", rule)
        lax = max(self.mode(source), self.mode(target)) in (1, 2)
        return answer("would-deny" if lax else "deny", "default")
