# SPDX-License-Identifier: Apache-2.0
"""Modbus requests in the stream: an edge lets pass the functions that a rule names, however the
client cuts, joins, repeats or disguises its requests."""
import random
import struct

import pytest
from edge_place import Place, ether
from frames import has
from scapy.layers.inet import fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment
from scapy.packet import Raw
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


def test_what_was_not_acknowledged_may_come_again_as_it_was(place):
    client = Client(place)
    start = client.seq_a
    first, second = request(3), request(4, b"\0" * 9)
    assert client.send(first, ack=False) and client.send(second, ack=False)
    assert out(place, client.from_a("PA", first, seq=start))
    assert out(place, client.from_a("PA", second, seq=start + len(first)))
    assert out(place, client.from_a("PA", first + second, seq=start))  # Joined.
    assert out(place, client.from_a("PA", first + second + request(3), seq=start))  # And with new ones.
    client.seq_a += len(request(3))
    assert into(place, client.from_b("A"))
    assert out(place, client.from_a("PA", request(6), seq=start))  # The server has it: old bytes.
    assert client.send(request(3)) and client.is_dropped("function", request(6))


@pytest.mark.parametrize("again", [request(6), request(4), request(4) + request(3), request(3)[:-1] + b"\2",
                                   b"\1" + request(3)[1:]])
def test_other_bytes_in_the_place_of_those_that_passed_end_the_connection(place, again):
    """The server may have lost the first try (a wrong checksum does it): what it gets has to be what was
    read."""
    client = Client(place)
    start = client.seq_a
    assert client.send(request(3), ack=False)
    assert client.is_dropped("request", again, seq=start)
    assert client.is_dropped("request", request(3), seq=start)
    assert client.is_dropped("request", request(3))
    assert out(place, client.from_a("RA"))


def test_what_was_data_cannot_become_a_request_by_sending_what_stood_before_it_again(place):
    """The server loses the first segment and keeps the second, which holds what looks like data; a
    first segment of the same length, which leaves no data to come, would make a request of it."""
    client = Client(place)
    start = client.seq_a
    assert client.send(request(3, size=2 + 4 + 12), ack=False)
    assert client.send(request(6), ack=False)
    assert client.is_dropped("request", request(3), seq=start)


def test_many_requests_may_wait_for_their_acknowledgement_and_no_more(place):
    client = Client(place)
    start = client.seq_a
    for _ in range(7):
        assert client.send(request(3), ack=False)
    assert client.is_dropped("request", request(3))
    assert out(place, client.from_a("PA", request(3) * 7, seq=start))
    assert into(place, client.from_b("A"))
    for _ in range(7):
        assert client.send(request(3), ack=False)


def test_a_second_SYN_cannot_move_the_beginning_of_the_stream(place):
    """Twelve bytes on, the server would begin to read in what looks like data here."""
    talk = Talk(place, to=502)
    first = talk.seq_a
    assert out(place, talk.from_a("S", ack=0, seq=first))
    assert out(place, talk.from_a("S", ack=0, seq=first + 12))
    assert not into(place, talk.from_b("SA", ack=first + 1))  # To the one that counts no more.
    assert into(place, talk.from_b("SA", ack=first + 13))
    talk.seq_b += 1
    assert out(place, talk.from_a("A", seq=first + 13))
    assert not out(place, talk.from_a("PA", request(3, size=18) + request(6), seq=first + 1))
    assert not out(place, talk.from_a("PA", request(6), seq=first + 13))
    assert out(place, talk.from_a("PA", request(3), seq=first + 13))


def test_a_SYN_on_a_living_connection_begins_the_reading_anew(place):
    """Otherwise a server that has forgotten the connection would take a request for what we think is
    the rest of one."""
    client = Client(place)
    assert client.send(request(3, size=18))  # 12 bytes are to come.
    assert out(place, client.from_a("S", seq=client.seq_a - 1, ack=0))
    assert not out(place, client.from_a("PA", request(6)))  # There is no connection.
    assert into(place, client.from_b("SA", ack=client.seq_a, seq=client.seq_b + 100))
    client.seq_b += 101
    assert out(place, client.from_a("A"))
    assert client.is_dropped("function", request(6))
    assert client.send(request(3))


@pytest.mark.parametrize("flags", ["RA", "RAU", "FA"])
def test_nothing_passes_before_the_server_has_said_where_the_stream_begins(place, flags):
    talk = Talk(place, to=502).establish()
    assert out(place, talk.from_a("S", seq=talk.seq_a + 115, ack=0))  # Another one, unanswered.
    out(place, talk.from_a(flags, seq=talk.seq_a + 116))  # It may be over...
    assert not out(place, talk.from_a("PA", request(6)))  # ...and what the server still has, too.
    assert not out(place, talk.from_a("PA", request(3), seq=talk.seq_a + 116))


def test_the_SYN_of_a_living_connection_that_comes_late_changes_nothing(place):
    client = Client(place)
    first = client.seq_a - 1
    assert client.send(request(3))
    assert client.is_dropped("request", b"", flags="S", seq=first, ack=0)
    assert client.send(request(3))


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


@pytest.mark.parametrize("version", [4, 6])
def test_a_request_cannot_hide_its_function_in_a_piece_of_its_segment(place, version):
    client = Client(place, version)
    whole = client.from_a("PA", request(6))
    # 4 bytes of the request go with TCP's header in the first piece, its function in the second.
    if version == 4:
        pieces = fragment(whole, fragsize=24)
    else:
        body = bytes(whole.payload)
        pieces = [IPv6(src=whole.src, dst=whole.dst) /
                  IPv6ExtHdrFragment(nh=6, id=77, offset=at // 8, m=at + 24 < len(body)) /
                  Raw(body[at:at + 24]) for at in (0, 24)]
    frames = [ether(place) / piece for piece in pieces]
    assert len(frames) == 2
    arrived = place.send("a", "b", *frames)
    assert not any(has(arrived, frame) for frame in frames)
    assert client.send(request(3))


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
