// What the map is drawn from: kinds of connections between endpoints, added up by the daemon's history
// where it has one, or here from the newest records.
import { useMemo } from "preact/hooks";
import { withQuery } from "../api.js";
import { has } from "../features.js";
import { useAnswer } from "../live.js";

const RECORDS = 1000, EDGES = 1000;
/** By these the daemon filters, beside the focus, which the map does itself. */
export const FIELDS = ["port", "process", "user", "rule", "verdict"];
export const WINDOWS = { h: 3600, d: 86_400, w: 7 * 86_400, m: 30 * 86_400 };

/** @returns {import("./model.js").Fact[]} records of flows, one a kind */
export function factsOf(flows) {
    const found = new Map();
    for (const f of flows) {
        const key = [f.from, f.to, f.protocol, f.port, f.process, f.user, f.verdict, f.rule].join("\u0001");
        const old = found.get(key);
        if (old) {
            old.count += f.count;
            if (f.last > old.last) old.last = f.last;
        } else found.set(key, { from: f.from, to: f.to, protocol: f.protocol, port: f.port, process: f.script || f.process,
            user: f.user, verdict: f.verdict, rule: f.rule, layer: f.layer, count: f.count, last: f.last });
    }
    return [...found.values()];
}

/** The window of time that ends now, or at the moment of the past that is looked at. */
export function windowOf(name, at) {
    const seconds = WINDOWS[name] ?? WINDOWS.d;
    if (!at) return { since: `${seconds}s` };
    const end = Date.parse(at);
    return { since: new Date(end - seconds * 1000).toISOString().replace(/\.\d+Z$/, "Z"), until: at };
}

/** What the daemon has added up by a label: one fact a pair of groups, service and verdict. */
export function groupedFacts(rows) {
    const verdicts = { allow: "allow", deny: "deny", would_deny: "would-deny", seen: "seen", seen_deny: "seen-deny" };
    return rows.flatMap((r) => Object.entries(verdicts).filter(([k]) => r.counts[k] > 0).map(([k, verdict]) => ({
        from: r.from, to: r.to, protocol: r.protocol ?? "", port: r.port ?? 0, process: "", user: "", verdict, rule: "", layer: "",
        count: r.counts[k], last: r.last, grouped: true })));
}

/** Endpoints and facts, or what is still missing; more than a browser should add up comes added up by
 * the label that the map groups by. */
export function useFacts(query) {
    const endpoints = useAnswer("/endpoints", { list: true, topics: ["trust"], every: 30_000 });
    const edges = has("/edges"), label = query.by?.startsWith("label:") ? query.by.slice(6) : "";
    const only = Object.fromEntries(FIELDS.filter((k) => query[k]).map((k) => [k, query[k]]));
    const asked = { max: EDGES, ...windowOf(query.window, query.at), ...only, denied: query.show === "violations" };
    const single = useAnswer(edges ? withQuery("/edges", asked) : withQuery("/flows", { max: RECORDS }), { topics: ["flows"], every: 30_000 });
    const total = edges ? single.data?.total ?? 0 : 0, sum = edges && total > EDGES && label !== "";
    const grouped = useAnswer(sum ? withQuery("/edges", { ...asked, by: label, split: "port" }) : null, { topics: ["flows"], every: 30_000 });
    const traffic = sum ? grouped : single, list = edges ? traffic.data?.edges : traffic.data?.flows;
    const facts = useMemo(() => list && (sum ? groupedFacts(list) : factsOf(list)), [list, sum]);
    return { endpoints, traffic, facts, edges, grouped: sum, partial: !edges && list?.length >= RECORDS ? RECORDS : 0,
        cut: edges && total > EDGES && !sum ? { n: EDGES, all: total } : null };
}
