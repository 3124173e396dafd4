# SPDX-License-Identifier: Apache-2.0
"""The lab itself: worlds come up, hosts reach one another, and nothing stays behind."""
import os
import pathlib
import signal
import subprocess

import pytest
from labkit import Lab, LabError, World, inventory
from labkit.system import BPFFS, NETNS, ROOT, wait_for
from probing import try_targets

PREFIX = f"sm-l{os.getpid() % 10000}-"


@pytest.fixture(scope="module")
def shop():
    with Lab("shop", PREFIX) as lab:
        yield lab
    assert lab.leftovers() == []


def test_every_host_reaches_every_other_by_ping_over_both_families(shop):
    for name, host in shop.hosts.items():
        targets = [f"icmp,{a}" for other in shop.world.hosts for a in shop.world.addresses(other)]
        results = try_targets(host, targets)
        assert set(results.values()) == {"open"}, (name, results)


def test_real_ping_works_over_both_families(shop):
    for version in (4, 6):
        shop["pos1"].run("ping", f"-{version}", "-c1", "-W10", shop["db1"].address(version))


def test_every_service_of_the_flat_shop_is_open_from_everywhere(shop):
    services = {"web1": (22, 80, 443), "db1": (22, 5432), "jump1": (22,), "fix1": (80, 443),
                "pc1": (22, 8080), "pc2": (22, 8080)}
    targets = [f"tcp,{a},{port}" for name, ports in services.items() for port in ports
               for a in shop.world.addresses(name)]
    for name, host in shop.hosts.items():
        results = try_targets(host, targets)
        assert set(results.values()) == {"open"}, (name, results)


@pytest.mark.parametrize("version", [4, 6])
def test_real_clients_get_real_answers(shop, version):
    def url(name, rest):
        address = shop[name].address(version)
        return rest.format(f"[{address}]" if version == 6 else address)
    pc1, scan1 = shop["pc1"], shop["scan1"]
    assert "This is web1" in pc1.run("curl", "-sk", url("web1", "https://{}/")).stdout
    assert "cleaner" in pc1.run("curl", "-sk", url("fix1", "https://{}/cleaner.txt")).stdout
    assert "budget of pc2" in pc1.run("curl", "-s", url("pc2", "http://{}:8080/budget.txt")).stdout
    orders = scan1.run("psql", "-h", shop["db1"].address(version), "-U", "shop", "-d", "shop",
                       "-qtAc", "select count(*) from orders").stdout
    assert int(orders) >= 1
    who = shop["jump1"].run("ssh", "-n", shop["web1"].address(version), "id -un; hostname",
                            user="ops-1")
    assert who.stdout.split() == ["ops-1", "web1"]
    with pytest.raises(LabError, match="Permission denied"):
        pc1.run("ssh", "-n", "-oBatchMode=yes", "-oStrictHostKeyChecking=no",
                f"ops-1@{shop['jump1'].address(version)}", "true")


def test_nmap_sees_the_open_database(shop):
    out = shop["scan1"].run("nmap", "-n", "-Pn", "-p5432", shop["db1"].address()).stdout
    assert "5432/tcp open" in out


def test_the_orders_program_keeps_writing_one_row_a_second(shop):
    log = shop["web1"].path("/var/log/orders.log")
    before = len(log.read_text().splitlines())
    wait_for(lambda: len(log.read_text().splitlines()) >= before + 2, 10, "two more orders")
    assert os.readlink(f"/proc/{orders_pid(shop)}/exe").endswith("/opt/shop/bin/orders")


def orders_pid(shop):
    for pid in (shop["web1"].cgroup / "cgroup.procs").read_text().split():
        try:
            if "/bin/orders" in os.readlink(f"/proc/{pid}/exe"):
                return pid
        except FileNotFoundError:
            continue
    raise AssertionError("no program /opt/shop/bin/orders runs on web1")


def test_a_host_has_its_own_name_users_and_cgroup_and_still_sees_bpffs(shop):
    host = shop["jump1"]
    out = host.run("sh", "-c", f"hostname; id -u contractor-1; stat -f -c %T {BPFFS}; "
                               "getent ahostsv4 db1; cat /proc/self/cgroup").stdout
    assert out.startswith("jump1\n2002\nbpf_fs\n10.66.1.12 ")
    assert f"/suimitsu-lab/{PREFIX}jump1" in out


def test_the_inventory_names_every_host_with_labels_addresses_and_enforcer():
    data = inventory(World.load("shop"))
    assert data["suimitsu-inventory"] == 1
    assert data["endpoints"]["web1"] == {"labels": {"app": "shop", "tier": "web"},
                                         "addresses": ["10.66.1.11", "fd66:1::11"],
                                         "enforcers": ["host"]}
    assert data["endpoints"]["scan1"]["enforcers"] == []
    assert data["users"]["ops-1"] == {"groups": ["ops"]}


def test_an_up_world_is_not_brought_up_twice(shop):
    with pytest.raises(LabError, match="is up already"):
        Lab("shop", PREFIX).up()


@pytest.mark.parametrize("text, message", [
    ("suimitsu-lab: 2", "first key"),
    ("suimitsu-lab: 1\nhost: {}", "unknown key 'host'"),
    ("suimitsu-lab: 1\nhosts: {a: {bridge: b}}", "no bridge 'b'"),
    ("suimitsu-lab: 1\nbridges: {b: {v4: 10.0.0.1/24, v6: 'fd00::1/64'}}\n"
     "hosts: {a: {bridge: b, addresses: [10.0.1.1]}}", "not in a network"),
    ("suimitsu-lab: 1\nbridges: {b: {v4: 10.0.0.1/24, v6: 'fd00::1/64'}}\n"
     "hosts: {a: {bridge: b, programs: [{kind: telnet}]}}", "needs a kind"),
])
def test_a_bad_world_is_refused_with_its_reason(text, message):
    with pytest.raises(LabError, match=message):
        World("bad", text)


def kill_half_way(up):
    """And waits for the commands that it had begun: they go on by themselves, and down() cannot know of them."""
    up.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, up.pid, os.WSTOPPED)
    children = pathlib.Path(f"/proc/{up.pid}/task/{up.pid}/children").read_text().split()
    up.send_signal(signal.SIGKILL)
    up.wait()

    def settled(pid):
        try:
            return "/suimitsu-lab/" in pathlib.Path(f"/proc/{pid}/cgroup").read_text()  # A program of a host.
        except (FileNotFoundError, ProcessLookupError):
            return True
    wait_for(lambda: all(map(settled, children)), 20, "what it had begun to end")


def test_down_removes_everything_after_up_was_killed_half_way():
    prefix = f"sm-k{os.getpid() % 10000}-"
    script = (f"import sys; sys.path.insert(0, '{ROOT / 'lab'}'); from labkit import Lab; "
              f"Lab('shop', '{prefix}').up()")
    for seen in ("control", "pc1"):  # Killed early, and with programs about to run.
        up = subprocess.Popen(["/usr/bin/python3", "-c", script])
        lab = Lab("shop", prefix)
        wait_for(lambda: (NETNS / lab[seen].namespace).exists(), 20, "the first hosts", 0.002)
        kill_half_way(up)
        assert lab.leftovers() != []
        lab.down()
        assert lab.leftovers() == []


def test_down_of_a_world_that_is_not_up_does_nothing():
    lab = Lab("shop", f"sm-n{os.getpid() % 10000}-")
    lab.down()
    assert lab.leftovers() == []
