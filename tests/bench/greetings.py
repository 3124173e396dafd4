# SPDX-License-Identifier: Apache-2.0
"""What greetings and changes cost when programs are large: many endpoints with two addresses each, some of them with agents.

    tests/bench/greetings.py [--endpoints 100000] [--agents 200] [--suimitsud PATH]

The agents are those of lab/swarm, which decode and check each program.  While they get their first, a stranger shakes hands and
somebody asks the API again and again: how long these take, at most, is how long the controller's loop was busy with others (or
the machine).  Then six rules and four trust states change, each until all agents have acknowledged it."""
import argparse
import pathlib
import ssl
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "lab"))
sys.path.insert(0, str(ROOT / "tests/bench"))
from agents_rig import cpu_s  # noqa: E402
from life import live  # noqa: E402
from life.live import Daemon, Socket, Swarm, peak_mb  # noqa: E402

ROLES = 20
PIECE = 10000  # Endpoints of a file.


def policy(port):
    groups = "".join(f"  g{k}: {{match: {{r: k{k}}}}}\n" for k in range(ROLES))
    rules = "".join(f"  - {{id: r{k}, from: g{k}, to: g{(k * 7 + 3) % ROLES}, service: tcp/{port}, why: w, owner: o}}\n"
                    for k in range(ROLES))
    return f"suimitsu: 1\ngroups:\n{groups}allow:\n{rules}"


def inventory(n):
    def line(i):
        return (f"  e{i}: {{labels: {{r: k{i % ROLES}}}, enforcers: host, "
                f"addresses: [10.{1 + (i >> 16)}.{i >> 8 & 255}.{i & 255}, 'fd00::{i >> 16:x}:{i & 0xffff:x}']}}\n")
    return ["suimitsu-inventory: 1\nendpoints:\n" + "".join(map(line, range(first, min(n, first + PIECE))))
            for first in range(0, n, PIECE)]


class Others(threading.Thread):
    """They shake hands and ask, until told() ends it."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.controller, self.hands, self.asked, self.over = daemon, [], [], False

    def run(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        api = Socket(self.controller.folder / "run/api.sock")
        while not self.over:
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", self.controller.agents_port)) as s, context.wrap_socket(s):
                self.hands.append(time.monotonic() - began)
            began = time.monotonic()
            api.request("GET", "/api/v1/status")
            api.getresponse().read()
            self.asked.append(time.monotonic() - began)
            time.sleep(.05)

    def told(self):
        self.over = True
        self.join()
        return ", ".join(f"{what} median {sorted(v)[len(v) // 2] * 1000:.1f} ms, at most {max(v) * 1000:.1f} ms"
                         for what, v in (("handshakes", self.hands), ("GET /status", self.asked)))


def change(daemon, swarm, what, do):
    """One change, until all have acknowledged it."""
    cpu = cpu_s(daemon.process.pid)
    swarm.ask("mark")
    revision = do()
    acks = swarm.ask(f"settle {revision}")["acks_us"]
    print(f"{what}: all {len(acks)} acknowledged after {max(acks) / 1000:.0f} ms, suimitsud "
          f"{(cpu_s(daemon.process.pid) - cpu) * 1000:.0f} CPU-ms", flush=True)


def quarantine(daemon, endpoint):
    daemon.api("POST", f"/endpoints/{endpoint}/quarantine", {"reason": "bench"})
    return daemon.api("GET", "/status")["revision"]


def greet(daemon, swarm, agents, revision):
    others = Others(daemon)
    others.start()
    cpu, began = (cpu_s(daemon.process.pid), cpu_s(swarm.process.pid)), time.monotonic()
    swarm.say("connect")
    swarm.ask(f"settle {revision}")
    took = time.monotonic() - began
    print(f"{agents} agents hold their program after {took:.1f} s: {swarm.ask('state')['bytes_in'] / agents:,.0f} B each, suimitsud "
          f"{(cpu_s(daemon.process.pid) - cpu[0]) / agents * 1000:.1f} CPU-ms each, all agents' process "
          f"{(cpu_s(swarm.process.pid) - cpu[1]) / agents * 1000:.1f}")
    print(f"meanwhile: {others.told()}", flush=True)


def run(options, folder):
    daemon = Daemon(Daemon.folder_of(folder), "--enrolments-per-minute", "1000000")
    swarm = Swarm(daemon)
    try:
        revision = daemon.apply(policy(1000), inventory(options.endpoints))
        for i in range(options.agents):
            name = f"e{i * (options.endpoints // options.agents)}"
            swarm.say(f"enrol {name} {daemon.token(name)}")
            if i % live.TOKENS == live.TOKENS - 1:
                swarm.ask("settle 0")
        swarm.ask("settle 0")
        greet(daemon, swarm, options.agents, revision)
        for i in range(6):
            change(daemon, swarm, "20 changed rules", lambda i=i: daemon.apply(policy(1001 + i)))
        for i in range(4):
            change(daemon, swarm, "a trust state", lambda i=i: quarantine(daemon, f"e{i}"))
        print(f"memory at most: suimitsud {peak_mb(daemon.process)} MiB, all agents {peak_mb(swarm.process)} MiB")
    finally:
        ended = swarm.end(), daemon.end()
    return 0 if ended == (0, 0) else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--endpoints", type=int, default=100000)
    parser.add_argument("--agents", type=int, default=200)
    parser.add_argument("--suimitsud", help="another one than was built, to compare with")
    options = parser.parse_args()
    if options.suimitsud:
        live.binary = lambda name: options.suimitsud
    folder = tempfile.mkdtemp(prefix="sm-greet-", dir="/dev/shm")
    try:
        return run(options, folder)
    finally:
        subprocess.run(["rm", "-rf", folder], check=False)


if __name__ == "__main__":
    sys.exit(main())
