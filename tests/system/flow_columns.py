"""Batches of flows as docs/protocol.md tells them, written in Python from that page alone."""
import time

MINUTE = 60000


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def zigzag(n):
    return n << 1 if n >= 0 else (-n << 1) - 1


def differences(values, before):
    out = []
    for v in values:
        out.append(zigzag(v - before))
        before = v
    return out


def mapped(text):
    """An IPv4 address as the sixteen bytes of the protocol."""
    return b"\0" * 10 + b"\xff\xff" + bytes(int(x) for x in text.split("."))


KIND = ("local", "protocol", "port", "flags", "process", "script", "user", "uid", "rule", "rule_name", "revision")
DEFAULTS = {"local": mapped("10.20.1.11"), "remote": mapped("10.20.1.12"), "protocol": 6, "port": 5432,
            "process": "", "script": "", "user": "", "uid": 0, "rule": 0, "rule_name": "", "revision": 0, "verdict": 1,
            "layer": 4, "enforced": True, "direction": 0, "count": 1, "bytes_out": 0, "bytes_in": 0}


def columns(flows):
    """The bytes for Flows.columns; a flow is a dict with the names of src/core/flow.h."""
    now = int(time.time() * 1000)
    flows = [{**DEFAULTS, "first_ms": f.get("last_ms", now), **f} for f in flows]
    flows = [{**f, "last_ms": f.get("last_ms", f["first_ms"])} for f in flows]
    texts = sorted({f[k] for f in flows for k in ("process", "script", "user", "rule_name")} - {""})
    number = {"": 0, **{t: i + 1 for i, t in enumerate(texts)}}
    addresses = {f[k] for f in flows for k in ("local", "remote")}
    v4 = sorted(a for a in addresses if a.startswith(b"\0" * 10 + b"\xff\xff"))
    v6 = sorted(addresses - set(v4))
    place = {a: i for i, a in enumerate(v4 + v6)}

    def kind_of(f):
        flags = f["direction"] | bool(f["enforced"]) << 1 | f["verdict"] << 2 | f["layer"] << 4
        return (place[f["local"]], f["protocol"], f["port"], flags, number[f["process"]],
                number[f["script"]], number[f["user"]], (f["uid"] + 1) % (1 << 32), f["rule"],
                number[f["rule_name"]], f["revision"])
    kinds = list(dict.fromkeys(kind_of(f) for f in flows))
    which = {k: i for i, k in enumerate(kinds)}
    base = flows[0]["first_ms"] if flows else 0

    def table(n, *rows):
        return varint(n) + b"".join(varint(v) for row in rows for v in row)
    return (b"\x01" + varint(len(texts)) + b"".join(
        varint(len(t.encode())) + t.encode() for t in texts) +
        varint(len(v4)) + b"".join(a[12:] for a in v4) + varint(len(v6)) + b"".join(v6) +
        table(len(kinds), *([k[i] for k in kinds] for i in range(10)),
              differences([k[10] for k in kinds], 0)) +
        table(len(flows), [base], differences([which[kind_of(f)] for f in flows], 0),
              [place[f["remote"]] for f in flows],
              differences([f["first_ms"] for f in flows], base),
              [f["last_ms"] - f["first_ms"] for f in flows], [f["count"] for f in flows],
              [f["bytes_out"] for f in flows], [f["bytes_in"] for f in flows]))
