"""Writes verdict programs (src/wire/records.h) by hand, for tests of the agent alone.

program(...) takes plain lists and returns the bytes of a sealed file that
`suimitsu-agent run --program FILE` reads."""
import hashlib
import ipaddress
import struct

DENY, ALLOW, DEFAULT = 0, 1, 2
OUT, IN = 0, 1
LAYERS = {"lifeline": 0, "quarantine": 1, "glass": 2, "never": 3, "allow": 4, "default": 5}
MODES = {"none": 0, "learn": 1, "test": 2, "enforce": 3}
TRUST = {"white": 0, "grey": 1, "black": 2}
PROCESS, USER = 1, 2
TCP, UDP, ICMP = 6, 17, 1


def address(text):
    """(16 bytes, length in 128 bits) of an address or prefix."""
    net = ipaddress.ip_network(text, strict=True)
    if net.version == 4:
        return b"\0" * 10 + b"\xff\xff" + net.network_address.packed, net.prefixlen + 96
    return net.network_address.packed, net.prefixlen


def name(text, size):
    data = text.encode()
    assert len(data) < size
    return data.ljust(size, b"\0")


def entry(remote, service=0, word=ALLOW, layer="allow", direction=OUT, process=0, user=0,
          suspect=0, refine=0, rule=0):
    return struct.pack(">IHHHBBBBBI", remote, service, process, user, direction, suspect, word,
                       LAYERS[layer], refine, rule)


def remote(text, identity, mode="enforce", trust="white", self=False):
    data, length = address(text)
    return data + struct.pack(">BBBBI", length, MODES[mode], TRUST[trust], int(self), identity)


def service(protocol, low, high, number):
    return struct.pack(">BHHH", protocol, low, high, number)


def process(path, number):
    return struct.pack(">H", number) + name(path, 256)


def user(login, number):
    return struct.pack(">H", number) + name(login, 64)


def table(rows):
    return struct.pack(">I", len(rows)) + b"".join(rows)


def program(revision=1, endpoint="host", identity=1, mode="enforce", trust="white", entries=(),
            addresses=(), services=(), processes=(), users=(), rules=(), lifeline=()):
    body = b"SMPROG" + struct.pack(">HQ", 1, revision) + name(endpoint, 64)
    body += struct.pack(">IBB", identity, MODES[mode], TRUST[trust])
    body += table(entries) + table(addresses) + table(services) + table(processes) + table(users)
    body += table([name(r, 64) for r in rules])
    body += table([address(a)[0] + struct.pack(">HB", port, TCP) for a, port in lifeline])
    return b"SMSEAL1\n" + hashlib.sha256(body).digest() + body
