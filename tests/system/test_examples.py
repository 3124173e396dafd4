"""The policies of docs/examples: valid, in one form, their tests pass, and each rule is tested."""
import json
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
FOLDER = ROOT / "docs/examples"
NAMES = sorted(p.stem for p in FOLDER.glob("*.yaml") if not p.stem.endswith("-inventory"))


def check(policy, inventory):
    done = subprocess.run([SUIMITSU, "policy", "check", policy, "--inventory", inventory, "-o", "json",
                           "--now", "2026-11-22T12:00:00Z"], text=True, capture_output=True, timeout=120)
    return done.returncode, json.loads(done.stdout)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_valid_and_its_tests_pass(name):
    code, answer = check(FOLDER / f"{name}.yaml", FOLDER / f"{name}-inventory.yaml")
    assert code == 0 and answer["findings"] == [] and answer["passed"] == answer["tests"] >= 5


def test_the_four_examples_fail_without_any_of_their_rules(tmp_path):
    policy = yaml.safe_load((FOLDER / "four.yaml").read_text())
    inventory = FOLDER / "four-inventory.yaml"
    n = 0
    for layer in ("quarantine", "never", "allow"):
        for i, rule in enumerate(policy[layer]):
            without = {**policy, layer: policy[layer][:i] + policy[layer][i + 1:]}
            # A test that names the rule would not even be read: let it ask for the layer.
            without["tests"] = [{**t, "by": layer} if t.get("by") == rule["id"] else t
                                for t in policy["tests"]]
            (tmp_path / "p.json").write_text(json.dumps(without))
            code, answer = check(tmp_path / "p.json", inventory)
            codes = {f["code"] for f in answer["findings"]} - {"N-NO-ALLOW"}
            assert code == 1 and "E-TEST" in codes and codes <= {"E-TEST", "E-PROOF"}, rule
            n += 1
    assert n == 5


def test_the_four_examples_notice_a_mode_that_is_too_mild(tmp_path):
    text = (FOLDER / "four.yaml").read_text().replace("  default: enforce\n", "  default: test\n")
    (tmp_path / "p.yaml").write_text(text)
    code, answer = check(tmp_path / "p.yaml", FOLDER / "four-inventory.yaml")
    assert code == 1 and len(answer["findings"]) >= 3


@pytest.mark.parametrize("world", ["shop", "plant"])
def test_a_world_of_the_lab_is_valid_and_its_tests_and_proofs_hold(world, tmp_path):
    (tmp_path / "i.yaml").write_text(subprocess.run([ROOT / "lab/lab", "inventory", world], text=True,
                                                    capture_output=True, check=True).stdout)
    code, answer = check(ROOT / f"lab/worlds/{world}.policy.yaml", tmp_path / "i.yaml")
    assert code == 0 and answer["passed"] == answer["tests"] >= 8, answer
    assert not [f for f in answer["findings"] if f["code"].startswith("E-")]
    # Neighbours without anything before them are told, and are nothing that an intruder of the worlds has.
    assert {f["code"] for f in answer["findings"]} <= {"W-PLAIN-SWITCH"}, answer["findings"]
