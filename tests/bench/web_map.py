# SPDX-License-Identifier: Apache-2.0
"""Metric 16: the console's map with 10,000 endpoints and 50,000 flows beside Sigma, in the same
Chromium in software rendering, each in a browser of its own, in turn (web/bench.mjs).

A frame's cost is the CPU time of all of the browser's processes while the picture is panned, divided
by frames; the first frame is wall time, from the facts in memory to the picture."""
import json
import pathlib
import statistics
import subprocess

BENCH = pathlib.Path(__file__).resolve().parent / "web" / "bench.mjs"
SHAPE = (10_000, 50_000, 200)
TIMEOUT_S = 1800


class WebMapError(Exception):
    """It did not run."""


def measure(lines, rounds, peer=True):
    done = subprocess.run(["node", str(BENCH), *map(str, SHAPE), str(rounds), *(["sigma"] if peer else [])],
                          text=True, capture_output=True, timeout=TIMEOUT_S)
    if done.returncode:
        raise WebMapError(f"web map (npm ci in web/?): {done.stderr.strip()[-400:]}")
    found = [json.loads(line) for line in done.stdout.splitlines()]

    def median(kind, key, where=None):
        values = [f[key] for f in found if f["kind"] == kind and where in (None, f["where"])]
        return statistics.median(values) if values else None
    for where in ("all in sight", "inside"):
        ours, sigma = median("ours", "cpu_ms", where), median("sigma", "cpu_ms", where)
        lines.add("16", f"a frame while panning, {where}", f"{ours:.1f} CPU-ms", "16 CPU-ms", "goal", f"{ours / 16:.2f}")
        if sigma:
            lines.add("16", f"a frame while panning, {where}", f"{ours:.1f} CPU-ms", f"{sigma:,.0f} CPU-ms", "Sigma",
                      f"{ours / sigma:.4f}")
    first, other = median("ours", "first_ms"), median("sigma", "first_ms")
    lines.add("16", "first frame", f"{first:.0f} ms", "1000 ms", "goal", f"{first / 1000:.2f}")
    if other:
        lines.add("16", "first frame", f"{first:.0f} ms", f"{other:,.0f} ms", "Sigma", f"{first / other:.4f}")
