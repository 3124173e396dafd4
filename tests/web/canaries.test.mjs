// Every string that the API answers is hostile, in every view, with the content policy switched off:
// none may run, none may become an element, and they must be on the page as text.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { daemon, launch, logIn, open, settled, visit } from "./browser.mjs";

const WANTED = 2000;
const [{ time: BEGIN }] = (await daemon("GET", "/timeline?max=500")).data.slice(-1);
const policy = (await daemon("GET", "/policy")).data.files.map(({ name, text }) => ({ name, text: text.replace(/  - \{id: pos-web.*\n/, "") }));
const { id: DRAFT } = (await daemon("POST", "/policy/drafts", { files: policy, comment: "for the canaries" })).data;
await daemon("POST", "/tokens", { kind: "enroll", endpoint: "web1" });
await daemon("POST", "/timeline", { comment: "a note", detect_ms: 5, contain_ms: 7 });
const { id: OPERATION } = (await daemon("POST", "/operations", { get: "/api/v1/unprotected" })).data;
const VIEWS = ["overview", "map?view=table", "map?view=matrix", "map", "flows", "endpoints", "endpoints/db1", "policy/rules", "policy/edit",
    "policy/proofs", "policy/findings", "policy/radius", "policy/radius?from=web", "policy/versions?from=0", "incidents", "enforcers",
    "enforcers/db1", "unprotected", "audit", "why?from=web1&to=db1&service=tcp/5432&process=/usr/bin/psql",
    "flows?denied=1", "endpoints/web1", "endpoints/pc1", "enforcers/pc1", "map?by=label:site&view=table", "map?focus=web1", "policy/radius?from=pc1",
    "why?from=pc1&to=web1&service=tcp/22&user=ops-1", "flows?live=1", "endpoints?mode=enforce",
    "endpoints/orders1", "flows?verdict=deny", "map?by=label:kind&view=table", "enforcers/fix1", "overview", "map?unused=1", "map?unused=1&view=table",
    `map?draft=${DRAFT}`, `compare?from=${BEGIN}`, `endpoints?at=${BEGIN}`, "policy/drafts", `policy/drafts/${DRAFT}`,
    "accounts", "policy/rules?hygiene=1", "flows/rare", "exporters", "operations", `operations/${OPERATION}`];
const SHAPES = [
    (n) => `"><img src="x" data-canary="${n}" onerror="canary(${n})">`,
    (n) => `<script data-canary="${n}">canary(${n})</script>`,
    (n) => `'><svg data-canary="${n}" onload="canary(${n})"></svg>`,
    (n) => `javascript:canary(${n})`,
    (n) => `</textarea><iframe data-canary="${n}" srcdoc="<script>parent.canary(${n})</script>"></iframe>`,
    (n) => `\${canary(${n})}{{canary(${n})}}`,
    (n) => `<a href="javascript:canary(${n})" data-canary="${n}">${n}</a><style data-canary>*{display:none}</style>`,
];
/** What decides the shape of a view, and is no text of anybody's; times. */
const KEEP = new Set(["verdict", "trust", "mode", "state", "severity", "layer", "role", "rights", "confirm_by", "etag", "cursor", "next"]);
const DATE = /^\d{4}-\d\d-\d\dT/, SHAPING = /^([0-9a-f]{16}|blocked|reported|opened)$/; // Times; ids of drafts, kinds of changes.

let browser, planted = 0;
before(async () => (browser = await launch()));
after(async () => {
    await daemon("DELETE", `/policy/drafts/${DRAFT}`);
    await browser.close();
});

function poison(value, key) {
    if (Array.isArray(value)) return key && KEEP.has(key) ? value : value.map((v) => poison(v, key));
    if (value && typeof value === "object")
        return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, poison(v, k)]));
    if (typeof value !== "string" || KEEP.has(key) || DATE.test(value) || SHAPING.test(value)) return value;
    const n = planted++;
    return value + SHAPES[n % SHAPES.length](n);
}

async function poisonAnswers(page) {
    await page.route(/\/api\/v1\/(?!me|login|logout|events|openapi)/, async (route) => {
        const response = await route.fetch();
        const text = await response.text();
        let body = text;
        try {
            body = JSON.stringify(poison(JSON.parse(text)));
        } catch { /* No JSON: as it is. */ }
        await route.fulfill({ response, body });
    });
}

test("of some thousand hostile strings none runs", async () => {
    const page = await open(browser, { bypassCSP: true });
    const ran = [];
    await page.exposeFunction("canary", (n) => ran.push(n));
    page.on("dialog", (d) => {
        ran.push(d.message());
        d.dismiss();
    });
    await logIn(page);
    await poisonAnswers(page);
    const seen = new Set(), elements = [];
    for (const view of VIEWS) {
        await visit(page, view);
        await settled(page);
        await page.waitForTimeout(view.startsWith("policy/edit") ? 1500 : 250);
        if (/^(flows|audit|map)/.test(view)) for (const row of (await page.$$("tr[data-index]")).slice(0, 3)) await row.click({ position: { x: 4, y: 10 } }).catch(() => {});
        await settled(page);
        const found = await page.evaluate(() => {
            const roots = [document, ...[...document.querySelectorAll(".cm-host")].map((x) => x.shadowRoot).filter(Boolean)];
            const text = roots.map((r) => (r.body ?? r).textContent).join(" ");
            return {
                seen: [...text.matchAll(/canary\((\d+)\)/g)].map((m) => Number(m[1])),
                elements: roots.flatMap((r) => [...r.querySelectorAll("[data-canary],iframe,img,[onerror],[onload],main script,a[href^='javascript']")].map((x) => x.outerHTML.slice(0, 120))),
            };
        });
        found.seen.forEach((n) => seen.add(n));
        elements.push(...found.elements.map((x) => `${view}: ${x}`));
        await page.keyboard.press("Escape");
    }
    console.log(`# ${planted} planted, ${seen.size} seen as text, ${ran.length} ran`);
    assert.deepEqual([ran, elements], [[], []]);
    assert.ok(planted >= WANTED, `${planted} planted`);
    assert.ok(seen.size >= WANTED, `${seen.size} seen as text`);
});

test("the test would see one that runs", async () => {
    const page = await open(browser, { bypassCSP: true });
    const ran = [];
    await page.exposeFunction("canary", (n) => ran.push(n));
    await logIn(page);
    for (const [n, shape] of SHAPES.entries()) if (/onerror|onload|srcdoc/.test(shape(n)))
        await page.evaluate((html) => document.body.insertAdjacentHTML("beforeend", html), shape(n));
    for (const limit = Date.now() + 60_000; ran.length < 2;) {
        assert.ok(Date.now() < limit, `${ran.length}`);
        await page.waitForTimeout(50);
    }
});
