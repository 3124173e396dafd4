# SPDX-License-Identifier: Apache-2.0
"""Who is there: sites, endpoints, people, and the policy of their names.  docs/life.md is the manual.

Pure: everything follows from (seed, size, mode, start, hours); no clock, no machine, no global randomness."""
import math
import random

from life.facts import APPS, CHURN, CHURN_AT, DAY, DEPARTMENTS, EACH_SITE, HOUR, MOVING, ROLES, SITES, SMALLEST
from life.policy import policy


def poisson(rng, mean):
    """A count; beyond 50 by the normal distribution."""
    if mean <= 0:
        return 0
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, k, p = math.exp(-mean), 0, rng.random()
    while p > limit:
        k += 1
        p *= rng.random()
    return k


class Endpoint:
    """One name for as long as it is there.  A machine that is renamed is another endpoint at the same address."""
    __slots__ = ("name", "role", "site", "zone", "agent", "labels", "user", "born", "died", "places", "weight")

    def __init__(self, name, role, site, labels, user, born, place, weight):
        self.name, self.role, self.site, self.labels, self.user = name, role, site, labels, user
        self.zone, self.agent = ROLES[role][3], ROLES[role][4]
        self.born, self.died, self.weight = born, None, weight
        self.places = [(born, place)]  # (since, (IPv4, IPv6)), oldest first.

    def place(self, at):
        for since, place in reversed(self.places):
            if since <= at:
                return place
        raise ValueError(f"{self.name} is not born at {at}")

    def lives(self, at):
        return self.born <= at and (self.died is None or at < self.died)


class Enterprise:
    """All of it, from 'start' (Unix seconds, a full hour) for 'hours'."""

    def __init__(self, seed, size, hours, start, mode="test"):
        if size < SMALLEST:
            raise ValueError(f"an enterprise of {size} endpoints has no room for every role: at least {SMALLEST}")
        if start % HOUR or hours < 1 or mode not in ("learn", "test", "enforce"):
            raise ValueError("start must be a full hour, hours 1 or more, mode learn, test or enforce")
        self.seed, self.size, self.hours, self.start, self.mode = seed, size, hours, start, mode
        self.end = start + hours * HOUR
        self.sites = SITES[:min(len(SITES), 4 + size // EACH_SITE)]
        self.zone_hours = {code: east for code, _, east in self.sites}
        self.endpoints, self.by_role = [], {role: [] for role in ROLES}
        self._numbers, self._places, self._free = {}, dict.fromkeys((s[0] for s in self.sites), 0), {}
        self._people = 0
        rng = random.Random(f"{seed} who")
        for role, n in self._counts().items():
            for i in range(n):
                self._add(rng, role, i, start)
        self.changes = self._churn(random.Random(f"{seed} churn"))

    def _counts(self):
        n = {role: max(least, round(self.size * share)) for role, (share, least, *_) in ROLES.items()}
        n["pc"] = 0
        while self.size - sum(n.values()) < ROLES["pc"][1]:
            largest = max(n, key=lambda r: n[r] - ROLES[r][1])
            n[largest] -= 1
        n["pc"] = self.size - sum(n.values())
        return n

    def _place(self, site):
        free = self._free.get(site)
        if free:
            return free.pop(0)
        self._places[site] += 1
        number, n = self._places[site], 16 + [s[0] for s in self.sites].index(site)
        return f"10.{n}.{number >> 8}.{number & 255}", f"fd48:{n:x}::{number:x}"

    def _add(self, rng, role, i, born):
        where = [s[0] for s in self.sites if s[1] in ROLES[role][2]]
        site = where[i % len(where)]
        number = self._numbers[role] = self._numbers.get(role, 0) + 1
        labels, user = {"role": role, "site": site, "zone": ROLES[role][3]}, "root"
        if role in ("web", "app", "db"):
            labels["app"] = APPS[i % len(APPS)]
            user = labels["app"]
        elif role == "pc":
            labels["dept"] = DEPARTMENTS[rng.randrange(len(DEPARTMENTS))]
        if role == "admin":
            user = f"ops-{number}"
        elif role in ("pc", "hmi", "engineering"):
            self._people += 1
            user = f"u{self._people:05d}"
        elif role == "pos":
            user = "till"
        e = Endpoint(f"{role}-{site}-{number}", role, site, labels, user, born, self._place(site),
                     min(20.0, rng.lognormvariate(-.32, .8)))
        self.endpoints.append(e)
        self.by_role[role].append(e)
        return e

    # -- what comes, goes and moves

    def _churn(self, rng):
        """The instants at which the inventory changed, ascending."""
        at = self.start - self.start % DAY + CHURN_AT
        instants = []
        while at < self.end:
            if at > self.start and (at // DAY + 3) % 7 < 5:
                if self._change(rng, at):
                    instants.append(at)
            at += DAY
        return instants

    def _change(self, rng, at):
        old = [e for role in MOVING for e in self.by_role[role] if e.lives(at)]
        n = {what: max(1, poisson(rng, share * len(old))) for what, share in CHURN.items()}
        chosen = rng.sample(old, min(len(old) // 3, n["retired"] + n["renamed"] + n["moved"]))
        for e in chosen[:n["retired"]]:
            if sum(o.lives(at) for o in self.by_role[e.role]) > 3:  # No role dies out.
                e.died = at
                self._free.setdefault(e.site, []).append(e.place(at - 1))
        for e in chosen[n["retired"]:n["retired"] + n["renamed"]]:
            e.died = at
            new = Endpoint(f"{e.name}-r{at // DAY % 1000}", e.role, e.site, e.labels, e.user, at, e.place(at - 1), e.weight)
            self.endpoints.append(new)
            self.by_role[e.role].append(new)
        for e in chosen[n["retired"] + n["renamed"]:]:
            if e.role == "pc":  # By DHCP; what it had is free for the next.
                was, now = e.place(at - 1), self._place(e.site)
                e.places.append((at, now))
                self._free.setdefault(e.site, []).append(was)
        for _ in range(n["new"]):
            role = rng.choices(MOVING, (8, 3, 1))[0]
            self._add(rng, role, rng.randrange(1 << 16), at)
        return len(chosen) + n["new"]

    # -- what is told to the controller

    def ops(self):
        return [e.user for e in self.by_role["admin"]]

    def inventory(self, at, agents=None, both=True):
        """The inventory in force at an instant, as texts of files below a megabyte.  'agents': the names that have one
        (None: all that should); both: IPv6 addresses, too."""
        files, lines, room = [], [], 0
        for e in self.endpoints:
            if not e.lives(at):
                continue
            v4, v6 = e.place(at)
            labels = ", ".join(f"{k}: {v}" for k, v in e.labels.items())
            host = e.agent and (agents is None or e.name in agents)
            kind = "host" if host else "edge" if e.role == "plc" else "none"
            lines.append(f"  {e.name}: {{labels: {{{labels}}}, addresses: "
                         + (f'[{v4}, "{v6}"]' if both else v4) + f", enforcers: {kind}}}\n")
            room += len(lines[-1])
            if room > 900_000:
                files.append("suimitsu-inventory: 1\nendpoints:\n" + "".join(lines))
                lines, room = [], 0
        files.append("suimitsu-inventory: 1\nendpoints:\n" + "".join(lines) + "users:\n"
                     + "".join(f"  {u}: {{groups: [ops]}}\n" for u in self.ops()))
        return files

    def policy(self, conditions=True):
        """conditions=False: without programs and users, for a world where most have no agent."""
        return policy(self, conditions)
