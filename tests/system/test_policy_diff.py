"""`suimitsu policy diff` as its users meet it: lines, JSON and exit codes for changes to the shop."""
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
SHOP = ROOT / "docs/examples/shop.yaml"
INVENTORY = ROOT / "docs/examples/shop-inventory.yaml"
NOW = ["--now", "2026-11-22T12:00:00Z"]


def diff(old, new, *options, inventory=INVENTORY):
    args = ["policy", "diff", old, new, *(["--inventory", inventory] if inventory else []), *NOW]
    done = subprocess.run([SUIMITSU, *map(str, args), *map(str, options)], text=True,
                          capture_output=True, timeout=120)
    assert done.returncode >= 0, f"ended by signal {-done.returncode}"
    return done


def edited(path, source, *changes):
    text = source.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


def changed_shop(tmp_path):
    """More for the office and the HMI, nothing for ops, and the office's roll-out goes on."""
    text = SHOP.read_text()
    ops = text[text.index("  - id: ops-from-jump"):text.index("  - id: shop-front")]
    tests = text[text.index("\ntests:"):]
    return edited(tmp_path / "new.yaml", SHOP, (ops, ""), (tests, "\n"),
                  ("from: internet\n", "from: [internet, office]\n"),
                  ("modbus: [1, 2, 3, 4]", "modbus: [1, 2, 3, 4, 16]"),
                  ("office: test", "office: enforce"))


def test_each_line_says_who_gains_or_loses_what_and_by_which_rule(tmp_path):
    done = diff(SHOP, changed_shop(tmp_path))
    assert done.stdout.splitlines() == [
        "+ hmi may reach plc by modbus-read with function 16 and those like it: press-1-hmi, 1 pair",
        "+ pc1, pc2 may reach web by https: shop-front, 2 pairs",
        "- jump-hosts may no longer reach 8 endpoints and addresses outside by admin as a user like "
        "ops-1: was ops-from-jump, now default, 12 pairs",
        "= mode of pc1, pc2, pc3: test, now enforce",
        "> jump-hosts reach -6 endpoints in 3 hops (8, now 2)",
        "> db reach -2 endpoints in 2 hops (3, now 1)",
        "> fix-it reach -2 endpoints in 2 hops (4, now 2)",
        "> office reach -2 endpoints in 3 hops (5, now 3)",
        "> web reach -2 endpoints in 2 hops (3, now 1)"]
    assert (done.returncode, done.stderr) == (1, "")


def test_conditions_are_said(tmp_path):
    new = edited(tmp_path / "new.yaml", SHOP, ("    process: {exe: /opt/shop/bin/orders}\n", ""))
    line, = diff(SHOP, new).stdout.splitlines()
    assert line == ("+ web may reach db by postgres as another program served by "
                    "/usr/lib/postgresql/15/bin/postgres: shop-db, 1 pair")


def test_other_words_names_and_order_are_no_change(tmp_path):
    text = SHOP.read_text()
    first, second = text.index("  - id: shop-front"), text.index("  - id: shop-db")
    end = text.index("  - id: press-1-hmi")
    new = tmp_path / "new.yaml"
    new.write_text(text[:first] + text[second:end] + text[first:second] + text[end:])
    new = edited(new, new, ("why: customers buy here", "why: they pay"))
    done = diff(SHOP, new)
    assert (done.returncode, done.stdout) == (0, "no change in meaning\n")
    assert json.loads(diff(SHOP, new, "-o", "json").stdout) == {
        "same": True, "incomplete": False, "changes": [], "added": [], "removed": [], "modes": [],
        "reach": []}


def test_an_inventory_that_changed_is_compared_too(tmp_path):
    was = edited(tmp_path / "was.yaml", INVENTORY, ("        state: black}", "        state: white}"))
    lines = diff(SHOP, SHOP, "--old-inventory", was).stdout.splitlines()
    # pc3 is a suspect now: what its test mode only reported is denied, in both directions.
    other = "by any service that no other rule names: was default, now quarantine, 6 pairs"
    assert [line for line in lines if line[0] == ">"] == [
        "> db reach -1 endpoint in 2 hops (4, now 3)", "> fix-it reach -1 endpoint in 2 hops (5, now 4)",
        "> jump-hosts reach -1 endpoint in 1 hop (9, now 8)", "> web reach -1 endpoint in 2 hops (4, now 3)"]
    assert sorted(line for line in lines if line[0] != ">") == [
        "+ pc3 may reach fix-it by https: only-remediation, 1 pair",
        "- jump-hosts may no longer reach pc3 by admin as a user like ops-1: was ops-from-jump, "
        "now quarantine, 1 pair",
        f"- pc1, pc2 and addresses outside may no longer reach pc3 {other}",
        f"- pc3 may no longer reach pc1, pc2 and addresses outside {other}"]


def test_json_has_every_end_rule_and_condition(tmp_path):
    done = diff(SHOP, changed_shop(tmp_path), "-o", "json")
    found = json.loads(done.stdout)
    assert done.returncode == 1 and not found["same"] and not found["incomplete"]
    assert [c["kind"] for c in found["changes"]] == ["gain", "gain", "lose"]
    assert found["changes"][0]["modbus"] == 16
    lost = found["changes"][2]
    assert lost["before"] == {"exists": True, "verdict": "allow", "layer": "allow",
                              "rule": "ops-from-jump"}
    assert lost["after"] == {"exists": True, "verdict": "deny", "layer": "default", "rule": None}
    assert lost["from"] == {"endpoints": ["jump1"], "outside": 0} and lost["user"] == "ops-1"
    assert len(lost["to"]["endpoints"]) == 8 and lost["to"]["outside"] > 0
    assert found["modes"][2] == {"endpoint": "pc3", "before": "test", "after": "enforce"}


def test_what_cannot_be_compared_is_refused(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("suimitsu: 1\nallow: [{id: a, from: nobody, why: w, owner: o}]\n")
    done = diff(SHOP, bad)
    assert (done.returncode, done.stdout) == (3, "") and "E-UNKNOWN" in done.stderr
    assert diff(SHOP, tmp_path / "missing.yaml").returncode == 4
    done = diff(SHOP, SHOP, inventory=None)
    assert done.returncode == 2 and "needs --inventory" in done.stderr
