# SPDX-License-Identifier: Apache-2.0
"""A virtual machine on a tap: its root has every right inside, and none at its port.

Skipped unless qemu-system-x86_64, cpio and busybox (static) are installed and SUIMITSU_TEST_KERNEL
names a folder into which a Debian kernel package was unpacked; see tests/system/test_old_kernel.py."""
import gzip
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from edge_place import Place
from labkit.system import NETNS, run
from probing import Running

RULES = """
services:
  work: [tcp/7001]
allow:
  - {id: work, from: clients, to: servers, service: [work, icmp/echo], why: test, owner: test}
"""
MAC = "52:54:00:00:00:01"
MODULE = "drivers/net/ethernet/intel/e1000/e1000.ko"
INIT = """#!/bin/busybox sh
B=/bin/busybox
$B mkdir -p /proc /sys /dev; $B mount -t proc none /proc; $B mount -t sysfs none /sys
$B mount -t devtmpfs none /dev
$B insmod /e1000.ko
up() { $B ip addr flush dev eth0; $B ip addr add $1/24 dev eth0; $B ip link set eth0 up; }
says() { echo "GUEST $1 $2"; }
ping() { $B ping -c 2 -W 2 10.77.0.2 >/dev/null && says "$1" yes || says "$1" no; }
reach() { echo x | $B nc -w 2 10.77.0.2 $2 >/dev/null 2>&1 && says "$1" yes || says "$1" no; }
up 10.77.0.1
$B sleep 3
ping honest-ping
reach allowed-port 7001
reach denied-port 7006
up 10.77.0.3
ping another-address
up 10.77.0.1
$B ip link set eth0 down; $B ip link set eth0 address 52:54:00:66:66:66; $B ip link set eth0 up
$B sleep 2
ping another-mac
$B ip link set eth0 down; $B ip link set eth0 address MAC; $B ip link set eth0 up
$B sleep 2
ping honest-again
echo GUEST ends
$B poweroff -f
"""


def tools():
    kernel = os.environ.get("SUIMITSU_TEST_KERNEL")
    if not kernel:
        pytest.skip("SUIMITSU_TEST_KERNEL names no unpacked kernel package")
    for tool in ("qemu-system-x86_64", "cpio", "busybox"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    return pathlib.Path(kernel)


def boot_files(folder, kernel):
    top = folder / "root"
    (top / "bin").mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), top / "bin/busybox")
    modules = next(iter((kernel / "lib/modules").iterdir())) / "kernel"
    shutil.copy(modules / MODULE, top / "e1000.ko")
    (top / "init").write_text(INIT.replace("MAC", MAC))
    (top / "init").chmod(0o755)
    names = subprocess.run(["find", "."], cwd=top, capture_output=True, check=True).stdout
    archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=top, input=names,
                             capture_output=True, check=True).stdout
    (folder / "initrd").write_bytes(gzip.compress(archive, 1))
    return next((kernel / "boot").glob("vmlinuz-*")), folder / "initrd"


def boot(place, image, initrd):
    """What the guest says, by its own words: {what: yes or no}."""
    done = subprocess.run(
        ["nsenter", f"--net={NETNS / place.lab.net}", "qemu-system-x86_64", "-accel", "tcg", "-m", "256",
         "-kernel", image, "-initrd", initrd, "-append", "console=ttyS0 quiet panic=-1", "-nographic",
         "-no-reboot", "-netdev", "tap,id=n0,ifname=tap0,script=no,downscript=no", "-device",
         f"e1000,netdev=n0,mac={MAC}"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        errors="replace", timeout=240)
    assert "GUEST ends" in done.stdout, done.stdout[-2000:] + done.stderr
    return dict(re.findall(r"GUEST (\S+) (yes|no)", done.stdout))  # The kernel talks in between.


def test_a_virtual_machine_on_a_tap_gets_what_its_policy_says_and_no_more(tmp_path):
    image, initrd = boot_files(tmp_path, tools())
    place = Place(RULES)
    net = ["-n", place.lab.net]
    try:
        run("ip", *net, "link", "del", "dev", "a")  # The machine has its address now.
        run("ip", *net, "tuntap", "add", "name", "tap0", "mode", "tap")
        run("ip", *net, "link", "set", "dev", "tap0", "master", "lan", "up")
        with Running(place.b, "serve", ["tcp,7001", "tcp,7006"], options=["-q"]):
            flat = boot(place, image, initrd)
            assert set(flat.values()) == {"yes"}, flat  # All of it works while nothing is bound.
            place.edge.command("put", "tap0", MAC)
            place.edge.command("load", "tap0", place.programs["a"])
            guarded = boot(place, image, initrd)
        assert guarded == {"honest-ping": "yes", "allowed-port": "yes", "denied-port": "no",
                           "another-address": "no", "another-mac": "no", "honest-again": "yes"}
        counters = place.edge.counters("tap0")
        assert counters["arp_spoof"] + counters["ip_spoof"] > 0 and counters["mac_spoof"] > 0
    finally:
        place.down()
