# SPDX-License-Identifier: Apache-2.0
"""What the tests of programs share."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vectors"))
import table  # noqa: E402


def pytest_terminal_summary(terminalreporter):
    for line in table.finish():
        terminalreporter.write_line(line)
