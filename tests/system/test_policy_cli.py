"""The offline commands as their users meet them: exact texts of every refusal, exit codes, output.

Golden texts are in golden/NAME.txt: standard error, then standard output, then the exit code.
To see what changed after a wording was improved: GOLDEN_WRITE=1, then `git diff`."""
import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SUIMITSU = ROOT / "build/bin/suimitsu"
SHOP = ROOT / "docs/examples/shop.yaml"
SHOP_INVENTORY = ROOT / "docs/examples/shop-inventory.yaml"
NOW = ["--now", "2026-11-22T12:00:00Z"]

HEAD = "suimitsu: 1\ngroups:\n  web: {match: {tier: web}}\n  db: {match: {tier: db}}\n"
INVENTORY = ("suimitsu-inventory: 1\nendpoints:\n"
             "  web1: {labels: {tier: web}, addresses: 10.0.0.1, enforcers: host}\n"
             "  db1: {labels: {tier: db}, addresses: 10.0.1.2}\n")


def rule(fields):
    return HEAD + "allow:\n  - id: a\n" + "".join(f"    {f}\n" for f in fields) + \
        "    why: because\n    owner: me\n"


# name: (policy, inventory or None).  Other mistakes are files: mistakes/, test_mistakes.py.
BAD = {
    "unknown-group": (rule(["from: wbe"]), None),
    "empty-file": ("", None),
    "widened": (rule(["from: db", "process: {exe: /usr/bin/psql}"]), INVENTORY),
    "too-large": (HEAD + "#" * (1 << 20), None),
    "too-deep": (HEAD + "allow: " + "[" * 40 + "]" * 40, None),
    "nul": ("suimitsu: 1\ngroups: {we\0b: {}}\n", None),
    "not-utf-8": (b"suimitsu: 1 # caf\xe9\n", None),
}


def run(*args, cwd=None, stdin=""):
    done = subprocess.run([SUIMITSU, *map(str, args)], cwd=cwd, input=stdin, text=True,
                          capture_output=True, timeout=120)
    assert done.returncode >= 0, f"ended by signal {-done.returncode}"
    return done


@pytest.mark.parametrize("name", sorted(BAD))
def test_the_text_of_a_finding(name, tmp_path):
    policy, inventory = BAD[name]
    (tmp_path / "policy.yaml").write_bytes(policy if isinstance(policy, bytes) else policy.encode())
    args = ["policy", "check", "policy.yaml", *NOW]
    if inventory is not None:
        (tmp_path / "inventory.yaml").write_text(inventory)
        args += ["--inventory", "inventory.yaml"]
    done = run(*args, cwd=tmp_path)
    text = f"{done.stderr}----\n{done.stdout}----\nexit {done.returncode}\n"
    golden = HERE / "golden" / f"{name}.txt"
    if os.environ.get("GOLDEN_WRITE"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_the_example_is_valid_and_its_tests_pass():
    done = run("check", SHOP, "--inventory", SHOP_INVENTORY, *NOW)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout == "ok: 6 rules, 9 groups; 7 of 7 tests passed; 2 of 2 proofs hold; 0 errors, 0 warnings\n"


def test_a_folder_is_one_policy(tmp_path):
    (tmp_path / "groups.yaml").write_text(HEAD)
    (tmp_path / "rules.json").write_text(json.dumps(
        {"suimitsu": 1, "allow": [{"id": "a", "from": "web", "why": "w", "owner": "o"}]}))
    (tmp_path / "notes.txt").write_text("not a policy")
    assert "ok: 1 rule, 2 groups" in run("check", tmp_path).stdout


def test_findings_as_json(tmp_path):
    (tmp_path / "p.yaml").write_text(BAD["unknown-group"][0])
    done = run("check", tmp_path / "p.yaml", "-o", "json")
    answer = json.loads(done.stdout)
    assert done.returncode == 3 and answer["ok"] is False
    assert answer["findings"][0]["code"] == "E-UNKNOWN"
    assert answer["findings"][0]["nearest"] == "web"
    assert answer["findings"][0]["line"] == 7


def test_files_that_cannot_be_read(tmp_path):
    assert run("check", tmp_path / "absent.yaml").returncode == 4
    assert run("check", tmp_path).returncode == 4
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    done = run("check", loop)
    assert done.returncode == 3 and "cannot read it" in done.stderr


def test_usage_errors():
    for args in ([], ["chekc"], ["policy"], ["policy", "verdict", SHOP], ["check"],
                 ["check", SHOP, "--nonsense"], ["check", SHOP, "--now", "noon"],
                 ["check", SHOP, "-o", "xml"], ["completion", "fish"]):
        assert run(*args).returncode == 2, args
    assert 'did you mean "check"?' in run("chekc").stderr


def test_a_policy_with_errors_is_refused_before_any_answer(tmp_path):
    (tmp_path / "p.yaml").write_text(BAD["widened"][0])
    (tmp_path / "i.yaml").write_text(BAD["widened"][1])
    done = run("policy", "verdict", tmp_path / "p.yaml", "--inventory", tmp_path / "i.yaml",
               "--queries", "-", stdin='{"from": "web1", "to": "db1", "protocol": "tcp", "port": 1}\n')
    assert done.returncode == 3 and done.stdout == "" and "E-WIDEN" in done.stderr


def test_bad_queries_name_line_and_field():
    bad = [('{"from": "web1"', ""), ('{"from": "nobody", "to": "db1", "protocol": "tcp", "port": 1}', "from"),
           ('{"from": "web1", "to": "db1", "protocol": "tcp"}', "port"),
           ('{"from": "web1", "to": "db1", "protocol": "tcp", "port": "80"}', "port"),
           ('{"from": "web1", "to": "db1", "protocol": "tcp", "port": 65536}', "port"),
           ('{"from": "web1", "to": "db1", "protocol": "xyz"}', "protocol"),
           ('{"from": "web1", "to": "db1", "protocol": "icmp", "type": "ecco"}', "type"),
           ('{"from": "web1", "protocol": "tcp", "port": 1}', "to"),
           ('{"from": "web1", "to": "db1", "protocol": "tcp", "port": 1, "prot": 1}', ""),
           ('{"from": "a", "from": "b"}', ""), ("[]", "")]
    good = '{"from": "web1", "to": "db1", "protocol": "tcp", "port": 80}'
    done = run("policy", "verdict", SHOP, "--inventory", SHOP_INVENTORY, *NOW, "--queries", "-",
               stdin="".join(line + "\n" for line, _ in bad) + "\n" + good + "\n")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 2 and len(answers) == len(bad) + 1
    for number, ((line, field), answer) in enumerate(zip(bad, answers), 1):
        assert answer["error"] and answer["line"] == number and answer["field"] == field, line
    assert answers[-1]["verdict"] == "deny"


def test_explain_says_each_rule_as_a_sentence():
    done = run("policy", "explain", SHOP)
    assert ("orders on web may reach db by postgres served by postgres, because the shop reads and "
            "writes orders — shop-team, until 2099-12-31\n") in done.stdout
    assert len(json.loads(run("policy", "explain", SHOP, "-o", "json").stdout)) == 6


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_kind_of_rule_has_its_sentence_in_both_languages(language):
    golden = HERE / "explain" / f"sentences.{language}.txt"
    done = run("policy", "explain", HERE / "explain/policy.yaml", "--language", language)
    if os.environ.get("GOLDEN_WRITE"):
        golden.write_text(done.stdout)
    assert done.returncode == 0 and done.stdout == golden.read_text()
    sentences = [line[32:] for line in done.stdout.splitlines()]
    assert len(set(sentences)) == len(sentences) == 26


def test_the_locale_chooses_the_language():
    def first_line(*args, **environment):
        env = {k: v for k, v in os.environ.items() if k not in ("LANG", "LC_ALL", "LC_MESSAGES")}
        done = subprocess.run([SUIMITSU, "policy", "explain", SHOP, *args], text=True,
                              capture_output=True, env={**env, **environment})
        return done.stdout.splitlines()[0]
    assert "接続できる" in first_line(LANG="ja_JP.UTF-8")
    assert "接続できる" in first_line(LC_ALL="", LC_MESSAGES="ja", LANG="en_US.UTF-8")
    assert "may reach" in first_line(LC_ALL="C", LANG="ja_JP.UTF-8")
    assert "may reach" in first_line(LANG="jax") and "may reach" in first_line()
    assert "may reach" in first_line("--language", "en", LANG="ja_JP.UTF-8")
    assert run("policy", "explain", SHOP, "--language", "fr").returncode == 2


def test_compile_writes_a_program(tmp_path):
    args = ["policy", "compile", SHOP, "--inventory", SHOP_INVENTORY, "--endpoint", "db1", *NOW,
            "--controller", "10.20.0.2:7443"]
    tables = json.loads(run(*args, "-o", "json").stdout)
    assert tables["endpoint"] == "db1"
    assert tables["lifeline"] == [{"address": "10.20.0.2", "protocol": 6, "port": 7443}]
    assert {"shop-db", "no-admin-ports"} <= set(tables["rules"])
    assert [a["address"] for a in tables["addresses"] if a["self"]] == ["10.20.2.11", "fd00:20::21"]
    done = run(*args, "-o", tmp_path / "db1.prog")
    assert done.returncode == 0 and (tmp_path / "db1.prog").read_bytes().startswith(b"SMSEAL1\n")
    assert run("policy", "compile", SHOP, "--inventory", SHOP_INVENTORY, "--endpoint", "dbx",
               "-o", "json").returncode == 4


def test_the_lifeline_is_short_and_not_ssh():
    done = run("policy", "show", "lifeline", "--controller", "[fd00::9]:7443")
    assert "fd00::9, by tcp/7443" in done.stdout and "never tcp/22" in done.stdout


def test_completion_and_man_page_follow_the_table():
    script = run("completion", "bash").stdout
    assert subprocess.run(["bash", "-n"], input=script, text=True).returncode == 0
    words = subprocess.run(
        ["bash", "-c", script + '\nCOMP_WORDS=(suimitsu policy sh); COMP_CWORD=2; _suimitsu; '
         'echo "${COMPREPLY[@]}"'], text=True, capture_output=True).stdout.split()
    assert words == ["show"]
    assert run("completion", "zsh").stdout.startswith("#compdef suimitsu")
    man = run("man").stdout
    assert man.startswith(".TH SUIMITSU 1") and "policy verdict" in man


def test_the_examples_in_the_reference_are_valid(tmp_path):
    """Every yaml block of docs/policy.md that begins with a version is a whole policy."""
    text = (ROOT / "docs/policy.md").read_text()
    blocks = [b for b in re.findall(r"```yaml\n(.*?)```", text, re.S)
              if b.startswith(("suimitsu: 1", "suimitsu-inventory: 1"))]
    assert len(blocks) >= 5
    for i, block in enumerate(blocks):
        path = tmp_path / f"{i}.yaml"
        path.write_text(block)
        if block.startswith("suimitsu: 1"):
            done = run("check", path, *NOW)
        else:
            (tmp_path / "empty.yml").write_text("suimitsu: 1\n")
            done = run("check", tmp_path / "empty.yml", "--inventory", path, *NOW)
        assert done.returncode == 0, block + done.stderr


@pytest.mark.parametrize("words", [["policy", "check", SHOP, "--inventory", SHOP_INVENTORY],
                                   ["policy", "explain", SHOP], ["policy", "show", "lifeline"]],
                         ids=["check", "explain", "lifeline"])
def test_yaml_says_what_json_says(words):
    import yaml
    said = {f: subprocess.run([SUIMITSU, *words, *(NOW if "check" in words else []), "-o", f],
                              capture_output=True, text=True, check=True).stdout
            for f in ("json", "yaml")}
    assert yaml.safe_load(said["yaml"]) == json.loads(said["json"])
