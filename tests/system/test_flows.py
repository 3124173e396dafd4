"""From agents' batches to answers: exact counts through kills, names of then, edges, gaps, clocks, full disks."""
import json
import os
import random
import select
import signal
import socket
import subprocess
import time

import pytest
import flow_columns
from flow_columns import MINUTE, mapped
from test_controller import (BUILD, EDGE, INVENTORY, PATIENCE_S, POLICY, Agent, agent, controller, pb,  # noqa: F401
                             tmp_path, until)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")
KILLS = int(os.environ.get("SUIMITSU_KILLS", "200"))


def history(c):
    return c.good("GET", "/status")["history"]


def all_flows(c, query=""):
    """Every page, oldest first."""
    flows, cursor = [], ""
    while True:
        answer = c.good("GET", f"/flows?max=1000{query}" + (f"&cursor={cursor}" if cursor else ""))
        flows = answer["flows"] + flows
        cursor = answer["next"]
        if not cursor:
            return flows


def acknowledged(agent, sequence, seconds=PATIENCE_S):
    """Reads until this batch is on the disk."""
    agent.sock.settimeout(seconds)
    while agent.acked[1] < sequence:
        agent.take()


def stay_until(agent, instant):
    """Keeps the connection: who is silent for a minute is cut off."""
    while (left := instant - time.time()) > 0:
        if agent.sock.pending() or select.select([agent.sock], [], [], left)[0]:
            agent.take()


class Spool:
    """The agent's side of never twice: keeps what has no answer, and sends it again."""

    def __init__(self, agent):
        self.agent, self.batches, self.sequence = agent, {}, 0

    def add(self, flows, **more):
        self.sequence += 1
        self.batches[self.sequence] = (flows, more)

    def send(self):
        for sequence, (flows, more) in sorted(self.batches.items()):
            self.agent.tell(*flows, sequence=sequence, **more)

    def read(self, seconds):
        """Takes what the controller says meanwhile."""
        end = time.monotonic() + seconds
        try:
            while (left := end - time.monotonic()) > 0 and self.batches:
                acknowledged(self.agent, self.agent.acked[1] + 1, left)
                self.batches = {n: b for n, b in self.batches.items() if n > self.agent.acked[1]}
        except (OSError, EOFError):
            pass


def test_counts_are_exact_though_the_controller_is_killed_again_and_again(agent):
    """Whatever was acknowledged is answered, whatever was not is sent again; nothing is counted twice."""
    c, rng, told = agent.controller, random.Random(7), 0
    agent.start()
    spool, lost = Spool(agent), 0
    for kill in range(KILLS):
        for _ in range(rng.randint(1, 4)):
            n = rng.randint(1, 40)
            gap = rng.choice([0, 0, 0, 3])
            flows = [agent.flow(port=1000 + rng.randint(0, 5), count=rng.randint(1, 9), user=f"u{kill % 7}")
                     for _ in range(n)]
            spool.add(flows, lost=gap)
            told += sum(f["count"] for f in flows)
            lost += gap
        try:
            if kill:
                agent.connect().hello()
            spool.send()
            spool.read(rng.choice([0.0, 0.05, 0.21, 0.25, 0.5]))
        except (OSError, EOFError):
            pass
        c.kill()
        agent.sock.close()
        c.start()
    agent.connect().hello()
    spool.send()
    while spool.batches:
        spool.read(5)
    state = history(c)
    edges = c.good("GET", "/edges")["edges"]
    assert sum(e["count"] for e in edges) == told
    assert sum(f["count"] for f in all_flows(c)) == told
    gaps = c.good("GET", "/flows")["incomplete"]
    assert sum(g["lost"] for g in gaps) == lost == state["lost_records"]
    assert state["lost_batches"] == 0
    print(f"{KILLS} kills, {told} connections, {state['duplicates']} duplicates since the last start")


def test_a_batch_that_comes_again_or_late_is_acknowledged_and_not_counted(agent):
    c = agent.controller
    agent.start()
    flow = agent.flow(count=5)
    for sequence in (1, 2, 2, 1, 4, 3):  # 3 is missing when 4 comes: too late for it then.
        agent.tell(flow, sequence=sequence)
    acknowledged(agent, 4)
    until(lambda: history(c)["duplicates"] == 3)
    assert sum(e["count"] for e in c.good("GET", "/edges")["edges"]) == 15
    assert history(c)["lost_batches"] == 1
    agent.epoch = 78
    agent.tell(flow, sequence=1)
    until(lambda: sum(e["count"] for e in c.good("GET", "/edges")["edges"]) == 20)


def test_what_is_acknowledged_was_on_the_disk_before(agent):
    c = agent.controller
    agent.start()
    for n in range(20):
        agent.tell(agent.flow(count=1))
        acknowledged(agent, n + 1)
        c.kill()
        agent.sock.close()
        c.start()
        assert sum(e["count"] for e in c.good("GET", "/edges")["edges"]) == n + 1
        agent.connect().hello()


def test_pages_hold_each_record_once_in_order_of_time(agent):
    c, rng = agent.controller, random.Random(3)
    agent.start()
    now = int(time.time() * 1000)
    flows = [agent.flow(first_ms=now - rng.randint(0, 40 * 86400000), port=i % 65536, count=1) for i in range(6000)]
    for f in flows:
        f["last_ms"] = f["first_ms"]
    for i in range(0, 6000, 2000):
        agent.tell(*flows[i:i + 2000])
    acknowledged(agent, 3)
    got = all_flows(c)
    assert sorted(f["port"] for f in got) == sorted(f["port"] for f in flows)
    assert [f["first"] for f in got] == sorted(f["first"] for f in got)
    few = c.good("GET", "/flows?max=7")
    assert few["flows"] == got[-7:] and few["next"]
    assert c.good("GET", f"/flows?max=7&cursor={few['next']}")["flows"] == got[-14:-7]
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000 - 5 * 86400))
    until_ = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now / 1000 - 3 * 86400))
    assert all_flows(c, f"&since={since}&until={until_}") == [f for f in got if since <= f["first"] < until_]
    assert len(c.cli("flows", "--max", "2500").stdout.splitlines()) == 2500
    assert c.ask("GET", "/flows?cursor=x")[0] == 400
    assert c.ask("GET", "/flows?since=1m&until=1h")[0] == 400


@pytest.fixture
def both(agent, pb, tmp_path):  # noqa: F811
    """Agents at both ends of the shop."""
    agent.start()
    db = Agent(pb, agent.controller, tmp_path, "db1")
    db.start()
    return agent, db


def at_db(**more):
    return {"local": mapped("10.20.1.12"), "remote": mapped("10.20.1.11"), "direction": 1,
            "process": "/usr/bin/postgres", **more}


def test_connections_that_both_ends_told_are_counted_once(both):
    web, db = both
    c = web.controller
    web.tell(web.flow(count=10, rule_name="shop-db", bytes_out=100, bytes_in=900),
             web.flow(port=25, verdict=2, layer=5, count=2))
    db.tell(at_db(count=10, rule_name="shop-db"), at_db(port=22, verdict=0, layer=5, count=3),
            at_db(port=25, verdict=2, layer=5, count=2),
            at_db(remote=mapped("203.0.113.9"), count=4, rule_name="shop-db"))
    acknowledged(db, 1)
    acknowledged(web, 1)
    edges = {(e["from"] or e["from_address"], e["to"], e["port"], e["verdict"]): e
             for e in c.good("GET", "/edges")["edges"]}
    assert {k: e["count"] for k, e in edges.items()} == {
        ("web1", "db1", 5432, "allow"): 10,  # Told by web1, who knows the program.
        ("web1", "db1", 22, "deny"): 3,      # Only who denies knows of it.
        ("web1", "db1", 25, "would-deny"): 2,
        ("203.0.113.9", "db1", 5432, "allow"): 4}
    e = edges["web1", "db1", 5432, "allow"]
    assert (e["process"], e["process_of"], e["bytes_out"], e["bytes_in"]) == ("/opt/shop/orders", "from", 100, 900)
    assert edges["203.0.113.9", "db1", 5432, "allow"]["process_of"] == "to"
    assert len(c.good("GET", "/flows")["flows"]) == 6  # What each told is still there.
    groups = c.good("GET", "/edges?by=tier")["edges"]
    assert {(g["from"], g["to"]): g["counts"] for g in groups} == {
        ("web", "db"): {"allow": 10, "deny": 3, "would_deny": 2, "seen": 0, "seen_deny": 0},
        ("(outside)", "db"): {"allow": 4, "deny": 0, "would_deny": 0, "seen": 0, "seen_deny": 0}}
    split = c.good("GET", "/edges?by=tier&split=port&to=db1")["edges"]
    assert {(g["from"], g["port"]): g["counts"]["allow"] for g in split} == {
        ("web", 5432): 10, ("web", 22): 0, ("web", 25): 0, ("(outside)", 5432): 4}
    rules = {r["rule"]: r for r in c.good("GET", "/rules/use")["rules"]}
    assert rules["shop-db"]["hits"] == 14 and rules["shop-db"]["in_force"]
    assert "shop-db" in c.cli("rules", "use").stdout
    assert "web1 -> db1 tcp/5432" in c.cli("edges").stdout
    assert "web -> db  allow 10  deny 3  would-deny 2" in c.cli("edges", "--by", "tier").stdout


def test_what_only_the_destination_could_tell_stays_when_the_source_gets_an_agent(agent, pb, tmp_path):  # noqa: F811
    c = agent.controller
    db = Agent(pb, c, tmp_path, "db1")
    db.start()
    db.tell(at_db(count=10, rule_name="shop-db"))
    acknowledged(db, 1)

    def hits():
        edges = c.good("GET", "/edges")["edges"]
        rules = {r["rule"]: r["hits"] for r in c.good("GET", "/rules/use")["rules"]}
        return {(e["from"], e["to"], e["process_of"]): e["count"] for e in edges}, rules["shop-db"]
    assert hits() == ({("web1", "db1", "to"): 10}, 10)
    agent.start()  # It is enrolled now, and was not then.
    assert hits() == ({("web1", "db1", "to"): 10}, 10)
    agent.tell(agent.flow(count=5, rule_name="shop-db"))
    db.tell(at_db(count=5, rule_name="shop-db"))  # Told by both.
    acknowledged(agent, 1)
    acknowledged(db, 2)
    told = ({("web1", "db1", "to"): 10, ("web1", "db1", "from"): 5}, 15)
    assert hits() == told
    c.kill(signal.SIGTERM)
    c.start()
    assert hits() == told


def test_of_an_agent_and_the_edge_before_it_the_agent_counts_while_it_is_there(agent, pb, tmp_path):  # noqa: F811
    c = agent.controller
    assert c.apply(None, EDGE)[0] == 200  # db1 is guarded by web1, too.
    assert agent.enrol()[0] == "enrolled"
    edge, db = Agent(pb, c, tmp_path, "web1"), Agent(pb, c, tmp_path, "db1")
    edge.connect().hello(guards="db1")
    edge.acknowledge(edge.expect("snapshot").program.revision)
    stranger = {"remote": mapped("203.0.113.9"), "rule_name": "shop-db"}

    def counts():
        return {(e["process_of"], e["process"]): e["count"] for e in c.good("GET", "/edges")["edges"]}

    def from_outside(count, sequence):
        edge.tell(at_db(**stranger, count=count) | {"process": ""}, endpoint="db1")
        acknowledged(edge, sequence)
    from_outside(3, 1)
    assert counts() == {("to", ""): 3}
    db.start()
    from_outside(4, 2)
    db.tell(at_db(**stranger, count=4))
    acknowledged(db, 1)
    assert counts() == {("to", ""): 3, ("to", "/usr/bin/postgres"): 4}
    db.sock.close()  # Whoever owns the box ends its agent.
    until(lambda: c.enforcer("db1")["state"] == "INACTIVE")
    from_outside(5, 3)
    assert counts() == {("to", ""): 8, ("to", "/usr/bin/postgres"): 4}


def test_every_filter_finds_what_it_names_and_nothing_else(both):
    web, db = both
    c = web.controller
    web.tell(web.flow(count=1, rule_name="shop-db"), web.flow(count=2, user="ops", port=53, protocol=17),
             web.flow(count=4, process="/usr/bin/curl", remote=mapped("192.0.2.7"), port=443),
             web.flow(count=8, verdict=0, layer=5, port=22), web.flow(count=16, verdict=2, layer=5, enforced=False, port=23))
    acknowledged(web, 1)
    for query, count in {"rule=shop-db": 1, "user=ops": 2, "port=53": 2, "port=udp/53": 2, "port=tcp/53": 0,
                         "process=/usr/bin/curl": 4, "to=192.0.2.7": 4, "from=192.0.2.7": 0,
                         "endpoint=192.0.2.7": 4, "endpoint=db1": 27, "to=db1": 27, "from=db1": 0,
                         "from=10.20.1.11": 31, "denied": 24, "verdict=deny": 8, "verdict=would-deny": 16,
                         "verdict=allow&to=db1": 3, "rule=nobody": 0, "to=nobody": 0, "since=1h": 31,
                         "until=1h": 0}.items():
        assert sum(f["count"] for f in c.good("GET", f"/flows?{query}")["flows"]) == count, query
        assert sum(e["count"] for e in c.good("GET", f"/edges?{query}")["edges"]) == count, query
        assert sum(f["count"] for f in c.good("GET", f"/flows?after=0&{query}")["flows"]) == count, query
    for bad in ("port=x", "port=tcp/x", "verdict=maybe", "since=yesterday", "max=0", "nonsense=1"):
        assert c.ask("GET", f"/flows?{bad}")[0] == 400, bad
    assert c.ask("GET", "/edges?split=port")[0] == 400


def test_ends_are_named_as_of_the_time_of_the_record(agent):
    c = agent.controller
    agent.start()
    before = int(time.time() * 1000)
    until(lambda: time.time() * 1000 >= before + 2000)  # Instants are whole seconds.
    moved = INVENTORY.replace("10.20.1.12", "10.20.1.99") + (
        "  new: {labels: {tier: x}, addresses: [10.20.1.12]}\n")
    assert c.apply(inventory=moved)[0] == 200
    later = int(time.time() * 1000) + 1000
    until(lambda: time.time() * 1000 >= later)
    agent.tell(agent.flow(first_ms=before, last_ms=before), agent.flow(port=80))
    acknowledged(agent, 1)
    assert {(f["port"], f["to"]) for f in c.good("GET", "/flows")["flows"]} == {(5432, "db1"), (80, "new")}


def test_a_rule_is_named_though_the_controller_was_restarted_since(agent):
    c = agent.controller
    program = agent.start()
    rule = list(program.rules).index("shop-db") + 1
    c.kill()
    agent.sock.close()
    c.start()
    agent.connect().hello()
    agent.tell(agent.flow(rule=rule, rule_name="shop-db", revision=program.revision),
               agent.flow(rule=rule, revision=program.revision, port=1))
    acknowledged(agent, 1)
    assert {f["port"]: f["rule"] for f in c.good("GET", "/flows")["flows"]} == {
        5432: "shop-db", 1: f"#{rule}@{program.revision}"}


def test_what_is_missing_is_said_for_the_window_that_it_is_in(agent):
    c = agent.controller
    agent.start()
    now = int(time.time() * 1000) // MINUTE * MINUTE
    old = now - 10 * 3600000
    agent.tell(agent.flow(first_ms=old, last_ms=old))
    agent.tell(agent.flow(first_ms=old + 3600000, last_ms=old + 3600000), lost=123, interrupted=True)
    agent.tell(agent.flow())
    acknowledged(agent, 3)
    for _ in range(2):
        gap, = c.good("GET", "/flows")["incomplete"]
        assert (gap["stream"], gap["lost"], gap["interrupted"]) == ("web1", 123, 1)
        assert gap["from"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(old / 1000))
        assert c.good("GET", "/flows?since=5h")["incomplete"] == []
        assert c.good("GET", "/edges?since=1d")["incomplete"] != []
        done = c.cli("flows")
        assert "evidence is incomplete: web1" in done.stderr and "123 records lost" in done.stderr
        c.kill()  # It is still known after a kill.
        c.start()
    agent.sock.close()
    agent.connect().hello()
    for n in (2, 3):  # The one with the gap again: it is not counted again.
        agent.tell(agent.flow(), sequence=n, lost=123 if n == 2 else 0, interrupted=n == 2)
    agent.tell(agent.flow(), sequence=4, lost=1)
    acknowledged(agent, 4)
    gaps = c.good("GET", "/flows")["incomplete"]
    assert sum(g["lost"] for g in gaps) == 124
    shown = c.enforcer("web1")["flows"]
    assert shown["lost"] == 1


def test_a_wrong_clock_is_shown_and_puts_nothing_where_it_says(agent):
    """Neither into the future, nor so far back that retention would take it."""
    c = agent.controller
    agent.start()
    now = int(time.time() * 1000)
    ahead = now + 3 * 86400000
    agent.tell(agent.flow(first_ms=ahead, last_ms=ahead), agent.flow(first_ms=5, last_ms=5, port=7), sent_ms=ahead)
    acknowledged(agent, 1)
    flows = {f["port"]: f for f in c.good("GET", "/flows")["flows"]}
    begin, limit = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t)) for t in (now / 1000, time.time() + 61))
    assert all(begin <= flows[port]["first"] <= flows[port]["last"] <= limit for port in (5432, 7)), flows
    shown = c.enforcer("web1")["flows"]
    assert abs(shown["clock_ahead_ms"] - 3 * 86400000) < 60000 and shown["times_not_believed"] == 2


def test_a_full_disk_refuses_and_the_agent_keeps_its_own(agent, tmp_path):  # noqa: F811
    """The history on a disk of its own that gets full, and is freed again."""
    c = agent.controller
    c.kill(signal.SIGTERM)
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0777", "tmpfs", str(small)], check=True)
    try:
        command = c.command
        c.command = lambda *more: command("--history", str(small / "history"), *more)
        c.start()
        agent.start()
        spool, told = Spool(agent), 0
        free = os.statvfs(small)
        (small / "ballast").write_bytes(b"x" * (free.f_bavail * free.f_frsize - (60 << 10)))
        for i in range(20):
            flows = [agent.flow(port=p, user=os.urandom(8).hex(), bytes_in=random.getrandbits(40))
                     for p in range(400)]
            spool.add(flows)
            told += 400
        for batch in sorted(spool.batches):
            agent.tell(*spool.batches[batch][0], sequence=batch)
        until(lambda: history(c)["disk"] != "ok")
        spool.read(1)
        assert spool.batches
        # Meanwhile it enforces, answers, and takes changes.
        assert c.apply(POLICY.replace("why: orders", "why: more orders"))[0] == 200
        (small / "ballast").unlink()
        until(lambda: history(c)["disk"] == "ok")
        deadline = time.monotonic() + PATIENCE_S
        while spool.batches and time.monotonic() < deadline:
            spool.send()
            spool.read(2)
        assert not spool.batches
        assert sum(f["count"] for f in all_flows(c)) == told
        assert history(c)["lost_batches"] == 0
        c.kill()
        c.start()
        assert sum(f["count"] for f in all_flows(c)) == told
    finally:
        c.kill()
        subprocess.run(["umount", "-l", str(small)], check=True)


def on_a_slow_disk(c, tmp_path, *more):  # noqa: F811
    """The daemon from now on; 'hold' of what makes it slow."""
    c.kill(signal.SIGTERM)
    command, disk = c.command, tmp_path / "disk"
    c.command = lambda *again: ["env", f"LD_PRELOAD={BUILD}/tests/slow_disk.so", "ASAN_OPTIONS=verify_asan_link_order=0",
                                f"SUIMITSU_SLOW_DISK={disk}", *command(*more, *again)]


def fifo(path):
    os.mkfifo(path)
    path.chmod(0o666)
    return path


def released(held):
    """Waits until the disk is waited for."""
    fd = os.open(held, os.O_RDONLY | os.O_NONBLOCK)
    assert select.select([fd], [], [], PATIENCE_S)[0], f"{held.suffix}: never flushed"
    assert os.read(fd, 1) == b"h"
    os.close(fd)
    held.unlink()


def test_while_the_disk_is_slow_all_goes_on_and_nothing_is_acknowledged(agent, tmp_path):  # noqa: F811
    """Not slow: it does not come back before this test says so."""
    c = agent.controller
    on_a_slow_disk(c, tmp_path)
    c.start()
    agent.start()
    agent.tell(agent.flow(count=1))
    acknowledged(agent, 1)
    go, held = fifo(tmp_path / "disk.go"), fifo(tmp_path / "disk.journal")
    agent.tell(agent.flow(count=2))
    released(held)
    agent.tell(agent.flow(count=4))
    until(lambda: history(c)["pending"] == 2)
    assert sum(f["count"] for f in all_flows(c)) == 7
    assert c.apply(inventory=INVENTORY.replace("10.20.3.11", "10.20.3.12"))[0] == 200
    agent.expect("delta")
    assert agent.acked[1] == 1
    os.close(os.open(go, os.O_WRONLY))
    acknowledged(agent, 3)
    until(lambda: history(c)["pending"] == 0)
    c.kill()
    c.start()
    assert sum(f["count"] for f in all_flows(c)) == 7


def test_while_retention_waits_for_the_disk_all_goes_on(agent, tmp_path):  # noqa: F811
    """The day before which all goes is written soon after the start, by the thread that commits."""
    c = agent.controller
    agent.start()
    agent.tell(agent.flow(count=1))
    acknowledged(agent, 1)
    go, held = fifo(tmp_path / "disk.go"), fifo(tmp_path / "disk.horizon")
    on_a_slow_disk(c, tmp_path, "--history-max-age", "4d")
    horizon = c.state / "history" / "horizon"
    before = horizon.read_bytes() if horizon.exists() else b""
    c.start()
    released(held)
    agent.connect().hello()
    agent.tell(agent.flow(count=1))
    until(lambda: history(c)["pending"] == 1)
    assert c.apply(POLICY.replace("why: orders", "why: more orders"))[0] == 200
    os.close(os.open(go, os.O_WRONLY))
    acknowledged(agent, 2)
    until(lambda: horizon.read_bytes() != before)


def test_a_clickhouse_that_never_answers_keeps_nobody_waiting(agent):
    """It takes connections, and says nothing."""
    c = agent.controller
    c.kill(signal.SIGTERM)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        command = c.command
        c.command = lambda *more: command(
            "--history", f"clickhouse:http://default@127.0.0.1:{silent.getsockname()[1]}/flows", *more)
        c.start()
        agent.start()
        agent.tell(agent.flow(count=1))
        acknowledged(agent, 1)
        silent.settimeout(PATIENCE_S)
        asked, _ = silent.accept()
        with asked:
            agent.tell(agent.flow(count=2))
            acknowledged(agent, 2)
            assert history(c)["waiting"] == 2
            assert sum(f["count"] for f in all_flows(c)) == 3
            assert c.apply(POLICY.replace("why: orders", "why: more orders"))[0] == 200
            assert c.kill(signal.SIGTERM) == 0  # Nor the daemon's end.


def test_a_flood_of_records_delays_no_quarantine_and_is_counted_whole(agent, pb, tmp_path):  # noqa: F811
    """Two generators send as fast as they are answered, while a trust change goes to another agent."""
    c = agent.controller
    agent.start()
    flooders = []
    for name in ("db1", "pc1"):
        flooder = Agent(pb, c, tmp_path, name)
        assert flooder.enrol()[0] == "enrolled"
        flooders.append(subprocess.Popen(
            [BUILD / "tests/flows", str(c.agents_port), c.state / "ca.crt", flooder.crt, flooder.key, name, "300"],
            stdout=subprocess.PIPE))
    until(lambda: history(c)["records"] > 10000)
    meanwhile = []  # Records that were taken while a change was on its way: no matter how fast the machine is.
    for i in range(5):
        began = history(c)["records"]
        c.good("POST", "/endpoints/pc1/quarantine" if i % 2 == 0 else "/endpoints/pc1/release", {"reason": "flood"})
        while agent.receive()[0] != "trust":
            pass
        meanwhile.append(history(c)["records"] - began)
    told = sum(json.loads(p.communicate(timeout=600)[0])["records"] for p in flooders)
    assert history(c)["records"] == told == 2 * 300 * 2048
    assert sorted(meanwhile)[2] < told / 10, meanwhile  # Behind what waits it would be behind much of it.
    assert history(c)["lost_batches"] == 0


def test_an_agent_over_its_share_keeps_its_own_and_hinders_nobody(agent, pb, tmp_path):  # noqa: F811
    c = agent.controller
    c.kill(signal.SIGTERM)
    command = c.command
    c.command = lambda *more: command("--history-max-rate", "100", *more)
    c.start()
    agent.start()
    other = Agent(pb, c, tmp_path, "db1")
    other.start()
    if time.time() % 60 > 40:  # All of it shall happen in one minute.
        until(lambda: time.time() % 60 < 40)
    for sequence in (1, 2, 3):
        agent.tell(*[agent.flow(port=p) for p in range(60)], sequence=sequence)
    other.tell(at_db(count=7))
    acknowledged(other, 1)
    acknowledged(agent, 1)
    shown = c.enforcer("web1")["flows"]
    assert (shown["refused_from"], shown["floods"]) == (2, 1)
    assert history(c)["records"] == 61
    stay_until(agent, time.time() // 60 * 60 + 60)
    agent.tell(agent.flow(), sequence=3)  # Nothing behind what was refused is taken before it.
    for sequence in (2, 3):
        agent.tell(*[agent.flow(port=p) for p in range(40)], sequence=sequence)
    acknowledged(agent, 3)
    assert history(c)["records"] == 141 and history(c)["lost_batches"] == 0
