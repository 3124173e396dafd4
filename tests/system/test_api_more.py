"""Drafts, conditions, pages, repeated requests, operations, metrics, and who is told what happens."""
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest
from stopped import born_stopped
from test_api import Browser, add, token
from test_controller import (INVENTORY, PATIENCE_S, POLICY, POLICY_2, ROOT, Controller, UnixConnection,  # noqa: F401
                             controller, tmp_path, until)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")

SECRET = "a secret of at least sixteen bytes"


@contextlib.contextmanager
def started(folder, *options):
    c = Controller(folder)
    c.command = lambda *more: Controller.command(c, *options, *more)
    c.start()
    try:
        yield c
    finally:
        c.kill(15)


def files(text):
    return [{"name": "shop.yaml", "text": text}]


def test_four_eyes_are_two_people(tmp_path):
    with started(tmp_path, "--four-eyes", "yes") as c:
        c.apply(POLICY, INVENTORY)  # Root on the socket is the way in when all else fails.
        who = {r: token(c, r) for r in ("editor", "approver", "admin")}
        new = {"files": files(POLICY_2), "comment": "CHG-1"}
        assert c.https("PUT", "/policy", who["approver"], {**new, "base": {"policy": 1}})[0] == 403
        assert c.https("POST", "/policy/drafts", who["approver"], new)[0] == 403
        assert c.https("POST", "/policy/drafts", who["editor"], {"files": files("suimitsu: 2")})[0] == 422
        draft = c.https("POST", "/policy/drafts", who["editor"], new)[1]["id"]
        assert "shop-http" not in c.good("GET", "/policy")["files"][0]["text"]
        listed = c.https("GET", "/policy/drafts", who["approver"])[1]
        assert [(d["id"], d["author"], d["comment"]) for d in listed] == [(draft, "token editor", "CHG-1")]
        assert c.https("GET", f"/policy/drafts/{draft}", who["approver"])[1]["files"] == files(POLICY_2)
        assert c.https("POST", f"/policy/drafts/{draft}/apply", who["editor"], {})[0] == 403
        own = c.https("POST", "/policy/drafts", who["admin"], new)[1]["id"]
        status, body, _ = c.https("POST", f"/policy/drafts/{own}/apply", who["admin"], {})
        assert status == 403 and "four eyes" in body["detail"]
        assert c.https("DELETE", f"/policy/drafts/{own}", who["editor"])[0] == 403
        assert c.https("POST", f"/policy/drafts/{draft}/apply", who["approver"], {})[0] == 200
        assert "shop-http" in c.good("GET", "/policy")["files"][0]["text"]
        assert c.https("GET", f"/policy/drafts/{draft}", who["approver"])[0] == 404
        status, body, _ = c.https("POST", f"/policy/drafts/{own}/apply", who["approver"], {})
        assert status == 412, body  # Something else is in force than when it was proposed.
        assert c.https("DELETE", f"/policy/drafts/{own}", who["approver"])[0] == 200
        actions = {e["action"]: e["actor"] for e in c.good("GET", "/audit")}
        assert actions["draft.propose"].startswith("token") and actions["draft.apply"] == "token approver"


def test_nobody_replaces_what_he_has_not_seen(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    body = {"files": files(POLICY_2)}
    status, problem, _ = c.ask("PUT", "/policy", body)
    assert status == 428 and problem["field"] == "If-Match" and problem["fix"]
    assert c.ask("PUT", "/inventory", {"files": files(INVENTORY)})[0] == 428
    assert c.ask("PUT", "/policy", {**body, "dry_run": True})[0] == 200
    assert c.ask("PUT", "/policy", body, {"If-Match": '"77"'})[0] == 412
    assert c.ask("PUT", "/policy", {**body, "base": {"policy": 77}})[0] == 412
    assert c.ask("PUT", "/policy", body, {"If-Match": "*"})[0] == 200


def test_a_problem_says_where_and_how_to_mend_it(controller):
    c = controller
    for send, field in (({"kind": "x"}, "kind"), ({"kind": "api", "name": "a b", "role": "viewer"}, "name"),
                        ({"kind": "api", "name": "a", "role": "boss"}, "role"),
                        ({"kind": "enroll", "endpoint": "web1", "valid_s": 10**9}, "valid_s"),
                        ({"kind": "api", "name": "a", "role": "admin", "scope": {"a": "b"}}, "scope")):
        status, problem, _ = c.ask("POST", "/tokens", send)
        assert status == 422 and problem["field"] == field and problem["fix"], problem
    connection = UnixConnection(c.run_dir / "api.sock")
    connection.request("POST", "/api/v1/tokens", '{"kind":\n  "api", }')
    problem = json.loads(connection.getresponse().read())
    assert (problem["status"], problem["line"]) == (400, 2) and problem["column"] > 0 and problem["fix"]
    status, problem, _ = c.ask("PUT", "/policy", {"files": files("suimitsu: 1\nallow: 3\n")}, {"If-Match": "*"})
    assert status == 422 and problem["findings"][0]["line"] == 2 and problem["findings"][0]["file"] == "shop.yaml"


def test_lists_come_page_by_page(controller):
    c = controller
    many = "suimitsu-inventory: 1\nendpoints:\n" + "".join(
        f"  e{i:03}: {{addresses: [10.9.{i // 250}.{i % 250 + 1}], enforcers: [host]}}\n" for i in range(205))
    assert c.apply(POLICY, many)[0] == 200
    for path, key, n in (("/endpoints", "name", 205), ("/enforcers", "name", 205), ("/audit", "seq", None),
                         ("/policy/history", "version", 1)):
        seen, cursor = [], ""
        while True:
            page = c.good("GET", f"{path}?limit=50" + (f"&cursor={cursor}" if cursor else ""))
            assert len(page["items"]) <= 50
            seen += [item[key] for item in page["items"]]
            cursor = page["next"]
            if not cursor:
                break
        assert seen == [item[key] for item in c.good("GET", path)][:len(seen)]
        assert n is None or len(seen) == n
    assert c.ask("GET", "/endpoints?limit=0")[0] == c.ask("GET", "/endpoints?cursor=zz")[0] == 400


def test_no_list_is_longer_than_a_page_and_the_command_line_shows_all_of_it(controller):
    c, n = controller, 1003
    many = "suimitsu-inventory: 1\nendpoints:\n" + "".join(
        f"  e{i:04}: {{addresses: [10.9.{i // 250}.{i % 250 + 1}], enforcers: [host]}}\n" for i in range(n))
    rules = "suimitsu: 1\ngroups:\n" + "".join(f"  g{i}: {{members: [e{i:04}]}}\n" for i in range(n)) + "allow:\n" + "".join(
        f"  - {{id: r{i:04}, from: g{i}, to: g{(i + 1) % n}, service: tcp/443, why: a ring, owner: me}}\n" for i in reversed(range(n)))
    assert c.apply(rules, many)[0] == 200
    names, ids = [f"e{i:04}" for i in range(n)], [f"r{i:04}" for i in range(n)]
    for path, part, key, want in (("/endpoints", "items", "name", names), ("/enforcers", "items", "name", names),
                                  ("/groups", "items", "name", sorted(f"g{i}" for i in range(n))),
                                  ("/policy/rules", "items", "id", ids[::-1]), ("/rules/use", "rules", "rule", ids)):
        page = c.good("GET", path)
        assert len(page[part]) == 1000 and page["next"], path
        rest = c.good("GET", f"{path}?cursor={page['next']}")
        assert [x[key] for x in page[part] + rest[part]] == want and rest["next"] == "", path
    assert [e["name"] for e in json.loads(c.cli("endpoint", "-o", "json").stdout)] == names
    assert [e["name"] for e in json.loads(c.cli("enforcer", "list", "-o", "json").stdout)] == names
    used = json.loads(c.cli("rules", "use", "-o", "json").stdout)
    assert [u["rule"] for u in used] == ids and len(c.cli("rules", "use").stdout.splitlines()) == n + 1
    assert c.good("GET", "/rules/use?limit=2")["rules"][1]["rule"] == "r0001"
    assert isinstance(c.good("GET", "/services"), list) and isinstance(c.good("GET", "/audit"), list)


def test_a_post_with_the_same_key_is_done_once(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    key = {"Idempotency-Key": "a-1"}
    first = c.ask("POST", "/endpoints/pc1/quarantine", {"reason": "x"}, key)
    assert c.ask("POST", "/endpoints/pc1/quarantine", {"reason": "x"}, key) == first
    assert c.ask("POST", "/endpoints/pc1/quarantine", {"reason": "y"}, key)[0] == 422
    assert [e["action"] for e in c.good("GET", "/audit")].count("endpoint.quarantine") == 1
    new = {"kind": "enroll", "endpoint": "web1"}
    assert c.ask("POST", "/tokens", new, {"Idempotency-Key": "a-2"})[0] == 200
    status, body, _ = c.ask("POST", "/tokens", new, {"Idempotency-Key": "a-2"})
    assert status == 409 and "token" not in body and len(c.good("GET", "/tokens")) == 1


def test_a_post_that_is_sent_again_after_kill_9_is_done_once(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    key, other = {"Idempotency-Key": "b-1"}, {"Idempotency-Key": "b-2"}
    first = c.ask("POST", "/endpoints/pc1/quarantine", {"reason": "x"}, key)
    assert first[0] == 200
    made = c.ask("POST", "/tokens", {"kind": "enroll", "endpoint": "web1"}, other)
    assert made[0] == 200
    before = c.good("GET", "/audit")
    c.kill()
    c.start()
    again = c.ask("POST", "/endpoints/pc1/quarantine", {"reason": "x"}, key)
    assert again[:2] == first[:2]
    assert c.ask("POST", "/endpoints/pc1/quarantine", {"reason": "y"}, key)[0] == 422
    status, body, _ = c.ask("POST", "/tokens", {"kind": "enroll", "endpoint": "web1"}, other)
    assert status == 409 and "token" not in body
    assert c.good("GET", "/audit") == before and len(c.good("GET", "/tokens")) == 1
    kept = b"".join(p.read_bytes() for p in c.state.glob("*.db*"))
    assert b"idempotent/" in kept and made[1]["token"].encode() not in kept
    new = {"name": "rie", "role": "viewer", "password": "a password in a body"}
    assert c.ask("POST", "/accounts", new, {"Idempotency-Key": "b-3"})[0] == 200
    c.kill()
    c.start()
    assert c.ask("POST", "/accounts", new, {"Idempotency-Key": "b-3"})[0] == 409  # By its name.


def test_a_long_question_is_answered_beside_the_loop(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    status, body, _ = c.ask("POST", "/operations", {"get": "/api/v1/policy/findings"})
    assert status == 202
    done = until(lambda: (o := c.good("GET", f"/operations/{body['id']}"))["state"] == "done" and o)
    assert done["result"] == {"status": 200, "body": c.good("GET", "/policy/findings")}
    assert [o["id"] for o in c.good("GET", "/operations")] == [body["id"]]
    assert c.ask("POST", f"/operations/{body['id']}/cancel", {})[0] == 409
    assert c.ask("GET", "/policy/coverage")[0] == 409  # As an operation only.
    for wrong in ("/api/v1/policy", "/api/v1/tokens", "/etc/passwd", ""):
        assert c.ask("POST", "/operations", {"get": wrong})[0] == 422
    mine, other = token(c, "viewer"), token(c, "editor")
    id_ = c.https("POST", "/operations", mine, {"get": "/api/v1/policy/radius?from=web1"})[1]["id"]
    assert c.https("GET", f"/operations/{id_}", other)[0] == 404
    assert until(lambda: (o := c.https("GET", f"/operations/{id_}", mine)[1])["state"] == "done" and o)


def test_an_operation_can_be_cancelled_and_the_daemon_goes_on_meanwhile(controller):
    c = controller
    assert c.apply(POLICY, INVENTORY)[0] == 200
    children = pathlib.Path(f"/proc/{c.process.pid}/task/{c.process.pid}/children")

    def begin():
        return c.ask("POST", "/operations", {"get": "/api/v1/policy/findings"})[1]["id"]

    ids = [born_stopped(c, begin), born_stopped(c, begin), begin(), begin()]  # Two run at a time.
    assert c.ask("POST", "/operations", {"get": "/api/v1/policy/findings"})[0] == 503
    assert c.https("POST", "/operations", token(c, "viewer"), {"get": "/api/v1/unprotected"})[0] == 202
    states = [c.good("GET", f"/operations/{i}")["state"] for i in ids]
    assert states == ["running", "running", "waiting", "waiting"]
    c.good("GET", "/status")
    for i in reversed(ids):
        status, body, _ = c.ask("POST", f"/operations/{i}/cancel", {})
        assert status == 200 and body["state"] == "cancelled"
    until(lambda: children.read_text().strip() == "")


METRIC = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? '
                    r'(-?[0-9.]+(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)')


def parse_metrics(text):
    """As `promtool check metrics` reads the format; {name: {labels: value}}."""
    kinds, helps, series, families, current = {}, set(), {}, [], None
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in helps and words
            helps.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name in helps and name not in kinds and kind in ("gauge", "counter")
            kinds[name] = kind
            families.append(name)
            current = name
        else:
            m = METRIC.fullmatch(line)
            assert m, line
            assert m[1] == current, f"{line} stands with the samples of {current}"
            assert (m[2] or "") not in series.setdefault(m[1], {}), line
            series[m[1]][m[2] or ""] = float(m[3])
    assert set(series) == set(kinds) == helps
    for name, kind in kinds.items():
        assert (kind == "counter") == name.endswith("_total"), name
    return series


def test_metrics_are_what_prometheus_reads(controller):
    c = controller
    c.apply(POLICY, INVENTORY)
    b = Browser(c)
    assert b.ask("GET", "/metrics")[0] == 401
    scrape = {"Authorization": "Bearer " + token(c, "scraper")}
    status, text = b.ask("GET", "/metrics", **scrape)
    assert status == 200 and b.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    series = parse_metrics(text.decode())
    assert series["suimitsu_endpoints"][""] == 3 and series["suimitsu_rules"][""] == 1
    assert series["suimitsu_enforcers"]['{state="expected"}'] == 3
    assert series["suimitsu_api_requests_total"]['{status="4xx"}'] >= 1
    c.good("POST", "/endpoints/pc1/quarantine", {"reason": "x"})
    again = parse_metrics(b.ask("GET", "/metrics", **scrape)[1].decode())
    assert again["suimitsu_endpoints_quarantined"][""] == 1
    assert again["suimitsu_events_total"][""] > series["suimitsu_events_total"][""]
    assert b.api("GET", "/status", **scrape)[0] == 403
    for name in ("pc1", "web1", "shop-db"):
        assert name not in text.decode()


def test_the_dashboard_asks_for_metrics_that_there_are(controller):
    board = json.loads((ROOT / "share/grafana/suimitsu.json").read_text())
    series = parse_metrics(controller_metrics(controller))
    asked = set()
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            asked |= set(re.findall(r"(?:suimitsu|process)_[a-z_]+", target["expr"]))
    assert len(asked) >= 15
    assert asked <= set(series), asked - set(series)
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])


def controller_metrics(c):
    return Browser(c).ask("GET", "/metrics", Authorization="Bearer " + token(c, "viewer"))[1].decode()


RFC5424 = re.compile(r"<(\d{1,3})>1 (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) (\S+) suimitsud (\d+) (\S+) - (.*)", re.S)


def read_counted(stream, n):
    """'n' messages with octet counting."""
    got = []
    while len(got) < n:
        size = b""
        while (digit := stream.read(1)) != b" ":
            assert digit.isdigit(), (size, digit)
            size += digit
        got.append(stream.read(int(size)).decode())
    return got


def happen(c):
    """Quarantine, a failed login and a new policy."""
    c.apply(POLICY, INVENTORY)
    c.good("POST", "/endpoints/pc1/quarantine", {"reason": "evil|\nCEF:0|x| act=allow \x1b[2J 日本"})
    add(c, "mika", "viewer")
    assert Browser(c).login("mika", "wrong horse battery")[0] == 401


def check_told(messages):
    kinds = []
    for m in messages:
        fields = RFC5424.fullmatch(m)
        assert fields and int(fields[1]) // 8 == 13 and not re.search(r"[\x00-\x1f]", m), m
        kinds.append(fields[5])
    assert {"policy", "quarantine", "audit", "login"} <= set(kinds), kinds


def test_a_collector_is_told_over_udp(tmp_path):
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as s:
        s.bind(("127.0.0.1", 0))
        s.settimeout(PATIENCE_S)
        with started(tmp_path, "--syslog", f"udp://127.0.0.1:{s.getsockname()[1]}") as c:
            happen(c)
            got = []
            while not any(" login " in m for m in got):
                got.append(s.recv(65536).decode())
    check_told(got)
    data = [json.loads(RFC5424.fullmatch(m)[6])["data"] for m in got]
    assert any(d.get("action") == "endpoint.quarantine" and "evil" in d["detail"] for d in data)


def test_a_collector_is_told_over_tcp_also_what_happened_while_it_was_away(tmp_path):
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        with started(tmp_path, "--syslog", f"tcp://127.0.0.1:{listener.getsockname()[1]}",
                     "--syslog-format", "cef") as c:
            happen(c)  # Nobody listens yet.
            listener.listen(1)
            listener.settimeout(PATIENCE_S)
            peer, _ = listener.accept()
            peer.settimeout(PATIENCE_S)
            with contextlib.closing(peer), peer.makefile("rb") as stream:
                got = read_counted(stream, 4)
    check_told(got)
    for m in got:
        content = RFC5424.fullmatch(m)[6]
        assert re.match(r"CEF:0\|Suimitsu\|suimitsud\|[^|]+\|[^|]+\|[^|]+\|\d+\|rt=\d+ ", content), content
        assert " act=allow" not in content


def make_authority(folder):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-keyout", folder / "k.pem", "-out", folder / "c.pem", "-subj", "/CN=collector.example",
                    "-addext", "subjectAltName=DNS:collector.example", "-days", "2"], check=True,
                   capture_output=True)
    os.chmod(folder / "c.pem", 0o644)


def test_a_collector_is_told_over_tls_if_it_is_the_right_one(tmp_path):
    make_authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(PATIENCE_S)
        url = f"tls://127.0.0.1:{listener.getsockname()[1]}"
        options = ["--syslog", url, "--syslog-ca", str(tmp_path / "c.pem"), "--syslog-name"]
        with started(tmp_path, *options, "collector.example") as c:
            peer, _ = listener.accept()
            happen(c)
            with contextlib.closing(context.wrap_socket(peer, server_side=True)) as tls, tls.makefile("rb") as stream:
                check_told(read_counted(stream, 4))
        with started(tmp_path, *options, "other.example"):
            peer, _ = listener.accept()
            with pytest.raises((ssl.SSLError, ConnectionError)):
                tls = context.wrap_socket(peer, server_side=True)
                if not tls.recv(1):
                    raise ConnectionError("it hung up")
            peer.close()


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((dict(self.headers), body))
        status = self.server.answers.pop(0) if self.server.answers else 200
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/stolen")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture
def receiver():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_is_told_signed_and_again_after_a_failure(tmp_path, receiver):
    (tmp_path / "secret").write_text(SECRET + "\n")
    receiver.answers = [503]
    with started(tmp_path, "--webhook", f"http://127.0.0.1:{receiver.server_port}/hook",
                 "--webhook-secret-file", str(tmp_path / "secret")) as c:
        happen(c)
        until(lambda: any(b'"login.failed"' in body for _, body in receiver.got[1:]))
    (first, body), (second, again) = receiver.got[:2]
    assert first["X-Suimitsu-Delivery"] == second["X-Suimitsu-Delivery"] and body == again
    for headers, body in receiver.got:
        mine = hmac.new(SECRET.encode(), headers["X-Suimitsu-Timestamp"].encode() + b"." + body, hashlib.sha256)
        assert headers["X-Suimitsu-Signature"] == "sha256=" + mine.hexdigest()
    events = [e for _, body in receiver.got[1:] for e in json.loads(body)["events"]]
    seqs = [e["data"]["seq"] for e in events]
    assert seqs == sorted(set(seqs))  # In order, none twice.
    assert {"policy", "quarantine", "login", "audit"} <= {e["type"] for e in events}


def test_a_webhook_follows_no_redirect_and_gives_up_what_is_refused(tmp_path, receiver):
    (tmp_path / "secret").write_text(SECRET)
    receiver.answers = [302, 400]
    with started(tmp_path, "--webhook", f"http://127.0.0.1:{receiver.server_port}/hook",
                 "--webhook-secret-file", str(tmp_path / "secret")) as c:
        c.apply(POLICY, INVENTORY)
        until(lambda: len(receiver.got) == 1)
        c.good("POST", "/endpoints/pc1/quarantine", {"reason": "x"})
        until(lambda: len(receiver.got) == 2)
        c.good("POST", "/endpoints/pc1/release", {"reason": "x"})
        until(lambda: len(receiver.got) == 3)
        text = until(lambda: 'webhook_events_total{result="delivered"} 1' in (t := controller_metrics(c)) and t)
        assert 'webhook_events_total{result="dropped"} 2' in text
        assert "webhook_retries_total 0" in text


@pytest.mark.parametrize("options, said", [
    (["--syslog", "tcp://nowhere:1"], "numeric ADDR:PORT"),
    (["--syslog", "tls://127.0.0.1:1"], "needs syslog-ca and syslog-name"),
    (["--webhook", "file:///etc/passwd"], "https:// or http:// URL"),
    (["--webhook", "https://x.example/"], "needs webhook-secret-file"),
    (["--syslog-format", "xml"], "json or cef"),
    (["--four-eyes", "maybe"], "yes or no"),
])
def test_wrong_settings_are_told(tmp_path, options, said):
    done = subprocess.run(Controller(tmp_path).command(*options), capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode != 0 and said in done.stderr, done.stderr


# ---- bad input ----


def tls_socket(c):
    context = ssl.create_default_context(cadata=(c.state / "ca.crt").read_text())
    return context.wrap_socket(socket.create_connection(("127.0.0.1", c.api_port), timeout=PATIENCE_S),
                               server_hostname="127.0.0.1")


def test_5000_idle_connections_keep_nobody_out(controller):
    c = controller
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 6000:
        pytest.skip("fewer than 6000 files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    viewer, idle, slowest = token(c, "viewer"), [], 0
    try:
        for i in range(5000):
            idle.append(socket.create_connection(("127.0.0.1", c.api_port), timeout=PATIENCE_S))
            if i % 500 == 499:
                begin = time.monotonic()
                assert c.https("GET", "/status", viewer)[0] == 200
                slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 20  # Nobody waited until those were given up, after 30 s.
        files = len(os.listdir(f"/proc/{c.process.pid}/fd"))
        assert files < 1400, files
    finally:
        for s in idle:
            s.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_request_that_drips_in_is_cut_off(controller):
    s = tls_socket(controller)
    s.sendall(b"GET /api/v1/status HTTP/1.1\r\n")
    begin, cut = time.monotonic(), False
    while time.monotonic() < begin + 90 and not cut:
        try:
            s.sendall(b"X-%d: y\r\n" % (time.monotonic_ns() % 1000))
            s.settimeout(2)  # One header line every two seconds: there is always some progress.
            cut = s.recv(100) == b""
        except TimeoutError:
            pass
        except OSError:
            cut = True
    assert cut and 25 < time.monotonic() - begin < 80


@pytest.mark.parametrize("head, expected", [
    (b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (1 << 17) + b"\r\n\r\n", (400, 413)),
    (b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20000 + b"\r\n", (400, 413)),
    (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (400, 413, 414)),
    (b"\x00\x01\x02\x03\r\n\r\n", (400,)),
    (b"GET /api/v1/status HTTP/9.9\r\n\r\n", (400, 505)),
    (b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", (400,)),
    (b"POST /api/v1/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", (413, 400)),
], ids=["long header", "many headers", "long path", "binary", "version", "negative", "huge body"])
def test_huge_and_broken_heads_are_refused(controller, head, expected):
    s = tls_socket(controller)
    answer = b""
    with contextlib.suppress(OSError):
        s.sendall(head)
    with contextlib.suppress(OSError):
        answer = s.recv(100)
    assert answer == b"" or int(answer.split()[1]) in expected, answer
    assert controller.good("GET", "/status")


@pytest.mark.parametrize("body", [b"[" * 100000, b'{"a":' * 50000, b"[" * 2000 + b"]" * 2000,
                                  b'{"name": "' + b"\\ud800" * 1000 + b'"}', b'{"name":"a","name":"b"}',
                                  b'{"name": 1e999999}', b'\xff\xfe{}', b""],
                         ids=["arrays", "objects", "closed", "surrogates", "twice", "number", "bytes", "empty"])
def test_deep_and_odd_json_is_refused(controller, body):
    connection = UnixConnection(controller.run_dir / "api.sock")
    connection.request("POST", "/api/v1/login", body)
    answer = connection.getresponse()
    assert answer.status in (400, 422), answer.read()
    assert json.loads(answer.read())["status"] == answer.status
    assert controller.good("GET", "/status")
