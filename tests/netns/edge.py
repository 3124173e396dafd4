# SPDX-License-Identifier: Apache-2.0
"""An edge at the ports of a lab's hosts: tests/netns/edge_driver.c, driven line by line."""
import json
import os
import pathlib
import select
import signal
import subprocess

from labkit import binary
from labkit.system import BPFFS, NETNS, PATIENCE, ROOT, LabError, run, wait_for

DRIVER = ROOT / "build" / "tests" / "edge_driver"


class Edge:
    """The edge of a lab's network namespace; ports are called as the hosts on them."""

    def __init__(self, lab, *options, name="edge"):
        self.lab, self.options = lab, options
        self.pins = BPFFS / f"{lab.net}-{name}"
        self.process = None
        try:
            self.start()
        except BaseException:
            self.kill()
            raise

    def start(self):
        self.events, self.rest = [], b""
        self.process = subprocess.Popen(
            ["nsenter", f"--net={NETNS / self.lab.net}", DRIVER, self.pins, *self.options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    def kill(self, sign=signal.SIGKILL):
        self.process.send_signal(sign)
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def down(self):
        if self.process.poll() is None:
            self.kill()
        if self.pins.exists() and (NETNS / self.lab.net).exists():
            run("nsenter", f"--net={NETNS / self.lab.net}", DRIVER, self.pins, "detach")

    def _line(self, limit_s):
        out = self.process.stdout.fileno()
        while b"\n" not in self.rest:
            if not select.select([out], [], [], limit_s)[0]:
                return None
            data = os.read(out, 65536)
            if not data:
                raise LabError(f"the edge ended with {self.process.wait()}: {self.events[-3:]}")
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def _answer(self, check=True):
        while True:
            line = self._line(30 * PATIENCE)
            if line is None:
                raise LabError(f"the edge said nothing for {30 * PATIENCE} s")
            if "ok" in line:
                if check and not line["ok"]:
                    raise LabError(f"edge: {line['error']}: {line['why']}")
                return line
            self.events.append(line)

    def command(self, *words, check=True):
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.stdin.flush()
        return self._answer(check)

    def status(self, port=None):
        ports = self.command("status")["ports"]
        return ports if port is None else ports[port]

    def counters(self, port):
        return self.status(port)["counters"]

    def put(self, host, *flags):
        """Binds the port of a host with the MAC that its interface has."""
        return self.command("put", host.name, mac_of(host), *flags)

    def load(self, host, program):
        return self.command("load", host.name, program)

    def wait_event(self, limit_s=10, **fields):
        """The first flow event with these fields."""
        def found():
            while (line := self._line(0.05)) is not None:
                self.events.append(line)
            for event in self.events:
                flow = event.get("flow", {})
                if flow and all(flow.get(k) == v for k, v in fields.items()):
                    return flow
            return None
        return wait_for(found, limit_s, lambda: f"a flow event with {fields}; last: {self.events[-5:]}")

    def wait_notice(self, text, limit_s=10):
        def found():
            while (line := self._line(0.05)) is not None:
                self.events.append(line)
            return next((e["notice"] for e in self.events
                         if text in e.get("notice", {}).get("text", "")), None)
        return wait_for(found, limit_s, lambda: f"a notice with '{text}'; last: {self.events[-5:]}")


def mac_of(host, interface="eth0"):
    words = host.run("ip", "-o", "link", "show", interface).stdout.split()
    return words[words.index("link/ether") + 1]


def compile_programs(folder, policy, inventory, endpoints, revision, now=None):
    """{endpoint: program file} by `suimitsu policy compile`; policy and inventory are paths."""
    folder = pathlib.Path(folder)
    programs = {}
    for endpoint in endpoints:
        programs[endpoint] = folder / f"{endpoint}.{revision}.program"
        run(binary("suimitsu"), "policy", "compile", policy, "--inventory", inventory, "--endpoint",
            endpoint, "--revision", revision, *(["--now", now] if now else []), "-o",
            programs[endpoint])
    return programs
