# SPDX-License-Identifier: Apache-2.0
"""What is so in every enterprise, of any size: sites, roles, services."""

DAY, HOUR = 86400, 3600

SITES = (  # Code, kind, hours east of Greenwich; the first four are always there.
    ("inz", "core", 9), ("tyo", "office", 9), ("osa", "shop", 9), ("ngo", "plant", 9),
    ("sin", "office", 8), ("fra", "office", 1), ("spk", "shop", 9), ("fuk", "shop", 9), ("sdj", "shop", 9),
    ("cts", "plant", 9), ("hij", "shop", 9), ("kiz", "office", 9), ("bkk", "plant", 7), ("oka", "shop", 9))
EACH_SITE = 700  # Endpoints to a site beyond the first four.

APPS = ("shop", "erp", "crm", "hr")
DEPARTMENTS = ("sales", "finance", "engineering", "people", "legal", "support")

# Role: share of all, at least, the kinds of site where it stands, zone, has an agent.
ROLES = {
    "dc": (.002, 1, ("core",), "core", True),
    "web": (.012, 4, ("core",), "core", True),
    "app": (.012, 4, ("core",), "core", True),
    "db": (.008, 4, ("core",), "core", True),
    "file": (.005, 1, ("core",), "core", True),
    "mail": (.001, 1, ("core",), "core", True),
    "proxy": (.001, 1, ("core",), "core", True),
    "backup": (.001, 1, ("core",), "core", True),
    "logs": (.0005, 1, ("core",), "core", True),
    "update": (.0005, 1, ("core",), "core", True),
    "monitor": (.0005, 1, ("core",), "care", True),
    "scanner": (.0003, 1, ("core",), "care", True),
    "jump": (.001, 1, ("core",), "care", True),
    "admin": (.006, 2, ("office",), "office", True),
    "printer": (.02, 2, ("office", "shop"), "device", False),
    "camera": (.03, 2, ("shop", "plant"), "device", False),
    "recorder": (.001, 1, ("shop",), "shop", True),
    "pos": (.15, 3, ("shop",), "shop", True),
    "plc": (.04, 2, ("plant",), "plant", False),
    "hmi": (.012, 1, ("plant",), "plant", True),
    "historian": (.001, 1, ("plant",), "plant", True),
    "engineering": (.002, 1, ("plant",), "plant", True),
    "pc": (0, 6, ("office", "shop"), "office", True),  # All the rest.
}
SMALLEST = sum(least for _, least, *_ in ROLES.values())
MOVING = ("pc", "pos", "camera")  # Roles that come, go, and are renamed.
CHURN = {"new": .004, "retired": .003, "renamed": .001, "moved": .006}  # Of the moving, each working day.
CHURN_AT = 1 * HOUR  # 01:00 UTC: ten in the morning at the head office.

SERVICES = {
    "dns": ("udp/53", "tcp/53"), "ntp": ("udp/123",), "login": ("tcp/88", "tcp/389", "tcp/636"), "files": ("tcp/445",),
    "https": ("tcp/443",), "surf": ("tcp/3128",), "post": ("tcp/465", "tcp/993"), "relay": ("tcp/25",),
    "inside": ("tcp/8080",), "postgres": ("tcp/5432",), "print": ("tcp/631", "tcp/9100"), "door": ("tcp/2222",),
    "admin": ("tcp/22", "tcp/3389", "tcp/5985"), "backup": ("tcp/9102",), "store": ("tcp/9103",),
    "poll": ("tcp/10050",), "log": ("tcp/6514",), "video": ("tcp/554",), "modbus": ("tcp/502",), "s7": ("tcp/102",),
    "ping": ("icmp/echo",),
    "scanned": ("tcp/80", "tcp/443", "tcp/445", "tcp/631", "tcp/3306", "tcp/5432", "tcp/8080", "tcp/8443"),
}
OF_PORT = {p: name for name in reversed(SERVICES) for p in SERVICES[name] if name != "scanned"}
PARTNER = ("198.51.100.0/24", "2001:db8:51::/48")
