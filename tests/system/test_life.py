"""The pretend enterprise: what docs/life.md promises of it, and its truth beside the real evaluator."""
import collections
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))
from life import SMALLEST, Days, Enterprise, row  # noqa: E402
from life.days import rhythm  # noqa: E402
from life.facts import CHURN, DAY, HOUR, ROLES  # noqa: E402

CLI = pathlib.Path(os.environ.get("SUIMITSU_BUILD", ROOT / "build")) / "src/cli/suimitsu"
MONDAY = 1793577600  # 2026-11-02
SIZE, WEEK = 300, 7 * 24


@pytest.fixture(scope="module")
def week():
    """A week of 300 endpoints."""
    world = Enterprise(5, SIZE, WEEK, MONDAY)
    return world, list(Days(world))


def text(world, hours=None):
    days = Days(world)
    return "".join(row(f) for n in range(hours or world.hours) for f in days.hour(n))


def files(world, folder, at, **how):
    (folder / "inventory").mkdir()
    (folder / "policy.yaml").write_text(world.policy(**how))
    for i, part in enumerate(world.inventory(at)):
        assert len(part) < 1 << 20
        (folder / "inventory" / f"{i}.yaml").write_text(part)
    return [str(folder / "policy.yaml"), "--inventory", str(folder / "inventory"), "--now", "2026-11-05T00:00:00Z"]


def test_one_seed_is_one_enterprise_to_the_byte_and_another_seed_another():
    a, b, c = (Enterprise(seed, 80, 30, MONDAY) for seed in (7, 7, 8))
    assert a.policy() == b.policy() and a.inventory(a.end) == b.inventory(b.end)
    assert text(a) == text(b)
    assert text(a) != text(c) and a.inventory(a.end) != c.inventory(c.end)


def test_an_hour_does_not_depend_on_which_were_asked_before():
    days, again = Days(Enterprise(7, 80, 30, MONDAY)), Days(Enterprise(7, 80, 30, MONDAY))
    assert days.hour(27) == days.hour(27)
    for n in (3, 29, 0):
        again.hour(n)
    assert [row(f) for f in days.hour(27)] == [row(f) for f in again.hour(27)]


@pytest.mark.parametrize("size", [SMALLEST, 100, 1000, 12000])
def test_there_are_as_many_as_asked_of_every_role_with_addresses_of_their_own(size):
    world = Enterprise(3, size, 72, MONDAY)
    first = [e for e in world.endpoints if e.born == MONDAY]
    assert len(first) == size
    of = collections.Counter(e.role for e in first)
    for role, (share, least, *_) in ROLES.items():
        assert of[role] >= least
        if role != "pc" and size >= 1000:
            assert abs(of[role] - share * size) <= max(1, least)
    for at in (MONDAY, *world.changes):
        living = [e for e in world.endpoints if e.lives(at)]
        assert len({e.name for e in living}) == len(living)
        places = [p for e in living for p in e.place(at)]
        assert len(set(places)) == len(places)


def test_what_is_too_small_or_nonsense_is_refused():
    for args in ((1, SMALLEST - 1, 1, MONDAY), (1, 100, 0, MONDAY), (1, 100, 1, MONDAY + 5), (1, 100, 1, MONDAY, "maybe")):
        with pytest.raises(ValueError):
            Enterprise(*args)


def test_nobody_speaks_before_birth_after_death_or_from_a_former_address(week):
    world, flows = week
    begin, end = MONDAY * 1000, world.end * 1000
    for f in flows:
        assert begin <= f.time_ms and f.time_ms + f.lasting_ms < end
        assert f.time_ms // 60000 == (f.time_ms + f.lasting_ms) // 60000
        for e, address in ((f.src, f.src_ip), (f.dst, f.dst_ip)):
            if e:
                assert e.lives(f.time_ms // 1000), f
                assert address in e.place(f.time_ms // 1000), f
        assert f.src or f.dst
        assert f.src is not f.dst
        assert not any(at * 1000 <= f.time_ms < at * 1000 + 30000 for at in world.changes)
    assert [f.time_ms // (HOUR * 1000) for f in flows] == sorted(f.time_ms // (HOUR * 1000) for f in flows)


def test_every_role_speaks_and_every_trouble_happens(week):
    world, flows = week
    assert {f.src.role for f in flows if f.src} == set(ROLES)
    campaigns = {f.campaign for f in flows if f.truth != "routine"}
    assert campaigns == {t.name for t in Days(world).troubles}
    short = Enterprise(5, SMALLEST, 24, MONDAY)
    assert {f.campaign for f in Days(short) if f.truth != "routine"} == campaigns
    assert {f.src.role for f in Days(Enterprise(5, SIZE, 24, MONDAY)) if f.src} == set(ROLES)


def test_shares_of_truth_are_as_promised(week):
    _, flows = week
    of = collections.Counter(f.truth for f in flows)
    assert set(of) == {"routine", "misconfiguration", "attack"}
    assert of["routine"] > .85 * len(flows)
    assert .01 < of["misconfiguration"] / len(flows) < .08
    assert .02 < of["attack"] / len(flows) < .08
    assert 20 < len(flows) / SIZE / 7 < 80  # Records an endpoint and day.


def test_offices_sleep_at_night_and_on_sundays_and_plants_do_not(week):
    world, flows = week
    east = world.zone_hours["tyo"]
    by_hour, by_day, plant = collections.Counter(), collections.Counter(), collections.Counter()
    for f in flows:
        local = f.time_ms // 1000 + east * HOUR
        if f.truth == "routine" and f.src and f.src.role == "pc" and f.src.site == "tyo":
            if local // DAY - (MONDAY // DAY) < 5:
                by_hour[local // HOUR % 24] += 1
            by_day[local // DAY - MONDAY // DAY] += 1
        if f.truth == "routine" and f.src and f.src.role == "hmi":
            plant[f.time_ms // 1000 // DAY - MONDAY // DAY] += 1
    assert by_hour[10] + by_hour[14] > 8 * (by_hour[2] + by_hour[23])
    assert by_hour[12] < .75 * by_hour[10]
    assert by_day[6] < .25 * by_day[2]
    assert min(plant[d] for d in range(7)) > .7 * max(plant.values())


def test_sites_keep_their_own_hours():
    world = Enterprise(5, 1400, 24, MONDAY)
    busiest = {}
    flows = list(Days(world, .4))
    for site in ("tyo", "fra"):
        hours = collections.Counter(f.time_ms // 1000 // HOUR % 24 for f in flows
                                    if f.src and f.src.role == "pc" and f.src.site == site and f.service == "surf")
        busiest[site] = sum(h * n for h, n in hours.items() if h < 20) / sum(n for h, n in hours.items() if h < 20)
    assert 6 < busiest["fra"] - busiest["tyo"] < 9  # Eight hours apart.


def test_each_server_is_saved_once_a_night_and_the_scan_is_on_one_night(week):
    world, flows = week
    nights = collections.Counter((f.dst.name, (f.time_ms // 1000 + 9 * HOUR) // DAY)
                                 for f in flows if f.campaign == "backup" and f.service == "backup")
    assert set(nights.values()) == {1}
    saved = [e for e in world.endpoints if e.zone == "core" and e.role != "backup"]
    assert len(nights) == 7 * len(saved)
    assert {(f.time_ms // 1000 + 9 * HOUR) // HOUR % 24 for f in flows if f.campaign == "backup"} <= {1, 2, 3, 4}
    scanned = {(f.time_ms // 1000 + 9 * HOUR) // HOUR for f in flows if f.campaign == "weekly-scan"}
    assert len(scanned) == 6 and max(scanned) - min(scanned) == 5
    assert len({f.dst for f in flows if f.campaign == "weekly-scan"}) > .9 * SIZE


def test_the_month_end_is_heard():
    def busy(start):
        world = Enterprise(5, SIZE, 24, start)
        return sum(f.src.role == "app" and f.service == "files" for f in Days(world) if f.src)
    assert busy(1793145600 + 2 * DAY) > 5  # Friday, 30 October 2026.
    assert busy(MONDAY + 8 * DAY) == 0
    assert rhythm("month-end", MONDAY + 2 * HOUR, 9) > 0 and rhythm("month-end", MONDAY + DAY + 2 * HOUR, 9) == 0


def test_volumes_have_a_long_tail(week):
    _, flows = week
    pages = sorted(f.bytes_in for f in flows if f.service == "surf" and f.truth == "routine")
    median, last = statistics.median(pages), pages[int(len(pages) * .99)]
    assert 15 < last / median < 45
    assert abs(math.log(median / 250e3)) < .3


def test_people_come_go_and_move_and_the_inventory_of_then_says_so(week):
    world, _ = week
    assert len(world.changes) == 5
    born = [e for e in world.endpoints if e.born > MONDAY]
    gone = [e for e in world.endpoints if e.died is not None]
    moved = [e for e in world.endpoints if len(e.places) > 1]
    assert len(born) >= 10 and len(gone) >= 5 and len(moved) >= 1
    assert any("-r" in e.name for e in born)
    for e in born + gone:
        for at in (MONDAY, *world.changes):
            assert (f"  {e.name}:" in "".join(world.inventory(at))) == e.lives(at)
    for e in moved:
        was, now = e.place(e.places[1][0] - 1), e.place(e.places[1][0])
        assert was != now
    large = Enterprise(1, 5000, 24 * 30, MONDAY)
    days = len(large.changes)
    assert abs(sum("-r" not in e.name and e.born > MONDAY for e in large.endpoints) / days / 4500 - CHURN["new"]) < .001


@pytest.mark.parametrize("mode", ["learn", "test", "enforce"])
def test_the_policy_is_valid_and_its_tests_and_proofs_hold(mode, tmp_path):
    world = Enterprise(2, 500, 24, MONDAY, mode)
    done = subprocess.run([CLI, "check", *files(world, tmp_path, MONDAY), "-o", "json"], capture_output=True, text=True)
    said = json.loads(done.stdout)
    assert done.returncode == 0, said
    assert said["passed"] == said["tests"] > 5
    assert said["held"] == said["proofs"] == (3 if mode == "enforce" else 0)
    codes = {f["code"] for f in said["findings"]}
    assert codes <= {"W-PLAIN-SWITCH", "W-MODE-HOLE"}, codes
    plain = subprocess.run([CLI, "check", str(tmp_path / "policy.yaml")], capture_output=True, text=True)
    assert plain.returncode == 0, plain.stderr


def query(f):
    q = {"from": f.src.name if f.src else f.src_ip, "to": f.dst.name if f.dst else f.dst_ip, "protocol": f.protocol}
    q |= {"type": "echo"} if f.protocol == "icmp" else {"port": f.port}
    if f.program and f.src and f.src.agent:
        q["process"] = f.program
    if f.user and f.src and f.src.agent:
        q["user"] = f.user
    if f.server and f.dst and f.dst.agent:
        q["served_by"] = f.server
    return json.dumps(q, sort_keys=True)


@pytest.mark.parametrize("mode", ["test", "enforce"])
def test_the_real_evaluator_says_of_each_connection_what_its_truth_says(mode, tmp_path):
    """Routine is allowed; troubles are what their label says, by the inventory of their time."""
    world = Enterprise(9, SIZE, 26, MONDAY, mode)
    days, asked = Days(world), 0
    marks = [MONDAY, *world.changes, world.end]
    for i, at in enumerate(marks[:-1]):
        expected = {}
        for n in range((at - MONDAY) // HOUR, (marks[i + 1] - MONDAY) // HOUR):
            for f in days.hour(n):
                assert expected.setdefault(query(f), f.expect) == f.expect
                assert f.truth != "routine" or f.expect == "allow"
        folder = tmp_path / str(at)
        folder.mkdir()
        done = subprocess.run([CLI, "policy", "verdict", *files(world, folder, at), "--queries", "-"],
                              input="\n".join(expected) + "\n", capture_output=True, text=True, check=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(expected)
        for (q, expect), said in zip(expected.items(), answers):
            layer = {"allow": "allow", "default": "default", "never": "never"}[expect]
            word = "allow" if expect == "allow" else "would-deny" if expect == "default" and mode == "test" else "deny"
            assert (said["verdict"], said["layer"]) == (word, layer), (q, expect, said)
        asked += len(expected)
    assert asked > 3000


def test_ten_thousand_endpoints_fit_into_one_request():
    world = Enterprise(1, 10000, 24, MONDAY)
    n = len(Days(world, .1).hour(2))
    assert 500 < n < 9000
    assert sum(len(part) for part in world.inventory(MONDAY)) < 6 << 20
