# SPDX-License-Identifier: Apache-2.0
"""The nftables enforcer in a host of the lab: tests/netns/nft_driver.c, driven line by line."""
import json
import subprocess

from labkit.system import NETNS, ROOT, LabError, run

DRIVER = ROOT / "build" / "tests" / "nft_driver"


class Nft:
    def __init__(self, host, binary=None):
        """'binary': another nft than the system's."""
        self.host = host
        self.inside = ["nsenter", f"--net={NETNS / host.namespace}"]
        self.process = subprocess.Popen([*self.inside, DRIVER, *([binary] if binary else [])], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, line, check=True):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if check and not answer["ok"]:
            raise LabError(f"{line}: {answer}")
        return answer

    def load(self, program):
        return self.ask(f"load {program}")

    def check(self):
        """True when it had to repair."""
        return self.ask("check")["result"] == 1

    def nft(self, *words, stdin=None):
        """Somebody else's nft in the same host."""
        return run(*self.inside, "nft", *words, stdin=stdin).stdout

    def counter(self, chain):
        """Packets that this chain of ours (without its slot) counted."""
        listing = json.loads(self.nft("-j", "list", "table", "inet", "suimitsu"))
        return sum(e["counter"]["packets"] for x in listing["nftables"] if "rule" in x
                   and x["rule"]["chain"].split("_")[-1] == chain
                   for e in x["rule"]["expr"] if "counter" in e)

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.write("bye\n")
            self.process.stdin.close()
            self.process.wait()
        self.process.stdout.close()
