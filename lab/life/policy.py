# SPDX-License-Identifier: Apache-2.0
"""The enterprise's policy of names: who may talk to whom, why, and who answers for it."""
import textwrap

from life.facts import APPS, PARTNER, ROLES, SERVICES

ZONES = ("core", "care", "office", "shop", "plant", "device")

# Programs that rules and flows name.
TILL, BROWSER, MAILER = "/opt/till/bin/till", "/usr/lib/firefox/firefox", "/usr/lib/thunderbird/thunderbird"
DIRECTOR, FILED = "/usr/sbin/bareos-dir", "/usr/sbin/bareos-fd"
POLLER, SCANNER, SSH = "/usr/sbin/zabbix_server", "/opt/scan/bin/scanner", "/usr/bin/ssh"
HMI, HISTORIAN, STUDIO, RECORDER = "/opt/scada/hmi", "/opt/historian/bin/poll", "/opt/studio/studio", "/opt/video/recorder"
SQUID, POSTFIX, MIRROR = "/usr/sbin/squid", "/usr/lib/postfix/sbin/smtp", "/usr/bin/apt-mirror"


def front(app):
    return f"/opt/{app}/bin/front"


def server(app):
    return f"/opt/{app}/bin/server"


def rules():
    """(id, from, program, user, to, service, why, owner)"""
    all_ = "everyone"
    found = [
        ("names", all_, None, None, "dc", "dns", "everybody asks for names", "core-team"),
        ("time", all_, None, None, "dc", "ntp", "clocks agree", "core-team"),
        ("login", ["office", "core", "pos"], None, None, "dc", "login", "people and services log in", "core-team"),
        ("names-outside", "dc", None, None, "internet", "dns", "the name servers ask the world", "core-team"),
        ("homes", "office", None, None, "file", "files", "home and department folders", "it-desk"),
        ("prints", "office", None, None, "printer", "print", "people print", "it-desk"),
        ("mail", "office", MAILER, None, "mail", "post", "people read and write mail", "it-desk"),
        ("mail-out", "mail", POSTFIX, None, "internet", "relay", "mail leaves the house", "it-desk"),
        ("surf", "office", BROWSER, None, "proxy", "surf", "people use the web through the proxy", "it-desk"),
        ("surf-out", "proxy", SQUID, None, "internet", "https", "the proxy fetches pages", "it-desk"),
        ("updates", all_, None, None, "update", "https", "machines fetch updates", "it-desk"),
        ("updates-in", "update", MIRROR, None, "internet", "https", "the mirror fetches what it offers", "it-desk"),
        ("logs", ["core", "care", "office", "shop", "plant"], None, None, "logs", "log", "events are kept in one place", "soc"),
        ("backup", "backup", DIRECTOR, None, "core", "backup", "servers are saved each night", "core-team"),
        ("backup-store", "core", FILED, None, "backup", "store", "what is saved goes to the store", "core-team"),
        ("polls", "monitor", POLLER, None, all_, ["poll", "ping"], "somebody notices what is down", "core-team"),
        ("weekly-scan", "scanner", SCANNER, None, all_, "scanned", "holes are found before others find them", "soc"),
        ("jump-door", "admin", SSH, "@ops", "jump", "door", "server care begins at the jump host", "core-team"),
        ("server-care", "jump", SSH, "@ops", ["core", "plant"], "admin", "server care", "core-team"),
        ("video", "recorder", RECORDER, None, "camera", "video", "shops are filmed", "security"),
        ("press-hmi", "hmi", HMI, None, "plc", "modbus", "panels run the presses", "plant"),
        ("press-history", "historian", HISTORIAN, None, "plc", "modbus", "the historian records the presses", "plant"),
        ("press-care", "engineering", STUDIO, None, "plc", ["s7", "modbus"], "engineers change programs", "plant"),
        ("press-reports", "historian", HISTORIAN, None, "db-erp", "postgres", "output goes into the books", "plant"),
        ("press-views", "office", BROWSER, None, "historian", "https", "engineers look at trends", "plant"),
        ("tills", "pos", TILL, None, "web-shop", "https", "tills book sales", "shop-team"),
        ("customers", "internet", None, None, "web-shop", "https", "customers buy", "shop-team"),
        ("bank", "app-erp", server("erp"), None, "partner", "https", "the bank takes payments", "finance"),
        ("month-end", "app-erp", server("erp"), None, "file", "files", "the books are written out", "finance"),
    ]
    for app in APPS:
        found += [
            (f"{app}-office", "office", BROWSER, None, f"web-{app}", "https", f"people work with {app}", f"{app}-team"),
            (f"{app}-front", f"web-{app}", front(app), None, f"app-{app}", "inside", f"pages ask {app}", f"{app}-team"),
            (f"{app}-data", f"app-{app}", server(app), None, f"db-{app}", "postgres", f"{app} keeps its data",
             f"{app}-team")]
    return found


def as_list(x):
    return f"[{', '.join(x)}]" if isinstance(x, (list, tuple)) else x


def policy(world, conditions=True):
    groups = {"everyone": f"{{match: {{zone: {as_list(ZONES)}}}}}", "internet": "{outside: true}",
              "partner": "{outside: [" + ", ".join(f'"{p}"' for p in PARTNER) + "]}"}
    groups |= {z: f"{{match: {{zone: {z}}}}}" for z in ZONES}
    groups |= {r: f"{{match: {{role: {r}}}}}" for r in ROLES}
    groups |= {f"{r}-{a}": f"{{match: {{role: {r}, app: {a}}}}}" for a in APPS for r in ("web", "app", "db")}
    text = "# Written by lab/life; docs/life.md tells of it.\nsuimitsu: 1\ngroups:\n"
    text += "".join(f"  {n}: {m}\n" for n, m in groups.items())
    text += "services:\n" + "".join(f"  {n}: [{', '.join(p)}]\n" for n, p in SERVICES.items())
    excepted = '{from: jump, user: "@ops"}' if conditions else "{from: jump}"
    text += textwrap.dedent(f"""\
        quarantine:
          - {{id: only-updates, to: update, service: https, why: suspects fetch the cleaner, owner: soc}}
        never:
          - {{id: no-admin-ports, service: admin, except: {excepted}, why: ransomware walks on SSH and RDP, owner: soc}}
          - {{id: tills-stay-in, from: pos, to: internet, why: tills have no business outside, owner: soc}}
          - {{id: devices-stay-in, from: [device, plc], to: internet, why: nobody updates them, owner: soc}}
        allow:
        """)
    for id_, from_, program, user, to, service, why, owner in rules():
        text += f"  - {{id: {id_}, from: {as_list(from_)}, "
        if conditions and program:
            text += f"process: {program}, "
        if conditions and user:
            text += f'user: "{user}", '
        text += f"to: {as_list(to)}, service: {as_list(service)}, why: {why}, owner: {owner}}}\n"
    text += f"mode:\n  default: {world.mode}\n"
    return text + (checks(world) if conditions else "")


def checks(world):
    """Tests, and where everything is enforced proofs: what is only reported keeps nobody out."""
    def one(role, i=0):
        return next(e.name for k, e in enumerate(x for x in world.by_role[role] if x.died is None) if k == i)

    web, app, db = (next(e.name for e in world.by_role[r] if e.labels["app"] == "erp") for r in ("web", "app", "db"))
    refused = "deny" if world.mode == "enforce" else "would-deny"
    ops = world.ops()[0]
    return textwrap.dedent(f"""\
        tests:
          - {{from: {app}, process: {server('erp')}, to: {db}, service: postgres, expect: allow, by: erp-data}}
          - {{from: {app}, process: /usr/bin/psql, to: {db}, service: postgres, expect: {refused}, by: default}}
          - {{from: {one('pc')}, process: {BROWSER}, to: {web}, service: https, expect: allow, by: erp-office}}
          - {{from: {one('pc')}, to: {one('pc', 1)}, service: files, expect: {refused}, by: default}}
          - {{from: {one('pc')}, to: {one('plc')}, service: modbus, expect: {refused}, by: default}}
          - {{from: {one('printer')}, to: {one('file')}, service: tcp/22, expect: deny, by: no-admin-ports}}
          - {{from: {one('jump')}, process: {SSH}, user: {ops}, to: {db}, service: tcp/22, expect: allow, by: server-care}}
          - {{from: {one('jump')}, process: {SSH}, user: nobody, to: {db}, service: tcp/22, expect: deny, by: no-admin-ports}}
          - {{from: {one('pos')}, to: 203.0.113.9, service: https, expect: deny, by: tills-stay-in}}
        """) + ("" if world.mode != "enforce" else textwrap.dedent("""\
        prove:
          - {no-path: {from: internet, to: plc}}
          - {no-path: {from: pos, to: plc}}
          - {no-path: {from: office, to: office, service: admin}}
        """))
