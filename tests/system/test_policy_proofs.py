# SPDX-License-Identifier: Apache-2.0
"""Proofs as their user meets them: held, failed with the path, and in JUnit form."""
import json
import pathlib
import subprocess
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
POLICY = """\
suimitsu: 1
groups: {pos: {match: {kind: pos}}, office: {match: {kind: pc}}, internet: {outside: true}}
allow:
  - {id: print, from: pos, to: office, service: tcp/631, why: receipts, owner: shop}
  - {id: web, from: office, to: internet, service: tcp/443, why: work, owner: it}
prove:
  - {no-path: {from: pos, to: internet}}
  - {no-path: {from: pos, to: internet, service: tcp/22}}
  - {only-path: {from: office, to: internet}}
"""
INVENTORY = """\
suimitsu-inventory: 1
endpoints:
  pos1: {labels: {kind: pos}, addresses: 10.0.0.1, enforcers: [host, %s]}
  pc1: {labels: {kind: pc}, addresses: 10.0.0.2, enforcers: [host, edge]}
"""


def check(folder, *options, pos="edge"):
    (folder / "policy.yaml").write_text(POLICY)
    (folder / "inventory.yaml").write_text(INVENTORY % pos)
    result = subprocess.run([ROOT / "build/bin/suimitsu", "policy", "check", folder / "policy.yaml", "--inventory",
                             folder / "inventory.yaml", *options], capture_output=True, text=True)
    return result


def findings(result):
    return [f for f in json.loads(result.stdout)["findings"] if f["code"] == "E-PROOF"]


def test_a_failed_proof_shows_the_shortest_path_at_its_line(tmp_path):
    result = check(tmp_path, "-o", "json")
    document = json.loads(result.stdout)
    assert result.returncode == 1 and (document["proofs"], document["held"]) == (3, 2)
    (found,) = findings(result)
    assert found["line"] == 7
    assert found["message"] == ('there is a path: pos1 to pc1 by tcp/631 ("print"), '
                                'pc1 to outside by tcp/443 ("web")')


def test_an_agent_on_an_owned_box_proves_nothing(tmp_path):
    found = findings(check(tmp_path, "-o", "json", pos="nft"))
    assert [f["line"] for f in found] == [7, 8, 9]
    assert "pos1 to outside by any service (nobody enforces there)" in found[0]["message"]


def test_proofs_are_cases_of_the_junit_report(tmp_path):
    result = check(tmp_path, "--junit", tmp_path / "report.xml")
    assert result.returncode == 1
    cases = {c.get("name"): c for c in xml.etree.ElementTree.parse(tmp_path / "report.xml").iter("testcase")}
    failed = [name for name, case in cases.items() if case.find("failure") is not None]
    assert failed == ["no path from pos to internet"]
    assert cases["only path from office to internet"].find("skipped") is None
