# SPDX-License-Identifier: Apache-2.0
"""The demo from its first line to its last, beside whatever else runs, and nothing stays behind."""
import os
import re
import subprocess
import time

import pytest
from labkit import Lab
from labkit.system import PATIENCE, ROOT, wait_for

PREFIX = f"sm-d{os.getpid() % 10000}-"
LIMIT_S = 90  # On an idle machine.
WORLDS = ("shop", "plant")


@pytest.fixture(scope="module")
def output():
    start = time.monotonic()
    done = subprocess.run([ROOT / "lab" / "demo", "--prefix", PREFIX], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300 * PATIENCE)
    took = time.monotonic() - start
    try:
        assert done.returncode == 0, done.stdout
        yield done.stdout, took
    finally:
        for world in WORLDS:
            Lab(world, PREFIX).down()


def test_the_demo_measures_flat_then_watertight(output):
    text, _ = output
    tables = [(int(a), int(b)) for a, b in re.findall(r"(\d+) of (\d+) paths are open", text)]
    assert len(tables) == 2
    assert tables[0][0] == tables[0][1] >= 60
    assert tables[1] == (8, tables[0][1])


def test_the_demo_shows_the_denied_program_and_says_why(output):
    text, _ = output
    assert "PermissionError" in text
    assert "shop-db" in text and "/opt/shop/bin/orders" in text


def test_the_demo_cuts_the_live_session_of_a_suspect(output):
    text, _ = output
    assert int(re.search(r"was cut (\d+) ms after", text)[1]) < 5000 * PATIENCE
    assert "pc1 now reaches: fix1:443 " in text
    assert "released; pc1 reads web1 again" in text


def test_the_demo_goes_through_the_hole_of_the_press_and_then_does_not(output):
    text, _ = output
    plant = text[text.index("6. A plant"):]
    assert re.search(r"hop 1  plc1 +from pc9 by tcp/502, through its hole", plant)
    assert "by program 666" in plant
    after = plant[plant.index("plant.policy.yaml is applied"):]
    assert "from pc9, as root: 1 of 4 hosts" in after and "no hop plc1" in after
    assert int(re.search(r"(\d+) answers", after)[1]) > 4 and "the press at 60 kN" in after
    assert re.search(r"from eng1, the engineer: ok", after) and "only read: exception" in after


def test_the_demo_takes_less_than_ninety_seconds(output):
    assert output[1] < LIMIT_S * PATIENCE


def test_the_five_commands_to_try_work(output):
    """One of them shows what was denied in the last minute: something is, however long ago the demo's own denials are."""
    text, _ = output
    commands = re.findall(r"sudo (lab/lab exec control -- .*)", text)
    assert len(commands) == 5
    denied = Lab("shop", PREFIX)["web1"].run("/usr/bin/python3", "-c", "import socket; socket.create_connection(('db1', 5432), 3)",
                                             check=False)
    assert "PermissionError" in denied.stderr

    def says(words):
        done = subprocess.run([ROOT / words[0], *words[1:]], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60 * PATIENCE)
        assert done.returncode in (0, 1), (words, done.stdout)
        return done.stdout.strip()
    for command in commands:
        words = command.replace("exec control", "exec --prefix " + PREFIX + " control").split()
        wait_for(lambda words=words: says(words), 20, f"{command} to say something")


def test_a_second_demo_is_refused_and_leaves_the_first_alone(output):
    done = subprocess.run([ROOT / "lab" / "demo", "--prefix", PREFIX], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * PATIENCE)
    assert done.returncode == 1 and "demo-stop" in done.stdout
    assert Lab("shop", PREFIX)["web1"].holder()


def test_demo_stop_leaves_nothing(output):
    done = subprocess.run([ROOT / "lab" / "demo", "--stop", "--prefix", PREFIX],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60 * PATIENCE)
    assert done.returncode == 0, done.stdout
    assert [Lab(world, PREFIX).leftovers() for world in WORLDS] == [[], []]
