#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Metric 9 end to end: records over TLS from agents, named, on the disk, acknowledged and queryable.

usage: flows.py [BATCHES [AGENTS [ROUNDS]]]      batches of 2,048 records of each agent

Prints one line a round: records a CPU second of the controller, of the generators beside it, and bytes a record on the
way and on the disk.  The controller commits every 200 ms; all of it is answered before the clock stops."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
import test_controller as t  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SUIMITSU_BUILD", ROOT / "build"))
INVENTORY = "suimitsu-inventory: 1\nendpoints:\n" + "".join(
    f"  srv{i}: {{labels: {{tier: t{i % 5}}}, addresses: [10.21.{i >> 8}.{i & 255}], enforcers: [host]}}\n"
    for i in range(500))


def cpu_s(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def generated_pb(folder):
    subprocess.run(["protoc", f"--proto_path={ROOT}/src/wire", f"--python_out={folder}", "agent.proto"], check=True)
    sys.path.insert(0, str(folder))
    import agent_pb2
    return agent_pb2


def round_(batches, n_agents):
    with tempfile.TemporaryDirectory(prefix="sm-bench-") as name:
        folder = pathlib.Path(name)
        os.chmod(folder, 0o755)
        c = t.Controller(folder)
        command = c.command
        c.command = lambda *more: command("--history-max-rate", "0", *more)
        c.start()
        try:
            assert c.apply(t.POLICY, INVENTORY)[0] == 200
            pb = generated_pb(folder)
            agents = [t.Agent(pb, c, folder, f"srv{i}") for i in range(n_agents)]
            for a in agents:
                assert a.enrol()[0] == "enrolled"
            before = cpu_s(c.process.pid)
            running = [subprocess.Popen([BUILD / "tests/flows", str(c.agents_port), c.state / "ca.crt", a.crt, a.key,
                                         a.endpoint, str(batches)], stdout=subprocess.PIPE) for a in agents]
            told = [json.loads(p.communicate()[0]) for p in running]
            used = cpu_s(c.process.pid) - before
            records = sum(x["records"] for x in told)
            state = c.good("GET", "/status")["history"]
            assert state["records"] == records and not state["lost_batches"], state
            began = time.monotonic()
            edges = c.good("GET", "/edges?max=10000&since=5h")
            asked_ms = (time.monotonic() - began) * 1000
            return {"records": records, "per_cpu_s": records / used,
                    "generators": records / sum(x["cpu_s"] for x in told),
                    "wire": sum(x["bytes"] for x in told) / records, "disk": state["bytes"] / records,
                    "edges": edges["total"], "asked_ms": asked_ms,
                    "seconds": max(x["seconds"] for x in told)}
        finally:
            c.kill()


def measure(lines, rounds):
    """One line for run.py: medians."""
    done = sorted((round_(1000, 2) for _ in range(rounds)), key=lambda r: r["per_cpu_s"])
    r = done[len(done) // 2]
    lines.add("9", f"records over TLS, stored, {r['disk']:.1f} B each", f"{r['per_cpu_s']:,.0f}/CPU-s",
              f"{r['generators']:,.0f}/CPU-s", "generators", f"{r['per_cpu_s'] / r['generators']:.3f}")


def main():
    batches, agents, rounds = (int(x) for x in (sys.argv[1:] + ["1000", "2", "3"][len(sys.argv) - 1:]))
    for _ in range(rounds):
        r = round_(batches, agents)
        print(f"9   {r['records']:,} records over TLS from {agents} agents: {r['per_cpu_s']:,.0f} records/CPU-s of the "
              f"controller; generators {r['generators']:,.0f}; {r['wire']:.1f} B on the way, {r['disk']:.1f} B on the "
              f"disk; {r['edges']:,} edges asked in {r['asked_ms']:.0f} ms; {r['seconds']:.1f} s", flush=True)


if __name__ == "__main__":
    main()
