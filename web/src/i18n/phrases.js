// The controller's own sentences (reasons, findings, differences) in the language of whoever reads.
//
// They come in English, written from formats that stand in its sources.  A table has, for each of these
// formats, what it says in the other language; here a sentence is taken apart by the format that made
// it, its words are translated likewise, and it is put together anew.  What matches no format, and
// names, paths and texts of people ({2!}), stay as they are.  dev/phrases.mjs reads the formats out of the C
// sources, and the build fails when the table lacks one.

const HOLE = /%[-0-9.*]*(?:ll|z|h)?[a-zA-Z]|\{(\d+)(#?)\}/g; // {1#}: digits alone.
const DEPTH = 4, LIST = /, (?![^()]*\))/; // {2,} is a list; commas in brackets are of its items.
const TIGHT = /([\u3040-\u30ff\u4e00-\u9fff]) (?=[はにをとのでも])/g; // No blank between words of one script.

/** A format ("%s is not in %s", or "{1} is not in {2}") as a pattern, and how many letters are its own. */
function compile(format, text) {
    const order = [];
    let pattern = "", last = 0;
    const literal = (s) => s.replaceAll("%%", "%").replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
    for (const m of format.matchAll(HOLE)) {
        pattern += `${literal(format.slice(last, m.index))}(${m[2] ? "\\d+" : "[^]*?"})`;
        order.push(m[1] ? Number(m[1]) : order.length + 1);
        last = m.index + m[0].length;
    }
    pattern += literal(format.slice(last));
    return { pattern: new RegExp(`^${pattern}$`), order, text, own: format.replace(HOLE, "").replace(/\s/g, "").length };
}

/** @param {Record<string, string | Record<string, string>>} table format → text, or the shapes that it takes → texts
 *  @returns {(sentence: string) => string} */
export function translator(table) {
    const exact = new Map(), shapes = [];
    const add = (format, text) => {
        const c = compile(format, text);
        if (c.order.length === 0) exact.set(format, text);
        else if (c.own > 1) shapes.push(c);
    };
    for (const [format, text] of Object.entries(table))
        if (typeof text === "string") add(format, text);
        else for (const [shape, said] of Object.entries(text)) add(shape, said);
    shapes.sort((x, y) => y.own - x.own);
    const known = new Map();
    const say = (sentence, depth) => {
        if (exact.has(sentence)) return exact.get(sentence);
        if (depth > DEPTH || !sentence.includes(" ") && depth > 0) return sentence;
        for (const { pattern, order, text } of shapes) {
            const m = pattern.exec(sentence);
            if (!m) continue;
            const words = [];
            order.forEach((n, i) => (words[n] = m[i + 1]));
            const put = { "!": (w) => w, ",": (w) => w.split(LIST).map((x) => say(x, depth + 1)).join("、"), "": (w) => say(w, depth + 1) };
            return text.replace(/\{(\d+)([!,]?)\}/g, (_, n, how) => put[how](words[Number(n)] ?? ""));
        }
        return sentence;
    };
    return (sentence) => {
        if (!known.has(sentence)) {
            if (known.size > 5000) known.clear();
            known.set(sentence, say(String(sentence), 0).replace(TIGHT, "$1"));
        }
        return known.get(sentence);
    };
}
