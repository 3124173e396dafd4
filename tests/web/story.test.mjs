// The demo that runs: logging in with what it printed, and its story on the time slider.
import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, logIn, open, visit } from "./browser.mjs";

const STORY = [/1\. Flat/, /drill from pc1/, /2\. Watertight/, /the same probe again/, /3\. Another program/, /pc1: (black|黒).*4\. Quarantine/,
    /living download was cut/, /reinstalled/, /drill from pc1/];
let browser;
before(async () => (browser = await launch()));
after(() => browser.close());

for (const language of ["en", "ja"])
    test(`the demo's story is on the slider, and play walks it, in ${language}`, async () => {
        const page = await open(browser, { language, theme: language === "ja" ? "dark" : "light" });
        await logIn(page, process.env.CONSOLE_NAME);
        await visit(page, process.env.STORY_ADDRESS);
        await page.waitForSelector(".story [aria-current]");
        const told = await page.$$eval(".story button", (l) => l.map((b) => b.textContent));
        let rest = told.join("\n");
        for (const wanted of STORY) {
            const found = wanted.exec(rest);
            assert.ok(found, `${wanted} is not told in its place:\n${told.join("\n")}`);
            rest = rest.slice(found.index + found[0].length);
        }
        await page.click(".moment-row button.plain");
        await page.waitForSelector(".story [aria-current]:has-text('Watertight')", { timeout: 60_000 });
        await page.waitForFunction(() => document.querySelector(".map-stage")?.stage?.scene?.links.length > 0);
        if (process.env.CONSOLE_PICTURES) {
            mkdirSync(process.env.CONSOLE_PICTURES, { recursive: true });
            await page.screenshot({ path: join(process.env.CONSOLE_PICTURES, `story-${language}.png`) });
        }
        await page.waitForSelector(".story [aria-current]:has-text('Quarantine')", { timeout: 60_000 });
        await page.waitForFunction(() => document.querySelector(".map-stage").stage.scene.nodes.some((n) => n.black > 0)); // The answer comes behind the step.
        await page.waitForFunction(() => !/[?&]at=/.test(location.hash), null, { timeout: 60_000 });
        assert.deepEqual(page.problems, []);
        await page.context().close();
    });
