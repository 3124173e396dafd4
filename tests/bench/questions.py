# SPDX-License-Identifier: Apache-2.0
"""Metric 6: what is asked of a policy before it touches a packet, beside brute force.

Ours answers about all endpoints at once, by classes; brute force is a search endpoint by endpoint and
rule by rule, from a sample of starts, and has to find the same reach (questions.c fails otherwise).
A no-path from 10 endpoints that holds takes brute force one such search for each of them."""
import json
import pathlib
import statistics
import subprocess

QUESTIONS = pathlib.Path(__file__).resolve().parent.parent.parent / "build" / "tests" / "questions"
SIZES = ((1000, 1000, 100, 1, 10), (10_000, 10_000, 1000, 1, 10), (100_000, 10_000, 1000, 1, 3),
         (10_000, 10_000, 1000, 5, 3), (100_000, 10_000, 1000, 5, 0))
TIMEOUT_S = 600


class QuestionsError(Exception):
    """Ours and brute force disagree, or it did not run."""


def ask(size):
    done = subprocess.run([str(QUESTIONS), *map(str, size)], capture_output=True, text=True,
                          timeout=TIMEOUT_S)
    if done.returncode:
        raise QuestionsError(f"questions: {done.stderr.strip()}")
    found = json.loads(done.stdout)
    if not found["holds"] or found["path_holds"] or not found["agree"]:
        raise QuestionsError(f"questions: the proofs are not what the shape says: {found}")
    return found


def measure(lines, rounds):
    for size in SIZES:
        found = [ask(size) for _ in range(rounds)]
        median = {k: statistics.median(f[k] for f in found) for k in found[0]}
        name = "/".join(map(str, size[:3])) + (f", {size[3]} groups an endpoint" if size[3] > 1 else "")
        proof = median["hops_s"] + median["no_path_s"]
        if size[4]:
            brute = median["brute_s"] / median["sample"]
            lines.add("6", f"no-path that holds, {name}", f"{proof:.4f} CPU-s",
                      f"{brute:.3f} CPU-s for one start", "brute force", f"{proof / brute:.4f}")
        lines.add("6", f"no-path that holds, {name}", f"{proof:.4f} CPU-s", "1 CPU-s", "goal", f"{proof:.3f}")
        for what, key in (("all lints", "lint_s"), ("diff of one changed rule", "diff_s"),
                          ("reach of all groups, before and after", "reach_changes_s"),
                          ("the ten furthest", "furthest_s"), ("membership", "world_s")):
            lines.add("6", f"{what}, {name}", f"{median[key]:.4f} CPU-s", "-", "no peer", "-")
        lines.add("6", f"peak memory, {name}", f"{median['peak_kb'] / 1024:.0f} MiB", "500 MiB", "goal",
                  f"{median['peak_kb'] / 1024 / 500:.3f}")
