"""Every case of tests/vectors/ through `suimitsu policy verdict`, by name and by both addresses."""
import json
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
FILES = sorted((ROOT / "tests/vectors").glob("*.json"))
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
    """The same query with addresses instead of names; None where an end has none of the family."""
    query = dict(query)
    for end in ("from", "to"):
        known = vector["inventory"]["endpoints"].get(query[end])
        if known:
            query[end] = next(a for a in known["addresses"] if (":" in a) == (family == 6))
    return query


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
@pytest.mark.parametrize("how", ["names", "v4", "v6"])
def test_vectors(path, how, tmp_path):
    vector = json.loads(path.read_text())
    queries = [c["query"] if how == "names" else by_address(vector, c["query"], int(how[1]))
               for c in vector["cases"]]
    answers = ask(tmp_path, vector, queries)
    wrong = [f"{case['name']}: {answer}" for case, answer in zip(vector["cases"], answers)
             if {k: answer[k] for k in FIELDS} != case["answer"] or not answer["why"]]
    assert not wrong, "\n".join(wrong)


def test_there_are_enough():
    assert sum(len(json.loads(p.read_text())["cases"]) for p in FILES) >= 60
