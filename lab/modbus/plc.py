#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A pretend controller of a press: a Modbus/TCP server whose registers a process moves.

  holding 0  strokes a minute, wanted    3, 6, 16     input 0  strokes a minute       4
          1  force in kN, wanted                            1  force in kN
          2  run: 0 or 1                                    2  oil temperature, 0.1 C
          3-9  recipe                                       3  strokes so far (low 16 bits)
  coil    0  oil pump                    1, 5, 15           4  program: 1 is the plant's own
  discrete 0 guard closed                2            8    echo (sub-function 0)
          1  force above what the press bears         43   who it is

Its hole, which nobody will ever mend: function 90 loads another program, and asks for no password.  The
lab's mark of an intruder (--marker) is that program: while the file is there, the press follows it."""
import argparse
import os
import pathlib
import selectors
import socket
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import wire  # noqa: E402

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
LOAD_PROGRAM = 90
TICK_S = 0.1
MAX_CLIENTS = 64
MAX_FORCE = 100
OWN_PROGRAM, STRANGE_PROGRAM = 1, 666
NAME = [b"Suimitsu lab", b"press-1", b"1.0"]


class Refused(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


class Press:
    """The process: actual values follow the wanted ones."""

    def __init__(self, marker):
        self.marker = pathlib.Path(marker)
        self.coils, self.discrete = [1, 0], [1, 0]
        self.holding = [30, 60, 1] + [0] * 7
        self.input = [0, 0, 350, 0, OWN_PROGRAM]
        self.progress = 0.0

    def tick(self, seconds):
        strange = self.marker.exists()
        speed, force = (9999, 3 * MAX_FORCE) if strange else self.holding[:2]
        running = self.holding[2] or strange
        for n, wanted in enumerate((speed, force)):
            gap = (wanted if running else 0) - self.input[n]
            self.input[n] += gap // 4 if abs(gap) > 3 else gap
        self.input[2] = min(1500, 350 + self.input[0] // 2 + self.input[1] // 4)
        self.progress += self.input[0] * seconds / 60
        self.input[3] = int(self.progress) & 0xFFFF
        self.input[4] = STRANGE_PROGRAM if strange else OWN_PROGRAM
        self.discrete[1] = int(self.input[1] > MAX_FORCE)

    def load_program(self, data):
        self.marker.write_bytes(data[:64] + b"\n")


def part(table, address, count, most):
    if not 1 <= count <= most:
        raise Refused(ILLEGAL_VALUE)
    if address + count > len(table):
        raise Refused(ILLEGAL_ADDRESS)
    return table[address:address + count]


def write_many(press, function, pdu):
    if len(pdu) < 6:
        raise Refused(ILLEGAL_VALUE)
    address, count, size = struct.unpack(">HHB", pdu[1:6])
    data = pdu[6:]
    bits = function == wire.WRITE_COILS
    if size != len(data) or size != ((count + 7) // 8 if bits else 2 * count):
        raise Refused(ILLEGAL_VALUE)
    table = press.coils if bits else press.holding
    part(table, address, count, 1968 if bits else 123)
    table[address:address + count] = wire.unpack_bits(data, count) if bits else struct.unpack(f">{count}H", data)
    return pdu[:5]


def write_one(press, function, pdu):
    address, value = struct.unpack(">HH", pdu[1:5])
    if function == wire.WRITE_COIL:
        if value not in (0, wire.COIL_ON):
            raise Refused(ILLEGAL_VALUE)
        part(press.coils, address, 1, 1)
        press.coils[address] = int(value == wire.COIL_ON)
    else:
        part(press.holding, address, 1, 1)
        press.holding[address] = value
    return pdu


def judge(press, pdu):
    """The answer's PDU."""
    function = pdu[0]
    if function == LOAD_PROGRAM:
        press.load_program(pdu[1:])
        return bytes([function, 0])
    if function == 43:
        if pdu[1:2] != b"\x0e":
            raise Refused(ILLEGAL_FUNCTION)
        names = b"".join(bytes([n, len(text)]) + text for n, text in enumerate(NAME))
        return b"\x2b\x0e\x01\x01\0\0" + bytes([len(NAME)]) + names
    if function in (wire.WRITE_COILS, wire.WRITE_REGISTERS):
        return write_many(press, function, pdu)
    if function not in (1, 2, 3, 4, 5, 6, 8):
        raise Refused(ILLEGAL_FUNCTION)
    if len(pdu) < 5 or (function != 8 and len(pdu) != 5):
        raise Refused(ILLEGAL_VALUE)
    if function == 8:
        if pdu[1:3] != b"\0\0":
            raise Refused(ILLEGAL_FUNCTION)
        return pdu
    if function in (wire.WRITE_COIL, wire.WRITE_REGISTER):
        return write_one(press, function, pdu)
    address, count = struct.unpack(">HH", pdu[1:5])
    table = {1: press.coils, 2: press.discrete, 3: press.holding, 4: press.input}[function]
    if function in wire.READ_BITS:
        data = wire.pack_bits(part(table, address, count, 2000))
    else:
        data = struct.pack(f">{count}H", *(v & 0xFFFF for v in part(table, address, count, 125)))
    return bytes([function, len(data)]) + data


def answer(press, pdu):
    try:
        return judge(press, pdu)
    except Refused as e:
        return bytes([pdu[0] | wire.EXCEPTION, e.code])


class Server:
    def __init__(self, press, port):
        self.press, self.rest = press, {}
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ)

    def accept(self):
        client, _ = self.listener.accept()
        if len(self.rest) >= MAX_CLIENTS:
            client.close()
            return
        client.settimeout(1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest[client] = b""
        self.selector.register(client, selectors.EVENT_READ)

    def drop(self, client):
        self.selector.unregister(client)
        del self.rest[client]
        client.close()

    def read(self, client):
        try:
            data = client.recv(4096)
            if not data:
                raise wire.Closed("")
            self.rest[client] += data
            while True:
                found, self.rest[client] = wire.take_frame(self.rest[client])
                if not found:
                    return
                transaction, unit, pdu = found
                client.sendall(wire.frame(transaction, unit, answer(self.press, pdu)))
        except (OSError, wire.Closed):
            self.drop(client)

    def run(self):
        last = time.monotonic()
        while True:
            for key, _ in self.selector.select(max(0, last + TICK_S - time.monotonic())):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.read(key.fileobj)
            now = time.monotonic()
            if now - last >= TICK_S:
                self.press.tick(now - last)
                last = now


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=wire.PORT, help="0: any; it is printed")
    parser.add_argument("--marker", default="/tmp/suimitsu-drill", help="where function 90 puts its program")
    options = parser.parse_args()
    server = Server(Press(options.marker), options.port)
    print(f"listening on {server.listener.getsockname()[1]}", flush=True)
    server.run()


if __name__ == "__main__":
    main()
