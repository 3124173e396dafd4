"""Templates: each is in one form, passes its own tests and is taken by the schema."""
import json
import pathlib
import subprocess

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
NAMES = ["ransomware-ports", "jump-hosts", "pci-zone", "ot-cell", "quarantine"]


def run(*args, cwd=None):
    return subprocess.run([SUIMITSU, *map(str, args)], text=True, capture_output=True, timeout=120, cwd=cwd)


def test_the_list_has_every_template_with_a_summary():
    listed = json.loads(run("policy", "template", "-o", "json").stdout)
    assert [t["name"] for t in listed] == NAMES
    assert all(20 < len(t["summary"]) < 120 for t in listed)
    lines = run("policy", "template").stdout.splitlines()
    assert [line.split()[0] for line in lines] == NAMES
    assert {p.stem.removesuffix("-inventory") for p in (ROOT / "src/cli/templates").glob("*")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_template_is_formatted_and_its_tests_pass_with_its_inventory(name, tmp_path):
    for args in ([name, "-O", "p.yaml"], [name, "--inventory", "-O", "i.yaml"]):
        done = run("policy", "template", *args, cwd=tmp_path)
        assert done.returncode == 0 and done.stdout == "" and done.stderr == ""
    assert (tmp_path / "p.yaml").read_text() == run("policy", "template", name).stdout == \
        (ROOT / f"src/cli/templates/{name}.yaml").read_text()
    assert run("policy", "fmt", "--check", "p.yaml", "i.yaml", cwd=tmp_path).returncode == 0
    done = run("policy", "check", "p.yaml", "--inventory", "i.yaml", "-o", "json", cwd=tmp_path)
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and answer["findings"] == []
    assert answer["passed"] == answer["tests"] >= 7


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_of_a_template_decides_one_of_its_tests(name):
    """So that its loss is noticed: a test names it."""
    policy = yaml.safe_load(run("policy", "template", name).stdout)
    decided = {test.get("by") for test in policy["tests"]}
    for layer in ("quarantine", "never", "allow"):
        assert {rule["id"] for rule in policy.get(layer, [])} <= decided


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "mine.yaml").write_text("mine")
    done = run("policy", "template", "ot-cell", "-O", "mine.yaml", cwd=tmp_path)
    assert done.returncode == 6 and (tmp_path / "mine.yaml").read_text() == "mine"
    assert run("policy", "template", "ot-cell", "-O", "none/p.yaml", cwd=tmp_path).returncode == 4


def test_a_slip_in_the_name_is_answered_with_the_nearest():
    done = run("policy", "template", "jump-host")
    assert done.returncode == 4 and 'did you mean "jump-hosts"?' in done.stderr
