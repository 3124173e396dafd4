# SPDX-License-Identifier: Apache-2.0
"""A real agent whose connection is cut comes back by the ticket of its session, and by a full handshake
where the controller does not know the ticket any more."""
import os
import re
import subprocess
import sys

import pytest
import yaml
from labkit import Control, Lab, World, binary, inventory
from labkit.system import PATIENCE, wait_for

WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  control: {labels: {role: controller}, bridge: lan, addresses: [10.77.0.9, "fd77::9"]}
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"], agent: true}
"""

POLICY = """\
suimitsu: 1
groups:
  clients: {match: {role: client}}
mode: {default: learn}
allow:
  - {id: to-itself, from: clients, to: clients, service: tcp/%d, why: test, owner: test}
"""

# Between them: what it accepts goes on to the controller; a line on standard input cuts all of it.
RELAY = """
import asyncio, sys

writers = set()

async def pass_on(reader, writer):
    writers.add(writer)
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    writer.transport.abort()
    writers.discard(writer)

async def accept(reader, writer):
    try:
        there, back = await asyncio.open_connection(*sys.argv[2].rsplit(":", 1))
    except OSError:
        return writer.transport.abort()
    await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

async def main():
    server = await asyncio.start_server(accept, *sys.argv[1].rsplit(":", 1))
    print("ready", flush=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while await lines.readline():
        for writer in list(writers):
            writer.transport.abort()
    server.close()

asyncio.run(main())
"""


class Relay:
    def __init__(self, host, target):
        self.address = target.rsplit(":", 1)[0] + ":7999"
        self.process = host.popen([sys.executable, "-c", RELAY, self.address, target], text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout.readline() == "ready\n"

    def cut(self):
        self.process.stdin.write("cut\n")
        self.process.stdin.flush()

    def end(self):
        self.process.stdin.close()
        self.process.wait(20 * PATIENCE)
        self.process.stdout.close()


class Site:
    def __init__(self, lab):
        self.lab, self.control, self.a, self.port = lab, Control(lab), lab["a"], 7000
        self.control.start()
        ledger = inventory(lab.world)
        ledger["endpoints"]["a"]["enforcers"] = ["nft"]
        self.control.apply_inventory(yaml.safe_dump(ledger))
        self.relay = Relay(lab["control"], self.control.address)
        token = self.control.cli("token", "create", "a", "--valid", "10m").stdout
        self.a.run(binary("suimitsu-agent"), "enroll", "--controller", self.relay.address, "--token-file", "-",
                   stdin=token)
        self.a.start("agent", [binary("suimitsu-agent"), "run", "--enforcer", "nft", "--instance", self.a.namespace,
                               "--controller", self.relay.address])
        self.control.wait_enforced()
        self.settle()

    def settle(self):
        """The agent has taken what the controller sent on this connection: its ticket, and behind that a revision."""
        self.port += 1
        path = self.lab.folder / "policy.yaml"
        path.write_text(POLICY % self.port)
        self.control.apply(path)

    def connections(self):
        """Of each that the agent has logged: whether its session was resumed."""
        log = self.a.path("var/log/agent.log").read_text(errors="replace")
        return [bool(m[1]) for m in re.finditer(r"connected to the controller at \S+?( \(session resumed\))?\n", log)]


@pytest.fixture(scope="module")
def site():
    with Lab(World("resume", WORLD), f"sm-r{os.getpid() % 10000}-") as lab:
        site = Site(lab)
        yield site
        site.relay.end()


def comes_back(site):
    """Cuts the connection, and waits for the next one that the agent tells of."""
    before = len(site.connections())
    site.relay.cut()
    wait_for(lambda: len(site.connections()) > before, 60, "the agent to come back")
    site.settle()
    return site.connections()[before]


def test_an_agent_whose_connection_was_cut_comes_back_by_its_ticket(site):
    assert not site.connections()[0]
    assert comes_back(site) and comes_back(site)  # The second by the ticket of a resumed session.


def test_a_controller_that_was_started_again_knows_no_ticket_and_takes_the_agent_all_the_same(site):
    before = len(site.connections())
    site.lab.stop_program("control", "suimitsud")
    site.control.start()
    wait_for(lambda: len(site.connections()) > before, 60, "the agent to come back")
    site.settle()
    assert not site.connections()[before]
    assert comes_back(site)
