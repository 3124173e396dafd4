// Which kinds of connection came, went, or are judged otherwise between two windows of time.  Pure.
import { WORST } from "./model.js";

/** @returns {Map<string, any>} a row for each program and service between two ends, with its worst verdict */
function byKind(edges) {
    const found = new Map();
    for (const e of edges) {
        const service = `${e.protocol}/${e.port}`, process = e.script || e.process || "";
        const key = [e.from, e.to, service, process, e.user].join("\u0001"), old = found.get(key);
        if (!old) found.set(key, { key, from: e.from, to: e.to, service, process, verdict: e.verdict, last: e.last });
        else {
            if (WORST.indexOf(e.verdict) < WORST.indexOf(old.verdict)) old.verdict = e.verdict;
            if (e.last > old.last) old.last = e.last;
        }
    }
    return found;
}

/** What differs: {change: came | went | other, before, after, ...}; what went first, then what came. */
export function compareEdges(before, after) {
    const old = byKind(before), now = byKind(after), rows = [];
    for (const [key, x] of old) {
        const y = now.get(key);
        if (!y) rows.push({ ...x, change: "went", before: x.verdict, after: "" });
        else if (y.verdict !== x.verdict) rows.push({ ...y, change: "other", before: x.verdict, after: y.verdict });
    }
    for (const [key, y] of now) if (!old.has(key)) rows.push({ ...y, change: "came", before: "", after: y.verdict });
    const order = ["went", "other", "came"];
    return rows.sort((x, y) => order.indexOf(x.change) - order.indexOf(y.change));
}
