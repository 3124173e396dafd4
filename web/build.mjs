// Builds web/dist.  The same sources give the same bytes: dist is committed, and a check compares.
//   node build.mjs [OUTDIR]
import { build } from "esbuild";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { join, relative, basename, dirname } from "node:path";
import { gzipSync } from "node:zlib";
import { checkPhrases } from "./dev/phrases.mjs";
import { checkWords } from "./dev/words.mjs";
import { licences } from "./dev/licences.mjs";

const root = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(root, "dist");
const FIRST_PAINT_MAX = 60_000;

function fail(text) {
    console.error(text);
    process.exit(1);
}

/** What the browser needs before it shows something: the page, and all that main imports at once. */
function firstPaint(meta, html) {
    const main = Object.keys(meta.outputs).find((f) => meta.outputs[f].entryPoint === "src/main.js");
    const files = new Set(), todo = [main];
    while (todo.length) {
        const file = todo.pop();
        if (files.has(file)) continue;
        files.add(file);
        for (const i of meta.outputs[file].imports) if (i.kind === "import-statement") todo.push(i.path);
        if (meta.outputs[file].cssBundle) files.add(meta.outputs[file].cssBundle);
    }
    // The words and the first view come at once behind it.
    for (const wanted of ["src/i18n/ja.js", "src/views/overview.js"])
        for (const [file, o] of Object.entries(meta.outputs)) if (o.entryPoint === wanted) {
            files.add(file);
            for (const i of o.imports) if (i.kind === "import-statement") files.add(i.path);
        }
    const size = [...files].reduce((n, f) => n + gzipSync(readFileSync(join(root, f)), { level: 9 }).length, 0);
    return size + gzipSync(html, { level: 9 }).length;
}

const { default: phrases } = await import("./src/i18n/phrases-ja.js");
const problems = [...checkWords(join(root, "src")), ...checkPhrases(join(root, ".."), "ja", phrases)];
if (problems.length) fail(problems.join("\n"));

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const { metafile } = await build({
    absWorkingDir: root, entryPoints: ["src/main.js"], bundle: true, splitting: true, format: "esm", outdir: out,
    entryNames: "[name]-[hash]", chunkNames: "[name]-[hash]", assetNames: "[name]-[hash]", minify: true, metafile: true,
    target: ["es2022", "chrome109", "firefox115", "safari16.4"], legalComments: "none", charset: "utf8", logLevel: "warning",
    loader: { ".json": "json" },
});
const outputs = Object.entries(metafile.outputs);
const main = outputs.find(([, o]) => o.entryPoint === "src/main.js")[0];
const html = readFileSync(join(root, "src/index.html"), "utf8")
    .replace('"main.js"', `"${basename(main)}"`).replace('"main.css"', `"${basename(metafile.outputs[main].cssBundle)}"`);
writeFileSync(join(out, "index.html"), html);
copyFileSync(join(root, "src/icon.svg"), join(out, "icon.svg"));
writeFileSync(join(root, "LICENSES"), licences(root, Object.keys(metafile.inputs)));

const size = firstPaint(metafile, html);
console.log(`${outputs.length} files; first paint ${size} bytes gzipped (at most ${FIRST_PAINT_MAX}); ${relative(root, out) || out}`);
if (size > FIRST_PAINT_MAX) fail("the first paint is too heavy");
