// Chromium for the tests of the console: one browser a file, one context a test.
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { join } from "node:path";

const root = fileURLToPath(new URL("../../", import.meta.url));
const require = createRequire(join(root, "web/package.json"));
const { chromium } = require("playwright-core");
export const axeSource = () => require("node:fs").readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const BASE = process.env.CONSOLE_URL;
export const SOCKET = process.env.CONSOLE_SOCKET;
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const launch = () => chromium.launch({ executablePath: "/usr/bin/chromium", args: FLAGS });

const EXPECTED = [/status of 401 .*\/api\/v1\/me$/]; // "Who am I?", before the login.

/** A page that keeps what went wrong in page.problems. */
export async function open(browser, { language = "en", theme = "light", width = 1280, height = 800, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, ignoreHTTPSErrors: true, reducedMotion: "reduce", ...options });
    context.setDefaultTimeout(60_000);
    await context.addInitScript(([l, t]) => {
        localStorage.setItem("language", l);
        localStorage.setItem("theme", t);
    }, [language, theme]);
    const page = await context.newPage();
    page.problems = [];
    page.asked = new Set(); // What is not answered yet; the stream of events never is.
    page.on("request", (r) => r.url().includes("/api/v1/events") || page.asked.add(r));
    for (const end of ["requestfinished", "requestfailed"]) page.on(end, (r) => page.asked.delete(r));
    page.on("pageerror", (e) => page.problems.push(String(e.stack)));
    page.on("console", (m) => {
        const text = `${m.text()} ${m.location().url}`;
        if (["error", "warning"].includes(m.type()) && !EXPECTED.some((e) => e.test(text))) page.problems.push(text);
    });
    return page;
}

export async function logIn(page, name = "mika", password = process.env.CONSOLE_PASSWORD) {
    await page.goto(BASE);
    await page.fill("input[name=name]", name);
    await page.fill("input[name=password]", password);
    await page.click("form button.primary");
    await page.waitForSelector(".rail");
}

/** Goes to a view and waits until nothing says that it is still loading. */
export async function visit(page, address) {
    await page.evaluate((a) => (location.hash = `#/${a}`), address);
    await page.waitForSelector(`main.view-${address.split(/[/?]/)[0]}`);
    await page.waitForFunction(() => !document.querySelector("main [role=status]") && document.querySelector("main").children.length > 0);
}

/** Waits until all that the page asked for is answered and drawn. */
export async function settled(page) {
    do {
        while (page.asked.size) await new Promise((r) => setTimeout(r, 20));
        await page.evaluate(() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(r, 50)))));
    } while (page.asked.size);
}

/** Asks the daemon itself, by the socket of root. */
export async function daemon(method, path, body) {
    const { request } = await import("node:http");
    return new Promise((resolve, reject) => {
        const q = request({ socketPath: SOCKET, path: `/api/v1${path}`, method, headers: { host: "suimitsud", "content-type": "application/json" } }, (r) => {
            let text = "";
            r.on("data", (d) => (text += d));
            r.on("end", () => resolve({ status: r.statusCode, data: text ? JSON.parse(text) : null }));
        });
        q.on("error", reject);
        q.end(body ? JSON.stringify(body) : undefined);
    });
}
