# SPDX-License-Identifier: Apache-2.0
"""What a Modbus client hears of a refused request, and its server: real TCP stacks on both ends."""
import socket
import struct

import pytest
from edge_place import Place
from frames import socket_in
from scapy.layers.inet import TCP
from scapy.layers.l2 import Ether
from test_edge_modbus import RULES, request

NOTHING_S = 0.3  # How long nothing has to come for "nothing".


class Modbus:
    """A client at host a and its server at host b, connected."""

    def __init__(self, p, version):
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        address = p.lab["b"].address(version)
        self.listener = socket_in(p.lab["b"], family)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind((address, 502))
        self.listener.listen()
        self.client = socket_in(p.lab["a"], family)
        self.client.connect((address, 502))
        self.server, _ = self.listener.accept()
        self.server.settimeout(5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for s in (self.client, self.server, self.listener):
            s.close()

    def poll(self, transaction):
        """One allowed request and its answer."""
        asked = request(3, transaction=transaction)
        self.client.sendall(asked)
        assert self.server.recv(1000) == asked
        answer = struct.pack(">HHHBBBH", transaction, 0, 5, 1, 3, 2, 1234)
        self.server.sendall(answer)
        assert self.client.recv(1000) == answer

    def server_is_reset(self):
        """It hears of nothing else."""
        with pytest.raises(ConnectionResetError):
            assert self.server.recv(1000) is None


@pytest.fixture(scope="module", params=[("a", "on"), ("b", "on"), ("a", "off"), ("b", "off"),
                                        ("a", "on", "clsact"), ("b", "off", "clsact")],
                ids=" ".join)  # Port, sums by the device, way of attachment.
def place(request):
    end, offload, *options = request.param
    place = Place(RULES, *options, enforcers=["edge"])
    try:
        for name in "ab":
            place.lab[name].run("ethtool", "-K", "eth0", "tx", offload)
        place.end = end
        yield place
    finally:
        place.down()


def bound(place, *flags):
    place.bind(place.end, flags=flags)
    return place


@pytest.mark.parametrize("version", [4, 6])
def test_an_exception_names_the_request_and_the_connection_ends(place, version):
    with Modbus(bound(place, "exception"), version) as m:
        m.poll(1)
        before = place.edge.counters(place.end)
        m.client.sendall(request(6, transaction=0x1234))
        assert m.client.recv(1000) == bytes.fromhex("1234 0000 0003 01 86 01".replace(" ", ""))
        assert m.client.recv(1000) == b""
        m.server_is_reset()
        after = place.edge.counters(place.end)
        assert after["function"] == before["function"] + 1
        assert after["answered"] == before["answered"] + 1
    with Modbus(place, version) as again:
        again.poll(2)


@pytest.mark.parametrize("version", [4, 6])
def test_a_reset_ends_both_sides_at_once(place, version):
    with Modbus(bound(place, "reset"), version) as m:
        m.poll(1)
        m.client.sendall(request(16))
        with pytest.raises(ConnectionResetError):
            m.client.recv(1000)
        m.server_is_reset()
    with Modbus(place, version) as again:
        again.poll(2)


def test_without_a_choice_nothing_is_said(place):
    with Modbus(bound(place), 4) as m:
        m.poll(1)
        before = place.edge.counters(place.end)
        m.client.sendall(request(6))
        for end in (m.client, m.server):
            end.settimeout(NOTHING_S)
            with pytest.raises(TimeoutError):
                end.recv(1000)
        after = place.edge.counters(place.end)
        assert after["function"] > before["function"] and after["answered"] == before["answered"]


@pytest.mark.parametrize("flag", ["reset", "exception"])
def test_what_cannot_be_read_is_answered_by_a_reset(place, flag):
    with Modbus(bound(place, flag), 4) as m:
        m.client.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            m.client.recv(1000)
        m.server_is_reset()


def test_the_answer_to_a_former_request_comes_before_the_exception(place):
    with Modbus(bound(place, "exception"), 4) as m:
        m.client.sendall(request(3, transaction=1))
        assert m.server.recv(1000) == request(3, transaction=1)
        answer = struct.pack(">HHHBBBH", 1, 0, 5, 1, 3, 2, 99)
        m.server.sendall(answer)
        m.client.sendall(request(5, transaction=2))
        heard = b""
        while data := m.client.recv(1000):
            heard += data
        assert heard == answer + bytes.fromhex("000200000003018501")


def test_a_denied_request_behind_many_allowed_ones_ends_the_connection_too(place):
    with Modbus(bound(place, "exception"), 4) as m:
        allowed = request(3, bytes(200)) * 20  # More than one segment where the device cuts none.
        m.client.sendall(allowed + request(22, transaction=77) + request(3) * 5)
        assert m.client.recv(1000) == bytes.fromhex("004d00000003019601")
        heard = b""
        with pytest.raises(ConnectionResetError):
            while data := m.server.recv(10000):
                heard += data
        assert allowed.startswith(heard)


def test_a_request_cut_into_bytes_is_answered_all_the_same(place):
    with Modbus(bound(place, "exception"), 4) as m:
        m.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request(6, transaction=5)[:8]:
            m.client.sendall(bytes([byte]))
        assert m.client.recv(1000) == bytes.fromhex("000500000003018601")


def test_nothing_goes_on_in_an_answered_connection(place):
    with Modbus(bound(place, "exception"), 4) as m:
        m.poll(1)
        place.wires["b"].received()
        m.client.sendall(request(6))
        assert m.client.recv(1000)
        for function in (3, 6):  # The server's socket is gone, and says so.
            try:
                m.client.sendall(request(function))
            except (ConnectionResetError, BrokenPipeError):
                break
        fence = place.fence("a", "b")
        place.wires["a"].send(fence)
        got = [Ether(f) for f in place.wires["b"].received_until(fence)]
        data = [bytes(f[TCP].payload) for f in got if TCP in f and f[TCP].dport == 502]
        assert not any(request(6)[2:] in d for d in data)


def test_the_choice_may_change_while_the_port_is_bound(place):
    bound(place, "reset")
    with Modbus(place, 4) as m:
        place.edge.put(place.lab[place.end], "exception")
        m.client.sendall(request(6, transaction=9))
        assert m.client.recv(1000) == bytes.fromhex("000900000003018601")
