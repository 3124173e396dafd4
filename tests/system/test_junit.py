"""`policy check --junit`: read back with a real XML parser."""
import pathlib
import subprocess
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUIMITSU = ROOT / "build/bin/suimitsu"
SHOP = ROOT / "docs/examples/shop.yaml"
SHOP_INVENTORY = ROOT / "docs/examples/shop-inventory.yaml"


def junit(tmp_path, policy, *inventory):
    """(exit code, the root element)"""
    out = tmp_path / "out.xml"
    done = subprocess.run([SUIMITSU, "policy", "check", policy, *inventory, "--junit", out,
                           "--now", "2026-11-22T12:00:00Z"], text=True, capture_output=True, timeout=120)
    return done.returncode, xml.parse(out).getroot()


def cases(root, kind):
    return [c for c in root.iter("testcase") if c.get("classname") == kind]


def test_every_test_is_a_case_with_its_line(tmp_path):
    code, root = junit(tmp_path, SHOP, "--inventory", SHOP_INVENTORY)
    tests = cases(root, "tests")
    lines = SHOP.read_text().splitlines()
    assert code == 0 and root.tag == "testsuite" and root.get("failures") == root.get("errors") == "0"
    assert int(root.get("tests")) == len(root.findall("testcase")) == 1 + 7 + 2
    assert len(tests) == 7 and all(c.find("*") is None for c in tests)
    assert all(lines[int(c.get("line")) - 1].startswith("  - {from: ") for c in tests)
    assert tests[1].get("name") == "web1 /usr/bin/psql to db1 by postgres: deny by default"
    assert len(cases(root, "proofs")) == 2


def test_a_test_that_fails_says_why(tmp_path):
    policy = tmp_path / "p.yaml"
    policy.write_text(SHOP.read_text().replace("psql, to: db1, service: postgres, expect: deny",
                                               "psql, to: db1, service: postgres, expect: allow"))
    code, root = junit(tmp_path, policy, "--inventory", SHOP_INVENTORY)
    failed = [c for c in cases(root, "tests") if c.find("failure") is not None]
    assert code == 1 and root.get("failures") == "1" and root.get("errors") == "0" and len(failed) == 1
    failure = failed[0].find("failure")
    assert failure.get("message") == "web1 to db1 by postgres (5432): deny by default"
    assert "expected: allow by default" in failure.text and "/usr/bin/psql" in failure.text
    assert "\n" in failure.text
    assert cases(root, "policy")[0].find("*") is None


def test_a_policy_that_is_not_valid_is_one_error(tmp_path):
    policy = tmp_path / "p<&\".yaml"
    policy.write_text('suimitsu: 1\nallow: [{id: a, from: "w<&>b", why: w, owner: o}]\n')
    code, root = junit(tmp_path, policy)
    assert code == 3 and root.get("errors") == "1" and root.get("name") == str(policy)
    assert [c.get("name") for c in root.iter("testcase")] == ["the policy is valid"]
    assert '"w<&>b" for "from"' in root.find("testcase/error").get("message")


def test_without_an_inventory_tests_are_skipped_not_passed(tmp_path):
    code, root = junit(tmp_path, SHOP)
    assert code == 0 and int(root.get("skipped")) >= 7
    assert all(c.find("skipped") is not None for c in cases(root, "tests"))


def test_a_file_that_cannot_be_written_is_an_error(tmp_path):
    done = subprocess.run([SUIMITSU, "policy", "check", SHOP, "--junit", tmp_path / "none/out.xml"],
                          text=True, capture_output=True, timeout=120)
    assert done.returncode == 5 and "cannot write it" in done.stderr
