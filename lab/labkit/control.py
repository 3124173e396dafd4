# SPDX-License-Identifier: Apache-2.0
"""Suimitsu in a world: the controller on one host, enrolled agents on the others."""
import http.client
import json
import pathlib
import socket

from labkit.system import ROOT, LabError, wait_for

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
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Control:
    """suimitsud on one host of a world, and the agents of the hosts that have one."""

    def __init__(self, lab, host="control"):
        self.lab, self.host = lab, lab[host]
        self.socket = self.host.path("/run/suimitsu/api.sock")
        self.address = f"{self.host.address()}:{AGENTS_PORT}"

    # -- the controller

    def start(self):
        """Starts suimitsud and waits until it answers."""
        self.process = self.host.start("suimitsud", [
            binary("suimitsud"), "--user", "nobody", "--name", self.host.address(),
            "--name", self.host.address(6)], ready=self.answers)

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

    def apply_inventory(self, text):
        path = self.host.path("/opt/inventory.yaml")
        path.write_text(text)
        self.cli("apply", "--inventory", "/opt/inventory.yaml", "--comment", "the lab's hosts")

    def apply(self, path, confirm_s=0):
        """Applies a policy file; returns when every agent's kernel holds it."""
        inside = f"/opt/{pathlib.Path(path).name}"
        self.host.path(inside).write_text(pathlib.Path(path).read_text())
        self.cli("apply", inside, "--wait", "enforced", "--comment", pathlib.Path(path).name,
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
        return {e["name"]: e for e in self.api("GET", "/enforcers")}

    def wait_enforced(self, limit_s=30):
        """Waits until every agent runs what the controller wants."""
        def settled():
            known = self.enforcers()
            return all(known.get(h.name, {}).get("running") == known.get(h.name, {}).get("wanted")
                       and known.get(h.name, {}).get("state") == "ACTIVE"
                       for h in self.agent_hosts())
        wait_for(settled, limit_s, f"every agent to run the wanted revision: {self.enforcers()}",
                 0.02)
