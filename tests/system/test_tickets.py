# SPDX-License-Identifier: Apache-2.0
"""Sessions that are taken up again: by whom, and by whom not.  src/sys/tickets.h tells why."""
import signal
import socket
import sys

from test_controller import (INVENTORY, POLICY, ROOT, agent, controller, pb, pytestmark,  # noqa: F401
                             tmp_path, until)

sys.path.insert(0, str(ROOT / "lab"))
from life.live import Daemon, Swarm  # noqa: E402

WITHOUT_WEB1 = "".join(line for line in INVENTORY.splitlines(True) if "web1" not in line)


def cut(agent):
    """Ends the connection as a broken wire does; the session that it leaves."""
    session = agent.sock.session
    assert session.has_ticket
    agent.before = agent.sock  # OpenSSL spoils the session of a connection that it forgets without a farewell.
    socket.socket.shutdown(agent.sock, socket.SHUT_RDWR)
    until(lambda: agent.controller.enforcer(agent.endpoint)["state"] == "INACTIVE")
    return session


def test_an_agent_comes_back_by_its_ticket_again_and_again(agent):
    agent.start()
    assert not agent.sock.session_reused
    for _ in range(3):
        agent.connect(session=cut(agent))
        assert agent.sock.session_reused
        agent.hello()
        assert agent.expect("confirm").revision == agent.running  # It is known, and current.
        assert agent.controller.enforcer("web1")["state"] == "ACTIVE"


def test_a_retired_endpoint_does_not_come_back_by_a_ticket(agent):
    agent.start()
    session = cut(agent)
    assert agent.controller.apply(inventory=WITHOUT_WEB1)[0] == 200
    agent.connect(session=session)
    assert not agent.sock.session_reused
    agent.hello()
    assert agent.expect("refused").reason == 12


def test_a_certificate_that_enrolment_replaced_does_not_come_back_by_a_ticket(agent):
    agent.start()
    session, context = cut(agent), agent.context
    assert agent.enrol()[0] == "enrolled"
    agent.context = context  # With the certificate of before.
    agent.connect(session=session)
    assert not agent.sock.session_reused
    assert agent.expect("refused").reason == 12


def test_a_renewed_certificate_ends_the_tickets_of_the_one_before(agent):
    agent.start()
    agent.send(renew=agent.pb.Renew(csr=agent.request()))
    agent.expect("certificate")
    agent.connect(session=cut(agent))
    assert not agent.sock.session_reused
    agent.hello()
    assert agent.expect("confirm").revision == agent.running  # It still counts, with a signature.


def test_a_ticket_of_another_run_costs_a_full_handshake_and_nothing_else(agent):
    agent.start()
    session = cut(agent)
    agent.controller.kill(signal.SIGTERM)
    agent.controller.start()
    agent.connect(session=session)
    assert not agent.sock.session_reused
    agent.hello()
    agent.acknowledge(agent.expect("snapshot").program.revision)
    agent.connect(session=cut(agent))
    assert agent.sock.session_reused


def test_a_stranger_is_given_no_ticket(agent):
    agent.connect(certificate=False)
    agent.send(enroll=agent.pb.Enroll(token="smt1.nonsense", csr=agent.request(), version=1))
    assert agent.expect("refused").reason == 11
    assert not agent.sock.session.has_ticket


def test_all_of_a_swarm_come_back_by_tickets(tmp_path):
    daemon = Daemon(Daemon.folder_of(tmp_path / "d"))
    swarm = Swarm(daemon)
    inventory = "".join(f"  e{i}: {{labels: {{r: a}}, addresses: 10.0.0.{i + 1}, enforcers: host}}\n" for i in range(20))
    revision = daemon.apply(POLICY, ["suimitsu-inventory: 1\nendpoints:\n" + inventory])
    for i in range(20):
        swarm.say(f"enrol e{i} {daemon.token(f'e{i}')}")
    swarm.say("connect")
    swarm.ask(f"settle {revision}")

    def come_back():
        """How many came back, and how many of them by a ticket."""
        before = swarm.ask("state")
        assert swarm.ask("drop")["dropped"] == 20
        swarm.ask(f"settle {revision}")
        after = swarm.ask("state")
        return after["connects"] - before["connects"], after["resumed"] - before["resumed"]
    came, resumed = come_back()
    assert came >= 20 and resumed == came
    swarm.say("forget-tickets")
    came, resumed = come_back()
    assert came - resumed >= 20
    assert (swarm.end(), daemon.end()) == (0, 0)
