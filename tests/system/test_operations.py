"""Long questions as operations: how far they are, and that the history can be asked so."""
import contextlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess

import pytest
from stopped import born_stopped, nothing_is_read
from test_api import PASSWORD, Browser, Stream, token
from test_controller import (CLI, INVENTORY, PATIENCE_S, POLICY, POLICY_2, agent, controller, pb,  # noqa: F401
                             tmp_path, until)
from test_flows import acknowledged

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")

CANDIDATE = {"files": [{"name": "shop.yaml", "text": POLICY_2}]}


def ended(c, id_, who):
    return until(lambda: (o := c.https("GET", f"/operations/{id_}", who)[1])["state"] == "done" and o)


def test_it_says_how_much_of_how_much_is_done(controller):  # noqa: F811
    controller.apply(POLICY, INVENTORY)
    viewer = token(controller, "viewer")
    for path in ("policy/findings", "policy/proofs", "policy/radius", "policy/radius?from=web1", "unprotected"):
        status, begun, _ = controller.https("POST", "/operations", viewer, {"get": f"/api/v1/{path}"})
        assert status == 202 and begun["done"] <= begun.get("total", 0)
        done = ended(controller, begun["id"], viewer)
        assert (done["done"], done["percent"]) == (done["total"], 100) and done["total"] > 0


def test_what_the_history_is_asked_can_be_an_operation(controller):  # noqa: F811
    c = controller
    c.apply(POLICY, INVENTORY)
    viewer, editor = token(c, "viewer"), token(c, "editor")
    for path in ("/flows?process=%2Fopt%2Fx&max=3", "/flows/rare", "/edges", "/rules/use", "/rules/hygiene?since=7d"):
        status, begun, _ = c.https("POST", "/operations", viewer, {"get": "/api/v1" + path})
        assert status == 202 and begun["get"] == "/api/v1" + path
        result, plain = ended(c, begun["id"], viewer)["result"], c.https("GET", path, viewer)[1]
        assert result["status"] == 200 and result["body"].keys() == plain.keys()
    assert c.https("POST", "/operations", viewer, {"get": "/api/v1/flows?port=x"})[0] == 400  # Refused at once.
    assert c.https("POST", "/operations", viewer, {"get": "/api/v1/flows?after=0&wait"})[0] == 422


def ask_later(c, who, path, prefer="respond-async, wait=1", body=None):
    """What a request that prefers not to wait is answered, and its headers."""
    context = ssl.create_default_context(cadata=(c.state / "ca.crt").read_text())
    with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", c.api_port, context=context,
                                                        timeout=PATIENCE_S)) as connection:
        connection.request("POST" if body else "GET", "/api/v1" + path, json.dumps(body) if body else None,
                           {"Authorization": f"Bearer {who}", "Prefer": prefer})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers


def test_what_takes_longer_than_its_asker_waits_goes_on_as_an_operation(controller):  # noqa: F811
    c = controller
    c.apply(POLICY, INVENTORY)
    who = token(c, "editor")
    for path, body in (("/flows?port=tcp%2F443&max=3", None), ("/edges", None), ("/rules/use?limit=1", None),
                       ("/try", CANDIDATE)):
        quick = ask_later(c, who, path, "respond-async, wait=30", body)
        assert quick[0] == 200  # It had the time.
        with nothing_is_read(c):
            status, begun, headers = ask_later(c, who, path, body=body)
            assert status == 202 and headers["Preference-Applied"] == "respond-async"
            assert headers["Location"] == f"/api/v1/operations/{begun['id']}"
            assert begun["post" if body else "get"] == "/api/v1" + path and begun["state"] == "running"
            assert c.https("GET", f"/operations/{begun['id']}", who)[1]["state"] == "running"
        result = ended(c, begun["id"], who)["result"]
        assert result["status"] == 200 and result["body"].keys() == quick[1].keys()
    assert ask_later(c, who, "/flows?port=x")[0] == 400  # Who is refused need not wait.
    assert ask_later(c, who, "/me")[0] == 200  # Where it means nothing.


def test_who_does_not_want_to_wait_at_all_is_answered_at_once(controller):  # noqa: F811
    c = controller
    c.apply(POLICY, INVENTORY)
    viewer, other = token(c, "viewer"), token(c, "operator")
    with nothing_is_read(c):
        ids = []
        for _ in range(4):
            status, begun, _ = ask_later(c, viewer, "/edges", "respond-async")
            assert status == 202
            ids.append(begun["id"])
        status, refused, headers = ask_later(c, viewer, "/edges", "respond-async")
        assert status == 503 and "4 of your operations" in refused["detail"] and headers["Retry-After"]
        assert ask_later(c, other, "/edges", "respond-async")[0] == 202
        assert c.https("POST", f"/operations/{ids[0]}/cancel", viewer, {})[0] == 200
        assert ask_later(c, viewer, "/edges", "respond-async")[0] == 202
    for id_ in ids[1:]:
        assert ended(c, id_, viewer)["result"]["status"] == 200


def test_a_candidate_is_tried_as_an_operation_by_those_who_may_try(controller):  # noqa: F811
    c = controller
    c.apply(POLICY, INVENTORY)
    viewer, editor = token(c, "viewer"), token(c, "editor")
    assert c.https("POST", "/try", viewer, {**CANDIDATE, "operation": True})[0] == 403
    status, begun, _ = c.https("POST", "/try", editor, {**CANDIDATE, "operation": True})
    assert status == 202 and begun["post"] == "/api/v1/try"
    result = ended(c, begun["id"], editor)["result"]
    plain = c.https("POST", "/try", editor, CANDIDATE)[1]
    assert result["status"] == 200 and result["body"].keys() == plain.keys()
    assert result["body"]["blocked"] == plain["blocked"] == {"connections": 0, "times": 0}
    assert c.https("GET", f"/operations/{begun['id']}", viewer)[0] == 404


def test_the_command_line_lists_shows_and_ends_them(controller):  # noqa: F811
    c = controller
    c.apply(POLICY, INVENTORY)
    id_ = born_stopped(c, lambda: c.ask("POST", "/operations", {"get": "/api/v1/policy/findings"}))[1]["id"]
    row, = c.cli("operation", "list").stdout.splitlines()[1:]
    assert row.split()[:2] == [id_, "running"] and "/api/v1/policy/findings" in row
    assert json.loads(c.cli("operation", "show", id_, "-o", "json").stdout)["state"] == "running"
    assert "cancelled" in c.cli("operation", "cancel", id_).stdout
    assert "cancelled" in c.cli("operation", "list").stdout
    assert "no operation" in c.cli("operation", "show", "0123", code=4).stderr
    done = c.ask("POST", "/operations", {"get": "/api/v1/unprotected"})[1]["id"]
    until(lambda: "the answer: -o json" in c.cli("operation", "show", done).stdout)
    assert json.loads(c.cli("operation", "show", done, "-o", "json").stdout)["result"]["status"] == 200


def read_all(fd):
    """What was said on a terminal; its other end is closed by then."""
    said = b""
    with contextlib.suppress(OSError):
        while piece := os.read(fd, 1000):
            said += piece
    os.close(fd)
    return said


def test_what_the_history_does_not_answer_in_time_the_command_waits_for_as_an_operation(agent, pb, tmp_path):  # noqa: F811
    c = agent.controller
    agent.start()
    agent.tell(agent.flow(rule_name="shop-db"), agent.flow(port=22, verdict=2))
    acknowledged(agent, 1)
    here, quick = ("--socket", str(c.run_dir / "api.sock")), {}
    questions = [("edges", "-o", "json"), ("flows",), ("rules", "use", "--since", "1d")]
    for q in questions:
        quick[q] = c.cli(*q).stdout
        assert "shop-db" in quick[q]
    limited = token(c, "viewer", scope={"tier": "web"})
    (tmp_path / "token").write_text(limited)
    there = ("--controller", f"https://127.0.0.1:{c.api_port}", "--token-file", str(tmp_path / "token"), "--ca",
             str(c.state / "ca.crt"))

    def ask(q, where=here, stderr=subprocess.PIPE):
        return subprocess.Popen([CLI, *q, *where], stdout=subprocess.PIPE, stderr=stderr, text=True)

    ours, theirs = os.openpty()
    with nothing_is_read(c):
        seen = ask(questions[0], stderr=theirs)
        os.close(theirs)
        unseen = [ask(q) for q in questions[1:]]
        ended, scoped = ask(("edges", "--port", "22")), ask(("flows",), there)
        until(lambda: len(c.good("GET", "/operations")) == 5)
        said = b""
        while not re.search(rb"running: \d+( of \d+ \(\d+ %\)| s); Ctrl-C ends it", said):
            said += os.read(ours, 1000)
        assert re.search(rb"waiting: \d+ s; Ctrl-C ends it", said)  # Before that, as a request.
        ended.send_signal(signal.SIGINT)
        assert ended.communicate() == ("", "suimitsu: ended by Ctrl-C\n") and ended.returncode == 7
        own, = c.https("GET", "/operations", limited)[1]
        states = {o["get"]: o["state"] for o in c.good("GET", "/operations") if o["id"] != own["id"]}
        assert states.pop("/api/v1/edges?port=22") == "cancelled" and set(states.values()) == {"running"}
    assert seen.communicate()[0] == quick[questions[0]] and seen.returncode == 0
    assert read_all(ours).endswith(b"\r\033[K")  # The line goes when the answer comes.
    assert scoped.communicate() == (quick[questions[1]], "") and scoped.returncode == 0
    for q, p in zip(questions[1:], unseen):
        assert p.communicate() == (quick[q], "") and p.returncode == 0
    assert {o["state"] for o in c.good("GET", "/operations")} == {"done", "cancelled"}
    assert c.cli(*questions[0]).stdout == quick[questions[0]]


def test_who_watches_is_told_what_becomes_of_them(controller):  # noqa: F811
    c = controller
    c.apply(POLICY, INVENTORY)
    viewer = token(c, "viewer")
    s = Stream(c, viewer, "?topics=operations")
    assert s.next()[1]["topics"] == ["operations"]
    id_ = born_stopped(c, lambda: c.https("POST", "/operations", viewer, {"get": "/api/v1/policy/findings"}))[1]["id"]
    name, created = s.next()
    assert (name, created["what"], created["id"], created["get"]) == \
        ("operations", "created", id_, "/api/v1/policy/findings")
    begun = s.last
    runs = s.next()[1]
    assert (runs["what"], runs["state"], runs["id"]) == ("progress", "running", id_)
    assert c.https("POST", f"/operations/{id_}/cancel", viewer, {})[0] == 200
    assert (e := s.next()[1])["what"] == e["state"] == "cancelled"  # No progress that is none.
    s.close()
    again = c.https("POST", "/operations", viewer, {"get": "/api/v1/edges"})[1]["id"]
    s = Stream(c, viewer, "?topics=operations", begun)  # As if it had been away since then.
    assert s.next()[0] == "hello"
    assert [s.next()[1]["what"] for _ in range(3)] == ["progress", "cancelled", "created"]
    while (e := s.next()[1])["what"] == "progress":
        pass
    listed = {o["id"]: o for o in c.https("GET", "/operations", viewer)[1]}
    assert e == {**listed[again], "what": "done"}
    s.close()


def test_nobody_is_told_of_the_operations_of_others_but_an_admin(controller):  # noqa: F811
    c = controller
    c.apply(POLICY, INVENTORY)
    mine, other, admin = token(c, "viewer"), token(c, "editor"), token(c, "admin")
    streams = {who: Stream(c, who) for who in (mine, other, admin)}
    assert all("operations" in s.next()[1]["topics"] for s in streams.values())
    asked = {}
    for who in (mine, other):  # One after the other: who were told of all would hear of the first first.
        asked[who] = c.https("POST", "/operations", who, {"get": "/api/v1/unprotected"})[1]["id"]
        ended(c, asked[who], who)
    for who in (mine, other):
        assert streams[who].until("operations")["id"] == asked[who]
    told = set()
    while told != set(asked.values()):
        if (e := streams[admin].until("operations"))["what"] == "done":
            told.add(e["id"])
    scoped = token(c, "viewer", scope={"tier": "web"})  # Of the name of another.
    s = streams[scoped] = Stream(c, scoped, "?topics=operations")
    assert s.next()[1]["topics"] == ["operations"]
    for who in (mine, scoped):
        asked[who] = c.https("POST", "/operations", who, {"get": "/api/v1/flows"})[1]["id"]
        ended(c, asked[who], who)
    assert s.until("operations")["id"] == asked[scoped]
    for s in streams.values():
        s.close()


def test_who_sees_a_part_has_operations_of_his_own_about_that_part(agent, tmp_path):  # noqa: F811
    c = agent.controller
    agent.start()
    agent.tell(agent.flow(rule_name="shop-db"), lost=7)  # web1 to db1.
    acknowledged(agent, 1)
    web, db, pc = (token(c, "viewer", scope=s) for s in ({"tier": "web"}, {"tier": "db"}, {"kind": "pc"}))
    viewer, admin = token(c, "viewer"), token(c, "admin")
    assert c.https("GET", "/operations", pc) == (200, [], None)
    of = {}
    for who, streams in ((web, ["web1"]), (db, ["(another)"]), (pc, ["(another)"])):
        status, begun, _ = c.https("POST", "/operations", who, {"get": "/api/v1/flows"})
        assert status == 202
        of[who] = begun["id"]
        result = ended(c, begun["id"], who)["result"]
        plain = c.https("GET", "/flows", who)[1]
        assert result == {"status": 200, "body": plain}
        assert len(plain["flows"]) == (who != pc) and [g["stream"] for g in plain["incomplete"]] == streams
    for whole in ("edges", "rules/use", "flows/rare", "rules/hygiene", "policy/findings", "policy/radius", "unprotected"):
        status, refused, _ = c.https("POST", "/operations", web, {"get": f"/api/v1/{whole}"})
        assert status == 403 and "you are limited to tier=web" in refused["detail"]
    for who in (web, db, pc):
        assert [o["id"] for o in c.https("GET", "/operations", who)[1]] == [of[who]]
        for other in {web, db, pc} - {who} | {viewer}:
            assert c.https("GET", f"/operations/{of[who]}", other)[0] == 404
            assert c.https("POST", f"/operations/{of[who]}/cancel", other, {})[0] == 404
    assert {o["id"] for o in c.https("GET", "/operations", admin)[1]} == set(of.values())
    assert c.https("GET", "/operations", viewer)[1] == []
    with nothing_is_read(c):
        status, begun, _ = ask_later(c, pc, "/flows", "respond-async")
        assert status == 202 and c.https("POST", f"/operations/{begun['id']}/cancel", pc, {})[0] == 200


def test_who_is_narrowed_has_no_more_what_he_asked_about_the_whole(agent):  # noqa: F811
    c = agent.controller
    agent.start()
    agent.tell(agent.flow(rule_name="shop-db"))
    acknowledged(agent, 1)
    c.good("POST", "/accounts", {"name": "mika", "role": "viewer", "password": PASSWORD})
    mika = Browser(c)
    assert mika.login("mika")[0] == 200
    status, begun = mika.api("POST", "/operations", {"get": "/api/v1/edges"})
    assert status == 202
    until(lambda: mika.api("GET", f"/operations/{begun['id']}")[1]["state"] == "done")
    c.good("PUT", "/accounts/mika", {"scope": {"kind": "pc"}})
    if mika.api("GET", "/me")[0] == 401:
        assert mika.login("mika")[0] == 200
    assert mika.api("GET", "/me")[1]["scope"] == {"kind": "pc"}
    assert mika.api("GET", "/operations") == (200, [])
    assert mika.api("GET", f"/operations/{begun['id']}")[0] == 404
