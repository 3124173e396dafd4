// Metric 16: the map beside Sigma in the same Chromium, in software rendering.  Prints JSON lines.
//   node bench.mjs ENDPOINTS FLOWS GROUPS ROUNDS [sigma]
import { createRequire } from "node:module";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const require = createRequire(join(root, "web/package.json"));
const { build } = require("esbuild");
const { chromium } = require("playwright-core");
const [nEndpoints, nFlows, nGroups, rounds] = process.argv.slice(2, 6).map(Number);
const kinds = ["ours", ...process.argv.slice(6)];
const FRAMES = { ours: 480, sigma: 3 }, WARM = { ours: 20, sigma: 1 }, TICK_MS = 10;
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader"];

/** CPU time in ms of the browser with this profile and of all its descendants. */
function cpuOf(profile) {
    const processes = new Map();
    for (const pid of readdirSync("/proc").filter((x) => /^\d+$/.test(x))) try {
        const f = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").pop().split(" ");
        processes.set(pid, { parent: f[1], ticks: Number(f[11]) + Number(f[12]), mine: readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(profile) });
    } catch { /* It has ended. */ }
    const belongs = (pid) => {
        const p = processes.get(pid);
        return Boolean(p) && (p.mine || belongs(p.parent));
    };
    let ticks = 0;
    for (const [pid, p] of processes) if (belongs(pid)) ticks += p.ticks;
    return ticks * TICK_MS;
}

const out = mkdtempSync(join(tmpdir(), "sm-map-bench-"));
await build({ entryPoints: kinds.map((k) => fileURLToPath(new URL(`${k}.mjs`, import.meta.url))), bundle: true, minify: true, format: "esm",
    outdir: out, outExtension: { ".js": ".js" }, nodePaths: [join(root, "web/node_modules")] });
for (const kind of kinds) writeFileSync(join(out, `${kind}.html`), `<!doctype html><style>html,body,.map-stage{margin:0;height:100%;overflow:hidden}
.map-stage{position:relative}canvas{position:absolute;will-change:transform}</style><div class="map-stage">${kind === "ours" ? "<canvas></canvas>" : ""}</div><script type="module" src="${kind}.js"></script>`);
const server = createServer((q, a) => {
    const file = join(out, q.url.slice(1));
    try {
        const data = readFileSync(file);
        a.writeHead(200, { "Content-Type": file.endsWith(".js") ? "text/javascript" : "text/html" }).end(data);
    } catch {
        a.writeHead(404).end();
    }
});
await new Promise((r) => server.listen(0, "127.0.0.1", r));

for (let round = 0; round < rounds; round++) for (const kind of kinds) for (const [where, zoom] of [["all in sight", 1], ["inside", 6]]) {
    const profile = join(out, `profile-${kind}-${round}-${zoom}`);
    mkdirSync(profile);
    const context = await chromium.launchPersistentContext(profile, { executablePath: "/usr/bin/chromium", args: FLAGS, viewport: { width: 1280, height: 800 } });
    const page = context.pages()[0];
    page.setDefaultTimeout(120_000);
    await page.goto(`http://127.0.0.1:${server.address().port}/${kind}.html`);
    await page.waitForFunction(() => window.start);
    const first = await page.evaluate(([e, f, g, z]) => window.start(e, f, g, z), [nEndpoints, nFlows, nGroups, zoom]);
    await page.evaluate((n) => window.pan(n), WARM[kind]);
    const cpu = cpuOf(profile), start = Date.now();
    await page.evaluate((n) => window.pan(n), FRAMES[kind]);
    console.log(JSON.stringify({ kind, where, first_ms: first, cpu_ms: (cpuOf(profile) - cpu) / FRAMES[kind], wall_ms: (Date.now() - start) / FRAMES[kind] }));
    await context.close();
}
server.close();
rmSync(out, { recursive: true, force: true });
