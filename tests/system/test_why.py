"""`suimitsu policy why` and `suimitsu why`: golden answers to typical questions, the page that shows
them, the vectors, and the controller's answer beside the one from files."""
import json
import os
import pathlib
import re
import shlex
import subprocess

import pytest
from test_controller import controller, pytestmark as as_root, tmp_path  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
FOLDER = ROOT / "tests/system/why"
VECTORS = sorted((ROOT / "tests/vectors").glob("*.json"))
NOW = ["--now", "2026-11-22T12:00:00Z"]
EXIT = {"allow": 0, "would-deny": 0, "deny": 1}

QUESTIONS = {
    "allowed": "--from web1 --to db1 --service postgres --process /opt/orders --user shop",
    "another-program": "--from web1 --to db1 --service postgres --process /bin/psql --user shop",
    "not-told": "--from web1 --to db1 --service postgres",
    "another-group": "--from web2 --to db1 --service postgres --process /opt/orders --user shop",
    "another-service": "--from web1 --to db1 --service tcp/3306 --process /opt/orders --user shop",
    "never-with-exception": "--from web1 --to db1 --service ssh --user ana",
    "never-without-exception": "--from web1 --to db1 --service tcp/23",
    "exception-applies": "--from soc1 --to db1 --service ssh --user ana",
    "a-suspect": "--from bad1 --to db1 --service postgres --process /opt/orders --user shop",
    "who-may-reach-a-suspect": "--from soc1 --to bad1 --service ssh",
    "two-suspects": "--from bad1 --to bad2 --service ssh",
    "expired": "--from 203.0.113.9 --to db1 --service tcp/8443",
    "a-wider-outside": "--from 198.51.100.4 --to db1 --service tcp/8443",
    "nobody-can-check": "--from cam1 --to rec1 --service rtsp",
    "nobody-enforces": "--from lone1 --to lone2 --service tcp/80",
    "unknown-name": "--from wbe1 --to db1 --service postgres",
    "unknown-name-with-labels":
        "--from web9 --from-labels app=shop,tier=front --to db1 --service postgres --user shop",
    "itself": "--from db1 --to 10.0.2.1 --service tcp/5432",
    "multicast": "--from web1 --to 224.0.0.251 --service mdns",
}


def why(*args, policy=FOLDER / "policy.yaml", inventory=FOLDER / "inventory.yaml", now=NOW):
    return subprocess.run([SUIMITSU, "policy", "why", policy, "--inventory", inventory, *now, *args],
                          capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_typical_question_is_answered_in_these_words(name):
    done = why(*QUESTIONS[name].split())
    text = f"$ why {QUESTIONS[name]}\n{done.stdout}[exit {done.returncode}]\n"
    golden = FOLDER / f"{name}.txt"
    if os.environ.get("GOLDEN_WRITE"):
        golden.write_text(text)
    assert text == golden.read_text() and not done.stderr


@pytest.mark.parametrize("name", QUESTIONS)
def test_json_says_the_same(name):
    args = QUESTIONS[name].split()
    lines = why(*args).stdout.splitlines()
    found = json.loads(why(*args, "-o", "json").stdout)
    rule = f", rule {found['rule']}" if found["rule"] else ""
    assert lines[0] == (f"{found['verdict']} ({found['layer']}{rule}"
                        f"{'' if found['enforced'] else ', not enforced'})")
    conditions = [c for r in [found["decider"], *found["others"], *found["nearest"]] if r
                  for c in r["conditions"] + r["except"]]
    for said in conditions + [c for r in found["nearest"] for c in r["changes"]] + found["changes"]:
        assert any(said["text"] in line for line in lines), said
    for near in found["nearest"]:
        assert near["lacks"] == sum(c["state"] not in ("met", "accepted") for c in near["conditions"])
    assert found["layers"][-1]["decides"] and found["layers"][-1]["layer"] == found["layer"]


def test_an_allow_that_it_writes_allows_the_connection(tmp_path):
    for name in ("another-service", "multicast", "a-wider-outside"):
        args = QUESTIONS[name].split()
        found = json.loads(why(*args, "-o", "json").stdout)
        folder = tmp_path / name
        folder.mkdir()
        (folder / "policy.yaml").write_text((FOLDER / "policy.yaml").read_text())
        (folder / "more.yaml").write_text(found["allow_like"])
        assert json.loads(why(*args, "-o", "json", policy=folder).stdout)["verdict"] == "allow"


@pytest.mark.parametrize("args, code, said", [
    ("--from a --to db1", 2, "what service"),
    ("--from web1 --to db1 --service postgre", 2, 'did you mean "postgres"'),
    ("--from web1 --to db1 --service tcp/1-5", 2, "no service"),
    ("--from web1 --to db1 --service ssh --modbus 256", 2, "--modbus"),
    ("--from web1 --to db1 --service ssh --from-labels app", 2, "labels like"),
])
def test_a_question_that_is_none_is_told(args, code, said):
    done = why(*args.split())
    assert done.returncode == code and said in done.stderr and not done.stdout


def pages():
    """Every `$ suimitsu policy why` of the page with what it shows below."""
    text = (ROOT / "docs/why.md").read_text()
    return re.findall(r"```\n\$ suimitsu (policy why [^\n]*)\n(.*?)```\n", text, re.S)


@pytest.mark.parametrize("command, shown", pages(), ids=range(len(pages())))
def test_the_page_shows_what_it_answers(command, shown):
    done = subprocess.run([SUIMITSU, *shlex.split(command), *NOW], cwd=ROOT / "docs/examples",
                          capture_output=True, text=True, timeout=120)
    assert done.stdout == shown and not done.stderr


def arguments(query):
    service = query["protocol"] if "port" not in query and "type" not in query else \
        f"{query['protocol']}/{query.get('port', query.get('type'))}"
    more = {"--process": "process", "--served-by": "served_by", "--user": "user", "--modbus": "modbus"}
    found = ["--from", query["from"], "--to", query["to"], "--service", service]
    for option, key in more.items():
        if query.get(key) is not None:
            found += [option, str(query[key])]
    return found


@pytest.mark.parametrize("path", VECTORS, ids=lambda p: p.stem)
def test_its_verdict_is_that_of_the_vectors(path, tmp_path):
    vector = json.loads(path.read_text())
    for part in ("policy", "inventory"):
        (tmp_path / f"{part}.json").write_text(json.dumps(vector[part]))
    for case in vector["cases"]:
        if case["query"]["protocol"] not in ("tcp", "udp", "icmp"):
            continue  # No service can name it; the library's own test asks these.
        done = why(*arguments(case["query"]), "-o", "json", policy=tmp_path / "policy.json",
                   inventory=tmp_path / "inventory.json", now=["--now", vector["now"]])
        found = json.loads(done.stdout)
        assert {k: found[k] for k in case["answer"]} == case["answer"], case["name"]
        assert done.returncode == EXIT[case["answer"]["verdict"]]


@as_root
def test_the_controller_answers_as_the_files_do(controller):
    files = {k: [{"name": f"{k}.yaml", "text": (FOLDER / f"{k}.yaml").read_text()}]
             for k in ("policy", "inventory")}
    body = {"files": files["policy"], "inventory": files["inventory"]}
    assert controller.ask("PUT", "/policy", body, {"If-Match": "*"})[0] == 200
    for args in QUESTIONS.values():
        offline = why(*args.split(), now=[])
        online = controller.cli("why", *args.split(), code=offline.returncode)
        assert online.stdout == offline.stdout
    controller.cli("quarantine", "web1", "--why", "beacon")
    said = controller.cli("why", "web1", "db1", "postgres", code=1).stdout
    assert "release web1 from quarantine" in said  # The world that is kept follows.
    controller.cli("release", "web1", "--why", "clean")
    assert "quarantine  neither end" in controller.cli("why", "web1", "db1", "postgres", code=1).stdout


@as_root
def test_what_a_stranger_asks_cannot_move_the_cursor(controller):
    out = controller.cli("why", "a\x1b[2Jb", "c\u202ed", "tcp/80", code=4).stdout
    assert "\\x1b" in out and "\x1b" not in out and "\u202e" not in out
