#!/usr/bin/python3
"""Runs every check and ends with "N passed, N failed, N skipped".

usage: check.py [--fuzz-seconds S] [STAGE...]      without a stage: all of them
Stages: build first, then in lanes side by side: system and web, netns, and lint, unit, asan and fuzz.
The last lane computes while the others mostly wait, and gives way to them (nice).  Exit code 0 only
when nothing failed."""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
PYTHON = "/usr/bin/python3"
TAP = re.compile(r"^(not )?ok\b[^#]*(# *SKIP)?", re.I)


class Tally:
    """Counts of a stage; says each failure at once and each skip by name."""

    def __init__(self):
        self.passed, self.failed, self.skipped, self.failures = 0, 0, 0, []

    def ok(self, n=1):
        self.passed += n

    def fail(self, name, text=""):
        self.failed += 1
        self.failures.append(name)
        print(f"FAILED {name}")
        if text:
            print("    " + "\n    ".join(text.rstrip().splitlines()[-40:]))

    def skip(self, name, why):
        self.skipped += 1
        print(f"SKIPPED {name}: {why}")

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped
        self.failures += other.failures


def run(*command, env=None, timeout=1800):
    """Returns (exit code, output) of a command run from the project's root."""
    try:
        done = subprocess.run([str(c) for c in command], cwd=ROOT, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=timeout,
                              env={**os.environ, **(env or {})})
        return done.returncode, done.stdout
    except subprocess.TimeoutExpired as e:
        return 124, f"{e.stdout or ''}\nended after {timeout} s"


def single(tally, name, *command, **options):
    """One command is one test."""
    code, output = run(*command, **options)
    if code == 0:
        tally.ok()
    else:
        tally.fail(name, output)
    return code == 0


def build(tally, folder, compiler="gcc", *options):
    """Configures a build folder once, then builds it; warnings are errors."""
    if not (ROOT / folder / "build.ninja").exists():
        code, output = run("meson", "setup", folder, *options, env={"CC": compiler})
        if code:
            tally.fail(f"configure {folder}", output)
            return False
    return single(tally, f"build {folder} with {compiler}", "ninja", "-C", folder, "--quiet")


def stage_build(tally, _):
    if not build(tally, "build"):
        return False
    build(tally, "build-clang", "clang")
    return True


def sources(*folders):
    return sorted(str(p.relative_to(ROOT)) for f in folders for p in (ROOT / f).rglob("*.[ch]"))


def stage_lint(tally, _):
    single(tally, "layers", PYTHON, "tools/check_layers.py", ROOT / "src")
    single(tally, "pure core", "tools/check_pure.sh", "build/src/core/libcore.a",
           "build/src/base/libbase.a")
    single(tally, "names", "tools/check_names.sh", "build")
    single(tally, "clang-format", "clang-format", "--dry-run", "-Werror", *sources("src", "tests"))
    single(tally, "cppcheck", "cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr",
           "--enable=warning,performance,portability", "--suppressions-list=tools/cppcheck.txt",
           "--include=tools/cppcheck.h", "-isrc/bpf", "-j2", "-Isrc", "-Itests", "--std=c11", "src")
    ours = [f for f in sources("src") if f.endswith(".c") and not f.endswith(".bpf.c")]
    single(tally, "clang-tidy", "tools/tidy.sh", "build-clang", *ours, timeout=3600)
    return True


def side_by_side(work, items):
    """work(item) of each, as many at once as there are processors; the results in order."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, items))


def read_tap(tally, name, code, output):
    """Each 'ok' line of a cmocka program is one test."""
    seen = 0
    for line in output.splitlines():
        m = TAP.match(line.strip())
        if not m:
            if line.startswith("1..0"):
                tally.skip(name, line.partition("#")[2].strip())
                return
            continue
        seen += 1
        if m[1]:
            tally.fail(f"{name}: {line.strip()}", output)
        elif m[2]:
            tally.skip(f"{name}: {line.strip()}", "see above")
        else:
            tally.ok()
    if code and not any(f.startswith(name) for f in tally.failures):
        tally.fail(f"{name}: exit code {code}", output)
    elif not seen:
        tally.fail(f"{name}: ran no test", output)


def run_unit(tally, folder, label, env=None):
    code, output = run("meson", "introspect", "--tests", folder)
    if code:
        tally.fail(f"list the tests of {folder}", output)
        return
    tests = json.loads(output)
    done = side_by_side(lambda t: run(*t["cmd"], env={**t["env"], "CMOCKA_MESSAGE_OUTPUT": "TAP",
                                                      **(env or {})}), tests)
    for test, (code, output) in zip(tests, done):
        read_tap(tally, f"{label}/{test['name']}", code, output)


def stage_unit(tally, _):
    run_unit(tally, "build", "unit")
    return True


def stage_asan(tally, _):
    if build(tally, "build-asan", "gcc", "-Db_sanitize=address,undefined", "-Dbuildtype=debug",
             "-Doptimization=1", "-Db_lundef=false"):
        run_unit(tally, "build-asan", "asan",
                 {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
                  "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"})
    return True


def stage_system(tally, _):
    """pytest: the programs as their users meet them."""
    return run_pytest(tally, "system")


def stage_netns(tally, _):
    """pytest: real traffic between network namespaces."""
    return run_pytest(tally, "netns")


def stage_web(tally, _):
    """The web console in Chromium; skipped by name where npm or Chromium is missing."""
    return run_pytest(tally, "web")


def run_pytest(tally, folder):
    """Each case is one test."""
    report = ROOT / "build" / f"pytest-{folder}.xml"
    report.unlink(missing_ok=True)
    code, output = run(PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                       f"--junitxml={report}", ROOT / "tests" / folder,
                       timeout=6 * 3600)  # Against a test that hangs, and no measure of speed.
    if not report.exists():
        tally.fail("pytest", output)
        return True
    for line in output.splitlines():
        if line.startswith(("vectors, ", "battery, ")):  # How the enforcers agree, and what leaks.
            print(line)
    for case in xml.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        bad = case.find("failure") if case.find("failure") is not None else case.find("error")
        if bad is not None:
            tally.fail(name, bad.text or "")
        elif case.find("skipped") is not None:
            tally.skip(name, case.find("skipped").get("message"))
        else:
            tally.ok()
    if code not in (0, 1):
        tally.fail(f"pytest exit code {code}", output)
    return True


def stage_fuzz(tally, options):
    """Every fuzz target on its corpus, then new inputs for some seconds."""
    targets = sorted((ROOT / "tests/fuzz").glob("fuzz_*.c"))
    if not targets:
        return True
    if not build(tally, "build-fuzz", "clang", "-Db_sanitize=address,undefined", "-Dfuzz=true",
                 "-Dbuildtype=debug", "-Doptimization=1", "-Db_lundef=false"):
        return True
    for target, (code, output) in zip(targets, side_by_side(
            lambda t: fuzz(t.stem, options.fuzz_seconds), targets)):
        if code:
            tally.fail(target.stem, output)
        else:
            tally.ok()
    return True


def fuzz(target, seconds):
    corpus = ROOT / "tests/fuzz/corpus" / target
    found = ROOT / "build-fuzz" / "found" / target
    found.mkdir(parents=True, exist_ok=True)
    return run(f"build-fuzz/tests/{target}", "-timeout=60", "-rss_limit_mb=2048",
               f"-max_total_time={seconds}", "-seed=1", f"-artifact_prefix={found}/", found,
               *([corpus] if corpus.exists() else []))


STAGES = {"build": stage_build, "lint": stage_lint, "unit": stage_unit, "asan": stage_asan,
          "fuzz": stage_fuzz, "system": stage_system, "web": stage_web, "netns": stage_netns}
LANES = (("system", "web"), ("netns",), ("lint", "unit", "asan", "fuzz"))
GIVES_WAY = 10  # The nice value of the lane that computes: a tenth of a processor that is wanted by both.


def run_stage(name, options):
    """A tally, and whether to go on."""
    tally, start = Tally(), time.monotonic()
    go_on = STAGES[name](tally, options)
    print(f"{name}: {tally.passed} passed in {time.monotonic() - start:.0f} s", flush=True)
    return tally, go_on


def run_lane(lane, options):
    """Its stages, one after the other."""
    if "lint" in lane:  # Linux: of this thread, which its threads and processes inherit.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), GIVES_WAY)
    return [run_stage(name, options)[0] for name in lane]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fuzz-seconds", type=int, default=5)
    parser.add_argument("stages", nargs="*", metavar="STAGE", help=" ".join(STAGES))
    options = parser.parse_args()
    if unknown := set(options.stages) - set(STAGES):
        parser.error(f"no such stage: {', '.join(sorted(unknown))}; there are {' '.join(STAGES)}")
    wanted, tally, go_on = options.stages or list(STAGES), Tally(), True
    if "build" in wanted:
        done, go_on = run_stage("build", options)
        tally.add(done)
    lanes = [lane for lane in ([n for n in lane if n in wanted] for lane in LANES) if lane and go_on]
    with concurrent.futures.ThreadPoolExecutor(max(1, len(lanes))) as pool:
        for lane in pool.map(lambda lane: run_lane(lane, options), lanes):
            for done in lane:
                tally.add(done)
    for name in tally.failures:
        print(f"FAILED {name}")
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    print(f"{tally.passed} passed, {tally.failed} failed{skipped}")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
