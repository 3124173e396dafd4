# SPDX-License-Identifier: Apache-2.0
"""Hosts made of namespaces: see docs/lab.md."""
from labkit.control import Control, EdgeAgent, binary
from labkit.lab import Lab, Host, running_labs
from labkit.system import LabError
from labkit.world import World, inventory

__all__ = ["Control", "EdgeAgent", "binary", "Lab", "Host", "LabError", "World", "inventory", "running_labs"]
