# SPDX-License-Identifier: Apache-2.0
"""Suimitsu in a world: the controller on one host, enrolled agents on the others."""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess

from labkit.system import NETNS, PATIENCE, ROOT, LabError, kill_cgroup, wait_for

AGENTS_PORT = 7443


def binary(name):
    """A program of ours, as it was built."""
    for path in [ROOT / "build" / "bin" / name, *sorted((ROOT / "build" / "src").glob(f"*/{name}"))]:
        if path.is_file():
            return path
    raise LabError(f"{name} is not built: run `make build`")


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the controller's unix socket for root, which lies in the host's own /run."""

    def __init__(self, path):
        super().__init__("localhost", timeout=60 * PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Control:
    """suimitsud on one host of a world, and the agents of the hosts that have one."""

    def __init__(self, lab, host=None):
        self.lab, self.host = lab, lab[host or lab.world.controller()]
        self.socket = self.host.path("/run/suimitsu/api.sock")
        self.address = f"{self.host.address()}:{AGENTS_PORT}"

    # -- the controller

    def start(self, *options):
        """Starts suimitsud and waits until it answers."""
        self.process = self.host.start("suimitsud", [
            binary("suimitsud"), "--user", "nobody", "--name", self.host.address(),
            "--name", self.host.address(6), "--web-dir", ROOT / "web" / "dist", *options],
            ready=self.answers)

    def answers(self):
        try:
            return bool(self.api("GET", "/status"))
        except (OSError, LabError):
            return False

    def api(self, method, path, body=None):
        """One request; the answer as a value.  A refusal is a LabError with its reasons."""
        connection = UnixConnection(self.socket)
        try:
            connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None,
                               {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status >= 300:
            raise LabError(f"{method} {path}: {response.status} {data.decode()[:2000]}")
        return json.loads(data) if data else None

    def cli(self, *words, **options):
        """The command line, as somebody on the controller's host types it."""
        return self.host.run(binary("suimitsu"), *words, **options)

    def note(self, comment, **measured):
        """On the timeline; 'measured': detect_ms, contain_ms."""
        self.api("POST", "/timeline", {"comment": comment, **measured})

    def apply_inventory(self, text):
        path = self.host.path("/opt/inventory.yaml")
        path.write_text(text)
        self.cli("apply", "--inventory", "/opt/inventory.yaml", "--comment", "the lab's hosts")

    def apply(self, path, confirm_s=0, comment=None):
        """Applies a policy file; returns when every agent's kernel holds it."""
        inside = f"/opt/{pathlib.Path(path).name}"
        self.host.path(inside).write_text(pathlib.Path(path).read_text())
        self.cli("apply", inside, "--wait", "enforced", "--comment", comment or pathlib.Path(path).name,
                 *(["--confirm", f"{confirm_s}s"] if confirm_s else []))

    def confirm(self):
        self.cli("confirm")

    def quarantine(self, name, reason):
        self.cli("quarantine", name, "--why", reason)

    def release(self, name, reason):
        self.cli("release", name, "--why", reason)

    # -- agents

    def agent_hosts(self):
        return [self.lab[n] for n, h in self.lab.world.hosts.items() if h.get("agent")]

    def enroll(self, host):
        """A one-time token from the controller, a certificate for the host, and its agent."""
        token = self.cli("token", "create", host.name, "--valid", "10m").stdout
        host.run(binary("suimitsu-agent"), "enroll", "--controller", self.address,
                 "--token-file", "-", stdin=token)
        self.start_agent(host)

    def start_agent(self, host):
        return host.start("agent", [
            binary("suimitsu-agent"), "run", "--instance", host.namespace, "--cgroup", host.cgroup,
            "--controller", self.address, "--flows", "/var/log/flows.json"])

    def enforcers(self):
        """By endpoint; "NAME@AGENT" is the seat of an endpoint at the edge of that agent."""
        return {f"{e['name']}@{e['edge']}" if e.get("edge") else e["name"]: e
                for e in self.api("GET", "/enforcers")}

    def wait_enforced(self, limit_s=30):
        """Waits until every agent and edge runs what the controller wants."""
        self._wait([h.name for h in self.agent_hosts()] + self._seats(), limit_s)

    def wait_guarded(self, limit_s=30):
        """Waits until the edge does."""
        self._wait(self._seats(), limit_s)

    def _seats(self):
        return [f"{n}@{self.lab.world.edge}" for n, h in self.lab.world.hosts.items() if h.get("edge")]

    def _wait(self, wanted, limit_s):
        def settled():
            known = self.enforcers()
            return all(known.get(name, {}).get("running") == known.get(name, {}).get("wanted")
                       and known.get(name, {}).get("state") == "ACTIVE" for name in wanted)
        wait_for(settled, limit_s, lambda: f"every agent to run the wanted revision: {self.enforcers()}",
                 0.02)


class EdgeAgent:
    """The agent in the namespace of the bridges, outside of the hosts: it guards their ports.  'name' is
    its endpoint in the inventory, 'options' more words for `suimitsu-agent run`."""

    def __init__(self, lab, control, name=None, options=("--edge-only",)):
        self.lab, self.control, self.name = lab, control, name or lab.world.edge
        self.options, self.instance, self.cgroup = list(options), lab.net, lab.net_cgroup
        self.folder = lab.folder / "edge"
        self.process = None
        self.folder.mkdir(mode=0o711, exist_ok=True)
        os.chmod(lab.folder, 0o711)  # The network half is nobody and reads its key below.
        self.log = self.folder / "log"

    def words(self, command, *words):
        return [str(w) for w in (
            "nsenter", f"--net={NETNS / self.lab.net}", binary("suimitsu-agent"), command, *words, "--instance",
            self.instance, "--state-dir", self.folder / "state", "--run-dir", self.folder / "run")]

    def agent(self, command, *words, **options):
        return subprocess.run(self.words(command, *words), text=True, capture_output=True, timeout=60 * PATIENCE, **options)

    def enroll(self):
        token = self.control.cli("token", "create", self.name, "--valid", "10m").stdout
        done = self.agent("enroll", "--controller", self.control.address, "--token-file", "-", input=token)
        if done.returncode:
            raise LabError(f"edge: {done.stderr.strip()}")

    def start(self):
        self.cgroup.mkdir(parents=True, exist_ok=True)

        def enter():
            (self.cgroup / "cgroup.procs").write_text("0")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.words("run", *self.options, "--controller", self.control.address), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, preexec_fn=enter)

    def end(self, sign=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sign)
            self.process.wait(20 * PATIENCE)
        wait_for(lambda: not (self.cgroup / "cgroup.procs").read_text(), 10, "the edge's agent to be gone")

    def status(self):
        done = self.agent("status", "-o", "json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def down(self):
        self.end()
        self.agent("detach")
        kill_cgroup(self.cgroup)
