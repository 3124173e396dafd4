"""The past: `--at` and `--revision` on questions, `suimitsu timeline`, and the difference of two
instants, over a real daemon that is killed between."""
import datetime
import json
import time

import pytest
from test_controller import (INVENTORY, POLICY, POLICY_2, controller, pytestmark,  # noqa: F401
                             tmp_path)

MOVED = INVENTORY.replace("10.20.3.11", "10.20.3.12").replace("  pc1", "  lab9")


def later():
    """The next second, from which on what comes is told apart from what was."""
    begun = int(time.time())
    while int(time.time()) == begun:
        time.sleep(0.01)
    return datetime.datetime.fromtimestamp(begun, datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture
def past(controller):  # noqa: F811
    """Four instants: nothing applied; a policy; web1 in quarantine; all of it otherwise."""
    times = {"nothing": later()}
    assert controller.apply(POLICY, INVENTORY, comment="CHG-1")[0] == 200
    times["shop"] = later()
    controller.cli("quarantine", "web1", "--why", "beacon")
    times["quarantine"] = later()
    controller.cli("release", "web1", "--why", "clean")
    assert controller.apply(POLICY_2, MOVED, comment="CHG-2")[0] == 200
    later()
    return controller, times


QUESTION = ("web1", "db1", "postgres")


def test_why_of_then_is_the_verdict_of_then(past):
    c, times = past
    assert c.cli("why", *QUESTION).stdout.startswith("allow (allow, rule shop-db)")
    then = c.cli("why", *QUESTION, "--at", times["shop"]).stdout
    assert then.startswith("allow (allow, rule shop-db)") and then.endswith("today: the same\n")
    then = c.cli("why", *QUESTION, "--at", times["quarantine"], code=1).stdout
    assert then.startswith("deny (quarantine") and "today: allow, by allow shop-db" in then
    then = c.cli("why", "lab9", "web1", "tcp/80", "--at", times["shop"], code=4).stdout
    assert "today: allow, by allow shop-http" in then


def test_a_revision_is_asked_as_well_as_an_instant(past):
    c, times = past
    for name in ("shop", "quarantine"):
        at = json.loads(c.cli("why", *QUESTION, "--at", times[name], "-o", "json",
                              code=name == "quarantine").stdout)
        revision = str(at["as_of"]["revision"])
        by_number = json.loads(c.cli("why", *QUESTION, "--revision", revision, "-o", "json",
                                     code=name == "quarantine").stdout)
        assert by_number["verdict"] == at["verdict"]
        assert by_number["as_of"]["policy"] == at["as_of"]["policy"]
        assert at["as_of"]["time"] == times[name]


def test_endpoints_groups_and_the_policy_are_shown_as_they_were(past):
    c, times = past
    assert "pc1" not in c.cli("endpoint").stdout
    assert "10.20.3.11" in c.cli("endpoint", "--at", times["shop"]).stdout
    for instant, trust in (("quarantine", "black"), ("shop", "white")):
        shown = c.cli("endpoint", "web1", "--at", times[instant], "-o", "json").stdout
        assert json.loads(shown)["trust"] == trust
    assert "web1" in c.cli("group", "web", "--at", times["shop"]).stdout
    assert "shop-http" in c.cli("policy", "show").stdout
    assert "shop-http" not in c.cli("policy", "show", "--at", times["shop"]).stdout
    rules = c.good("GET", f"/policy/rules?at={times['shop']}")
    assert [r["id"] for r in rules] == ["shop-db"]
    assert c.good("GET", f"/endpoints?at={times['nothing']}") == []
    for path in ("/policy/findings", "/policy/proofs", "/policy/radius?from=pc1", "/unprotected"):
        mark = "&" if "?" in path else "?"
        c.good("GET", f"{path}{mark}at={times['shop']}")
    assert c.ask("GET", "/policy/radius?from=pc1")[0] == 404  # It has another name today.
    assert c.good("GET", f"/endpoints/pc1/if-owned?at={times['shop']}")["as_of"]


def test_the_timeline_says_what_changed_when_and_who_did_it(past):
    c, times = past
    events = c.good("GET", "/timeline")
    assert [e["what"] for e in events][:4] == [["policy", "inventory"], ["trust"], ["trust"],
                                               ["policy", "inventory"]]
    assert [e.get("comment") for e in events][:4] == ["CHG-2", "clean", "beacon", "CHG-1"]
    assert (events[2]["endpoint"], events[2]["trust"]) == ("web1", "black")
    assert events == sorted(events, key=lambda e: -e["revision"])
    assert len(c.good("GET", f"/timeline?until={times['shop']}")) == len(events) - 3
    assert c.good("GET", f"/timeline?max=1&before={events[0]['revision']}") == [events[1]]
    assert "CHG-2" in c.cli("timeline", "--since", "1h").stdout


def test_the_difference_of_two_instants_holds_policy_inventory_and_trust(past):
    c, times = past
    said = c.cli("timeline", "diff", times["shop"], code=1).stdout
    assert "shop-http" in said and "lab9" in said
    said = c.cli("timeline", "diff", times["shop"], times["quarantine"], code=1).stdout
    assert "was shop-db, now quarantine" in said
    c.cli("timeline", "diff", times["shop"], times["shop"])


def test_kill_9_and_a_restart_forget_nothing_of_the_past(past):
    c, times = past
    questions = [("/why?at=" + t, dict(zip(("from", "to", "service"), QUESTION)))
                 for t in times.values()]

    def answers():
        said = [c.good("POST", path, body) for path, body in questions if "Z" in path]
        return [(s["verdict"], s["as_of"]["revision"]) for s in said]
    questions = questions[1:]  # The first knows no service of this name.
    before, events = answers(), c.good("GET", "/timeline")
    c.kill()
    c.start()
    assert answers() == before
    assert c.good("GET", "/timeline")[-len(events):] == events
    assert c.good("GET", "/timeline")[0]["what"] == ["revision"]  # Of the start.


@pytest.mark.parametrize("query, status, said", [
    ("at=yesterday", 400, "2026-11-22T10:00"),
    ("at=1h&revision=4", 400, "expected at"),
    ("revision=x", 400, "expected at"),
    ("at=2001-01-01", 404, "the timeline begins at 20"),
    ("version=1&at=0s", 400, "exclude each other"),
])
def test_a_time_that_cannot_be_answered_is_refused_with_the_reason(controller, query, status,  # noqa: F811
                                                                   said):
    code, body, _ = controller.ask("GET", f"/policy?{query}")
    assert (code, said in body["detail"]) == (status, True), body


def test_a_difference_from_a_time_before_all_is_refused(controller):  # noqa: F811
    assert controller.ask("GET", "/timeline/diff?from=2001-01-01")[0] == 404
    assert controller.ask("GET", "/timeline/diff")[0] == 400
    assert "nothing is known" in controller.cli("timeline", "diff", "2001-01-01", code=4).stderr
