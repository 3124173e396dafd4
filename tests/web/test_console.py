# SPDX-License-Identifier: Apache-2.0
"""The web console in Debian's Chromium, on a real suimitsud with agents that report traffic.

The tests proper are *.test.mjs, run by Node's own runner; `make check` runs the fast ones,
`make check-ui` (SUIMITSU_UI=all) all, with pictures for docs/console when SUIMITSU_PICTURES is set."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from shop_world import DAEMON, PASSWORD, ROOT, ShopWorld

WEB = ROOT / "web"
ALL = os.environ.get("SUIMITSU_UI") == "all"
LONG = ALL or os.environ.get("SUIMITSU_LONG") == "1"
FORBIDDEN = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|dangerouslySet|\beval\(|new Function|srcdoc")


@pytest.fixture(scope="session")
def packages():
    """web/node_modules as the lock file says."""
    if not shutil.which("npm"):
        pytest.skip("no npm: it is needed to build the console and to drive a browser")
    stamp = WEB / "node_modules" / ".package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < (WEB / "package-lock.json").stat().st_mtime:
        done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=WEB, text=True,
                              capture_output=True, timeout=300)
        if done.returncode:
            pytest.skip(f"npm ci failed, offline? {done.stderr.strip().splitlines()[-1:]}")
        stamp.touch()
    return WEB / "node_modules"


@pytest.fixture(scope="session")
def world():
    if os.geteuid() != 0:
        pytest.skip("needs root: starts a daemon that drops it")
    helped = subprocess.run([str(DAEMON), "--help"], capture_output=True, text=True)
    if "--web-dir" not in helped.stdout + helped.stderr:
        pytest.skip("this suimitsud answers no console: it has no --web-dir")
    with tempfile.TemporaryDirectory(prefix="sm-web-") as base:
        os.chmod(base, 0o755)
        shop = ShopWorld(base)
        shop.report(20)
        shop.settle()
        yield shop
        shop.close()


@pytest.fixture(scope="session")
def browser(packages):
    if not shutil.which("chromium"):
        pytest.skip("no chromium")


def node(name, world=None, **env):
    """Runs one file of tests; a line "REPORT n" of it asks the agents for traffic."""
    if world:
        env |= {"CONSOLE_URL": world.controller.address, "CONSOLE_PASSWORD": PASSWORD,
                "CONSOLE_SOCKET": str(world.controller.run_dir / "api.sock")}
    process = subprocess.Popen(["node", str(pathlib.Path(__file__).parent / name)], text=True,
                               env={**os.environ, **env}, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    said = []
    for line in process.stdout:
        said.append(line)
        if m := re.match(r"(?:# )?REPORT (\d+)", line):
            world.report(int(m[1]))
    assert process.wait(120) == 0, "".join(said)
    return "".join(said)


def test_the_built_files_are_what_the_sources_give(packages, tmp_path):
    done = subprocess.run(["node", "build.mjs", str(tmp_path / "dist")], cwd=WEB, text=True,
                          capture_output=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr

    def content(folder):
        return {p.name: p.read_bytes() for p in folder.iterdir()}
    ours, new = content(WEB / "dist"), content(tmp_path / "dist")
    assert sorted(ours) == sorted(new)
    assert [n for n in ours if ours[n] != new[n]] == []


def test_nothing_makes_elements_out_of_text():
    found = [f"{p.relative_to(ROOT)}:{i}" for p in sorted((WEB / "src").rglob("*.js"))
             for i, line in enumerate(p.read_text().splitlines(), 1) if FORBIDDEN.search(line)]
    assert found == []
    page = (WEB / "src" / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style| on\w+=| style=", page)


def test_the_lock_file_names_no_registry():
    lock = (WEB / "package-lock.json").read_text()
    assert "resolved" not in lock and "http" not in re.sub(r'"(url|funding)": .*', "", lock)


def test_parts_that_need_no_browser(packages):
    node("pure.test.mjs")


def test_every_view(browser, world):
    node("screens.test.mjs", world, CONSOLE_QUICK="" if ALL else "1",
         **({"CONSOLE_PICTURES": os.environ["SUIMITSU_PICTURES"]}
            if "SUIMITSU_PICTURES" in os.environ else {}))


def test_what_people_do_with_it(browser, world):
    node("work.test.mjs", world, CONSOLE_QUICK="" if LONG else "1")


def test_hostile_strings_stay_strings(browser, world):
    print(node("canaries.test.mjs", world))
