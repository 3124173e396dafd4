"""suimitsud as its users and agents meet it: real daemon, real TLS, a simulated agent in Python."""
import contextlib
import gzip
import http.client
import json
import os
import pathlib
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import time

import flow_columns
import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SUIMITSU_BUILD", ROOT / "build"))
DAEMON = BUILD / "src/controller/suimitsud"
CLI = BUILD / "src/cli/suimitsu"

INVENTORY = """suimitsu-inventory: 1
endpoints:
  web1: {labels: {tier: web}, addresses: [10.20.1.11, "fd00:20::11"], enforcers: [host]}
  db1: {labels: {tier: db}, addresses: [10.20.1.12], enforcers: [host]}
  pc1: {labels: {kind: pc}, addresses: [10.20.3.11], enforcers: [host]}
"""
POLICY = """suimitsu: 1
groups:
  web: {match: {tier: web}}
  db: {match: {tier: db}}
services:
  postgres: [tcp/5432]
allow:
  - {id: shop-db, from: web, to: db, service: postgres, why: orders, owner: shop}
"""
PATIENCE_S = 120  # Says when to give up, and is no measure of speed: a machine may be busy with much else.
POLICY_2 = POLICY + "  - {id: shop-http, from: any, to: web, service: tcp/80, why: shop, owner: shop}\n"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")


@pytest.fixture(scope="session")
def pb(tmp_path_factory):
    """The protocol, compiled for Python from the file that the daemon is compiled from."""
    out = tmp_path_factory.mktemp("pb")
    subprocess.run(["protoc", f"--proto_path={ROOT}/src/wire", f"--python_out={out}", "agent.proto"],
                   check=True)
    sys.path.insert(0, str(out))
    import agent_pb2
    return agent_pb2


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("suimitsud", timeout=PATIENCE_S)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self.path)


def hold_port():
    """A socket that is bound and does not listen: its port stays ours while no daemon of ours is up."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # A daemon may listen beside it.
    s.bind(("127.0.0.1", 0))
    return s


class Controller:
    def __init__(self, base):
        self.base, self.state, self.run_dir = base, base / "state", base / "run"
        self.held = [hold_port(), hold_port()]
        self.agents_port, self.api_port = (s.getsockname()[1] for s in self.held)
        self.process = None

    def command(self, *more):
        return [str(DAEMON), "--user", "nobody", "--state-dir", str(self.state), "--run-dir",
                str(self.run_dir), "--listen-agents", f"127.0.0.1:{self.agents_port}",
                "--listen-api", f"127.0.0.1:{self.api_port}", *more]

    def start(self):
        self.process = subprocess.Popen(self.command(), stderr=subprocess.PIPE, text=True)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if m := re.search(r"ready: agents at \S+:(\d+), API at \S+:(\d+) ", line):
                self.agents_port, self.api_port = int(m[1]), int(m[2])
                return self
        raise AssertionError("not ready: " + "".join(said))

    def kill(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        self.process.stderr.close()
        return self.process.wait(PATIENCE_S)

    def ask(self, method, path, body=None, headers=None, connection=None):
        c = connection or UnixConnection(self.run_dir / "api.sock")
        with contextlib.closing(c):
            c.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None,
                      headers or {})
            r = c.getresponse()
            text = r.read()
            is_json = "json" in (r.headers.get("Content-Type") or "")
            return r.status, json.loads(text) if is_json else text, r.headers.get("ETag")

    def https(self, method, path, token=None, body=None):
        context = ssl.create_default_context(cadata=(self.state / "ca.crt").read_text())
        c = http.client.HTTPSConnection("127.0.0.1", self.api_port, context=context,
                                        timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.ask(method, path, body, headers, c)

    def good(self, *args, **kw):
        status, body, _ = self.ask(*args, **kw)
        assert status == 200, body
        return body

    def apply(self, policy=None, inventory=None, **more):
        body = dict(more)
        if policy is None:
            body["files"] = [{"name": "inventory.yaml", "text": inventory}]
            return self.ask("PUT", "/inventory", body, {"If-Match": "*"})
        body["files"] = [{"name": "shop.yaml", "text": policy}]
        if inventory:
            body["inventory"] = [{"name": "inventory.yaml", "text": inventory}]
        return self.ask("PUT", "/policy", body, {"If-Match": "*"})

    def token(self, endpoint):
        return self.good("POST", "/tokens", {"kind": "enroll", "endpoint": endpoint})["token"]

    def enforcer(self, name):
        return self.good("GET", f"/enforcers/{name}")

    def cli(self, *args, code=0, **kw):
        done = subprocess.run([str(CLI), *args, "--socket", str(self.run_dir / "api.sock")],
                              capture_output=True, text=True, timeout=PATIENCE_S, **kw)
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done


@pytest.fixture
def tmp_path():
    """Pytest's own is closed to the unprivileged user that the daemon becomes."""
    with tempfile.TemporaryDirectory(prefix="sm-test-") as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


@pytest.fixture
def controller(tmp_path):
    c = Controller(tmp_path).start()
    yield c
    if c.process.poll() is None:
        c.process.send_signal(signal.SIGTERM)
        said = c.process.stderr.read()
        assert c.process.wait(PATIENCE_S) == 0, said  # A leak or worse under a sanitizer fails too.


def until(condition, seconds=PATIENCE_S):
    """Waits for something that only polling can see."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if got := condition():
            return got
        time.sleep(0.05)
    raise AssertionError("did not happen in time")


class Agent:
    """One end of the agent protocol, as docs/protocol.md tells it."""

    def __init__(self, pb, controller, folder, endpoint):
        self.pb, self.controller, self.endpoint = pb, controller, endpoint
        self.key, self.crt = folder / f"{endpoint}.key", folder / f"{endpoint}.crt"
        self.sock = None

    def request(self):
        done = subprocess.run(
            ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", str(self.key), "-subj", "/CN=whatever"],
            check=True, capture_output=True, text=True)
        return done.stdout

    def connect(self, certificate=True, session=None):
        """'session': of the connection before, to be taken up again."""
        if session is None:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.context.minimum_version = ssl.TLSVersion.TLSv1_3
            self.context.load_verify_locations(str(self.controller.state / "ca.crt"))
            if certificate:
                self.context.load_cert_chain(str(self.crt), str(self.key))
        raw = socket.create_connection(("127.0.0.1", self.controller.agents_port),
                                       timeout=PATIENCE_S)
        self.sock = self.context.wrap_socket(raw, server_hostname="suimitsud", session=session)
        return self

    def send(self, **body):
        data = self.pb.Message(**body).SerializeToString()
        self.sock.sendall(struct.pack(">I", len(data)) + data)

    def read(self, n):
        data = b""
        while len(data) < n:
            piece = self.sock.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def take(self):
        """One message.  What every agent answers or notes by itself is done with: None."""
        m = self.pb.Message()
        m.ParseFromString(self.read(struct.unpack(">I", self.read(4))[0]))
        kind = m.WhichOneof("body")
        if kind == "status_request":
            self.send(status_reply=self.pb.StatusReply(nonce=m.status_request.nonce,
                                                       running_revision=self.running))
        elif kind == "flows_ack":
            self.acked = (m.flows_ack.epoch, m.flows_ack.sequence)
        else:
            return kind, getattr(m, kind)
        return None

    def receive(self):
        while not (got := self.take()):
            pass
        return got

    def answer_until(self, other):
        """Answers what it is asked, as often as it is, until the other one is told something."""
        while (self.sock.pending() or
               other.sock not in select.select([self.sock, other.sock], [], [], PATIENCE_S)[0]):
            assert self.take() is None

    def expect(self, kind):
        got, body = self.receive()
        assert got == kind, (got, body)
        return body

    def enrol(self, token=None):
        self.connect(certificate=False)
        self.send(enroll=self.pb.Enroll(token=token or self.controller.token(self.endpoint),
                                        csr=self.request(), version=1))
        kind, body = self.receive()
        if kind == "enrolled":
            self.crt.write_text(body.chain)
        self.sock.close()
        return kind, body

    running = 0

    def hello(self, endpoint=None, guards=""):
        self.send(hello=self.pb.Hello(version=1, endpoint=endpoint or self.endpoint, guards=guards,
                                      running_revision=self.running, boot_id="b", kernel="6.1"))
        return self

    def acknowledge(self, revision):
        self.running = revision
        self.send(ack=self.pb.Ack(revision=revision, result=1))

    def start(self):
        """Enrols, connects, takes the first program."""
        assert self.enrol()[0] == "enrolled"
        self.connect().hello()
        program = self.expect("snapshot").program
        self.acknowledge(program.revision)
        return program

    def flow(self, **more):
        return {"process": "/opt/shop/orders", "user": "shop", "revision": self.running, **more}

    def tell(self, *flows, endpoint=None, **more):
        """One batch; they are numbered from 1."""
        self.told = more.pop("sequence", self.told + 1)
        self.send(flows=self.pb.Flows(endpoint=endpoint or self.endpoint, epoch=self.epoch,
                                      sequence=self.told, columns=flow_columns.columns(flows), **more))
        return self.told

    epoch, told, acked = 77, 0, (0, 0)


@pytest.fixture
def agent(pb, controller, tmp_path):
    assert controller.apply(POLICY, INVENTORY)[0] == 200
    return Agent(pb, controller, tmp_path, "web1")


def test_the_daemon_runs_as_the_unprivileged_user(controller):
    status = pathlib.Path(f"/proc/{controller.process.pid}/status").read_text()
    uid = int(re.search(r"^Uid:\s+(\d+)", status, re.M)[1])
    assert uid != 0
    assert int(re.search(r"^CapPrm:\s+(\w+)", status, re.M)[1], 16) == 0
    assert int(re.search(r"^CapBnd:\s+(\w+)", status, re.M)[1], 16) == 0
    assert re.search(r"^NoNewPrivs:\s+1", status, re.M)
    assert (controller.state / "ca.key").stat().st_mode & 0o777 == 0o600
    assert (controller.state / "store.db").stat().st_mode & 0o077 == 0
    assert controller.state.stat().st_mode & 0o777 == 0o700


def test_a_token_enrols_once(agent):
    token = agent.controller.token("web1")
    assert agent.enrol(token)[0] == "enrolled"
    kind, body = agent.enrol(token)
    assert kind == "refused" and body.reason == 11


def test_an_expired_or_forged_token_is_refused(agent):
    c = agent.controller
    token = c.good("POST", "/tokens", {"kind": "enroll", "endpoint": "web1", "valid_s": 1})["token"]
    listed = next(t for t in c.good("GET", "/tokens") if t["id"] == token.split(".")[1])
    until(lambda: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) >= listed["expires"])
    assert agent.enrol(token)[0] == "refused"
    good = c.token("web1")
    head, secret, tail = good.rsplit(".", 2)
    forged = ".".join((head, ("0" if secret[0] != "0" else "1") + secret[1:], tail))
    assert agent.enrol(forged)[0] == "refused"
    assert agent.enrol("smt1.nonsense")[0] == "refused"
    assert agent.enrol(good)[0] == "enrolled"


def test_a_certificate_of_another_authority_is_refused(agent, tmp_path):
    agent.request()
    subprocess.run(["openssl", "req", "-x509", "-new", "-key", str(agent.key), "-out",
                    str(agent.crt), "-subj", "/CN=web1", "-days", "1"], check=True,
                   capture_output=True)
    with pytest.raises((ssl.SSLError, EOFError, ConnectionError)):
        agent.connect().hello()
        agent.receive()
    assert agent.controller.enforcer("web1")["state"] == "INACTIVE"


def test_enrolling_again_makes_the_older_certificate_worthless(agent):
    assert agent.enrol()[0] == "enrolled"
    old_key, old_crt = agent.key.read_text(), agent.crt.read_text()
    assert agent.enrol()[0] == "enrolled"
    agent.key.write_text(old_key)
    agent.crt.write_text(old_crt)
    agent.connect().hello()
    assert agent.expect("refused").reason == 12


def test_an_agent_gets_its_program_then_deltas_and_its_state_is_shown(agent):
    c = agent.controller
    program = agent.start()
    assert program.endpoint == "web1" and program.rules and program.mode == 3
    until(lambda: c.enforcer("web1")["running"] == program.revision)
    assert c.enforcer("web1")["state"] == "ACTIVE"
    assert c.enforcer("db1")["state"] == "INACTIVE"
    assert c.apply(inventory=INVENTORY.replace("10.20.3.11", "10.20.3.12"))[0] == 200
    kind, body = agent.receive()
    assert kind in ("delta", "snapshot")
    if kind == "delta":
        assert body.base_revision == program.revision
        new = body.put.revision
    else:
        new = body.program.revision
    assert new > program.revision
    assert c.enforcer("web1")["running"] == program.revision  # Not before the acknowledgement.
    agent.acknowledge(new)
    until(lambda: c.enforcer("web1")["running"] == new)


def test_a_refused_program_is_shown_and_not_sent_again_until_it_changes(agent):
    c = agent.controller
    assert agent.enrol()[0] == "enrolled"
    agent.connect().hello()
    revision = agent.expect("snapshot").program.revision
    agent.send(ack=agent.pb.Ack(revision=revision, result=2, reason=4, text="entries: 9 of 8"))
    shown = until(lambda: (e := c.enforcer("web1"))["refused"] and e)
    assert "map full" in shown["last_result"] and "9 of 8" in shown["last_result"]
    assert c.apply(POLICY_2)[0] == 200
    assert agent.expect("snapshot").program.revision > revision


def test_a_renewed_certificate_works_and_so_does_the_one_before(agent):
    agent.start()
    old = agent.key.read_text(), agent.crt.read_text()
    agent.send(renew=agent.pb.Renew(csr=agent.request()))
    agent.crt.write_text(agent.expect("certificate").chain)
    agent.sock.close()
    until(lambda: agent.controller.enforcer("web1")["state"] == "INACTIVE")
    agent.running = 0
    agent.connect().hello().expect("snapshot")
    agent.sock.close()
    until(lambda: agent.controller.enforcer("web1")["state"] == "INACTIVE")
    agent.key.write_text(old[0])
    agent.crt.write_text(old[1])
    agent.connect().hello().expect("snapshot")


def test_flows_are_named_at_both_ends_and_by_rule(agent):
    c = agent.controller
    program = agent.start()
    rule = list(program.rules).index("shop-db") + 1
    agent.tell(agent.flow(rule=rule), agent.flow(rule=0, verdict=0, layer=5, port=22))
    flows = until(lambda: c.good("GET", "/flows")["flows"])
    assert {(f["from"], f["to"], f["rule"], f["verdict"]) for f in flows} == {
        ("web1", "db1", "shop-db", "allow"), ("web1", "db1", "", "deny")}
    assert len(c.good("GET", "/flows?denied")["flows"]) == 1
    assert c.good("GET", "/flows?to=web1")["flows"] == []
    assert len(c.good("GET", "/flows?since=5m&from=web1")["flows"]) == 2
    out = c.cli("flows", "--denied").stdout
    assert "deny" in out and "web1 -> db1 tcp/22" in out


def test_a_follower_is_told_of_new_flows(agent):
    agent.start()
    sent = []

    def later():
        agent.tell(agent.flow())
        sent.append(time.monotonic())
    c = UnixConnection(agent.controller.run_dir / "api.sock")
    with contextlib.closing(c):
        c.request("GET", "/api/v1/flows?after=0&wait")
        later()
        body = json.loads(c.getresponse().read())
    assert len(body["flows"]) == 1 and time.monotonic() - sent[0] < 20  # Nothing new: after 30 s.


def test_reports_about_others_are_refused_and_counted(agent):
    c = agent.controller
    agent.start()
    agent.tell(agent.flow(), endpoint="db1")
    until(lambda: c.good("GET", "/status")["counters"]["foreign_reports"] == 1)
    assert c.good("GET", "/flows")["flows"] == []
    agent.sock.close()
    agent.connect().hello(endpoint="db1")
    assert agent.expect("refused").reason == 6


def test_of_two_agents_with_one_identity_the_newer_is_refused_and_both_are_named(agent, pb, tmp_path):
    c = agent.controller
    agent.start()
    twin = Agent(pb, c, tmp_path, "web1")  # The same key and certificate.
    twin.connect().hello()
    agent.answer_until(twin)  # The sign of life that it is asked for.
    refused = twin.expect("refused")
    assert refused.reason == 9
    entry = next(e for e in c.good("GET", "/audit") if e["action"] == "agent.duplicate")
    assert entry["detail"].count("127.0.0.1:") == 2
    assert c.apply(POLICY_2)[0] == 200
    assert agent.receive()[0] in ("delta", "snapshot")  # The older one goes on.


def test_a_connection_that_does_not_answer_makes_room_for_a_newer(agent, pb, tmp_path):
    agent.start()
    twin = Agent(pb, agent.controller, tmp_path, "web1")
    twin.running = agent.running
    twin.connect().hello()
    assert twin.expect("confirm").revision == agent.running


EDGE = INVENTORY.replace("  db1: {labels: {tier: db}, addresses: [10.20.1.12], enforcers: [host]}", """
  db1: {labels: {tier: db}, addresses: [10.20.1.12], enforcers: [host, edge],
        edge: {agent: web1, port: tap3, macs: ["02:00:00:00:00:03", "02:00:00:00:00:04"], may: route,
               refuse: exception}}
""")


def test_an_agent_is_told_its_ports_and_guards_them_by_connections_of_their_own(
        agent, pb, tmp_path, controller):
    assert controller.apply(None, EDGE)[0] == 200
    assert agent.enrol()[0] == "enrolled"
    agent.connect().hello()
    port, = agent.expect("ports").ports
    assert (port.endpoint, port.interface, port.open_before, port.dhcp_server, port.router,
            port.refusal) == ("db1", "tap3", False, False, True, 2)
    assert port.mac == bytes.fromhex("020000000003020000000004")
    agent.acknowledge(agent.expect("snapshot").program.revision)
    guard = Agent(pb, controller, tmp_path, "web1")
    guard.connect().hello(guards="db1")
    program = guard.expect("snapshot").program
    assert program.endpoint == "db1"
    guard.acknowledge(program.revision)
    shown = {(e["name"], e.get("edge")): e for e in controller.good("GET", "/enforcers")}
    until(lambda: {(e["name"], e.get("edge")): e["running"] for e in controller.good(
        "GET", "/enforcers")}[("db1", "web1")] == program.revision)
    assert shown[("db1", None)]["running"] == 0  # Its own agent is another enforcer.
    assert controller.good("GET", "/status")["enforcers"]["expected"] == 4
    # What it sees it reports about the endpoint that it guards, and nobody else.
    before = controller.good("GET", "/status")["counters"]["foreign_reports"]
    guard.tell(guard.flow())
    guard.tell(guard.flow(direction=1), endpoint="db1")
    until(lambda: controller.good("GET", "/flows?to=db1")["flows"])
    assert controller.good("GET", "/status")["counters"]["foreign_reports"] == before + 1
    # Elsewhere now: the agent is told, and the guard is sent away.
    moved = EDGE.replace("agent: web1", "agent: pc1")
    assert controller.apply(None, moved)[0] == 200
    assert not agent.expect("ports").ports
    assert guard.expect("refused").reason == 6


def test_nobody_guards_what_the_inventory_puts_elsewhere(agent, pb, tmp_path, controller):
    assert controller.apply(None, EDGE.replace("agent: web1", "agent: pc1"))[0] == 200
    assert agent.enrol()[0] == "enrolled"
    for guards, reason in (("db1", 6), ("pc1", 6), ("nobody", 12)):
        agent.connect().hello(guards=guards)
        assert agent.expect("refused").reason == reason, guards


def test_quarantine_goes_out_by_the_fast_path_before_its_program(agent):
    c = agent.controller
    agent.start()
    done = c.good("POST", "/endpoints/pc1/quarantine", {"reason": "beacon"})
    trust = agent.expect("trust")
    assert trust.address == b"\0" * 10 + b"\xff\xff\x0a\x14\x03\x0b" and list(trust.trust) == [2]
    kind, body = agent.receive()
    assert (body.program if kind == "snapshot" else body.put).revision == done["revision"]
    assert body.trust_sequence == trust.sequence
    assert c.good("GET", "/endpoints/pc1")["trust"] == "black"
    status, problem, _ = c.ask("POST", "/endpoints/pc1/release", {"reason": ""})
    assert status == 422 and "reason" in problem["detail"]
    c.good("POST", "/endpoints/pc1/release", {"reason": "clean"})
    assert c.good("GET", "/endpoints/pc1")["trust"] == "white"


def test_garbage_ends_the_connection_and_nothing_else(agent):
    c = agent.controller
    agent.start()
    agent.sock.sendall(b"\xff\xff\xff\xff")
    with pytest.raises((EOFError, ConnectionError, ssl.SSLError)):
        while True:
            agent.receive()
    stranger = Agent(agent.pb, c, c.base, "web1").connect(certificate=False)
    stranger.send(hello=agent.pb.Hello(version=1, endpoint="web1"))
    assert stranger.expect("refused").reason == 14
    assert c.good("GET", "/status")["counters"]["bad_messages"] >= 1


def test_strangers_who_only_hold_connections_open_keep_no_agent_out(agent):
    with contextlib.ExitStack() as held:
        for _ in range(600):
            s = socket.create_connection(("127.0.0.1", agent.controller.agents_port), timeout=PATIENCE_S)
            held.enter_context(s)
        agent.start()
        until(lambda: agent.controller.enforcer("web1")["state"] == "ACTIVE")


def test_a_control_message_reaches_its_target_with_a_checked_count(agent):
    c = agent.controller
    agent.start()
    c.good("POST", "/enforcers/web1/control", {"verb": "verify", "count": 3})
    control = agent.expect("control")
    assert (control.target, control.verb, control.count) == ("web1", 2, 3)
    for body in ({"verb": "verify", "count": 0}, {"verb": "verify", "count": 1001},
                 {"verb": "reboot"}, {"verb": "verify", "count": -1},
                 {"verb": "verify", "count": 1 << 33}):
        assert c.ask("POST", "/enforcers/web1/control", body)[0] == 422
    assert c.ask("POST", "/enforcers/db1/control", {"verb": "verify"})[0] == 404


def test_an_unconfirmed_policy_is_rolled_back_as_a_new_revision(agent):
    c = agent.controller
    agent.start()
    first = c.good("GET", "/policy")["version"]
    status, done, _ = c.apply(POLICY_2, confirm_s=1)
    assert status == 200
    kind, body = agent.receive()
    assert body.confirm_s == 1
    agent.acknowledge(done["revision"])
    back = agent.receive()[1]
    revision = (back.program if hasattr(back, "program") else back.put).revision
    assert revision > done["revision"] and back.confirm_s == 0
    assert c.good("GET", "/policy")["version"] == first
    assert any(e["action"] == "policy.rollback" for e in c.good("GET", "/audit"))


def test_a_confirmed_policy_stays(controller):
    c, confirm_s, confirmed = controller, 1, False
    assert c.apply(POLICY, INVENTORY)[0] == 200
    while not confirmed:  # Too late it is rolled back, as above: there is more time then.
        confirm_s *= 2
        begun = time.time()
        revision = c.apply(POLICY_2, confirm_s=confirm_s)[1]["revision"]
        status, _, _ = c.ask("POST", "/policy/confirm", {})
        assert status in (200, 404)
        confirmed = status == 200
    assert c.ask("POST", "/policy/confirm", {})[0] == 404
    until(lambda: time.time() > begun + confirm_s + 2)
    assert c.good("GET", "/policy")["version"] == revision


def test_while_one_policy_is_to_be_confirmed_no_other_is_taken(agent):
    c = agent.controller
    agent.start()
    revision = c.apply(POLICY_2, confirm_s=600)[1]["revision"]
    agent.receive()
    agent.acknowledge(revision)
    assert c.apply(POLICY)[0] == 409
    c.good("POST", "/policy/confirm", {})
    assert agent.expect("confirm").revision == revision
    assert c.apply(POLICY)[0] == 200


def test_the_rollback_happens_also_when_the_daemon_was_dead_at_the_deadline(controller):
    c = controller
    first = c.apply(POLICY, INVENTORY)[1]["revision"]
    second = c.apply(POLICY_2, confirm_s=1)[1]["revision"]
    c.kill()
    end = time.time() + 2.5
    until(lambda: time.time() > end)
    c.start()
    assert c.good("GET", "/policy")["version"] == first
    assert c.good("GET", "/status")["revision"] > second
    assert c.good("GET", "/status")["confirm_by"] == ""


def test_a_confirmation_still_awaited_survives_a_kill(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    second = c.apply(POLICY_2, confirm_s=600)[1]["revision"]
    c.kill()
    c.start()
    assert c.good("GET", "/policy")["version"] == second
    assert c.good("GET", "/status")["confirm_by"] != ""
    c.good("POST", "/policy/confirm", {})


def test_kill_9_under_load_loses_no_acknowledged_change(controller):
    c, rng = controller, 12345
    assert c.apply(POLICY, INVENTORY)[0] == 200
    for run in range(15):
        rng = (rng * 1103515245 + 12345) % (1 << 31)
        n, killer = 0, None
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                n += 1
                status, body, _ = c.apply(inventory=INVENTORY + f"# {run} {n}\n")
                assert status == 200
                acknowledged = body["revision"]
                killer = killer or subprocess.Popen(["sh", "-c", f"sleep {(rng % 120) / 1000}; kill -9 {c.process.pid}"])
        assert killer.wait(PATIENCE_S) == 0
        c.process.stderr.close()
        c.process.wait(PATIENCE_S)
        c.start()
        status = c.good("GET", "/status")
        assert status["inventory"] >= acknowledged and status["revision"] > status["inventory"]
        version = c.good("GET", f"/inventory?version={status['inventory']}")
        assert version["files"][0]["text"].startswith("suimitsu-inventory: 1")
        assert c.good("GET", "/audit/verify")["whole"]


def test_a_policy_with_errors_changes_nothing_and_says_where(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    before = c.good("GET", "/status")["revision"]
    status, problem, _ = c.apply(POLICY.replace("from: web", "from: wbe"))
    assert status == 422 and problem["status"] == 422
    finding = next(f for f in problem["findings"] if f["code"] == "E-UNKNOWN")
    assert finding["file"] == "shop.yaml" and finding["line"] == 8 and finding["nearest"] == "web"
    assert c.apply(POLICY, "suimitsu-inventory: 1\nendpoints: {web1: {adresses: []}}\n")[0] == 422
    assert c.good("GET", "/status")["revision"] == before


def test_applying_against_another_version_is_a_conflict(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    _, _, etag = c.ask("GET", "/policy")
    assert c.apply(POLICY_2)[0] == 200
    body = {"files": [{"name": "a.yaml", "text": POLICY}]}
    assert c.ask("PUT", "/policy", body, {"If-Match": etag})[0] == 412
    _, _, etag = c.ask("GET", "/policy")
    assert c.ask("PUT", "/policy", body, {"If-Match": etag})[0] == 200


def test_every_route_for_every_role(controller):
    """No role gets a 2xx that the table does not give it, and none is refused what it gives."""
    c = controller
    c.apply(POLICY, INVENTORY)
    roles = ("none", "viewer", "auditor", "operator", "editor", "approver", "admin", "scraper")
    tokens = {role: c.good("POST", "/tokens", {"kind": "api", "name": f"t-{role}", "role": role})
              ["token"] for role in roles[1:]}
    paths = c.good("GET", "/openapi.json")["paths"]
    tried = 0
    for path, methods in paths.items():
        if path in ("/metrics", "/api/v1/events"):  # test_api_more.py; test_api.py, it does not end.
            continue
        concrete = re.sub(r"\{name\}", "web1", re.sub(r"\{id\}", "0" * 16, path))
        for method, operation in methods.items():
            may = operation["x-roles"]
            for role in roles:
                status, _, _ = c.https(method.upper(), concrete[len("/api/v1"):], tokens.get(role),
                                       {"dry_run": True} if method == "put" else
                                       {} if method != "get" else None)
                if role in may or "security" in operation:
                    assert "/login" in path or status not in (401, 403, 405), (method, path, role)
                else:
                    assert status == (401 if role == "none" else 403), (method, path, role, status)
                tried += 1
    assert tried >= 300
    for token in ("", "sma1.x", tokens["admin"][:-1] + "x", tokens["admin"].replace("sma1", "smt1")):
        assert c.https("GET", "/status", token)[0] == 401
    assert c.https("PATCH", "/status", tokens["admin"])[0] in (405, 501)


def test_questions_about_the_policy_in_force_are_answered_as_offline(controller, tmp_path):
    shop = (ROOT / "docs/examples/shop.yaml").read_text()
    shop = shop.replace("expires: 2099-12-31", "expires: 2020-06-30")  # A finding.
    shop = shop[:shop.index("\ntests:")] + shop[shop.index("\nprove:"):]
    inventory = ROOT / "docs/examples/shop-inventory.yaml"
    (tmp_path / "policy.yaml").write_text(shop)
    controller.apply(shop, inventory.read_text())

    def offline(*args, with_inventory=True):
        more = ["--inventory", str(inventory)] if with_inventory else []
        done = subprocess.run([str(CLI), *args, *more, "-o", "json"], text=True, cwd=tmp_path,
                              capture_output=True)
        return json.loads(done.stdout)

    def without_files(items):
        return [{k: v for k, v in x.items() if k != "file"} for x in items]
    for language in ("en", "ja"):
        rules = controller.good("GET", f"/policy/rules?language={language}")
        said = offline("policy", "explain", "policy.yaml", "--language", language,
                       with_inventory=False)
        assert [{k: r[k] for k in ("layer", "id", "sentence")} for r in rules] == said
        assert all(r["why"] and r["owner"] and r["line"] > 0 for r in rules)
    assert {r["id"]: r["expires"] for r in rules if r["expires"]} == {"shop-db": "2020-06-30"}
    assert controller.ask("GET", "/policy/rules?language=fr")[0] == 400
    proofs = controller.good("GET", "/policy/proofs")
    assert without_files(proofs) == without_files(offline("policy", "prove", "policy.yaml"))
    assert [p["holds"] for p in proofs] == [True, True]
    findings = controller.good("GET", "/policy/findings")
    assert without_files(findings) == without_files(offline("check", "policy.yaml")["findings"])
    assert "W-EXPIRED" in [f["code"] for f in findings]
    assert controller.good("GET", "/policy/radius") == offline("policy", "radius", "policy.yaml")
    one = controller.good("GET", "/policy/radius?from=office&hops=2")
    assert one == offline("policy", "radius", "policy.yaml", "--from", "office", "--hops", "2")
    assert one["reached"] > 0
    for query, status in (("from=nobody", 404), ("from=office&hops=0", 400), ("hops=2", 400)):
        assert controller.ask("GET", f"/policy/radius?{query}")[0] == status, query
    for path, words in (("/unprotected", ["unprotected", "policy.yaml"]),
                        ("/unprotected?reason=plain-switch",
                         ["unprotected", "policy.yaml", "--reason", "plain-switch"]),
                        ("/endpoints/web1/if-owned", ["endpoint", "web1", "policy.yaml"])):
        online = controller.good("GET", path)
        assert online.pop("text").endswith("\n")
        assert online == offline("policy", *words), path
    assert controller.ask("GET", "/unprotected?reason=x")[0] == 400
    assert controller.ask("GET", "/endpoints/nobody/if-owned")[0] == 404
    shown = controller.cli("unprotected", code=1)
    assert shown.stdout == controller.good("GET", "/unprotected")["text"]
    assert controller.cli("unprotected", "--reason", "plain-switch").stdout.startswith("nothing is")
    shown = controller.cli("endpoint", "show", "web1")
    assert shown.stdout == controller.good("GET", "/endpoints/web1/if-owned")["text"]
    assert "only the other ends hold" in shown.stdout


def test_a_revoked_token_is_refused(controller):
    token = controller.good("POST", "/tokens", {"kind": "api", "name": "x", "role": "viewer"})["token"]
    assert controller.https("GET", "/status", token)[0] == 200
    controller.good("DELETE", f"/tokens/{token.split('.')[1]}")
    assert controller.https("GET", "/status", token)[0] == 401


def test_the_socket_is_for_root_only(controller):
    path = controller.run_dir / "api.sock"
    assert path.stat().st_mode & 0o777 == 0o600
    done = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "curl", "-s", "--unix-socket",
                           str(path), "http://x/api/v1/status"], capture_output=True)
    assert done.returncode == 7 or b"401" in done.stdout


def test_the_documented_api_is_the_real_one():
    real = subprocess.run([str(DAEMON), "--openapi"], capture_output=True, text=True, check=True)
    assert json.loads(real.stdout) == json.loads((ROOT / "docs/openapi.json").read_text())


def test_oversized_and_odd_requests_are_refused(controller):
    c = controller
    assert c.ask("GET", "/nothing")[0] == 404
    assert c.ask("DELETE", "/status")[0] == 405
    assert c.ask("GET", "/status?x=1")[0] == 400
    assert c.ask("GET", "/flows?max=0")[0] == 400
    assert c.ask("GET", "/endpoints/%00")[0] == 404
    assert c.ask("POST", "/why", {"from": "web1", "from_": 1})[0] == 422
    with contextlib.suppress(ConnectionError, http.client.HTTPException):  # Or cut off.
        assert c.ask("PUT", "/policy", {"comment": "x" * (9 << 20)})[0] == 413
    assert c.good("GET", "/status")["revision"] == 1


def packed(c, path, body, **headers):
    """A PUT whose body is packed, by the unix socket: its status and what it says."""
    headers = {"If-Match": "*", "Content-Type": "application/json", "Content-Encoding": "gzip"} | headers
    with contextlib.closing(UnixConnection(c.run_dir / "api.sock")) as connection:
        connection.request("PUT", "/api/v1" + path, body if isinstance(body, bytes) else gzip.compress(json.dumps(body).encode()),
                           headers)
        r = connection.getresponse()
        return r.status, json.loads(r.read())


def test_a_large_inventory_comes_packed_and_is_there_after_a_restart(controller):
    c = controller
    filler = [{"name": f"f{i}.yaml", "text": "suimitsu-inventory: 1\nendpoints: {}\n" + f"# {i:>60}\n" * 15000} for i in range(10)]
    files = [*filler, {"name": "i.yaml", "text": INVENTORY}]
    assert sum(len(f["text"]) for f in files) > 9 << 20  # More than any body may have.
    status, said = packed(c, "/inventory", {"files": files, "comment": "large"})
    assert status == 200, said
    c.kill()
    c.start()
    assert c.good("GET", "/inventory")["files"] == files
    names = {e["name"] for e in c.good("GET", "/endpoints")}
    folder = c.base / "large"
    folder.mkdir()
    for f in files:
        (folder / f["name"]).write_text(f["text"])
    c.cli("apply", "--inventory", str(folder), "--comment", "as people do it")  # Packs by itself.
    assert {e["name"] for e in c.good("GET", "/endpoints")} == names and "web1" in names


def test_packed_bodies_are_bounded_and_taken_only_where_they_are_said_to_be(controller):
    c = controller
    bomb = gzip.compress(b" " * (49 << 20))
    assert len(bomb) < 1 << 20
    status, said = packed(c, "/inventory", bomb)
    assert status == 413 and "50331648" in said["detail"]
    assert packed(c, "/inventory", b"\x1f\x8b nonsense")[0] == 400
    assert packed(c, "/inventory", gzip.compress(b"{}")[:-3])[0] == 400
    assert packed(c, "/inventory", b"{}", **{"Content-Encoding": "br"})[0] == 415
    assert packed(c, "/console/views", {})[0] == 415
    assert c.good("GET", "/status")["revision"] == 1


@pytest.mark.parametrize("arguments, said", [
    (["--listen-agents", "nowhere"], "found \"nowhere\", expected a numeric address"),
    (["--user", "root"], "expected an unprivileged user"),
    (["--user", "no-such-user-here"], "there is no such user"),
    (["--colour", "red"], "unknown setting"),
])
def test_a_bad_setting_is_told_with_what_was_expected(tmp_path, arguments, said):
    base = ["--state-dir", str(tmp_path / "s"), "--run-dir", str(tmp_path / "r")]
    done = subprocess.run([str(DAEMON), *base, *arguments], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode in (1, 2) and said in done.stderr


def test_a_bad_configuration_file_is_told_with_its_line(tmp_path):
    file = tmp_path / "suimitsud.conf"
    file.write_text("# settings\nuser: nobody\nlisten-api: here:1\n")
    done = subprocess.run([str(DAEMON), "--config", str(file)], capture_output=True, text=True,
                          timeout=PATIENCE_S)
    assert done.returncode == 2 and f"{file}:3: listen-api" in done.stderr


def test_a_taken_port_a_second_daemon_and_a_damaged_store_are_told(controller):
    other = Controller(controller.base)
    other.api_port = controller.api_port
    done = subprocess.run(other.command(), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and "the port is taken" in done.stderr
    other.api_port = 0
    done = subprocess.run(other.command(), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and "another suimitsud" in done.stderr
    assert controller.good("GET", "/status")  # Its socket was left alone.
    controller.kill(signal.SIGTERM)
    with (controller.state / "store.db").open("r+b") as f:
        f.write(b"this is no database at all")
    done = subprocess.run(controller.command(), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 1 and "damaged" in done.stderr


def test_a_full_store_refuses_the_change_and_keeps_the_old(tmp_path):
    c = Controller(tmp_path)
    c.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(c.state)], check=True)
    try:
        c.start()
        assert c.apply(POLICY, INVENTORY)[0] == 200
        before = c.good("GET", "/status")
        filler = c.state / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as f:
            while True:
                f.write(b"x" * 4096)
        status, problem, _ = c.apply(inventory=INVENTORY + "# " + "x" * 500000 + "\n")
        assert status == 507 and "nothing was changed" in problem["detail"]
        assert c.good("GET", "/status")["revision"] == before["revision"]
        filler.unlink()
        assert c.apply(inventory=INVENTORY)[0] == 200
        c.kill(signal.SIGTERM)
    finally:
        subprocess.run(["umount", "-l", str(c.state)], check=True)


def test_no_secret_is_in_log_store_or_arguments(pb, tmp_path):
    c = Controller(tmp_path)
    c.start()
    c.apply(POLICY, INVENTORY)
    agent = Agent(pb, c, tmp_path, "web1")
    tokens = [c.token("web1"), c.token("db1"),
              c.good("POST", "/tokens", {"kind": "api", "name": "x", "role": "admin"})["token"]]
    assert agent.enrol(tokens[0])[0] == "enrolled"
    assert agent.enrol(tokens[0])[0] == "refused"
    c.https("GET", "/status", tokens[2])
    c.process.send_signal(signal.SIGTERM)
    log = c.process.stderr.read()
    c.process.wait(PATIENCE_S)
    everything = log.encode() + b"".join(p.read_bytes() for p in c.state.iterdir()
                                         if p.name.startswith("store"))
    for token in tokens:
        assert token.split(".")[2].encode() not in everything


def test_the_command_line_applies_asks_and_confirms(controller, tmp_path):
    c = controller
    policy, inventory = tmp_path / "shop.yaml", tmp_path / "inventory.yaml"
    policy.write_text(POLICY)
    inventory.write_text(INVENTORY)
    assert "applied as revision" in c.cli("apply", str(policy), "--inventory", str(inventory)).stdout
    assert "allow (allow, rule shop-db)" in c.cli("why", "web1", "db1", "postgres").stdout
    assert "deny (default" in c.cli("why", "pc1", "db1", "tcp/5432", code=1).stdout
    assert "allow" in c.cli("why", "--from", "web1", "--to", "db1", "--service", "tcp/5432").stdout
    c.cli("why", "web1", "--to", "db1", code=2)
    c.cli("why", "pc9", "db1", "tcp/5432", code=4)
    assert "web1" in c.cli("endpoint").stdout and "postgres" in c.cli("service").stdout
    assert "web" in c.cli("group").stdout and "shop-db" in c.cli("policy", "show").stdout
    assert json.loads(c.cli("status", "-o", "json").stdout)["endpoints"] == 3
    assert "INACTIVE" in c.cli("enforcer", "list").stdout
    for listing in (["endpoint"], ["enforcer", "list"], ["status"], ["policy", "show"]):
        assert (yaml.safe_load(c.cli(*listing, "-o", "yaml").stdout) ==
                json.loads(c.cli(*listing, "-o", "json").stdout))
    policy.write_text(POLICY_2)
    assert "confirm within" in c.cli("apply", str(policy), "--confirm", "5m").stdout
    c.cli("apply", str(policy), code=6)
    assert "confirmed" in c.cli("confirm").stdout
    c.cli("confirm", code=4)
    policy.write_text(POLICY.replace("owner: shop", "ownr: shop"))
    assert "E-" in c.cli("apply", str(policy), code=3).stderr
    c.cli("apply", str(tmp_path / "missing.yaml"), code=4)
    assert "pc1 is black" in c.cli("quarantine", "pc1", "--why", "test").stdout
    assert "pc1 is white" in c.cli("release", "pc1", "--why", "test").stdout
    c.cli("quarantine", "pc1", code=2)
    assert c.cli("token", "create", "web1").stdout.startswith("smt1.")
    assert "whole" in c.cli("audit", "verify").stdout
    assert "endpoint.quarantine" in c.cli("audit", "list").stdout
    first = c.cli("policy", "history").stdout.splitlines()[-1].split()[0]
    assert "in force again" in c.cli("policy", "rollback", first).stdout
    policy.write_text(POLICY)
    c.cli("apply", str(policy), "--wait", "enforced", "--timeout", "1s", code=8)
    c.kill()
    down = c.cli("status", code=7)
    assert "agents go on enforcing" in down.stderr


def test_the_command_line_works_over_https_with_a_token(controller, tmp_path):
    c = controller
    token = tmp_path / "token"
    token.write_text(c.cli("token", "api", "ci", "--role", "viewer").stdout)
    reach = ["--controller", f"https://127.0.0.1:{c.api_port}", "--token-file", str(token), "--ca",
             str(c.state / "ca.crt")]
    done = subprocess.run([str(CLI), "status", *reach], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0 and "revision" in done.stdout, done.stderr
    done = subprocess.run([str(CLI), "quarantine", "pc1", "--why", "x", *reach], capture_output=True,
                          text=True, timeout=PATIENCE_S)
    assert done.returncode == 5 and "admin" in done.stderr


def test_names_that_would_move_the_cursor_are_escaped(agent):
    agent.start()
    agent.tell(agent.flow(process="/tmp/\x1b[2Jevil\u202e", user="a\nb"))
    until(lambda: agent.controller.good("GET", "/flows")["flows"])
    out = agent.controller.cli("flows").stdout
    assert "\x1b" not in out and "\u202e" not in out and "\\x1b[2Jevil" in out
    assert len(out.splitlines()) == 1
