// Every view in both languages, dark and light, on a desktop and on a tablet: nothing breaks, nothing is
// left in the other language, nothing is out of reach; and pictures of all for the documentation.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { axeSource, daemon, launch, logIn, open, settled, visit } from "./browser.mjs";

const [{ time: BEGIN }] = (await daemon("GET", "/timeline?max=500")).data.slice(-1);
const proposed = (await daemon("GET", "/policy")).data.files.map(({ name, text }) => ({ name, text: text.replace(/  - \{id: pos-web.*\n/, "") }));
const { id: DRAFT } = (await daemon("POST", "/policy/drafts", { files: proposed, comment: "CHG-1240: the tills move" })).data;
const { id: OPERATION } = (await daemon("POST", "/operations", { get: "/api/v1/unprotected" })).data;
const VIEWS = ["overview", "map", "map?view=matrix", "map?view=table", "map?show=violations", "map?focus=db1", "map?unused=1", "map?unused=1&view=table",
    "policy/drafts", `policy/drafts/${DRAFT}`, `map?draft=${DRAFT}`, "accounts", `compare?from=${BEGIN}`, `endpoints?at=${BEGIN}`, "flows", "flows?denied=1&from=pc1", "flows/rare", "exporters",
    "endpoints", "endpoints/db1", "policy/rules", "policy/rules?hygiene=1", "policy/edit", "policy/proofs", "policy/findings", "policy/radius",
    "policy/radius?from=web", "policy/versions?from=0", "incidents", "enforcers", "enforcers/db1", "unprotected", "operations", `operations/${OPERATION}`, "audit",
    "why?from=web1&to=db1&service=tcp/5432&process=/usr/bin/psql"];
/** Of these pictures are made, by name. */
const PICTURED = { overview: "overview", map: "map", "map?view=matrix": "matrix", flows: "flows", endpoints: "endpoints",
    "endpoints/db1": "endpoint", "policy/rules": "rules", "policy/edit": "policy", "policy/radius?from=web": "radius", [`policy/drafts/${DRAFT}`]: "draft", [`map?draft=${DRAFT}`]: "map-draft", accounts: "accounts", "map?unused=1": "map-unused",
    incidents: "incidents", enforcers: "enforcers", operations: "operations", audit: "audit", [VIEWS.at(-1)]: "why" };
const QUICK = process.env.CONSOLE_QUICK === "1";
const PICTURES = process.env.CONSOLE_PICTURES;

let browser;
before(async () => {
    await daemon("POST", "/endpoints/pc5/quarantine", { reason: "beacon to 203.0.113.9" });
    browser = await launch();
});
after(async () => {
    await daemon("DELETE", `/policy/drafts/${DRAFT}`);
    await browser.close();
});

/** Texts that look like keys of texts: a word that a language lacks. */
const rawKeys = (page) => page.evaluate(() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    while (walker.nextNode()) {
        const text = walker.currentNode.data.trim();
        if (/^(nav|flows|map|policy|overview|audit|endpoint|endpoints|enforcers|why|edit|apply|rules|radius|proofs|versions|trust|mode|state|severity|layer|role|unprotected|incidents|owned|moment|rare|exporters|operations?)\.[a-z.-]+$/.test(text) &&
            !walker.currentNode.parentElement.closest("td,.timeline")) found.push(text);
    }
    return found;
});

async function axe(page) {
    await page.evaluate(axeSource());
    return page.evaluate(async () => (await window.axe.run(document, { resultTypes: ["violations"] })).violations
        .filter((v) => v.impact === "serious" || v.impact === "critical")
        .map((v) => `${v.id} (${v.impact}): ${v.nodes.slice(0, 3).map((n) => n.target.join(" ")).join(" | ")}`));
}

const tooWide = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth + 1);

async function picture(page, name) {
    if (!PICTURES) return;
    mkdirSync(PICTURES, { recursive: true });
    await page.screenshot({ path: join(PICTURES, `${name}.png`) });
}

for (const [language, theme, width] of QUICK ? [["en", "light", 1280]] : [["en", "light", 1280], ["ja", "dark", 1280], ["ja", "light", 820]])
    test(`all views in ${language}, ${theme}, ${width} wide`, async () => {
        const page = await open(browser, { language, theme, width, bypassCSP: false });
        await logIn(page);
        const problems = [];
        for (const view of VIEWS) {
            await visit(page, view);
            await settled(page);
            await page.waitForTimeout(view.startsWith("policy/edit") || view === "overview" ? 1200 : 250);
            if (await tooWide(page)) problems.push(`${view}: wider than the window`);
            for (const key of await rawKeys(page)) problems.push(`${view}: no text for ${key}`);
            if (width === 1280 && PICTURED[view]) await picture(page, `${PICTURED[view]}-${language}`);
        }
        assert.deepEqual([...problems, ...page.problems], []);
        await page.context().close();
    });

test("axe finds nothing serious in any view, dark or light", async () => {
    const found = [];
    for (const theme of QUICK ? ["light"] : ["light", "dark"]) {
        const page = await open(browser, { theme, bypassCSP: true });
        await page.goto(process.env.CONSOLE_URL);
        await page.waitForSelector("input[name=name]");
        for (const v of await axe(page)) found.push(`login, ${theme}: ${v}`);
        await logIn(page);
        for (const view of VIEWS) {
            await visit(page, view);
            await settled(page);
            if (view.startsWith("policy/edit")) await page.waitForTimeout(1200);
            for (const v of await axe(page)) found.push(`${view}, ${theme}: ${v}`);
        }
        await page.context().close();
    }
    assert.deepEqual(found, []);
});
