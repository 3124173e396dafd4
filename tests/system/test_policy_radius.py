"""`suimitsu policy prove` and `policy radius` as their users meet them, on the shop."""
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
SHOP = ROOT / "docs/examples/shop.yaml"
INVENTORY = ROOT / "docs/examples/shop-inventory.yaml"
NOW = ["--now", "2026-11-22T12:00:00Z"]


def ask(*args, inventory=INVENTORY):
    args = ["policy", *args, *(["--inventory", inventory] if inventory else []), *NOW]
    done = subprocess.run([SUIMITSU, *map(str, args)], text=True, capture_output=True, timeout=120)
    assert done.returncode >= 0, f"ended by signal {-done.returncode}"
    return done


def edited(path, *changes):
    text = SHOP.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_a_proof_that_holds_says_over_what():
    done = ask("prove", SHOP)
    assert done.stdout.splitlines()[:2] == [
        "holds  no path from pos to internet (shop.yaml:88:5)".replace("shop.yaml", str(SHOP)),
        "       over 10 endpoints and 4 ranges outside, in 11 classes, by 10 kinds of service and "
        "6 rules"]
    assert done.stdout.endswith("2 of 2 proofs hold\n")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_proof_that_fails_shows_the_path_with_the_rules_of_each_hop(tmp_path):
    leak = edited(tmp_path / "leak.yaml", ("allow:\n", """allow:
  - {id: till-helpdesk, from: pos, to: office, service: tcp/8443, why: help, owner: desk}
  - {id: surf, from: office, to: internet, service: https, why: the web, owner: it}
"""))
    done = ask("prove", leak)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0].startswith("FAILS  no path from pos to internet (")
    assert lines[1:3] == ['       1  pos1 to pc1 by tcp/8443 ("till-helpdesk")',
                          '       2  pc1 to outside by tcp/443 ("surf")']
    found = json.loads(ask("prove", leak, "-o", "json").stdout)
    assert [(p["kind"], p["holds"]) for p in found] == [("no-path", False), ("no-path", True)]
    assert [(h["from"], h["to"], h["rule"]) for h in found[0]["hops"]] == [
        ("pos1", "pc1", "till-helpdesk"), ("pc1", "outside", "surf")]
    assert found[0]["over"]["endpoints"] == 10


def test_a_policy_without_proofs_is_told_how_to_write_one(tmp_path):
    bare = tmp_path / "bare.yaml"
    bare.write_text("suimitsu: 1\n")
    done = ask("prove", bare)
    assert done.returncode == 4 and "no-path" in done.stderr


def test_the_radius_counts_endpoints_hop_by_hop():
    done = ask("radius", SHOP, "--from", "office")
    assert done.stdout.splitlines() == [
        "office (3 endpoints) reaches 5 endpoints:",
        "  in 1 hop        3  fix1, pc1, pc2",
        "  in 2 hops       1  web1",
        "  in 3 hops       1  db1",
        "  and what is outside, in 1 hop"]
    found = json.loads(ask("radius", SHOP, "--from", "office", "--hops", "2", "-o", "json").stdout)
    assert found == {"from": "office", "fallen": 3, "reached": 4, "outside_at": 1, "hops": [
        {"hops": 1, "new": 3, "endpoints": ["fix1", "pc1", "pc2"]},
        {"hops": 2, "new": 1, "endpoints": ["web1"]}]}


def test_alone_it_names_the_ten_whose_fall_reaches_furthest():
    found = json.loads(ask("radius", SHOP, "-o", "json").stdout)
    assert found[0] == {"endpoint": "jump1", "alike": 1, "reach": 8}
    assert [p["reach"] for p in found] == sorted((p["reach"] for p in found), reverse=True)
    for peak in found:
        one = json.loads(ask("radius", SHOP, "-f", peak["endpoint"], "-o", "json").stdout)
        assert one["reached"] == peak["reach"]


def test_a_change_is_told_in_one_line_a_group(tmp_path):
    leak = edited(tmp_path / "leak.yaml", ("allow:\n", """allow:
  - {id: till-helpdesk, from: pos, to: office, service: tcp/8443, why: help, owner: desk}
"""))
    done = ask("radius", leak, "--before", SHOP)
    assert done.returncode == 1
    line = done.stdout.splitlines()[0]
    assert line == "pos reach +4 endpoints in 4 hops (0, now 4), and the outside now", line
    assert ask("radius", SHOP, "--before", leak).stdout.startswith("pos reach -4 endpoints in 4 ")
    same = ask("radius", SHOP, "--before", SHOP)
    assert (same.returncode, same.stdout) == (0, "no group reaches more or less\n")


def test_wrong_use_says_what_to_do(tmp_path):
    both = edited(tmp_path / "both.yaml", ("groups:\n", "groups:\n  pc1: {members: [pc1]}\n"))
    for code, text, args in [
            (2, "needs --inventory", ["radius", SHOP, None]),
            (4, "expected a group of the policy or an endpoint", ["radius", SHOP, "--from", "x"]),
            (2, "say --from group:pc1 or --from endpoint:pc1", ["radius", both, "--from", "pc1"]),
            (2, "from 1 to 1000", ["radius", SHOP, "--from", "pos", "--hops", "0"]),
            (2, "go with --from", ["radius", SHOP, "--hops", "3"]),
            (2, "leave --from out", ["radius", SHOP, "--from", "pos", "--before", SHOP])]:
        done = ask(*[a for a in args if a], inventory=None if None in args else INVENTORY)
        assert (done.returncode, done.stdout) == (code, ""), done
        assert text in done.stderr
    assert ask("radius", both, "--from", "endpoint:pc1").returncode == 0
