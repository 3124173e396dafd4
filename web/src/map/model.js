// What the map shows: compartments (groups of endpoints) and the connections between them.  Pure:
// facts in, figures out.

/**
 * @typedef {{from: string, to: string, protocol: string, port: number, process: string, user: string,
 *            verdict: string, rule: string, layer: string, count: number, last: string}} Fact
 *   one kind of connection between two endpoints; "" is outside
 * @typedef {{id: string, title: string, members: string[], black: number}} Compartment
 * @typedef {{id: string, from: string, to: string, count: number, verdicts: Record<string, number>,
 *            facts: Fact[], verdict: string}} Link
 */

export const OUTSIDE = "\u0000outside";
export const OVER = ["draft-deny", "draft-report", "draft-allow", "wider", "unused"]; // Lines over the traffic.
export const WORST = [...OVER.slice(0, 3), "deny", "would-deny", "seen-deny", "allow", "seen", "wider", "unused"];

/** Decided against by an enforcer of ours; what others saw is theirs. */
export const isViolation = (verdict) => verdict === "deny" || verdict === "would-deny";
const byName = new Intl.Collator("en", { numeric: true }).compare;

/** The group of each endpoint by what somebody chose: "group", or "label:tier". */
export function grouping(endpoints, by, other) {
    const of = new Map();
    for (const e of endpoints) {
        const value = by.startsWith("label:") ? e.labels?.[by.slice(6)] : e.groups?.[0];
        of.set(e.name, value ?? other);
    }
    return of;
}

/** The labels that endpoints have, the most used first. */
export function labelsOf(endpoints) {
    const counts = new Map();
    for (const e of endpoints) for (const k of Object.keys(e.labels ?? {})) counts.set(k, (counts.get(k) ?? 0) + 1);
    return [...counts].sort((x, y) => y[1] - x[1] || x[0].localeCompare(y[0])).map(([k]) => k);
}

function compartments(endpoints, of) {
    const found = new Map();
    for (const e of endpoints) {
        const id = of.get(e.name);
        if (!found.has(id)) found.set(id, { id, title: id, members: [], black: 0 });
        const c = found.get(id);
        c.members.push(e.name);
        c.black += e.trust === "black" ? 1 : 0;
    }
    for (const c of found.values()) c.members.sort(byName);
    return found;
}

const worse = (a, b) => (WORST.indexOf(a) < WORST.indexOf(b) ? a : b);

/** Sums facts up by the keys of both ends. */
export function links(facts, keyOf) {
    const found = new Map(), list = [];
    for (const f of facts) {
        const from = keyOf(f.from), to = keyOf(f.to);
        let row = found.get(from);
        if (!row) found.set(from, row = new Map());
        let link = row.get(to);
        if (!link) {
            row.set(to, link = { id: `${from}\u0001${to}`, from, to, count: 0, verdicts: {}, facts: [], verdict: f.verdict });
            list.push(link);
        }
        link.count += f.count;
        link.verdicts[f.verdict] = (link.verdicts[f.verdict] ?? 0) + f.count;
        link.facts.push(f);
        if (link.verdict !== f.verdict) link.verdict = worse(link.verdict, f.verdict);
    }
    return list;
}

/**
 * @param {any[]} endpoints @param {Fact[]} facts
 * @param {{by: string, violations?: boolean, focus?: string, grouped?: boolean, outside: string, other: string,
 *          draft?: Fact[], unused?: (keyOf: (name: string) => string) => {links: Link[]}}} options
 */
export function buildModel(endpoints, facts, options) {
    const of = grouping(endpoints, options.by, options.other);
    let shown = options.violations ? facts.filter((f) => isViolation(f.verdict)) : facts;
    const focus = options.focus, home = of.get(focus) ?? focus;
    const mine = (f) => !focus || [f.from, f.to].some((name) => name === focus || of.get(name) === focus);
    if (focus) shown = shown.filter(mine);
    const groups = compartments(endpoints, of);
    const named = { "(outside)": OUTSIDE, "(none)": options.other };
    const keyOf = options.grouped ? (name) => named[name] ?? name : (name) => of.get(name) ?? OUTSIDE;
    const single = (name) => of.get(name) ?? OUTSIDE;
    const unused = options.unused?.(single) ?? { links: [] };
    const over = [...OVER.flatMap((kind) => links((options.draft ?? []).filter((f) => f.verdict === kind && mine(f)), single)
        .map((l) => ({ ...l, id: `${l.id}\u0001${kind}` }))),
    ...unused.links.filter((l) => !focus || l.from === home || l.to === home)];
    const list = [...links(shown, keyOf), ...over];
    if (list.some((l) => l.from === OUTSIDE || l.to === OUTSIDE))
        groups.set(OUTSIDE, { id: OUTSIDE, title: options.outside, members: [], black: 0 });
    let nodes = [...groups.values()];
    if (focus || options.violations) {
        const needed = new Set(list.flatMap((l) => [l.from, l.to]));
        nodes = nodes.filter((n) => needed.has(n.id) || n.id === home);
    }
    nodes.sort((x, y) => x.id < y.id ? -1 : 1);
    return { nodes, links: list, facts: shown, keyOf, unused };
}

/** Kinds of connection in a link: program, service, rule and verdict, the worst and most first. */
export function kinds(facts) {
    const found = new Map();
    for (const f of facts) {
        const key = [f.verdict, f.protocol, f.port, f.process, f.user, f.rule || f.layer].join("\u0001");
        const k = found.get(key);
        if (!k) found.set(key, { ...f, key, pairs: 1 });
        else {
            k.count += f.count;
            k.pairs++;
            if (f.last > k.last) k.last = f.last;
        }
    }
    return [...found.values()].sort((x, y) => WORST.indexOf(x.verdict) - WORST.indexOf(y.verdict) || y.count - x.count);
}
