// Writes src/editor/schema.json from the schema that `suimitsu policy schema` prints: only what
// completion needs.   node dev/schema.mjs ../build/src/cli/suimitsu
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

const KEEP = ["properties", "additionalProperties", "items", "anyOf", "oneOf", "enum", "description", "$ref",
    "definitions"];

function slim(node) {
    if (Array.isArray(node)) return node.map(slim);
    if (node === null || typeof node !== "object") return node;
    return Object.fromEntries(Object.entries(node).filter(([k]) => KEEP.includes(k)).map(([k, v]) =>
        [k, k === "properties" || k === "definitions"
            ? Object.fromEntries(Object.entries(v).map(([name, n]) => [name, slim(n)]))
            : k === "enum" || typeof v === "string" ? v : slim(v)]));
}

const text = execFileSync(process.argv[2], ["policy", "schema"], { encoding: "utf8" });
writeFileSync(new URL("../src/editor/schema.json", import.meta.url), `${JSON.stringify(slim(JSON.parse(text)))}\n`);
