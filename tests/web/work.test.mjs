// What people do with the console, on a daemon that says afterwards whether it was done.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { BASE, daemon, launch, logIn, open, settled, visit } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

/** Not in the quick run of make check, but in check-ui and with LONG=1. */
const LONG = { skip: process.env.CONSOLE_QUICK === "1" && "in make check-ui" };

const kept = new Map(); // Cookies by account: hashing a password takes its time.

async function session(name = "mika", options = {}) {
    const page = await open(browser, { storageState: kept.get(name), ...options });
    if (kept.has(name)) {
        await page.goto(BASE);
        await page.waitForSelector(".rail");
    } else {
        await logIn(page, name);
        const { cookies } = await page.context().storageState();
        kept.set(name, { cookies, origins: [] });
    }
    return page;
}

async function end(page) {
    assert.deepEqual(page.problems, []);
    await page.context().close();
}

/** Waits until the daemon says so. */
async function until(f) {
    const limit = Date.now() + 60_000;
    while (Date.now() < limit) {
        const got = await f();
        if (got) return got;
        await new Promise((r) => setTimeout(r, 100));
    }
    throw new Error("did not happen in time");
}

const textOf = (page, selector) => page.textContent(selector);

/** The editor lives in a shadow tree. */
const setText = (page, f) => page.evaluate((code) => {
    const view = document.querySelector(".cm-host").editor, text = view.state.doc.toString();
    const changed = Function("text", `return ${code}`)(text);
    view.dispatch({ changes: { from: 0, to: text.length, insert: changed } });
}, f);

test("a wrong password is refused, and logging out ends the session", async () => {
    const page = await open(browser);
    await page.goto(BASE);
    await page.fill("input[name=name]", "mika");
    await page.fill("input[name=password]", "something else entirely");
    await page.click("form button.primary");
    await page.waitForSelector(".refusal");
    page.problems.length = 0; // The 401 that was asked for.
    await logIn(page);
    await page.click("button[title='Log out']");
    await page.waitForSelector("input[name=password]");
    assert.equal(await page.evaluate(async () => (await fetch("/api/v1/me")).status), 401);
    page.problems.length = 0;
    await end(page);
});

test("keys go everywhere", async () => {
    const page = await session();
    for (const [key, view] of [["f", "flows"], ["e", "endpoints"], ["p", "policy"], ["m", "map"], ["a", "audit"], ["o", "overview"]]) {
        await page.keyboard.press("g");
        await page.keyboard.press(key);
        await page.waitForSelector(`main.view-${view}`);
    }
    await page.keyboard.press("?");
    await page.waitForSelector("dialog[open]");
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "detached" });
    await page.keyboard.press("g");
    await page.keyboard.press("e");
    await page.waitForSelector("tr[data-index='0']");
    await page.focus("tr[data-index='0']");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("j");
    const name = await page.evaluate(() => document.activeElement.querySelector("a").textContent);
    await page.keyboard.press("Enter");
    await page.waitForFunction((n) => location.hash === `#/endpoints/${n}`, name);
    await end(page);
});

test("a filter completes fields and values, and stands in the address and the command line", async () => {
    const page = await session();
    await visit(page, "flows");
    await page.keyboard.press("/");
    await page.keyboard.type("fr");
    await page.waitForSelector("[role=option]");
    await page.keyboard.press("Tab");
    await page.keyboard.type("web");
    await page.waitForFunction((wanted) => [...document.querySelectorAll("[role=option]")].map((x) => x.textContent).join() === wanted, // Names are asked of the daemon.
        "from:web1,from:web2,from:web3,from:web4");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => location.hash === "#/flows?from=web1");
    await page.waitForFunction(() => [...document.querySelectorAll("tbody tr[data-index] td:nth-child(3)")].every((x) => x.textContent === "web1"));
    assert.equal(await textOf(page, ".command code"), "suimitsu flows --from web1");
    await end(page);
});

test("flows are those that the daemon has, and one of them says why", async () => {
    const page = await session();
    await visit(page, "flows?denied=1");
    const { data } = await daemon("GET", "/flows?denied&max=500");
    const list = data.flows ?? data.items;
    assert.match(await textOf(page, ".foot"), new RegExp(`^${list.length} `));
    await page.click("tr[data-index='0'] td:first-child");
    await page.click(".side a.primary");
    await page.waitForSelector(".verdict-line");
    assert.match(await textOf(page, ".verdict-line"), /deny/);
    assert.ok(await page.$(".layers .decides"));
    await end(page);
});

test("reasons, findings and differences are said in Japanese", async () => {
    const page = await session("mika", { language: "ja" });
    const texts = async (selector) => {
        await page.waitForSelector(selector);
        await page.waitForFunction((s) => /[\u3040-\u30ff]/.test(document.querySelector(s).textContent), selector);
        return page.$$eval(selector, (l) => l.map((x) => x.textContent));
    };
    const ours = (list) => list.filter((x) => x.trim() && !/[\u3040-\u30ff\u4e00-\u9fff]/.test(x));
    await visit(page, "why?from=web1&to=db1&service=tcp/5432&process=/usr/bin/psql");
    assert.deepEqual(ours([...await texts(".layers li span:nth-child(2)"), ...await texts(".conditions .grow"), ...await texts(".changes li")]), []);
    await visit(page, "policy/findings");
    assert.deepEqual(ours(await texts(".findings p")), []);
    await visit(page, "policy/versions?from=0");
    assert.deepEqual(ours(await texts(".diff span")), []);
    await visit(page, "unprotected");
    assert.deepEqual(ours(await texts(".card > p.muted")), []);
    await visit(page, "endpoints/db1");
    await page.click("details summary:has-text('コントローラーの説明')");
    assert.deepEqual(ours((await texts(".card pre.quote"))[0].split("\n").slice(1)), []);
    await end(page);
});

test("refusals, notices and the audit are said in Japanese, and what people wrote stays", async () => {
    const reason = "no rule names it";
    await daemon("POST", "/endpoints/pc4/quarantine", { reason });
    await daemon("POST", "/endpoints/pc4/release", { reason });
    const page = await session("mika", { language: "ja" });
    await visit(page, "audit");
    await page.waitForSelector("tr:has-text('隔離の解除')");
    assert.match(await textOf(page, "tr:has-text('endpoint.release')"), new RegExp(`エンドポイント pc4.*${reason}`, "s"));
    assert.match(await textOf(page, "tr:has-text('login'):has-text('mika')"), /ログイン.*から、セッション/s);
    await visit(page, "enforcers/web1");
    await page.waitForSelector("td:has-text('フック connect4 が外された。付け直した')");
    await visit(page, "why?from=web1&to=db1&service=nothing");
    await page.waitForSelector(".refusal:has-text('ポリシーに「nothing」というサービスはなく')");
    page.problems = page.problems.filter((p) => !/status of 422/.test(p)); // The refusal that was asked for.
    await end(page);
});

test("new connections come by themselves", async () => {
    const page = await session();
    await visit(page, "flows?live=1");
    const before = parseInt((await textOf(page, ".foot")).replace(/\D/g, ""), 10);
    process.stdout.write("REPORT 1\n");
    await page.waitForFunction((n) => parseInt(document.querySelector(".foot").textContent.replace(/\D/g, ""), 10) > n, before);
    await end(page);
});

test("quarantine and release, with reasons that stand in the audit", async () => {
    const page = await session();
    await visit(page, "endpoints/pc2");
    for (const [verb, trust, reason] of [["Quarantine", "black", "beacon to 203.0.113.9"], ["Release", "white", "reinstalled & <clean>"]]) {
        await page.click(`main button:has-text("${verb}")`);
        await page.fill("dialog input[name=reason]", reason);
        await page.click(`dialog button:has-text("${verb}")`);
        await until(async () => (await daemon("GET", "/endpoints/pc2")).data.trust === trust);
        await page.waitForFunction((t) => document.querySelector("dialog") === null && document.querySelector("main").textContent.includes(t), trust);
        const audit = (await daemon("GET", "/audit")).data;
        assert.ok((audit.items ?? audit).some((e) => e.detail.includes(reason) && e.actor.includes("mika")), reason);
    }
    await visit(page, "incidents");
    await page.waitForSelector(".timeline li");
    assert.match(await textOf(page, ".timeline"), /reinstalled & <clean>/);
    await end(page);
});

test("an error in the policy's text has its caret at the right place", async () => {
    const page = await session();
    await visit(page, "policy/edit");
    await page.waitForFunction(() => document.querySelector(".cm-host")?.editor);
    await setText(page, `text.replace("from: web, to: orders,", "from: webb, to: orders,")`);
    await page.waitForSelector(".finding-head >> text=E-UNKNOWN");
    const found = await page.evaluate(() => {
        const view = document.querySelector(".cm-host").editor;
        const marks = [...view.dom.querySelectorAll(".cm-lintRange-error")].map((x) => x.textContent);
        return { marks, gutter: view.dom.querySelectorAll(".cm-lint-marker-error").length };
    });
    assert.deepEqual(found, { marks: ["webb"], gutter: 1 });
    assert.ok(await page.isDisabled("button:has-text('Apply…')"));
    page.problems = page.problems.filter((p) => !/status of 422/.test(p)); // The refusal that was asked for.
    await end(page);
});

test("a failing proof draws its path", async () => {
    const page = await session();
    await visit(page, "policy/edit");
    await page.waitForFunction(() => document.querySelector(".cm-host")?.editor);
    await setText(page, `text + "  - {no-path: {from: office, to: db}}\\n"`);
    await page.waitForSelector(".path");
    assert.deepEqual(await page.$$eval(".station", (l) => l.map((x) => x.textContent)), ["pc1", "web1", "orders1", "db1"]);
    page.problems = page.problems.filter((p) => !/status of 422/.test(p));
    await end(page);
});

test("a change is shown in meaning, applied with a clock, and kept", async () => {
    const page = await session();
    const before = (await daemon("GET", "/status")).data.policy;
    await visit(page, "policy/edit");
    await page.waitForFunction(() => document.querySelector(".cm-host")?.editor);
    await setText(page, `text.replace("from: hmi, to: plc, service: modbus", "from: [hmi, monitoring], to: plc, service: modbus")`);
    await page.waitForFunction(() => /mon1 may reach plc/.test(document.querySelector(".meaning .diff")?.textContent ?? ""));
    await page.click("button:has-text('Apply…'):not([disabled])");
    await page.fill("dialog input[name=comment]", "CHG-77");
    await page.click("dialog button[type=submit]");
    await page.waitForSelector(".confirm-clock");
    assert.match(await textOf(page, ".confirm-clock strong"), /^[45]:\d\d$/);
    await page.click(".confirm-clock button");
    await page.waitForSelector(".confirm-clock", { state: "detached" });
    const status = (await daemon("GET", "/status")).data;
    assert.equal(status.confirm_by, "");
    assert.ok(status.policy > before);
    await visit(page, "policy/versions");
    await page.waitForSelector("td:has-text('CHG-77')");
    await end(page);
});

test("an editor proposes; an approver sees what it means, what it would have done, and applies it with a clock", async () => {
    const eri = await session("eri"), note = `CHG-99 <i>${Date.now()}</i>`;
    await visit(eri, "policy/edit");
    await eri.waitForFunction(() => document.querySelector(".cm-host")?.editor);
    await setText(eri, `text.replace(/  - \\{id: office-print.*\\n/, "")`);
    await eri.waitForFunction(() => /printer/.test(document.querySelector(".meaning .diff")?.textContent ?? ""));
    await eri.click("button:has-text('Simulate')");
    await eri.waitForSelector(".simulated tr:has-text('office-it'):has-text('times')");
    await eri.waitForSelector(".simulated tbody tr:has(.badge:text-is('blocked')):has-text('tcp/631'):has-text('office-print')");
    assert.equal(await eri.$("button:has-text('Apply…')"), null);
    await eri.click("button:has-text('Propose…'):not([disabled])");
    await eri.fill("dialog input[name=comment]", note);
    await eri.click("dialog button[type=submit]");
    await eri.waitForFunction(() => /^#\/policy\/drafts\/[0-9a-f]{16}$/.test(location.hash));
    await eri.waitForSelector("main .diff");
    assert.equal(await eri.$("main .toolbar button:has-text('Apply…')"), null);
    await end(eri);

    const before = (await daemon("GET", "/status")).data.policy;
    const aki = await session("aki");
    await visit(aki, "policy/drafts");
    await aki.click(`a:has-text("${note}")`);
    await aki.waitForFunction(() => /printer/.test(document.querySelector("main .diff")?.textContent ?? ""));
    await aki.waitForSelector(".card:has-text('Proofs') .badge:text-is('all hold')");
    await aki.click("main .toolbar button:has-text('Apply…'):not([disabled])");
    await aki.fill("dialog input[name=confirm]", "3");
    await aki.click("dialog button[type=submit]");
    await aki.waitForSelector(".confirm-clock");
    await aki.click(".confirm-clock button");
    await aki.waitForSelector(".confirm-clock", { state: "detached" });
    const status = (await daemon("GET", "/status")).data;
    assert.ok(status.policy > before && status.confirm_by === "");
    const told = (await daemon("GET", "/timeline?max=500")).data;
    assert.ok(told.some((e) => e.comment === note && e.actor === "account aki"));
    assert.ok(!(await daemon("GET", "/policy/drafts")).data.some((d) => d.comment === note));
    await end(aki);
    assert.equal((await daemon("POST", "/policy/rollback", { version: before, confirm_s: 0 })).status, 200);
});

test("a draft that something else has overtaken cannot be applied, and is rejected", async () => {
    const files = (text) => [{ name: "shop.yaml", text }];
    const { data } = await daemon("GET", "/policy"), text = data.files[0].text;
    const { id } = (await daemon("POST", "/policy/drafts", { files: files(`${text}# later\n`), comment: "too late" })).data;
    const other = (await daemon("POST", "/policy/drafts", { files: files(`${text}# sooner\n`), comment: "sooner" })).data;
    assert.equal((await daemon("POST", `/policy/drafts/${other.id}/apply`, { confirm_s: 0 })).status, 200);
    const aki = await session("aki");
    await visit(aki, `policy/drafts/${id}`);
    await aki.waitForSelector(".notice:has-text('Something else is in force')");
    assert.ok(await aki.isDisabled("main .toolbar button:has-text('Apply…')"));
    await aki.click("main .toolbar button:has-text('Reject')");
    await aki.click("dialog button:has-text('Reject')");
    await aki.waitForFunction(() => location.hash === "#/policy/drafts");
    assert.equal((await daemon("GET", `/policy/drafts/${id}`)).status, 404);
    aki.problems = aki.problems.filter((p) => !/status of 412/.test(p)); // The refusal that was asked for.
    await end(aki);
});

test("with four eyes nobody is offered to apply what he has proposed", LONG, async () => {
    const { data } = await daemon("GET", "/policy");
    const page = await open(browser);
    await page.route(/\/api\/v1\/(login|me)$/, async (route) => {
        const response = await route.fetch(), body = await response.json();
        await route.fulfill({ response, json: { ...body, four_eyes: true } });
    });
    await logIn(page);
    const { id } = await page.evaluate(async (files) => (await fetch("/api/v1/policy/drafts", { method: "POST", headers: { "content-type": "application/json" },
        body: JSON.stringify({ files, comment: "mine" }) })).json(), data.files.map(({ name, text }) => ({ name, text })));
    await visit(page, `policy/drafts/${id}`);
    await page.waitForSelector(".notice:has-text('somebody else must apply')");
    assert.equal(await page.$("main .toolbar button:has-text('Apply…')"), null);
    await visit(page, "policy/edit");
    await page.waitForSelector("button:has-text('Propose…')");
    assert.equal(await page.$("main .toolbar button:has-text('Apply…')"), null);
    await visit(page, `policy/drafts/${id}`);
    await page.click("main .toolbar button:has-text('Withdraw')");
    await page.click("dialog button:has-text('Withdraw')");
    await until(async () => (await daemon("GET", `/policy/drafts/${id}`)).status === 404);
    await end(page);
});

test("an admin makes, changes, disables and removes an account; its owner changes the password", LONG, async () => {
    const page = await session(), name = `rie${Date.now() % 100000}`, password = "a first long passphrase", own = "a second long passphrase";
    const row = `tr:has(td:text-is('${name}'))`, account = async () => (await daemon("GET", "/accounts")).data.find((x) => x.name === name);
    await visit(page, "accounts");
    await page.click("main button:has-text('New account')");
    await page.fill("dialog input[name=name]", name);
    await page.selectOption("dialog select[name=role]", "operator");
    await page.fill("dialog input[name=scope]", "site=tokyo");
    await page.fill("dialog input[name=password]", password);
    await page.click("dialog button[type=submit]");
    await page.waitForSelector(row);
    assert.deepEqual((({ role, scope, disabled }) => [role, scope, disabled])(await account()), ["operator", { site: "tokyo" }, false]);

    const rie = await open(browser);
    await logIn(rie, name, password);
    await visit(rie, "accounts");
    assert.equal(await rie.$("main table"), null);
    for (const [old, next, again] of [[password, own, `${own}!`], ["wrong in every way", own, own], [password, own, own]]) {
        await rie.fill("input[name=old]", old);
        await rie.fill("input[name=new]", next);
        await rie.fill("input[name=again]", again);
        await rie.click("main button[type=submit]");
        await rie.waitForSelector(again !== next || old !== password ? ".refusal" : "input[name=password]");
    }
    await logIn(rie, name, own);

    await page.click(`${row} button:has-text('Change')`);
    await page.check("dialog input[name=disabled]");
    await page.click("dialog button[type=submit]");
    await page.waitForSelector(`${row}:has(.badge:text-is('disabled'))`);
    await rie.evaluate(() => (location.hash = "#/endpoints"));
    await rie.waitForSelector("input[name=password]"); // Its session has ended.
    await rie.context().close();

    await page.click(`${row} button:has-text('Remove')`);
    await page.click("dialog button[type=submit]");
    await page.waitForSelector(row, { state: "detached" });
    assert.equal(await account(), undefined);
    await end(page);
    const ken = await session("ken");
    await visit(ken, "accounts");
    assert.equal(await ken.$("main table"), null);
    await end(ken);
});

test("the map says the same as its table, and a link opens its kinds and a why", async () => {
    const page = await session();
    await visit(page, "map");
    await page.waitForFunction(() => document.querySelector(".map-stage")?.stage?.drawn);
    const at = await page.evaluate(() => {
        const { scene, camera } = document.querySelector(".map-stage").stage;
        const link = scene.links.find((l) => l.from === "orders" && l.to === "db"), c = link.curve;
        const mid = (i) => (c[i] + 3 * c[2 + i] + 3 * c[4 + i] + c[6 + i]) / 8;
        return [(mid(0) - camera.x) * camera.k, (mid(1) - camera.y) * camera.k];
    });
    await page.click(".map-stage", { position: { x: at[0], y: at[1] } });
    await page.waitForSelector(".side");
    assert.match(await textOf(page, ".side h2"), /^orders → db$/);
    assert.match(await textOf(page, ".side .kinds"), /tcp\/5432.*\/opt\/shop\/bin\/orders/s);
    await visit(page, "map?view=table");
    const row = await page.waitForSelector("tr:has(td:text-is('orders')):has(td:text-is('db'))");
    assert.match(await row.textContent(), /tcp\/5432/);
    await end(page);
});

/** The map once it is drawn, with what a link is like. */
const drawn = (page) => page.waitForFunction(() => document.querySelector(".map-stage")?.stage?.drawn);
const kindsOf = (page) => page.evaluate(() => document.querySelector(".map-stage").stage.scene.links.map((l) => [l.from, l.to, l.verdict].join(" ")));

test("a draft is drawn against what was reported and enforced, told apart by its lines", async () => {
    const { data: policy } = await daemon("GET", "/policy");
    const files = policy.files.map((f) => ({ ...f, text: f.text.replace(/  - \{id: pos-web.*\n/, "") + "" }));
    const draft = (await daemon("POST", "/policy/drafts", { files: files.map(({ name, text }) => ({ name, text })), comment: "CHG-88 <b>no tills</b>" })).data;
    const page = await session();
    await visit(page, "map");
    await drawn(page);
    assert.ok(!(await kindsOf(page)).some((k) => k.includes("draft")));
    await page.selectOption("main .toolbar select:has(option:has-text('CHG-88'))", draft.id);
    await page.waitForFunction(() => document.querySelector(".map-stage").stage.scene.links.some((l) => l.from === "pos" && l.to === "web" && l.verdict === "draft-deny"));
    const kinds = await kindsOf(page);
    for (const kind of ["pos web allow", "pos web draft-deny", "office office would-deny", "web db deny"]) assert.ok(kinds.includes(kind), `${kind}: ${kinds}`);
    assert.match(await textOf(page, ".map-legend"), /would deny.*deny.*draft: would block/);
    const dashes = await page.$$eval(".map-legend path", (l) => l.map((x) => x.getAttribute("stroke-dasharray") ?? ""));
    assert.equal(new Set(dashes).size, dashes.length);
    assert.match(await textOf(page, ".map"), /would block [1-9]/);
    await page.click("main .choice button:has-text('Table')");
    await page.waitForSelector("tr:has(.badge:text('draft: would block')):has-text('pos'):has-text('tcp/443')");
    await daemon("DELETE", `/policy/drafts/${draft.id}`);
    await end(page);
});

test("rules that nobody used are on the map", async () => {
    const page = await session();
    await visit(page, "map?unused=1");
    await drawn(page);
    const { data } = await daemon("GET", "/rules/use?since=1d");
    const idle = data.rules.filter((r) => r.hits === 0 && r.in_force).map((r) => r.rule);
    assert.ok(idle.includes("shop-front") && !idle.includes("web-orders"), `${idle}`);
    await page.waitForFunction(() => document.querySelector(".map-stage").stage.scene.links.some((l) => l.verdict === "unused"));
    const drawnRules = await page.evaluate(() => [...new Set(document.querySelector(".map-stage").stage.scene.links.filter((l) => l.verdict === "unused").flatMap((l) => l.facts.map((f) => f.rule)))]);
    assert.ok(drawnRules.includes("shop-front"));
    assert.deepEqual(drawnRules.filter((id) => !idle.includes(id)), []);
    const wide = await page.evaluate(() => document.querySelector(".map-stage").stage.scene.links.filter((l) => l.verdict === "wider").map((l) => `${l.facts[0].rule} ${l.from} ${l.to}`));
    assert.ok(wide.includes("cleaner office fix-it") || idle.includes("cleaner"), `${wide}`);
    assert.ok(!wide.some((x) => x.startsWith("web-orders ")), `${wide}`);
    await page.click("main .choice button:has-text('Table')");
    await page.click("tr:has(.badge:text('allowed, never used')):has-text('shop-front')");
    assert.match(await textOf(page, ".side"), /shop-front.*outside/is);
    await end(page);
});

test("a rule says whether it is used and what it is wider than, as the history has it", async () => {
    const page = await session();
    await visit(page, "policy/rules");
    assert.equal(await page.$(".rule .wider"), null);
    await page.click("main .toolbar button:has-text('wider than used')");
    await page.waitForSelector(".rule .wider");
    const { data } = await daemon("GET", "/rules/hygiene?since=90d");
    const want = data.rules.find((r) => r.wider && r.fields.some((x) => x.told && x.count > 0 && x.never.length > 0));
    const text = await textOf(page, `.rule:has(a.mono:text-is('${want.rule}')) .wider`);
    const part = want.fields.find((x) => x.told && x.count > 0 && x.never.length > 0);
    assert.ok(text.includes(`${part.field} ${part.name}`) && text.includes(`${part.seen} of ${part.n} seen`) && text.includes(part.never[0]), text);
    assert.equal(await textOf(page, ".command code"), "suimitsu rules hygiene --since 90d");
    await end(page);
});

test("an admin makes a token, which is shown this once, and revokes it", LONG, async () => {
    const page = await session(), name = `ci${Date.now() % 100000}`, row = `tr:has(td:text-is('${name}'))`;
    await visit(page, "accounts");
    await page.click("main button:has-text('Token for the API')");
    await page.fill("dialog input[name=name]", name);
    await page.fill("dialog input[name=scope]", "site=tokyo");
    await page.click("dialog button[type=submit]");
    const token = await textOf(page, "dialog .token");
    assert.match(token, /^sma1\.[0-9a-f.]{20,}$/);
    assert.equal(await page.evaluate(async (t) => (await fetch("/api/v1/me", { headers: { authorization: `Bearer ${t}` } })).status, token), 200);
    await page.click("dialog .buttons button:has-text('Close')");
    await page.waitForSelector(`${row}:has-text('viewer'):has-text('tokyo'):has(.badge:text-is('usable'))`);
    assert.ok(!(await page.content()).includes(token));
    await page.click(`${row} button:has-text('Revoke')`);
    await page.click("dialog button[type=submit]");
    await page.waitForSelector(row, { state: "detached" });
    await page.click("main button:has-text('Enrol an agent')");
    await page.fill("dialog input[name=endpoint]", "nobody9");
    await page.click("dialog button[type=submit]");
    assert.match(await textOf(page, "dialog .token"), /^smt1\./);
    await page.waitForSelector("dialog .notice:has-text('No endpoint of the inventory')");
    await end(page);
    const ken = await session("ken");
    await visit(ken, "accounts");
    assert.equal(await ken.$("main table"), null);
    await end(ken);
});

test("an operator puts a compartment elsewhere, and everybody sees it there", async () => {
    const page = await session();
    await visit(page, "map?by=label:kind");
    await drawn(page);
    await page.click("main button:has-text('Arrange')");
    const place = (p, id) => p.evaluate((name) => (({ x, y }) => [x, y])(document.querySelector(".map-stage").stage.scene.byId.get(name)), id);
    const before = await place(page, "plc");
    const at = await page.evaluate(() => {
        const { scene, camera } = document.querySelector(".map-stage").stage, n = scene.byId.get("plc"), box = document.querySelector(".map-stage").getBoundingClientRect();
        return [box.left + (n.x + 40 - camera.x) * camera.k, box.top + (n.y + 14 - camera.y) * camera.k];
    });
    await page.mouse.move(...at);
    await page.mouse.down();
    await page.mouse.move(at[0] + 30, at[1] + 60, { steps: 4 });
    await page.mouse.up();
    const places = await until(async () => (await daemon("GET", "/console/layout?by=label:kind")).data.places.plc);
    assert.notDeepEqual(places, before.map(Math.round));
    const ken = await session("ken");
    await visit(ken, "map?by=label:kind");
    await drawn(ken);
    assert.deepEqual(await place(ken, "plc"), places);
    assert.equal(await ken.$("main button:has-text('Arrange')"), null);
    await page.click("main button:has-text('Work out anew')");
    await until(async () => !(await daemon("GET", "/console/layout?by=label:kind")).data.places.plc);
    await end(page);
    await end(ken);
});

test("a view is saved under a name, for this account alone", LONG, async () => {
    const page = await session(), name = "denied <img src=x onerror=alert(1)>";
    await visit(page, "flows?denied=1");
    await page.click("summary:has-text('Saved')");
    await page.fill(".menu input", name);
    await page.click(".menu form button");
    await page.waitForSelector(".menu li a");
    assert.equal(await textOf(page, ".menu li a"), name);
    await visit(page, "map");
    await page.click("summary:has-text('Saved')");
    assert.equal(await page.$(".menu li a"), null);
    await visit(page, "flows");
    await page.click("summary:has-text('Saved')");
    await page.click(".menu li a");
    await page.waitForFunction(() => location.hash === "#/flows?denied=1");
    const ken = await session("ken");
    await visit(ken, "flows");
    await ken.click("summary:has-text('Saved')");
    assert.equal(await ken.$(".menu li a"), null);
    await end(ken);
    await page.click("summary:has-text('Saved')");
    await page.click(".menu li button");
    await page.waitForSelector(".menu li", { state: "detached" });
    await end(page);
});

test("panning moves the picture, zooming draws it again", async () => {
    const page = await session();
    await visit(page, "map");
    await page.waitForFunction(() => document.querySelector(".map-stage")?.stage?.drawn);
    await settled(page); // The answers that come behind the first picture.
    const state = () => page.evaluate(() => {
        const s = document.querySelector(".map-stage").stage;
        return { camera: { ...s.camera }, drawn: { ...s.drawn } };
    });
    const first = await state();
    const box = await (await page.$(".map-stage")).boundingBox();
    await page.mouse.move(box.x + 500, box.y + 560);
    await page.mouse.down();
    await page.mouse.move(box.x + 420, box.y + 520, { steps: 4 });
    await page.mouse.up();
    const second = await state();
    assert.ok(Math.abs((second.camera.x - first.camera.x) * first.camera.k - 80) < 1);
    assert.deepEqual(second.drawn, first.drawn);
    await page.mouse.wheel(0, -400);
    await page.waitForFunction((k) => document.querySelector(".map-stage").stage.drawn.k > k * 1.2, first.camera.k);
    await end(page);
});

test("may this rule go? the recorded connections answer", async () => {
    const page = await session();
    await visit(page, "policy/rules");
    await page.click("li.rule:has-text('orders-db') button");
    await page.waitForSelector("dialog .simulated tbody tr:has(.badge:text-is('blocked')):has-text('orders1'):has-text('tcp/5432'):has-text('/opt/shop/bin/orders')");
    await end(page);
});

test("what takes long says how far it is, and is ended there too", async () => {
    const page = await session(), cancelled = [];
    await page.route("**/api/v1/operations/*", async (route) => {
        const { id } = await (await route.fetch()).json(); // As if it were not done yet.
        await route.fulfill({ json: { id, state: "running", done: 3, total: 12, percent: 25 } });
    });
    await page.route("**/api/v1/operations/*/cancel", async (route) => {
        cancelled.push(route.request().method());
        await route.fulfill({ json: {} });
    });
    await visit(page, "policy/rules");
    await page.click("li.rule:has-text('orders-db') button");
    await page.waitForSelector("dialog .progress:has-text('3 of 12 (25 %)')");
    assert.equal(await page.$eval("dialog progress", (e) => e.value), 25);
    const ended = page.waitForRequest("**/cancel");
    await page.click("dialog .progress button");
    await ended;
    await page.waitForSelector("dialog", { state: "detached" });
    await until(() => cancelled.length === 1);
    await end(page);
});

test("operations are listed as they go, with their answers, and are ended by a button", async () => {
    const page = await session();
    await visit(page, "operations");
    await settled(page);
    const { id } = (await daemon("POST", "/operations", { get: "/api/v1/unprotected" })).data;
    const row = `tr:has(a[href='#/operations/${id}'])`; // It comes by the stream: nobody reloads.
    await page.waitForSelector(`${row}:has(.badge:text-is('done')):has-text('GET /unprotected'):has-text('root (unix socket)')`);
    await page.click(`${row} a.action:has-text('Answer')`);
    await page.waitForSelector("pre.quote");
    assert.equal(await textOf(page, "pre.quote"), (await daemon("GET", "/unprotected")).data.text);
    assert.equal(await textOf(page, ".command code"), `suimitsu operation show ${id}`);
    const saved = page.waitForEvent("download");
    await page.click("button:has-text('Save as JSON')");
    assert.equal((await saved).suggestedFilename(), `operation-${id}.json`);
    const running = { id: "0123456789abcdef", get: "/api/v1/edges?by=site", actor: "account ken", state: "running",
        created: new Date().toISOString(), ended: "", elapsed_s: 31, done: 3, total: 12, percent: 25 };
    await page.route(/\/api\/v1\/operations$/, (route) => route.fulfill({ json: [running] }));
    await page.route("**/api/v1/operations/*/cancel", (route) => route.fulfill({ json: {} }));
    await page.reload();
    await visit(page, "operations");
    await page.waitForSelector("tr:has-text('account ken'):has-text('GET /edges?by=site'):has-text('3 of 12 (25 %)')");
    assert.equal(await page.$eval("tr progress", (e) => e.value), 25);
    const ended = page.waitForRequest("**/api/v1/operations/0123456789abcdef/cancel");
    await page.click("button[aria-label='Cancel: GET /edges?by=site']");
    assert.equal((await ended).method(), "POST");
    await end(page);
});

test("a moment of the past is shown as it was, and stays when one goes on", async () => {
    const page = await session();
    const hold = (verb) => daemon("POST", `/endpoints/pc2/${verb}`, { reason: "a test" });
    await hold("quarantine");
    const black = (await daemon("GET", "/timeline?max=500")).data.find((e) => e.endpoint === "pc2" && e.trust === "black");
    await until(() => Date.now() > Date.parse(black.time) + 1000); // Of one second, the last change counts.
    await hold("release");
    await visit(page, `endpoints/pc2?at=${black.time}`);
    await page.waitForSelector("main .badge:has-text('black')");
    assert.equal((await daemon("GET", "/endpoints/pc2")).data.trust, "white");
    await page.click(".rail a:has-text('Endpoints')");
    await page.waitForSelector("tr.row-deny:has-text('pc2')");
    assert.equal(await textOf(page, ".command code"), `suimitsu endpoint --at ${black.time}`);
    await page.click(".moment-bar button:has-text('Back to now')");
    await page.waitForSelector("tr.row-deny:has-text('pc2')", { state: "detached" });
    await end(page);
});

/** Notes, a quarantine and a release, each in a second of its own. */
async function tellStory(endpoint) {
    const second = async () => {
        const begun = Math.floor(Date.now() / 1000);
        await until(() => Math.floor(Date.now() / 1000) > begun);
    };
    for (const [path, body] of [["/timeline", { comment: "drill from pc9: nothing denied" }], [`/endpoints/${endpoint}/quarantine`, { reason: "it beacons & <b>" }],
        ["/timeline", { comment: "cut after 38 ms", contain_ms: 38 }], [`/endpoints/${endpoint}/release`, { reason: "reinstalled" }]]) {
        await second();
        assert.equal((await daemon("POST", path, body)).status, 200);
    }
    await second();
}

test("what happened is marked on the slider with its text, and play walks it to the present", async () => {
    await tellStory("pc3");
    const page = await session();
    await visit(page, "endpoints/pc3");
    await page.click("header button[aria-expanded]");
    await page.click(".story button:has-text('drill from pc9')");
    await page.waitForFunction(() => /[?&]at=/.test(location.hash));
    const times = new Set((await daemon("GET", "/timeline?max=500")).data.map((e) => e.time));
    assert.equal(await page.$$eval(".tick", (l) => l.length), times.size);
    assert.ok(await page.$(".tick.of-note.here"));
    const seen = [];
    await page.exposeFunction("seen", (text) => seen.push(text));
    await page.evaluate(() => new MutationObserver(() => globalThis.seen(document.querySelector(".story [aria-current]")?.textContent ?? "now"))
        .observe(document.querySelector(".moment"), { subtree: true, attributes: true, attributeFilter: ["aria-current"] }));
    await page.click("button[aria-label='Play']");
    await page.waitForSelector("main .badge:has-text('black')");
    await page.waitForFunction(() => !/[?&]at=/.test(location.hash));
    await page.waitForSelector("main .badge:has-text('white')");
    const told = seen.filter((text, i) => i === 0 || text !== seen[i - 1]).join("\n");
    assert.match(told, /pc3: black · it beacons & <b>.*\n.*cut after 38 ms.*\n.*pc3: white · reinstalled/);
    await end(page);
});

test("any two moments are compared: what the policy meant, and which connections came and went", async () => {
    process.stdout.write("REPORT 1\n");
    const page = await session();
    const events = (await daemon("GET", "/timeline?max=500")).data;
    const black = events.find((e) => e.endpoint === "pc3" && e.trust === "black");
    assert.deepEqual([black.comment, black.actor], ["it beacons & <b>", "root (unix socket)"]);
    const before = events.find((e) => e.revision < black.revision && e.time < black.time);
    await visit(page, `compare?from=${before.time}&to=${black.time}`);
    await page.waitForSelector(".diff:has-text('pc3')");
    await page.selectOption(".toolbar > div:nth-child(1) select", black.time);
    await page.waitForFunction((time) => decodeURIComponent(location.hash).includes(`from=${time}`), black.time);
    await page.waitForFunction(() => document.querySelector(".diff") && !document.querySelector(".diff").textContent.includes("pc3"));
    assert.equal(await textOf(page, ".command code"), `suimitsu timeline diff ${black.time} ${black.time}`);
    await visit(page, `compare?from=${events.at(-1).time}`);
    await page.waitForSelector("tr:has(.badge:text-is('new')):has-text('orders1'):has-text('tcp/5432')");
    await end(page);
});

test("a viewer is offered nothing that would be refused", async () => {
    const page = await session("ken");
    for (const view of ["endpoints/pc1", "enforcers/db1", "incidents", "policy/versions", "policy/edit"]) {
        await visit(page, view);
        await settled(page);
        const offered = await page.$$eval("main button", (l) => l.map((b) => b.textContent));
        assert.deepEqual(offered.filter((x) => /Quarantine|Release|Apply|Roll back|Resync|Verify/.test(x)), [], view);
    }
    page.problems = page.problems.filter((p) => !/status of 403/.test(p));
    await end(page);
});
