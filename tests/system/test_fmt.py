"""`policy fmt`: one form, nothing lost.  The nasty file is tests/fuzz/corpus/fuzz_fmt/nasty."""
import json
import os
import pathlib
import re
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SUIMITSU = ROOT / "build/bin/suimitsu"
NASTY = ROOT / "tests/fuzz/corpus/fuzz_fmt/nasty"
SHOP = ROOT / "docs/examples/shop.yaml"


def fmt(*args, stdin=None, cwd=None):
    done = subprocess.run([SUIMITSU, "policy", "fmt", *map(str, args)], input=stdin, text=True,
                          capture_output=True, timeout=120, cwd=cwd)
    assert done.returncode >= 0, f"ended by signal {-done.returncode}"
    return done


def formatted(text):
    done = fmt("-", stdin=text)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_nasty_file_keeps_every_comment_at_its_place():
    golden = HERE / "golden" / "fmt-nasty.yaml"
    text = formatted(NASTY.read_text())
    if os.environ.get("GOLDEN_WRITE"):
        golden.write_text(text)
    assert text == golden.read_text()
    assert formatted(text) == text


def lines_that_take_comments(text):
    """Indexes of lines that are an item, or begin one: not empty, no comments, no bracket open."""
    depth = 0
    for i, line in enumerate(text.splitlines()):
        before, depth = depth, depth + len(re.findall(r"[\[{]", line)) - len(re.findall(r"[\]}]", line))
        if line.strip() and not line.lstrip().startswith("#") and not before and not depth:
            yield i, line


@pytest.mark.parametrize("name", ["shop.yaml", "shop-inventory.yaml"])
def test_a_comment_on_any_line_of_a_formatted_file_stays_there(name):
    text = formatted((ROOT / "docs/examples" / name).read_text())
    lines = text.splitlines()
    tried = 0
    for i, line in lines_that_take_comments(text):
        above = lines[:i] + [re.match(" *", line)[0] + "# über"] + lines[i:]
        beside = lines[:i] + [line + "  # beside"] + lines[i + 1:]
        for changed in (above, beside):
            wanted = "\n".join(changed) + "\n"
            assert formatted(wanted) == wanted
            tried += 1
    assert tried > 20


def test_a_formatted_file_says_the_same(tmp_path):
    (tmp_path / "shop.yaml").write_text(formatted(SHOP.read_text()))
    said = [subprocess.run([SUIMITSU, "policy", "explain", p], text=True, capture_output=True).stdout
            for p in (SHOP, tmp_path / "shop.yaml")]
    assert said[0] == said[1] and said[0]


def test_check_diff_and_write(tmp_path):
    ugly, good = tmp_path / "ugly.yaml", tmp_path / "good.yaml"
    ugly.write_text("groups: {web: {match: {a: 'b'}}} # all\nsuimitsu: 1\n")
    good.write_text("suimitsu: 1\n\nallow: []\n")
    done = fmt("--check", ugly, good)
    assert done.returncode == 1 and done.stdout == f"{ugly}\n"
    before = ugly.read_text()
    done = fmt("--diff", "ugly.yaml", "good.yaml", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.startswith("--- ugly.yaml\n+++ ugly.yaml\n@@ -1,2 ")
    assert ugly.read_text() == before
    subprocess.run(["git", "apply", "-p0", "-"], input=done.stdout, text=True, cwd=tmp_path, check=True)
    applied = ugly.read_text()
    ugly.write_text(before)
    ugly.chmod(0o640)
    os.symlink("ugly.yaml", tmp_path / "link.yaml")
    assert json.loads(fmt("--check", tmp_path / "link.yaml", "-o", "json").stdout) == [
        {"file": str(tmp_path / "link.yaml"), "formatted": False, "written": False}]
    done = fmt("--write", tmp_path / "link.yaml", good)
    assert done.returncode == 0 and done.stdout == f"{tmp_path}/link.yaml\n"
    assert ugly.read_text() == applied == \
        "suimitsu: 1\n\ngroups:  # all\n  web: {match: {a: b}}\n"
    assert (tmp_path / "link.yaml").is_symlink() and ugly.stat().st_mode & 0o777 == 0o640
    assert fmt("--check", tmp_path).returncode == 0


def test_a_long_diff_can_be_applied(tmp_path):
    rules = "".join(f"  - owner: o{i}\n    id: r{i}\n    why: w\n\n" if i % 7 == 0 else
                    f"  - id: r{i}\n    why: w\n    owner: o{i}\n\n" for i in range(200))
    (tmp_path / "p.yaml").write_text(f"suimitsu: 1\n\nallow:\n{rules[:-1]}")
    done = fmt("--diff", "p.yaml", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout.count("@@ -") == 29
    wanted = fmt("p.yaml", cwd=tmp_path).stdout
    subprocess.run(["git", "apply", "-p0", "-"], input=done.stdout, text=True, cwd=tmp_path, check=True)
    assert (tmp_path / "p.yaml").read_text() == wanted


def test_what_is_refused(tmp_path):
    bad, as_json = tmp_path / "bad.yaml", tmp_path / "p.json"
    bad.write_text("suimitsu: 1\nalow: []\n")
    as_json.write_text('{"suimitsu": 1}')
    done = fmt("--write", bad)
    assert done.returncode == 3 and "nearest: allow" in done.stderr and done.stdout == ""
    assert bad.read_text() == "suimitsu: 1\nalow: []\n"
    assert fmt(as_json).returncode == 2
    assert fmt(tmp_path / "absent.yaml").returncode == 4
    assert fmt("--check", "--write", bad).returncode == 2
    assert fmt("--write", "-", stdin="suimitsu: 1\n").returncode == 2
    assert fmt(SHOP, SHOP).returncode == 2
    good = tmp_path / "good.yaml"
    good.write_text("suimitsu:   1\n")
    (tmp_path / "good.yaml.new").write_text("mine")
    assert fmt("--write", good).returncode == 6
    assert (tmp_path / "good.yaml.new").read_text() == "mine"


def test_names_of_other_files_of_the_policy_are_no_concern():
    assert formatted("suimitsu: 1\nmode: {elsewhere: test}\n") == "suimitsu: 1\n\nmode:\n  elsewhere: test\n"


def test_texts_that_a_reader_could_mistake_get_quotes():
    for text in ("no", "~", "12", "1e3", "0x1F", "22:22", "1_000", ".5", "Null", "y"):
        assert f'{{t: "{text}"}}' in formatted(f'suimitsu: 1\ngroups: {{g: {{match: {{t: {text}}}}}}}\n')
    for text in ("web", "2026-11-22", "10.0.0.1", "a.b", "tcp/22", "x12", "1-2"):
        assert f'{{t: {text}}}' in formatted(f'suimitsu: 1\ngroups: {{g: {{match: {{t: "{text}"}}}}}}\n')


@pytest.mark.parametrize("path", sorted((ROOT / "docs/examples").glob("*.yaml")), ids=lambda p: p.name)
def test_our_examples_are_formatted(path):
    assert fmt("--check", path).returncode == 0
