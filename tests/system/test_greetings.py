"""Agents that come and get their whole programs keep nobody else from shaking hands."""
import concurrent.futures
import contextlib
import os
import pathlib
import socket
import ssl
import sys

import pytest
from rounds import EPOLL, rounds
from test_controller import tmp_path  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))
from life.live import Daemon, Swarm  # noqa: E402

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not EPOLL, reason="stops a daemon at its system calls")

ENDPOINTS, AGENTS = 20000, 40
A_ROUND = 2 * (64 << 10) + 8192  # Bytes to one agent: twice CHANNEL_AT_ONCE, and what TLS adds.
A_RECORD = 1 << 14               # Of TLS: more than any answer but a program.
ROUNDS = 4                       # One to accept it, one to answer it, and those that they begin in.


class Stranger:
    """Begins to shake hands; never waits."""

    def __init__(self, port):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.come, self.go = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.come, self.go)
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        assert not self.is_done()

    def is_done(self):
        """Whether the controller has done its part; it looks at what has come."""
        with contextlib.suppress(BlockingIOError):
            self.come.write(self.socket.recv(1 << 16))
        try:
            self.tls.do_handshake()
            return True
        except ssl.SSLWantReadError:
            self.socket.send(self.go.read())
            return False

    def end(self):
        self.socket.close()


@pytest.fixture
def newcomers(tmp_path):  # noqa: F811
    """A controller with a large inventory, and agents that have enrolled and not come yet."""
    daemon = Daemon(tmp_path, "--enrolments-per-minute", "1000000")
    swarm = Swarm(daemon)
    daemon.revision = daemon.apply("suimitsu: 1\n", [
        "suimitsu-inventory: 1\nendpoints:\n" + "".join(
            f"  e{i}: {{addresses: [10.1.{i >> 8}.{i & 255}, 'fd00::{i:x}'], enforcers: host}}\n"
            for i in range(first, first + 10000)) for first in range(0, ENDPOINTS, 10000)])
    for i in range(AGENTS):
        swarm.say(f"enrol e{i} {daemon.token(f'e{i}')}")
    swarm.ask("settle 0")
    yield daemon, swarm
    assert (swarm.end(), daemon.end()) == (0, 0)


def test_greetings_delay_no_handshake_of_others(newcomers):
    daemon, swarm = newcomers
    written, taken = {}, []  # Rounds of the loop that each handshake took.

    def come():
        swarm.say("connect")
        return swarm.ask(f"settle {daemon.revision}")

    with concurrent.futures.ThreadPoolExecutor(1) as apart:
        all_have = apart.submit(come)
        stranger, begun, before = None, 0, 0
        for n in rounds(daemon.process.pid, written, all_have.done):
            if stranger and stranger.is_done():
                taken.append(n - begun)
                stranger.end()
                stranger = None
            if not stranger and any(size > A_RECORD for (r, _), size in written.items() if r == n):
                stranger, begun = Stranger(daemon.agents_port), n  # While programs are being written.
        if stranger:
            stranger.end()
        assert all_have.result()["settled"] == AGENTS
    assert sum(written.values()) > AGENTS * ENDPOINTS * 40  # They were whole ones.
    assert len(taken) >= 3 and max(taken) <= ROUNDS
    assert max(written.values()) <= A_ROUND
