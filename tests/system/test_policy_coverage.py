"""policy coverage: what tests and proofs would notice, and the exit code for CI."""
import json
import os
import pathlib
import re
import signal
import subprocess

import pytest
import yaml
from stopped import born_stopped
from test_controller import INVENTORY, POLICY, controller, tmp_path  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
EXAMPLES = ROOT / "docs/examples"


def coverage(policy, inventory, *options):
    return subprocess.run([SUIMITSU, "policy", "coverage", policy, "--inventory", inventory,
                           "--now", "2026-11-22T12:00:00Z", *options], text=True, capture_output=True,
                          timeout=120)


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
                          capture_output=True, timeout=120)
    assert done.returncode == 2 and "needs --inventory" in done.stderr


def test_check_says_nothing_of_it():
    done = subprocess.run([SUIMITSU, "policy", "check", EXAMPLES / "shop.yaml", "--inventory",
                           EXAMPLES / "shop-inventory.yaml"], text=True, capture_output=True, timeout=120)
    assert done.returncode == 0 and "W-UNTESTED" not in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")
def test_of_the_policy_in_force_the_controller_works_it_out_as_an_operation(controller):
    policy, ledger = EXAMPLES / "four.yaml", EXAMPLES / "four-inventory.yaml"
    assert controller.apply(policy.read_text(), ledger.read_text())[0] == 200
    online = json.loads(controller.cli("policy", "coverage", "-o", "json").stdout)
    files = json.loads(subprocess.run([SUIMITSU, "policy", "coverage", policy, "--inventory", ledger, "-o", "json"],
                                      capture_output=True, text=True, check=True).stdout)
    assert (online["counted"], online["noticed"], online["percent"]) == (files["counted"], files["noticed"], files["percent"])
    assert [r["state"] for r in online["rules"]] == [r["state"] for r in files["rules"]]
    assert controller.cli("policy", "coverage").stdout.splitlines()[-1].startswith("15 of 15 noticed (100 %)")
    controller.cli("policy", "coverage", "--inventory", str(ledger), code=2)
    weaker = policy.read_text().split("tests:")[0]
    assert controller.apply(weaker, ledger.read_text())[0] == 200
    assert "nothing notices" in controller.cli("policy", "coverage", code=1).stdout
    controller.cli("policy", "coverage", "--min", "0")


def ask_for_ever(c, stderr):
    """`policy coverage` of the policy in force, whose process does nothing."""
    return born_stopped(c, lambda: subprocess.Popen(
        [SUIMITSU, "policy", "coverage", "--socket", c.run_dir / "api.sock"], stdout=subprocess.PIPE, stderr=stderr))


@pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")
def test_ctrl_c_ends_the_operation_and_not_only_the_one_who_asked(controller):
    assert controller.apply(POLICY, INVENTORY)[0] == 200
    asked = ask_for_ever(controller, subprocess.PIPE)
    assert [o["state"] for o in controller.good("GET", "/operations")] == ["running"]
    asked.send_signal(signal.SIGINT)
    said = asked.communicate(timeout=120)[1]
    assert asked.returncode == 7 and said == b"suimitsu: ended by Ctrl-C\n"  # Nobody looks: no line of how far it is.
    assert [o["state"] for o in controller.good("GET", "/operations")] == ["cancelled"]


@pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")
def test_where_somebody_looks_the_command_says_how_far_it_is(controller):
    assert controller.apply(POLICY, INVENTORY)[0] == 200
    ours, theirs = os.openpty()
    asked = ask_for_ever(controller, theirs)
    os.close(theirs)
    said = b""
    while b"; Ctrl-C ends it" not in said:
        said += os.read(ours, 1000)
    assert re.search(rb"(waiting|running): \d+( of \d+ \(\d+ %\)| s); Ctrl-C ends it", said)
    asked.send_signal(signal.SIGINT)
    assert asked.communicate(timeout=120)[0] == b"" and asked.returncode == 7
    os.close(ours)
