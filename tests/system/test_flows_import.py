"""Flow logs of clouds, from files into the history: names of then, none twice, what is wrong with its place."""
import gzip
import json
import os
import pathlib
import re
import subprocess
import time

import pytest
from test_controller import (CLI, INVENTORY, PATIENCE_S, POLICY, Controller, controller, tmp_path, until)  # noqa: F401
from test_flows import all_flows, fifo, on_a_slow_disk, released

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")
LONG = bool(os.environ.get("SUIMITSU_LONG"))
WEB, DB, PC = "10.20.1.11", "10.20.1.12", "10.20.3.11"


def aws(source, to, sport, dport, size, at, action="ACCEPT", status="OK", protocol=6, interface="eni-0a1"):
    return f"2 123456789010 {interface} {source} {to} {sport} {dport} {protocol} 5 {size} {at} {at + 59} {action} {status}"


def aws_file(path, at, n=40):
    """Connections of web1 to db1, both directions; a denial; lines without data; a wrong one."""
    lines = []
    for i in range(n):
        lines += [aws(DB, WEB, 5432, 40000 + i, 200, at), aws(WEB, DB, 40000 + i, 5432, 100, at)]
    lines.append(aws(PC, DB, 50000, 22, 60, at, action="REJECT"))
    lines.append(f"2 123456789010 eni-0a1 - - - - - - - {at} {at + 59} - NODATA")
    lines.append(f"2 123456789010 eni-0a1 - - - - - - - {at} {at + 59} - SKIPDATA")
    lines.append(aws("10.20.1.999", DB, 1, 2, 3, at))
    path.write_text("\n".join(lines) + "\n")
    return path


def azure_file(path, at):
    tuples = [f"{at},{WEB},{DB},40000,5432,T,I,A,B,,,,", f"{at + 9},{WEB},{DB},40000,5432,T,I,A,E,5,500,6,900",
              f"{at},{PC},{DB},50000,22,T,I,D,B,,,,"]
    path.write_text(json.dumps({"records": [
        {"time": "x", "resourceId": "/A/B/SHOP-NSG", "properties": {"Version": 2, "flows": [
            {"rule": "r", "flows": [{"mac": "0", "flowTuples": tuples}]}]}}]}, indent=1))
    return path


def vnet_file(path, at):
    tuples = [f"{at}000,{WEB},{DB},40000,5432,6,I,B,NX,0,0,0,0", f"{at + 9}000,{WEB},{DB},40000,5432,6,I,E,NX,5,500,6,900",
              f"{at}000,{PC},{DB},50000,22,6,I,D,NX,0,0,0,0"]
    path.write_text(json.dumps({"records": [
        {"time": "x", "macAddress": "00224871C205", "targetResourceID": "/A/SHOP", "flowRecords": {"flows": [
            {"aclID": "0", "flowGroups": [{"rule": "r", "flowTuples": tuples}]}]}}]}))
    return path


def gcp_file(path, at):
    def entry(source, to, sport, dport, size, more):
        return json.dumps({"timestamp": stamp(at), "jsonPayload": {
            "connection": {"src_ip": source, "dest_ip": to, "src_port": sport, "dest_port": dport, "protocol": 6},
            "bytes_sent": str(size), "start_time": stamp(at), "end_time": stamp(at + 5), **more}})
    vm = {"reporter": "SRC", "src_instance": {"vm_name": "vm-web1"}}
    path.write_text("\n".join([
        entry(WEB, DB, 40000, 5432, 500, vm), entry(DB, WEB, 5432, 40000, 900, vm),
        entry(PC, DB, 50000, 22, 0, {"disposition": "DENIED", "instance": {"vm_name": "vm-web1"}}),
        json.dumps({"textPayload": "hello"})]) + "\n")
    return path


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def started(c):
    c.apply(POLICY, INVENTORY)
    return int(time.time()) + 2  # The inventory is in force then.


def imported(c, format, *files, code=0):
    done = c.cli("flows", "import", "--format", format, "-o", "json", *map(str, files), code=code)
    return json.loads(done.stdout), done.stderr


def kept(c, n):
    until(lambda: sum(e["count"] for e in c.good("GET", "/edges")["edges"]) == n)
    return {(e["from"], e["to"], e["port"], e["verdict"], e["origin"]):
            (e["count"], e["bytes_out"], e["bytes_in"]) for e in c.good("GET", "/edges")["edges"]}


def test_a_file_of_aws_is_named_counted_and_never_taken_twice(controller, tmp_path):
    c = controller
    path = aws_file(tmp_path / "vpc.log", started(c))
    [told], said = imported(c, "aws-vpc", path, code=9)
    assert told == {"file": str(path), "records": 81, "connections": 41, "imported": 41, "there_already": 0,
                    "no_data": 1, "skip_data": 1, "other": 0, "malformed": 1}
    assert re.search(rf"^{path}:84:24: srcaddr: found \"10.20.1.999\"; expected an IPv4 or IPv6 address$", said, re.M)
    expected = {("web1", "db1", 5432, "seen", "aws"): (40, 4000, 8000), ("pc1", "db1", 22, "seen-deny", "aws"): (1, 60, 0)}
    assert kept(c, 41) == expected
    assert {f["reporter"] for f in all_flows(c)} == {"eni-0a1"}
    assert c.good("GET", "/flows")["incomplete"][0]["lost"] == 1  # What the cloud skipped.
    packed = tmp_path / "vpc.log.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    [again], _ = imported(c, "aws-vpc", packed, code=9)
    assert (again["imported"], again["there_already"]) == (0, 41)
    c.kill()
    c.start()
    [again], _ = imported(c, "aws-vpc", path, code=9)
    assert (again["imported"], again["there_already"]) == (0, 41)
    assert kept(c, 41) == expected
    audit = c.good("GET", "/audit")
    entries = audit if isinstance(audit, list) else audit["entries"]
    assert sum(e["action"] == "flows.import" for e in entries) == 1


@pytest.mark.parametrize("format, make, out, marks", [
    ("azure-nsg", azure_file, (1, 500, 900), []), ("azure-vnet", vnet_file, (1, 500, 900), []),
    ("gcp-vpc", gcp_file, (1, 500, 900), ["guessed", "estimated"])])
def test_files_of_other_clouds_say_the_same(controller, tmp_path, format, make, out, marks):
    c = controller
    path = make(tmp_path / "log.json", started(c))
    [told], said = imported(c, format, path)
    assert (told["imported"], told["malformed"], said) == (2, 0, "")
    origin = format.split("-")[0]
    edges = kept(c, 2)
    assert edges[("web1", "db1", 5432, "seen", origin)] == out
    assert ("pc1", "db1", 22, "seen-deny", origin) in edges
    assert next(f for f in all_flows(c) if f["port"] == 5432)["marks"] == marks
    assert c.cli("flows", "--verdict", "seen-deny").stdout.count("pc1 -> db1 tcp/22") == 1


def test_an_import_that_was_cut_off_goes_on_where_it_was(controller, tmp_path):
    """More than one batch; the daemon is killed while it takes them."""
    c = controller
    at, n = started(c), 500000 if LONG else 20000
    path = tmp_path / "big.log"
    with open(path, "w") as f:
        for i in range(n):
            f.write(aws(WEB, DB, 1024 + i % 60000, 5432, 1, at + i // 60000 * 600) + "\n")
    command = [str(CLI), "flows", "import", "--format", "aws-vpc", "--socket", str(c.run_dir / "api.sock"), str(path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: c.good("GET", "/status")["history"]["records"] > 0)
    c.kill()
    first.communicate(timeout=120)
    c.start()
    [told], _ = imported(c, "aws-vpc", path)
    assert told["imported"] + told["there_already"] == told["connections"] == n
    kept(c, n)


def test_an_import_is_done_when_it_is_on_the_disk(controller, tmp_path):
    """The disk does not come back: what was taken is in the answers, and who imports it still waits when the daemon dies."""
    c = controller
    on_a_slow_disk(c, tmp_path)
    c.start()
    path = aws_file(tmp_path / "vpc.log", started(c))
    go, held = fifo(tmp_path / "disk.go"), fifo(tmp_path / "disk.journal")
    command = [str(CLI), "flows", "import", "--format", "aws-vpc", "--socket", str(c.run_dir / "api.sock"), str(path)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    released(held)
    kept(c, 41)
    c.kill()
    said = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 7 and "the same command goes on" in said[1], (first.returncode, said)
    go.unlink()
    c.start()
    [told], _ = imported(c, "aws-vpc", path, code=9)
    assert told["imported"] + told["there_already"] == 41
    kept(c, 41)


def test_a_dry_run_needs_no_controller_and_a_wrong_file_is_said(tmp_path):
    at = int(time.time())
    path = aws_file(tmp_path / "vpc.log", at)
    run = [str(CLI), "flows", "import", "--socket", "/nowhere", "--dry-run", "-o", "json", "--format"]
    done = subprocess.run(run + ["aws-vpc", str(path)], capture_output=True, text=True)
    assert done.returncode == 9 and json.loads(done.stdout)[0]["connections"] == 41
    done = subprocess.run(run + ["azure-nsg", str(path)], capture_output=True, text=True)
    assert done.returncode == 9 and f"{path}:1:1: between entries: found \"2\"; expected objects of JSON" in done.stderr
    done = subprocess.run(run + ["aws-vpc", str(tmp_path / "none")], capture_output=True, text=True)
    assert done.returncode == 4 and "No such file" in done.stderr
    done = subprocess.run(run + ["aws", str(path)], capture_output=True, text=True)
    assert done.returncode == 2 and "expected aws-vpc, azure-nsg, azure-vnet or gcp-vpc" in done.stderr
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(path.read_bytes())[:-20])
    done = subprocess.run(run + ["aws-vpc", str(cut)], capture_output=True, text=True)
    assert done.returncode == 3 and "unexpected end of file" in done.stderr


@pytest.mark.parametrize("change, field", [
    ({"file": "xyz"}, "file"), ({"origin": "agent"}, "origin"), ({"batch": 0}, "batch"),
    ({"reporters": []}, "reporters"), ({"reporters": [7]}, "reporters"),
    ({"records": [[0]]}, "records"), ({"records": [[9, 1, 2, WEB, DB, 1, 2, 6, "allow", 1, 1, 1, 0]]}, "records"),
    ({"records": [[0, 2, 1, WEB, DB, 1, 2, 6, "allow", 1, 1, 1, 0]]}, "records"),
    ({"records": [[0, 1, 2, WEB, "db1", 1, 2, 6, "allow", 1, 1, 1, 0]]}, "records"),
    ({"records": [[0, 1, 2, WEB, DB, 1, 2, 6, "would-deny", 1, 1, 1, 0]]}, "records"),
    ({"records": [[0, 1, 2, WEB, DB, 1, 2, 6, "allow", 1, 1, 1, 1]]}, "records"),  # Nobody else enforces.
])
def test_the_route_takes_nothing_that_it_does_not_understand(shared, change, field):
    good = {"file": "00000000000000aa", "batch": 1, "origin": "aws", "reporters": ["eni"], "records": []}
    status, body, _ = shared.ask("POST", "/flows/import", good | change)
    assert status == 422 and body["field"] == field, body


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    import tempfile
    with tempfile.TemporaryDirectory(prefix="sm-test-") as path:
        os.chmod(path, 0o755)
        c = Controller(pathlib.Path(path)).start()
        yield c
        c.kill()
