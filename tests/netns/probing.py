# SPDX-License-Identifier: Apache-2.0
"""The probe program (lab/probe), driven from tests: tries, servers, sessions and floods."""
import json
import os
import select
import shutil
import subprocess

from labkit.system import PATIENCE, ROOT, LabError

PROBE = ROOT / "build" / "lab" / "probe" / "probe"


def install_probe(host, *paths):
    """Copies of the probe at the paths of the programs that a policy names."""
    for path in paths:
        target = host.path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROBE, target)
        target.chmod(0o755)


def try_lines(host, targets, exe=PROBE, user=None, limit_ms=1500):
    """{target: the probe's line: result, errno, token} of tries that all run at once."""
    done = host.run(exe, "try", "-t", str(limit_ms), "-", user=user,
                    stdin="".join(f"{t}\n" for t in targets), timeout=limit_ms / 1000 + 30 * PATIENCE)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {r["target"]: r for r in lines}


def try_targets(host, targets, exe=PROBE, user=None, limit_ms=1500):
    """{target: result word} of tries that all run at once."""
    return {t: r["result"] for t, r in try_lines(host, targets, exe, user, limit_ms).items()}


def try_one(host, target, exe=PROBE, user=None, limit_ms=1500):
    return try_targets(host, [target], exe, user, limit_ms)[target]


class Running:
    """A probe that stays: serve, hold or flood.  Lines are read as they come."""

    def __init__(self, host, command, targets, exe=PROBE, user=None, options=()):
        self.process = host.popen([exe, command, *options, *targets], user=user,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        self.rest = b""
        self.lines = []
        self.wait_event("ready" if command == "serve" else "up")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def next_line(self, limit_s):
        """The next line as a value; LabError when none comes in time, None at the end."""
        out = self.process.stdout.fileno()
        limit_s *= PATIENCE
        while b"\n" not in self.rest:
            if not select.select([out], [], [], limit_s)[0]:
                raise LabError(f"the probe said nothing for {limit_s} s; so far: {self.lines[-5:]}")
            data = os.read(out, 65536)
            if not data:
                return None
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        if not line.startswith(b"{"):
            raise LabError(line.decode(errors="replace"))
        self.lines.append(json.loads(line))
        return self.lines[-1]

    def wait_event(self, event, limit_s=10):
        while True:
            line = self.next_line(limit_s)
            if line is None:
                raise LabError(f"the probe ended before '{event}': {self.lines[-5:]}")
            if line.get("event") == event:
                return line

    def totals(self, limit_s=10):
        """Asks a server or a session for its counts."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        while True:
            line = self.next_line(limit_s)
            if line is None:
                raise LabError("the probe ended")
            if "connections" in line or line.get("event") == "count":
                return line

    def end(self, limit_s=30):
        """Ends a session or flood; its totals."""
        self.process.stdin.close()
        return self.wait_event("end", limit_s)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
