# SPDX-License-Identifier: Apache-2.0
"""What the tests with real traffic share.  Each test session has namespaces of its own prefix."""
import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "lab"), str(pathlib.Path(__file__).resolve().parent),
                str(ROOT / "tests" / "vectors")]
import table  # noqa: E402


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root: network namespaces"))


def pytest_terminal_summary(terminalreporter):
    """The table of the vectors: enforcer and how many cases agreed with the evaluator's answers."""
    for line in table.finish():
        terminalreporter.write_line(line)
