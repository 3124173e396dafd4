"""Datagrams of exporters, made by hand: NetFlow v5 and v9, IPFIX, sFlow v5.

As a program it writes the seeds of tests/fuzz/corpus/fuzz_collect: exporting.py FOLDER"""
import ipaddress
import pathlib
import struct
import sys
import time

TCP, UDP, ICMP = 6, 17, 1
SYN, ACK, ALL = 2, 16, 0x1B
# Elements of IANA's registry and their sizes, in the order of our records.
FIELDS = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1), (6, 1), (1, 4), (2, 4)]
TIMES = {9: [(22, 4), (21, 4)], 10: [(152, 8), (153, 8)]}
UPTIME_MS = 1_000_000
AHEAD_S = 3  # Of the clock here, so that what was applied just now was in force when the flows were.


def packed(address):
    return ipaddress.ip_address(address).packed


def pieces(records, form):
    """The part of a record that v9 and IPFIX have in common; a record is a dict."""
    out = []
    for r in records:
        body = packed(r["from"]) + packed(r["to"]) + struct.pack(
            ">HHBBII", r.get("sport", 0), r.get("dport", 0), r.get("protocol", TCP), r.get("flags", 0),
            r.get("bytes", 0), r.get("packets", 1))
        out.append(body + form(r))
    return b"".join(out)


def v5(records, sequence=0, now=None, sampling=0):
    now = now or time.time() + AHEAD_S
    head = struct.pack(">HHIIIIHH", 5, len(records), UPTIME_MS, int(now), int(now % 1 * 1e9), sequence, 0, sampling)
    return head + b"".join(
        packed(r["from"]) + packed(r["to"]) + bytes(8) + struct.pack(
            ">IIIIHHBBBBQ", r.get("packets", 1), r.get("bytes", 0), UPTIME_MS - r.get("ago", 1000),
            UPTIME_MS - r.get("end", 500), r.get("sport", 0), r.get("dport", 0), 0, r.get("flags", 0),
            r.get("protocol", TCP), 0, 0)
        for r in records)


def a_set(number, body):
    body += bytes(-len(body) % 4)
    return struct.pack(">HH", number, 4 + len(body)) + body


def template(version, number=256, fields=None):
    fields = fields or FIELDS + TIMES[version]
    body = struct.pack(">HH", number, len(fields)) + b"".join(struct.pack(">HH", *f) for f in fields)
    return a_set(0 if version == 9 else 2, body)


def data(version, records, number=256, now=None):
    now = now or time.time() + AHEAD_S

    def times(r):
        if version == 9:
            return struct.pack(">II", UPTIME_MS - r.get("ago", 1000), UPTIME_MS - r.get("end", 500))
        return struct.pack(">QQ", int(now * 1000) - r.get("ago", 1000), int(now * 1000) - r.get("end", 500))
    return a_set(number, pieces(records, times))


def v9(*sets, sequence=0, source=1, now=None, uptime=UPTIME_MS):
    return struct.pack(">HHIIII", 9, len(sets), uptime, int(now or time.time() + AHEAD_S), sequence, source) + b"".join(sets)


def ipfix(*sets, sequence=0, domain=1, now=None):
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), int(now or time.time() + AHEAD_S), sequence, domain) + body


def frame(r):
    """Ethernet, IPv4 or IPv6, TCP or UDP: the first bytes of a packet."""
    ports = struct.pack(">HH", r.get("sport", 0), r.get("dport", 0))
    if r.get("protocol", TCP) == TCP:
        ports += bytes(8) + bytes([0x50, r.get("flags", ACK)]) + bytes(6)
    else:
        ports += bytes(4)
    source, to = packed(r["from"]), packed(r["to"])
    if len(source) == 4:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(ports), 1, 0, 64, r.get("protocol", TCP), 0)
        kind = 0x0800
    else:
        head = struct.pack(">IHBB", 0x60000000, len(ports), r.get("protocol", TCP), 64)
        kind = 0x86DD
    return bytes(12) + struct.pack(">H", kind) + head + source + to + ports


def sflow(records, sequence=0, rate=1):
    samples = b""
    for r in records:
        header = frame(r)
        header_record = struct.pack(">IIII", 1, r.get("bytes", 64), 4, len(header)) + header + bytes(-len(header) % 4)
        body = struct.pack(">IIIIIIII", 1, 3, rate, 0, 0, 3, 0x40000001 if r.get("denied") else 4, 1)
        body += struct.pack(">II", 1, len(header_record)) + header_record
        samples += struct.pack(">II", 1, len(body)) + body
    return struct.pack(">II4sIIII", 5, 1, packed("10.0.0.254"), 0, sequence, 1000, len(records)) + samples


def seeds():
    a = {"from": "10.0.0.1", "to": "10.0.0.2", "sport": 40000, "dport": 443, "flags": ALL, "bytes": 900, "packets": 9}
    b = {"from": "10.0.0.2", "to": "10.0.0.1", "sport": 443, "dport": 40000, "flags": ALL, "bytes": 90, "packets": 7}
    six = {"from": "2001:db8::1", "to": "2001:db8::2", "sport": 5353, "dport": 53, "protocol": UDP}
    now = 1795300000
    options = a_set(3, struct.pack(">HHHHHHHHH", 400, 3, 1, 149, 4, 305, 4, 306, 4)) + a_set(
        400, struct.pack(">III", 1, 1, 63))
    v9_options = a_set(1, struct.pack(">HHHHHHHHH", 401, 4, 8, 1, 4, 34, 4, 35, 1)) + a_set(
        401, struct.pack(">IIB", 1, 100, 1))
    varied = a_set(2, struct.pack(">HHHHHHIHHHHHHHHI", 300, 6, 8, 4, 0x8008, 4, 9, 371, 65535, 12, 4, 11, 2,
                                  0x8001, 8, 29305)) + a_set(
        300, packed("10.0.0.1") + bytes(4) + b"\x03bob" + packed("10.0.0.2") + struct.pack(">HQ", 80, 5))
    withdrawn = a_set(2, struct.pack(">HH", 256, 0))
    return {
        "v5": [v5([a, b], now=now), v5([a], sequence=9, now=now, sampling=0x4064)],
        "v9": [v9(template(9), data(9, [a, b], now=now), now=now), v9(data(9, [b], now=now), sequence=1, now=now)],
        "v9-options": [v9(v9_options, template(9), data(9, [a], now=now), now=now)],
        "v9-restart": [v9(template(9), now=now), v9(data(9, [a], now=now), now=now, uptime=1000)],
        "ipfix": [ipfix(template(10), data(10, [a, b], now=now), now=now)],
        "ipfix-options": [ipfix(options, template(10), data(10, [a], now=now), now=now)],
        "ipfix-varied": [ipfix(varied, now=now)],
        "ipfix-withdrawn": [ipfix(template(10), now=now), ipfix(withdrawn, data(10, [a], now=now), now=now)],
        "sflow": [sflow([a, six, dict(b, denied=True)], rate=100)],
    }


if __name__ == "__main__":
    for name, datagrams in seeds().items():
        (pathlib.Path(sys.argv[1]) / name).write_bytes(
            b"".join(struct.pack(">H", len(d)) + d for d in datagrams))
