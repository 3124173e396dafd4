"""Logging in, roles and scopes, the web console's files: the API as browsers and people meet it."""
import contextlib
import gzip
import http.client
import json
import os
import pty
import select
import socket
import ssl
import subprocess
import time

import pytest
from test_controller import CLI, INVENTORY, PATIENCE_S, POLICY, POLICY_2, Controller, controller, tmp_path, until  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")

PASSWORD = "correct horse battery"
SITES = INVENTORY.replace("{tier: web}", "{tier: web, site: tokyo}").replace(
    "{tier: db}", "{tier: db, site: osaka}")


class Browser:
    """One connection over HTTPS that keeps a cookie, and says where its requests come from."""

    def __init__(self, c, origin=True):
        self.context = ssl.create_default_context(cadata=(c.state / "ca.crt").read_text())
        self.c, self.cookie, self.headers = c, None, {}
        self.host = f"127.0.0.1:{c.api_port}"
        self.origin = f"https://{self.host}" if origin is True else origin

    def ask(self, method, path, body=None, **headers):
        send = {k.replace("_", "-"): v for k, v in headers.items()}
        if self.cookie:
            send["Cookie"] = f"a=b; __Host-suimitsu={self.cookie}; c=d"
        if self.origin and method != "GET":
            send.setdefault("Origin", self.origin)
        with contextlib.closing(http.client.HTTPSConnection(self.host, context=self.context,
                                                            timeout=PATIENCE_S)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None, send)
            r = connection.getresponse()
            self.headers, text = r.headers, r.read()
        is_json = "json" in (self.headers.get("Content-Type") or "")
        return r.status, json.loads(text) if is_json else text

    def api(self, method, path, body=None, **headers):
        return self.ask(method, "/api/v1" + path, body, **headers)

    def login(self, name="mika", password=PASSWORD):
        status, body = self.api("POST", "/login", {"name": name, "password": password})
        if status == 200:
            self.cookie = self.headers["Set-Cookie"].split(";")[0].split("=")[1]
        return status, body


def add(c, name, role, *more):
    c.cli("account", "add", name, "--role", role, "--password-file", "-", *more, input=PASSWORD + "\n")


def test_a_login_opens_a_session_and_logging_out_ends_it(controller):
    add(controller, "mika", "operator")
    b = Browser(controller)
    status, me = b.login()
    assert status == 200 and me["role"] == "operator" and me["account"] == "mika"
    assert "trust" in me["rights"] and "apply" not in me["rights"]
    flags = b.headers["Set-Cookie"]
    for flag in ("__Host-suimitsu=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
        assert flag in flags
    assert "Domain" not in flags
    assert b.api("GET", "/me")[1]["actor"] == "account mika"
    assert b.api("GET", "/audit")[0] == 403
    assert b.api("POST", "/logout")[0] == 200
    assert "Max-Age=0" in b.headers["Set-Cookie"]
    assert b.api("GET", "/me")[0] == 401
    actions = [e["action"] for e in controller.good("GET", "/audit")]
    assert {"account.add", "login", "logout"} <= set(actions)


def test_sessions_outlive_a_restart_and_end_with_a_new_password(controller):
    c = controller
    add(c, "mika", "viewer")
    first, second = Browser(c), Browser(c)
    assert first.login()[0] == second.login()[0] == 200
    c.kill()
    c.start()
    assert first.api("GET", "/me")[0] == 200
    assert first.api("POST", "/me/password", {"old": "wrong horse battery", "new": "x" * 8 + "y" * 8})[0] == 403
    assert first.api("POST", "/me/password", {"old": PASSWORD, "new": "short"})[0] == 422
    assert first.api("POST", "/me/password", {"old": PASSWORD, "new": "another horse battery"})[0] == 200
    assert first.api("GET", "/me")[0] == second.api("GET", "/me")[0] == 401
    assert first.login()[0] == 401
    assert first.login(password="another horse battery")[0] == 200
    c.cli("account", "remove", "mika")
    assert first.api("GET", "/me")[0] == 401


def test_another_site_cannot_use_the_session(controller):
    add(controller, "mika", "admin")
    b = Browser(controller)
    assert b.login()[0] == 200
    new = {"kind": "enroll", "endpoint": "web1"}
    assert b.api("POST", "/tokens", new)[0] == 200
    for origin in ("https://evil.example", "null", f"http://{b.host}", f"https://{b.host}.evil"):
        assert b.api("POST", "/tokens", new, Origin=origin)[0] == 403
    b.origin = None
    assert b.api("POST", "/tokens", new)[0] == 403
    assert b.api("GET", "/status", Sec_Fetch_Site="cross-site")[0] == 403


def test_guessing_is_slowed_and_names_are_not_given_away(controller):
    add(controller, "mika", "viewer")
    b, times = Browser(controller), {"mika": [], "nobody": []}
    for _ in range(5):
        for name, took in times.items():
            begin = time.monotonic()
            status, body = b.login(name, "wrong horse battery")
            took.append(time.monotonic() - begin)
            assert status == 401 and body["detail"] == "wrong name or password"
    assert min(times["nobody"]) > min(times["mika"]) / 3, times
    status, body = b.login()
    assert status == 429 and int(b.headers["Retry-After"]) > 0
    failed = [e for e in controller.good("GET", "/audit") if e["action"] == "login.failed"]
    assert len(failed) == 10


def is_answered(s):
    """Not waited for; of a TLS socket."""
    s.settimeout(0)
    try:
        return s.recv(12) == b"HTTP/1.1 401"
    except ssl.SSLWantReadError:
        return False


def test_the_loop_goes_on_while_passwords_are_hashed(controller):
    """What came behind five logins is answered before them: once is enough, as in the loop it never is."""
    overtaken = set()
    for attempt in range(6):  # We may not have run ourselves until all was answered.
        opened = set()
        for _ in range(5):  # More than are hashed at a time.
            b = Browser(controller)
            s = b.context.wrap_socket(socket.create_connection(("127.0.0.1", controller.api_port)),
                                      server_hostname="127.0.0.1")
            body = json.dumps({"name": f"nobody{attempt}", "password": "wrong horse battery"}).encode()
            s.sendall(b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            opened.add(s)
        controller.good("GET", "/status")
        overtaken = waiting = {s for s in opened if not is_answered(s)}
        while waiting:
            select.select(waiting, [], [], PATIENCE_S)
            waiting = {s for s in waiting if not is_answered(s)}
        for s in opened:
            s.close()
        if overtaken:
            break
    assert overtaken


def test_an_operator_of_one_site_sees_and_isolates_nothing_else(controller):
    c = controller
    assert c.apply(POLICY, SITES)[0] == 200
    add(c, "tokyo", "operator", "--scope", "site=tokyo")
    b = Browser(c)
    assert b.login("tokyo")[1]["scope"] == {"site": "tokyo"}
    assert [e["name"] for e in b.api("GET", "/endpoints")[1]] == ["web1"]
    assert [e["name"] for e in b.api("GET", "/enforcers")[1]] == ["web1"]
    assert b.api("GET", "/status")[1]["endpoints"] == 1
    assert b.api("GET", "/endpoints/web1")[0] == 200
    assert b.api("GET", "/endpoints/db1")[0] == b.api("GET", "/endpoints/nothing")[0] == 404
    assert b.api("POST", "/endpoints/db1/quarantine", {"reason": "x"})[0] == 404
    assert b.api("POST", "/endpoints/web1/quarantine", {"reason": "x"})[0] == 200
    ask = {"protocol": "tcp", "port": 5432}
    assert b.api("POST", "/why", {"from": "web1", "to": "db1", **ask})[0] == 403
    assert b.api("POST", "/why", {"from": "web1", "to": "10.20.1.12", **ask})[0] == 403
    assert b.api("POST", "/why", {"from": "web1", "to": "192.0.2.1", **ask})[0] == 200
    for path in ("/policy", "/inventory", "/groups", "/unprotected", "/endpoints/web1/if-owned"):
        assert b.api("GET", path)[0] == 403, path
    done = c.cli("account", "add", "x", "--role", "editor", "--scope", "site=tokyo",
                 "--password-file", "-", input=PASSWORD, code=3)
    assert "cannot be limited" in done.stderr
    token = c.cli("token", "api", "t", "--role", "viewer", "--scope", "site=osaka").stdout.strip()
    assert [e["name"] for e in c.https("GET", "/endpoints", token)[1]] == ["db1"]


def test_an_editor_tries_and_an_approver_applies(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    body = {"files": [{"name": "a.yaml", "text": POLICY_2}], "base": {"policy": c.good("GET", "/policy")["version"]}}
    role = {r: c.good("POST", "/tokens", {"kind": "api", "name": r, "role": r})["token"]
            for r in ("viewer", "operator", "editor", "approver")}
    for r, tries, applies in (("viewer", 403, 403), ("operator", 403, 403), ("editor", 200, 403),
                              ("approver", 200, 200)):
        assert c.https("PUT", "/policy", role[r], {**body, "dry_run": True})[0] == tries
        assert c.https("PUT", "/policy", role[r], body)[0] == applies, r


def test_accounts_on_the_command_line(controller, tmp_path):
    c = controller
    (tmp_path / "password").write_text(PASSWORD + "\nmore\n")
    c.cli("account", "add", "jun", "--role", "auditor", "--password-file", str(tmp_path / "password"))
    assert c.cli("account", "list").stdout.splitlines()[1].split()[:2] == ["jun", "auditor"]
    assert json.loads(c.cli("account", "list", "-o", "json").stdout)[0]["role"] == "auditor"
    assert Browser(c).login("jun")[0] == 200
    assert "already" in c.cli("account", "add", "jun", "--password-file", "-", input=PASSWORD, code=6).stderr
    c.cli("account", "password", "jun", "--password-file", "-", input="another horse battery\n")
    assert Browser(c).login("jun")[0] == 401
    assert "at least 12" in c.cli("account", "password", "jun", "--password-file", "-", input="short\n",
                                  code=3).stderr
    assert "no account" in c.cli("account", "remove", "nobody", code=4).stderr
    assert "expected LABEL=VALUE" in c.cli("account", "add", "x", "--scope", "site", "--password-file", "-",
                                           input=PASSWORD, code=2).stderr


def test_a_password_is_asked_for_on_the_terminal_without_echo(controller):
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(CLI, [str(CLI), "account", "add", "kei", "--socket", str(controller.run_dir / "api.sock")])
    said = b""
    for question in (b"Password: ", b"Again: "):
        while question not in said:
            said += os.read(fd, 100)
        os.write(fd, PASSWORD.encode() + b"\n")
    with contextlib.suppress(OSError):
        while more := os.read(fd, 100):
            said += more
    assert os.waitpid(pid, 0)[1] == 0, said
    assert PASSWORD.encode() not in said
    assert Browser(controller).login("kei")[0] == 200


@pytest.fixture
def web(tmp_path):
    folder = tmp_path / "web"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>x</title>" + " " * 1000)
    (folder / "assets/app-3XZ5QK7A.js").write_text("console.log(1);" * 500)
    (folder / "assets/tiny.css").write_text("a{}")
    (folder / ".hidden").write_text("secret")
    (folder / "link.txt").symlink_to("/etc/passwd")
    c = Controller(tmp_path)
    c.command = lambda *more: Controller.command(c, "--web-dir", str(folder), *more)
    c.start()
    yield c
    assert c.kill(15) == 0


def test_the_console_is_served_from_memory_with_strict_headers(web):
    b = Browser(web)
    assert b.ask("GET", "/")[0] == 308 and b.headers["Location"] == "/ui/"
    status, page = b.ask("GET", "/ui/")
    assert status == 200 and page.startswith(b"<!doctype html>")
    assert b.headers["Content-Type"].startswith("text/html")
    csp = b.headers["Content-Security-Policy"]
    assert "default-src 'none'" in csp and "frame-ancestors 'none'" in csp and "unsafe" not in csp
    assert b.headers["X-Content-Type-Options"] == "nosniff"
    assert b.headers["Referrer-Policy"] == "no-referrer"
    assert b.headers["Cache-Control"] == "no-cache"
    etag = b.headers["ETag"]
    assert b.ask("GET", "/ui/", If_None_Match=etag) == (304, b"")
    assert b.ask("GET", "/ui/flows/denied")[1] == page  # A view of the page.
    assert b.ask("GET", "/ui/assets/gone.js")[0] == 404
    status, packed = b.ask("GET", "/ui/assets/app-3XZ5QK7A.js", Accept_Encoding="br, gzip")
    assert gzip.decompress(packed) == b"console.log(1);" * 500 and len(packed) < 1000
    assert b.headers["Content-Encoding"] == "gzip" and b.headers["Vary"] == "Accept-Encoding"
    assert "immutable" in b.headers["Cache-Control"] and b.headers["ETag"] != etag
    assert b.ask("GET", "/ui/assets/app-3XZ5QK7A.js", Accept_Encoding="gzip;q=0")[1].startswith(b"console")


@pytest.mark.parametrize("path", ["/ui/.hidden", "/ui/link.txt", "/ui/../../../../etc/passwd",
                                  "/ui/%2e%2e/%2e%2e/etc/passwd.x", "/ui/assets/..%2f.hidden"])
def test_nothing_but_the_console_s_files_is_served(web, path):
    status, text = Browser(web).ask("GET", path)
    assert status in (400, 404) or text.startswith(b"<!doctype html>"), text


def test_the_api_says_no_script_may_run_in_its_answers(controller):
    b = Browser(controller)
    assert b.api("GET", "/status")[0] == 401
    assert b.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert b.headers["Cache-Control"] == "no-store"


class Stream:
    """One event stream, read as a browser does."""

    def __init__(self, c, token, query="", last=None):
        context = ssl.create_default_context(cadata=(c.state / "ca.crt").read_text())
        self.connection = http.client.HTTPSConnection(f"127.0.0.1:{c.api_port}", context=context, timeout=PATIENCE_S)
        headers = {"Authorization": f"Bearer {token}"}
        if last:
            headers["Last-Event-ID"] = last
        self.connection.request("GET", "/api/v1/events" + query, headers=headers)
        self.answer = self.connection.getresponse()
        self.last = last

    def next(self):
        """(name, data) of the next event; None at the end."""
        event = {}
        while line := self.answer.readline():
            key, _, value = line.decode().rstrip("\n").partition(": ")
            if not line.strip():
                if "data" in event:
                    self.last = event["id"]
                    return event["event"], json.loads(event["data"])
                event = {}
            else:
                event[key] = value
        return None

    def until(self, name):
        while got := self.next():
            if got[0] == name:
                return got[1]
        raise AssertionError(f"no {name}")

    def close(self):
        self.connection.close()


def token(c, role, **more):
    return c.good("POST", "/tokens", {"kind": "api", "name": role, "role": role, **more})["token"]


def test_events_tell_what_happens_and_go_on_where_one_was(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    admin = token(c, "admin")
    s = Stream(c, admin)
    assert s.answer.status == 200 and s.answer.headers["Content-Type"] == "text/event-stream"
    assert s.next()[0] == "hello"
    c.good("POST", "/endpoints/pc1/quarantine", {"reason": "beacon"})
    seen = {}
    while not {"trust", "audit", "policy"} <= set(seen):
        name, data = s.next()
        seen[name] = data
    assert seen["trust"] == {"endpoint": "pc1", "trust": "black"}
    assert seen["audit"]["action"] == "endpoint.quarantine"
    assert seen["policy"]["revision"] == c.good("GET", "/status")["revision"]
    last = s.last
    s.close()
    c.good("POST", "/endpoints/pc1/release", {"reason": "clean"})
    s = Stream(c, admin, "?topics=trust", last)
    assert s.next()[0] == "hello"
    assert s.next() == ("trust", {"endpoint": "pc1", "trust": "white"})
    s.close()
    c.kill()
    c.start()
    s = Stream(c, admin, "?topics=trust", last)
    assert s.next()[0] == "hello" and s.next()[0] == "lost"  # Of another run.
    s.close()
    assert Stream(c, admin, "", "garbage").answer.status == 400
    assert Stream(c, admin, "?topics=weather").answer.status == 400


def test_events_are_filtered_by_role_and_scope(controller):
    c = controller
    c.apply(POLICY, SITES)
    assert Stream(c, token(c, "viewer"), "?topics=audit").answer.status == 403
    s = Stream(c, token(c, "viewer"), "?topics=audit,trust,newer")
    assert s.next()[1]["topics"] == ["trust"]
    s.close()
    scoped = token(c, "viewer", scope={"site": "tokyo"})
    assert Stream(c, scoped, "?topics=policy").answer.status == 403
    s = Stream(c, scoped)
    assert set(s.next()[1]["topics"]) == {"flows", "alerts", "enforcers", "trust", "operations"}
    for name in ("db1", "pc1", "web1"):
        c.good("POST", f"/endpoints/{name}/quarantine", {"reason": "x"})
    assert s.next() == ("trust", {"endpoint": "web1", "trust": "black"})
    s.close()
    assert Stream(c, token(c, "scraper")).answer.status == 403


def test_one_listener_does_not_take_all_streams(controller):
    mine, other = token(controller, "viewer"), token(controller, "auditor")
    streams = [Stream(controller, mine) for _ in range(16)]
    assert all(s.next()[0] == "hello" for s in streams)
    assert Stream(controller, mine).answer.status == 503
    assert Stream(controller, other).next()[0] == "hello"
    streams.pop().close()
    until(lambda: Stream(controller, mine).answer.status == 200)


def test_a_stream_ends_when_its_token_is_revoked(controller):
    c = controller
    mine = token(c, "viewer")
    s = Stream(c, mine)
    assert s.next()[0] == "hello"
    c.good("DELETE", f"/tokens/{mine.split('.')[1]}")
    while s.next():
        pass
    s.close()


def test_a_browser_that_does_not_read_costs_nobody_anything(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    admin = token(c, "admin")
    lazy = Stream(c, admin, "?topics=audit")
    assert lazy.next()[0] == "hello"
    for i in range(400):  # Some megabytes of audit: more than is kept on the way to it.
        c.good("POST", "/endpoints/pc1/" + ("release" if i % 2 else "quarantine"), {"reason": "x" * 499})
    assert c.good("GET", "/status")["revision"] >= 400
    seen = [lazy.until("audit")["seq"]]
    while seen[-1] < c.good("GET", "/audit")[0]["seq"]:
        seen.append(lazy.until("audit")["seq"])
    assert seen == list(range(seen[0], seen[0] + len(seen)))  # None lost, none twice.
    lazy.close()
