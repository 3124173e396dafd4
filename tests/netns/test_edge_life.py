# SPDX-License-Identifier: Apache-2.0
"""What holds at the edge while policies change, the edge dies, is upgraded or tampered with."""
import json
import re

import pytest
from edge import Edge
from edge_place import Place, ether
from frames import has
from labkit.system import NETNS, run, wait_for
from probing import PROBE, Running, try_targets
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Raw
from wall import target

RULES = """
services:
  work: [tcp/7001, udp/7001]
allow:
  - {id: work, from: clients, to: servers, service: [work, icmp/echo], why: test, owner: test}
"""
NOTHING = """
allow: []
"""
PORTS = ["tcp,7001", "udp,7001"]
FORBIDDEN = ["tcp,7006", "udp,7006"]
SWAPS, UPGRADES, FLOODED = 200, 20, 520_000


@pytest.fixture(scope="module", params=["tcx", "clsact"])
def place(request):
    place = Place(RULES, *([] if request.param == "tcx" else ["clsact"]))
    place.hook = request.param
    try:
        place.bind("a", "b")
        with Running(place.b, "serve", PORTS, options=["-q"]), \
                Running(place.b, "serve", FORBIDDEN) as place.forbidden:
            yield place
    finally:
        place.down()


def allowed(p):
    return [target(k, p.b, 7001, v) for k in ("tcp", "udp") for v in (4, 6)] + \
        [target("icmp", p.b, None, v) for v in (4, 6)]


def denied(p):
    return [target(k, p.b, 7006, v) for k in ("tcp", "udp") for v in (4, 6)]


def assert_holds(p):
    before = p.forbidden.totals()
    assert set(try_targets(p.a, allowed(p)).values()) == {"open"}
    assert "open" not in try_targets(p.a, denied(p), limit_ms=300).values()
    assert p.forbidden.totals() == before
    spoof = ether(p) / IP(src="10.77.0.3", dst="10.77.0.2") / UDP(sport=4000, dport=7001) / Raw(b"x")
    assert not has(p.send("a", "b", spoof), spoof)


def test_the_programs_are_where_they_were_asked_to_be(place):
    assert {p["hook"] for p in place.edge.status().values()} == {place.hook}
    assert_holds(place)


def test_a_change_of_policy_cuts_what_it_forbids_and_nothing_else(place):
    place.apply(RULES)
    cut = place.edge.counters("a")["cut"]
    with Running(place.a, "hold", allowed(place)[:4]) as session:
        place.apply(RULES + "  - {id: more, from: others, to: servers, service: tcp/9, why: test, owner: test}\n")
        before = session.totals()["exchanges"]
        wait_for(lambda: session.totals()["exchanges"] > before + 50, 10, "sessions going on")
        assert session.totals()["cut"] == 0
        place.apply(NOTHING)
        wait_for(lambda: place.edge.counters("a")["cut"] == cut + 4, 10, "all four to be cut")
        before = session.totals()["exchanges"]
        assert "open" not in try_targets(place.a, allowed(place), limit_ms=300).values()
        assert session.totals()["exchanges"] == before
    place.apply(RULES)
    assert_holds(place)


def test_going_back_is_going_back(place):
    place.apply(RULES)
    place.apply(NOTHING)
    for name in "ab":
        place.edge.command("back", name)
    assert_holds(place)
    assert place.edge.status("a")["revision"] == place.revision - 1
    place.apply(RULES)


def test_a_suspect_is_cut_off_and_comes_back(place):
    place.apply(RULES)
    with Running(place.a, "hold", allowed(place)[:1]) as session:
        for address in place.lab.world.addresses("a"):
            place.edge.command("trust", address, "black")
        assert "open" not in try_targets(place.a, allowed(place), limit_ms=300).values()
        before = session.totals()["exchanges"]
        for address in place.lab.world.addresses("a"):
            place.edge.command("trust", address, "white")
        wait_for(lambda: session.totals()["exchanges"] > before + 10, 10, "the session to go on")
    place.apply(RULES, {"b": "black"})
    assert "open" not in try_targets(place.a, allowed(place), limit_ms=300).values()
    place.apply(RULES)
    assert_holds(place)


def test_everything_goes_on_when_the_edge_is_killed_and_taken_over(place):
    with Running(place.a, "hold", allowed(place)[:4]) as session:
        place.edge.kill()
        assert_holds(place)
        place.edge.start()
        assert place.edge.status("a")["revision"] == place.revision  # Nobody said so again.
        assert_holds(place)
        for name in "ab":
            place.edge.put(place.lab[name])
        assert place.edge.status("a")["revision"] == place.revision
        place.apply(RULES)
        before = session.totals()["exchanges"]
        wait_for(lambda: session.totals()["exchanges"] > before + 50, 10, "sessions going on")
        assert session.end()["cut"] == 0
    assert_holds(place)


def test_no_forbidden_packet_passes_and_no_flow_breaks_over_swaps_and_upgrades(place):
    before = place.forbidden.totals()
    count = ["-c", str(FLOODED), "-e"]
    programs = [place.compile(RULES), place.compile(
        RULES + "  - {id: more, from: others, to: servers, service: tcp/9, why: test, owner: test}\n")]
    with Running(place.a, "hold", allowed(place)[:4], options=["-i", "50", "-n", "250"]) as session, \
            Running(place.a, "flood", [target("udp", place.b, 7006)], options=count) as flood, \
            Running(place.c, "flood", [target("udp", place.b, 7006, 6)], options=count) as strangers:
        for n in range(SWAPS):
            for name in "ab":
                place.edge.load(place.lab[name], programs[n % 2][name])
            if n % (SWAPS // UPGRADES) == 0:
                place.edge.kill()
                place.edge.start()
                for name in "ab":
                    place.edge.put(place.lab[name])
        sent = [x.end(120)["sent"] for x in (flood, strangers)]
        end = session.end()
    assert all(n >= FLOODED for n in sent)
    assert end["cut"] == 0 and end["sessions"] == 1000 and end["exchanges"] > 5000, end
    assert place.forbidden.totals() == before
    place.apply(RULES)
    assert_holds(place)


def test_a_port_is_closed_until_its_program_is_there(place):
    place.edge.command("remove", "a")
    place.edge.put(place.a)
    try:
        assert "open" not in try_targets(place.a, allowed(place), limit_ms=300).values()
        assert place.edge.counters("a")["closed"] > 0
        assert place.edge.status("a")["revision"] == 0
    finally:
        place.edge.load(place.a, place.programs["a"])
    assert_holds(place)


def test_an_in_line_port_may_be_open_until_its_program_is_there_and_says_so(place):
    place.edge.command("remove", "a")
    place.edge.put(place.a, "open")
    assert place.edge.status("a")["open_before"]
    assert set(try_targets(place.a, allowed(place)).values()) == {"open"}
    place.edge.load(place.a, place.programs["a"])
    assert_holds(place)
    place.bind("a", "b")


def test_a_removed_port_is_open_and_its_flows_are_gone(place):
    place.bind("b")
    frame = ether(place) / IP(src="10.77.0.3", dst="10.77.0.2") / UDP(sport=4000, dport=9) / Raw(b"x")
    place.edge.command("remove", "b")
    assert has(place.send("a", "b", frame), frame)
    assert place.edge.status() == {}
    place.bound = set()
    place.bind("a", "b")
    assert_holds(place)


def test_a_program_that_cannot_be_is_refused_and_the_former_stays(place):
    for words in (("load", "a", "/nonexistent"), ("load", "nosuch", place.programs["a"]),
                  ("put", "a", "01:00:5e:00:00:01"), ("put", "a/b", "02:00:00:00:00:01"),
                  ("back", "nosuch"), ("remove", "nosuch")):
        answer = place.edge.command(*words, check=False)
        assert not answer["ok"] and answer["error"].startswith("E"), words
    assert_holds(place)


def test_an_interface_that_comes_back_is_covered_by_the_same_program(place):
    net = place.lab.net
    run("ip", "-n", net, "link", "del", "dev", "a")
    wait_for(lambda: not place.edge.status("a")["present"], 10, "the port to be gone")
    run("ip", "-n", net, "link", "add", "name", "a", "type", "veth", "peer", "name", "eth0",
        "address", place.mac["a"], "netns", place.a.namespace)
    wait_for(lambda: place.edge.status("a")["present"], 10, "the port to be covered")
    run("ip", "-n", net, "link", "set", "dev", "a", "master", "lan", "up")
    for words in (["link", "set", "eth0", "up"], ["addr", "add", "10.77.0.1/24", "dev", "eth0"],
                  ["addr", "add", "fd77::1/64", "dev", "eth0", "nodad"]):
        place.a.run("ip", *words)
    place.wires["a"].close()
    place.wires["a"] = type(place.wires["b"])(place.a)
    wait_for(lambda: try_targets(place.a, allowed(place)[:1], limit_ms=300).popitem()[1] == "open",
             10, "the bridge to forward")
    assert_holds(place)
    place.edge.wait_notice("a appeared and is covered")


def in_net(place, *command, check=True):
    return run("nsenter", f"--net={NETNS / place.lab.net}", *command, check=check)


def test_what_was_detached_is_put_back_and_told(place):
    if place.hook == "clsact":
        in_net(place, "tc", "filter", "del", "dev", "a", "ingress")
    else:
        listed = json.loads(run("bpftool", "-j", "link", "show", "pinned",
                                place.edge.pins / "link_1_out").stdout)
        run("bpftool", "link", "detach", "id", listed["id"])
    place.edge.wait_notice("programs of a were detached")
    assert_holds(place)
    if place.hook == "tcx":
        (place.edge.pins / "link_1_in").unlink()
        place.edge.wait_notice("link_1_in was removed")
        assert (place.edge.pins / "link_1_in").exists()


def test_what_was_edited_is_put_back_and_told(place):
    value = ["0"] * 16
    run("bpftool", "map", "update", "pinned", place.edge.pins / "map_edge_config", "key", "0", "0",
        "0", "0", "value", *value)
    place.edge.wait_notice("settings were edited")
    (place.edge.pins / "map_ports").unlink()
    place.edge.wait_notice("map_ports was removed")
    assert_holds(place)


def test_another_classifier_cannot_let_pass_what_ours_drops(place, tmp_path):
    """One that says OK to everything, which ends the chain, at the same interface."""
    (tmp_path / "ok.c").write_text('__attribute__((section("tc"))) int ok(void *skb) { return 0; }\n'
                                   'char l[] __attribute__((section("license"))) = "GPL";\n')
    run("clang", "-target", "bpf", "-O2", "-c", tmp_path / "ok.c", "-o", tmp_path / "ok.o")
    in_net(place, "tc", "qdisc", "add", "dev", "a", "clsact", check=False)
    in_net(place, "tc", "filter", "add", "dev", "a", "ingress", "prio", "2", "bpf", "da", "obj",
           tmp_path / "ok.o", "sec", "tc")
    try:
        assert_holds(place)
    finally:
        in_net(place, "tc", "filter", "del", "dev", "a", "ingress", "prio", "2")


def test_flows_and_denials_are_told_with_their_rule_and_bytes(place):
    place.edge.status()  # What was told until now is read; what is on its way may be of the test before, by IPv6, too.
    place.edge.events.clear()
    try_targets(place.a, [target("tcp", place.b, 7001), target("udp", place.b, 7006)], limit_ms=300)
    flow = place.edge.wait_event(endpoint="a", direction="out", verdict="allow", port=7001, protocol=6, local="10.77.0.1")
    assert flow["remote"] == "10.77.0.2"
    assert (flow["layer"], flow["revision"], flow["count"]) == ("allow", place.revision, 1)
    flow = place.edge.wait_event(endpoint="b", direction="in", verdict="allow", port=7001, protocol=6, local="10.77.0.2")
    assert flow["remote"] == "10.77.0.1"
    flow = place.edge.wait_event(endpoint="a", direction="out", verdict="deny", port=7006)
    assert flow["layer"] == "default"
    ended = place.edge.wait_event(limit_s=40, endpoint="a", count=0, port=7001, protocol=6)
    assert ended["bytes_out"] > 0 and ended["bytes_in"] > 0


@pytest.mark.parametrize("clock", ["nobody is there", "somebody stops the clock"])
def test_a_flow_that_is_over_leaves_the_table_by_itself(clock):
    place = Place(RULES, flush="ab")
    try:
        place.bind("a")
        syn = ether(place) / IP(src="10.77.0.1", dst="10.77.0.2") / TCP(sport=4000, dport=7001, flags="S")
        reset = ether(place) / IP(src="10.77.0.1", dst="10.77.0.2") / TCP(sport=4000, dport=7001, flags="R")
        place.send("a", "b", syn, reset)
        assert (place.edge.status("a")["flows"], place.edge.status("a")["half"]) == (1, 0)
        table = place.edge.pins / "map_edge_flows"
        if clock == "nobody is there":
            place.edge.kill()
        else:
            run("bpftool", "map", "update", "pinned", place.edge.pins / "map_edge_clock",
                "key", *4 * ["0"], "value", *16 * ["0"])
        wait_for(lambda: not re.findall(r'"key"', run("bpftool", "-j", "map", "dump", "pinned",
                                                      table).stdout), 40, "the flow to leave")
        if clock == "nobody is there":
            place.edge.start()
        assert place.edge.status("a")["flows"] == 0
    finally:
        place.down()


def test_a_full_table_refuses_new_flows_and_keeps_those_that_stand():
    place = Place(RULES, "half=16", "port-flows=32", "flows=64")
    try:
        place.bind("a", "b")
        with Running(place.b, "serve", PORTS, options=["-q"]), \
                Running(place.a, "hold", allowed(place)[:4]) as session:
            base = IP(src="10.77.0.1", dst="10.77.0.2")
            flood = [ether(place) / base / TCP(sport=n, dport=7001, flags="S", seq=n) for n in range(5000, 5300)]
            flood += [ether(place) / base / UDP(sport=n, dport=7001) / Raw(b"x") for n in range(5000, 5300)]
            arrived = place.send("a", "b", *flood)
            assert sum(f in {bytes(x) for x in flood} for f in arrived) < 64
            counters = place.edge.counters("a")
            assert counters["full_tcp"] > 250 and counters["full_udp"] > 200
            before = session.totals()["exchanges"]
            wait_for(lambda: session.totals()["exchanges"] > before + 50, 10, "sessions going on")
            assert session.end()["cut"] == 0
    finally:
        place.down()


def test_only_a_dhcp_server_that_is_named_may_answer():
    place = Place(RULES, "server=10.77.0.3")
    try:
        from test_edge_binding import dhcp
        place.bind("b")
        for source, passes in (("10.77.0.3", True), ("10.77.0.9", False)):
            frame = ether(place, src=place.mac["c"], dst="ff:ff:ff:ff:ff:ff") / \
                dhcp(place, 2, "offer", place.mac["b"], src=source)
            assert has(place.send("c", "b", frame), frame) == passes
        assert place.edge.counters("b")["rogue_dhcp"] == 1
    finally:
        place.down()


def test_pins_of_another_shape_are_refused_with_a_sentence(place):
    place.edge.kill()
    try:
        with pytest.raises(Exception, match="EEXIST.*another shape"):
            Edge(place.lab, "flows=77")
    finally:
        place.edge.start()
        for name in "ab":
            place.edge.put(place.lab[name])
    assert_holds(place)
    assert PROBE.exists()


# -- ports that appear later

def plug_anew(p, name="a"):
    """The port of a host appears, and its guest sends from the first instant."""
    net, host = p.lab.net, p.lab[name]
    p.wires[name].close()
    run("ip", "-n", net, "-batch", "-", stdin=f"""\
link add name {name} type veth peer name eth0 address {p.mac[name]} netns {host.namespace}
link set dev {name} master lan up
""")
    host.run("ip", "-batch", "-", stdin="""\
link set eth0 up
addr add 10.77.0.1/24 dev eth0
addr add fd77::1/64 dev eth0 nodad
""")
    p.wires[name] = type(p.wires["b"])(host)


def frames_that_get_in(p):
    """How many of the frames of a guest whose port has just appeared arrive at b."""
    run("ip", "-n", p.lab.net, "link", "del", "dev", "a")
    plug_anew(p)
    frames = [ether(p, dst=d) / IP(src=s, dst="10.77.0.2") / UDP(sport=1, dport=7001) / Raw(b"x")
              for d in (p.mac["b"], "ff:ff:ff:ff:ff:ff") for s in ("10.77.0.1", "10.77.0.9")]
    p.wires["b"].received()
    for _ in range(200):
        p.wires["a"].send(*frames)
    fence = p.fence("c", "b")  # From a port that is neither guarded nor bound.
    p.wires["c"].send(fence)
    seen = p.wires["b"].received_until(fence)
    return sum(has(seen, f) for f in frames)


def test_without_a_guard_a_new_port_is_open_until_it_is_bound():
    place = Place(RULES)
    try:
        wait_for(lambda: frames_that_get_in(place) == 4, 10, "all of them to get in")
    finally:
        place.down()


def test_a_guarded_port_is_closed_from_its_first_frame_on():
    place = Place(RULES, "guard=a*", "guard=tap*")
    try:
        place.bind("a", "b")
        with Running(place.b, "serve", PORTS, options=["-q"]):
            assert set(try_targets(place.a, allowed(place)).values()) == {"open"}
            place.edge.command("remove", "a")  # Guarded: not open, but closed.
            assert "open" not in try_targets(place.a, allowed(place), limit_ms=300).values()
            assert [frames_that_get_in(place) for _ in range(5)] == [0] * 5
            place.bound.discard("a")
            place.bind("a", "b")
            wait_for(lambda: set(try_targets(place.a, allowed(place), limit_ms=300).values()) == {"open"},
                     10, "the bridge to forward")
            # The edge dies, the port goes and comes: the name is known, the interface is not.
            place.edge.kill()
            assert set(try_targets(place.a, allowed(place)).values()) == {"open"}
            run("ip", "-n", place.lab.net, "link", "del", "dev", "a")
            plug_anew(place)
            assert "open" not in try_targets(place.a, allowed(place), limit_ms=300).values()
            place.edge.start()
            assert "open" not in try_targets(place.a, allowed(place)[:2], limit_ms=300).values()
            for name in "ab":
                place.edge.put(place.lab[name])
            wait_for(lambda: set(try_targets(place.a, allowed(place), limit_ms=300).values()) == {"open"},
                     10, "the port to be covered by its former program")
            place.apply(RULES)
    finally:
        place.down()


def test_the_guard_stays_over_a_restart_and_is_put_back_when_edited():
    place = Place(RULES, "guard=a*", "guard=b*")
    try:
        place.bind("a", "b")
        with Running(place.b, "serve", PORTS, options=["-q"]), \
                Running(place.a, "hold", allowed(place)[:4]) as session:
            in_net(place, "nft", "add", "table", "bridge", "foreign")
            for _ in range(3):
                place.edge.kill()
                place.edge.start()
            for name in "ab":
                place.edge.put(place.lab[name])
            in_net(place, "nft", "flush", "chain", "bridge", "suimitsu_edge", "from_guests")
            place.edge.wait_notice("guard's table of nftables was edited", 20)
            in_net(place, "nft", "delete", "table", "inet", "suimitsu_edge")
            place.edge.events.clear()
            place.edge.wait_notice("guard's table of nftables was edited", 20)
            listed = in_net(place, "nft", "list", "ruleset").stdout
            assert listed.count('iifname "a*"') == 2 and "table bridge foreign" in listed
            assert session.end()["cut"] == 0
    finally:
        place.down()


@pytest.mark.parametrize("bad", ["guard=a b", "guard=*a", "guard=", 'guard=a"', "guard=aaaaaaaaaaaaaaaaaaaa"])
def test_names_that_no_interface_has_are_no_text_for_nft(place, bad):
    place.edge.kill()
    try:
        with pytest.raises(Exception, match="EINVAL.*names of interfaces"):
            Edge(place.lab, bad)
    finally:
        place.edge.start()
        for name in "ab":
            place.edge.put(place.lab[name])
    assert_holds(place)
