# SPDX-License-Identifier: Apache-2.0
"""Modbus/TCP as bytes: requests and answers (Modbus Application Protocol 1.1b3; Modbus on TCP/IP 1.0b).

A request is written FUNCTION:ADDRESS:VALUE, as the lab's clients and the drill take it:

    3:0:4          read 4 holding registers from 0      (1, 2, 3, 4: COUNT)
    6:0:120        write 120 to register 0              (5: 0 or 1)
    16:0:120,80    write two registers from 0           (15: bits)
    90:TEXT        any other function, with TEXT as its data"""
import socket
import struct

PORT = 502
MAX_ADU = 260
READ_BITS, READ_REGISTERS = (1, 2), (3, 4)
WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS = 5, 6, 15, 16
COIL_ON = 0xFF00
EXCEPTION = 0x80


class Closed(Exception):
    """The other end went away, or says what is no Modbus."""


def frame(transaction, unit, pdu):
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


def take_frame(data):
    """((transaction, unit, PDU), rest) of what was received; (None, data) while some of it is to come."""
    if len(data) < 7:
        return None, data
    transaction, protocol, size, unit = struct.unpack(">HHHB", data[:7])
    if protocol or not 2 <= size <= MAX_ADU - 6:
        raise Closed("no Modbus")
    if len(data) < 6 + size:
        return None, data
    return (transaction, unit, data[7:6 + size]), data[6 + size:]


def pack_bits(bits):
    return bytes(sum(int(bool(b)) << n for n, b in enumerate(bits[i:i + 8])) for i in range(0, len(bits), 8))


def unpack_bits(data, count):
    return [data[n // 8] >> n % 8 & 1 for n in range(count)]


def request(text):
    """The PDU of FUNCTION:ADDRESS:VALUE; ValueError says what is wrong with it."""
    function, _, rest = text.partition(":")
    number = int(function)
    if not 0 < number < EXCEPTION:
        raise ValueError(f"{text}: a function is a number from 1 to 127")
    known = (*READ_BITS, *READ_REGISTERS, WRITE_COIL, WRITE_REGISTER, WRITE_COILS, WRITE_REGISTERS)
    if number not in known:
        return bytes([number]) + rest.encode()[:200]
    address, _, value = rest.partition(":")
    if not value:
        raise ValueError(f"{text}: expected FUNCTION:ADDRESS:VALUE")
    values = [int(v) for v in value.split(",")]
    if number == WRITE_COIL:
        values = [COIL_ON if values[0] else 0]
    if number == WRITE_COILS:
        data = pack_bits(values)
        return struct.pack(">BHHB", number, int(address), len(values), len(data)) + data
    if number == WRITE_REGISTERS:
        data = struct.pack(f">{len(values)}H", *values)
        return struct.pack(">BHHB", number, int(address), len(values), len(data)) + data
    return struct.pack(">BHH", number, int(address), values[0])


def answer(pdu, asked):
    """An answer's PDU as a value, for people and tests."""
    if not pdu:
        raise Closed("an empty answer")
    if pdu[0] & EXCEPTION:
        return {"function": pdu[0] & 0x7F, "result": "exception", "code": pdu[1] if len(pdu) > 1 else 0}
    said = {"function": pdu[0], "result": "ok"}
    if pdu[0] in READ_REGISTERS:
        said["values"] = list(struct.unpack(f">{(len(pdu) - 2) // 2}H", pdu[2:]))
    elif pdu[0] in READ_BITS:
        said["values"] = unpack_bits(pdu[2:], struct.unpack(">H", asked[3:5])[0])
    return said


class Client:
    """One connection to a server; requests one after another."""

    def __init__(self, host, port=PORT, limit_s=1.0):
        self.limit_s, self.transaction, self.rest = limit_s, 0, b""
        self.socket = socket.create_connection((host, port), limit_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        """By a reset: the kernel does not go on sending what was not answered."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def ask(self, pdu, unit=1):
        """The answer as a value; OSError and Closed mean that this connection is over."""
        self.transaction = self.transaction % 0xFFFF + 1
        self.socket.settimeout(self.limit_s)
        self.socket.sendall(frame(self.transaction, unit, pdu))
        while True:
            found, self.rest = take_frame(self.rest)
            if found and found[0] == self.transaction:
                return answer(found[2], pdu)
            if not found:
                data = self.socket.recv(4096)
                if not data:
                    raise Closed("closed by the other end")
                self.rest += data
