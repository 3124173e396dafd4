"""`suimitsu flows rare`: what stands out, each with its reasons, over a real daemon and its history."""
import json
import re
import time

import pytest
from test_controller import agent, controller, pb, pytestmark, tmp_path  # noqa: F401
from test_flows import acknowledged, mapped

DAY = 86400000


@pytest.fixture
def recorded(agent):  # noqa: F811
    """A week of orders to db1 and of a backup to pc1; today psql talks to db1, the backup to db1 by
    ssh, and something scans pc1."""
    agent.start()
    now = int(time.time() * 1000)
    pc1 = mapped("10.20.3.11")
    flows = [agent.flow(first_ms=now - day * DAY, count=30, bytes_in=9, rule_name="shop-db") for day in range(7)]
    flows += [agent.flow(first_ms=now - day * DAY, process="/usr/bin/backup", remote=pc1, port=873, bytes_in=9)
              for day in range(2, 6)]
    flows += [agent.flow(process="/usr/bin/psql", count=1, bytes_in=10, rule_name="shop-db"),
              agent.flow(process="/usr/bin/backup", port=22, count=3, bytes_in=10, verdict=0, layer=5)]
    flows += [agent.flow(process="/tmp/scan", remote=pc1, port=1000 + n, count=1, verdict=0, layer=5)
              for n in range(25)]
    agent.tell(*flows)
    acknowledged(agent, 1)
    return agent.controller


def rare(c, *words):
    return json.loads(c.cli("flows", "rare", *words, "-o", "json").stdout)


def lines(answer, kind):
    return [x for x in answer["lines"] if x["kind"] == kind]


def test_new_connections_say_since_when_their_program_is_known(recorded):
    answer = rare(recorded, "--new")
    assert answer["totals"] == {"new": 27} and answer["connections"] == 28
    assert {x["process"] for x in answer["lines"]} == {"/usr/bin/psql", "/usr/bin/backup", "/tmp/scan"}
    backup = next(x for x in answer["lines"] if x["process"] == "/usr/bin/backup")
    assert (backup["from"], backup["to"], backup["service"], backup["count"], backup["peers"]) == (
        "web1", "db1", "tcp/22", 3, 1)
    assert (backup["verdict"], backup["layer"]) == ("deny", "default")
    assert backup["program_here_since"] < answer["since"] and backup["before"] == ""
    assert re.match(r"not seen in the [45] days before, when both ends were; /usr/bin/backup is known there since "
                    r"\S+, with 1 other destination$", backup["why"])
    psql = next(x for x in answer["lines"] if x["process"] == "/usr/bin/psql")
    assert psql["why"].endswith("; /usr/bin/psql is new everywhere, since " + psql["first"])
    assert psql["rule"] == "shop-db"


def test_a_program_that_never_did_that_is_told_by_service_and_group(recorded):
    answer = rare(recorded, "--program")
    assert [(x["process"], x["service"]) for x in answer["lines"]] == [("/usr/bin/backup", "tcp/22")]
    assert answer["lines"][0]["why"].startswith(
        "it never used tcp/22, and never reached a group of this destination before; /usr/bin/backup is known")


def test_a_scan_is_one_line_with_its_numbers(recorded):
    answer = rare(recorded, "--scan")
    scan, = answer["lines"]
    assert [scan[k] for k in ("from", "tries", "destinations", "services", "denied", "to", "service")] == [
        "web1", 25, 1, 25, 25, "", ""]
    assert scan["process"] == "/tmp/scan"  # The backup's attempts, in vain too, are its own.
    assert "from 20 on it is told" in scan["why"]


def test_what_was_seen_once_says_whether_it_was_seen_before(recorded):
    once = lines(rare(recorded, "--once", "--scan"), "once")
    assert {x["process"] for x in once} == {"/usr/bin/psql", "/tmp/scan"} and len(once) == 26
    again = lines(rare(recorded, "--once", "--since", "8d"), "once")
    assert all("never seen before" in x["why"] for x in again)


def test_how_far_the_history_reaches_and_what_is_not_told_is_said(recorded):
    said = recorded.cli("flows", "rare").stdout
    assert "before it the history reaches back to " in said and "first seen in this time: 27\n" in said
    assert said.index("first seen in") < said.index("only once") < said.index("programs that") < said.index("sources")
    all_of_it = rare(recorded, "--since", "30d", "--new")
    assert all_of_it["totals"] == {"new": 0} and all_of_it["unknown_ends"] == all_of_it["connections"] == 29
    said = recorded.cli("flows", "rare", "--since", "30d", "--new").stdout
    assert "nothing is known of before, so nothing can be told to be new" in said
    assert "29 new connections are not told: an end was not seen before this time" in said
    few = recorded.cli("flows", "rare", "--new", "--max", "2").stdout
    assert few.count("web1 -> ") == 2 and "and 25 more" in few


@pytest.mark.parametrize("words, said", [
    (("--since", "soon"), "since=soon: expected"),
    (("--max", "0"), "max=0: expected"),
])
def test_what_cannot_be_asked_is_refused_with_the_reason(recorded, words, said):
    assert said in recorded.cli("flows", "rare", *words, code=2).stderr
    assert recorded.ask("GET", "/flows/rare?kind=odd")[0] == 400
