# SPDX-License-Identifier: Apache-2.0
"""The console on the running lab: real programs, real agents, a browser on the controller's host."""
import os
import pathlib
import re
import stat
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))
from labkit import Control, Lab, inventory  # noqa: E402
from test_console import browser, packages  # noqa: E402,F401

PASSWORD = "a long test passphrase"
HERE = pathlib.Path(__file__).resolve().parent
pytestmark = [
    pytest.mark.skipif(os.environ.get("SUIMITSU_UI") != "all", reason="only in make check-ui"),
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: network namespaces"),
    pytest.mark.usefixtures("browser"),
]


@pytest.fixture
def shop():
    lab = Lab("shop", f"sm-w{os.getpid() % 10000}-")
    try:
        lab.up()
        control = Control(lab)
        control.start()
        control.apply_inventory(yaml.safe_dump(inventory(lab.world)))
        for host in control.agent_hosts():
            control.enroll(host)
        control.wait_enforced()
        control.apply(ROOT / "lab" / "worlds" / "shop.policy.yaml")
        control.api("POST", "/accounts", {"name": "mika", "role": "admin", "password": PASSWORD})
        yield lab, control
    finally:
        lab.down()


def reads_the_web(lab):
    return lab["pc1"].run("curl", "-sk", "--max-time", "3", f"https://{lab['web1'].address()}/",
                          check=False).returncode == 0


def test_the_console_shows_the_lab_and_quarantines_in_it(shop):
    lab, control = shop
    assert reads_the_web(lab)
    pictures = os.environ.get("SUIMITSU_PICTURES")
    done = lab["control"].run(
        "node", HERE / "lab.test.mjs", timeout=300, check=False,
        env={"CONSOLE_URL": "https://127.0.0.1:7442/ui/", "CONSOLE_PASSWORD": PASSWORD,
             **({"CONSOLE_PICTURES": str(ROOT / pictures)} if pictures else {})})
    assert done.returncode == 0, done.stdout + done.stderr
    assert control.api("GET", "/endpoints/pc1")["trust"] == "black"
    assert not reads_the_web(lab)


@pytest.fixture
def demo():
    """The demo as `make demo` runs it; what it printed."""
    prefix = f"sm-d{os.getpid() % 10000}-"
    try:
        done = subprocess.run([ROOT / "lab" / "demo", "--prefix", prefix], text=True, capture_output=True, timeout=400)
        assert done.returncode == 0, done.stdout + done.stderr
        yield prefix, done.stdout
    finally:
        ended = subprocess.run([ROOT / "lab" / "demo", "--stop", "--prefix", prefix], text=True, capture_output=True, timeout=120)
    assert ended.returncode == 0, ended.stderr


def test_the_demo_prints_a_login_and_its_story_can_be_replayed(demo):
    prefix, said = demo
    address, name, password = re.search(r"the web console: (\S+) .*\n\s+name (\S+)  password (\S+)", said).groups()
    kept = Lab("shop", prefix).folder / "console-login"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert f"password {password}\n" in kept.read_text()
    story = re.search(r"The story on the map: \S+#/(\S+)", said)[1]
    pictures = os.environ.get("SUIMITSU_PICTURES")
    done = subprocess.run(
        ["node", HERE / "story.test.mjs"], text=True, capture_output=True, timeout=300,
        env={**os.environ, "CONSOLE_URL": address, "CONSOLE_NAME": name, "CONSOLE_PASSWORD": password, "STORY_ADDRESS": story,
             **({"CONSOLE_PICTURES": str(ROOT / pictures)} if pictures else {})})
    assert done.returncode == 0, done.stdout + done.stderr
