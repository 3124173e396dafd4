"""`suimitsu apply` as an operator meets it: failing tests and proofs, --force and its audit, what a
change means before it is done, and the question on a terminal."""
import contextlib
import json
import os
import pty
import subprocess

import pytest
from test_controller import (CLI, INVENTORY, PATIENCE_S, POLICY, controller,  # noqa: F401
                             pytestmark, tmp_path)

POLICY_2 = POLICY + "  - {id: back, from: db, to: web, service: tcp/80, why: news, owner: shop}\n"
GAIN = "+ db may reach web by tcp/80: back, 1 pair\n"
REACH = "> db reach +1 endpoint in 1 hop (0, now 1)\n"
HOLDS = """tests:
  - {from: web1, to: db1, service: postgres, expect: allow, by: shop-db}
"""
FAILS = """tests:
  - {from: web1, to: db1, service: postgres, expect: deny}
  - {from: pc1, to: db1, service: postgres, expect: allow}
prove:
  - {no-path: {from: web, to: db}}
"""


@pytest.fixture
def files(tmp_path, controller):
    """A policy and an inventory that are in force."""
    policy, inventory = tmp_path / "shop.yaml", tmp_path / "inventory.yaml"
    policy.write_text(POLICY)
    inventory.write_text(INVENTORY)
    controller.cli("apply", str(policy), "--inventory", str(inventory))
    return policy, inventory


def versions(controller):
    status = controller.good("GET", "/status")
    return status["revision"], status["policy"], status["inventory"]


def audit(controller):
    return controller.good("GET", "/audit")[0]


class Terminal:
    """A command whose standard input and output are a terminal."""

    def __init__(self, controller, *args):
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [str(CLI), *map(str, args), "--socket", str(controller.run_dir / "api.sock")],
            stdin=slave, stdout=slave, stderr=subprocess.PIPE, text=True)
        os.close(slave)
        self.said = ""

    def read(self, until=None):
        with contextlib.suppress(OSError):  # EIO: the other side is closed.
            while until is None or until not in self.said:
                piece = os.read(self.master, 4096)
                if not piece:
                    break
                self.said += piece.decode().replace("\r\n", "\n")
        return self.said

    def question(self):
        said = self.read(until="Apply? [y/N] ")
        assert said.endswith("Apply? [y/N] "), said
        return said

    def answer(self, text):
        os.write(self.master, text.encode())
        return self.end()

    def end(self):
        self.read()
        stderr = self.process.stderr.read()
        self.process.stderr.close()
        os.close(self.master)
        return self.process.wait(PATIENCE_S), stderr


def test_failing_tests_and_proofs_refuse_the_change_and_say_how_many(controller, files):
    policy, _ = files
    before = versions(controller)
    policy.write_text(POLICY + FAILS)
    done = controller.cli("apply", str(policy), code=3)
    assert "E-TEST" in done.stderr and "E-PROOF" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "suimitsu: 2 tests and 1 proof of the policy fail; nothing was changed: mend them, or give "
        "a reason to override them (apply --force REASON) (422)")
    assert versions(controller) == before
    status, problem, _ = controller.apply(POLICY + FAILS)
    assert status == 422 and problem["failed"] == {"tests": 2, "proofs": 1}


def test_a_reason_overrides_failing_tests_and_is_in_the_audit(controller, files):
    policy, _ = files
    policy.write_text(POLICY + FAILS)
    done = controller.cli("apply", str(policy), "--force", "shop is down", "-m", "CHG-7")
    assert done.stdout.startswith("overridden, and written to the audit: 2 failing tests, 1 failing "
                                  "proofs\napplied as revision ")
    assert "E-TEST" in done.stderr
    entry = audit(controller)
    assert entry["action"] == "policy.force"
    assert entry["detail"] == "forced over 2 E-TEST and 1 E-PROOF: shop is down; CHG-7"
    assert controller.good("GET", "/audit/verify")["whole"]


def test_an_inventory_that_breaks_a_test_is_refused_and_forced_alike(controller, files):
    _, inventory = files
    assert controller.apply(POLICY + HOLDS)[0] == 200
    inventory.write_text(INVENTORY.replace("tier: web", "tier: old"))
    controller.cli("apply", "--inventory", str(inventory), code=3)
    controller.cli("apply", "--inventory", str(inventory), "--force", "web1 leaves")
    assert audit(controller)["action"] == "inventory.force"


def test_a_rollback_can_be_forced_too(controller, files):
    _, first, _ = versions(controller)
    assert controller.apply(POLICY + HOLDS)[0] == 200
    _, tested, _ = versions(controller)
    assert controller.apply(POLICY, INVENTORY.replace("tier: web", "tier: old"))[0] == 200
    assert controller.cli("policy", "rollback", str(tested), code=3).stderr.count("E-TEST")
    done = controller.cli("policy", "rollback", str(tested), "--force", "nothing works")
    assert "overridden" in done.stdout and "in force again" in done.stdout
    assert audit(controller)["detail"].startswith("forced over 1 E-TEST and 0 E-PROOF: nothing works")
    assert versions(controller)[1] > tested > first


def test_no_other_error_can_be_forced(controller, files):
    before = versions(controller)
    for wrong in (POLICY.replace("from: web", "from: wbe"),
                  POLICY.replace("service: postgres, why", "process: orders, why"),
                  POLICY.replace("from: web,", "process: /bin/x,") + FAILS,  # E-WIDEN
                  POLICY + FAILS.replace("pc1", "pc7")):                     # E-UNKNOWN
        status, problem, _ = controller.apply(wrong, force="I want it")
        assert status == 422 and "nothing was changed" in problem["detail"], problem
        assert any(f["severity"] == "error" and f["code"] not in ("E-TEST", "E-PROOF")
                   for f in problem["findings"])
    assert versions(controller) == before


def test_a_reason_without_failures_overrides_nothing(controller, files):
    status, body, _ = controller.apply(POLICY_2, force="just in case")
    assert status == 200 and body["overridden"] == {"tests": 0, "proofs": 0}
    assert audit(controller)["action"] == "policy.apply"


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "x" * 501, "hidden\u202etext", 7, None, []])
def test_a_reason_is_one_line_of_text(controller, files, reason):
    before = versions(controller)
    status, problem, _ = controller.apply(POLICY + FAILS, force=reason)
    assert status == 422 and problem["detail"].startswith("force: expected the reason")
    assert versions(controller) == before


def test_the_command_line_wants_a_reason_too(controller, files):
    policy, _ = files
    assert "reason" in controller.cli("apply", str(policy), "--force", "", code=2).stderr


def offline_diff(old, new, inventory, *more):
    return subprocess.run([str(CLI), "policy", "diff", str(old), str(new), "--inventory",
                           str(inventory), *more], capture_output=True, text=True).stdout


def test_a_dry_run_says_what_policy_diff_says_and_changes_nothing(controller, files, tmp_path):
    policy, inventory = files
    new = tmp_path / "new.yaml"
    new.write_text(POLICY_2)
    before = versions(controller)
    expected = offline_diff(policy, new, inventory)
    assert expected == GAIN + REACH
    done = controller.cli("apply", str(new), "--dry-run")
    assert done.stdout == expected + "good; nothing was changed\n"
    document = json.loads(controller.cli("apply", str(new), "--dry-run", "-o", "json").stdout)
    assert document["diff"] == json.loads(offline_diff(policy, new, inventory, "-o", "json"))
    assert document["diff_text"] == expected and not document["applied"]
    assert document["base"] == {"policy": before[1], "inventory": before[2]}
    assert versions(controller) == before


def test_a_dry_run_compares_with_the_trust_states_and_inventory_in_force(controller, files, tmp_path):
    _, inventory = files
    controller.cli("quarantine", "pc1", "--why", "beacon")
    new = tmp_path / "new.yaml"
    new.write_text(POLICY_2)
    assert controller.cli("apply", str(new), "--dry-run").stdout.startswith(GAIN)
    inventory.write_text(INVENTORY.replace("kind: pc", "tier: web"))
    assert "pc1" not in controller.cli("apply", str(new), "--dry-run").stdout  # It stays a suspect.
    controller.cli("release", "pc1", "--why", "clean")
    said = controller.cli("apply", "--inventory", str(inventory), "--dry-run").stdout
    assert said.splitlines()[0] == "+ pc1 may reach db by postgres: shop-db, 1 pair"
    assert controller.cli("apply", str(files[0]), "--dry-run").stdout.startswith(
        "no change in meaning\n")


def test_a_dry_run_with_failing_tests_needs_force_too(controller, files):
    policy, _ = files
    policy.write_text(POLICY + FAILS)
    controller.cli("apply", str(policy), "--dry-run", code=3)
    said = controller.cli("apply", str(policy), "--dry-run", "--force", "only looking").stdout
    assert "no change in meaning\n" in said and "2 failing tests" in said
    assert audit(controller)["action"] == "policy.apply"


@pytest.mark.parametrize("text, applied", [
    ("y\n", True), ("YES\n", True), ("\n", False), ("n\n", False), ("yep\n", False),
    ("\x04", False)])
def test_on_a_terminal_it_shows_the_change_and_only_yes_applies_it(controller, files, text, applied):
    policy, _ = files
    before = versions(controller)
    policy.write_text(POLICY_2)
    terminal = Terminal(controller, "apply", policy)
    assert GAIN in terminal.question()
    assert versions(controller) == before
    code, stderr = terminal.answer(text)
    if applied:
        assert code == 0 and "applied as revision" in terminal.said
        assert versions(controller)[1] == before[1] + 1
    else:
        assert (code, stderr) == (1, "suimitsu: nothing was applied\n")
        assert versions(controller) == before


def test_what_was_shown_is_what_is_applied(controller, files):
    policy, inventory = files
    policy.write_text(POLICY_2)
    for between in (lambda: controller.apply(POLICY),
                    lambda: controller.apply(inventory=INVENTORY.replace("10.20.3.11", "10.20.3.12"))):
        terminal = Terminal(controller, "apply", policy)
        terminal.question()
        assert between()[0] == 200
        after = versions(controller)
        code, stderr = terminal.answer("y\n")
        assert code == 6 and "somebody has changed it meanwhile: policy " in stderr
        assert versions(controller) == after
    terminal = Terminal(controller, "apply", policy)
    terminal.question()
    policy.write_text(POLICY)  # The files were read before the question.
    assert terminal.answer("y\n")[0] == 0
    assert "id: back" in controller.good("GET", "/policy")["files"][0]["text"]


def test_a_long_change_is_cut_and_findings_come_once(controller, files):
    policy, _ = files
    rules = "".join(f"  - {{id: r{n}, from: db, to: web, service: tcp/{n}, why: w{n}, owner: o,"
                    f" user: u{n}}}\n" for n in range(1, 31))
    policy.write_text(POLICY.replace("groups:\n", "groups:\n  none: {match: {x: y}}\n") + rules)
    terminal = Terminal(controller, "apply", policy)
    said = terminal.question()
    assert said.count("+ db may reach web") == 20
    assert "… and 10 more; --dry-run shows all\n" + REACH + "Apply? " in said
    code, stderr = terminal.answer("y\n")
    assert code == 0 and stderr.count("W-EMPTY") == 1


@pytest.mark.parametrize("option", ["--yes", "-y", "--dry-run"])
def test_there_is_no_question_where_none_is_wanted(controller, files, option):
    terminal = Terminal(controller, "apply", files[0], option)
    assert terminal.end()[0] == 0 and "[y/N]" not in terminal.said


def test_a_base_of_another_kind_is_refused(controller, files):
    for base in (7, {"policy": "1"}, {"inventory": -1}, []):
        status, problem, _ = controller.apply(POLICY, base=base)
        assert status == 422 and problem["detail"].startswith("base: expected"), base
    now = versions(controller)
    assert controller.apply(POLICY, base={"policy": now[1], "inventory": now[2] - 1})[0] == 412
    assert controller.apply(POLICY, base={"policy": now[1], "inventory": now[2]})[0] == 200


def test_what_changed_since_a_version_is_told(controller, files):
    policy, _ = files
    _, first, _ = versions(controller)
    policy.write_text(POLICY_2)
    controller.cli("apply", str(policy))
    _, second, _ = versions(controller)
    assert controller.cli("policy", "changes", str(first), code=1).stdout.startswith(GAIN)
    back = controller.cli("policy", "changes", str(second), str(first), code=1).stdout
    assert back.splitlines()[0] == "- db may no longer reach web by tcp/80: was back, now default, 1 pair"
    assert controller.cli("policy", "changes", str(second)).stdout == "no change in meaning\n"
    found = json.loads(controller.cli("policy", "changes", str(first), "-o", "json", code=1).stdout)
    assert [c["kind"] for c in found["changes"]] == ["gain"]
    assert "shop-db" in controller.cli("policy", "changes", "0", str(first), code=1).stdout
    controller.cli("policy", "changes", "999999", code=4)
    controller.cli("policy", "changes", "last", code=2)
    assert controller.ask("GET", "/policy/diff")[0] == 400
    assert controller.ask("GET", f"/policy/diff?from={first}&to=x")[0] == 400
