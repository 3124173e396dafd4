# SPDX-License-Identifier: Apache-2.0
"""What they do: each connection of each hour, with its truth.  docs/life.md is the manual.

Pure, as enterprise.py: hour h follows from (seed, h) and the enterprise, whatever was asked before."""
import bisect
import calendar
import collections
import itertools
import random
import time
import zlib

from life import trouble
from life.enterprise import poisson
from life.facts import APPS, DAY, HOUR, OF_PORT, ROLES
from life.policy import (BROWSER, DIRECTOR, FILED, HISTORIAN, HMI, MAILER, MIRROR, POLLER, POSTFIX, RECORDER, SCANNER, SQUID,
                         SSH, STUDIO, TILL, front, server)

Flow = collections.namedtuple("Flow", (
    "time_ms", "src", "dst", "src_ip", "dst_ip", "protocol", "port", "service", "program", "user", "server", "count",
    "lasting_ms", "bytes_out", "bytes_in", "truth", "campaign", "expect"))

SERVERS = {
    "dns": "/usr/sbin/unbound", "ntp": "/usr/sbin/chronyd", "login": "/usr/sbin/samba", "files": "/usr/sbin/smbd",
    "https": "/usr/sbin/nginx", "surf": SQUID, "post": "/usr/sbin/dovecot", "postgres": "/usr/lib/postgresql/15/bin/postgres",
    "door": "/usr/sbin/sshd", "admin": "/usr/sbin/sshd", "backup": FILED, "store": "/usr/sbin/bareos-sd",
    "poll": "/usr/sbin/zabbix_agentd", "log": "/usr/sbin/rsyslogd"}
DAEMON = {"dns": "/usr/lib/systemd/systemd-resolved", "ntp": "/usr/sbin/chronyd", "login": "/usr/sbin/sssd",
          "files": "/usr/bin/smbclient", "print": "/usr/sbin/cupsd", "log": "/usr/sbin/rsyslogd",
          "https": "/usr/lib/apt/methods/http"}

# ---- rhythms: how busy a site is in an hour of its own clock ----

OFFICE = (0, 0, 0, 0, 0, 0, .02, .15, .6, 1, 1, .9, .45, .9, 1, 1, .9, .7, .35, .15, .08, .04, .02, 0)
SHOP = (0, 0, 0, 0, 0, 0, 0, .02, .1, .3, .7, .8, 1, .8, .7, .7, .8, 1, 1, .8, .5, .2, .02, 0)
CUSTOMERS = (.4, .25, .15, .1, .1, .15, .25, .4, .5, .5, .5, .55, .7, .55, .5, .5, .55, .6, .7, .85, 1, 1, .9, .6)


def is_month_end(local):
    """The last two and the first working day of a month."""
    day = time.gmtime(local)
    if day.tm_wday > 4:
        return False
    last = calendar.monthrange(day.tm_year, day.tm_mon)[1]
    later = sum(calendar.weekday(day.tm_year, day.tm_mon, d) < 5 for d in range(day.tm_mday + 1, last + 1))
    before = sum(calendar.weekday(day.tm_year, day.tm_mon, d) < 5 for d in range(1, day.tm_mday))
    return later < 2 or before < 1


def rhythm(kind, at, east):
    """0 .. about 1.3 for the hour that begins at 'at', at a site so many hours east."""
    local = at + east * HOUR
    hour, weekend = local // HOUR % 24, (local // DAY + 3) % 7 > 4
    if kind == "office":
        return OFFICE[hour] * (.04 if weekend else 1) + .004
    if kind == "shop":
        return SHOP[hour] * (1.3 if weekend else 1) + .002
    if kind == "plant":
        return 1.3 if hour in (6, 14, 22) else 1
    if kind == "customers":
        return CUSTOMERS[hour]
    if kind == "month-end":
        return OFFICE[hour] if is_month_end(local) else 0
    return 1


# ---- habits: (service, from, app, to, program, user, a busy hour's rate, rhythm, bytes out, bytes in) ----
# 'to' is a role, role-APP, "outside" or "partner"; "^": one drawn for each connection, else each source has its favourite.

OFFICES, CORE = ("pc", "admin"), tuple(r for r, x in ROLES.items() if x[3] == "core")
CARE = tuple(r for r, x in ROLES.items() if x[3] == "care")
OTHERS = ("pos", "hmi", "historian", "engineering", "recorder")
HABITS = [
    ("udp/53", OFFICES, None, "dc", None, "root", .8, "office", 60, 140),
    ("udp/53", CORE + CARE, None, "dc", None, "root", .5, "always", 60, 140),
    ("udp/53", OTHERS, None, "dc", None, "root", .3, "always", 60, 140),
    ("udp/53", ("printer", "camera"), None, "dc", None, "root", .06, "always", 60, 140),
    ("udp/123", OFFICES, None, "dc", None, "root", .06, "office", 48, 48),
    ("udp/123", CORE + CARE + OTHERS + ("printer", "camera", "plc"), None, "dc", None, "root", .06, "always", 48, 48),
    ("tcp/88", OFFICES, None, "dc", None, "root", .2, "office", 3000, 4000),
    ("tcp/389", CORE + ("pos",), None, "dc", None, "root", .15, "always", 2000, 9000),
    ("udp/53", ("dc",), None, "outside^", SERVERS["dns"], "unbound", 6, "customers", 70, 300),
    ("tcp/445", OFFICES, None, "file", None, "user", .6, "office", 40e3, 400e3),
    ("tcp/9100", OFFICES, None, "printer", None, "lp", .08, "office", 900e3, 2000),
    ("tcp/993", OFFICES, None, "mail", MAILER, "user", .7, "office", 4000, 60e3),
    ("tcp/25", ("mail",), None, "outside^", POSTFIX, "postfix", 6, "office", 90e3, 2000),
    ("tcp/3128", OFFICES, None, "proxy", BROWSER, "user", 2, "office", 9000, 250e3),
    ("tcp/443", ("proxy",), None, "outside^", SQUID, "proxy", 40, "office", 20e3, 500e3),
    ("tcp/443", OFFICES + CORE + CARE + OTHERS, None, "update", None, "root", .03, "always", 4000, 2e6),
    ("tcp/443", ("update",), None, "outside^", MIRROR, "apt-mirror", 1, "always", 20e3, 40e6),
    ("tcp/6514", CORE + CARE + OTHERS, None, "logs", None, "root", .2, "always", 60e3, 4000),
    ("tcp/6514", OFFICES, None, "logs", None, "root", .1, "office", 20e3, 4000),
    ("tcp/2222", ("admin",), None, "jump", SSH, "user", .5, "office", 20e3, 60e3),
    ("tcp/443", ("pos",), None, "web-shop", TILL, "till", 3, "shop", 3000, 9000),
    ("tcp/443", "outside", None, "web-shop", None, "", 8, "customers", 5000, 90e3),
    ("tcp/443", ("app",), "erp", "partner", server("erp"), "erp", .5, "office", 8000, 8000),
    ("tcp/443", ("app",), "erp", "partner", server("erp"), "erp", 4, "month-end", 40e3, 20e3),
    ("tcp/445", ("app",), "erp", "file", server("erp"), "erp", 6, "month-end", 8e6, 9000),
    ("tcp/443", ("pc",), None, "web-erp", BROWSER, "user", .8, "month-end", 9000, 90e3),
    ("tcp/5432", ("historian",), None, "db-erp", HISTORIAN, "historian", 1, "always", 90e3, 4000),
    ("tcp/102", ("engineering",), None, "plc^", STUDIO, "user", .3, "plant", 20e3, 20e3),
    ("tcp/443", ("pc",), None, "historian", BROWSER, "user", .02, "office", 4000, 300e3),
] + [
    ("tcp/443", OFFICES, None, f"web-{a}", BROWSER, "user", rate, "office", 6000, 80e3)
    for a, rate in zip(APPS, (.1, .4, .4, .06))
] + [
    ("tcp/8080", ("web",), a, f"app-{a}", front(a), a, 3, "customers" if a == "shop" else "office", 9000, 90e3) for a in APPS
] + [
    ("tcp/5432", ("app",), a, f"db-{a}", server(a), a, 4, "customers" if a == "shop" else "office", 20e3, 200e3) for a in APPS
]

# The same by destination: (service, from, to, program, user, rate, rhythm, bytes out, bytes in)
VISITS = [
    ("tcp/10050", "monitor", CORE + CARE, POLLER, "zabbix", 2, "always", 400, 4000),
    ("tcp/10050", "monitor", OFFICES + OTHERS, POLLER, "zabbix", .1, "always", 400, 4000),
    ("icmp/8", "monitor", ("printer", "camera", "plc"), POLLER, "zabbix", .2, "always", 300, 300),
    ("tcp/554", "recorder", ("camera",), RECORDER, "video", 1, "always", 9000, 90e6),
    ("tcp/502", "hmi", ("plc",), HMI, "user", 3, "plant", 3000, 6000),
    ("tcp/502", "historian", ("plc",), HISTORIAN, "historian", 1, "always", 3000, 9000),
    ("tcp/22", "jump", CORE, SSH, "ops", .06, "office", 40e3, 90e3),
]
QUIET_MS = 30_000
SIGMA = 1.4  # Of the logarithm of volumes: one in a hundred is 26 times the median.


class Pool:
    """Those of some roles who are there, with weights; 'who' in the order of the enterprise."""

    def __init__(self, who):
        self.who = who
        self.up_to = list(itertools.accumulate(e.weight for e in who))

    def draw(self, rng):
        return self.who[bisect.bisect(self.up_to, rng.random() * self.up_to[-1])]


class Days:
    """The hours of an enterprise.  'intensity' scales what people and programs do, not the troubles."""

    def __init__(self, world, intensity=.7):
        self.world, self.intensity = world, intensity
        self.troubles = trouble.all_of(world)
        self.marks = [world.start, *world.changes, world.end]
        self.pools, self.pools_of = {}, None
        rng = random.Random(f"{world.seed} outside")
        self.outside = [f"198.{18 + rng.randrange(2)}.{rng.randrange(256)}.{rng.randrange(1, 255)}" for _ in range(400)]

    # -- who is there

    def pool(self, roles, site=None, app=None):
        key = (roles, site, app)
        if key not in self.pools:
            at = self.pools_of
            self.pools[key] = Pool([e for r in roles for e in self.world.by_role[r] if e.lives(at)
                                    and (site is None or e.site == site)
                                    and (app is None or e.labels.get("app") == app)])
        return self.pools[key]

    def _turn_to(self, at):
        """Pools of those who are there from the last change until the next."""
        mark = self.marks[bisect.bisect(self.marks, at) - 1]
        if mark != self.pools_of:
            self.pools, self.pools_of = {}, mark

    def favourite(self, src, role, app=None):
        """Of its own site if there is one, and the same each time."""
        near = self.pool((role,), src.site, app).who if src else None
        who = near or self.pool((role,), None, app).who
        return who[zlib.crc32(src.name.encode() if src else b"") % len(who)]

    # -- one connection

    def flow(self, rng, at_ms, src, dst, service, program, user, out, in_, truth="routine", campaign="", expect="allow",
             count=1):
        """'src' and 'dst': an endpoint, or an address outside."""
        at, wide = at_ms // 1000, False
        if not isinstance(src, str) and not isinstance(dst, str):
            wide = zlib.crc32(src.name.encode()) % 4 == 0  # A quarter prefers IPv6.
        protocol, _, port = service.partition("/")
        passes = expect == "allow" or (expect == "default" and self.world.mode != "enforce")
        name = OF_PORT.get(service, "ping" if protocol == "icmp" else "")
        amount = rng.lognormvariate(0, SIGMA) if passes else 0
        return Flow(at_ms, None if isinstance(src, str) else src, None if isinstance(dst, str) else dst,
                    src if isinstance(src, str) else src.place(at)[wide], dst if isinstance(dst, str) else dst.place(at)[wide],
                    protocol, int(port), name, program or DAEMON.get(name, ""), user, SERVERS.get(name, ""), count,
                    min(59_999 - at_ms % 60_000, int(rng.expovariate(1 / 4000))) if passes else 0,
                    int(out * amount), int(in_ * amount), truth, campaign, expect)

    @staticmethod
    def who(rng, src, user, ops):
        return src.user if user == "user" else rng.choice(ops) if user == "ops" else user

    def _habit(self, rng, at, habit, to):
        service, from_, app, where, program, user, rate, kind, out, in_ = habit
        if from_ == "outside":
            n = poisson(rng, rate * rhythm(kind, at, 9) * self.intensity * len(self.pool(("web",), None, "shop").who))
            for _ in range(n):
                to.append(self.flow(rng, at * 1000 + rng.randrange(HOUR * 1000), rng.choice(self.outside),
                                    self.pool(("web",), None, "shop").draw(rng), service, "", "", out, in_))
            return
        drawn = where.endswith("^")
        role, _, of = where.rstrip("^").partition("-")
        for site, _, east in self.world.sites:
            pool = self.pool(from_, site, app)
            busy = rhythm(kind, at, east)
            if not pool.who or not busy:
                continue
            for _ in range(poisson(rng, pool.up_to[-1] * rate * busy * self.intensity)):
                src = pool.draw(rng)
                if role == "outside":
                    dst = self.outside[int(len(self.outside) * rng.random() ** 3)]
                elif role == "partner":
                    dst = f"198.51.100.{10 + zlib.crc32(src.name.encode()) % 3}"
                elif drawn:
                    dst = self.pool((role,)).draw(rng)
                else:
                    dst = self.favourite(src, role, of or None)
                if dst is not src:
                    to.append(self.flow(rng, at * 1000 + rng.randrange(HOUR * 1000), src, dst, service, program,
                                        self.who(rng, src, user, ()), out, in_, count=1 + int(rng.expovariate(.8))))

    def _visits(self, rng, at, visit, to):
        service, from_, roles, program, user, rate, kind, out, in_ = visit
        ops = self.world.ops()
        for site, _, east in self.world.sites:
            pool = self.pool(roles, site)
            for _ in range(poisson(rng, len(pool.who) * rate * rhythm(kind, at, east) * self.intensity)):
                dst = rng.choice(pool.who)
                src = self.favourite(dst, from_)
                if src is not dst:
                    to.append(self.flow(rng, at * 1000 + rng.randrange(HOUR * 1000), src, dst, service, program,
                                        self.who(rng, src, user, ops), out, in_))

    # -- what happens by the calendar

    def _night(self, rng, at, to):
        """Backups between one and five, each server at its own hour; the weekly scan in the night to Thursday."""
        local = at + 9 * HOUR
        hour, day = local // HOUR % 24, (local // DAY + 3) % 7
        backup, scanner = self.pool(("backup",)).who[0], self.pool(("scanner",)).who[0]
        for e in self.pool(CORE).who if 1 <= hour < 5 else ():
            if zlib.crc32(e.name.encode()) % 4 == hour - 1 and e is not backup:
                begins = at * 1000 + rng.randrange(HOUR * 1000 - 60_000)
                to.append(self.flow(rng, begins, backup, e, "tcp/9102", DIRECTOR, "bareos", 3000, 3000, campaign="backup"))
                to.append(self.flow(rng, begins + 2000, e, backup, "tcp/9103", FILED, "root", 2e9, 9000, campaign="backup"))
        turn = (hour - 22) % 24 if (day, hour) >= (2, 22) and day < 4 and (day == 2 or hour < 4) else None
        for e in self.world.endpoints if turn is not None else ():
            if e.lives(self.pools_of) and zlib.crc32(e.name.encode()) % 6 == turn and e is not scanner:
                begins = at * 1000 + rng.randrange(HOUR * 1000 - 60_000)
                for i, port in enumerate((80, 443, 445, 631, 3306, 5432, 8080, 8443)):
                    to.append(self.flow(rng, begins + i * 500, scanner, e, f"tcp/{port}", SCANNER, "scan", 60, 60,
                                        campaign="weekly-scan"))

    def hour(self, n):
        """The connections of hour n, by time."""
        at = self.world.start + n * HOUR
        rng = random.Random(f"{self.world.seed} hour {at}")
        self._turn_to(at)
        flows = []
        for habit in HABITS:
            self._habit(rng, at, habit, flows)
        for visit in VISITS:
            self._visits(rng, at, visit, flows)
        self._night(rng, at, flows)
        for t in self.troubles:
            flows += t.hour(self, at)
        if at in self.world.changes:  # Nobody talks in the half minute in which names and addresses change.
            flows = [f for f in flows if f.time_ms >= at * 1000 + QUIET_MS]
        flows.sort(key=lambda f: (f.time_ms, f.src_ip, f.dst_ip, f.protocol, f.port, f.program))
        return flows

    def __iter__(self):
        for n in range(self.world.hours):
            yield from self.hour(n)


HEADER = ("time_ms,src,dst,src_ip,dst_ip,protocol,port,service,program,user,server,count,lasting_ms,bytes_out,bytes_in,"
          "truth,campaign,expect\n")


def row(f):
    """A line of the truth file; no field holds a comma."""
    return ",".join((str(f.time_ms), f.src.name if f.src else "", f.dst.name if f.dst else "", *map(str, f[3:]))) + "\n"
