"""The real tools and the real kernel beside the importer: rule sets are loaded into a network
namespace, saved by iptables-save, ip6tables-save and nft, imported, and packets are sent through the
kernel's own evaluation.  A chain behind the filter remembers what got through."""
import ipaddress
import json
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import uuid

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "system"))

from test_import import (FIXTURES, ask, by_handle, check_draft, compare, listed,  # noqa: E402
                         of_hook, packets_for, write_draft)
from import_oracle import Iptables, Ledger, Nft, Unknown  # noqa: E402

MAC = "02:00:00:00:00:01"
RECORDER = """
table inet recorder {
  set seen4 { type ipv4_addr . ipv4_addr . inet_proto . inet_service; size 65535; flags dynamic; }
  set seen6 { type ipv6_addr . ipv6_addr . inet_proto . inet_service; size 65535; flags dynamic; }
  chain input {
    type filter hook input priority 100; policy accept;
    meta l4proto { tcp, udp } add @seen4 { ip saddr . ip daddr . meta l4proto . th dport }
    meta l4proto { tcp, udp } add @seen6 { ip6 saddr . ip6 daddr . meta l4proto . th dport }
  }
}
"""

# Sends what standard input says, one frame a line in hex.
SENDER = """
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("eth0", 0))
for line in sys.stdin:
    s.send(bytes.fromhex(line))
"""


def sh(*words, stdin=None):
    done = subprocess.run(words, input=stdin, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


class Box:
    """Two namespaces on one cable: the box with the rules, and who sends."""

    def __init__(self, addresses):
        tag = uuid.uuid4().hex[:6]
        self.box, self.peer = f"sm-box-{tag}", f"sm-peer-{tag}"
        for ns in (self.box, self.peer):
            sh("ip", "netns", "add", ns)
        sh("ip", "-n", self.box, "link", "add", "eth0", "address", MAC, "type", "veth", "peer",
           "name", "eth0", "netns", self.peer)
        for knob in ("all", "eth0"):
            self.run("sysctl", "-qw", f"net.ipv4.conf.{knob}.rp_filter=0")
        for a in addresses:
            bits = "64" if ":" in a else "24"
            nodad = ["nodad"] if ":" in a else []
            sh("ip", "-n", self.box, "address", "add", f"{a}/{bits}", "dev", "eth0", *nodad)
        for ns in (self.box, self.peer):
            sh("ip", "-n", ns, "link", "set", "eth0", "up")
        sh("ip", "-n", self.box, "route", "add", "default", "dev", "eth0")
        sh("ip", "-n", self.box, "-6", "route", "add", "default", "dev", "eth0")

    def run(self, *words, stdin=None):
        return sh("ip", "netns", "exec", self.box, *words, stdin=stdin)

    def send(self, packets):
        self.run("nft", "-f", "-", stdin=RECORDER)
        sh("ip", "netns", "exec", self.peer, "/usr/bin/python3", "-c", SENDER,
           stdin="".join(frame(p).hex() + "\n" for p in packets))

    def seen(self):
        """(source, destination, protocol, port) of what got through all filters."""
        found = set()
        for name in ("seen4", "seen6"):
            answer = json.loads(self.run("nft", "-j", "list", "set", "inet", "recorder", name))
            for e in answer["nftables"][1]["set"].get("elem", []):
                src, dst, proto, port = e["concat"]
                found.add((ipaddress.ip_address(src), ipaddress.ip_address(dst),
                           {"tcp": 6, "udp": 17}[proto], port))
        return found

    def close(self):
        for ns in (self.box, self.peer):
            subprocess.run(["ip", "netns", "del", ns], check=False)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(p):
    """An Ethernet frame with a TCP SYN or a UDP datagram of two bytes."""
    src, dst = p.src.packed, p.dst.packed

    def transport(check):
        if p.proto == 6:
            return struct.pack("!HHIIBBHHH", p.sport, p.port, 1, 0, 5 << 4, 2, 64240, check, 0)
        return struct.pack("!HHHH", p.sport, p.port, 10, check) + b"hi"

    body = transport(0)
    body = transport(checksum(src + dst + struct.pack("!HH", p.proto, len(body)) + body))
    if p.src.version == 4:
        def header(check):
            return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, p.proto, check) + \
                src + dst
        packet, kind = header(checksum(header(0))) + body, 0x0800
    else:
        packet = struct.pack("!IHBB", 6 << 28, len(body), p.proto, 64) + src + dst + body
        kind = 0x86dd
    return bytes.fromhex(MAC.replace(":", "")) + bytes.fromhex("020000000002") + \
        struct.pack("!H", kind) + packet


@pytest.fixture
def make_box():
    boxes = []

    def make(addresses):
        boxes.append(Box(addresses))
        return boxes[-1]
    yield make
    for b in boxes:
        b.close()


def is_unicast(a):
    return not a.is_multicast and not a.is_reserved and not a.is_loopback and int(a) >> 24


def openings(text, own, n, v6):
    """Packets that a kernel takes from a cable: tcp and udp, from unicast to the box, each once."""
    found = {}
    for p in packets_for(text, 17, own, n, v6):
        if p.proto in (6, 17) and p.dst in own and is_unicast(p.src) and p.src not in own and \
                (v6 or p.src.packed[0] < 224) and not p.src.is_link_local:
            p.iif = "eth0"
            found[p.src, p.dst, p.proto, p.port] = p
    return found


def compare_with_kernel(box, folder, document, judge, packets):
    """Kernel and evaluator agree on every packet; so does the draft, but for the ledger."""
    ledger = Ledger.of(document)
    box.send(packets.values())
    seen = box.seen()
    compared = n_accepts = 0
    for (key, p), answer in zip(packets.items(), ask(folder, packets.values()), strict=True):
        try:
            v = judge(p, ledger)
        except Unknown:
            continue
        assert (key in seen) == v.accept, f"the kernel says otherwise: {p} {v}"
        if v.accept and listed(v, p, ledger, True):
            continue
        assert (answer["verdict"] == "allow") == (key in seen), f"{p} {v} {answer}"
        compared += 1
        n_accepts += v.accept
    return compared, n_accepts


@pytest.mark.skipif(not shutil.which("iptables-restore"), reason="iptables is not installed")
@pytest.mark.parametrize("v6", [False, True])
def test_what_iptables_save_writes_keeps_the_kernels_verdicts(v6, make_box, tmp_path):
    addresses = ["fd00:20::1"] if v6 else ["10.20.1.1"]
    box = make_box(addresses)
    tool = "ip6tables" if v6 else "iptables"
    text = (FIXTURES / ("web.v6.rules" if v6 else "web.v4.rules")).read_text()
    # Rates and memory would make the kernel's answer depend on the packets before.
    loaded = "".join(line for line in text.splitlines(True)
                     if "-m recent" not in line and "-m limit" not in line)
    box.run(f"{tool}-restore", stdin=loaded)
    saved = box.run(f"{tool}-save", "-c")
    (tmp_path / "saved.rules").write_text(saved)
    document = write_draft(tmp_path / "draft", tmp_path / "saved.rules",
                           options=["--self", "box", "--self-address", ",".join(addresses)])
    check_draft(tmp_path / "draft")
    own = {ipaddress.ip_address(a) for a in addresses}
    judge = of_hook(Iptables(saved, v6), own)
    compare(tmp_path / "draft", document, packets_for(saved, 2, list(own), 1500, v6), judge, True)
    packets = {k: p for k, p in openings(saved, own, 12000, v6).items()
               if str(p.src) != "198.51.100.66"}  # The raw table drops it: in the ledger.
    compared, n_accepts = compare_with_kernel(box, tmp_path / "draft", document, judge, packets)
    assert compared > 300 and n_accepts > 15, (compared, n_accepts)


def test_what_nft_lists_keeps_the_kernels_verdicts(make_box, tmp_path):
    addresses = ["10.20.0.1", "fd00:20::1"]
    box = make_box(addresses)
    box.run("nft", "-f", FIXTURES / "shop.nft")
    saved = box.run("nft", "-j", "list", "ruleset")
    (tmp_path / "saved.json").write_text(saved)
    document = by_handle(write_draft(
        tmp_path / "draft", tmp_path / "saved.json",
        options=["--self", "box", "--self-address", ",".join(addresses)]))
    check_draft(tmp_path / "draft")
    own = {ipaddress.ip_address(a) for a in addresses}
    judge = of_hook(Nft(json.loads(saved)), own)
    packets = openings(saved, {a for a in own if a.version == 4}, 9000, False)
    packets |= openings(saved, {a for a in own if a.version == 6}, 9000, True)
    compared, n_accepts = compare_with_kernel(box, tmp_path / "draft", document, judge, packets)
    assert compared > 600 and n_accepts > 60, (compared, n_accepts)
