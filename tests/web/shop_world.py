# SPDX-License-Identifier: Apache-2.0
"""A shop with some fifty endpoints for the console: a real suimitsud, and agents that speak the real
protocol and report traffic that was drawn from a seed."""
import contextlib
import pathlib
import random
import select
import ssl
import struct
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from flow_columns import mapped  # noqa: E402
from test_controller import DAEMON, PATIENCE_S, Agent, Controller, until  # noqa: E402

# Name, how many, labels, network, enforcers.
KINDS = [
    ("web", 4, {"app": "shop", "tier": "web", "site": "osaka"}, "10.20.1", "[host]"),
    ("orders", 3, {"app": "shop", "tier": "app", "site": "osaka"}, "10.20.2", "[host]"),
    ("db", 3, {"app": "shop", "tier": "db", "site": "osaka"}, "10.20.3", "[host, edge]"),
    ("jump", 1, {"role": "jump", "site": "osaka"}, "10.20.4", "[host]"),
    ("fix", 1, {"role": "remediation", "site": "osaka"}, "10.20.5", "[host]"),
    ("backup", 2, {"role": "backup", "site": "osaka"}, "10.20.6", "[host]"),
    ("mon", 1, {"role": "monitoring", "site": "osaka"}, "10.20.7", "[host]"),
    ("pc", 16, {"kind": "pc", "site": "tokyo"}, "10.30.1", "[host]"),
    ("pos", 12, {"kind": "pos", "site": "kobe"}, "10.30.2", "[host]"),
    ("plc", 4, {"kind": "plc", "site": "kobe"}, "10.30.3", "[switch]"),
    ("hmi", 2, {"kind": "hmi", "site": "kobe"}, "10.30.4", "[host]"),
    ("printer", 3, {"kind": "printer", "site": "tokyo"}, "10.30.5", "[]"),
]

POLICY = """# The shop: what may talk to what, and why.
suimitsu: 1

groups:
  web:        {match: {tier: web}}
  orders:     {match: {tier: app}}
  db:         {match: {tier: db}}
  jump-hosts: {match: {role: jump}}
  fix-it:     {match: {role: remediation}}
  backup:     {match: {role: backup}}
  monitoring: {match: {role: monitoring}}
  office:     {match: {kind: pc}}
  pos:        {match: {kind: pos}}
  plc:        {match: {kind: plc}}
  hmi:        {match: {kind: hmi}}
  printers:   {match: {kind: printer}}
  internet:   {outside: true}

services:
  postgres: [tcp/5432]
  https:    [tcp/443]
  orders-api: [tcp/8080]
  admin:    [tcp/22, tcp/3389, tcp/445, tcp/139, tcp/135]
  metrics:  [tcp/9100]
  modbus:   [tcp/502]
  print:    [tcp/631, tcp/9100]
  ping:     [icmp/echo]

quarantine:
  - {id: only-remediation, to: fix-it, service: https, why: infected terminals fetch the cleaner and nothing else, owner: soc}

never:
  - id: no-admin-ports
    from: any
    to: any
    service: admin
    except: {from: jump-hosts, user: "@ops"}
    why: ransomware walks on RDP, SMB and SSH
    owner: secops

allow:
  - id: ops-from-jump
    from: jump-hosts
    user: "@ops"
    to: [web, orders, db, office]
    service: admin
    why: server care
    owner: ops
  - {id: web-orders, from: web, to: orders, service: orders-api, why: the shop hands orders on, owner: shop-team}
  - id: orders-db
    from: orders
    process: {exe: /opt/shop/bin/orders}
    to: db
    service: postgres
    why: the shop reads and writes orders
    owner: shop-team
    expires: 2027-06-30
  - {id: pos-web, from: pos, to: web, service: https, why: tills fetch prices and book sales, owner: shop-team}
  - {id: office-web, from: office, to: web, service: https, why: the office reads the reports, owner: shop-team}
  - {id: shop-front, from: internet, to: web, service: https, why: customers buy here, owner: shop-team}
  - {id: cleaner, from: [office, pos, web, db], to: fix-it, service: https, why: everybody may fetch updates, owner: ops}
  - {id: nightly-backup, from: backup, to: db, service: postgres, why: backups at night, owner: ops}
  - {id: care-metrics, from: monitoring, to: [web, orders, db], service: metrics, why: ops sees how machines are, owner: ops}
  - {id: hmi-plc, from: hmi, to: plc, service: modbus, why: the line is run from here, owner: plant}
  - {id: office-print, from: office, to: printers, service: print, why: people print, owner: office-it}

mode:
  default: enforce
  office: test

tests:
  - {from: orders1, process: /opt/shop/bin/orders, to: db1, service: postgres, expect: allow, by: orders-db}
  - {from: web1, to: db1, service: postgres, expect: deny, by: default}
  - {from: pc1, to: web1, service: https, expect: allow, by: office-web}
  - {from: pos1, to: plc1, service: modbus, expect: deny, by: default}

prove:
  - {no-path: {from: pos, to: plc}}
  - {no-path: {from: pos, to: [backup, hmi]}}
"""


def endpoints():
    """(name, labels, address, enforcers) of each."""
    for kind, n, labels, network, enforcers in KINDS:
        for i in range(1, n + 1):
            yield f"{kind}{i}", labels, f"{network}.{10 + i}", enforcers


def inventory():
    lines = ["suimitsu-inventory: 1", "endpoints:"]
    for name, labels, address, enforcers in endpoints():
        pairs = ", ".join(f"{k}: {v}" for k, v in labels.items())
        edge = f", edge: {{agent: fix1, port: tap-{name}, macs: \"02:00:5e:10:00:0{name[-1]}\"}}" \
            if "edge" in enforcers else ""
        lines.append(f"  {name}: {{labels: {{{pairs}}}, addresses: [{address}], "
                     f"enforcers: {enforcers}{edge}}}")
    lines += ["users:", "  ops-1: {groups: [ops]}", ""]
    return "\n".join(lines)


PASSWORD = "a long test passphrase"

VERDICTS = ["deny", "allow", "would-deny"]  # core/program.h
LAYERS = ["lifeline", "quarantine", "glass", "never", "allow", "default"]

# From kind, to kind, port, program, user, verdict, layer and rule, how often.
TALK = [
    ("web", "orders", 8080, "/usr/sbin/nginx", "www-data", "allow", "allow:web-orders", 90),
    ("orders", "db", 5432, "/opt/shop/bin/orders", "shop", "allow", "allow:orders-db", 80),
    ("pos", "web", 443, "/opt/till/till", "till", "allow", "allow:pos-web", 70),
    ("pc", "web", 443, "/usr/lib/firefox/firefox", "hana", "allow", "allow:office-web", 60),
    ("backup", "db", 5432, "/usr/bin/pg_dump", "backup", "allow", "allow:nightly-backup", 10),
    ("mon", "web", 9100, "/usr/bin/prometheus", "prometheus", "allow", "allow:care-metrics", 10),
    ("mon", "db", 9100, "/usr/bin/prometheus", "prometheus", "allow", "allow:care-metrics", 10),
    ("hmi", "plc", 502, "/opt/hmi/bin/line", "hmi", "allow", "allow:hmi-plc", 30),
    ("pc", "printer", 631, "/usr/sbin/cupsd", "root", "allow", "allow:office-print", 12),
    ("pc", "pc", 445, "/usr/bin/smbclient", "taro", "would-deny", "never:no-admin-ports", 4),
    ("pc", "db", 5432, "/usr/bin/psql", "jiro", "would-deny", "default", 3),
    ("web", "db", 5432, "/usr/bin/python3", "www-data", "deny", "default", 3),
    ("pos", "plc", 502, "/usr/bin/nmap", "root", "deny", "default", 2),
]


def pb_module(folder):
    subprocess.run(["protoc", f"--proto_path={ROOT}/src/wire", f"--python_out={folder}",
                    "agent.proto"], check=True)
    sys.path.insert(0, str(folder))
    import agent_pb2
    return agent_pb2


class LiveAgent(Agent):
    """Answers in a thread of its own, so that the controller calls it ACTIVE."""

    def __init__(self, *args):
        super().__init__(*args)
        self.lock = threading.Lock()  # OpenSSL allows one thread at a time in a connection, Python lets in two.

    def send(self, **body):
        with self.lock:
            super().send(**body)

    def read(self, n):
        data = b""
        while len(data) < n:
            if not self.sock.pending():
                select.select([self.sock], [], [])
            with self.lock:
                self.sock.settimeout(0)
                with contextlib.suppress(ssl.SSLWantReadError):  # Nothing of it was for us.
                    piece = self.sock.recv(n - len(data))
                    if not piece:
                        raise EOFError
                    data += piece
                self.sock.settimeout(PATIENCE_S)
        return data

    def receive(self):
        kind, body = super().receive()
        return self.receive() if kind == "ports" else (kind, body)

    def live(self):
        self.program = self.start()
        threading.Thread(target=self.serve, daemon=True).start()
        return self

    def serve(self):
        with contextlib.suppress(EOFError, OSError, ValueError, struct.error):
            while True:
                kind, body = self.receive()
                if kind == "snapshot":
                    self.acknowledge(body.program.revision)
                elif kind == "delta":
                    self.acknowledge(body.put.revision)


class ConsoleController(Controller):
    """With the console that stands in the tree, and people who may log in."""

    def command(self, *more):
        return super().command("--web-dir", str(ROOT / "web" / "dist"), *more)

    def account(self, name, role, password=PASSWORD):
        self.good("POST", "/accounts", {"name": name, "role": role, "password": password})

    @property
    def address(self):
        return f"https://127.0.0.1:{self.api_port}/ui/"


class ShopWorld:
    """Controller, policy, agents; report() sends traffic."""

    def __init__(self, base, n_agents=12):
        self.base = pathlib.Path(base)
        self.controller = ConsoleController(self.base).start()
        self.controller.account("mika", "admin")
        self.controller.account("ken", "viewer")
        self.controller.account("eri", "editor")
        self.controller.account("aki", "approver")
        status, body, _ = self.controller.apply(POLICY, inventory(), comment="the shop opens")
        assert status == 200, body
        self.pb = pb_module(self.base)
        self.addresses = {name: address for name, _, address, _ in endpoints()}
        hosts = [name for name, _, _, e in endpoints() if "host" in e]
        order = sorted(hosts, key=lambda n: (int(n.strip("abcdefghijklmnopqrstuvwxyz")), n))
        self.agents = {name: LiveAgent(self.pb, self.controller, self.base, name).live()
                       for name in order[:n_agents]}
        self.agents["web1"].send(notice=self.pb.Notice(kind=1, time_ms=int(time.time() * 1000),
                                                       text="hook connect4 was detached; attached again"))
        self.random = random.Random(5)

    def rule_number(self, agent, wanted):
        return list(agent.program.rules).index(wanted) + 1 if wanted in agent.program.rules else 0

    def flow(self, agent, to, port, process, user, verdict, layer, count=1, **more):
        now = int(time.time() * 1000)  # Both ends are named as of then.
        layer, _, rule = layer.partition(":")
        return agent.flow(
            direction=0, local=mapped(self.addresses[agent.endpoint]),
            remote=mapped(self.addresses.get(to, to)), port=port, process=process, user=user,
            verdict=VERDICTS.index(verdict), layer=LAYERS.index(layer), count=count,
            rule=self.rule_number(agent, rule), enforced=verdict == "deny",
            first_ms=now, last_ms=now,
            bytes_out=count * self.random.randrange(500, 90000),
            bytes_in=count * self.random.randrange(500, 900000), **more)

    def report(self, rounds=1):
        """Traffic as TALK says, from those that have a live agent."""
        by_kind = {kind: [f"{kind}{i}" for i in range(1, n + 1)] for kind, n, *_ in KINDS}
        for _ in range(rounds):
            for name, agent in self.agents.items():
                kind = name.rstrip("0123456789")
                flows = []
                for source, to, port, process, user, verdict, layer, weight in TALK:
                    if source != kind or self.random.random() > max(weight / 40, .2):
                        continue
                    other = self.random.choice([n for n in by_kind[to] if n != name])
                    flows.append(self.flow(agent, other, port, process, user, verdict, layer,
                                           self.random.randrange(1, weight + 1)))
                if flows:
                    agent.tell(*flows)

    def settle(self):
        """All that was reported is acknowledged, so whoever asks is answered the same."""
        until(lambda: all(a.acked[1] == a.told for a in self.agents.values()))

    def close(self):
        for a in self.agents.values():
            with contextlib.suppress(OSError):
                a.sock.close()
        self.controller.process.terminate()
        self.controller.process.stderr.close()
        self.controller.process.wait(PATIENCE_S)


if __name__ == "__main__":  # For working on the console: runs until its input ends.
    import os
    import tempfile

    with tempfile.TemporaryDirectory(prefix="sm-web-") as base:
        os.chmod(base, 0o755)
        world = ShopWorld(base)
        world.report(20)
        print("socket", world.controller.run_dir / "api.sock", world.controller.address, "mika",
              PASSWORD, flush=True)
        for line in sys.stdin:
            world.report(int(line or 1))
        world.close()
