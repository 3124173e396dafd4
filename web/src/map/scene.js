// What is drawn, made ready once: places, curves, and the state of each endpoint.
import { bend, pointOf } from "./bend.js";
import { layout, placeOf } from "./layout.js";
import { isViolation, OVER } from "./model.js";

const NEAR = 6;
const rank = (l) => (OVER.includes(l.verdict) ? 2 : Number(isViolation(l.verdict)));

export function buildScene(model, endpoints, kept, font) {
    const nodes = layout(model.nodes, model.links, kept);
    const byId = new Map(nodes.map((n) => [n.id, n]));
    const states = new Map(endpoints.filter((e) => e.trust === "black").map((e) => [e.name, "black"]));
    for (const f of model.facts) {
        if (!isViolation(f.verdict) || states.get(f.from) === "black") continue;
        if (f.verdict === "deny" || !states.has(f.from)) states.set(f.from, f.verdict === "deny" ? "bad" : "would");
    }
    const list = model.links.filter((l) => byId.has(l.from) && byId.has(l.to));
    bend(list, byId, nodes);
    let detail = null;
    return {
        nodes, links: list, byWeight: list.slice().sort((x, y) => rank(y) - rank(x) || y.count - x.count), byId, font,
        detail: () => (detail ??= linesOf(nodes, model.facts)),
        /** A compartment goes elsewhere, its links with it, and others round it. */
        place: (node, x, y) => {
            Object.assign(node, { x, y });
            bend(list, byId, nodes);
            detail = null;
        },
        stateOf: (name) => states.get(name) ?? "calm", bounds: boundsOf(nodes),
    };
}

/** One line a pair of endpoints, by verdict: x1, y1, x2, y2, ... */
function linesOf(nodes, facts) {
    const places = new Map(), seen = new Map(), lines = { seen: [], "seen-deny": [], allow: [], "would-deny": [], deny: [] };
    for (const n of nodes) n.members.forEach((name, i) => places.set(name, placeOf(n, i)));
    for (const f of facts) {
        const from = places.get(f.from), to = places.get(f.to);
        if (!from || !to || !lines[f.verdict]) continue;
        let row = seen.get(f.from);
        if (!row) seen.set(f.from, row = new Set());
        const key = `${f.verdict} ${f.to}`;
        if (row.has(key)) continue;
        row.add(key);
        lines[f.verdict].push(from[0], from[1], to[0], to[1]);
    }
    return lines;
}

function boundsOf(nodes) {
    if (nodes.length === 0) return { left: 0, top: 0, right: 100, bottom: 100 };
    return {
        left: Math.min(...nodes.map((n) => n.x)), top: Math.min(...nodes.map((n) => n.y)) - 40,
        right: Math.max(...nodes.map((n) => n.x + n.width)), bottom: Math.max(...nodes.map((n) => n.y + n.height)),
    };
}

/** The camera that shows everything above the lowest 'below' pixels. */
export function fit(bounds, width, height, below = 0) {
    const w = bounds.right - bounds.left, h = bounds.bottom - bounds.top, edge = 36, room = Math.max(height - below, 2 * edge + 1);
    const k = Math.min(1.6, Math.max(0.02, Math.min((width - 2 * edge) / w, (room - 2 * edge) / h)));
    return { k, x: bounds.left - (width / k - w) / 2, y: bounds.top - (room / k - h) / 2 };
}

/** Distance of a point from a curve, by a few of its points. */
function distance(c, x, y) {
    let best = Infinity;
    for (let i = 0; i <= 24; i++) {
        const [px, py] = pointOf(c, i / 24);
        best = Math.min(best, Math.hypot(px - x, py - y));
    }
    return best;
}

/** What stands at a point: {node, member} or {link}, or nothing. */
export function hit(scene, x, y, k) {
    for (const n of scene.nodes)
        if (x >= n.x && x <= n.x + n.width && y >= n.y && y <= n.y + n.height) {
            const i = n.members.findIndex((_, at) => {
                const [px, py] = placeOf(n, at);
                return Math.abs(px - x) < 5 && Math.abs(py - y) < 5;
            });
            return { node: n, member: i >= 0 && k > 0.5 ? n.members[i] : "" };
        }
    let best = null, near = (NEAR + 3) / k;
    for (const l of scene.links) {
        const d = distance(l.curve, x, y);
        if (d < near) [best, near] = [l, d];
    }
    return best ? { link: best } : null;
}
