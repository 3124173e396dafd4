# SPDX-License-Identifier: Apache-2.0
"""A pretend enterprise that lives: who is there, what they do, and the truth of it.  docs/life.md is the manual."""
from life.days import HEADER, Days, Flow, row
from life.enterprise import Endpoint, Enterprise
from life.facts import SMALLEST

__all__ = ["Days", "Endpoint", "Enterprise", "Flow", "HEADER", "SMALLEST", "row"]
