"""A pretend enterprise lived by simulated agents over the real protocol: what the history holds is the truth."""
import contextlib
import os
import pathlib
import socket
import sys
import tempfile
import time

import pytest
from test_controller import PATIENCE_S, tmp_path, until  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))
from life import Days, Enterprise  # noqa: E402
from life.live import FAKETIME, Daemon, Life, Swarm  # noqa: E402

MONDAY = 1793577600  # 2026-11-02
LONG = bool(os.environ.get("SUIMITSU_LONG"))
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")


# Endpoints, hours, mode, and how many have an agent (None: all that should).
WORLDS = [(2000, 168, "enforce", None), (1000, 26, "test", 200)] if LONG else [(80, 26, "test", None), (60, 3, "enforce", 12)]


@pytest.fixture(params=WORLDS, ids=lambda w: f"{w[0]}-{w[3] or 'all'}")
def lived(request, tmp_path):  # noqa: F811
    if not os.path.exists(FAKETIME):
        pytest.skip("package faketime is not installed")
    size, hours, mode, agents = request.param
    life = Life(Days(Enterprise(4, size, hours, MONDAY, mode)), tmp_path, agents)
    try:
        yield life.live()
    finally:
        ended = life.end()
    assert ended == (0, 0)


def test_every_connection_is_in_the_history_with_the_names_of_then_and_the_verdict_of_its_truth(lived):
    assert lived.world.changes and any(len(e.places) > 1 or e.died for e in lived.world.endpoints)
    assert lived.differences() == {}
    status = lived.daemon.api("GET", "/status")
    history = status["history"]
    assert (history["lost_records"], history["lost_batches"], history["duplicates"]) == (0, 0, 0)
    assert status["enforcers"]["current"] == status["enforcers"]["expected"] == len(lived.known)
    agents = lived.swarm.ask("state")
    assert agents["refused"] == agents["failures"] == 0 and agents["deltas"] > 0

    # Edges count what both ends told once.
    total, cursor = 0, MONDAY
    while cursor < lived.world.end:
        upto = cursor + 3600 * (1 if LONG else 6)
        when = "&".join(f"{k}=" + time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(v))
                        for k, v in (("since", cursor), ("until", upto)))
        answer = lived.daemon.api("GET", f"/edges?max=10000&verdict=allow&{when}")
        assert answer["total"] <= 10000 and answer["incomplete"] == []
        total += sum(e["count"] for e in answer["edges"])
        cursor = upto
    assert total == lived.allowed

    # The truth is nowhere in what the controller keeps.
    for path in (lived.folder / "state").rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        assert not any(word in data for word in (b"quiet-beacon", b"borrowed-keys", b"misconfiguration", b"stray-link"))


@pytest.fixture(scope="module")
def many():
    """A controller and agents of its own, in real time; how many agents it has."""
    with tempfile.TemporaryDirectory(prefix="sm-test-") as folder:
        yield from live_with_many(Daemon.folder_of(folder), 1000 if LONG else 200)


def live_with_many(folder, n):
    daemon = Daemon(folder, "--enrolments-per-minute", "100000")
    swarm = Swarm(daemon)
    daemon.revision = daemon.apply("suimitsu: 1\n", [
        "suimitsu-inventory: 1\nendpoints:\n"
        + "".join(f"  e{i}: {{addresses: 10.1.{i >> 8}.{i & 255}, enforcers: host}}\n" for i in range(n))])
    for i in range(n):
        swarm.say(f"enrol e{i} {daemon.token(f'e{i}')}")
    swarm.say("connect")
    assert swarm.ask(f"settle {daemon.revision}")["settled"] == n
    yield daemon, swarm, n
    assert (swarm.end(), daemon.end()) == (0, 0)


def test_all_agents_come_back_from_a_storm_and_a_change_reaches_all(many):
    daemon, swarm, n = many
    swarm.ask("mark")
    assert swarm.ask("drop")["dropped"] == n
    assert swarm.ask("settle 0")["settled"] == n
    until(lambda: daemon.api("GET", "/status")["enforcers"]["current"] == n)
    state = swarm.ask("state")
    assert state["refused"] == 0 and state["snapshots"] == n  # What they run is right: nothing is sent again.
    enforcers = daemon.api("GET", "/enforcers")
    assert {e["name"] for e in enforcers if e["state"] == "ACTIVE"} == {f"e{i}" for i in range(n)}
    swarm.ask("mark")
    revision = daemon.apply("suimitsu: 1\ngroups: {some: {members: [e1, e2]}}\nallow:\n"
                            "  - {id: r, from: some, to: some, service: tcp/80, why: w, owner: o}\n")
    assert len(swarm.ask(f"settle {revision}")["acks_us"]) == n
    state = swarm.ask("state")
    assert (state["snapshots"], state["deltas"]) == (n, n)  # What they came back with is known to be the base.


def test_silent_strangers_beyond_the_limit_keep_no_agent_out(many):
    daemon, swarm, n = many
    with contextlib.ExitStack() as open_ones:
        silent = [open_ones.enter_context(socket.create_connection(("127.0.0.1", daemon.agents_port))) for _ in range(300)]
        swarm.ask("drop")
        assert swarm.ask("settle 0")["settled"] == n
        until(lambda: daemon.api("GET", "/status")["enforcers"]["connected"] == n)
        assert daemon.api("GET", "/status")["counters"]["refused_connections"] >= 1
        assert len(silent) == 300


def test_enrolments_are_limited_unless_the_settings_say_otherwise(tmp_path):  # noqa: F811
    daemon = Daemon(tmp_path, "--enrolments-per-minute", "3")
    try:
        daemon.apply("suimitsu: 1\n", ["suimitsu-inventory: 1\nendpoints:\n"
                                      + "".join(f"  e{i}: {{addresses: 10.1.0.{i}, enforcers: host}}\n" for i in range(9))])
        swarm = Swarm(daemon)
        for i in range(9):
            swarm.say(f"enrol e{i} {daemon.token(f'e{i}')}")
        swarm.say("settle 0")
        swarm.process.stdin.flush()
        assert swarm.process.wait(PATIENCE_S) == 1
        assert "too many enrolments this minute" in swarm.process.stderr.read()
    finally:
        assert daemon.end() == 0
