# SPDX-License-Identifier: Apache-2.0
"""Addresses that a port learns from DHCP: from an authorised server's answer to the port's own
request, for the time of the lease; from nobody else, and not for longer."""
import json
import random
import shutil
import socket
import struct
import subprocess
import time

import pytest
from edge import compile_programs
from edge_place import ALL, Place, ether
from frames import has, socket_in
from labkit import inventory
from labkit.system import wait_for
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Raw

RULES = """
services: {one: [tcp/7001, udp/7001]}
allow:
  - {id: one, from: clients, to: servers, service: one, why: test, owner: test}
"""
SERVER, LEASED, OTHER = "10.77.0.3", "10.77.0.50", "10.77.0.51"
XID = 0x1234


@pytest.fixture(scope="module", params=[(), ("clsact",)], ids=["tcx", "clsact"])
def place(request):
    """a learns, c is the network's DHCP server, b an ordinary guest."""
    place = Place(RULES, f"server={SERVER}", *request.param, flush="ab", enforcers=["edge"])
    try:
        yield place
    finally:
        place.down()


@pytest.fixture
def fresh(place):
    place.bind()
    place.bind("a", "b", flags=["learn"])
    return place


def raw_mac(p, name):
    return bytes.fromhex(p.mac[name].replace(":", ""))


def request(p, name="a", xid=XID, kind="request"):
    return Ether(src=p.mac[name], dst=ALL) / IP(src="0.0.0.0", dst="255.255.255.255") / \
        UDP(sport=68, dport=67) / BOOTP(chaddr=raw_mac(p, name), xid=xid) / \
        DHCP(options=[("message-type", kind), "end"])


def ack(p, address=LEASED, seconds=600, xid=XID, to="a", server=SERVER, source="c", kind="ack", **more):
    options = more.pop("options", [("message-type", kind), ("server_id", server),
                                   ("lease_time", seconds), "end"])
    return Ether(src=p.mac[source], dst=p.mac[to]) / IP(src=server, dst=address) / \
        UDP(sport=67, dport=68) / BOOTP(op=2, yiaddr=address, chaddr=raw_mac(p, to), xid=xid, **more) / \
        DHCP(options=options)


def asks(p, name="a", **fields):
    assert has(p.send(name, "c", request(p, name, **fields)), request(p, name, **fields))


def hears(p, frame, source="c", to="a"):
    assert has(p.send(source, to, frame), frame)


def is_believed(p, address, name="a"):
    """Does ARP for it pass?"""
    arp = Ether(src=p.mac[name], dst=ALL) / ARP(op=1, hwsrc=p.mac[name], psrc=address, pdst=SERVER)
    return has(p.send(name, "c", arp), arp)


def may_use(p, address, name="a"):
    """Does a datagram from it pass as its own?  ARP for it says the same."""
    packet = Ether(src=p.mac[name], dst=p.mac["c"]) / IP(src=address, dst=SERVER) / ICMP(type=8)
    before = p.edge.counters(name)["ip_spoof"]
    p.send(name, "c", packet)
    own = p.edge.counters(name)["ip_spoof"] == before
    assert is_believed(p, address, name) == own
    return own


def learned(p, name="a"):
    return p.edge.status(name)["learned"]


def test_an_answer_to_its_request_binds_the_address(fresh):
    assert not may_use(fresh, LEASED)
    asks(fresh)
    hears(fresh, ack(fresh))
    assert learned(fresh) == [LEASED] and may_use(fresh, LEASED)
    fresh.edge.wait_notice(f"{LEASED} was learned from the DHCP server {SERVER}, for 600 s")
    assert fresh.edge.counters("a")["leased"] == 1
    assert may_use(fresh, fresh.lab["a"].address())  # What the inventory says stays.
    # And what is sent to it arrives; to another it does not.
    for address, arrives in ((LEASED, True), (OTHER, False)):
        arp = Ether(src=fresh.mac["c"], dst=ALL) / ARP(op=1, hwsrc=fresh.mac["c"], psrc=SERVER, pdst=address)
        assert has(fresh.send("c", "a", arp), arp) == arrives


def test_flows_of_a_learned_address_are_judged_by_the_same_rules(fresh):
    asks(fresh)
    hears(fresh, ack(fresh))
    b = fresh.lab["b"].address()
    for port, passes in ((7001, True), (7002, False)):
        packet = ether(fresh) / IP(src=LEASED, dst=b) / UDP(sport=4000, dport=port) / Raw(b"x" * 30)
        fresh.send("a", "b", packet)
        flow = fresh.edge.wait_event(endpoint="a", port=port, local=LEASED)
        assert flow["verdict"] == ("allow" if passes else "deny")


def test_it_ends_with_its_lease(fresh):
    for seconds in (2, 4, 8, 16):  # The shortest that this machine sees before its end.
        began = time.monotonic()
        asks(fresh, xid=seconds)
        hears(fresh, ack(fresh, seconds=seconds, xid=seconds))
        used = may_use(fresh, LEASED)
        if time.monotonic() - began < seconds:
            break
    assert used
    wait_for(lambda: not is_believed(fresh, LEASED), 10, "the lease to end")
    assert learned(fresh) == [] and not may_use(fresh, LEASED)
    asks(fresh, xid=7)
    hears(fresh, ack(fresh, xid=7))
    assert may_use(fresh, LEASED)


def test_another_lease_ends_the_former(fresh):
    asks(fresh)
    hears(fresh, ack(fresh))
    asks(fresh, xid=8)
    hears(fresh, ack(fresh, address=OTHER, xid=8))
    assert learned(fresh) == [OTHER] and may_use(fresh, OTHER) and not may_use(fresh, LEASED)


@pytest.mark.parametrize("what", [
    {"xid": 99}, {"kind": "offer"}, {"kind": "nak"}, {"seconds": 0}, {"address": "0.0.0.0"},
    {"address": "224.0.0.9"}, {"address": "127.0.0.9"}, {"address": "10.77.0.2"},
    {"options": [("message-type", "ack"), "end"]}, {"options": [("lease_time", 600), "end"]},
    {"options": ["end", ("message-type", "ack"), ("lease_time", 600)]}, {"hlen": 16}],
    ids=str)
def test_what_is_no_sound_answer_teaches_nothing(fresh, what):
    asks(fresh)
    fresh.send("c", "a", ack(fresh, **what))
    assert learned(fresh) == [] and not may_use(fresh, what.get("address", LEASED) if
                                                what.get("address", LEASED).startswith("10") else LEASED)


def test_an_answer_without_a_request_teaches_nothing(fresh):
    fresh.send("c", "a", ack(fresh))
    asks(fresh)  # Afterwards is too late.
    assert learned(fresh) == [] and not may_use(fresh, LEASED)


def test_only_an_authorised_server_teaches(fresh):
    asks(fresh)
    rogue = ack(fresh, server="10.77.0.66")
    before = fresh.edge.counters("a")["rogue_dhcp"]
    assert not has(fresh.send("c", "a", rogue), rogue)
    assert fresh.edge.counters("a")["rogue_dhcp"] == before + 1 and learned(fresh) == []


def test_a_guest_teaches_nobody(fresh):
    """b answers a as the server, with the server's address and its own, from its own port."""
    asks(fresh)
    for server in (SERVER, fresh.lab["b"].address()):
        spoofed = ack(fresh, server=server, source="b")
        assert not has(fresh.send("b", "a", spoofed), spoofed)
    # And a teaches itself nothing either.
    fresh.send("a", "c", ack(fresh, to="a", source="a"))
    assert learned(fresh) == [] and not may_use(fresh, LEASED)


def test_an_answer_to_another_mac_teaches_this_port_nothing(fresh):
    asks(fresh)
    frame = ack(fresh, to="b")
    frame[Ether].dst = fresh.mac["a"]
    fresh.send("c", "a", frame)
    assert learned(fresh) == [] and learned(fresh, "b") == []


def test_nobody_else_may_use_a_leased_address(fresh):
    asks(fresh)
    hears(fresh, ack(fresh))
    assert not may_use(fresh, LEASED, "b")
    stolen = Ether(src=fresh.mac["c"], dst=ALL) / ARP(op=1, hwsrc=fresh.mac["c"], psrc=LEASED,
                                                     pdst=fresh.lab["b"].address())
    assert not has(fresh.send("c", "b", stolen), stolen)


def test_a_port_that_may_not_learn_learns_nothing(place):
    place.bind()
    place.bind("a", "b")
    asks(place)
    hears(place, ack(place))
    assert learned(place) == [] and not may_use(place, LEASED)
    place.edge.put(place.lab["a"], "learn")
    asks(place)
    hears(place, ack(place))
    assert may_use(place, LEASED)
    place.edge.put(place.lab["a"])
    assert not may_use(place, LEASED)


def test_a_lease_outlives_the_agent_and_not_the_port(fresh):
    asks(fresh)
    hears(fresh, ack(fresh))
    fresh.edge.kill()
    arp = Ether(src=fresh.mac["a"], dst=ALL) / ARP(op=1, hwsrc=fresh.mac["a"], psrc=LEASED, pdst=SERVER)
    assert has(fresh.send("a", "c", arp), arp)
    fresh.edge.start()
    for name in "ab":
        fresh.edge.put(fresh.lab[name], "learn")
        fresh.edge.load(fresh.lab[name], fresh.programs[name])
    assert may_use(fresh, LEASED)
    fresh.bind("b", flags=["learn"])
    fresh.bind("a", "b", flags=["learn"])
    assert learned(fresh) == [] and not may_use(fresh, LEASED)


def test_an_endpoint_without_addresses_speaks_once_it_has_a_lease(fresh):
    data = inventory(fresh.lab.world)
    data["endpoints"]["a"]["enforcers"] = ["edge"]
    del data["endpoints"]["a"]["addresses"]
    ledger = fresh.lab.folder / "nameless.json"
    ledger.write_text(json.dumps(data))
    fresh.revision += 1
    program = compile_programs(fresh.lab.folder, fresh.lab.folder / "policy.yaml", ledger, "a",
                               fresh.revision)["a"]
    fresh.edge.load(fresh.lab["a"], program)
    assert not may_use(fresh, fresh.lab["a"].address()) and not may_use(fresh, LEASED)
    asks(fresh)
    fresh.wires["c"].send(ack(fresh))  # No fence: nothing else reaches it yet.
    wait_for(lambda: learned(fresh) == [LEASED], 5, "the lease")
    assert may_use(fresh, LEASED)
    fresh.edge.put(fresh.lab["a"])  # Where it may not learn, that program is none.
    answer = fresh.edge.command("load", "a", program, check=False)
    assert not answer["ok"] and "no address of its own" in answer["why"]


def test_garbage_in_answers_teaches_nothing_that_they_do_not_say(fresh):
    """Mutated ACKs: what is learned is the address that the frame's own fields say, or nothing."""
    chance = random.Random(20261122)
    good = bytearray(bytes(ack(fresh)))
    fields = good.index(struct.pack(">I", XID)) - 4  # Where BOOTP begins.
    for n in range(400):
        bad = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            bad[chance.randrange(fields, len(bad))] = chance.randrange(256)
        bad = bad[:chance.choice([len(bad), chance.randrange(fields, len(bad))])]
        packet = Ether(bytes(good[:14])) / IP(src=SERVER, dst=LEASED) / UDP(sport=67, dport=68) / \
            Raw(bytes(bad[fields:]))
        fresh.wires["a"].send(request(fresh))
        fresh.wires["c"].send(packet)
        if n % 50 == 49:
            fresh.send("c", "a", packet)
    for address in learned(fresh):
        first = socket.inet_aton(address)
        assert sum(x != y for x, y in zip(first, socket.inet_aton(LEASED))) <= 3


def test_a_real_client_and_a_real_server(place):
    """dnsmasq leases, busybox asks: the address is bound without a word of the inventory."""
    busybox, dnsmasq = shutil.which("busybox"), shutil.which("dnsmasq")
    if not busybox or not dnsmasq:
        pytest.skip("needs busybox (with udhcpc) and dnsmasq")
    place.bind()
    place.bind("a", flags=["learn"])
    server = place.lab["c"].popen(
        [dnsmasq, "--keep-in-foreground", "--port=0", "--interface=eth0", "--bind-interfaces", "--log-facility=-",
         "--conf-file=/dev/null", "--dhcp-range=10.77.0.100,10.77.0.110,255.255.255.0,2m", "--user=root",
         "--leasefile-ro", "--no-ping", "--pid-file="], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        done = place.lab["a"].run(busybox, "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "20", "-T", "1",
                                  "-s", "/bin/true", check=False, timeout=60)
        address, = learned(place)
        assert address.startswith("10.77.0.1"), done.stderr
        place.lab["a"].run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        client = socket_in(place.lab["a"], socket.AF_INET, socket.SOCK_DGRAM)
        with client:  # Nothing to c is allowed; the denial names the new address.
            client.sendto(b"x", (SERVER, 7001))
        place.edge.wait_event(endpoint="a", verdict="deny", local=address)
    finally:
        server.terminate()
        server.wait(10)
        place.lab["a"].run("ip", "addr", "flush", "dev", "eth0")
