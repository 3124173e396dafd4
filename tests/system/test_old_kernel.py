"""The agent on another kernel than this machine's: booted under qemu, without hardware support.

Skipped unless qemu-system-x86_64 and busybox (static) are installed and SUIMITSU_TEST_KERNEL names
a folder into which a Debian kernel package was unpacked, for example

    apt-get download linux-image-6.1.0-56-amd64 && dpkg-deb -x linux-image-6.1*.deb /tmp/kernel
    SUIMITSU_TEST_KERNEL=/tmp/kernel /usr/bin/python3 -m pytest tests/system/test_old_kernel.py"""
import gzip
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/netns"))
import program_file as pf  # noqa: E402

AGENT = ROOT / "build/src/agent/suimitsu-agent"
EDGE = ROOT / "build/tests/edge_driver"
MODULES = ["drivers/net/dummy.ko", "net/sched/sch_ingress.ko", "net/sched/cls_bpf.ko"]
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mkdir -p /proc /sys /dev /tmp /run /var/lib
$B mount -t proc none /proc; $B mount -t sysfs none /sys; $B mount -t devtmpfs none /dev
$B mount -t bpf bpf /sys/fs/bpf; $B mount -t cgroup2 none /sys/fs/cgroup
for m in dummy sch_ingress cls_bpf; do $B insmod /$m.ko; done
$B ip link set lo up; $B ip link add d0 type dummy
$B ip addr add 10.20.1.12/24 dev d0; $B ip link set d0 up
/bin/suimitsu-agent check
/bin/suimitsu-agent run --program /program --state-dir /var/lib/a --run-dir /run/a &
until /bin/suimitsu-agent status --run-dir /run/a >/dev/null 2>&1; do $B sleep 1; done
$B ping -c1 -W1 10.20.1.11 && echo FORBIDDEN PING PASSED || echo FORBIDDEN PING DENIED
echo x | $B nc -w 2 10.20.1.99 80; echo x | $B nc -u -w 1 10.20.1.99 53
/bin/suimitsu-agent status --run-dir /run/a
$B ip link add d1 type dummy; $B ip link set d1 address 02:00:00:00:00:01; $B ip link set d1 up
printf 'put d1 02:00:00:00:00:01\nload d1 /program\nstatus\nbye\n' | /bin/edge_driver /sys/fs/bpf/edge
echo BOOT TEST ENDS
$B poweroff -f
"""


def libraries():
    """Files that the programs are linked with, by ldd."""
    out = subprocess.run(["ldd", AGENT, EDGE], capture_output=True, text=True, check=True).stdout
    out = "\n".join(line for line in out.splitlines() if not line.endswith(":"))
    return [word for line in out.splitlines() for word in line.split() if word.startswith("/")]


def boot_files(tmp_path, kernel):
    """An initial file system with busybox, the agent and a policy that forbids everything."""
    top = tmp_path / "root"
    modules = next(iter((kernel / "lib/modules").iterdir())) / "kernel"
    for folder in ("bin", "etc"):
        (top / folder).mkdir(parents=True)
    shutil.copy("/bin/busybox", top / "bin/busybox")
    shutil.copy(AGENT, top / "bin/suimitsu-agent")
    shutil.copy(EDGE, top / "bin/edge_driver")
    for library in libraries():
        target = top / library.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library, target)
    for module in MODULES:
        shutil.copy(modules / module, top / pathlib.Path(module).name)
    (top / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (top / "program").write_bytes(pf.program(
        revision=1, endpoint="db1", identity=2,
        addresses=[pf.remote("10.20.1.12", 2, self=True), pf.remote("::/0", 1, mode="none")]))
    (top / "init").write_text(INIT)
    (top / "init").chmod(0o755)
    names = subprocess.run(["find", "."], cwd=top, capture_output=True, check=True).stdout
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=top, input=names,
                             capture_output=True, check=True).stdout
    (tmp_path / "initrd").write_bytes(gzip.compress(archive, 1))
    return next((kernel / "boot").glob("vmlinuz-*")), tmp_path / "initrd"


def test_an_older_kernel_loads_all_hooks_and_denies_what_no_rule_allows(tmp_path):
    kernel = os.environ.get("SUIMITSU_TEST_KERNEL")
    if not kernel:
        pytest.skip("SUIMITSU_TEST_KERNEL names no unpacked kernel package")
    for tool in ("qemu-system-x86_64", "cpio", "busybox"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    image, initrd = boot_files(tmp_path, pathlib.Path(kernel))
    done = subprocess.run(
        ["qemu-system-x86_64", "-accel", "tcg", "-m", "1024", "-kernel", image, "-initrd", initrd,
         "-append", "console=ttyS0 quiet panic=-1", "-nographic", "-no-reboot", "-net", "none"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=300)
    said = done.stdout
    assert "BOOT TEST ENDS" in said, said
    assert "This kernel can enforce." in said, said
    assert "FORBIDDEN PING DENIED" in said, said
    assert '"endpoint":"db1","revision":1,"present":true,"open_before":false,"hook":"clsact"' in said, said
    denied = [line.split()[1] for line in said.splitlines() if line.strip().startswith("denied ")]
    assert denied and int(denied[0]) >= 2, said
