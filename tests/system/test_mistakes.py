"""Mistakes that people make, and what they are told: mistakes/NAME.yaml and NAME.expected.

After a wording was improved: GOLDEN_WRITE=1, then read `git diff` line by line, as a stranger would."""
import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
SUIMITSU = HERE.parents[1] / "build/bin/suimitsu"
FOLDER = HERE / "mistakes"
FILES = sorted(FOLDER.glob("*.yaml"))
NO_REMEDY = {"N-NO-ALLOW"}  # It is no mistake.


def check(path, *options):
    text = path.read_text()
    args = [path.name]
    if re.search("^(suimitsu-inventory|endpoints):", text, re.M) and path.stem != "an-inventory-as-policy":
        args = ["inventory/empty.yml", "--inventory", path.name]
    elif text.startswith("# with the inventory\n"):
        args += ["--inventory", "inventory/inventory.yaml"]
    return subprocess.run([SUIMITSU, "policy", "check", *args, "--now", "2026-11-22T12:00:00Z", *options],
                          cwd=FOLDER, text=True, capture_output=True, timeout=120)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_mistake_is_told_in_these_words(path):
    done = check(path)
    text = f"{done.stderr}----\n{done.stdout}----\nexit {done.returncode}\n"
    golden = path.with_suffix(".expected")
    if os.environ.get("GOLDEN_WRITE"):
        golden.write_text(text)
    assert text == golden.read_text()


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_finding_says_where_what_and_how_to_mend_it(path):
    findings = json.loads(check(path, "-o", "json").stdout)["findings"]
    assert findings
    for f in findings:
        assert f["message"], f
        if f["code"] in NO_REMEDY:
            continue
        assert f.get("line") and f.get("column") and f.get("file"), f
        assert f.get("expected") or f.get("fix"), f


def test_there_are_many_kinds_and_each_file_has_its_words():
    assert len(FILES) >= 60
    assert {p.stem for p in FILES} == {p.stem for p in FOLDER.glob("*.expected")}


def test_a_mistake_is_reported_once():
    """One slip, one finding: what follows from it would only hide it."""
    more = {p.stem: n for p in FILES
            if (n := len([f for f in json.loads(check(p, "-o", "json").stdout)["findings"]
                          if f["severity"] == "error"])) > 1}
    assert set(more) <= TWO_SLIPS, more


# A key that is not the language's, where another is required that it does not resemble.
TWO_SLIPS = {"inventory-edge-mac", "program-key"}
