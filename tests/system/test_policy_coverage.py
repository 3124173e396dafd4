"""policy coverage: what tests and proofs would notice, and the exit code for CI."""
import json
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
EXAMPLES = ROOT / "docs/examples"


def coverage(policy, inventory, *options):
    return subprocess.run([SUIMITSU, "policy", "coverage", policy, "--inventory", inventory,
                           "--now", "2026-11-22T12:00:00Z", *options], text=True, capture_output=True,
                          timeout=30)


def test_the_four_examples_are_noticed_whole():
    done = coverage(EXAMPLES / "four.yaml", EXAMPLES / "four-inventory.yaml", "-o", "json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["percent"] == 100 and answer["findings"] == []
    assert answer["counted"] == answer["noticed"] == 15
    shop_db, = [r for r in answer["rules"] if r["id"] == "shop-db"]
    assert shop_db["state"] == "noticed"
    assert "web1 /opt/shop/bin/orders to db1 by postgres: allow by shop-db" in \
        [t["text"] for t in shop_db["tests"]]


def without(tmp_path, section, keep):
    policy = yaml.safe_load((EXAMPLES / "four.yaml").read_text())
    policy[section] = [x for x in policy[section] if keep(x)]
    (tmp_path / "p.json").write_text(json.dumps(policy))
    return tmp_path / "p.json"


def test_a_rule_whose_tests_are_gone_is_named_and_the_exit_code_says_so(tmp_path):
    path = without(tmp_path, "tests", lambda t: t.get("by") != "shop-db")
    done = coverage(path, EXAMPLES / "four-inventory.yaml")
    assert done.returncode == 1
    assert 'W-UNTESTED: no test or proof notices when "shop-db" is deleted' in done.stderr
    assert "rule   shop-db                  nothing notices" in done.stdout
    assert done.stdout.splitlines()[-1] == "13 of 15 noticed (86 %): 4 of 5 rules, 9 of 10 groups"


@pytest.mark.parametrize("minimum, code", [("86", 0), ("87", 1), ("0", 0), ("100", 1), ("101", 2),
                                           ("all", 2)])
def test_ci_can_be_content_with_less(tmp_path, minimum, code):
    path = without(tmp_path, "tests", lambda t: t.get("by") != "shop-db")
    done = coverage(path, EXAMPLES / "four-inventory.yaml", "--min", minimum)
    assert done.returncode == code


def test_what_a_proof_alone_notices_is_told_with_the_proof(tmp_path):
    path = without(tmp_path, "tests", lambda t: False)
    answer = json.loads(coverage(path, EXAMPLES / "four-inventory.yaml", "-o", "json").stdout)
    states = {r["id"]: r for r in answer["rules"]}
    assert states["only-remediation"]["state"] == "noticed" and not states["only-remediation"]["tests"]
    assert states["only-remediation"]["proofs"][0]["text"] == "path from suspects to remediation by https"
    assert states["shop-db"]["state"] == "unnoticed"
    assert {f["code"] for f in answer["findings"]} == {"W-UNTESTED"}
    assert all(f["line"] and f["expected"] and f["fix"] for f in answer["findings"])


def test_without_an_inventory_it_is_a_wrong_question():
    done = subprocess.run([SUIMITSU, "policy", "coverage", EXAMPLES / "four.yaml"], text=True,
                          capture_output=True, timeout=30)
    assert done.returncode == 2 and "needs --inventory" in done.stderr


def test_check_says_nothing_of_it():
    done = subprocess.run([SUIMITSU, "policy", "check", EXAMPLES / "shop.yaml", "--inventory",
                           EXAMPLES / "shop-inventory.yaml"], text=True, capture_output=True, timeout=30)
    assert done.returncode == 0 and "W-UNTESTED" not in done.stderr
