// Every text in every language: same keys, same placeholders, none missing, none unused.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** The dictionary of a language; its file is one object of plain strings. */
function read(file) {
    const text = readFileSync(file, "utf8");
    return Function(`return ${text.slice(text.indexOf("{")).replace(/;\s*$/, "")}`)();
}

const filesBelow = (folder) => readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((f) => f.isFile() && f.name.endsWith(".js")).map((f) => join(f.parentPath ?? f.path, f.name));

const placeholders = (text) => [...text.matchAll(/\{(\w+)\}/g)].map((m) => m[1]).sort().join();

/** Keys in t("…"), t(cond ? "…" : "…"), `t(\`family.${x}\`)`, and families of term("…", …). */
function uses(folder) {
    const keys = new Set(), families = new Set();
    for (const file of filesBelow(folder)) {
        if (file.includes("i18n")) continue;
        const text = readFileSync(file, "utf8");
        for (const m of text.matchAll(/\bt\("([^"]+)"/g)) keys.add(m[1]);
        for (const m of text.matchAll(/\bt\([^()"`]*\? "([^"]+)" : "([^"]+)"/g)) keys.add(m[1]).add(m[2]);
        for (const m of text.matchAll(/\bt\(`([\w.]+)\.\$\{/g)) families.add(m[1]);
        for (const m of text.matchAll(/\bterm\("(\w+)"/g)) families.add(m[1]);
        for (const m of text.matchAll(/family: "(\w+)"/g)) families.add(m[1]);
        for (const m of text.matchAll(/"((?:trust)\.\w+)"/g)) keys.add(m[1]);
    }
    return { keys, families };
}

/** @returns {string[]} what is wrong */
export function checkWords(folder) {
    const words = Object.fromEntries(["en", "ja"].map((l) => [l, read(join(folder, "i18n", `${l}.js`))]));
    const { keys, families } = uses(folder), problems = [];
    const all = new Set(Object.values(words).flatMap(Object.keys));
    for (const key of new Set([...keys, ...all])) {
        for (const [language, has] of Object.entries(words))
            if (!has[key]) problems.push(`${language}: no text for "${key}"`);
        if (words.en[key] && words.ja[key] && placeholders(words.en[key]) !== placeholders(words.ja[key]))
            problems.push(`"${key}": the placeholders differ`);
        if (!keys.has(key) && ![...families].some((f) => key.startsWith(`${f}.`))) problems.push(`"${key}" is never used`);
    }
    for (const family of families)
        if (![...all].some((k) => k.startsWith(`${family}.`))) problems.push(`no texts "${family}.…"`);
    return problems;
}
