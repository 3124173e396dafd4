// The console in the lab, beside real agents and real traffic.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, logIn, open, visit } from "./browser.mjs";

let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

for (const language of ["en", "ja"])
    test(`the shop's own connections are on the map and among the flows, in ${language}`, async () => {
        const page = await open(browser, { language, theme: language === "ja" ? "dark" : "light" });
        await logIn(page);
        await visit(page, "flows?live=1");
        await page.waitForSelector("tr:has(a:text-is('web1')):has(a:text-is('db1')):has-text('/opt/shop/bin/orders')", { timeout: 120_000 });
        await visit(page, "map?window=h");
        await page.waitForFunction(() => document.querySelector(".map-stage")?.stage?.scene?.links.some((l) => l.from === "web" && l.to === "db"), null, { timeout: 120_000 });
        if (process.env.CONSOLE_PICTURES) {
            mkdirSync(process.env.CONSOLE_PICTURES, { recursive: true });
            await page.waitForTimeout(500);
            await page.screenshot({ path: join(process.env.CONSOLE_PICTURES, `lab-map-${language}.png`) });
        }
        assert.deepEqual(page.problems, []);
        await page.context().close();
    });

test("a terminal is quarantined from the console", async () => {
    const page = await open(browser);
    await logIn(page);
    await visit(page, "endpoints/pc1");
    await page.click("main button:has-text('Quarantine')");
    await page.fill("dialog input[name=reason]", "a test in the lab");
    await page.click("dialog button:has-text('Quarantine')");
    await page.waitForSelector("main .badge:has-text('black')");
    await page.context().close();
});
