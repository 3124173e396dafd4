// What may stand where the cursor is: keys by the schema of policies, names by the policy in force.
import schema from "./schema.json";

/** Keys whose values are names of groups or services. */
const NAMES = { from: "group", to: "group", match: "", service: "service", groups: "group" };

function resolve(node) {
    const found = node?.$ref ? node.$ref.replace(/^#\//, "").split("/").reduce((x, k) => x?.[k], schema) : node;
    return found ?? {};
}

/** All shapes that a value may have. */
function shapes(node) {
    const one = resolve(node);
    const several = one.anyOf ?? one.oneOf;
    return several ? several.flatMap(shapes) : [one];
}

/** The schema one key, or one element of a list, further down. */
function step(nodes, key) {
    return nodes.flatMap((node) => {
        if (key === "-") return node.items ? shapes(node.items) : [];
        if (node.properties?.[key]) return shapes(node.properties[key]);
        return typeof node.additionalProperties === "object" ? shapes(node.additionalProperties) : [];
    });
}

/** The keys above a line, by indentation: ["allow", "-", "from"]. */
export function pathAt(lines, index) {
    const path = [];
    const parts = (text) => {
        const dash = /^(\s*)((?:-\s+)*)/.exec(text);
        return { indent: dash[1].length, dashes: (dash[2].match(/-/g) ?? []).length, width: dash[0].length };
    };
    let here = parts(lines[index]);
    let limit = here.dashes ? here.width : here.indent;
    if (here.dashes) path.unshift("-");
    limit = here.indent + (here.dashes ? 1 : 0);
    let inItem = here.dashes > 0;
    for (let i = index - 1; i >= 0 && limit > 0; i--) {
        const text = lines[i];
        if (!text.trim() || text.trim().startsWith("#")) continue;
        here = parts(text);
        const key = /^[\s-]*([\w-]+)\s*:/.exec(text)?.[1];
        if (here.dashes && here.width <= limit && here.indent < limit && !inItem) {
            path.unshift("-");
            inItem = true;
            limit = here.indent + 1;
        } else if (key && here.indent < limit && !here.dashes) {
            path.unshift(key);
            limit = here.indent;
            inItem = false;
        }
    }
    return path;
}

/** In "{id: x, from: we" the key whose value is being written, or null where a key is. */
function inFlow(before) {
    const open = before.lastIndexOf("{");
    if (open < before.lastIndexOf("}")) return undefined;
    if (open < 0) return undefined;
    const pair = before.slice(open + 1).split(/,(?![^[]*\])/).pop();
    const colon = pair.indexOf(":");
    return colon < 0 ? null : pair.slice(0, colon).trim();
}

/** @param {import("@codemirror/autocomplete").CompletionContext} context */
export function completionsAt(context, names) {
    const word = context.matchBefore(/[\w@.-]*/);
    if (!word || (word.from === word.to && !context.explicit)) return null;
    const doc = context.state.doc, line = doc.lineAt(context.pos);
    const before = doc.sliceString(line.from, word.from);
    const lines = doc.sliceString(0, line.to).split("\n");
    const path = pathAt(lines, lines.length - 1);
    const flow = inFlow(before);
    const value = flow ?? (flow === undefined ? /([\w-]+)\s*:\s*(?:\[[^\]]*)?$/.exec(before)?.[1] : undefined);
    let nodes = path.reduce(step, shapes(schema));
    if (value) {
        const kind = NAMES[value];
        if (kind) return { from: word.from, options: (names[kind] ?? []).map((label) => ({ label, type: "variable" })) };
        nodes = step(flow !== undefined && !path.includes("-") ? step(nodes, "-") : nodes, value);
        const options = nodes.flatMap((n) => n.enum ?? []).map((label) => ({ label: String(label), type: "enum" }));
        return options.length ? { from: word.from, options } : null;
    }
    const options = nodes.flatMap((n) => Object.entries(n.properties ?? {}))
        .map(([label, node]) => ({ label, type: "property", detail: "", info: resolve(node).description ?? "", apply: `${label}: ` }));
    return options.length ? { from: word.from, options: [...new Map(options.map((o) => [o.label, o])).values()] } : null;
}
