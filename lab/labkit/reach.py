# SPDX-License-Identifier: Apache-2.0
"""Who reaches whom, measured: every host tries every service at once, over IPv4 and IPv6."""
import json
import subprocess

from labkit.programs import install
from labkit.system import PATIENCE, ROOT, LabError

PROBE = ROOT / "build" / "lab" / "probe" / "probe"
INSIDE = "/opt/probe"  # A program that no policy names: what an intruder brings along.


def place_probe(lab):
    if not PROBE.exists():
        raise LabError("the probe is not built: run `make build`")
    for host in lab.hosts.values():
        install(host, PROBE, INSIDE)


def measure(lab, sources, services, limit_ms=1500):
    """{(source, host, port): how many of the host's addresses answered}, all by real connections.
    'services' is a list of (host, port)."""
    running = []
    for source in sources:
        wanted = {f"tcp,{address},{port}": (source, host, port) for host, port in services
                  if host != source for address in lab.world.addresses(host)}
        running.append((wanted, lab[source].popen([INSIDE, "try", "-t", limit_ms, *wanted],
                                                  stdin=subprocess.DEVNULL,
                                                  stdout=subprocess.PIPE, text=True)))
    found = {}
    for wanted, process in running:
        out, _ = process.communicate(timeout=limit_ms / 1000 + 30 * PATIENCE)
        for line in map(json.loads, out.splitlines()):
            cell = wanted[line["target"]]
            found[cell] = found.get(cell, 0) + (line["result"] == "open")
    return found


def table(lab, found, sources, services):
    """The measurement as lines of text: 'open' over both families, 'half' over one, '.' none."""
    hosts = "".join(f"{host if n == 0 or services[n - 1][0] != host else '':<7}"
                    for n, (host, _) in enumerate(services))
    ports = "".join(f"{port:<7}" for _, port in services)
    lines = [f"{'from':<9}{hosts}", f"{'':<9}{ports}"]
    for source in sources:
        cells = ""
        for host, port in services:
            n = found.get((source, host, port))
            full = len(lab.world.addresses(host))
            cells += f"{'' if n is None else 'open' if n == full else 'half' if n else '.':<7}"
        lines.append(f"{source:<9}{cells}")
    n_open = sum(1 for n in found.values() if n)
    lines.append(f"{n_open} of {len(found)} paths are open")
    return [line.rstrip() for line in lines]
