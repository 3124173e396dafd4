"""A real daemon whose history lies in a real ClickHouse: away, killed, with a password, and back."""
import csv
import io
import pathlib
import signal
import subprocess

import pytest
from clickhouse_server import SERVER, ClickHouse
from test_controller import (BUILD, INVENTORY, PATIENCE_S, POLICY, Agent, Controller, pb,  # noqa: F401
                             pytestmark, tmp_path, until)
from test_flows import acknowledged, all_flows, history

pytestmark = [pytestmark, pytest.mark.skipif(not SERVER.exists(), reason="clickhouse-server is not installed")]

class Away(Controller):
    more = []

    def command(self, *more):
        return super().command(*self.more, *more)


@pytest.fixture
def clickhouse(tmp_path):
    server = ClickHouse(tmp_path / "click").start()
    yield server
    server.kill()


@pytest.fixture
def agent(pb, clickhouse, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    secret.chmod(0o644)  # The daemon reads it as the user that it becomes.
    c = Away(tmp_path)
    c.more = ["--history", f"clickhouse:http://suimitsu@127.0.0.1:{clickhouse.port}/flows",
              "--history-password-file", str(secret)]
    c.start()
    assert c.apply(POLICY, INVENTORY)[0] == 200
    agent = Agent(pb, c, tmp_path, "web1")
    agent.start()
    yield agent
    c.process.send_signal(signal.SIGTERM)
    said = c.process.stderr.read()
    assert c.process.wait(PATIENCE_S) == 0, said


def caught_up(c):
    until(lambda: history(c)["waiting"] == 0 and history(c)["keeper"] == "ok", 180)


def test_flows_come_to_clickhouse_and_are_answered_from_there(agent, clickhouse):
    c = agent.controller
    agent.tell(*[agent.flow(port=1000 + i, count=i) for i in range(1, 51)])
    acknowledged(agent, 1)
    assert len(all_flows(c)) == 50  # Also those that are on their way.
    caught_up(c)
    assert clickhouse.ask("SELECT count(), sum(count) FROM flows.flows") == "50\t1275"
    assert sorted(f["port"] for f in all_flows(c)) == list(range(1001, 1051))
    assert [f["count"] for f in all_flows(c, "&port=1007&from=web1")] == [7]
    assert sum(e["count"] for e in c.good("GET", "/edges")["edges"]) == 1275


def test_while_it_is_away_agents_are_acknowledged_and_questions_say_why_not(agent, clickhouse):
    c = agent.controller
    agent.tell(agent.flow(count=1))
    acknowledged(agent, 1)
    caught_up(c)
    clickhouse.kill()
    for n in range(2, 6):
        agent.tell(agent.flow(count=n))
        acknowledged(agent, n)
    status, problem, _ = c.ask("GET", "/flows")
    assert status >= 500 and "No route to host" in problem["detail"], problem
    until(lambda: history(c)["keeper"] != "ok", 180)
    assert history(c)["waiting"] == 4
    c.kill(signal.SIGKILL)  # The daemon as well.
    agent.sock.close()
    c.start()
    clickhouse.start()
    caught_up(c)
    assert sorted(f["count"] for f in all_flows(c)) == [1, 2, 3, 4, 5]
    assert clickhouse.ask("SELECT count() FROM flows.flows") == "5"


def test_the_command_line_reads_it_with_the_password_of_a_file(agent, clickhouse, tmp_path):
    c = agent.controller
    agent.tell(*[agent.flow(port=1000 + i) for i in range(1, 6)])
    acknowledged(agent, 1)
    caught_up(c)
    where = f"clickhouse:http://suimitsu@127.0.0.1:{clickhouse.port}/flows#{c.state}/history.db"
    export = [BUILD / "bin/suimitsu", "history", "export", where]
    without = subprocess.run(export, capture_output=True, text=True, check=False)
    assert without.returncode != 0 and "after 0 records" in without.stderr, without
    done = subprocess.run([*export, "--password-file", tmp_path / "secret"], capture_output=True, text=True, check=True)
    ports = [row["port"] for row in csv.DictReader(io.StringIO(done.stdout))]
    assert sorted(ports) == [str(1000 + i) for i in range(1, 6)]


def test_the_password_stands_in_no_command_line_and_a_wrong_one_loses_nothing(agent, clickhouse, tmp_path):
    c = agent.controller
    command = pathlib.Path(f"/proc/{c.process.pid}/cmdline").read_bytes()
    assert b"sesame" not in command
    (tmp_path / "secret").write_text("wrong")
    c.kill(signal.SIGTERM)
    agent.sock.close()
    c.start()
    agent.connect().hello()
    agent.tell(agent.flow(count=9))
    acknowledged(agent, 1)
    until(lambda: history(c)["keeper"] == "Input/output error", 180)
    (tmp_path / "secret").write_text("open sesame")
    c.kill(signal.SIGTERM)
    c.start()
    caught_up(c)
    assert [f["count"] for f in all_flows(c)] == [9]
