# SPDX-License-Identifier: Apache-2.0
"""Drafts on the command line: one person proposes, another applies."""
import json
import os
import subprocess

import pytest
from test_api import token
from test_api_more import started
from test_controller import CLI, INVENTORY, PATIENCE_S, POLICY, POLICY_2, tmp_path  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")


class Person:
    def __init__(self, c, folder, role):
        self.c, self.role, self.file = c, role, folder / f"{role}.token"
        self.file.write_text(token(c, role))
        self.file.chmod(0o600)

    def __call__(self, *args, code=0):
        done = subprocess.run([str(CLI), "draft", *args, "--controller", f"https://127.0.0.1:{self.c.api_port}",
                               "--token-file", str(self.file), "--ca", str(self.c.state / "ca.crt")],
                              capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done

    def propose(self, *args):
        return json.loads(self("propose", *args, "-o", "json").stdout)["id"]


def test_what_an_editor_proposes_an_approver_puts_in_force(tmp_path):
    with started(tmp_path, "--four-eyes", "yes") as c:
        c.apply(POLICY, INVENTORY)
        editor, approver, admin = (Person(c, tmp_path, r) for r in ("editor", "approver", "admin"))
        new, bad = tmp_path / "new.yaml", tmp_path / "bad.yaml"
        new.write_text(POLICY_2)
        bad.write_text(POLICY.replace("to: db", "to: dbb"))
        said = editor("propose", str(new), "-m", "CHG-1").stdout
        assert said.startswith("proposed as draft ")
        first = said.split()[-1]
        assert "E-UNKNOWN" in editor("propose", str(bad), code=3).stderr
        assert "propose what" in editor("propose", code=2).stderr
        listed = json.loads(approver("list", "-o", "json").stdout)
        assert [(d["id"], d["author"], d["comment"]) for d in listed] == [(first, "token editor", "CHG-1")]
        assert first in approver("list").stdout and "CHG-1" in approver("list").stdout

        shown = approver("show", first).stdout
        assert "token editor" in shown and "may reach" in shown and "shop-http" in shown
        assert approver("show", first, "--text").stdout == f"# {new}\n" + POLICY_2
        assert json.loads(approver("show", first, "-o", "json").stdout)["files"][0]["text"] == POLICY_2

        assert "yours is editor" in editor("apply", first, code=5).stderr
        own = admin.propose(str(new))
        assert "four eyes" in admin("apply", own, code=5).stderr
        assert "only token admin" in editor("withdraw", own, code=5).stderr
        assert admin("withdraw", own).stdout == "withdrawn\n"
        said = approver("apply", first, "--confirm", "5m").stdout
        assert said.startswith("applied as revision ") and "confirm within 300 s" in said
        c.cli("confirm")
        assert "shop-http" in c.good("GET", "/policy")["files"][0]["text"]
        assert json.loads(approver("list", "-o", "json").stdout) == []
        assert [e["action"] for e in c.good("GET", "/audit")][:5] == [
            "policy.confirm", "draft.apply", "policy.apply", "draft.withdraw", "draft.propose"]


def test_a_draft_that_something_has_overtaken_is_told_and_cannot_be_applied(tmp_path):
    with started(tmp_path) as c:
        c.apply(POLICY, INVENTORY)
        editor, approver = (Person(c, tmp_path, r) for r in ("editor", "approver"))
        new, ledger = tmp_path / "new.yaml", tmp_path / "ledger.yaml"
        new.write_text(POLICY_2)
        ledger.write_text(INVENTORY + "  db2: {labels: {tier: db}, addresses: [10.20.1.13], enforcers: [host]}\n")
        late, sooner = editor.propose(str(new)), editor.propose("--inventory", str(ledger), "-m", "db2")
        assert "db2" in approver("show", sooner).stdout
        assert approver("apply", sooner, "--yes").stdout.startswith("applied as revision ")
        assert c.good("GET", "/endpoints/db2")["name"] == "db2"
        for verb in ("show", "apply"):
            assert "somebody has changed it meanwhile" in approver(verb, late, code=6).stderr
        assert editor("withdraw", late, "-o", "json").stdout.strip() == "{}"
        assert "it was applied or withdrawn" in editor("show", late, code=4).stderr
        assert "expected a time" in approver("apply", late, "--confirm", "soon", code=2).stderr


def test_a_draft_may_be_as_large_as_what_is_applied(tmp_path):  # noqa: F811
    """More than a body has that is not packed, and more than one value of the store."""
    with started(tmp_path) as c:
        c.apply(POLICY, INVENTORY)
        editor, approver = (Person(c, tmp_path, r) for r in ("editor", "approver"))
        folder = tmp_path / "large"
        folder.mkdir()
        (folder / "i.yaml").write_text(INVENTORY)
        for i in range(10):
            (folder / f"f{i}.yaml").write_text("suimitsu-inventory: 1\nendpoints: {}\n" + f"# {i:>60}\n" * 15000)
        assert sum(f.stat().st_size for f in folder.iterdir()) > 9 << 20
        draft = editor.propose("--inventory", str(folder), "-m", "CHG-9")
        small = editor.propose("--inventory", str(folder / "i.yaml"), "-m", "CHG-10")
        c.kill()
        c.start()
        listed = c.good("GET", "/policy/drafts")
        assert {d["id"] for d in listed} == {draft, small} and not any("files" in d or "inventory" in d for d in listed)
        kept = c.good("GET", f"/policy/drafts/{draft}")
        texts = {f["name"].split("/")[-1]: f["text"] for f in kept["inventory"]}
        assert texts == {f.name: f.read_text() for f in folder.iterdir()}
        editor("withdraw", small)
        approver("apply", draft)
        assert len(c.good("GET", "/inventory")["files"]) == 11 and c.good("GET", "/policy/drafts") == []
