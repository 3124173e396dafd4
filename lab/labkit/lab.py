# SPDX-License-Identifier: Apache-2.0
"""Brings a world up and down.  Every name is derived from the world and a prefix, so that 'down'
finds all of it again, also after an 'up' that was killed half-way."""
import fcntl
import json
import os
import pathlib
import pwd
import shutil
import signal
import subprocess

from labkit import programs
from labkit.system import (BPFFS, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUTS, HOME, MS_BIND, MS_PRIVATE,
                           MS_REC, NETNS, PATIENCE, ROOT, LabError, call, cgroup_root, check_preconditions,
                           enter_namespace, kill_cgroup, mount, run, unshare, wait_for)
from labkit.world import World

OWN_FOLDERS = ("opt", "run", "tmp", "home", "root", "var/log", "var/lib")  # /var/lib last: HOME
OWN_FILES = ("hosts", "hostname", "passwd", "group", "shadow")


class Host:
    """A network namespace with its own mounts, host name and cgroup."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.namespace = lab.prefix + name  # Also the name of an agent's instance on this host.
        self.cgroup = cgroup_root() / "suimitsu-lab" / self.namespace
        self.folder = lab.folder / "hosts" / name
        self.pins = BPFFS / self.namespace

    def path(self, inside):
        """Where a file of the host's own folders lies as seen from outside."""
        return self.folder / str(inside).lstrip("/")

    def address(self, version=4):
        return self.lab.world.address(self.name, version)

    def holder(self):
        """The process that keeps the host's mount namespace; None: the host is not up."""
        try:
            pid = int((self.folder / "holder.pid").read_text())
            members = (self.cgroup / "cgroup.procs").read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        return pid if str(pid) in members else None

    def popen(self, command, user=None, cgroup=None, **options):
        """subprocess.Popen inside the host: its namespaces, its cgroup, as a user of the host."""
        pid = self.holder()
        if pid is None:
            raise LabError(f"host {self.name} is not up; `lab/lab status` shows what is")
        member = (pathlib.Path(cgroup) if cgroup else self.cgroup) / "cgroup.procs"
        identity = self.user(user) if user else None
        home = identity.pw_dir if identity and self.path(identity.pw_dir).is_dir() else "/"

        def enter():
            member.write_text("0")
            namespaces = [os.open(f"/proc/{pid}/ns/{n}", os.O_RDONLY | os.O_CLOEXEC)
                          for n in ("net", "uts", "mnt")]
            for fd, kind in zip(namespaces, (CLONE_NEWNET, CLONE_NEWUTS, CLONE_NEWNS)):
                call("setns", fd, kind)
            os.chdir(home)
            if identity:
                os.setgroups([identity.pw_gid])
                os.setgid(identity.pw_gid)
                os.setuid(identity.pw_uid)
        environment = {"PATH": f"{ROOT}/build/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:"
                               "/usr/bin:/sbin:/bin",
                       "HOME": identity.pw_dir if identity else "/root", "LANG": "C.UTF-8",
                       "USER": user or "root", "TERM": os.environ.get("TERM", "dumb"),
                       **options.pop("env", {})}
        try:
            return subprocess.Popen([str(c) for c in command], preexec_fn=enter, env=environment,
                                    **options)
        except subprocess.SubprocessError as e:
            raise LabError(f"cannot enter host {self.name}: {e}") from None

    def run(self, *command, check=True, user=None, timeout=60 * PATIENCE, stdin=None, **options):
        """Runs a command in the host to its end; check: a failure is a LabError."""
        command = [str(c) for c in command]
        with self.popen(command, user=user, text=True, errors="replace",
                        stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options) as process:
            try:
                out, err = process.communicate(stdin, timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                err += f"\nended after {timeout} s"
        done = subprocess.CompletedProcess(command, process.returncode, out, err)
        if check and done.returncode:
            raise LabError(f"{self.name}: {' '.join(command[:8])}: exit code {done.returncode}: "
                           f"{(err or out).strip()[-2000:]}")
        return done

    def user(self, name):
        for line in self.path("etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == name:
                return pwd.struct_passwd((*fields[:2], int(fields[2]), int(fields[3]), *fields[4:]))
        raise LabError(f"host {self.name} has no user '{name}'")

    def start(self, name, command, user=None, ready=None, limit_s=20, env=None, **options):
        """Starts a program that stays; 'ready' is a condition to wait for.  Its pid is stored."""
        log = self.path(f"var/log/{name}.log")
        with open(log, "ab") as out:
            process = self.popen(command, user=user, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True, env=env or {},
                                 **options)
        self.lab.note_program(self.name, name, process.pid, command)

        def fine():
            if process.poll() is not None:
                raise LabError(f"host {self.name}: {name} ended with {process.returncode}: "
                               f"{log.read_text(errors='replace').strip()[-1500:]}")
            return ready()
        if ready:
            wait_for(fine, limit_s, f"{name} on {self.name}", pause_s=0.02)
        return process

    def listens(self, port, protocol="tcp"):
        """True when a program of the host listens there; asks the kernel, sends nothing."""
        pid = self.holder()
        for family in ("", "6"):
            for line in pathlib.Path(f"/proc/{pid}/net/{protocol}{family}").read_text().splitlines():
                fields = line.split()
                if fields[1].endswith(f":{port:04X}") and fields[3] in ("0A", "07"):
                    return True
        return False

    # -- making and unmaking

    def make(self):
        if (NETNS / self.namespace).exists() or self.cgroup.exists():
            raise LabError(f"host {self.name}: namespace or cgroup {self.namespace} exists already; "
                           f"`lab/lab down {self.lab.world.name}` removes what an earlier one left")
        self._write_files()
        self.cgroup.mkdir(parents=True)
        run("ip", "netns", "add", self.namespace)
        self._hold()

    def _write_files(self):
        for folder in OWN_FOLDERS:
            self.path(folder).mkdir(parents=True, exist_ok=True)
        self.path("tmp").chmod(0o1777)
        self.path("root").chmod(0o700)
        self.path("run/lock").mkdir(exist_ok=True)
        etc = self.path("etc")
        etc.mkdir(exist_ok=True)
        world = self.lab.world
        lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
        lines += [f"{a} {name}" for name in world.hosts for a in world.addresses(name)]
        (etc / "hosts").write_text("\n".join(lines) + "\n")
        (etc / "hostname").write_text(self.name + "\n")
        passwd = pathlib.Path("/etc/passwd").read_text()
        group = pathlib.Path("/etc/group").read_text()
        shadow = ""
        for line in passwd.splitlines():
            shadow += f"{line.split(':')[0]}:*:19000:0:99999:7:::\n"
        if "\nsuimitsu:" not in passwd:  # Whom the controller becomes; its package makes him.
            passwd += "suimitsu:x:990:990::/nonexistent:/usr/sbin/nologin\n"
            group += "suimitsu:x:990:\n"
        for name, user in world.users.items():
            uid = user["uid"]
            home = self.path(f"home/{name}")
            home.mkdir(exist_ok=True)
            os.chown(home, uid, uid)
            passwd += f"{name}:x:{uid}:{uid}:{name}:/home/{name}:/bin/sh\n"
            group += f"{name}:x:{uid}:\n"
            shadow += f"{name}:*:19000:0:99999:7:::\n"
        (etc / "passwd").write_text(passwd)
        (etc / "group").write_text(group)
        (etc / "shadow").write_text(shadow)
        (etc / "shadow").chmod(0o640)

    def _mounts(self):
        """In the host's new mount namespace: its own files over the machine's.  The project's tree
        stays visible also when it lies below one of these folders."""
        mount("none", "/", None, MS_REC | MS_PRIVATE)
        tree = os.open(ROOT, os.O_PATH | os.O_CLOEXEC)
        for name in OWN_FILES:
            mount(self.path(f"etc/{name}"), f"/etc/{name}", None, MS_BIND)
        for folder in OWN_FOLDERS:
            mount(self.path(folder), pathlib.Path("/", folder), None, MS_BIND)
        if not ROOT.exists():
            ROOT.mkdir(parents=True)
            mount(f"/proc/self/fd/{tree}", ROOT, None, MS_BIND | MS_REC)

    def _hold(self):
        """Makes the mount and UTS namespaces and leaves a process in them that keeps them."""
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                (self.cgroup / "cgroup.procs").write_text("0")
                os.setsid()
                enter_namespace(NETNS / self.namespace, CLONE_NEWNET)
                unshare(CLONE_NEWNS | CLONE_NEWUTS)
                self._mounts()
                call("sethostname", self.name.encode(), len(self.name))
                os.chdir("/")
                null = os.open("/dev/null", os.O_RDWR)
                for fd in (0, 1, 2):
                    os.dup2(null, fd)
                os.execv("/bin/sleep", ["sm-host", "infinity"])
            except BaseException as e:  # The parent says it.
                os.write(write_end, str(e).encode())
            os._exit(1)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            error = pipe.read()  # Ends when the child has become sleep, or died.
        if error or not pathlib.Path(f"/proc/{pid}/ns/mnt").exists():
            os.waitpid(pid, 0)
            raise LabError(f"host {self.name}: cannot make its namespaces: {error or 'it died'}")
        (self.folder / "holder.pid").write_text(f"{pid}\n")

    def unmake(self):
        kill_cgroup(self.cgroup)
        if self.pins.exists():
            shutil.rmtree(self.pins)
        if (NETNS / self.namespace).exists():
            run("ip", "netns", "del", self.namespace)


class Lab:
    """One running world.  The prefix keeps worlds apart; people use the default, tests their own."""

    def __init__(self, world, prefix="sm-"):
        self.world = world if isinstance(world, World) else World.load(world)
        self.prefix = prefix
        self.folder = HOME / (prefix + self.world.name)
        self.net = f"{prefix}net-{self.world.name}"
        self.net_cgroup = cgroup_root() / "suimitsu-lab" / self.net  # Of the edge's agent.
        self.net_pins = [BPFFS / self.net, BPFFS / f"{self.net}-edge"]
        self.hosts = {name: Host(self, name) for name in self.world.hosts}

    def __getitem__(self, name):
        if name not in self.hosts:
            raise LabError(f"world {self.world.name} has no host '{name}'; "
                           f"there are {', '.join(self.hosts)}")
        return self.hosts[name]

    def __enter__(self):
        return self.up()

    def __exit__(self, *_):
        self.down()

    # -- up

    def up(self, start_programs=True):
        check_preconditions()
        self._lock()
        if (self.folder / "world.yaml").exists():
            self._unlock()
            raise LabError(f"world {self.world.name} is up already; `lab/lab status` shows it, "
                           f"`lab/lab down {self.world.name}` ends it")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "world.yaml").write_text(self.world.text)
            (self.folder / "state.json").write_text(json.dumps({
                "prefix": self.prefix, "world": self.world.name, "hosts": list(self.hosts),
                "tool": str(ROOT / "lab" / "lab"), "programs": []}))
            self._make_net()
            for host in self.hosts.values():
                host.make()
                self._plug(host)
            if start_programs:
                self.start_programs()
        except BaseException:
            self.down()
            raise
        self._unlock()
        return self

    def _lock(self):
        """One lab command at a time changes a world; the lock ends with the process."""
        path = HOME / f".{self.prefix}{self.world.name}.lock"

        def locked():
            HOME.mkdir(parents=True, exist_ok=True)
            file = open(path, "w")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(file.fileno()).st_ino == path.stat().st_ino:  # Not removed meanwhile.
                    self._lock_file = file
                    return True
            except (BlockingIOError, FileNotFoundError):
                pass
            file.close()
            return False
        wait_for(locked, 5, f"another lab command that works on world {self.world.name}")

    def _unlock(self):
        if getattr(self, "_lock_file", None):
            pathlib.Path(self._lock_file.name).unlink(missing_ok=True)
            self._lock_file.close()
            self._lock_file = None

    def _make_net(self):
        if (NETNS / self.net).exists():
            raise LabError(f"namespace {self.net} exists already; `lab/lab down "
                           f"{self.world.name}` removes what an earlier one left")
        run("ip", "netns", "add", self.net)
        batch = ["link set lo up"]
        for name, bridge in self.world.bridges.items():
            batch += [f"link add name {name} type bridge forward_delay 0 mcast_snooping 0",
                      f"link set dev {name} up",
                      f"addr add {bridge['v4']} dev {name}",
                      f"addr add {bridge['v6']} dev {name} nodad"]
        self._sysctl(self.net, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
                     "net.ipv6.conf.default.accept_dad=0")
        self._ip(self.net, batch)

    @staticmethod
    def _ip(namespace, batch):
        run("ip", "-n", namespace, "-batch", "-", stdin="\n".join(batch) + "\n")

    @staticmethod
    def _sysctl(namespace, *settings):
        run("nsenter", f"--net={NETNS / namespace}", "sysctl", "-q", "-w", *settings)

    def _plug(self, host):
        """A veth pair: eth0 inside the host, a port called as the host at its bridge."""
        bridge = self.world.hosts[host.name]["bridge"]
        gateways = [self.world.network(bridge, v) for v in (4, 6)]
        mac = self.world.mac(host.name)
        self._ip(self.net, [f"link add name {host.name} type veth peer name eth0 "
                            f"{f'address {mac} ' if mac else ''}netns {host.namespace}",
                            f"link set dev {host.name} master {bridge} up"])
        self._sysctl(host.namespace, "net.ipv6.conf.default.accept_dad=0",
                     "net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.eth0.accept_dad=0",
                     "net.ipv4.ping_group_range=0 2147483647")
        batch = ["link set lo up", "link set eth0 up"]
        for a in self.world.addresses(host.name):
            gateway = gateways[0] if a.version == 4 else gateways[1]
            nodad = " nodad" if a.version == 6 else ""
            batch.append(f"addr add {a}/{gateway.network.prefixlen} dev eth0{nodad}")
        for a in {a.version: a for a in self.world.addresses(host.name)}.values():
            gateway = gateways[0] if a.version == 4 else gateways[1]
            batch.append(f"route add default via {gateway.ip}")
        self._ip(host.namespace, batch)

    def start_programs(self):
        """Every program prepares its files first; then servers, then clients."""
        for step in programs.STEPS:
            for name, host in self.world.hosts.items():
                for program in host.get("programs") or []:
                    programs.KINDS[program["kind"]](step, self.hosts[name], program)

    # -- state

    def state(self):
        try:
            return json.loads((self.folder / "state.json").read_text())
        except (FileNotFoundError, ValueError):
            return {"prefix": self.prefix, "programs": []}

    def note_program(self, host, name, pid, command):
        state = self.state()
        state["programs"] = [p for p in state["programs"]
                             if (p["host"], p["name"]) != (host, name)]
        state["programs"].append({"host": host, "name": name, "pid": pid,
                                  "command": [str(c) for c in command]})
        new = self.folder / "state.json.new"
        new.write_text(json.dumps(state))
        new.rename(self.folder / "state.json")

    def program_pid(self, host, name):
        """The pid of a started program, or None when it is gone."""
        for p in self.state()["programs"]:
            if (p["host"], p["name"]) == (host, name):
                members = (self.hosts[host].cgroup / "cgroup.procs").read_text().split()
                return p["pid"] if str(p["pid"]) in members else None
        return None

    def stop_program(self, host, name, sign=signal.SIGTERM, limit_s=15):
        """Ends a started program by its stored pid and waits until it is gone."""
        pid = self.program_pid(host, name)
        if pid is None:
            return
        os.kill(pid, sign)

        def gone():
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    return True
            except ChildProcessError:
                pass
            return self.program_pid(host, name) is None
        wait_for(gone, limit_s, f"{name} on {host} to end")

    # -- down

    def down(self):
        """Removes all of the world, whatever there is of it."""
        check_preconditions()
        if not getattr(self, "_lock_file", None):
            self._lock()
        for host in self.hosts.values():
            host.unmake()
        kill_cgroup(self.net_cgroup)
        for pins in self.net_pins:
            if pins.exists():
                shutil.rmtree(pins)
        if (NETNS / self.net).exists():
            run("ip", "netns", "del", self.net)
        shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock()
        for folder in (cgroup_root() / "suimitsu-lab", HOME):
            try:
                folder.rmdir()  # Only when no other world is up.
            except OSError:
                pass

    def leftovers(self):
        """What of this world still exists; an empty list after down."""
        left = [str(p) for h in self.hosts.values()
                for p in (NETNS / h.namespace, h.cgroup, h.pins) if p.exists()]
        return left + [str(p) for p in (NETNS / self.net, self.net_cgroup, *self.net_pins, self.folder)
                       if p.exists()]


def running_labs():
    """The worlds that are up, from their own stored copies."""
    labs = []
    for path in sorted(HOME.glob("*/world.yaml")):
        try:
            prefix = json.loads((path.parent / "state.json").read_text())["prefix"]
        except (FileNotFoundError, ValueError):
            prefix = "sm-"
        labs.append(Lab(World(path.parent.name.removeprefix(prefix), path.read_text()), prefix))
    return labs


def find_lab(name, prefix=None):
    """A running world by its name, or by the path that it was brought up from."""
    found = [lab for lab in running_labs() if lab.world.name == pathlib.Path(name).stem
             and prefix in (None, lab.prefix)]
    if not found:
        raise LabError(f"world {name} is not up; `lab/lab up {name}` brings it up")
    found.sort(key=lambda lab: lab.prefix != "sm-")
    return found[0]


def find_host(name, world=None, prefix=None):
    """A host of a running world by its name."""
    found = [lab[name] for lab in running_labs() if name in lab.hosts
             and world in (None, lab.world.name) and prefix in (None, lab.prefix)]
    if not found:
        raise LabError(f"no running world has a host '{name}'; `lab/lab status` shows what is up")
    found.sort(key=lambda h: h.lab.prefix != "sm-")
    return found[0]
