# SPDX-License-Identifier: Apache-2.0
"""CPU time that the kernel's own threads spend on packets, which no cgroup of a host counts."""
import pathlib


def softirq_us():
    total = 0
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().startswith("ksoftirqd/"):
                total += int((path.parent / "schedstat").read_text().split()[0]) // 1000
        except OSError:
            continue
    return total
