"""Real exporters watch known traffic between two namespaces: softflowd (NetFlow v5, v9, IPFIX), Open vSwitch (sFlow,
IPFIX) with its datapath in user space.  What they tell is answered with names and exact counts."""
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "system"))
from test_exporters import Collecting, until  # noqa: E402

N = 40
A, B = "10.77.9.1", "10.77.9.2"
INVENTORY = f"""suimitsu-inventory: 1
endpoints:
  client: {{labels: {{role: client}}, addresses: [{A}]}}
  server: {{labels: {{role: server}}, addresses: [{B}]}}
"""
POLICY = """suimitsu: 1
groups:
  servers: {match: {role: server}}
allow:
  - {id: all, from: any, to: servers, why: test, owner: test}
"""
# Answers a line with a line, on TCP and UDP; says when it listens.
SERVER = textwrap.dedent("""
    import selectors, socket, sys
    tcp, udp = socket.create_server((sys.argv[1], int(sys.argv[2]))), socket.socket(type=socket.SOCK_DGRAM)
    udp.bind((sys.argv[1], int(sys.argv[2])))
    both = selectors.DefaultSelector()
    both.register(tcp, 1), both.register(udp, 1)
    print("ready", flush=True)
    while True:
        for key, _ in both.select():
            if key.fileobj is udp:
                data, peer = udp.recvfrom(2000)
                udp.sendto(data * 2, peer)
                continue
            c, _ = tcp.accept()
            with c:
                while data := c.recv(2000):
                    c.sendall(data * 2)
""")
CLIENT = textwrap.dedent("""
    import socket, sys
    host, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for i in range(n):
        with socket.create_connection((host, port), 60) as c:
            c.sendall(b"x" * 100)
            c.shutdown(socket.SHUT_WR)
            while c.recv(2000):
                pass
    for i in range(n):
        with socket.socket(type=socket.SOCK_DGRAM) as u:
            u.settimeout(60)
            u.bind(("", 41000 + i))  # Each its own: two of one port would be one flow.
            u.connect((host, port))
            u.send(b"y" * 50)
            u.recv(2000)
""")


def run(*command):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout


class Net:
    """client 10.77.9.1 -- 10.77.9.2 server.  Nothing but our connections is on the wire: no IPv6, no ARP."""

    def __init__(self, prefix, folder):
        self.a, self.b, self.folder = prefix + "a", prefix + "b", folder
        self.stack = contextlib.ExitStack()
        for ns in (self.a, self.b):
            run("ip", "netns", "add", ns)
            self.stack.callback(run, "ip", "netns", "del", ns)
            self.at(ns, "ip", "link", "set", "lo", "up")
            self.at(ns, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")

    def at(self, ns, *command):
        return run("ip", "netns", "exec", ns, *command)

    def start(self, ns, *command, **more):
        p = subprocess.Popen(["ip", "netns", "exec", ns, *map(str, command)], stdout=subprocess.PIPE, text=True, **more)
        self.stack.callback(self.stop, p)
        return p

    @staticmethod
    def stop(p):
        if p.poll() is None:
            p.terminate()
        p.wait(60)
        p.stdout.close()

    def end(self, ns, name, address, mac, peer, peer_mac):
        self.at(ns, "ip", "link", "set", name, "address", mac)
        self.at(ns, "ip", "addr", "add", f"{address}/24", "dev", name)
        self.at(ns, "ip", "link", "set", name, "up")
        self.at(ns, "ip", "neigh", "replace", peer, "lladdr", peer_mac, "dev", name, "nud", "permanent")
        self.at(ns, "ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off", "tx", "off", "rx", "off")

    def serve(self, port):
        p = self.start(self.b, sys.executable, "-c", SERVER, B, port)
        assert p.stdout.readline() == "ready\n"

    def talk(self, port, n=N):
        """Bytes of IP that went each way, by the counters of the client's interface."""
        before = self.counters()
        self.at(self.a, sys.executable, "-c", CLIENT, B, port, n)
        out, back = [now - then for now, then in zip(self.counters(), before)]
        return out, back

    def packets(self):
        return sum(int(self.at(self.a, "cat", f"/sys/class/net/veth/statistics/{k}")) for k in ("tx_packets", "rx_packets"))

    def counters(self):
        """Of the client's interface, without Ethernet's headers: bytes out, bytes in."""
        stats = {k: int(self.at(self.a, "cat", f"/sys/class/net/veth/statistics/{k}"))
                 for k in ("tx_bytes", "tx_packets", "rx_bytes", "rx_packets")}
        return (stats["tx_bytes"] - 14 * stats["tx_packets"], stats["rx_bytes"] - 14 * stats["rx_packets"])


class Inside(Collecting):
    """The controller in the server's namespace, where the exporter is: both meet on its loopback."""
    ns = None
    settings = ["--collect", "auto://127.0.0.1:0", "--exporter", "probe=127.0.0.1"]

    def command(self, *more):
        return ["ip", "netns", "exec", self.ns, *super().command(*more)]


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory(prefix="sm-test-") as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


def controller_in(net, folder):
    c = Inside(folder)
    c.ns = net.b
    c.start()
    net.stack.callback(lambda: (c.process.send_signal(signal.SIGTERM), c.process.wait(60), c.process.stderr.close()))
    c.apply(POLICY, INVENTORY)
    return c


@pytest.fixture(scope="module")
def wire(folder):
    """A plain wire, a probe beside it."""
    if not shutil.which("softflowd"):
        pytest.skip("softflowd is not installed")
    net = Net(f"sm-x{os.getpid() % 10000}-", folder)
    with net.stack:
        run("ip", "-n", net.a, "link", "add", "veth", "type", "veth", "peer", "name", "veth", "netns", net.b)
        net.end(net.a, "veth", A, "02:00:00:00:09:01", B, "02:00:00:00:09:02")
        net.end(net.b, "veth", B, "02:00:00:00:09:02", A, "02:00:00:00:09:01")
        net.controller = controller_in(net, folder)
        yield net


def edges_of(c, port):
    return {e["protocol"]: e for e in c.edges(f"port={port}")}


def assert_known(c, port, origin, out, back, n=N):
    """N connections of each protocol, and every byte of theirs, once."""
    until(lambda: sum(e["count"] for e in edges_of(c, port).values()) >= 2 * n)
    edges = edges_of(c, port)
    assert set(edges) == {"tcp", "udp"}
    for e in edges.values():
        assert (e["from"], e["to"], e["count"]) == ("client", "server", n)
        assert (e["verdict"], e["origin"]) == ("seen", origin)
    assert sum(e["bytes_out"] for e in edges.values()) == out
    assert sum(e["bytes_in"] for e in edges.values()) == back


def packets_in(pcap):
    """How many packets a file of libpcap holds so far."""
    data, at, n = pcap.read_bytes() if pcap.exists() else b"", 24, 0
    while len(data) >= at + 16:
        at += 16 + int.from_bytes(data[at + 8:at + 12], "little")
        n += len(data) >= at
    return n


@pytest.mark.parametrize("version, port, origin, more", [
    ("5", 5001, "netflow5", []), ("9", 5002, "netflow9", []), ("10", 5003, "ipfix", []), ("10", 5004, "ipfix", ["-b"])])
def test_softflowd_tells_known_traffic_exactly(wire, version, port, origin, more):
    """It reads what was captured at the server's end: on a quiet wire libpcap would keep it waiting for more."""
    c, pcap = wire.controller, wire.folder / f"{port}.pcap"
    wire.serve(port)
    capture = wire.start(wire.b, "tcpdump", "-i", "veth", "-w", pcap, "-U", "--immediate-mode", "-Z", "root",
                         stderr=subprocess.DEVNULL)
    until(pcap.exists)
    before = wire.packets()
    out, back = wire.talk(port)
    until(lambda: packets_in(pcap) == wire.packets() - before)
    wire.stop(capture)
    wire.at(wire.b, "softflowd", "-d", "-r", pcap, "-n", f"127.0.0.1:{c.udp_port}", "-v", version, "-A", "milli",
            "-c", "none", "-p", wire.folder / f"pid-{port}", *more)
    assert_known(c, port, origin, out, back)
    state = c.exporter("probe")
    assert (state["malformed"], state["unexpected"], state["lost"]) == (0, 0, 0)


class Switch(Net):
    """The same two ends, on an Open vSwitch whose datapath is in user space, in a namespace of its own."""

    def __init__(self, prefix, folder):
        super().__init__(prefix, folder)
        self.s = prefix + "s"
        run("ip", "netns", "add", self.s)
        self.stack.callback(run, "ip", "netns", "del", self.s)
        self.at(self.s, "ip", "link", "set", "lo", "up")
        self.at(self.s, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        for ns, port in ((self.a, "pa"), (self.b, "pb")):
            run("ip", "-n", self.s, "link", "add", port, "type", "veth", "peer", "name", "veth", "netns", ns)
            self.at(self.s, "ip", "link", "set", port, "up")
        self.db = f"unix:{folder}/db.sock"
        run("ovsdb-tool", "create", folder / "conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
        self.start(self.s, "ovsdb-server", folder / "conf.db", f"--remote=p{self.db}", f"--unixctl={folder}/db.ctl",
                   stderr=subprocess.DEVNULL)
        until((folder / "db.sock").exists)
        self.configure("--no-wait", "init")
        self.start(self.s, "ovs-vswitchd", self.db, "--disable-system", f"--unixctl={folder}/vs.ctl",
                   env=os.environ | {"OVS_RUNDIR": str(folder)}, stderr=subprocess.DEVNULL)
        self.configure("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail-mode=standalone",
                       "--", "add-port", "br0", "pa", "--", "add-port", "br0", "pb")

    def configure(self, *command):
        return run("timeout", 60, "ovs-vsctl", f"--db={self.db}", *command)


@pytest.fixture(scope="module")
def switch(folder):
    if not shutil.which("ovs-vswitchd"):
        pytest.skip("Open vSwitch is not installed")
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("the datapath of Open vSwitch in user space needs /dev/net/tun")
    place = folder / "switch"
    place.mkdir()
    place.chmod(0o755)
    net = Switch(f"sm-y{os.getpid() % 10000}-", place)
    with net.stack:
        net.end(net.a, "veth", A, "02:00:00:00:09:01", B, "02:00:00:00:09:02")
        net.end(net.b, "veth", B, "02:00:00:00:09:02", A, "02:00:00:00:09:01")
        c = Inside(place)
        c.ns = net.s
        c.start()
        net.stack.callback(lambda: (c.process.send_signal(signal.SIGTERM), c.process.wait(60), c.process.stderr.close()))
        c.apply(POLICY, INVENTORY)
        net.controller = c
        yield net


def test_open_vswitch_tells_every_packet_by_sflow(switch):
    """One of one is sampled: then counts are packets, and bytes those of the frames with their checksums."""
    c, port = switch.controller, 6001
    switch.serve(port)
    switch.configure("--", "--id=@s", "create", "sFlow", f'targets="127.0.0.1:{c.udp_port}"', "agent=lo", "sampling=1",
                     "header=128", "polling=0", "--", "set", "bridge", "br0", "sflow=@s")
    before = switch.packets()
    out, back = switch.talk(port)
    packets = switch.packets() - before
    until(lambda: sum(e["count"] for e in edges_of(c, port).values()) >= packets)
    edges = edges_of(c, port)
    assert set(edges) == {"tcp", "udp"} and edges["udp"]["count"] == 2 * N
    assert all((e["from"], e["to"], e["verdict"], e["origin"]) == ("client", "server", "seen", "sflow") for e in edges.values())
    assert sum(e["count"] for e in edges.values()) == packets
    assert sum(e["bytes_out"] + e["bytes_in"] for e in edges.values()) == out + back + (14 + 4) * packets
    state = c.exporter("probe")
    assert (state["malformed"], state["unexpected"], state["lost"]) == (0, 0, 0)


def test_open_vswitch_tells_known_traffic_exactly_by_ipfix(switch):
    c, port = switch.controller, 6002
    switch.serve(port)
    switch.configure("clear", "bridge", "br0", "sflow", "--", "--id=@i", "create", "IPFIX",
                     f'targets="127.0.0.1:{c.udp_port}"', "obs_domain_id=7", "obs_point_id=1", "sampling=1",
                     "cache_active_timeout=5", "cache_max_flows=10000",  # A connection that lasts longer would be two.
                     "--", "set", "bridge", "br0", "ipfix=@i")
    out, back = switch.talk(port)
    assert_known(c, port, "ipfix", 2 * out, 2 * back)  # It samples packets where they enter and where they leave.
    state = c.exporter("probe")
    assert (state["malformed"], state["unexpected"], state["lost"]) == (0, 0, 0)


def test_open_vswitch_tells_every_byte_by_netflow(switch):
    """A flow is one direction, told once its cache expires: what stays two counts twice, its bytes never do."""
    c, port = switch.controller, 6003
    switch.serve(port)
    switch.configure("clear", "bridge", "br0", "ipfix", "--", "--id=@n", "create", "NetFlow",
                     f'targets="127.0.0.1:{c.udp_port}"', "active_timeout=1", "--", "set", "bridge", "br0", "netflow=@n")
    before = switch.packets()
    out, back = switch.talk(port)
    frames = out + back + 14 * (switch.packets() - before)
    until(lambda: sum(e["bytes_out"] + e["bytes_in"] for e in edges_of(c, port).values()) >= frames, 180)
    edges = edges_of(c, port)
    assert set(edges) == {"tcp", "udp"}
    assert all((e["from"], e["to"], e["verdict"], e["origin"]) == ("client", "server", "seen", "netflow5")
               for e in edges.values())
    assert all(N <= e["count"] <= 2 * N for e in edges.values())
    assert sum(e["bytes_out"] + e["bytes_in"] for e in edges.values()) == frames
    state = c.exporter("probe")
    assert (state["malformed"], state["unexpected"], state["lost"]) == (0, 0, 0)
