"""The JSON Schema and the reader take the same files, but for what a schema cannot say.

Bad files are made by changing every place of good ones in every way, and written by hand
(schema/*.yaml).  What only the reader can refuse is the list BEYOND; nothing else may differ."""
import copy
import json
import os
import pathlib
import re
import subprocess

import jsonschema
import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SUIMITSU = ROOT / "build/bin/suimitsu"

# What a schema cannot say: (name, the reader's finding).  docs/editors.md tells the same list.
BEYOND = {
    "unknown reference": r"E-UNKNOWN no (group|service) is named|E-UNKNOWN no rule has the id|"
                         r'E-ADDR the address [^ ]*/',
    "the same name or address twice": r"E-DUPKEY",
    "a range that ends before it begins": r'E-RANGE ".*" as a port|E-RANGE "learned" ends before',
    "a network with bits behind its length": r'E-VALUE ".*/.*" for "outside"',
    "a mode for the outside": r"E-VALUE a mode for the outside",
    "functions of a protocol without functions": r"E-VALUE modbus functions for icmp",
    "several programs in a test": r"E-VALUE several programs in one test",
    "none among enforcers": r'E-VALUE "none" for "enforcers"',
    "a length in bytes": r'E-VALUE ".{100,}" for',
    "an address of every machine in a rare spelling": r'E-VALUE ".*:.*" for "addresses"',
    "how a number, a truth or nothing is spelled": r"E-TYPE|E-NAME",
    "YAML that is not allowed": r"E-STRICT|E-TEXT|E-LIMIT|E-SYNTAX",
}


def schema(*options):
    text = subprocess.run([SUIMITSU, "policy", "schema", *options], text=True, capture_output=True,
                          check=True).stdout
    document = json.loads(text)
    jsonschema.Draft7Validator.check_schema(document)
    return jsonschema.Draft7Validator(document)


POLICY, INVENTORY = schema(), schema("--inventory")


def core(node):
    """A YAML node as an editor's reader (YAML 1.2, core schema) has it."""
    if isinstance(node, yaml.SequenceNode):
        return [core(n) for n in node.value]
    if isinstance(node, yaml.MappingNode):
        return {k.value: core(v) for k, v in node.value}
    s = node.value
    if node.style is not None:
        return s
    if s in ("", "~", "null", "Null", "NULL"):
        return None
    if s in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return s.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]+", s):
        return int(s)
    if re.fullmatch(r"0o[0-7]+|0x[0-9a-fA-F]+", s):
        return int(s, 0)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", s):
        return float(s)
    return s


def load(text):
    return core(yaml.compose(text, Loader=yaml.BaseLoader))


def findings(tmp_path, text, inventory=False):
    """The errors of the reader, as "CODE message"."""
    path = tmp_path / "file.yaml"
    path.write_text(text)
    args = [SUIMITSU, "check", path, "-o", "json"]
    if inventory:
        (tmp_path / "empty.yml").write_text("suimitsu: 1\n")
        args = [SUIMITSU, "check", tmp_path / "empty.yml", "--inventory", path, "-o", "json"]
    done = subprocess.run(args, text=True, capture_output=True, timeout=120)
    assert done.returncode in (0, 3), done.stderr
    return [f"{f['code']} {f['message']}" for f in json.loads(done.stdout)["findings"]
            if f["severity"] == "error"]


GOOD = {
    "suimitsu": 1,
    "groups": {"web": {"match": {"app": "shop", "tier": ["web", "front"]}},
               "db": {"members": ["db1"]}, "ops": {"match": {"floor": 3}},
               "net": {"outside": True}, "far": {"outside": ["203.0.113.0/24", "2001:db8::/32"]}},
    "services": {"pg": "tcp/5432", "many": ["udp/1-65535", "icmp/echo", "icmp/0-255"],
                 "read": {"ports": ["tcp/502"], "modbus": [1, 127]}},
    "quarantine": [{"id": "q", "to": "db", "service": "pg", "why": "w", "owner": "o"}],
    "never": [{"id": "n", "from": "any", "service": ["pg", "tcp/22"], "why": "w", "owner": "o",
               "except": {"from": ["web"], "user": "@ops"}}],
    "allow": [{"id": "a", "from": ["web", "ops"], "process": {"exe": ["/bin/a", "/bin/b"]},
               "user": ["alice@example.org", "@ops"], "to": "db", "served-by": "/bin/pg",
               "service": "pg", "why": "the shop reads", "owner": "shop", "expires": "2028-02-29",
               "accept-weaker": "old", "learned": {"from": "2026-11-01", "to": "2026-11-02",
                                                   "flows": 5, "signed": "me"}}],
    "mode": {"default": "test", "web": "learn"},
    "tests": [{"from": "web1", "process": "/bin/a", "user": "alice", "to": "10.0.0.1",
               "served-by": {"exe": "/bin/pg"}, "service": "tcp/5432", "modbus": 3,
               "expect": "deny", "by": "default", "enforced": True}],
    "prove": [{"no-path": {"from": "web", "to": ["net", "db"], "service": "pg"}},
              {"path": {"from": "web", "to": "db"}}, {"only-path": {"from": "any", "to": "db"}}],
}
GOOD_INVENTORY = {
    "suimitsu-inventory": 1,
    "endpoints": {"web1": {"labels": {"app": "shop", "floor": 3}, "addresses": ["10.0.0.1", "fd00::1"],
                           "enforcers": ["host", "edge"], "state": "black"},
                  "cam": {"addresses": "::ffff:10.0.0.9", "enforcers": "none"}},
    "users": {"alice@example.org": {"groups": ["ops"]}},
}
WORDS = ["", " x", "a b", "any", "default", "-x", "10.0.0.1", "10.0.0.0/8", "10.0.0.1/8", "fd00::1",
         "::1", "0.0.0.0", "224.0.0.1", "127.0.0.1", "ff02::1", "1.2.3.4.5", "fd00::1::2", "@ops", "x" * 63,
         "x" * 64, "x" * 201, "x" * 501, "a\nb", "a\x07b", "a\u202eb", "x;y", "it's", "ü", "/bin/x", "/bin/../x",
         "/bin//x", "/x/", "bin/x", "/" + "x" * 255, "/a b", "tcp/0", "tcp/65535", "tcp/65536", "tcp/080",
         "tcp/80-90", "tcp/90-80", "sctp/1", "icmp/echo", "icmp/256", "icmp/ecco", "tcp/", "2027-02-29",
         "2027-02-28", "1969-12-31", "2100-02-29", "2027-6-30", "true", "yes", "1", "allow", "host", "none"]
OTHERS = [None, True, False, 0, 1, -1, 128, 65536, 1.5, [], {}, [[]], [{}], ["x", {}], {"x": 1}]


def places(tree, path=()):
    yield path
    for key, value in (tree.items() if isinstance(tree, dict) else
                       enumerate(tree) if isinstance(tree, list) else ()):
        yield from places(value, path + (key,))


def changed(tree, path, change):
    tree = copy.deepcopy(tree)
    at = tree
    for key in path[:-1]:
        at = at[key]
    change(at, path[-1])
    return tree


def rename(at, key):
    at[key + "x"] = at.pop(key)


def add(at, key):
    at[key]["nonsense"] = 1


def mutations(tree):
    whole = set()  # Fields that had all words; their namesakes elsewhere get the first of them.
    for path in places(tree):
        if not path:
            continue
        yield changed(tree, path, lambda at, key: at.pop(key))
        if isinstance(path[-1], str):
            yield changed(tree, path, rename)
        here = tree
        for key in path:
            here = here[key]
        if isinstance(here, dict):
            yield changed(tree, path, add)
        field = [p for p in path if isinstance(p, str)][-1]
        words = WORDS[:3] if isinstance(here, (dict, list)) else WORDS[:6] if field in whole else WORDS
        if words is WORDS:
            whole.add(field)
        for value in words + OTHERS:
            if value is None and isinstance(path[-1], int):
                continue  # Nothing in a list has no way to be written.
            if field == "enforced" and value == "yes":
                continue  # A quoted truth: a matter of spelling.
            yield changed(tree, path, lambda at, key: at.__setitem__(key, value))


def in_yaml(tree):
    """JSON, which is YAML; but null, which the reader takes for a word, as nothing at all."""
    return re.sub(r": null(?=[,}])", ": ", json.dumps(tree, ensure_ascii=False))


def classes_of(found):
    """The classes of what a schema cannot say that explain all of these findings; None: not all."""
    names = []
    for text in found:
        name = next((n for n, pattern in BEYOND.items() if re.match(pattern, text)), None)
        if not name:
            return None
        names.append(name)
    return names


# A document whose only fault is one of these is taken by the schema.  Mutations are JSON, so spelling
# and YAML's own faults cannot be among them.
IN_JSON = {n for n in BEYOND if n not in
           ("a length in bytes", "how a number, a truth or nothing is spelled", "YAML that is not allowed")}


@pytest.mark.parametrize("tree,validator,inventory,step",
                         [(GOOD, POLICY, False, 5), (GOOD_INVENTORY, INVENTORY, True, 2)],
                         ids=["policy", "inventory"])
def test_schema_and_reader_agree_on_changes_of_a_good_file(tmp_path, tree, validator, inventory, step):
    """Every fifth or second change, in their order; ALL_CHANGES=1 tries all 4,500 in two minutes."""
    if os.environ.get("ALL_CHANGES"):
        step = 1
    assert validator.is_valid(tree) and not findings(tmp_path, json.dumps(tree), inventory)
    both_refuse, both_take, beyond, seen = 0, 0, set(), set()
    for document in mutations(tree):
        text = in_yaml(document)
        if text in seen:
            continue
        seen.add(text)
        if len(seen) % step:
            continue
        taken, found = validator.is_valid(document), findings(tmp_path, text, inventory)
        if taken and found:
            names = classes_of(found)
            assert names and set(names) <= IN_JSON, (text, found)
            beyond |= set(names)
        else:
            assert taken == (not found), (text, found, [e.message[:200] for e in validator.iter_errors(document)])
        both_refuse += not taken
        both_take += taken and not found
    print(f"{both_refuse} refused by both, {both_take} taken by both, beyond the schema: {sorted(beyond)}")
    assert both_refuse >= 200 and both_take >= 50


FIXTURES = sorted((HERE / "schema").glob("*.yaml"))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_what_a_schema_cannot_say_is_a_stated_list(path, tmp_path):
    """Each file begins with "# reader: takes|refuses, schema: takes|refuses: CLASS"."""
    text = path.read_text()
    m = re.match(r"# reader: (\w+), schema: (\w+)(?:: (.*))?\n", text)
    inventory = "suimitsu-inventory" in text
    found = findings(tmp_path, text, inventory)
    assert m[1] == ("refuses" if found else "takes"), found
    try:
        taken = (INVENTORY if inventory else POLICY).is_valid(load(text))
    except yaml.YAMLError:
        taken = False
    assert m[2] == ("takes" if taken else "refuses")
    if m[1] != m[2]:
        assert m[3] in BEYOND
        if found:
            assert all(re.match(BEYOND[m[3]], f) for f in found), found


def test_every_class_of_the_list_has_a_file_and_is_in_the_manual():
    named = {m[1] for p in FIXTURES
             if (m := re.match(r"# reader: \w+, schema: \w+: (.*)\n", p.read_text()))}
    assert named == set(BEYOND)
    manual = (ROOT / "docs/editors.md").read_text()
    for name in BEYOND:
        assert f"**{name}**" in manual, name


def test_the_schema_takes_our_examples_and_the_blocks_of_the_manual():
    texts = [p.read_text() for p in sorted((ROOT / "docs/examples").glob("*.yaml"))]
    texts += [b for b in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/policy.md").read_text(), re.S)
              if b.startswith(("suimitsu: 1", "suimitsu-inventory: 1"))]
    assert len(texts) >= 8
    for text in texts:
        validator = INVENTORY if "suimitsu-inventory" in text else POLICY
        assert [e.message for e in validator.iter_errors(load(text))] == []


def test_the_reference_page_is_made_from_the_table():
    made = subprocess.run([SUIMITSU, "policy", "reference"], text=True, capture_output=True, check=True)
    assert made.stdout == (ROOT / "docs/reference.md").read_text(), \
        "run: build/bin/suimitsu policy reference > docs/reference.md"


def test_every_field_has_a_description():
    def look(node, path):
        if isinstance(node, dict):
            for name, field in node.get("properties", {}).items():
                assert field.get("description"), path + (name,)
            for key, value in node.items():
                look(value, path + (key,))
        elif isinstance(node, list):
            for i, value in enumerate(node):
                look(value, path + (i,))
    look(POLICY.schema, ())
    look(INVENTORY.schema, ())
