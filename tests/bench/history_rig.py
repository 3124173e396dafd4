# SPDX-License-Identifier: Apache-2.0
"""Metrics 9 (the store's part) and 10: records stored and asked, the folder of columns beside SQLite
and ClickHouse.

All behind the same interface and with the same records (history.c): an enterprise of 10,000
endpoints; answers that differ end the run.  SQLite has a table a day with indexes on time and on
both ends.  ClickHouse is a private clickhouse-server of the bench's own with the table and the INSERTs
of the daemon; its records pass through the keeper's SQLite file, as they do there.  Storing ends
when the server has confirmed the last record and has no merge left.  Its CPU time counts with the client's,
merges included; a line apart has the server's alone, which is what ClickHouse itself needs.

Of more than BULK records ClickHouse gets its rows past the keeper's file (bulk.h): then only its own
CPU time for storing is told.

At a million records in turn, places anew each round; at ten million once each, with 'rounds'
repeats of every question; by the CPU time of the process less the generator's.  At ten million ours
is beside the goals, too, by wall time.  A hundred million by hand, each question asked once more
after one that warms up:

    tests/bench/history_rig.py 100000000 1"""
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "system"))
from clickhouse_server import SERVER, ClickHouse  # noqa: E402

HISTORY = ROOT / "build" / "tests" / "history"
RECORDS = 1_000_000
LARGE = 10_000_000
BULK = 50_000_000
TIMEOUT_S = 4 * 3600
CACHE_MIB = 1024
QUIET_LOOKS, LOOK_S = 3, 1  # Merges are over when none was seen so often.


class HistoryError(Exception):
    """It did not run, or answers differ."""


def run(*arguments):
    done = subprocess.run([str(HISTORY), *map(str, arguments)], capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    if done.returncode:
        raise HistoryError(f"history: {done.stderr.strip()}")
    return [json.loads(x) for x in done.stdout.splitlines()]


class Place:
    """Where a history lies."""

    def __init__(self, name, where):
        self.name, self.where = name, where

    def clear(self):
        path = pathlib.Path(self.where.removeprefix("sqlite:").rsplit("#")[-1])
        shutil.rmtree(path, ignore_errors=True)
        for suffix in ("", "-wal", "-shm", "-lock"):
            pathlib.Path(f"{path}{suffix}").unlink(missing_ok=True)

    def store(self, records):
        self.clear()
        return run("store", self.where, records)[0]

    def ask(self, repeats):
        return run("ask", self.where, repeats, CACHE_MIB)


class Server(Place):
    """ClickHouse, with the keeper's file."""

    def __init__(self, folder, server):
        super().__init__("ClickHouse", f"clickhouse:http://default@127.0.0.1:{server.port}/bench#{folder}/keeper")
        self.server = server

    def clear(self):
        super().clear()
        self.server.ask("DROP DATABASE IF EXISTS bench")

    def store(self, records):
        before = self.server.cpu_s()
        if records > BULK:
            self.clear()
            stored = run("fill", self.where, records)[0]
        else:
            stored = super().store(records)
        quiet = 0
        while quiet < QUIET_LOOKS:
            time.sleep(LOOK_S)
            quiet = quiet + 1 if self.server.ask("SELECT count() FROM system.merges") == "0" else 0
        used = self.server.cpu_s() - before
        rows, size = self.server.ask("SELECT sum(rows), sum(bytes_on_disk) FROM system.parts WHERE active"
                                     " AND database = 'bench' AND table = 'flows'").split()
        if int(rows) != stored["records"]:
            raise HistoryError(f"history: ClickHouse has {rows} of {stored['records']} records")
        both = {"records_a_cpu_s": stored["records"] / (stored["cpu_s"] + used)} if "cpu_s" in stored else {}
        return stored | both | {"server_records_a_cpu_s": stored["records"] / used,
                                "bytes_a_record": int(size) / stored["records"]}

    def ask(self, repeats):
        return run("ask", self.where, repeats, CACHE_MIB, self.server.process.pid)


def places_in(folder, server):
    places = [Place("ours", f"{folder}/columns"), Place("SQLite", f"sqlite:{folder}/db")]
    return places + [Server(folder, server)] if server else places


def median_of(rounds, key):
    return statistics.median(r[key] for r in rounds)


def beside(lines, work, ours, peer, stored):
    """What storing took."""
    rate, size = (median_of(stored[ours.name], k) for k in ("records_a_cpu_s", "bytes_a_record"))
    if "records_a_cpu_s" in stored[peer.name][0]:
        other = median_of(stored[peer.name], "records_a_cpu_s")
        lines.add("9", f"stored a CPU-second, {work}", f"{rate:,.0f}", f"{other:,.0f}", peer.name,
                  f"{rate / other:.1f}")
    if isinstance(peer, Server):
        other = median_of(stored[peer.name], "server_records_a_cpu_s")
        lines.add("9", f"stored a CPU-second, {work}", f"{rate:,.0f}", f"{other:,.0f}",
                  "ClickHouse's server alone", f"{rate / other:.2f}")
    other = median_of(stored[peer.name], "bytes_a_record")
    lines.add("9", f"bytes a record, {work}", f"{size:.1f}", f"{other:.1f}", peer.name, f"{size / other:.2f}")


def compare(lines, work, answers, peer, theirs):
    for a, b in zip(answers[1:], theirs[1:], strict=True):
        if any(a[k] != b[k] for k in ("question", "answers", "connections")):
            raise HistoryError(f"history: {a} and, of {peer.name}, {b} differ")
        lines.add("10", f"{a['question']}, {work}", f"{a['cpu_ms']:.2f} ms CPU", f"{b['cpu_ms']:.2f} ms CPU",
                  peer.name, f"{a['cpu_ms'] / max(b['cpu_ms'], 0.001):.3f}")


GOALS = {"map of one hour": 50, "last use of a rule": 1}


def beside_goals(lines, work, stored, answers):
    lines.add("9", f"stored a CPU-second, {work}", f"{stored['records_a_cpu_s']:,.0f}", "1,000,000",
              "goal", f"{stored['records_a_cpu_s'] / 1e6:.2f}")
    lines.add("9", f"bytes a record, {work}", f"{stored['bytes_a_record']:.1f}", "12", "goal",
              f"{stored['bytes_a_record'] / 12:.2f}")
    for answer in answers[1:]:
        goal = GOALS.get(answer["question"], 10)
        lines.add("10", f"{answer['question']}, {work}", f"{answer['wall_ms']:.2f} ms",
                  f"{goal} ms", "goal", f"{answer['wall_ms'] / goal:.3f}")


def size_of(lines, places, records, rounds, repeats, goals):
    """Stores in turn; then the questions to what the last round left."""
    ours, *peers = places
    work = f"{records:,} records"
    stored = {p.name: [] for p in places}
    for _ in range(rounds):
        for p in places:
            stored[p.name].append(p.store(records))
    answers = ours.ask(repeats)
    if goals:
        beside_goals(lines, work, stored[ours.name][0], answers)
    for peer in peers:
        beside(lines, work, ours, peer, stored)
        compare(lines, work, answers, peer, peer.ask(repeats))
    for p in places:
        p.clear()


def measure(lines, rounds, records=RECORDS, large=LARGE):
    with tempfile.TemporaryDirectory(prefix="sm-bench-", dir="/var/tmp") as folder:
        server = None
        try:
            if SERVER.exists():
                server = ClickHouse(pathlib.Path(folder) / "server", "default", "").start()
            else:
                print(f"bench: {SERVER} is not installed: metrics 9 and 10 are not measured beside it", flush=True)
            places = places_in(folder, server)
            if records:
                size_of(lines, places, records, rounds, rounds, False)
            size_of(lines, places, large, 1, rounds, True)
        finally:
            if server:
                server.kill()


class Screen:
    """As run.py's lines, for a size by hand."""

    @staticmethod
    def add(metric, work, ours, peer, peer_name, ratio):
        print(f"| {metric} | {work} | {ours} | {peer_name} {peer} | {ratio} |", flush=True)


if __name__ == "__main__":
    size, repeats = (*map(int, sys.argv[1:]), *(LARGE, 5)[len(sys.argv) - 1:])
    measure(Screen, repeats, 0, size)
