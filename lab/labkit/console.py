# SPDX-License-Identifier: Apache-2.0
"""The web console of a world's controller at this machine's own 127.0.0.1, and an account for it."""
import os
import secrets
import socket

from labkit.system import ROOT

PORT = 7442  # Where suimitsud answers inside; outside, too, when it is free.
NAME = "demo"
LOGIN_FILE = "console-login"


def listener():
    """A socket in the machine's own namespace; the one that people expect, or any that is free."""
    for port in (PORT, 0):
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind(("127.0.0.1", port))
            made.listen(64)
            return made
        except OSError:
            made.close()
            if port == 0:
                raise
    return None


def open_console(control, password):
    """The address.  The door runs in the controller's host, and ends with it."""
    with listener() as made:
        control.host.start("console-door", ["/usr/bin/python3", ROOT / "lab" / "labkit" / "door.py", made.fileno(), PORT],
                           pass_fds=[made.fileno()])
        address = f"https://127.0.0.1:{made.getsockname()[1]}/ui/"
    control.cli("account", "add", NAME, "--role", "admin", "--password-file", "-", stdin=password + "\n")
    return address


def make_password():
    return secrets.token_urlsafe(12)


def keep_login(lab, lines):
    """For who has closed the terminal; goes with the world."""
    path = lab.folder / LOGIN_FILE
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    return path
