"""`suimitsu try` and `whatif delete`: recorded flows under another policy, over a real daemon and its
history."""
import json
import time

import pytest
from test_controller import (INVENTORY, POLICY, POLICY_2, agent, controller, pb,  # noqa: F401
                             pytestmark, tmp_path)
from test_flows import acknowledged, mapped

DAY = 86400000
WITHOUT = POLICY.replace("service: postgres", "service: tcp/5433")
TWICE = POLICY + "  - {id: shop-db-2, from: web, to: db, service: tcp/5432, why: again, owner: dba}\n"
BY_PROGRAM = POLICY.replace("from: web,", "from: web, process: {exe: /opt/shop/orders},")


@pytest.fixture
def recorded(agent):
    """Orders every day for a week, psql once, a scan from /tmp, and a denial of what nobody allows."""
    agent.start()
    now = int(time.time() * 1000)
    flows = [agent.flow(first_ms=now - day * DAY, count=30, bytes_out=100, bytes_in=900,
                        rule_name="shop-db") for day in range(7)]
    flows += [agent.flow(process="/usr/bin/psql", count=1, bytes_out=10, rule_name="shop-db")]
    flows += [agent.flow(process="/tmp/scan", port=1000 + n, count=1, verdict=0, layer=5)
              for n in range(25)]
    flows += [agent.flow(remote=mapped("10.20.3.11"), port=22, count=4, verdict=0, layer=5)]
    agent.tell(*flows)
    acknowledged(agent, 1)
    return agent.controller


def files(tmp_path, policy):  # noqa: F811
    path = tmp_path / "candidate.yaml"
    path.write_text(policy)
    return str(path)


def tried(c, *words, code):
    return json.loads(c.cli(*words, "-o", "json", code=code).stdout)


def test_the_policy_in_force_changes_nothing_that_was_recorded(recorded, tmp_path):  # noqa: F811
    said = recorded.cli("try", files(tmp_path, POLICY), "--since", "30d").stdout
    assert said.endswith("nothing that was recorded would change\n")
    assert said.startswith("34 records of ")


def test_what_would_be_blocked_is_told_by_owner_with_reasons(recorded, tmp_path):  # noqa: F811
    found = tried(recorded, "try", files(tmp_path, WITHOUT), code=1)
    assert found["blocked"] == {"connections": 2, "times": 211}
    assert [o["owner"] for o in found["owners"]] == ["shop"]
    orders, psql = found["changes"]
    assert (orders["process"], orders["likely"], orders["count"]) == ("/opt/shop/orders",
                                                                      "likely needed", 210)
    assert "on 7 days" in orders["reasons"] and "it is answered" in orders["reasons"]
    assert orders["was"] == {"verdict": "allow", "layer": "allow", "rule": "shop-db", "owner": "shop"}
    assert (orders["now"]["verdict"], orders["now"]["layer"]) == ("deny", "default")
    assert psql["likely"] == "likely unwanted" and "in one minute only" in psql["reasons"]
    said = recorded.cli("try", files(tmp_path, WITHOUT), code=1).stdout
    assert "  shop: 2 blocked (x211)" in said and "likely needed" in said


def test_a_program_that_the_candidate_does_not_name_is_blocked_alone(recorded, tmp_path):  # noqa: F811
    found = tried(recorded, "try", files(tmp_path, BY_PROGRAM), code=1)
    assert [x["process"] for x in found["changes"]] == ["/usr/bin/psql"]


def test_what_would_be_opened_is_told_with_the_rule_that_opens_it(recorded, tmp_path):  # noqa: F811
    policy = POLICY.replace("services:", "  pcs: {match: {kind: pc}}\nservices:")
    policy += "  - {id: to-pcs, from: web, to: pcs, service: tcp/22, why: help, owner: desk}\n"
    found = tried(recorded, "try", files(tmp_path, policy), code=1)
    assert [(x["kind"], x["now"]["rule"], x["now"]["owner"]) for x in found["changes"]] == [
        ("opened", "to-pcs", "desk")]
    policy = POLICY + "  - {id: all, from: web, to: db, service: tcp/1000-1100, why: ease, owner: desk}\n"
    found = tried(recorded, "try", files(tmp_path, policy), code=1)
    assert found["opened"]["connections"] == 25
    assert {x["likely"] for x in found["changes"]} == {"likely unwanted"}
    assert "its source tries many services" in found["changes"][0]["reasons"]


def test_a_deleted_rule_is_missed_or_redundant(recorded, tmp_path):  # noqa: F811
    said = recorded.cli("whatif", "delete", "shop-db", code=1).stdout
    assert "would be blocked: 2 connections" in said and "redundant" not in said
    assert recorded.apply(TWICE)[0] == 200
    said = recorded.cli("whatif", "delete", "shop-db").stdout
    assert "redundant: others allow all of it" in said
    assert "redundant" not in recorded.cli("whatif", "delete", "shop-db", "shop-db-2", code=1).stdout


def test_only_the_window_counts(recorded, tmp_path):  # noqa: F811
    found = tried(recorded, "try", files(tmp_path, WITHOUT), "--since", "36h", code=1)
    assert found["changes"][0]["count"] == 60
    assert tried(recorded, "try", files(tmp_path, WITHOUT), "--since", "20d", "--until", "8d",
                 code=0)["records"] == 0


def test_nothing_is_changed_by_trying(recorded, tmp_path):  # noqa: F811
    before = recorded.good("GET", "/status")["revision"]
    recorded.cli("try", files(tmp_path, WITHOUT), code=1)
    assert recorded.good("GET", "/status")["revision"] == before
    assert "shop-db" in recorded.cli("policy", "show").stdout


@pytest.mark.parametrize("words, code, said", [
    (("try", "{bad}"), 3, "E-UNKNOWN"),
    (("try", "/nowhere"), 4, "/nowhere"),
    (("whatif", "delete", "shop-bd"), 4, 'no rule "shop-bd"'),
    (("whatif", "delete", "shop-db", "--since", "soon"), 3, "since, until: expected"),
    (("whatif", "delete", "shop-db", "--since", "1d", "--until", "2d"), 3, "nothing lies between"),
    (("whatif", "delete", "shop-db", "--max", "0"), 2, "--max 0"),
])
def test_what_cannot_be_tried_is_refused_with_the_reason(recorded, tmp_path, words, code, said):  # noqa: F811
    bad = files(tmp_path, POLICY.replace("from: web", "from: wbe"))
    done = recorded.cli(*(w.replace("{bad}", bad) for w in words), code=code)
    assert said in done.stderr, done.stderr
