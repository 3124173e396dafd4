# SPDX-License-Identifier: Apache-2.0
"""What the lab needs from the kernel: commands, namespaces, cgroups, mounts, preconditions."""
import ctypes
import errno
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HOME = pathlib.Path("/var/lib/suimitsu-lab")  # One directory a running world.
BPFFS = pathlib.Path("/sys/fs/bpf")
NETNS = pathlib.Path("/run/netns")

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWNET = 0x00020000, 0x04000000, 0x40000000  # <linux/sched.h>
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 1 << 18  # <linux/mount.h>

libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """Something that the person at the keyboard can understand and act upon."""


def call(name, *arguments):
    """A libc function that returns 0 or sets errno."""
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(flags):
    call("unshare", flags)


def enter_namespace(path, kind):
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call("setns", fd, kind)
    finally:
        os.close(fd)


def mount(source, target, fstype=None, flags=0):
    def text(s):
        return None if s is None else str(s).encode()
    try:
        call("mount", text(source), text(target), text(fstype), ctypes.c_ulong(flags), None)
    except OSError as e:
        raise OSError(e.errno, f"mount {source} on {target}: {os.strerror(e.errno)}") from None


def run(*command, check=True, stdin=None, **options):
    """Runs a command to its end; a failure is a LabError with what the command said."""
    command = [str(c) for c in command]
    try:
        done = subprocess.run(command, text=True, errors="replace", input=stdin,
                              stdin=None if stdin is not None else subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    except FileNotFoundError:
        raise LabError(f"{command[0]}: not installed; `make deps` installs what the lab "
                       "needs") from None
    if check and done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit code {done.returncode}"
        raise LabError(f"{' '.join(command[:8])}: {said}")
    return done


def cgroup_root():
    """Where cgroup v2 is mounted: /sys/fs/cgroup on Debian, .../unified beside version 1."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, target, fstype = line.split()[:3]
        if fstype == "cgroup2":
            return pathlib.Path(target)
    raise LabError("no cgroup2 file system is mounted; as root: "
                   "mount -t cgroup2 none /sys/fs/cgroup")


def bpffs_is_mounted():
    return any(line.split()[1:3] == [str(BPFFS), "bpf"]
               for line in pathlib.Path("/proc/self/mounts").read_text().splitlines())


def check_preconditions():
    if os.geteuid() != 0:
        raise LabError("the lab makes network namespaces and cgroups: run it as root (sudo)")
    cgroup_root()
    for tool in ("ip", "sysctl"):
        if not shutil.which(tool):
            raise LabError(f"{tool} is not installed; `make deps` installs what the lab needs")
    if not bpffs_is_mounted():
        try:
            mount("bpf", BPFFS, "bpf")
        except OSError as e:
            raise LabError(f"cannot mount the BPF file system on {BPFFS}: {e}") from None


def kill_cgroup(path):
    """Ends every program of a cgroup (each was started there by the lab) and removes it."""
    path = pathlib.Path(path)
    if not path.exists():
        return
    for folder in sorted((p for p in path.rglob("*") if p.is_dir()), reverse=True):
        kill_cgroup(folder)
    (path / "cgroup.kill").write_text("1")
    wait_for(lambda: "populated 0" in (path / "cgroup.events").read_text(), 10,
             f"the programs in {path} to end")

    def removed():
        try:
            path.rmdir()
        except OSError as e:
            if e.errno not in (errno.EBUSY, errno.ENOENT):
                raise
            return e.errno == errno.ENOENT
        return True
    wait_for(removed, 10, f"{path} to become removable")


PATIENCE = 3  # Limits are thought of on an idle machine, and only say when to give up.


def wait_for(condition, limit_s, what, pause_s=0.01):
    """Returns the condition's first true value; LabError after the limit, which is no measure of speed.  'what' may be a
    function, which says what was missing in the end."""
    import time
    limit_s *= PATIENCE
    end = time.monotonic() + limit_s
    while True:
        late = time.monotonic() > end  # Before the look: there is always one after the limit.
        value = condition()
        if value:
            return value
        if late:
            raise LabError(f"waited {limit_s} s in vain for {what() if callable(what) else what}")
        time.sleep(pause_s)
