// Every sentence that the controller and its agents write for people, out of their C sources, against the
// table of each language: none missing.  The sources below are those that make reasons of verdicts,
// findings, refusals, notices of agents, results of enforcers, and what the audit says of a change.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDERS = ["src/core/why", "src/core/lint"];
const FILES = ["src/core/lint.c", "src/core/tests.c", "src/core/proof.c", "src/core/coverage.c", "src/core/hygiene.c", "src/text/policy.c", "src/text/inventory.c",
    "src/text/language.c", "src/text/language_inventory.c", "src/text/decode.c", "src/text/node.c", "src/text/port.c", "src/text/diff_report.c", "src/text/meaning.c"];
/** Of this only the part below its heading: the rest is for a terminal. */
const PARTS = { "src/text/rare_report.c": "reasons", "src/text/hygiene_report.c": "reasons", "src/core/replay.c": "words" };
/** Lines of a difference come from these; what is JSON in them is for programs. */
const LINES = /^src\/text\/(diff_report|meaning)/, JSON_PART = /": |^"?[\]}]|^\{"|^, "/;
/** Texts of files, commands and descriptions of the schema, which no finding shows. */
const APART = [/^\s*(#|why:|owner:|service:|%s: \{|suimitsu: 1\n|allow:\n)/, /\n/];
const DESCRIBES = /^src\/text\/language/;

/** What is refused: all texts of files that make problems, and of these that make words for them, but for logs, JSON, the table of
 *  routes and what is no sentence. */
const REFUSES = /\bhttp_problem(?:_field)?\(/;
const REFUSING = ["src/controller/api/http.c", "src/controller/main/operations.c", "src/controller/auth/passwords.c", "src/text/query.c"];
const SILENT = /\b(?:log_(?:err|warn|info|debug)|json_(?:pack|unpack\w*|object\w*)|http_header)\(|\bapp_routes\[\] = \{|\btexts\[\] = \{/;
const NO_SENTENCE = /^[[{']|^"\w+": |\n|^%stoday|^(id: %|retry: |Bearer |default-src|root \(unix|text\/|pair %|since:age|endpoint:at|two $|by others|process:program)|; Path=\/|^[A-Za-z]+ \/api\/|^If-Match: "|^, "\w+": /;
/** Elsewhere: what these calls are given. */
const SPEAKING = [
    [/^src\/(enforce\/(common|edge|host|nft)|agent\/enforce)\/|^src\/agent\/net\/link\.c$/,
        /\b(?:edge_notice|host_notice|enforce_notice|tell_failure|seat_ack|refuse|buf_printf\(&?why|buf_puts\(&?why|snprintf\(text)[(,]/],
    [/^src\/controller\/(auth\/(accounts|tokens)|desired|notes|main\/hooks)\.c$/, /\b(?:snprintf\((?:detail|object|what),|buf_printf\(&detail,|commit\()/],
    [/^src\/controller\/dist\/dist\.c$/, /\b(?:snprintf|set_text)\((?:s->last_result|detail),|\bwords\[\] = \{/],
    [/^src\/wire\/agent\.c$/, /\bagent_reason_name\(uint32_t reason\)\s*\{/],
];
/** Names of what the audit keeps; they stand in the table as "action policy.apply". */
const ACTIONS = /"((?!index\.)[a-z]+\.[a-z]+|login|logout)"/g;
/** Of these every line counts for itself. */
const LINED = ["src/core/unprotected.c", "src/text/unprotected_report.c"];

/** String literals of a C source, adjacent ones joined; PRIu64 is what it stands for here. */
export function literals(source) {
    const text = source.replace(/\/\*[^]*?\*\//g, "").replace(/^#.*$/gm, "").replaceAll("PRIu64", '"llu"');
    return [...text.matchAll(/"(?:[^"\\\n]|\\.)*"(?:\s*"(?:[^"\\\n]|\\.)*")*/g)].map(([all]) =>
        [...all.matchAll(/"((?:[^"\\\n]|\\.)*)"/g)].map((m) => m[1].replace(/\\(.)/g, (_, c) => ({ n: "\n", t: "\t" })[c] ?? c)).join(""));
}

const isC = (name) => name.endsWith(".c");
const below = (root, folder) => readdirSync(join(root, folder), { recursive: true }).filter(isC).map((n) => `${folder}/${n}`);

/** Where the bracket closes that opens before 'at'. */
function closing(text, at) {
    for (let depth = 1, quoted = false; at < text.length; at++) {
        const c = text[at];
        if (c === "\\") at++;
        else if (c === '"') quoted = !quoted;
        else if (!quoted && (c === "(" || c === "{")) depth++;
        else if (!quoted && (c === ")" || c === "}") && --depth === 0) return at + 1;
    }
    return at;
}

/** The parts of a source that begin with such a call, and what is between them. */
function split(source, call) {
    const text = source.replace(/'(?:\\?"|[(){}])'/g, "0"), within = [], between = [];
    let from = 0;
    for (const m of text.matchAll(new RegExp(call.source, "g"))) {
        if (m.index < from) continue;
        const end = closing(text, m.index + m[0].length);
        between.push(text.slice(from, m.index));
        within.push(text.slice(m.index, end));
        from = end;
    }
    return { within, between: [...between, text.slice(from)].join("\n;\n") };
}

/** Names of texts (#define TABLE_TEXT "table inet suimitsu") where they are used. */
const expanded = (source) => [...source.matchAll(/^#define (\w+) ("(?:[^"\\]|\\.)*")$/gm)].reduce((s, [, name, text]) => s.replaceAll(name, text), source.replace(/^#define \w+ "/gm, '#define _ "'));

const isWords = (text) => /\S \S|^ \S|\S $/.test(text) && /[A-Za-z]{2}/.test(text.replace(/%[-0-9.*]*(?:ll|z|h)?[a-zA-Z]/g, ""));

/** Refusals, notices, results and the audit. */
function* spoken(root) {
    const read = (file) => expanded(readFileSync(join(root, file), "utf8"));
    const files = ["src/enforce", "src/agent", "src/controller", "src/wire"].flatMap((f) => below(root, f));
    for (const file of [...files.filter((f) => !REFUSING.includes(f) && REFUSES.test(read(f))), ...REFUSING])
        for (const text of literals(split(read(file), SILENT).between))
            if (isWords(text) && !NO_SENTENCE.test(text)) yield [text, file];
    for (const [where, call] of SPEAKING) for (const file of files.filter((f) => where.test(f)))
        for (const part of split(read(file), call).within) for (const text of literals(part)) if (isWords(text)) yield [text, file];
    for (const file of files.filter((f) => f.startsWith("src/controller/") && !f.includes("/notify/")))
        for (const [, name] of read(file).matchAll(ACTIONS)) yield [`action ${name}`, file];
    for (const file of LINED) for (const all of literals(read(file)))
        for (const text of all.split("\n").map((x) => x.trim())) if (isWords(text) && !JSON_PART.test(all)) yield [text, file];
}

/** What stands below a heading of a C source, up to the next. */
function part(source, heading) {
    const begin = source.indexOf(`/* ---- ${heading} ---- */`);
    if (begin < 0) throw new Error(`no heading "${heading}"`);
    return source.slice(begin).split(/\/\* ---- .* ---- \*\//)[1];
}

/** @param {string} root of the project's tree @returns {Map<string, string>} sentence → the file that has it */
export function sentences(root) {
    const files = [...FILES, ...Object.keys(PARTS), ...FOLDERS.flatMap((f) => readdirSync(join(root, f)).filter((n) => n.endsWith(".c")).map((n) => `${f}/${n}`))];
    const found = new Map();
    const read = (file) => readFileSync(join(root, file), "utf8");
    for (const file of files.sort()) for (const text of literals(PARTS[file] ? part(read(file), PARTS[file]) : read(file))) {
        if (!/\S \S|^ \S|\S $/.test(text) || !/[A-Za-z]{2}/.test(text.replace(/%\w+/g, "")) && !/^%s %s %s$|^%s of|%s as %s/.test(text)) continue;
        if (LINES.test(file) ? JSON_PART.test(text) : APART.some((x) => x.test(text)) || (DESCRIBES.test(file) && /[.`]|^Unique/.test(text))) continue;
        found.set(text, file);
    }
    for (const [text, file] of spoken(root)) if (!found.has(text)) found.set(text, file);
    return found;
}

const holes = (format) => (format.match(/%[-0-9.*]*(?:ll|z|h)?[a-zA-Z]/g) ?? []).length || Math.max(0, ...[...format.matchAll(/\{(\d+)#?\}/g)].map((m) => Number(m[1])));

/** @returns {string[]} what is wrong with a language's table */
export function checkPhrases(root, language, table) {
    const problems = [];
    for (const [text, file] of sentences(root))
        if (!(text in table)) problems.push(`${language}: no phrase for ${JSON.stringify(text)} of ${file}`);
    for (const [format, text] of Object.entries(table))
        for (const [shape, said] of typeof text === "string" ? [[format, text]] : Object.entries(text))
            for (const [, n] of said.matchAll(/\{(\d+)[!,]?\}/g))
                if (Number(n) > holes(shape)) problems.push(`${language}: ${JSON.stringify(shape)} has no {${n}}`);
    return problems;
}
