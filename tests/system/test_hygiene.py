"""`suimitsu rules unused` and `rules hygiene`, and W-UNUSED among the findings: over a real daemon, its
history, and the policy that its own proposals make."""
import contextlib
import json
import re
import signal
import sqlite3
import time

import pytest
from test_controller import (INVENTORY, Agent, agent, controller, pb,  # noqa: F401
                             pytestmark, tmp_path, until)
from test_flows import acknowledged, mapped

DAY = 86400000
WIDE = """suimitsu: 1
groups:
  web: {match: {tier: web}}
  db: {match: {tier: db}}
  servers: {match: {tier: [web, db]}}
  out: {outside: true}
services:
  admin: [tcp/22, tcp/445, tcp/3389]
never:
  - {id: n1, from: out, to: db, service: admin, why: no, owner: sec}
allow:
  - {id: shop-db, from: servers, to: any, process: {exe: [/opt/shop/orders, /usr/bin/psql]}, service: [tcp/5432, admin], why: "orders: all", owner: shop, expires: 2099-12-31}
  - {id: idle, from: web, to: db, service: tcp/9999, why: who knows, owner: shop}
  - {id: from-out, from: out, to: db, service: tcp/443, why: shop, owner: shop}
"""


@pytest.fixture
def recorded(agent, pb):  # noqa: F811
    """A week of orders and one login, told by both ends' agents."""
    c = agent.controller
    agent.start()
    assert c.apply(WIDE, INVENTORY)[0] == 200
    now = int(time.time() * 1000)
    agent.tell(*[agent.flow(first_ms=now - day * DAY - 1000, count=30, bytes_in=9, rule_name="shop-db")
                 for day in range(8)],
               agent.flow(port=22, count=2, rule_name="shop-db", first_ms=now - DAY))
    acknowledged(agent, 1)
    return c


def hygiene(c, *words):
    answer = json.loads(c.cli("rules", "hygiene", *words, "-o", "json").stdout)
    return {r["rule"]: r for r in answer["rules"]}, answer


def test_hits_last_use_trend_and_what_was_never_seen_are_told(recorded):
    rules, answer = hygiene(recorded, "--since", "6d")
    shop = rules["shop-db"]
    assert (shop["status"], shop["hits"], shop["carried"], shop["trend"]) == ("used", 182, 182, "steady")
    assert len(shop["pieces"]) == 6 and sum(shop["pieces"]) == 182
    fields = {(f["field"], f["name"]): f for f in shop["fields"]}
    assert fields["from", "servers"]["never"] == ["db1"]
    assert (fields["to", "any"]["n"], fields["to", "any"]["seen"]) == (3, 1)
    assert fields["service", "admin"]["never"] == ["tcp/445", "tcp/3389"]
    assert fields["process", "/usr/bin/psql"]["seen"] == 0 and fields["process", "/usr/bin/psql"]["told"]
    assert rules["n1"]["status"] == "guard-rail" and rules["n1"]["proposal"] == ""
    said = recorded.cli("rules", "hygiene", "shop-db").stdout
    assert "service admin: 1 of 3 seen, not tcp/445, tcp/3389" in said and "idle" not in said
    assert "blocks none of the 242 that the rule allows" in said


def test_the_proposal_is_a_rule_that_blocks_nothing_recorded(recorded, tmp_path):  # noqa: F811
    proposal = hygiene(recorded)[0]["shop-db"]["proposal"]
    assert proposal == ("allow:\n  - id: shop-db\n    from: web\n    process: /opt/shop/orders\n    to: db\n"
                        "    service: [tcp/5432, tcp/22]\n    why: \"orders: all\"\n    owner: shop\n"
                        "    expires: 2099-12-31\n")
    lines = WIDE.splitlines(keepends=True)
    at = next(i for i, line in enumerate(lines) if "id: shop-db" in line)
    candidate = tmp_path / "narrow.yaml"
    candidate.write_text("".join(lines[:at]) + proposal.removeprefix("allow:\n") + "".join(lines[at + 1:]))
    said = recorded.cli("try", str(candidate)).stdout
    assert said.endswith("nothing that was recorded would change\n")
    candidate.write_text(candidate.read_text().replace(", tcp/22]", "]"))
    assert json.loads(recorded.cli("try", str(candidate), "-o", "json", code=1).stdout)["blocked"]["times"] == 2


def unused(c, since):
    done = c.cli("rules", "unused", "--since", since, "-o", "json", code=None)
    return done.returncode, json.loads(done.stdout)


def test_a_rule_is_unused_only_when_it_stood_for_all_of_the_time(recorded, agent):
    said = {r["rule"]: r["status"] for r in unused(recorded, "1h")[1]["not_judged"]}
    assert said == {"idle": "young", "from-out": "young"}
    code, answer = until(lambda: (got := unused(recorded, "2s"))[0] == 1 and len(got[1]["not_judged"]) == 2 and got)
    assert (code, [r["rule"] for r in answer["unused"]]) == (1, ["idle"])
    idle = answer["unused"][0]
    assert re.fullmatch(r"never, in the [78] days that the history holds", idle["why"])
    assert {r["rule"]: r["status"] for r in answer["not_judged"]} == {  # db1 and the outside have no agent.
        "from-out": "nobody-tells", "shop-db": "nobody-tells"}
    out = recorded.cli("rules", "unused", "--since", "2s", code=1)
    assert "idle" in out.stdout and "not judged: from-out: no hit, but some of its" in out.stderr
    assert "no rule is known to be unused" in recorded.cli("rules", "unused", "--since", "5d").stdout
    # Written otherwise it is another rule, whatever its name; with another reason it is the same.
    stood = {r["rule"]: r["stands_since"] for r in answer["unused"] + answer["not_judged"]}
    assert recorded.apply(WIDE.replace("tcp/9999", "tcp/9998").replace("why: \"orders: all\"", "why: more"))[0] == 200
    now, _ = hygiene(recorded, "--since", stood["idle"])
    assert now["idle"]["status"] == "young" and now["idle"]["stands_since"] > stood["idle"]
    assert now["shop-db"]["stands_since"] == stood["shop-db"]


def test_what_was_lost_is_no_evidence(recorded, agent):
    until(lambda: unused(recorded, "2s")[0] == 1)
    agent.tell(agent.flow(port=22, count=1, rule_name="shop-db"), lost=7)
    acknowledged(agent, 2)
    rules, answer = hygiene(recorded, "--since", "1h")
    assert rules["idle"]["status"] == "young"
    rules, _ = hygiene(recorded, "--since", rules["idle"]["stands_since"])
    assert rules["idle"]["status"] == "evidence-incomplete"
    assert answer["incomplete"][0]["lost"] == 7


def findings(c):
    return {f["code"]: f for f in c.good("GET", "/policy/findings") if "W-UNUSED" in f["code"] + f["message"]}


def test_findings_name_what_nobody_uses_when_rule_and_history_are_old_enough(recorded, agent):
    """The clock cannot be turned, but the timeline and the records can be made older."""
    assert findings(recorded) == {}
    old = int(time.time()) - 100 * 86400
    agent.tell(agent.flow(first_ms=int(time.time() * 1000) - 90 * DAY + 3600000, rule_name="other"))
    acknowledged(agent, 2)
    recorded.kill(signal.SIGTERM)
    with contextlib.closing(sqlite3.connect(recorded.state / "store.db")) as db, db:
        for key, value in db.execute("SELECT key, data FROM documents WHERE key LIKE 'timeline/%'").fetchall():
            value = json.dumps({**json.loads(value), "time": old}).encode()
            db.execute("UPDATE documents SET data = ? WHERE key = ?", (value, key))
    recorded.start()
    found = findings(recorded)
    unused = found["W-UNUSED"]
    assert unused["message"] == '"idle" of shop was not used for 90 days'
    assert "never had one in the 89 days that the history holds" in unused["expected"]
    assert (unused["severity"], unused["line"]) == ("warning", 13)
    assert "whether 1 rules were used (W-UNUSED) is not known: some of" in found["N-UNFINISHED"]["message"]
    asked = recorded.ask("POST", "/operations", {"get": "/api/v1/policy/findings"})[1]
    done = until(lambda: (o := recorded.good("GET", "/operations/" + asked["id"]))["state"] == "done" and o)
    assert done["result"]["body"] == recorded.good("GET", "/policy/findings")


@pytest.mark.parametrize("words, code, said", [
    (("shop-bd",), 4, 'no rule "shop-bd"'),
    (("--since", "soon"), 2, "since=soon: expected"),
    (("--since", "0s"), 2, "since=0s: expected"),
])
def test_what_cannot_be_asked_is_refused_with_the_reason(recorded, words, code, said):
    done = recorded.cli("rules", "hygiene", *words, code=code)
    assert said in done.stderr, done.stderr
