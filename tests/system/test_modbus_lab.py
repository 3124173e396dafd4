# SPDX-License-Identifier: Apache-2.0
"""The lab's Modbus programs: a controller of a press that answers by the book, whatever it is sent."""
import importlib.util
import json
import pathlib
import random
import socket
import struct
import subprocess
import sys

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "lab" / "modbus"
sys.path.insert(0, str(FOLDER))
import wire  # noqa: E402

SPEC = importlib.util.spec_from_file_location("plc", FOLDER / "plc.py")
plc = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(plc)


@pytest.fixture
def press(tmp_path):
    return plc.Press(tmp_path / "marker")


def ask(press, text):
    pdu = wire.request(text)
    return wire.answer(plc.answer(press, pdu), pdu)


def test_reads_and_writes_do_what_the_specification_says(press):
    assert ask(press, "3:0:3")["values"] == [30, 60, 1]
    assert ask(press, "6:1:77") == {"function": 6, "result": "ok"}
    assert ask(press, "16:3:1,2,3")["result"] == "ok"
    assert ask(press, "3:1:5")["values"] == [77, 1, 1, 2, 3]
    assert ask(press, "1:0:2")["values"] == [1, 0] and ask(press, "2:0:2")["values"] == [1, 0]
    assert ask(press, "5:1:1")["result"] == "ok" and ask(press, "15:0:0,1")["result"] == "ok"
    assert ask(press, "1:0:2")["values"] == [0, 1]
    assert plc.answer(press, b"\x08\0\0ab") == b"\x08\0\0ab"
    assert b"press-1" in plc.answer(press, b"\x2b\x0e\1\0")


@pytest.mark.parametrize("pdu, code", [
    (b"\x63", plc.ILLEGAL_FUNCTION), (b"\x07", plc.ILLEGAL_FUNCTION), (b"\x08\0\1\0\0", plc.ILLEGAL_FUNCTION),
    (b"\x2b\x0d", plc.ILLEGAL_FUNCTION),
    (b"\3\0\x0a\0\1", plc.ILLEGAL_ADDRESS), (b"\3\xff\xff\0\2", plc.ILLEGAL_ADDRESS), (b"\6\0\x0a\0\1", plc.ILLEGAL_ADDRESS),
    (b"\3\0\0\0\0", plc.ILLEGAL_VALUE), (b"\3\0\0\0\x7e", plc.ILLEGAL_VALUE), (b"\1\0\0\x07\xd1", plc.ILLEGAL_VALUE),
    (b"\5\0\0\0\1", plc.ILLEGAL_VALUE), (b"\3\0\0", plc.ILLEGAL_VALUE), (b"\x10\0\0\0\2\4\0\0", plc.ILLEGAL_VALUE),
    (b"\x10\0\0\0\1\4\0\0\0\0", plc.ILLEGAL_VALUE), (b"\x0f\0\0\0\x09\1\0", plc.ILLEGAL_VALUE)])
def test_what_it_cannot_do_is_an_exception_with_its_code(press, pdu, code):
    holding = list(press.holding)
    assert plc.answer(press, pdu) == bytes([pdu[0] | 0x80, code])
    assert press.holding == holding


def test_the_process_follows_what_is_wanted_and_the_marker(press):
    for _ in range(60):
        press.tick(0.1)
    assert press.input[:2] == [30, 60] and press.input[4] == plc.OWN_PROGRAM and press.discrete[1] == 0
    assert ask(press, "90:mine")["result"] == "ok"
    for _ in range(60):
        press.tick(0.1)
    assert press.input[1] > plc.MAX_FORCE and press.input[4] == plc.STRANGE_PROGRAM and press.discrete[1] == 1
    press.marker.unlink()
    for _ in range(80):
        press.tick(0.1)
    assert press.input[:2] == [30, 60] and press.input[4] == plc.OWN_PROGRAM


def test_a_frame_is_taken_whole_however_it_comes():
    data = wire.frame(7, 1, b"\3\0\0\0\1") + wire.frame(8, 2, b"\4\0\0\0\1")
    rest, found = b"", []
    for byte in data:
        rest += bytes([byte])
        one, rest = wire.take_frame(rest)
        found += [one] if one else []
    assert found == [(7, 1, b"\3\0\0\0\1"), (8, 2, b"\4\0\0\0\1")] and rest == b""
    for bad in (b"\0\1\0\1\0\6\1\3", b"\0\1\0\0\0\1\1\3", b"\0\1\0\0\1\0\1\3"):
        with pytest.raises(wire.Closed):
            wire.take_frame(bad)


def test_the_server_outlives_strange_bytes_and_answers_the_next(tmp_path):
    server = subprocess.Popen([sys.executable, FOLDER / "plc.py", "--port", "0", "--marker", tmp_path / "m"],
                              stdout=subprocess.PIPE, text=True)
    port = int(server.stdout.readline().split()[-1])
    chance = random.Random(20261122)
    try:
        for _ in range(200):
            with socket.create_connection(("127.0.0.1", port), 120) as s:
                pdu = bytes(chance.randrange(256) for _ in range(chance.randrange(1, 40))).replace(b"\x5a", b"\x5b")
                good = chance.random() < 0.5
                s.sendall(struct.pack(">HHHB", 1, 0, len(pdu) + 1, 1) + pdu if good else pdu)
        done = subprocess.run([sys.executable, FOLDER / "client.py", "--port", str(port), "127.0.0.1", "3:0:2", "7:"],
                              capture_output=True, text=True, timeout=120)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 1 and said[0]["result"] == "ok" and len(said[0]["values"]) == 2
        assert (said[1]["result"], said[1]["code"]) == ("exception", 1)
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.parametrize("words", [("127.0.0.1", "0:1:1"), ("127.0.0.1", "3:0"), ("127.0.0.1", "x"), ("127.0.0.1",)])
def test_a_request_that_cannot_be_read_is_refused_with_a_sentence(words):
    done = subprocess.run([sys.executable, FOLDER / "client.py", *words], capture_output=True, text=True, timeout=120)
    assert done.returncode == 2 and "error:" in done.stderr
