"""The unit files, checked by systemd itself; systemd does not run here."""
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "packaging").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.name)
def test_systemd_accepts_the_unit(unit, tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    text = unit.read_text()
    # Not installed here: the programs stand in the build folder, and there are no man pages.
    text = re.sub(r"/usr/s?bin/(suimitsu\S*)", rf"{ROOT}/build/bin/\1", text)
    text = re.sub(r"^Documentation=man:.*\n", "", text, flags=re.M)
    copy = tmp_path / unit.name
    copy.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True,
                          text=True)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
    assert done.returncode == 0 and not ours, done.stdout + done.stderr


def test_there_is_a_unit_for_each_daemon():
    assert {u.name for u in UNITS} >= {"suimitsud.service", "suimitsu-agent.service"}
