# SPDX-License-Identifier: Apache-2.0
"""`suimitsu policy unprotected` and `policy endpoint` as their users meet them, on a small factory."""
import json
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
FOLDER = ROOT / "tests/system/unprotected"
POLICY, INVENTORY = FOLDER / "policy.yaml", FOLDER / "inventory.yaml"


def ask(*args, inventory=INVENTORY):
    args = ["policy", *args, *(["--inventory", inventory] if inventory else []),
            "--now", "2026-11-22T12:00:00Z"]
    done = subprocess.run([SUIMITSU, *map(str, args)], text=True, capture_output=True, timeout=120)
    assert done.returncode >= 0, f"ended by signal {-done.returncode}"
    return done


def test_the_factory_is_told_by_pairs_of_groups():
    done = ask("unprotected", POLICY)
    assert done.stdout == (FOLDER / "unprotected.txt").read_text()
    assert (done.returncode, done.stderr) == (1, "")


def test_each_endpoint_says_who_holds_when_it_is_owned():
    said = "".join(ask("endpoint", name, POLICY).stdout
                   for name in ("pc1", "pc3", "cam1", "rec1", "lab1"))
    assert said == (FOLDER / "endpoints.txt").read_text()


def test_json_has_the_same_counts():
    found = json.loads(ask("unprotected", POLICY, "-o", "json").stdout)
    assert (found["endpoints"], found["without_enforcer"], found["agent_only"]) == (10, 3, 4)
    assert [(r["reason"], r["pairs"], r["left_out"]) for r in found["reasons"]] == [
        ("no-enforcer", 12, 0), ("agent-only", 14, 0), ("plain-switch", 4, 0),
        ("guessed-identity", 4, 0)]
    for reason in found["reasons"]:
        assert sum(r["pairs"] for r in reason["rows"]) == reason["pairs"] and reason["closed_by"]
    rows = found["reasons"][0]["rows"]
    assert rows[0] == {"from": "cameras", "to": "cameras", "sources": 2, "destinations": 2,
                       "pairs": 2, "example": {"from": "cam1", "to": "cam2"}}
    assert {"from": None, "to": "printer1"} in [r["example"] for r in rows]
    assert found["reasons"][2]["rows"][0]["network"] == "10.1.1.0/24"
    one = json.loads(ask("endpoint", "pc1", POLICY, "-o", "json").stdout)
    assert one["if_owned"] == {
        "no_longer": ["host"], "still": [], "holds": "other-ends", "held": 6, "open": 3,
        "open_beside": 1, "open_examples": ["printer1", "cam1", "cam2"], "outside_open": True}


def test_an_endpoint_says_where_its_edge_is_and_what_passes_without_a_program(tmp_path):
    ledger = tmp_path / "inventory.yaml"
    place = "edge: {agent: gw, port: eth1, macs: \"02:00:00:00:00:01\"%s}"
    for more, text, fail in (
            (", pair: eth2, before: open",
             "port eth1 of gw, in line with eth2; fail-open: without a program everything passes", "open"),
            ("", "port eth1 of gw; fail-closed: without a program nothing passes", "closed")):
        ledger.write_text("suimitsu-inventory: 1\nendpoints:\n  gw: {addresses: 10.1.9.1}\n"
                          "  plc: {addresses: 10.1.9.2, enforcers: edge, " + place % more + "}\n")
        policy = tmp_path / "policy.yaml"
        policy.write_text("suimitsu: 1\n")
        assert f"  edge       {text}\n" in ask("endpoint", "plc", policy, inventory=ledger).stdout
        told = json.loads(ask("endpoint", "plc", policy, "-o", "json", inventory=ledger).stdout)["edge"]
        assert (told["agent"], told["port"], told.get("pair"), told["fail"]) == (
            "gw", "eth1", "eth2" if more else None, fail)


def test_what_is_allowed_is_not_called_unprotected():
    """The recorder may do everything at printers, so only cameras and the outside are told."""
    found = json.loads(ask("unprotected", POLICY, "-o", "json").stdout)
    assert ("recorder", "printers") not in [
        (r.get("from"), r.get("to")) for reason in found["reasons"] for r in reason["rows"]]


def test_one_reason_is_asked_for_by_name_and_the_exit_code_follows(tmp_path):
    done = ask("unprotected", POLICY, "--reason", "plain-switch")
    assert done.returncode == 1 and "plain switch" in done.stdout
    assert "agent only" not in done.stdout and "no enforcer" not in done.stdout
    closed = tmp_path / "inventory.yaml"
    closed.write_text(INVENTORY.read_text().replace("enforcers: none", "enforcers: host"))
    done = ask("unprotected", POLICY, "--reason", "no-enforcer,plain-switch", inventory=closed)
    assert (done.returncode, done.stdout) == (0, (
        "nothing is unprotected by these reasons\n"
        "10 endpoints: 0 without any enforcer, 7 with nothing but what runs inside\n"))
    assert ask("unprotected", POLICY, inventory=closed).returncode == 1
    closed.write_text(closed.read_text().replace("enforcers: host", "enforcers: [host, edge]")
                      .replace("enforcers: nft", "enforcers: [nft, switch]"))
    done = ask("unprotected", POLICY, inventory=closed)
    assert done.returncode == 0 and done.stdout.startswith("nothing is unprotected")


@pytest.mark.parametrize("code, said, args", [
    (2, "needs --inventory", ["unprotected", POLICY, None]),
    (2, "expected a list of no-enforcer", ["unprotected", POLICY, "--reason", "agents"]),
    (2, "needs --inventory", ["endpoint", "pc1", POLICY, None]),
    (4, "no endpoint \"pc9\"", ["endpoint", "pc9", POLICY]),
    (2, "endpoint", ["endpoint", "pc1"])])
def test_wrong_use_says_what_to_do(code, said, args):
    done = ask(*[a for a in args if a], inventory=None if None in args else INVENTORY)
    assert (done.returncode, done.stdout) == (code, "") and said in done.stderr


def test_the_page_shows_what_it_answers():
    text = (ROOT / "docs/policy.md").read_text()
    for command in ("unprotected", "endpoint"):
        start = text.index(f"$ suimitsu policy {command} ")
        words = text[start:text.index("\n", start)].split()[4:]
        shown = text[text.index("\n", start) + 1:text.index("```", start)]
        done = subprocess.run([SUIMITSU, "policy", command, *words], cwd=ROOT / "docs/examples",
                              text=True, capture_output=True, timeout=120)
        assert done.stdout == shown
