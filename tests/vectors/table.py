# SPDX-License-Identifier: Apache-2.0
"""The table enforcer x cases: how each way of asking agrees with the answers of the vectors.

A case agrees, differs, or is an expected refusal: the enforcer cannot check what the case turns on,
or its packet cannot be made, and the reason is counted.  At the end of a run the table is printed
and written to build/vectors.txt; rows of former runs that this run did not make stay in it."""
import collections
import json
import pathlib

BUILD = pathlib.Path(__file__).resolve().parents[2] / "build"
_rows = {}
_said = []


def count(enforcer, result, reason=None):
    """'result': "agree", "refused" (with its reason) or "differ"."""
    row = _rows.setdefault(enforcer, {"agree": 0, "differ": 0, "refused": collections.Counter()})
    if result == "refused":
        row["refused"][reason] += 1
    else:
        row[result] += 1


def say(line):
    """A line of another kind for the end of the run."""
    _said.append(line)


def finish():
    """The table's lines, and the file; [] when no vector ran."""
    said = _said[:]
    _said.clear()
    if not _rows:
        return said
    kept = BUILD / "vectors.json"
    rows = {**(json.loads(kept.read_text()) if kept.exists() else {}), **_rows}
    kept.write_text(json.dumps(rows, indent=1))
    (BUILD / "vectors.txt").write_text("\n".join(lines(rows)) + "\n")
    new = lines(_rows)
    _rows.clear()  # Each folder's conftest.py asks.
    return new + said


def lines(rows):
    found = [f"vectors, {'':<22} {'agree':>6} {'expected refusal':>17} {'differ':>7}"]
    for name, row in sorted(rows.items()):
        found.append(f"vectors, {name:<22} {row['agree']:>6} {sum(row['refused'].values()):>17} "
                     f"{row['differ']:>7}")
    for name, row in sorted(rows.items()):
        found += [f"vectors, {name} refuses {n}: {reason}"
                  for reason, n in sorted(row["refused"].items(), key=lambda x: (-x[1], x[0]))]
    return found
