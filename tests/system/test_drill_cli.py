"""suimitsu drill: what is refused before anything is tried."""
import json
import pathlib
import subprocess
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer

import pytest

SUIMITSU = pathlib.Path(__file__).resolve().parents[2] / "build/bin/suimitsu"
ENDPOINTS = {"me": ["127.0.0.1"], "other": ["203.0.113.7"], **{f"h{n}": ["203.0.113.9"] for n in range(20)},
             "many": [f"203.0.113.{n}" for n in range(100)]}
SERVICES = [{"name": "web", "ports": ["tcp/80", "tcp/443"]}, {"name": "dns", "ports": ["udp/53"]},
            {"name": "crowd", "ports": [f"tcp/{n}" for n in range(1000, 1040)]}]


class Answers(BaseHTTPRequestHandler):
    """A controller that knows endpoints and services, and counts what it is asked."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.split("?")[0].removeprefix("/api/v1")
        self.server.asked.append(self.path)
        name = path.removeprefix("/endpoints/")
        if path.startswith("/endpoints/"):
            body = {"name": name, "addresses": ENDPOINTS[name]} if name in ENDPOINTS else None
        else:
            body = {"/services": SERVICES, "/policy/radius": {"hops": []}, "/status": {"flows": 0}}.get(path)
        data = json.dumps(body or {"detail": f"no {name}"}).encode()
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


@pytest.fixture
def controller(tmp_path):
    server = UnixStreamServer(str(tmp_path / "api.sock"), Answers)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def drill(*words, socket=None):
    done = subprocess.run([SUIMITSU, "drill", *words, *(["--socket", socket] if socket else [])], text=True,
                          capture_output=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("words, said", [
    ((), "needs --from NAME"),
    (("--from", "me", "--really"), "--really needs the hosts"),
    (("--from", "me", "other"), "hosts are named for --really"),
    (("--from", "me", "--as", "god"), "expected root or user"),
    (("--from", "me", "--as", "root", "--really", "other"), "--as is for the lab"),
    (("--from", "me", "--world", "shop", "--really", "other"), "--world is for the lab"),
    (("--from", "me", "--rate", "3"), "--rate goes with --really"),
    (("--from", "me", "--service", "web"), "--service goes with --really"),
    (("--from", "me", "-o", "yaml"), "prints text or json"),
])
def test_a_drill_that_makes_no_sense_is_refused(words, said):
    code, out, err = drill(*words)
    assert code == 2 and said in err and not out


def test_outside_of_a_running_lab_the_way_is_told():
    code, _, err = drill("--from", "no-such-host")
    assert code in (4, 5) and ("--really HOST" in err or "run it as root" in err)


@pytest.mark.parametrize("words, code, said", [
    (("--from", "nemo", "--really", "other"), 4, "no nemo"),
    (("--from", "me", "--really", "nemo"), 4, "no nemo"),
    (("--from", "other", "--really", "me"), 5, "this machine has none of other's addresses"),
    (("--from", "me", "--really", "me"), 2, "me is where the drill begins"),
    (("--from", "me", "--really", "other", "other"), 2, "other is named twice"),
    (("--from", "me", "--really", *(f"h{n}" for n in range(17))), 2, "at most 16"),
    (("--from", "me", "--really", "other"), 2, "more than 32 ports"),
    (("--from", "me", "--really", "other", "--service", "dns"), 2, "with TCP ports"),
    (("--from", "me", "--really", "other", "--service", "nonsense"), 2, "with TCP ports"),
    (("--from", "me", "--really", "other", "--service", "web", "--rate", "0"), 2, "1 to 100"),
    (("--from", "me", "--really", "other", "--service", "web", "--rate", "101"), 2, "1 to 100"),
])
def test_a_real_drill_is_bounded(controller, words, code, said):
    got, out, err = drill(*words, socket=controller.server_address)
    assert (got, out) == (code, "") and said in err, err
    assert not any("/why" in path for path in controller.asked)


def test_without_a_controller_nothing_is_tried(tmp_path):
    code, _, err = drill("--from", "me", "--really", "other", socket=str(tmp_path / "none"))
    assert code == 7 and "cannot be reached" in err
