"""Long questions as operations: how far they are, and that the history can be asked so."""
import json
import os
import pathlib
import signal

import pytest
from test_api import token
from test_api_more import big_world
from test_controller import INVENTORY, POLICY, POLICY_2, controller, tmp_path, until  # noqa: F401

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
    policy, inventory = big_world(1500)
    assert c.apply(policy, inventory)[0] == 200
    id_ = c.ask("POST", "/operations", {"get": "/api/v1/policy/findings"})[1]["id"]
    for child in pathlib.Path(f"/proc/{c.process.pid}/task/{c.process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGSTOP)  # It takes as long as we like.
    row, = c.cli("operation", "list").stdout.splitlines()[1:]
    assert row.split()[:2] == [id_, "running"] and "/api/v1/policy/findings" in row
    assert json.loads(c.cli("operation", "show", id_, "-o", "json").stdout)["state"] == "running"
    assert "cancelled" in c.cli("operation", "cancel", id_).stdout
    assert "cancelled" in c.cli("operation", "list").stdout
    assert "no operation" in c.cli("operation", "show", "0123", code=4).stderr
    done = c.ask("POST", "/operations", {"get": "/api/v1/unprotected"})[1]["id"]
    until(lambda: "the answer: -o json" in c.cli("operation", "show", done).stdout)
    assert json.loads(c.cli("operation", "show", done, "-o", "json").stdout)["result"]["status"] == 200
