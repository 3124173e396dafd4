// Lines over the traffic: what a draft would change in it, and rules that nobody used.
import { useEffect, useMemo, useState } from "preact/hooks";
import { get, post, segment, withQuery } from "../api.js";
import { has } from "../features.js";
import { useAnswer } from "../live.js";
import { may } from "../session.js";
import { windowOf } from "./facts.js";
import { OUTSIDE } from "./model.js";

const CHANGES = 2000, PAIRS = 400;
const KIND = { blocked: "draft-deny", reported: "draft-report", opened: "draft-allow" };

/** @returns {import("./model.js").Fact[]} what POST /try says would change, as facts of their own kinds */
export const draftFacts = (changes) => changes.filter((c) => KIND[c.kind]).map((c) => {
    const [protocol, port] = String(c.service).split("/");
    return { from: c.from, to: c.to, protocol, port: port ?? "", process: c.script || c.process || "", user: c.user ?? "",
        verdict: KIND[c.kind], rule: c.now?.rule ?? "", layer: c.now?.layer ?? "", count: c.count, last: c.last };
});

/**
 * Allows that nobody used, as links between the compartments of their ends; and, where 'facts' are all that
 * there were, of those that somebody used the links that nobody did.
 * @returns {{links: any[], anybody: string[], cut: number}} anybody: rules about any end, which no line shows
 */
export function unusedLinks(rules, use, groups, keyOf, facts = null) {
    const hits = new Map(use.map((u) => [u.rule, u.hits]));
    const members = new Map(groups.map((g) => [g.name, g.kind === "outside" ? [""] : g.members]));
    const keys = (names) => new Set(names.flatMap((name) => (members.get(name) ?? []).map((m) => keyOf(m) ?? OUTSIDE)));
    const found = new Map(), anybody = [];
    const seen = new Set((facts ?? []).map((f) => `${f.rule}\u0001${keyOf(f.from) ?? OUTSIDE}\u0001${keyOf(f.to) ?? OUTSIDE}`));
    let cut = 0;
    for (const rule of rules) {
        const verdict = hits.get(rule.id) === 0 ? "unused" : facts && hits.get(rule.id) > 0 ? "wider" : "";
        if (rule.layer !== "allow" || !verdict) continue;
        if (rule.from.length === 0 || rule.to.length === 0) {
            if (verdict === "unused") anybody.push(rule.id);
            continue;
        }
        for (const from of keys(rule.from)) for (const to of keys(rule.to)) {
            if (verdict === "wider" && seen.has(`${rule.id}\u0001${from}\u0001${to}`)) continue;
            const id = `${from}\u0001${to}\u0001${verdict}`, fact = { from: "", to: "", protocol: "", port: "", process: "", user: "", verdict,
                rule: rule.id, layer: rule.layer, count: 0, last: "", sentence: rule.sentence };
            if (found.has(id)) {
                const link = found.get(id);
                link.facts.push(fact);
                link.verdicts[verdict]++;
            } else if (found.size >= PAIRS) cut++;
            else found.set(id, { id, from, to, count: 0, verdicts: { [verdict]: 1 }, facts: [fact], verdict });
        }
    }
    return { links: [...found.values()], anybody, cut };
}

/** The drafts that wait, and the facts of the one that is looked at. */
export function useDraft(query) {
    const drafts = useAnswer(may.try() && may.whole() ? "/policy/drafts" : null, { list: true, topics: ["audit", "policy"] });
    const [state, setState] = useState({});
    const id = drafts.data?.some((d) => d.id === query.draft) ? query.draft : "";
    useEffect(() => {
        if (!id) return setState({});
        const abort = new AbortController(), options = { signal: abort.signal };
        setState({ busy: true });
        get(`/policy/drafts/${segment(id)}`, options)
            .then((draft) => post("/try", { files: draft.files, ...(draft.inventory ? { inventory: draft.inventory } : {}), ...windowOf(query.window, query.at), max: CHANGES }, options))
            .then((data) => setState({ facts: draftFacts(data.changes), data }), (error) => abort.signal.aborted || setState({ error }));
        return () => abort.abort();
    }, [id, query.window, query.at]);
    return { drafts: drafts.data ?? [], id, ...state };
}

/** Answers from which unused rules are drawn; null while they are not wanted, or not there yet. */
export function useUnused(query, language) {
    const on = query.unused === "1" && has("/rules/use");
    const use = useAnswer(on ? withQuery("/rules/use", windowOf(query.window, query.at)) : null, { list: true, topics: ["flows"], every: 60_000 });
    const rules = useAnswer(on ? withQuery("/policy/rules", { language }) : null, { list: true, topics: ["policy"] });
    const groups = useAnswer(on ? "/groups" : null, { list: true, topics: ["policy"] });
    return useMemo(() => on && use.data && rules.data && groups.data
        ? { use: use.data, rules: rules.data, groups: groups.data } : null, [on, use.data, rules.data, groups.data]);
}
