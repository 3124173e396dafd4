# SPDX-License-Identifier: Apache-2.0
"""`suimitsu history …`: records out, in, the same again; what is wrong is told."""
import csv
import io
import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / "build/tests/history"
HEADER = ("first,last,from,source,to,destination,protocol,port,verdict,enforced,layer,rule,revision,"
          "process,script,user,uid,count,bytes_out,bytes_in,reporter,direction,origin\n")
ROW = ("2026-11-22T10:00:00.123Z,2026-11-22T10:00:01.000Z,pc1,192.0.2.1,{to},2001:db8::1,tcp,443,"
       "allow,yes,allow,web,7,/usr/bin/curl,,ops,1000,3,1200,18446744073709551615,pc1,out,agent\n")


def cli(*arguments, code=0):
    done = subprocess.run([ROOT / "build/bin/suimitsu", "history", *map(str, arguments)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr + done.stdout
    return done


def test_what_is_exported_is_imported_as_it_was(tmp_path):
    subprocess.run([BENCH, "store", tmp_path / "one", "3000", "200"], check=True,
                   capture_output=True)
    for kind in ("csv", "json"):
        file = tmp_path / f"records.{kind}"
        file.write_text(cli("export", tmp_path / "one", "--format", kind).stdout)
        assert "3" in cli("import", tmp_path / kind, file).stdout
        again = cli("export", tmp_path / kind, "--format", kind).stdout
        assert sorted(again.splitlines()) == sorted(file.read_text().splitlines())
        assert cli("import", tmp_path / kind, file).stdout.startswith("0 records imported, ")
        assert (json.loads(cli("state", tmp_path / kind, "-o", "json").stdout)["records"]
                == json.loads(cli("state", tmp_path / "one", "-o", "json").stdout)["records"])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "records.csv").read_text())))
    lines = [json.loads(x) for x in (tmp_path / "records.json").read_text().splitlines()]
    assert len(rows) == len(lines) >= 3000
    assert {r["first"] for r in rows} == {x["first"] for x in lines}


def test_names_with_quotes_commas_and_line_ends_come_back(tmp_path):
    file = tmp_path / "in.csv"
    file.write_text(HEADER + ROW.format(to='"a ""b"", c\nd"') + ROW.format(to="'; DROP TABLE x"))
    for where in (tmp_path / "folder", f"sqlite:{tmp_path / 'db'}"):
        cli("import", where, file)
        out = cli("export", where).stdout
        rows = list(csv.DictReader(io.StringIO(out)))
        assert {r["to"] for r in rows} == {'a "b", c\nd', "'; DROP TABLE x"}
        assert rows[0]["bytes_in"] == "18446744073709551615"
        assert rows[0]["first"] == "2026-11-22T10:00:00.123Z"
        assert out.replace("\r", "").count("\n") == file.read_text().count("\n")


def test_what_is_wrong_in_a_file_is_told_with_its_line_and_nothing_is_taken(tmp_path):
    file = tmp_path / "in.csv"
    good = ROW.format(to="db1")
    for bad, words in ((good.replace("allow,yes", "alow,yes"),
                        'line 3: verdict: "alow"; expected one of deny, allow, would-deny'),
                       (good.replace("192.0.2.1", "192.0.2"), 'line 3: source: "192.0.2"'),
                       (good.replace("tcp,443", "tcp,70000"), 'line 3: port: "70000"'),
                       (good.replace("2026-11-22T10:00:01", "2026-11-21T10:00:01"),
                        "line 3: expected first and last, in order"),
                       (good.replace(",agent", ""), "line 3: origin: expected as many values")):
        file.write_text(HEADER + good + bad)
        assert words in cli("import", tmp_path / "h", file, code=3).stderr
        assert not (tmp_path / "h").exists()
    file = tmp_path / "in.json"
    file.write_text('{"first": "2026-11-22T10:00:00Z", "frm": "x"}\n')
    assert 'line 1: "frm"; expected only the keys' in cli("import", tmp_path / "h", file, code=3).stderr
    file.write_text("[1]\n")
    assert "line 1: expected a JSON object a line" in cli("import", tmp_path / "h", file, code=3).stderr


def test_filters_and_limits(tmp_path):
    subprocess.run([BENCH, "store", tmp_path / "h", "3000", "200"], check=True, capture_output=True)
    every = list(csv.DictReader(io.StringIO(cli("export", tmp_path / "h").stdout)))
    some = list(csv.DictReader(io.StringIO(
        cli("export", tmp_path / "h", "--endpoint", "host-00007.example.org").stdout)))
    assert some and len(some) == sum("host-00007.example.org" in (r["from"], r["to"]) for r in every)
    middle = sorted(r["first"] for r in every)[len(every) // 2][:19] + "Z"
    late = list(csv.DictReader(io.StringIO(cli("export", tmp_path / "h", "--since", middle).stdout)))
    assert len(late) == sum(r["last"] >= middle[:19] + ".000Z" for r in every)
    assert "no record of this history knows" in cli("export", tmp_path / "h", "--endpoint", "nobody",
                                                    code=4).stderr
    assert "--until is not after" in cli("export", tmp_path / "h", "--since", middle, "--until",
                                         middle, code=2).stderr
    assert "needs --age or --size" in cli("retain", tmp_path / "h", code=2).stderr
    assert cli("retain", tmp_path / "h", "--size", "1G").stdout == "0 records forgotten\n"
    assert cli("state", tmp_path / "absent", code=4).stderr
