"""Every case of tests/vectors/ through `suimitsu policy verdict`, by name and by both addresses, and
through the naive evaluator beside them; and policies that must be refused."""
import collections
import itertools
import json
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/vectors"))
import table  # noqa: E402
from naive import Naive  # noqa: E402

SUIMITSU = ROOT / "build/bin/suimitsu"
FILES = sorted((ROOT / "tests/vectors").glob("*.json"))
REFUSED = json.loads((ROOT / "tests/vectors/refused/refused.json").read_text())
FIELDS = ("verdict", "layer", "rule", "enforced")


def ask(folder, vector, queries):
    (folder / "policy.json").write_text(json.dumps(vector["policy"]))
    (folder / "inventory.json").write_text(json.dumps(vector["inventory"]))
    done = subprocess.run(
        [SUIMITSU, "policy", "verdict", folder / "policy.json", "--inventory",
         folder / "inventory.json", "--queries", "-", "--now", vector["now"]],
        input="".join(json.dumps(q) + "\n" for q in queries), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(queries)
    return answers


def by_address(vector, query, family):
    """The same query with addresses instead of names, of the family where the end has it."""
    query = dict(query)
    for end in ("from", "to"):
        known = vector["inventory"]["endpoints"].get(query[end])
        if known:
            own = known["addresses"]
            query[end] = next((a for a in own if (":" in a) == (family == 6)), own[0])
    return query


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.parametrize("how", ["names", "v4", "v6"])
def test_vectors(path, how, tmp_path):
    vector = json.loads(path.read_text())
    queries = [c["query"] if how == "names" else by_address(vector, c["query"], int(how[1]))
               for c in vector["cases"]]
    wrong = []
    for case, answer in zip(vector["cases"], ask(tmp_path, vector, queries)):
        agree = {k: answer[k] for k in FIELDS} == case["answer"] and answer["why"]
        if not agree:
            wrong.append(f"{case['name']}: {answer}")
        if how == "names":
            table.count("evaluator", "agree" if agree else "differ")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_the_naive_evaluator_agrees(path):
    vector = json.loads(path.read_text())
    naive = Naive(vector["policy"], vector["inventory"], vector["now"])
    wrong = []
    for case in vector["cases"]:
        answers = [naive.judge(q) for q in (case["query"], by_address(vector, case["query"], 4),
                                            by_address(vector, case["query"], 6))]
        agree = all(a == case["answer"] for a in answers)
        table.count("naive evaluator", "agree" if agree else "differ")
        if not agree:
            wrong.append(f"{case['name']}: {answers}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("case", REFUSED, ids=lambda c: c["name"].replace(" ", "_"))
def test_a_policy_that_says_more_than_can_be_checked_is_refused(case, tmp_path):
    for part in ("policy", "inventory"):
        (tmp_path / f"{part}.json").write_text(json.dumps(case[part]))
    done = subprocess.run(
        [SUIMITSU, "policy", "check", tmp_path / "policy.json", "--inventory",
         tmp_path / "inventory.json", "--now", "2026-11-22T12:00:00Z", "-o", "json"],
        text=True, capture_output=True)
    found = {f["code"] for f in json.loads(done.stdout)["findings"]}
    errors = sorted(c for c in found if c.startswith("E-"))
    good = done.returncode == 3 and errors == case["codes"]
    table.count("evaluator", "refused" if good else "differ", "the policy: " + ", ".join(errors))
    assert good, done.stdout + done.stderr


def test_there_are_enough_and_each_shows_something_of_its_own():
    cases = [(p.stem, c) for p in FILES for c in json.loads(p.read_text())["cases"]]
    assert len(cases) >= 300
    assert len({(f, c["name"]) for f, c in cases}) == len(cases)
    asked = collections.Counter((f, json.dumps(c["query"], sort_keys=True)) for f, c in cases)
    assert not [q for q, n in asked.items() if n > 1], "the same question twice"


def test_every_layer_meets_every_protocol():
    seen = collections.Counter()
    for path in FILES:
        for c in json.loads(path.read_text())["cases"]:
            a = c["answer"]
            seen[c["query"]["protocol"], a["layer"], a["verdict"]] += 1
    kinds = [("quarantine", "allow"), ("quarantine", "deny"), ("never", "deny"), ("allow", "allow"),
             ("default", "deny"), ("default", "would-deny")]
    for protocol, kind in itertools.product(("tcp", "udp", "icmp"), kinds):
        assert seen[protocol, *kind] >= 3, (protocol, kind, seen[protocol, *kind])
