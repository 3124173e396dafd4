# SPDX-License-Identifier: Apache-2.0
"""lab/lab as somebody types it: a small world of its own, from up to down, and its refusals."""
import os
import shutil
import subprocess
import tempfile

import pytest
import yaml
from labkit.system import NETNS, PATIENCE, ROOT, cgroup_root

NAME = f"c{os.getpid() % 10000}"
HOST, OTHER = f"{NAME}a", f"{NAME}b"
# lan 10.78.9.0/24 fd78:9::/64:   HOST .1 --+-- OTHER .2
WORLD = f"""\
suimitsu-lab: 1
bridges:
  lan: {{v4: 10.78.9.254/24, v6: "fd78:9::fe/64"}}
hosts:
  {HOST}: {{labels: {{kind: pc}}, bridge: lan, addresses: [10.78.9.1, "fd78:9::1"], agent: true}}
  {OTHER}:
    bridge: lan
    addresses: [10.78.9.2, "fd78:9::2"]
    programs: [{{kind: share}}]
users:
  alice: {{groups: [staff]}}
"""


def lab(*words, cwd=ROOT):
    done = subprocess.run([ROOT / "lab" / "lab", *words], cwd=cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60 * PATIENCE)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    path = tmp_path_factory.mktemp("world") / f"{NAME}.yaml"
    path.write_text(WORLD)
    code, out, err = lab("up", str(path))
    try:
        assert code == 0, err
        assert "is up: 2 hosts" in out
        yield str(path)
    finally:
        lab("down", str(path))


def test_exec_runs_a_command_inside_the_host_and_returns_its_code(world):
    assert lab("exec", HOST, "--", "hostname") == (0, f"{HOST}\n", "")
    assert lab("exec", HOST, "--", "sh", "-c", "exit 7")[0] == 7
    assert lab("exec", "--user", "alice", HOST, "--", "id", "-un")[1] == "alice\n"
    code, out, _ = lab("exec", HOST, "--", "curl", "-s", f"http://{OTHER}:8080/budget.txt")
    assert code == 0 and out == f"The budget of {OTHER}.\n"


def test_status_shows_hosts_addresses_and_programs(world):
    code, out, _ = lab("status")
    line = next(x for x in out.splitlines() if x.split()[:1] == [OTHER])
    assert code == 0 and line.split() == [OTHER, "up", "10.78.9.2", "fd78:9::2", "share"]


def test_inventory_is_yaml_that_the_policy_reader_takes(world):
    code, out, _ = lab("inventory", world)
    assert code == 0
    assert yaml.safe_load(out)["endpoints"][HOST]["enforcers"] == ["host"]


@pytest.mark.parametrize("words, said", [
    (("up", "no-such-world"), "there are: plant, shop"),
    (("exec", "no-such-host", "--", "true"), "no running world has a host 'no-such-host'"),
    (("exec", HOST), "which command?"),
    (("exec", HOST, "--", "no-such-program"), "no program no-such-program"),
    (("exec", "--user", "nemo", HOST, "--", "true"), "has no user 'nemo'"),
])
def test_what_cannot_be_done_is_said_with_exit_code_1(world, words, said):
    code, _, err = lab(*words)
    assert code == 1 and err.startswith("lab: ") and said in err and err.count("\n") == 1


def test_up_of_a_running_world_says_how_to_go_on(world):
    code, _, err = lab("up", world)
    assert code == 1 and "is up already" in err and "lab/lab down" in err


def test_wrong_usage_is_exit_code_2_and_help_is_0():
    assert lab("sideways")[0] == 2
    code, out, _ = lab("--help")
    assert code == 0 and "inventory" in out


def test_without_root_it_says_so(world):
    with tempfile.TemporaryDirectory() as folder:  # The checkout may be where only root can read.
        os.chmod(folder, 0o755)
        shutil.copytree(ROOT / "lab", f"{folder}/lab")
        done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", "/usr/bin/python3",
                               "-B", f"{folder}/lab/lab", "up", "shop"], stderr=subprocess.PIPE,
                              text=True, timeout=60 * PATIENCE)
    assert done.returncode == 1 and "run it as root" in done.stderr


def test_down_leaves_nothing_and_may_be_said_twice(world):
    """Last in the file."""
    for _ in range(2):
        assert lab("down", world)[0] == 0
    assert not (NETNS / f"sm-{HOST}").exists() and not (NETNS / f"sm-net-{NAME}").exists()
    assert not (cgroup_root() / "suimitsu-lab" / f"sm-{HOST}").exists()
    assert lab("exec", HOST, "--", "true")[0] == 1
