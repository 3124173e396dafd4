// The parts that need no browser.
import { test } from "node:test";
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { gunzipSync } from "node:zlib";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const src = fileURLToPath(new URL("../../web/src/", import.meta.url));
const { checkWords } = await import("../../web/dev/words.mjs");
const { buildModel, kinds, OUTSIDE } = await import("../../web/src/map/model.js");
const { layout, placeOf } = await import("../../web/src/map/layout.js");
const { buildScene, fit, hit } = await import("../../web/src/map/scene.js");
const { pointOf } = await import("../../web/src/map/bend.js");
const { commandOf, quote } = await import("../../web/src/command.js");
const { href, parse } = await import("../../web/src/router.js");
const { compareEdges } = await import("../../web/src/map/compare.js");
const { perMinute } = await import("../../web/src/flows.js");

const withWords = (change) => {
    const folder = mkdtempSync(join(tmpdir(), "sm-words-"));
    try {
        cpSync(src, folder, { recursive: true });
        change((file, f) => writeFileSync(join(folder, file), f(readFileSync(join(folder, file), "utf8"))));
        return checkWords(folder);
    } finally {
        rmSync(folder, { recursive: true });
    }
};

test("every text is there in every language", () => assert.deepEqual(checkWords(src), []));

test("a text that a language lacks is found", () => {
    const problems = withWords((edit) => edit("i18n/ja.js", (s) => s.replace(/ {4}"flows.why".*\n/, "")));
    assert.deepEqual(problems, ['ja: no text for "flows.why"']);
});

test("a key without text is found", () => {
    const problems = withWords((edit) => edit("confirm.js", (s) => `${s}\nt("no.such.key");\n`));
    assert.deepEqual(problems, ['en: no text for "no.such.key"', 'ja: no text for "no.such.key"']);
});

test("a placeholder that a language lacks is found", () => {
    const problems = withWords((edit) => edit("i18n/en.js", (s) => s.replace("Quarantine {name}", "Quarantine")));
    assert.deepEqual(problems, ['"trust.quarantine.title": the placeholders differ']);
});

test("an address of a view says the same when it is read again", () => {
    const address = href("endpoints", ["a/b %#?", "é"], { q: "x=1&y", empty: "" });
    assert.deepEqual(parse(address), { view: "endpoints", rest: ["a/b %#?", "é"], query: { q: "x=1&y" } });
    assert.deepEqual(parse("#/x/%").rest, ["%"]);
});

test("a command line is quoted for a shell", () => {
    assert.equal(quote("web1"), "web1");
    assert.equal(quote("it's; rm -rf /"), "'it'\\''s; rm -rf /'");
    assert.equal(commandOf(parse("#/flows?from=web1&denied=1&live=1")), "suimitsu flows --from web1 --denied --follow");
    assert.equal(commandOf(parse("#/why?from=a&to=b&service=tcp/1&process=/x y")), "suimitsu why a b tcp/1 --process '/x y'");
    assert.equal(commandOf(parse("#/map?by=label:site&window=h&show=violations&at=2026-11-22T10:00:00Z")),
        "suimitsu edges --since 1h --until 2026-11-22T10:00:00Z --by site --denied");
    assert.equal(commandOf(parse("#/flows?from=$(reboot)")), "suimitsu flows --from '$(reboot)'");
});

const endpoints = ["web1", "web2", "db1", "pc1"].map((name) => ({ name, groups: [name.replace(/\d/, "")], labels: { site: name[0] }, trust: "white" }));
const fact = (from, to, verdict = "allow", more = {}) => ({ from, to, verdict, protocol: "tcp", port: 1, process: "/p", user: "u", rule: "r",
    layer: "allow", count: 2, last: "2026-01-01T00:00:00Z", ...more });
const facts = [fact("web1", "db1"), fact("web2", "db1"), fact("pc1", "web1", "deny"), fact("", "web1"), fact("web1", "web2")];
const options = { by: "group", outside: "outside", other: "-" };

test("the map sums up by group, and loses nothing", () => {
    const m = buildModel(endpoints, facts, options);
    assert.deepEqual(m.nodes.map((n) => [n.title, n.members.length]), [["outside", 0], ["db", 1], ["pc", 1], ["web", 2]]);
    assert.equal(m.links.reduce((n, l) => n + l.count, 0), facts.reduce((n, f) => n + f.count, 0));
    const link = m.links.find((l) => l.from === "web" && l.to === "db");
    assert.deepEqual([link.count, link.verdict, link.facts.length], [4, "allow", 2]);
});

test("violations only, and one with its neighbours only", () => {
    assert.deepEqual(buildModel(endpoints, facts, { ...options, violations: true }).links.map((l) => [l.from, l.to, l.verdict]), [["pc", "web", "deny"]]);
    const near = buildModel(endpoints, facts, { ...options, focus: "db1" });
    assert.deepEqual(near.nodes.map((n) => n.id), ["db", "web"]);
    assert.deepEqual(buildModel(endpoints, facts, { ...options, by: "label:site" }).nodes.map((n) => n.id), [OUTSIDE, "d", "p", "w"]);
});

test("kinds of a link are counted, the worst first", () => {
    const list = kinds([fact("a", "b"), fact("c", "b"), fact("a", "b", "deny")]);
    assert.deepEqual(list.map((k) => [k.verdict, k.count, k.pairs]), [["deny", 2, 1], ["allow", 4, 2]]);
});

test("a map has the same places every time, and none over another", () => {
    const places = () => layout(...(({ nodes, links }) => [nodes, links])(buildModel(endpoints, facts, options))).map((n) => [n.id, n.x, n.y]);
    assert.deepEqual(places(), places());
    const nodes = buildModel(Array.from({ length: 300 }, (_, i) => ({ name: `e${i}`, groups: [`g${i % 40}`], labels: {} })), [], options).nodes;
    layout(nodes, []);
    for (const a of nodes) for (const b of nodes)
        assert.ok(a === b || a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y, `${a.id} ${b.id}`);
});

test("who was placed keeps its place when another comes", () => {
    const before = layout(buildModel(endpoints, facts, options).nodes, []);
    const kept = Object.fromEntries(before.map((n) => [n.id, [n.x, n.y]]));
    const more = [...endpoints, { name: "aa1", groups: ["aa"], labels: {}, trust: "white" }];
    const after = layout(buildModel(more, facts, options).nodes, [], kept);
    for (const n of after) if (kept[n.id]) assert.deepEqual([n.x, n.y], kept[n.id]);
    const aa = after.find((n) => n.id === "aa");
    for (const n of after) assert.ok(n === aa || n.x >= aa.x + aa.width || aa.x >= n.x + n.width || n.y >= aa.y + aa.height || aa.y >= n.y + n.height);
});

test("a click finds what is drawn there", () => {
    const m = buildModel(endpoints, facts, options);
    const scene = buildScene(m, endpoints, {}, "x");
    const web = scene.byId.get("web");
    assert.equal(hit(scene, ...placeOf(web, 1), 1).member, "web2");
    assert.equal(hit(scene, web.x + 3, web.y + 3, 1).node, web);
    const link = scene.links.find((l) => l.from === "web" && l.to === "db");
    assert.equal(hit(scene, link.curve[0] + 1, link.curve[1], 1).link, link);
    assert.equal(hit(scene, -9000, -9000, 1), null);
    const { k, x, y } = fit(scene.bounds, 1000, 600);
    assert.ok(k > 0 && x <= scene.bounds.left && y <= scene.bounds.top);
});

test("a link goes round the compartments between its ends", () => {
    const chain = ["a", "b", "c", "d", "e"].map((name) => ({ name, groups: [name], labels: {}, trust: "white" }));
    const fact = (from, to, verdict = "allow") => ({ from, to, protocol: "tcp", port: 1, process: "/p", user: "u", verdict, rule: "r", layer: "allow", count: 1,
        last: "2026-01-01T00:00:00Z" });
    const talks = [fact("a", "b"), fact("b", "c"), fact("c", "d"), fact("d", "e"), fact("a", "e"), fact("a", "c"), fact("e", "b", "deny")];
    const behind = (scene) => scene.links.flatMap((l) => scene.nodes.filter((n) => n.id !== l.from && n.id !== l.to &&
        Array.from({ length: 99 }, (_, i) => pointOf(l.curve, (i + 1) / 100)).some(([x, y]) => x > n.x && x < n.x + n.width && y > n.y && y < n.y + n.height))
        .map((n) => `${l.from} to ${l.to} behind ${n.id}`));
    const scene = buildScene(buildModel(chain, talks, options), chain, {}, "x");
    assert.equal(new Set(scene.nodes.map((n) => n.y)).size, 1); // All in one row: the straight way is behind b, c and d.
    assert.deepEqual(behind(scene), []);
    scene.place(scene.byId.get("c"), scene.byId.get("c").x, -90);
    assert.deepEqual(behind(scene), []);
});

test("nothing stands below the legend", () => {
    const bounds = { left: 0, top: 0, right: 100, bottom: 2000 }, all = fit(bounds, 1000, 600), above = fit(bounds, 1000, 600, 40);
    assert.ok((bounds.bottom - all.y) * all.k <= 600 && (bounds.bottom - above.y) * above.k <= 560);
    assert.ok(above.y <= bounds.top);
});

test("two windows are compared by kind of connection", () => {
    const edge = (from, to, verdict, port = 1) => ({ from, to, protocol: "tcp", port, process: "/p", script: "", user: "u", verdict, last: "2026-01-01T00:00:00Z" });
    const before = [edge("a", "b", "allow"), edge("a", "c", "allow"), edge("a", "d", "allow"), edge("a", "d", "deny")];
    const after = [edge("a", "b", "deny"), edge("a", "d", "deny"), edge("", "b", "allow")];
    assert.deepEqual(compareEdges(before, after).map((r) => [r.from, r.to, r.change, r.before, r.after]),
        [["a", "c", "went", "allow", ""], ["a", "b", "other", "allow", "deny"], ["", "b", "came", "", "allow"]]);
    assert.deepEqual(compareEdges(after, after), []);
});

test("minutes without traffic are zeros", () => {
    const { times, series } = perMinute([{ last: "2026-01-01T10:00:30Z", verdict: "allow", count: 3 },
        { last: "2026-01-01T10:02:10Z", verdict: "deny", count: 1 }], ["allow", "deny"]);
    assert.equal(times.length, 31);
    assert.deepEqual(series.allow.slice(-3), [3, 0, 0]);
    assert.deepEqual(series.deny.slice(-3), [0, 0, 1]);
});

test("what the daemon has added up by a label makes the same map", async () => {
    const { groupedFacts } = await import("../../web/src/map/facts.js");
    const row = (from, to, counts) => ({ from, to, protocol: "tcp", port: 1, counts: { allow: 0, deny: 0, would_deny: 0, ...counts }, last: "2026-01-01T00:00:00Z" });
    const rows = [row("w", "d", { allow: 4 }), row("p", "w", { deny: 2 }), row("(outside)", "w", { allow: 2 }), row("w", "w", { allow: 2 })];
    const by = { ...options, by: "label:site" };
    const summed = buildModel(endpoints, groupedFacts(rows), { ...by, grouped: true }), own = buildModel(endpoints, facts, by);
    const shape = (m) => m.links.map((l) => [l.from, l.to, l.count, l.verdict]).sort();
    assert.deepEqual(shape(summed), shape(own));
    assert.deepEqual(summed.nodes.map((n) => n.id), own.nodes.map((n) => n.id));
});

test("a draft's changes and unused rules are lines of their own, beside the traffic", async () => {
    const { draftFacts, unusedLinks } = await import("../../web/src/map/overlay.js");
    const { OVER } = await import("../../web/src/map/model.js");
    const { dashOf } = await import("../../web/src/map/draw.js");
    const change = (kind, from, to) => ({ kind, from, to, service: "tcp/5432", process: "/p", script: "", user: "u", count: 3, last: "2026-01-01T00:00:00Z", now: { rule: "" } });
    const draft = draftFacts([change("blocked", "web1", "db1"), change("opened", "pc1", "db1"), change("reported", "web2", "203.0.113.9"), change("later", "a", "b")]);
    const rule = (id, from, to, layer = "allow") => ({ id, from, to, layer, sentence: id });
    const rules = [rule("used", ["web"], ["db"]), rule("idle", ["web"], ["db", "net"]), rule("any", [], ["db"]), rule("never", ["web"], ["db"], "never")];
    const use = rules.map((r) => ({ rule: r.id, hits: r.id === "used" ? 5 : 0 }));
    const groups = [{ name: "web", kind: "match", members: ["web1", "web2"] }, { name: "db", kind: "match", members: ["db1"] }, { name: "net", kind: "outside", members: [] }];
    const m = buildModel(endpoints, facts, { ...options, draft, unused: (keyOf) => unusedLinks(rules, use, groups, keyOf) });
    const over = m.links.filter((l) => OVER.includes(l.verdict)).map((l) => [l.from, l.to, l.verdict]);
    assert.deepEqual(over, [["web", "db", "draft-deny"], ["web", OUTSIDE, "draft-report"], ["pc", "db", "draft-allow"], ["web", "db", "unused"], ["web", OUTSIDE, "unused"]]);
    assert.deepEqual(m.unused.anybody, ["any"]);
    const wide = [rule("used", ["web"], ["db", "net"]), rules[1]], told = [{ from: "web1", to: "db1", rule: "used" }];
    const lines = (known) => unusedLinks(wide, use, groups, (n) => (n ? n.replace(/\d/, "") : OUTSIDE), known).links.map((l) => [l.to, l.verdict, l.facts[0].rule]);
    assert.deepEqual(lines(told), [[OUTSIDE, "wider", "used"], ["db", "unused", "idle"], [OUTSIDE, "unused", "idle"]]);
    assert.deepEqual(lines(null), [["db", "unused", "idle"], [OUTSIDE, "unused", "idle"]]); // Not all is known: nothing is said of it.
    assert.equal(m.links.filter((l) => l.from === "web" && l.to === "db").length, 3);
    assert.equal(new Set(m.links.map((l) => l.id)).size, m.links.length);
    const styles = ["allow", "deny", "would-deny", "seen", "seen-deny", ...OVER].map((v) => dashOf(v).join());
    assert.equal(new Set(styles).size, styles.length, "two kinds of line differ by colour alone");
    const scene = buildScene(m, endpoints, {}, "x");
    assert.equal(new Set(scene.links.filter((l) => l.from === "web" && l.to === "db").map((l) => l.curve.join())).size, 3);
    const web = scene.byId.get("web"), old = scene.links[0].curve;
    scene.place(web, web.x + 50, web.y + 7);
    assert.notDeepEqual(scene.links.find((l) => l.from === "web").curve, old);
});

test("places of the controller hold on a map of any size", () => {
    const { nodes } = buildModel(Array.from({ length: 90 }, (_, i) => ({ name: `e${i}`, groups: [`g${i}`], labels: {} })), [], options);
    layout(nodes, [], { g7: [-500, 30] });
    assert.deepEqual((({ x, y }) => [x, y])(nodes.find((n) => n.id === "g7")), [-500, 30]);
});

test("a saved view leads nowhere but into the console", async () => {
    const { isOwn } = await import("../../web/src/ui/saved.js");
    for (const bad of ["javascript:alert(1)", "https://evil.example/#/map", "//evil.example", "#", "#//evil", "", null]) assert.equal(isOwn(bad), false, bad);
    assert.ok(isOwn("#/flows?denied=1"));
});

const root = fileURLToPath(new URL("../../", import.meta.url));
const { checkPhrases, sentences } = await import("../../web/dev/phrases.mjs");
const { translator } = await import("../../web/src/i18n/phrases.js");
const { default: japanese } = await import("../../web/src/i18n/phrases-ja.js");
const IS_JAPANESE = /[\u3040-\u30ff\u4e00-\u9fff]/;

test("every sentence that the controller's sources have is there in Japanese", () => {
    assert.deepEqual(checkPhrases(root, "ja", japanese), []);
    assert.ok(sentences(root).size > 650, `${sentences(root).size}`);
});

test("a sentence that the table lacks is found, and a hole that its format lacks", () => {
    const { "no rule forbids it": _, ...less } = japanese;
    assert.deepEqual(checkPhrases(root, "ja", less), ['ja: no phrase for "no rule forbids it" of src/core/why/why.c']);
    assert.deepEqual(checkPhrases(root, "ja", { ...japanese, "use %s": "{2} を使う" }), ['ja: "use %s" has no {2}']);
});

/** What the command line said in the tests of every mistake and of every why. */
function told() {
    const found = new Set();
    const shapes = { mistakes: [/^(?:\S+: )?(?:error|warning|notice) [EWN]-[A-Z-]+: (.*)$/, /^\s+(?:expected|fix): (.*)$/],
        why: [/^[> ] (?:lifeline|quarantine|glass|break-glass|never|allow|default)\s+(.*)$/, /^ {2}(?:met|NOT MET|NOT TOLD|UNSEEN|accepted) +\S+ +(.*?)(?: {2}\[.*\])?$/, /^ {2}-> (.*)$/] };
    for (const [folder, patterns] of Object.entries(shapes)) for (const name of readdirSync(join(root, "tests/system", folder)))
        if (/\.(expected|txt)$/.test(name)) for (const line of readFileSync(join(root, "tests/system", folder, name), "utf8").split("\n"))
            for (const p of patterns) if (p.test(line)) found.add(p.exec(line)[1]);
    return [...found].filter((x) => / \S+ /.test(x) && !/^"?very very|^an allow like this/.test(x)); // The last stands in no answer of the API.
}

test("what the controller really says is said in Japanese, to the last finding and reason", () => {
    const say = translator(japanese), all = told();
    assert.ok(all.length > 300, `${all.length}`);
    assert.deepEqual(all.filter((x) => !IS_JAPANESE.test(say(x))), []);
    assert.equal(say("web1 is not in db"), "web1 は db に入っていない");
    assert.equal(say("~ orders may reach db by postgres as program /opt/x, which was only reported: was default, now orders-db, 9 pairs"),
        "~ orders は postgres (プログラム /opt/x) で db に届く (これまでは報告のみ): 以前は default、今は orders-db、9 組");
    assert.equal(say('"office" in test mode opens a path: outside to pc1 (the default is only reported), pc1 to fix1 by tcp/443 ("cleaner"); no rule lets outside reach fix1'),
        "test モードの「office」が経路を開く: outside から pc1 (既定の拒否は報告のみ)、pc1 から fix1 (tcp/443 (\"cleaner\"))。outside が fix1 に届くことを許す規則はない");
    assert.equal(say("nothing that anybody wrote"), "nothing that anybody wrote");
});

test("why a connection stands out is said in Japanese, names as they came", () => {
    const say = translator(japanese);
    for (const [sentence, said] of [
        ["not seen in the 5 days before, when both ends were; /usr/bin/backup is known there since 2026-11-17T15:29:47Z, with 1 other destination",
            "その前の 5 日間には見られていない。両端は見られていた。/usr/bin/backup はそこで 2026-11-17T15:29:47Z から知られ、ほかの宛先は 1 つ"],
        ["one connection; seen before this time, first 2026-11-17T15:29:47Z; its program was not told",
            "接続は一度。この期間より前にも見られ、最初は 2026-11-17T15:29:47Z。プログラムは知らされていない"],
        ["it never used tcp/22, and never reached a group of this destination before; /usr/bin/x is new everywhere, since 2026-11-17T15:29:47Z",
            "tcp/22 を以前に使ったことも、この宛先のどのグループに届いたこともない。/usr/bin/x はどこでも新しく、2026-11-17T15:29:47Z から"],
        ["25 different attempts within 10 minutes, 1 destination, 25 services, 25 times denied; from 20 on it is told",
            "10 分以内に 25 通りの試み: 宛先 1、サービス 25、拒否 25 回。20 から知らせる"],
    ]) assert.equal(say(sentence), said);
});

test("refusals, notices, results and the audit are said in Japanese, with what is foreign in them as it came", () => {
    const say = translator(japanese);
    for (const [sentence, said] of [
        ["wrong name or password", "名前かパスワードが違う"],
        ['no endpoint "the user" in the inventory', "インベントリにエンドポイント「the user」はない"],
        ['no endpoint "web9" in the inventory of then', "その時のインベントリにエンドポイント「web9」はない"],
        ["the disk is full; nothing was changed: audit", "ディスクが満杯で、何も変わっていない: audit"],
        ["port: expected a whole number from 0 to 65535", "port: 0 から 65535 までの整数が必要"],
        ["1 test and 2 proofs of the policy fail; nothing was changed: mend them, or give a reason to override them (apply --force REASON)",
            "ポリシーのテスト 1 件と証明 2 件が失敗し、何も変わっていない: 直すか、無視する理由を書く (apply --force 理由)"],
        ['service: no service of the policy is named "x is y", and it is no text like tcp/443 or icmp/echo; did you mean "x"?',
            "service: ポリシーに「x is y」というサービスはなく、tcp/443 や icmp/echo のような文字列でもない。「x」のことか"],
        ["hook connect4 was detached; attached again", "フック connect4 が外された。付け直した"],
        ["tap-web1 (web1): 12 frames dropped: mac_spoof", "tap-web1 (web1): 12 フレームを捨てた: mac_spoof"],
        ["cannot put programs on <b>: Operation not permitted; it is tried again", "<b> にプログラムを付けられない: Operation not permitted。もう一度試す"],
        ["refused: map full: the policy for web1 needs 9 entries, the limit here is 4; kept revision 7", "拒否: カーネルの表が満杯: web1 のポリシーには項目 9 個が要るが、ここの上限は 4 である。リビジョン 7 を保つ"],
        ["rolled back: not confirmed in time", "巻き戻し: 時間内に確定されなかった"],
        ["action policy.apply", "ポリシーの適用"], ["policy and inventory, revision 12", "ポリシーとインベントリ、リビジョン 12"],
        ["operator, scope site=tokyo, disabled", "operator、範囲 site=tokyo、停止"],
        ["forced over 1 E-TEST and 0 E-PROOF: no rule names it", "E-TEST 1 件と E-PROOF 0 件を押し切った: no rule names it"],
        ["mode       enforce", "モード: enforce"], ["host no longer counts: whoever is root inside switches it off", "host はもう数えられない: 中の root が止める"],
        ["3 endpoints without: open, though the policy denies it: plc1, plc2, plc3", "強制点のない 3 個のエンドポイント: ポリシーは拒否するが開いている: plc1, plc2, plc3"]])
        assert.equal(say(sentence), said);
});

test("what the audit keeps of people is not translated, though it reads like one of ours", async () => {
    const { actionOf, detailOf } = await import("../../web/src/audit.js");
    assert.equal(detailOf({ action: "endpoint.quarantine", detail: "wrong name or password" }), "wrong name or password");
    assert.equal(actionOf({ action: "policy.apply" }), "policy.apply"); // English: by its name.
});

test("a refusal that nobody translated is found in the sources", () => {
    const less = { ...japanese };
    delete less["wrong name or password"];
    delete less["hook %s was detached; attached again"];
    delete less["action policy.apply"];
    delete less["if it is owned:"];
    delete less["older revision"];
    assert.deepEqual(checkPhrases(root, "ja", less).map((x) => x.replace(/^.* of /, "")).sort(),
        ["src/controller/desired.c", "src/controller/main/routes_account.c", "src/enforce/host/attach.c", "src/text/unprotected_report.c", "src/wire/agent.c"]);
});

test("names and reasons of people stay as they wrote them", () => {
    const say = translator(japanese);
    assert.equal(say('"no-ssh" forbids it: no rule names it — neither end is a suspect'), "「no-ssh」が禁止する: no rule names it — neither end is a suspect");
    assert.equal(say('the unknown key "a rule" in a policy'), "ポリシーに知らないキー「a rule」");
});

test("a large body goes packed, and a small one as it is", async () => {
    const { ask } = await import("../../web/src/api.js"), before = globalThis.fetch;
    const sent = [];
    globalThis.fetch = async (_, { headers, body }) => {
        sent.push({ packed: headers["Content-Encoding"], bytes: Buffer.from(await new Response(body).arrayBuffer()) });
        return new Response("{}", { headers: { "content-type": "application/json" } });
    };
    try {
        for (const n of [1, 5 << 20]) {
            const body = { files: [{ name: "é.yaml", text: "#".repeat(n) }] };
            await ask("POST", "/policy/drafts", { body });
            const { packed, bytes } = sent.pop();
            assert.equal(packed, n === 1 ? undefined : "gzip");
            assert.deepEqual(JSON.parse(packed ? gunzipSync(bytes) : bytes), body);
            assert.ok(bytes.length < 100_000);
        }
    } finally {
        globalThis.fetch = before;
    }
});

test("what the history answers late is taken from the operation that it goes on as", async () => {
    const { get, getAll } = await import("../../web/src/api.js"), before = globalThis.fetch;
    const asked = [], seen = [];
    let left = 2;
    globalThis.fetch = async (url, { method, headers }) => {
        asked.push([method, url, headers.Prefer]);
        const path = url.replace("/api/v1", "");
        if (path === "/status") return Response.json({ revision: 1 });
        if (/^\/(edges|rules\/use)/.test(path)) return Response.json({ id: "00ff", state: "running", done: 1 }, { status: 202 });
        if (left-- > 0) return Response.json({ id: "00ff", state: "running", done: 2 });
        return Response.json({ id: "00ff", state: "done", result: left < -2 ? { status: 422, body: { detail: "ask for less" } } : { status: 200, body: { rules: [{ rule: "a" }], next: "" } } });
    };
    try {
        assert.deepEqual(await get("/edges?by=site", { onProgress: (o) => seen.push(o.done) }), { rules: [{ rule: "a" }], next: "" });
        assert.deepEqual(seen, [1, 2, 2]);
        assert.deepEqual(asked[0], ["GET", "/api/v1/edges?by=site", "respond-async, wait=30"]);
        assert.ok(asked.slice(1).every(([method, url]) => method === "GET" && url === "/api/v1/operations/00ff"));
        assert.deepEqual(await getAll("/rules/use"), [{ rule: "a" }]);
        await assert.rejects(get("/edges"), { status: 422, message: "ask for less" });
        asked.length = 0;
        await get("/status");
        assert.equal(asked[0][2], undefined); // Nobody may take longer for that.
    } finally {
        globalThis.fetch = before;
    }
});
