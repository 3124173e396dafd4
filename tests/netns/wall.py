# SPDX-License-Identifier: Apache-2.0
"""Small worlds with enforced hosts: compiles a policy, runs agents, waits until it holds."""
import json
import os
import pathlib
import signal

from labkit import Lab, World, binary, inventory
from labkit.system import LabError, run, wait_for
from probing import install_probe

# lan 10.77.0.0/24 fd77::/64:   a .1 --+-- b .2     agents on a and b, or on one of them;
#                                      |            c never has one
#                               c .3 --+
WORLD = """\
suimitsu-lab: 1
bridges:
  lan: {v4: 10.77.0.254/24, v6: "fd77::fe/64"}
hosts:
  a: {labels: {role: client}, bridge: lan, addresses: [10.77.0.1, "fd77::1"], agent: %s}
  b: {labels: {role: server}, bridge: lan, addresses: [10.77.0.2, "fd77::2"], agent: %s}
  c: {labels: {role: other}, bridge: lan, addresses: [10.77.0.3, "fd77::3"]}
users:
  alice: {groups: [staff]}
  bob: {}
"""
GROUPS = """\
suimitsu: 1
groups:
  clients: {match: {role: client}}
  servers: {match: {role: server}}
  others: {match: {role: other}}
"""
GOOD, EVIL, SERVER, OTHER = "/opt/t/good", "/opt/t/evil", "/opt/t/server", "/opt/t/other"
_revision = iter(range(1, 1 << 30))


def make_lab(prefix, ends=("a", "b")):
    """A bare world with the probe at the paths that the policies name."""
    text = WORLD % (str("a" in ends).lower(), str("b" in ends).lower())
    lab = Lab(World("wall", text), f"sm-{prefix}{os.getpid() % 10000}-")
    lab.up()
    for host in lab.hosts.values():
        install_probe(host, GOOD, EVIL, SERVER, OTHER)
    return lab


def compile_policy(folder, policy, world_inventory, endpoint):
    """The program file of one endpoint, by `suimitsu policy compile`; its path and revision."""
    folder = pathlib.Path(folder)
    revision = next(_revision)
    (folder / "policy.yaml").write_text(policy)
    (folder / "inventory.json").write_text(json.dumps(world_inventory))
    program = folder / f"{endpoint}.program.new"
    run(binary("suimitsu"), "policy", "compile", folder / "policy.yaml", "--inventory",
        folder / "inventory.json", "--endpoint", endpoint, "--revision", revision, "-o", program)
    final = folder / f"{endpoint}.program"
    program.rename(final)
    return final, revision


class Agent:
    """suimitsu-agent of one host, run alone from a program file."""

    def __init__(self, host):
        self.host = host
        self.process = None
        self.flows_path = "/var/log/flows.json"
        self.program = host.path("/opt/t/program")
        self.options = ["--instance", host.namespace]

    def start(self, flows=True):
        """Starts it in the background; wait_revision() tells when it enforces."""
        self.process = self.host.start("agent", [
            binary("suimitsu-agent"), "run", *self.options, "--cgroup", self.host.cgroup,
            "--program", "/opt/t/program",
            *(["--flows", self.flows_path] if flows else [])])

    def install(self, source):
        """Puts a compiled program where the agent reads it, whole."""
        self.install_bytes(pathlib.Path(source).read_bytes())

    def install_bytes(self, data):
        new = self.program.with_name("program.new")
        new.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(data)
        new.rename(self.program)

    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)

    def status(self):
        done = self.host.run(binary("suimitsu-agent"), "status", "-o", "json",
                             check=False)
        if done.returncode:
            raise LabError(f"status of {self.host.name}: {done.stderr or done.stdout}")
        return json.loads(done.stdout)

    def wait_running(self, condition=lambda status: True, what="the agent", limit_s=20):
        """Waits until the agent answers and its status satisfies the condition."""
        def there():
            if self.process.poll() is not None:
                raise LabError(f"agent on {self.host.name} ended with {self.process.returncode}: "
                               f"{self.log()[-2000:]}")
            try:
                return condition(self.status())
            except LabError:
                return False
        wait_for(there, limit_s, f"{what} on {self.host.name}", 0.02)

    def wait_revision(self, revision, limit_s=20):
        self.wait_running(lambda s: s["revision"] == revision, f"revision {revision}", limit_s)

    def kill(self, sign=signal.SIGKILL):
        """Ends the agent and all its processes; the enforcement must stay."""
        pids = agent_pids(self.host)
        for pid in pids:
            os.kill(pid, sign)
        self.process.wait()
        wait_for(lambda: not agent_pids(self.host), 10, "the agent to be gone")

    def flows(self):
        """The flow events so far."""
        path = self.host.path(self.flows_path)
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]

    def wait_flow(self, limit_s=10, **fields):
        """The first flow event with these fields; the agent reports at least once a second."""
        def found():
            for flow in self.flows():
                if all(flow.get(k) == v for k, v in fields.items()):
                    return flow
            return None
        return wait_for(found, limit_s, lambda: f"a flow event with {fields} on {self.host.name}; "
                                                f"last: {self.flows()[-3:]}", 0.05)

    def notices(self):
        return [x for x in self.flows() if "notice" in x]

    def log(self):
        return self.host.path("var/log/agent.log").read_text(errors="replace")

    def detach(self):
        self.host.run(binary("suimitsu-agent"), "detach", *self.options)


def agent_pids(host):
    found = []
    for pid in (host.cgroup / "cgroup.procs").read_text().split():
        try:
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "suimitsu-agent":
                found.append(int(pid))
        except OSError:
            continue
    return found


class Wall:
    """A world whose hosts 'ends' enforce a policy."""

    def __init__(self, prefix, ends=("a", "b")):
        self.lab = make_lab(prefix, ends)
        self.inventory = inventory(self.lab.world)
        self.agents = {name: Agent(self.lab[name]) for name in ends}

    def __getitem__(self, name):
        return self.lab[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lab.down()

    def apply(self, rules, states=None):
        """Compiles groups + rules and returns when every agent enforces them."""
        for name, endpoint in self.inventory["endpoints"].items():
            endpoint.pop("state", None)
            if (states or {}).get(name):
                endpoint["state"] = states[name]
        wanted = {}
        for name, agent in self.agents.items():
            path, wanted[name] = compile_policy(self.lab.folder, GROUPS + rules, self.inventory,
                                                name)
            agent.install(path)
            if agent.process is None or agent.process.poll() is not None:
                agent.start()
            else:
                agent.reload()
        for name, agent in self.agents.items():
            agent.wait_revision(wanted[name])
        return wanted

    def down(self):
        self.lab.down()
        left = self.lab.leftovers()
        if left:
            raise LabError(f"left behind: {left}")


def target(kind, host, port=None, version=4, *options):
    """tcp,ADDRESS,PORT as the probe wants it; version 'mapped': IPv4 over an IPv6 socket."""
    words = [kind, host.address(6 if version == 6 else 4)]
    if port is not None:
        words.append(str(port))
    if version == "mapped":
        words.append("mapped")
    return ",".join([*words, *options])
