# SPDX-License-Identifier: Apache-2.0
"""A world: hosts, bridges, users and programs, read from lab/worlds/NAME.yaml and checked."""
import ipaddress
import pathlib
import re

import yaml

from labkit.programs import KINDS
from labkit.system import ROOT, LabError

WORLDS = ROOT / "lab" / "worlds"
NAME = re.compile(r"^[a-z][a-z0-9-]{0,10}$")  # Also an interface name: at most 15 with a suffix.
KEYS = {
    "world": {"suimitsu-lab", "bridges", "hosts", "users", "edge"},
    "bridge": {"v4", "v6"},
    "host": {"labels", "bridge", "addresses", "agent", "edge", "refuse", "hole", "programs"},
    "hole": {"port", "request"},
    "user": {"groups", "uid"},
}


class World:
    """What up, status, down and inventory work from.  'text' is kept so that a copy can be stored."""

    def __init__(self, name, text):
        self.name, self.text = name, text
        try:
            data = yaml.safe_load(text)
        except yaml.YAMLError as e:
            raise LabError(f"world {name}: {e}") from None
        self._keys("the world", data, "world")
        if data.get("suimitsu-lab") != 1:
            raise LabError(f"world {name}: the first key must be 'suimitsu-lab: 1'")
        self.bridges = data.get("bridges") or {}
        self.hosts = data.get("hosts") or {}
        self.users = data.get("users") or {}
        self.edge = data.get("edge")  # What the inventory calls the namespace of the bridges.
        self._check()
        self._check_edge()

    @classmethod
    def load(cls, name):
        """By name from lab/worlds, or by path when there is a slash in it."""
        path = pathlib.Path(name) if "/" in str(name) else WORLDS / f"{name}.yaml"
        if not path.exists():
            known = ", ".join(sorted(p.stem for p in WORLDS.glob("*.yaml")
                                     if "." not in p.stem)) or "none"
            raise LabError(f"no world '{name}': {path} does not exist; there are: {known}")
        return cls(path.stem, path.read_text())

    def _keys(self, where, data, kind):
        if not isinstance(data, dict):
            raise LabError(f"world {self.name}: {where} must be a mapping")
        for key in data:
            if key not in KEYS[kind]:
                raise LabError(f"world {self.name}: {where}: unknown key '{key}'; "
                               f"there are {', '.join(sorted(KEYS[kind]))}")

    def _bad(self, text):
        raise LabError(f"world {self.name}: {text}")

    def _check(self):
        networks = {}
        for name, bridge in self.bridges.items():
            self._keys(f"bridge {name}", bridge, "bridge")
            if not NAME.match(str(name)):
                self._bad(f"bridge '{name}': a name is a-z, 0-9 and -, at most 11 characters")
            try:
                networks[name] = [ipaddress.ip_interface(bridge[v]) for v in ("v4", "v6")]
            except (KeyError, ValueError) as e:
                self._bad(f"bridge {name}: needs v4 and v6 as ADDRESS/LENGTH ({e})")
        seen = {}
        for name, host in self.hosts.items():
            self._keys(f"host {name}", host, "host")
            if not NAME.match(str(name)):
                self._bad(f"host '{name}': a name is a-z, 0-9 and -, at most 11 characters")
            if host.get("bridge") not in networks:
                self._bad(f"host {name}: no bridge '{host.get('bridge')}'; "
                          f"there are {', '.join(networks)}")
            for address in host.get("addresses") or []:
                try:
                    value = ipaddress.ip_address(address)
                except ValueError as e:
                    self._bad(f"host {name}: {e}")
                if seen.setdefault(value, name) != name:
                    self._bad(f"host {name}: {address} belongs to {seen[value]} already")
                if not any(value in n.network for n in networks[host["bridge"]]):
                    self._bad(f"host {name}: {address} is not in a network of bridge "
                              f"{host['bridge']}")
            for program in host.get("programs") or []:
                if not isinstance(program, dict) or program.get("kind") not in KINDS:
                    self._bad(f"host {name}: a program needs a kind: {', '.join(sorted(KINDS))}")
        for n, (name, user) in enumerate(self.users.items()):
            self._keys(f"user {name}", user, "user")
            user.setdefault("uid", 2001 + n)

    def _check_edge(self):
        if self.edge and (not NAME.match(str(self.edge)) or self.edge in self.hosts):
            self._bad(f"edge '{self.edge}': a name that no host has, a-z, 0-9 and -, at most 11 characters")
        for name, host in self.hosts.items():
            if host.get("edge") and not self.edge:
                self._bad(f"host {name}: nobody guards its port; the world needs 'edge: NAME'")
            if host.get("hole"):
                self._keys(f"the hole of host {name}", host["hole"], "hole")
                if set(host["hole"]) != KEYS["hole"]:
                    self._bad(f"the hole of host {name}: needs port and request")

    def mac(self, name):
        """Of a guarded host's interface, so that the inventory can name it; else None."""
        if not self.hosts[name].get("edge"):
            return None
        return f"02:53:4d:00:00:{list(self.hosts).index(name) + 1:02x}"

    def controller(self):
        """The host that suimitsud runs on: labelled so, or called control."""
        return next((n for n, h in self.hosts.items()
                     if (h.get("labels") or {}).get("role") == "controller"), "control")

    def addresses(self, name):
        return [ipaddress.ip_address(a) for a in self.hosts[name].get("addresses") or []]

    def address(self, name, version=4):
        for a in self.addresses(name):
            if a.version == version:
                return str(a)
        self._bad(f"host {name} has no IPv{version} address")

    def network(self, bridge, version):
        return ipaddress.ip_interface(self.bridges[bridge][f"v{version}"])


def inventory(world):
    """The Suimitsu inventory of this world, as a value ready for YAML or JSON."""
    endpoints = {}
    for name, host in world.hosts.items():
        endpoints[name] = {"labels": {k: str(v) for k, v in (host.get("labels") or {}).items()},
                           "addresses": [str(a) for a in world.addresses(name)],
                           "enforcers": [e for e, key in (("host", "agent"), ("edge", "edge")) if host.get(key)]}
        if host.get("edge"):
            endpoints[name]["edge"] = {"agent": world.edge, "port": name, "macs": world.mac(name)}
            if host.get("refuse"):
                endpoints[name]["edge"]["refuse"] = host["refuse"]
    if world.edge:
        endpoints[world.edge] = {"labels": {"role": "edge"}, "enforcers": [],
                                 "addresses": [str(world.network(b, v).ip) for b in world.bridges
                                               for v in (4, 6)]}
    users = {name: {"groups": list(user.get("groups") or [])} for name, user in world.users.items()}
    return {"suimitsu-inventory": 1, "endpoints": endpoints, "users": users}
