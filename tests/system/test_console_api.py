"""What the web console keeps with the controller: notes on the timeline, places on the map, saved views;
and accounts that are changed."""
import os

import pytest
from test_api import Browser, add
from test_controller import INVENTORY, POLICY, controller, tmp_path  # noqa: F401

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts a daemon that drops root")


def test_notes_stand_among_the_changes_with_what_was_measured(controller):  # noqa: F811
    c = controller
    assert c.apply(POLICY, INVENTORY, comment="CHG-1")[0] == 200
    assert "noted beside revision" in c.cli("timeline", "note", "drill from pc1 <b>", "--detect-ms", "420").stdout
    c.cli("quarantine", "web1", "--why", "beacon")
    c.good("POST", "/timeline", {"comment": "cut", "contain_ms": 0})
    told = c.good("GET", "/timeline")
    assert [e["what"] for e in told[:3]] == [["note"], ["trust"], ["note"]]
    assert [e["comment"] for e in told[:4]] == ["cut", "beacon", "drill from pc1 <b>", "CHG-1"]
    assert told[1]["actor"] == "root (unix socket)"
    assert [e.get("measured") for e in told[:4]] == [{"contain_ms": 0}, None, {"detect_ms": 420}, None]
    assert told[2]["policy"] == told[3]["policy"] and told[2]["revision"] == told[3]["revision"]
    assert len(c.good("GET", "/timeline?max=2")) == 2
    assert c.good("GET", f"/timeline?before={told[1]['revision']}")[0]["comment"] == "drill from pc1 <b>"
    assert "drill from pc1" in c.cli("timeline").stdout
    for body, field in (({}, "comment"), ({"comment": "x" * 501}, "comment"), ({"comment": "x", "detect_ms": -1}, "detect_ms"),
                        ({"comment": "x", "detect_ms": "1"}, "detect_ms"), ({"comment": "x", "contain_ms": 86400001}, "contain_ms")):
        status, problem, _ = c.ask("POST", "/timeline", body)
        assert (status, problem["field"]) == (422, field)
    c.kill()
    c.start()
    again = [e for e in c.good("GET", "/timeline") if e["what"] != ["revision"]]
    assert again[:4] == told[:4]
    assert c.good("GET", "/audit/verify")["whole"]
    assert "timeline.note" in [e["action"] for e in c.good("GET", "/audit")]


def test_places_on_the_map_are_everybodys_and_bounded(controller):  # noqa: F811
    c = controller
    add(c, "mika", "operator")
    add(c, "ken", "viewer")
    add(c, "rie", "viewer", "--scope", "site=tokyo")
    mika, ken, rie = (Browser(c) for _ in range(3))
    assert mika.login("mika")[0] == ken.login("ken")[0] == rie.login("rie")[0] == 200
    places = {"web": [120, -40], "<img>": [0, 1000000]}
    assert ken.api("GET", "/console/layout?by=group") == (200, {"by": "group", "places": {}})
    assert mika.api("PUT", "/console/layout", {"by": "group", "places": places})[0] == 200
    assert ken.api("GET", "/console/layout?by=group")[1]["places"] == places
    assert ken.api("GET", "/console/layout?by=label:site")[1]["places"] == {}
    assert ken.api("PUT", "/console/layout", {"by": "group", "places": {}})[0] == 403
    assert rie.api("GET", "/console/layout?by=group")[0] == 403
    assert mika.api("GET", "/console/layout")[0] == 400
    for bad in ([], {"web": [1]}, {"web": [1, "2"]}, {"web": [1, 1000001]}, {"web": [1.5, 2]}, {"": [1, 2]}, {"x" * 129: [1, 2]},
                {f"g{i}": [i, i] for i in range(501)}):
        assert mika.api("PUT", "/console/layout", {"by": "group", "places": bad})[0] == 422
    assert mika.api("PUT", "/console/layout", {"by": "", "places": {}})[0] == 422
    for i in range(31):
        assert mika.api("PUT", "/console/layout", {"by": f"label:{i}", "places": {}})[0] == 200
    assert mika.api("PUT", "/console/layout", {"by": "label:one-too-many", "places": {}})[0] == 409
    assert mika.api("PUT", "/console/layout", {"by": "group", "places": {}})[0] == 200
    assert ken.api("GET", "/console/layout?by=group")[1]["places"] == {}


def test_saved_views_are_ones_own_and_go_with_the_account(controller):  # noqa: F811
    c = controller
    add(c, "mika", "viewer", "--scope", "site=tokyo")
    add(c, "ken", "viewer")
    mika, ken = Browser(c), Browser(c)
    assert mika.login("mika")[0] == ken.login("ken")[0] == 200
    views = [{"name": "<script>denied</script>", "address": "#/flows?denied=1"}]
    assert mika.api("GET", "/console/views") == (200, {"views": []})
    assert mika.api("PUT", "/console/views", {"views": views})[0] == 200
    assert mika.api("GET", "/console/views")[1]["views"] == views
    assert ken.api("GET", "/console/views")[1]["views"] == []
    for bad in (None, {}, [{"name": "x"}], [{"name": "x", "address": "javascript:1"}], [{"name": "x", "address": "https://evil.example"}],
                [{"name": "", "address": "#/map"}], [{"name": "x" * 81, "address": "#/map"}], [{"name": "x", "address": "#/" + "x" * 1000}],
                [{"name": "x", "address": "#/map", "more": 1}], [{"name": str(i), "address": "#/map"} for i in range(51)]):
        status, problem = mika.api("PUT", "/console/views", {"views": bad})
        assert (status, problem["field"]) == (422, "views")
    assert c.ask("GET", "/console/views")[0] == 404  # Root has no account.
    c.cli("account", "remove", "mika")
    add(c, "mika", "viewer")
    assert mika.login("mika")[0] == 200
    assert mika.api("GET", "/console/views")[1]["views"] == []


def test_a_disabled_account_is_out_at_once_and_comes_back_with_its_password(controller):  # noqa: F811
    c = controller
    add(c, "mika", "operator", "--scope", "site=tokyo")
    add(c, "boss", "admin")
    mika, boss = Browser(c), Browser(c)
    assert mika.login("mika")[0] == boss.login("boss")[0] == 200
    assert c.cli("account", "change", "mika", "--disable").stdout == "mika is operator, disabled\n"
    assert mika.api("GET", "/me")[0] == 401 and mika.login("mika")[0] == 401
    assert "disabled" in c.cli("account", "list").stdout
    assert boss.api("PUT", "/accounts/mika", {"disabled": False})[0] == 200
    status, me = mika.login("mika")
    assert (status, me["role"], me["scope"]) == (200, "operator", {"site": "tokyo"})
    assert boss.api("PUT", "/accounts/mika", {"role": "admin"})[1]["field"] == "scope"
    assert boss.api("PUT", "/accounts/mika", {"role": "viewer", "scope": {"site": "osaka"}})[0] == 200
    assert mika.api("GET", "/me")[1]["scope"] == {"site": "osaka"}  # Without a new login.
    assert c.cli("account", "change", "mika", "--role", "editor", "--no-scope").stdout == "mika is editor\n"
    assert mika.api("PUT", "/accounts/mika", {"role": "admin"})[0] == 403
    assert boss.api("PUT", "/accounts/boss", {"disabled": True})[0] == 409
    assert boss.api("PUT", "/accounts/nobody", {"disabled": True})[0] == 404
    for bad in ({"role": "king"}, {"role": "scraper"}, {"disabled": "yes"}, {"scope": {"a": "b", "c": "d"}}):
        assert boss.api("PUT", "/accounts/mika", bad)[0] == 422
    c.cli("account", "change", "mika", code=2)
    assert [e["detail"] for e in c.good("GET", "/audit") if e["action"] == "account.change"][-1] == "operator, scope site=tokyo, disabled"


def test_a_rule_tells_the_groups_of_its_ends(controller):  # noqa: F811
    assert controller.apply(POLICY, INVENTORY)[0] == 200
    rules = {r["id"]: r for r in controller.good("GET", "/policy/rules")}
    assert (rules["shop-db"]["from"], rules["shop-db"]["to"]) == (["web"], ["db"])
    assert all(isinstance(r["from"], list) and isinstance(r["to"], list) for r in rules.values())
