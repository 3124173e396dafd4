# SPDX-License-Identifier: Apache-2.0
"""What the tests with real traffic share.  Each test session has namespaces of its own prefix."""
import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "lab"), str(pathlib.Path(__file__).resolve().parent)]


def pytest_collection_modifyitems(items):
    if os.geteuid() != 0:
        for item in items:
            item.add_marker(pytest.mark.skip(reason="needs root: network namespaces"))
