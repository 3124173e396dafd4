# SPDX-License-Identifier: Apache-2.0
"""Misconfigurations and attacks, each with its place, time and truth.  docs/life.md lists them.

A trouble is planned from the seed alone and tells its connections of an hour, whatever was asked before."""
import random

from life.facts import DAY, HOUR
from life.policy import BROWSER, SSH


class Trouble:
    """From 'begins' to 'ends'; 'what' yields (time_ms, src, dst, service, program, user, out, in, expect, count)."""

    def __init__(self, truth, name, begins, ends, what):
        self.truth, self.name, self.begins, self.ends, self.what = truth, name, begins, ends, what

    def hour(self, days, at):
        if at + HOUR <= self.begins or at >= self.ends:
            return
        rng = random.Random(f"{days.world.seed} {self.name} {at}")
        for at_ms, src, dst, service, program, user, out, in_, expect, count in self.what(days, rng, at):
            there = all(isinstance(e, str) or e.lives(at_ms // 1000) for e in (src, dst))
            if there and self.begins * 1000 <= at_ms < self.ends * 1000:
                yield days.flow(rng, at_ms, src, dst, service, program, user, out, in_, self.truth, self.name, expect, count)


def every(rng, at, period_s, jitter_s):
    """Instants of an hour, one each period, in milliseconds."""
    for i in range(HOUR // period_s):
        yield (at + i * period_s) * 1000 + rng.randrange(max(1, jitter_s * 1000))


def repeated(src, dst, service, program, user, expect, period_s, jitter_s=30, out=400, in_=400, count=1):
    def what(_, rng, at):
        for at_ms in every(rng, at, period_s, jitter_s):
            yield at_ms, src, dst, service, program, user, out, in_, expect, count
    return what


def stays(world, role):
    """Endpoints that are there all the time."""
    return [e for e in world.by_role[role] if e.born == world.start and e.died is None and len(e.places) == 1]


def misconfigurations(world, rng):
    pcs, files = stays(world, "pc"), stays(world, "file")
    apps = [e for e in stays(world, "app") if e.labels["app"] == "crm"]
    erp = next(e for e in stays(world, "db") if e.labels["app"] == "erp")
    dc = stays(world, "dc")[0]
    some = max(1, world.size // 2000)  # Of each kind.

    def add(kind, i, what):
        return Trouble("misconfiguration", f"{kind}-{i + 1}", world.start, world.end, what)

    for i in range(some):
        yield add("name-typo", i, repeated(rng.choice(apps), dc, "udp/53", "/opt/crm/bin/sync", "crm", "allow", 300,
                                           out=60, in_=120, count=10))
        yield add("stale-address", i, repeated(rng.choice(pcs), "10.15.255.7", "tcp/445", "/usr/bin/smbclient", "root",
                                               "default", 600))
        yield add("stray-link", i, repeated(rng.choice(pcs), erp, "tcp/5432", "/usr/lib/libreoffice/program/soffice.bin",
                                            "report", "default", 1800, 900, 9000, 900e3))
        yield add("printer-ssh", i, repeated(rng.choice(stays(world, "printer")), rng.choice(files), "tcp/22", "", "",
                                             "never", 900))
        yield add("vendor-clock", i, repeated(rng.choice(stays(world, "camera")), "198.18.7.123", "udp/123", "", "",
                                              "never", 1800))
        yield add("old-agent", i, repeated(rng.choice(pcs), stays(world, "monitor")[0], "tcp/10051", "/opt/old/monitord",
                                           "root", "default", 1200))


def worm(world, rng, begins):
    """From one PC over SMB to all PCs that it can think of; who is reached goes on, where nobody stops it."""
    pcs, first = stays(world, "pc"), None
    first = rng.choice(pcs)
    order = rng.sample(pcs, min(len(pcs), 60))
    spreads = [first] if world.mode == "enforce" else [first, *[e for e in order if e is not first][:1 + world.size // 500]]

    def what(_, rng, at):
        for i, src in enumerate(spreads):
            wakes = begins + i * 600
            for at_ms in every(rng, at, 60, 60):
                dst = rng.choice(pcs)
                if at_ms >= wakes * 1000 and dst is not src:
                    yield at_ms, src, dst, "tcp/445", "/tmp/.x/updater", src.user, 2000, 3000, "default", 1
    return what


def slow_scan(world, rng):
    src = rng.choice(stays(world, "pc"))
    core = [e for r in ("web", "app", "db", "file", "mail") for e in stays(world, r)]

    def what(_, rng, at):
        for at_ms in every(rng, at, 420, 200):
            port = rng.choice((21, 22, 23, 25, 1433, 3306, 3389, 6379, 9200, 27017))
            yield (at_ms, src, rng.choice(core), f"tcp/{port}", "/home/.cache/nc", src.user, 60, 60,
                   "never" if port in (22, 3389) else "default", 1)
    return what


def borrowed_keys(world, rng, begins):
    """An administrator's credentials at an hour when he sleeps: in by the jump host, on to many servers."""
    admin, jump = rng.choice(stays(world, "admin")), stays(world, "jump")[0]
    targets = [e for r in ("db", "app", "file") for e in stays(world, r)]

    def what(_, rng, at):
        if begins <= at + HOUR and at <= begins + 2 * HOUR:
            if at <= begins < at + HOUR:
                yield begins * 1000, admin, jump, "tcp/2222", SSH, admin.user, 9000, 9000, "allow", 1
            for at_ms in every(rng, at, 180, 60):
                if at_ms > begins * 1000:
                    yield at_ms, jump, rng.choice(targets), "tcp/22", SSH, admin.user, 9000, 30e3, "allow", 1
    return what


def at_local(world, share, hour):
    """The first instant after this share of the time at which it is 'hour' at the head office; at the share itself in a
    world that is too short for that."""
    at = world.start + int(share * world.hours) * HOUR
    wanted = at + (hour * HOUR - (at + 9 * HOUR)) % DAY
    return wanted if wanted + 2 * HOUR <= world.end else at


def attacks(world, rng):
    pcs, start, end = stays(world, "pc"), world.start, world.end

    def add(name, begins, lasts_s, what):
        return Trouble("attack", name, begins, min(end, begins + lasts_s), what)

    at = at_local(world, .5, 10)
    yield add("worm", at, 2 * HOUR, worm(world, rng, at))
    yield add("slow-scan", start, end - start, slow_scan(world, rng))
    victim, quiet = rng.sample(pcs, 2)
    at = at_local(world, .2, 11)
    yield add("beacon", at, end - at, repeated(victim, "203.0.113.66", "tcp/443", "/home/.cache/helper", victim.user,
                                               "default", 300, 20, 300, 300))
    yield add("quiet-beacon", at, end - at, repeated(quiet, stays(world, "proxy")[0], "tcp/3128", BROWSER, quiet.user,
                                                     "allow", 600, 15, 300, 300))
    at = at_local(world, .6, 3)
    yield add("borrowed-keys", at, 2 * HOUR, borrowed_keys(world, rng, at))
    crm = rng.choice([e for e in stays(world, "app") if e.labels["app"] == "crm"])
    at = at_local(world, .7, 2)
    yield add("exfiltration", at, HOUR, repeated(crm, "203.0.113.99", "tcp/443", "/usr/bin/curl", "crm", "default", 120, 30,
                                                 300e6, 9000))
    yield add("quiet-exfiltration", at, HOUR, repeated(quiet, stays(world, "proxy")[0], "tcp/3128", BROWSER, quiet.user,
                                                       "allow", 300, 30, 400e6, 9000))
    plc = rng.choice(stays(world, "plc"))
    at = at_local(world, .8, 14)
    yield add("press-write", at, HOUR, repeated(victim, plc, "tcp/502", "/usr/bin/python3", victim.user, "default", 600, 60,
                                                900, 900))


def all_of(world):
    rng = random.Random(f"{world.seed} troubles")
    return [*misconfigurations(world, rng), *attacks(world, rng)]
