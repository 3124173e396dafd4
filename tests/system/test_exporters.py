"""Network gear tells flows over UDP: who is believed, what is kept, what is counted as missing."""
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess

import pytest
import exporting
from exporting import ALL, SYN, TCP, UDP
from test_controller import (INVENTORY, PATIENCE_S, POLICY, Agent, Controller, agent, pb, tmp_path, until)  # noqa: F401
from test_flows import acknowledged, all_flows

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")
LONG = bool(os.environ.get("SUIMITSU_LONG"))
WEB, DB, PC, FAR = "10.20.1.11", "10.20.1.12", "10.20.3.11", "203.0.113.7"


class Collecting(Controller):
    """A controller that listens to two exporters; what they send comes from 127.0.0.2 and 127.0.0.3.  Its worker tells
    counts by itself from time to time, and not with the records that they count."""
    settings = ["--collect", "auto://127.0.0.1:0", "--exporter", "core-sw1=127.0.0.2", "--exporter", "core-sw2=127.0.0.3"]

    def __init__(self, base):
        super().__init__(base)
        self.udp_port = 0

    def command(self, *more):
        given = [s.replace(":0", f":{self.udp_port}") if s.startswith("auto") else s for s in self.settings]
        return super().command(*given, *more)

    def start(self):
        """As above; the line about the port comes before the one about being ready."""
        self.process = subprocess.Popen(self.command(), stderr=subprocess.PIPE, text=True)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if m := re.search(r"exporters: auto at 127.0.0.1:(\d+), (\d+) believed", line):
                self.udp_port = int(m[1])
            if m := re.search(r"ready: agents at \S+:(\d+), API at \S+:(\d+) ", line):
                self.agents_port, self.api_port = int(m[1]), int(m[2])
                return self
        raise AssertionError("not ready: " + "".join(said))

    def send(self, *datagrams, source="127.0.0.2"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.bind((source, 0))
            for d in datagrams:
                s.sendto(d, ("127.0.0.1", self.udp_port))

    def exporter(self, name="core-sw1"):
        return next(e for e in self.good("GET", "/exporters") if e["name"] == name)

    def edges(self, query=""):
        return self.good("GET", f"/edges?{query}")["edges"]

    def worker(self):
        """The process that reads datagrams: the keeper's child."""
        def child(pid):
            text = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return int(text[0]) if text else 0
        return until(lambda: (keeper := child(self.process.pid)) and child(keeper))


def ended(c):
    if c.process.poll() is None:
        c.process.send_signal(signal.SIGTERM)
        said = c.process.stderr.read()
        assert c.process.wait(PATIENCE_S) == 0, said


@pytest.fixture
def collecting(tmp_path):
    c = Collecting(tmp_path).start()
    c.apply(POLICY, INVENTORY)
    yield c
    ended(c)


def connections(n, port=5432, source=WEB, to=DB, protocol=TCP, flags=ALL):
    """Both directions of each, the server's first."""
    out = []
    for i in range(n):
        out.append({"from": to, "to": source, "sport": port, "dport": 40000 + i, "protocol": protocol,
                    "flags": flags, "bytes": 200, "packets": 2})
        out.append({"from": source, "to": to, "sport": 40000 + i, "dport": port, "protocol": protocol,
                    "flags": flags, "bytes": 100, "packets": 3})
    return out


def in_parts(records, n=30):
    return [records[i:i + n] for i in range(0, len(records), n)]


def known_traffic(kind):
    """Forty connections of web1 to db1, as datagrams of this kind."""
    if kind == "netflow5":
        return [exporting.v5(part, sequence=30 * i) for i, part in enumerate(in_parts(connections(40)))]
    if kind == "netflow9":
        return [exporting.v9(exporting.template(9), exporting.data(9, part), sequence=i)
                for i, part in enumerate(in_parts(connections(40)))]
    return [exporting.ipfix(exporting.template(10), exporting.data(10, part), sequence=30 * i)
            for i, part in enumerate(in_parts(connections(40)))]


@pytest.mark.parametrize("kind", ["netflow5", "netflow9", "ipfix"] if LONG else ["ipfix"])  # More: tests/netns.
def test_known_traffic_is_answered_with_names_and_exact_counts(collecting, kind):
    c = collecting
    c.send(*known_traffic(kind))
    until(lambda: sum(e["count"] for e in c.edges()) >= 40)
    [edge] = c.edges()
    assert (edge["from"], edge["to"], edge["protocol"], edge["port"]) == ("web1", "db1", "tcp", 5432)
    assert (edge["verdict"], edge["origin"], edge["rule"], edge["process"]) == ("seen", kind, "", "")
    assert (edge["count"], edge["bytes_out"], edge["bytes_in"]) == (40, 4000, 8000)
    flow = all_flows(c)[0]
    assert (flow["reporter"], flow["origin"], flow["marks"], flow["enforced"]) == ("core-sw1", kind, ["guessed"], False)
    state = until(lambda: (e := c.exporter())["kept"] == 40 and e)
    assert (state["records"], state["lost"], state["refused"], state["kind"]) == (80, 0, 0, kind)
    assert not c.good("GET", "/flows")["incomplete"]
    by = c.edges("by=tier")
    assert by[0]["counts"] == {"allow": 0, "deny": 0, "would_deny": 0, "seen": 40, "seen_deny": 0}


def test_sflow_samples_are_multiplied_marked_and_a_discarded_packet_is_a_denial_of_others(collecting):
    c = collecting
    records = [r | {"bytes": 64, "flags": 16} for r in connections(3)]
    records.append({"from": PC, "to": DB, "sport": 50000, "dport": 22, "flags": SYN, "bytes": 64, "denied": True})
    c.send(exporting.sflow(records, sequence=1, rate=10))
    until(lambda: len(c.edges()) == 2)
    seen, denied = sorted(c.edges(), key=lambda e: e["port"], reverse=True)
    assert (seen["verdict"], seen["count"], seen["bytes_out"], seen["bytes_in"]) == ("seen", 60, 1920, 1920)
    assert (denied["from"], denied["port"], denied["verdict"], denied["count"]) == ("pc1", 22, "seen-deny", 10)
    assert {tuple(f["marks"]) for f in all_flows(c)} == {("guessed", "estimated"), ("estimated",)}
    assert [f["port"] for f in all_flows(c, "&verdict=seen-deny")] == [22]
    assert {f["port"] for f in all_flows(c, "&verdict=seen")} == {5432}
    assert all_flows(c, "&verdict=allow") == all_flows(c, "&verdict=deny") == []


def test_who_is_not_believed_is_dropped_counted_and_listed(collecting):
    c = collecting
    for i in range(50):
        c.send(exporting.v5(connections(1), sequence=2 * i), source="127.0.0.9")
    c.send(exporting.v5(connections(1, port=443)))
    until(lambda: len(c.edges()) == 1)
    assert c.edges()[0]["port"] == 443
    stranger = until(lambda: next((e for e in c.good("GET", "/exporters") if not e["believed"] and e["datagrams"] == 50), None))
    assert (stranger["address"], stranger["name"]) == ("127.0.0.9", "")
    assert "suimitsu_exporter_strangers_total 50" in metrics(c)
    table = c.cli("exporters").stdout
    assert re.search(r"core-sw1 +127.0.0.2", table) and "127.0.0.9" in table


def metrics(c):
    from test_controller import UnixConnection
    connection = UnixConnection(c.run_dir / "api.sock")
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def test_a_flood_of_one_costs_its_own_evidence_and_no_other(tmp_path, pb):
    class Slow(Collecting):
        settings = Collecting.settings + ["--collect-max-rate", "50"]
    c = Slow(tmp_path).start()
    c.apply(POLICY, INVENTORY)
    agent = Agent(pb, c, tmp_path, "web1")
    agent.start()
    flood, sent = [], 0
    for i in range(200):
        records = [{"from": FAR, "to": WEB, "sport": random.Random(i * 30 + k).randrange(1024, 65536),
                    "dport": 80, "protocol": UDP, "bytes": 1} for k in range(30)]
        flood.append(exporting.v5(records, sequence=sent))
        sent += 30
    for i in range(0, 200, 20):
        c.send(*flood[i:i + 20])
        agent.tell(agent.flow(count=1))
        acknowledged(agent, i // 20 + 1)
        c.send(exporting.v5(connections(1, port=1000 + i // 20), sequence=i // 10), source="127.0.0.3")
    until(lambda: c.exporter()["records"] + c.exporter()["lost"] >= sent and c.exporter("core-sw2")["kept"] == 10)
    until(lambda: sum(e["count"] for e in c.edges("reporter=core-sw2")) == 10)
    assert c.exporter()["refused"] > sent // 2
    assert c.exporter("core-sw2")["refused"] == 0
    assert sum(e["count"] for e in c.edges("verdict=allow")) == 10  # The agent's.
    gaps = until(lambda: c.good("GET", "/flows")["incomplete"])
    assert {g["stream"] for g in gaps} == {"exporter/core-sw1"}  # One of each hour.
    said = c.cli("flows", "--max", "1").stderr
    assert "evidence is incomplete: exporter/core-sw1" in said
    agent.sock.close()
    ended(c)


def test_data_without_its_template_is_counted_and_a_number_used_anew_means_the_new_fields(collecting):
    c = collecting
    c.send(exporting.v9(exporting.data(9, connections(1)), sequence=0))
    until(lambda: c.exporter()["without_template"] == 1)
    other = [(12, 4), (8, 4), (11, 2), (7, 2), (4, 1), (1, 4)]
    body = b"".join(exporting.packed(DB) + exporting.packed(PC) + bytes([0, 53, 200, i]) + bytes([UDP]) +
                    (70).to_bytes(4, "big") for i in range(5))
    c.send(exporting.v9(exporting.template(9), exporting.data(9, connections(2)), sequence=1),
           exporting.v9(exporting.template(9, fields=other), exporting.a_set(256, body), sequence=2))
    until(lambda: sum(e["count"] for e in c.edges()) == 7)
    edges = {(e["from"], e["to"], e["protocol"], e["port"]): e["count"] for e in c.edges()}
    assert edges == {("web1", "db1", "tcp", 5432): 2, ("pc1", "db1", "udp", 53): 5}
    until(lambda: c.exporter()["templates"] == 1)
    c.send(exporting.v9(exporting.data(9, connections(1)), sequence=3), source="127.0.0.3")
    until(lambda: c.exporter("core-sw2")["without_template"] == 1)  # Templates are the exporter's own.


def test_a_gap_in_the_sequence_is_incomplete_evidence(collecting):
    c = collecting
    c.send(exporting.v5(connections(1), sequence=100), exporting.v5(connections(1, port=80), sequence=109))
    until(lambda: c.exporter()["lost"] == 7)
    [gap] = until(lambda: c.good("GET", "/flows")["incomplete"])
    assert (gap["stream"], gap["lost"]) == ("exporter/core-sw1", 7)
    assert "suimitsu_exporter_lost_total 7" in metrics(c)


def test_the_worker_has_no_privilege_and_no_file(collecting):
    c = collecting
    pid = c.worker()
    status = dict(line.split(":\t") for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
                  if ":\t" in line)
    assert status["Seccomp"].strip() == "2" and status["NoNewPrivs"].strip() == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert "0" not in status["Uid"].split()
    targets = {int(n): os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
    assert all(t.startswith("socket:") for n, t in targets.items() if n > 2), targets
    assert len([n for n in targets if n > 2]) == 2


def test_a_worker_that_dies_is_replaced_and_the_daemon_goes_on(collecting):
    c = collecting
    c.send(exporting.v9(exporting.template(9), exporting.data(9, connections(1)), sequence=0))
    until(lambda: c.exporter()["kept"] == 1)
    pid = c.worker()
    os.kill(pid, signal.SIGKILL)
    until(lambda: c.worker() not in (0, pid))
    c.send(exporting.v9(exporting.data(9, connections(1, port=80)), sequence=1))
    until(lambda: c.exporter()["without_template"] == 1)
    c.send(exporting.v9(exporting.template(9), exporting.data(9, connections(1, port=443)), sequence=2))
    until(lambda: {e["port"] for e in c.edges()} == {5432, 443})
    until(lambda: c.exporter()["datagrams"] == 3)


def test_what_was_kept_survives_a_kill_and_is_not_counted_again(collecting):
    c = collecting
    for n in range(1, LONG and 20 or 3):
        c.send(*known_traffic("netflow5"))
        until(lambda: c.exporter()["kept"] == 40)
        until(lambda: c.good("GET", "/status")["history"]["pending"] == 0)
        c.kill()
        c.start()
        assert sum(e["count"] for e in c.edges()) == 40 * n


def test_garbage_is_counted_and_harms_nobody(collecting):
    c, rng = collecting, random.Random(5)
    seeds = [d for datagrams in exporting.seeds().values() for d in datagrams]
    for i in range(LONG and 100000 or 1000):
        d = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 8)):
            d[rng.randrange(len(d))] = rng.randrange(256)
        c.send(bytes(d[:rng.randrange(1, len(d) + 1)]))
        if i % 500 == 499:  # Its queue has room for more.
            until(lambda: c.exporter()["datagrams"] > i)
    state = c.exporter()
    assert state["malformed"] > 100
    pid = c.worker()
    c.send(exporting.v5(connections(1, port=77)))
    until(lambda: any(e["port"] == 77 and e["from"] == "web1" for e in c.edges()))
    assert c.worker() == pid  # The same that read all of it.


def test_the_policy_knows_which_port_is_a_service(collecting):
    """By the size of ports alone 1500 would be the server's."""
    c = collecting
    c.send(exporting.v5([{"from": WEB, "to": DB, "sport": 1500, "dport": 5432, "flags": ALL, "bytes": 1,
                           "packets": 5}]))
    until(lambda: c.edges())
    assert [(e["from"], e["to"], e["port"]) for e in c.edges()] == [("web1", "db1", 5432)]


def test_flows_and_try_tell_others_apart(collecting, tmp_path):
    c = collecting
    c.send(exporting.v5(connections(2, port=8080)))
    until(lambda: c.edges())
    line = c.cli("flows").stdout
    assert re.search(r"seen +web1 -> db1 tcp/8080 .*x2 .*\(seen by core-sw1, netflow5; direction guessed\)", line)
    assert "seen" in c.cli("edges").stdout
    assert "web1" in c.cli("flows", "--verdict", "seen", "--reporter", "core-sw1").stdout
    assert c.cli("flows", "--verdict", "allow").stdout == ""
    (tmp_path / "p.yaml").write_text(POLICY)
    said = c.cli("try", str(tmp_path / "p.yaml"), code=1).stdout
    assert "was seen by core-sw1; now deny by default" in said
    until(lambda: json.loads(c.cli("exporters", "-o", "json").stdout)[0]["kept"] == 2)


@pytest.mark.parametrize("option, value, expected", [
    ("--collect", "udp://127.0.0.1:99", "ipfix://"),
    ("--collect", "ipfix://localhost:99", "numeric ADDR:PORT"),
    ("--exporter", "sw1", "NAME=ADDRESS"),
    ("--exporter", "sw 1=10.0.0.1", "NAME=ADDRESS"),
    ("--exporter", "core-sw1=10.0.0.1", "that no other exporter has"),
    ("--exporter", "sw1=127.0.0.3", "that no other exporter has"),
    ("--collect-max-rate", "many", "a number of records"),
])
def test_a_wrong_setting_says_what_was_expected(tmp_path, option, value, expected):
    c = Collecting(tmp_path)
    done = subprocess.run(c.command(option, value), capture_output=True, text=True)
    assert done.returncode == 2 and expected in done.stderr, done.stderr
