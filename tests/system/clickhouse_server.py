# SPDX-License-Identifier: Apache-2.0
"""Debian's clickhouse-server with a configuration, files and ports of its own, for tests and benchmarks.

It dies with the process that started it."""
import contextlib
import os
import pathlib
import socket
import subprocess
import time
import urllib.request

SERVER = pathlib.Path("/usr/sbin/clickhouse-server")
START_S = 180
CONFIG = """<yandex><logger><level>warning</level><log>{0}/log</log></logger>
<http_port>{1}</http_port><tcp_port>{2}</tcp_port><interserver_http_port>{3}</interserver_http_port>
<listen_host>127.0.0.1</listen_host><path>{0}/data/</path><tmp_path>{0}/tmp/</tmp_path>
<user_files_path>{0}/files/</user_files_path><users_config>{0}/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database>
<mark_cache_size>5368709</mark_cache_size></yandex>"""
USERS = """<yandex><profiles><default></default></profiles><users><{0}><password>{1}</password>
<networks><ip>127.0.0.1</ip></networks><profile>default</profile><quota>default</quota></{0}></users>
<quotas><default></default></quotas></yandex>"""


def hold_port():
    """A socket that is bound and does not listen: its port stays ours while the server is down."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # The server may listen beside it.
    s.bind(("127.0.0.1", 0))
    return s


class ClickHouse:
    """start() and kill() as often as wanted: the same ports and files."""

    def __init__(self, folder, user="suimitsu", password="open sesame"):
        self.folder, self.user, self.password = folder, user, password
        self.held = [hold_port() for _ in range(3)]
        self.port, *others = (s.getsockname()[1] for s in self.held)
        self.process = None
        folder.mkdir()
        (folder / "config.xml").write_text(CONFIG.format(folder, self.port, *others))
        (folder / "users.xml").write_text(USERS.format(user, password))

    def start(self):
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", str(SERVER), f"--config-file={self.folder}/config.xml"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + START_S
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise OSError(f"{SERVER} does not answer; see {self.folder}/log")
            time.sleep(0.05)
        return self

    def answers(self):
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ping", timeout=30).read() == b"Ok.\n"
        return False

    def ask(self, sql):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/", sql.encode(), {
            "X-ClickHouse-User": self.user, "X-ClickHouse-Key": self.password})
        return urllib.request.urlopen(request, timeout=600).read().decode().strip()

    def cpu_s(self):
        """What the server has used so far, all its threads."""
        stat = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def kill(self):
        self.process.kill()
        self.process.wait(120)
