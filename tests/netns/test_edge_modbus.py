# SPDX-License-Identifier: Apache-2.0
"""Modbus requests in the stream: an edge lets pass the functions that a rule names, however the
client cuts, joins, repeats or disguises its requests."""
import random
import struct

import pytest
from edge_place import Place
from test_edge_packets import Talk, into, out

RULES = """
services:
  read: {ports: [tcp/502], modbus: [1, 2, 3, 4]}
  all-of-502: [tcp/502]
allow:
  - {id: read, from: clients, to: servers, service: read, why: test, owner: test}
"""
EVERYTHING = """
services:
  all-of-502: [tcp/502]
allow:
  - {id: all, from: clients, to: servers, service: all-of-502, why: test, owner: test}
"""
READS, OTHERS = [1, 2, 3, 4], [5, 6, 7, 15, 16, 22, 23, 43, 90, 127]


@pytest.fixture(scope="module", params=["a", "b"], ids=["at the client", "at the server"])
def place(request):
    place = Place(RULES, flush="ab", enforcers=["edge"])
    try:
        place.bind(request.param)
        place.end = request.param
        yield place
    finally:
        place.down()


def request(function, body=b"\0\1\0\1", size=None, protocol=0, transaction=7):
    size = 2 + len(body) if size is None else size
    return struct.pack(">HHHBB", transaction, protocol, size, 1, function) + body


class Client(Talk):
    """Sends data and keeps count; the server acknowledges when it is told to."""

    def __init__(self, p, version=4):
        super().__init__(p, version, to=502)
        self.establish()

    def send(self, data, ack=True):
        """Does it get through?"""
        passed = out(self.p, self.from_a("PA", data))
        if passed:
            self.seq_a += len(data)
            if ack:
                assert into(self.p, self.from_b("A"))
        return passed

    def is_dropped(self, reason, data, **fields):
        before = self.p.edge.counters(self.p.end)
        passed = out(self.p, self.from_a(fields.pop("flags", "PA"), data, **fields))
        after = self.p.edge.counters(self.p.end)
        return not passed and after[reason] == before[reason] + 1


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("function", READS)
def test_a_function_that_a_rule_names_passes(place, function, version):
    assert Client(place, version).send(request(function))


@pytest.mark.parametrize("function", OTHERS)
def test_any_other_function_does_not_and_the_next_read_still_does(place, function):
    client = Client(place)
    assert client.send(request(3))
    assert client.is_dropped("function", request(function))
    assert client.is_dropped("function", request(function))  # Sent again.
    assert client.send(request(3))  # In its place.


def test_the_server_may_answer_what_it_wants(place):
    client = Client(place)
    assert client.send(request(3))
    for answer in (request(3, b"\2\0\1"), request(0x83, b"\2"), b"garbage"):
        assert into(place, client.from_b("PA", answer))
        client.seq_b += len(answer)
    assert client.send(request(4))


@pytest.mark.parametrize("at", range(1, 12))
def test_a_request_may_be_cut_anywhere_and_is_judged_all_the_same(place, at):
    good, bad = request(3), request(6)
    client = Client(place)
    assert client.send(good[:at]) and client.send(good[at:])
    if at < 8:
        assert client.send(bad[:at])
        assert client.is_dropped("function", bad[at:])
    else:
        assert client.is_dropped("function", bad[:at])


def test_a_request_may_come_byte_by_byte(place):
    client = Client(place)
    assert all(client.send(bytes([b])) for b in request(3) + request(4) + request(6)[:7])
    assert client.is_dropped("function", b"\6")


def test_requests_may_share_a_segment_and_one_that_is_denied_takes_the_others_with_it(place):
    client = Client(place)
    assert client.send(request(3) * 5)
    assert client.is_dropped("function", request(3) * 4 + request(5))
    assert client.is_dropped("function", request(3, b"\0" * 200) + request(5) + request(3))
    assert client.send(request(3) * 32)
    assert client.is_dropped("request", request(3) * 33)  # More than anybody sends at once.


@pytest.mark.parametrize("bad", [
    request(3, size=0), request(3, size=1), request(3, size=255), request(3, size=0xffff),
    request(3, protocol=1), request(3, protocol=0x100), request(0), request(128), request(0x83),
    b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\xff" * 100])
def test_what_is_no_request_does_not_pass(place, bad):
    client = Client(place)
    assert client.is_dropped("request", bad)
    assert client.send(request(3))


def test_a_length_decides_what_is_a_header_and_what_is_not(place):
    hidden = request(6)
    client = Client(place)
    assert client.send(request(3, b"\0" * 4 + hidden))  # Inside a read's data: not a request.
    assert client.is_dropped("function", request(3, b"\0" * 4 + hidden, size=6))  # It ends before.
    assert client.send(request(3, b"\0" * 250, size=252))  # The longest.
    assert client.send(request(3, size=2 + 100))  # 96 bytes are to come.
    assert client.send(hidden + b"\0" * (96 - len(hidden)))  # And are data.
    assert client.is_dropped("function", hidden)


def test_what_was_not_acknowledged_is_read_again_when_it_is_sent_again(place):
    client = Client(place)
    start = client.seq_a
    assert client.send(request(3), ack=False)
    assert out(place, client.from_a("PA", request(3), seq=start))
    assert client.is_dropped("function", request(6), seq=start)
    assert out(place, client.from_a("PA", request(4), seq=start))
    assert into(place, client.from_b("A"))
    assert out(place, client.from_a("PA", request(6), seq=start))  # The server has it: old bytes.
    assert client.send(request(3)) and client.is_dropped("function", request(6))


def test_a_frame_cannot_be_shifted_by_sending_again(place):
    """The second try of the first segment swallows the second, so the third is no longer what the
    reader expected: it may only come in order."""
    client = Client(place)
    start = client.seq_a
    assert client.send(request(3), ack=False)
    assert client.send(request(3, size=252), ack=False)  # 246 bytes are to come...
    assert out(place, client.from_a("PA", request(3, size=2 + 4 + 12), seq=start))  # ...or are they?
    assert client.is_dropped("request", request(6))
    assert client.is_dropped("request", request(3))
    assert out(place, client.from_a("PA", b"\0" * 12, seq=start + 12))
    assert client.is_dropped("function", request(6), seq=start + 24)


@pytest.mark.parametrize("offset", [-13, -1, 1, 12, 1000])
def test_a_hole_or_an_overlap_does_not_pass(place, offset):
    client = Client(place)
    assert client.send(request(3))
    assert client.is_dropped("request", request(3) * 2, seq=client.seq_a + offset)
    assert client.send(request(3))


def test_urgent_bytes_and_data_before_the_handshake_do_not_pass(place):
    client = Client(place)
    assert client.is_dropped("request", request(3), flags="PAU")
    early = Talk(place, to=502)
    before = place.edge.counters(place.end)["request"]
    assert not out(place, early.from_a("S", request(3), ack=0))
    assert place.edge.counters(place.end)["request"] == before + 1


def test_a_denied_request_is_told(place):
    place.edge.events.clear()
    assert Client(place).is_dropped("function", request(6))
    flow = place.edge.wait_event(endpoint=place.end, verdict="deny", port=502, protocol=6)
    assert flow["direction"] == ("out" if place.end == "a" else "in")


def test_a_change_of_functions_holds_for_living_connections(place):
    client = Client(place)
    assert client.is_dropped("function", request(6))
    place.apply(RULES.replace("modbus: [1, 2, 3, 4]", "modbus: [3, 6]"))
    assert client.send(request(6)) and client.is_dropped("function", request(1))
    place.apply(EVERYTHING)
    unread = Client(place)
    assert unread.send(request(6)) and unread.send(b"anything")
    place.apply(RULES)
    assert client.send(request(1))
    # Nobody knows where its next request begins: cut, and it may come again.
    assert not unread.send(request(3))
    assert Client(place).send(request(3))


def model(data):
    """(reason or None) of a stream that is sent whole; and how many of its bytes are fine."""
    at = 0
    while at + 8 <= len(data):
        _, protocol, size, _, function = struct.unpack(">HHHBB", data[at:at + 8])
        if protocol or not 2 <= size <= 254 or not 0 < function < 128:
            return "request", at + 8
        if function not in READS:
            return "function", at + 8
        at += 6 + size
    return None, len(data)


def test_random_streams_in_random_pieces_are_read_as_a_simple_model_reads_them(place):
    chance = random.Random(20261122)
    for _ in range(60):
        data = b"".join(chance.choice([
            request(chance.choice(READS), bytes(chance.randrange(256) for _ in range(chance.randrange(20)))),
            request(chance.choice(READS), b"\0" * chance.randrange(250)),
            request(chance.randrange(140)),
            bytes(chance.randrange(256) for _ in range(chance.randrange(1, 12)))])
            for _ in range(chance.randrange(1, 5)))
        wrong, until = model(data)
        client, at = Client(place), 0
        while at < len(data):
            piece = data[at:at + chance.choice([1, 2, 5, 8, 12, 40, 300])]
            if wrong and at + len(piece) >= until:
                assert client.is_dropped(wrong, piece), (data, at, piece)
                break
            assert client.send(piece), (data, at, piece)
            at += len(piece)
