"""Access lists as switches read them: an evaluator of the text, written from the vendors' syntax.

Nothing of it comes from the exporter.  What it does not know it refuses, as a switch would, so that
a word in the wrong place is an error here and not a silent "any".
"""
import dataclasses
import ipaddress
import re

PROTOCOLS = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58, "ip": None, "ipv6": None}
REMARK = re.compile(r"[A-Za-z0-9 .,:;()/+\-=_@#%&*]{0,100}")  # No ! ? ^ $ | quotes or control bytes.
NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,62}")


class SyntaxMistake(Exception):
    pass


@dataclasses.dataclass
class Packet:
    protocol: int
    src: str
    dst: str
    sport: int = 0
    dport: int = 0
    established: bool = False  # TCP: ACK or RST is set.
    type: int = 0  # ICMP

    def __post_init__(self):
        self.src, self.dst = (ipaddress.ip_address(a) for a in (self.src, self.dst))


@dataclasses.dataclass
class Entry:
    permit: bool
    protocol: object
    src: object
    sport: tuple
    dst: object
    dport: tuple
    type: object = None
    established: bool = False
    log: bool = False
    text: str = ""

    def matches(self, p):
        if self.protocol is not None and self.protocol != p.protocol:
            return False
        if p.src not in self.src or p.dst not in self.dst:
            return False
        if not self.sport[0] <= p.sport <= self.sport[1]:
            return False
        if not self.dport[0] <= p.dport <= self.dport[1]:
            return False
        return (self.type is None or self.type == p.type) and \
            (not self.established or p.established)

    def covers(self, other):
        """True when whatever the other matches, this matches too."""
        return ((self.protocol is None or self.protocol == other.protocol)
                and other.src.subnet_of(self.src) and other.dst.subnet_of(self.dst)
                and self.sport[0] <= other.sport[0] and other.sport[1] <= self.sport[1]
                and self.dport[0] <= other.dport[0] and other.dport[1] <= self.dport[1]
                and (self.type is None or self.type == other.type)
                and (not self.established or other.established))


class Words:
    def __init__(self, line, number, dialect, v6):
        self.words, self.line, self.number = line.split(), line, number
        self.dialect, self.v6 = dialect, v6

    def wrong(self, why):
        raise SyntaxMistake(f"line {self.number}: {why}: {self.line!r}")

    def next(self):
        if not self.words:
            self.wrong("ends too early")
        return self.words.pop(0)

    def peek(self):
        return self.words[0] if self.words else ""

    def number_below(self, limit):
        word = self.next()
        if not word.isdigit() or int(word) >= limit:
            self.wrong(f"{word} is no number below {limit}")
        return int(word)

    def end(self):
        kind = ipaddress.IPv6Network if self.v6 else ipaddress.IPv4Network
        word = self.next()
        if word == "any":
            return kind("::/0" if self.v6 else "0.0.0.0/0")
        if word == "host":
            return kind(self.next())
        if "/" in word:
            if not self.v6 and self.dialect == "ios":
                self.wrong("IOS takes no IPv4 prefix here")
            return kind(word)
        if self.v6:
            self.wrong("an IPv6 end without a length")
        wildcard = int(ipaddress.IPv4Address(self.next()))
        if wildcard & (wildcard + 1):
            self.wrong("a wildcard mask with holes")
        return kind((word, 32 - wildcard.bit_length()))

    def ports(self, protocol):
        if protocol not in (6, 17) or self.peek() not in ("eq", "range"):
            return (0, 65535)
        if self.next() == "eq":
            port = self.number_below(65536)
            return (port, port)
        low, high = self.number_below(65536), self.number_below(65536)
        if low > high:
            self.wrong("a range the wrong way round")
        return (low, high)


def parse_entry(line, number, dialect, v6):
    w = Words(line, number, dialect, v6)
    action = w.next()
    if action not in ("permit", "deny"):
        w.wrong("neither permit, deny nor remark")
    word = w.next()
    if word not in PROTOCOLS or (word == "ip") == v6 and word in ("ip", "ipv6") or \
            (word == "icmpv6" and not (v6 and dialect == "eos")) or \
            (word == "icmp" and v6 and dialect == "eos"):
        w.wrong(f"the protocol {word}")
    protocol = 58 if v6 and word == "icmp" else PROTOCOLS[word]
    src = w.end()
    sport = w.ports(protocol)
    dst = w.end()
    dport = w.ports(protocol)
    entry = Entry(action == "permit", protocol, src, sport, dst, dport, text=line.strip())
    if protocol in (1, 58) and w.peek().isdigit():
        entry.type = w.number_below(256)
    if protocol == 6 and w.peek() == "established":
        w.next()
        entry.established = True
    if w.peek() == "log":
        w.next()
        entry.log = True
    if w.words:
        w.wrong("words too many")
    return entry


class Switch:
    """The configuration of one port."""

    HEADS = {"ios": {"ip access-list extended": False, "ipv6 access-list": True},
             "eos": {"ip access-list": False, "ipv6 access-list": True}}
    USES = {"ios": {"ip access-group": False, "ipv6 traffic-filter": True},
            "eos": {"ip access-group": False, "ipv6 access-group": True}}

    def __init__(self, text, dialect):
        self.dialect, self.lists, self.remarks, self.used = dialect, {}, {}, {}
        self.interface = None
        mode = None
        for number, line in enumerate(text.split("\n"), 1):
            if not line or line.startswith("!"):
                mode = None if line.startswith("!") else mode
                continue
            if re.search(r"[^\x20-\x7e]", line):
                raise SyntaxMistake(f"line {number}: a byte that shows nothing")
            mode = self._line(line, number, mode)
        for (v6, _), name in self.used.items():
            if name not in self.lists or self.lists[name][0] != v6:
                raise SyntaxMistake(f"no list {name}")

    def _line(self, line, number, mode):
        if not line.startswith(" "):
            for head, v6 in self.HEADS[self.dialect].items():
                if re.fullmatch(re.escape(head) + r" [^ ]+", line):
                    name = line.split()[-1]
                    if not NAME.fullmatch(name) or name in self.lists:
                        raise SyntaxMistake(f"line {number}: the name {name}")
                    self.lists[name] = (v6, [])
                    self.remarks[name] = []
                    return name
            if re.fullmatch(r"interface [^ ]+", line) and self.interface is None:
                self.interface = line.split()[1]
                return "interface"
            raise SyntaxMistake(f"line {number}: {line!r}")
        if mode == "interface":
            for head, v6 in self.USES[self.dialect].items():
                found = re.fullmatch(" " + re.escape(head) + r" ([^ ]+) (in|out)", line)
                if found and (v6, found[2]) not in self.used:
                    self.used[v6, found[2]] = found[1]
                    return mode
            raise SyntaxMistake(f"line {number}: {line!r}")
        if mode is None:
            raise SyntaxMistake(f"line {number}: an entry outside of a list")
        v6, entries = self.lists[mode]
        if line.startswith(" remark "):
            if not REMARK.fullmatch(line[8:]):
                raise SyntaxMistake(f"line {number}: a remark that is not safe: {line!r}")
            self.remarks[mode].append(line[8:])
        else:
            entries.append(parse_entry(line[1:], number, self.dialect, v6))
        return mode

    def entries(self, way, v6):
        return self.lists[self.used[v6, way]][1]

    def judge(self, way, packet):
        """The entry that decides; None: the end of the list, which denies."""
        for entry in self.entries(way, packet.src.version == 6):
            if entry.matches(packet):
                return entry
        return None

    def passes(self, way, packet):
        entry = self.judge(way, packet)
        return entry is not None and entry.permit

    def __len__(self):
        return sum(len(entries) for _, entries in self.lists.values())
