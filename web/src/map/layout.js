// Where each compartment stands.  The same compartments stand in the same places every time: columns
// by who calls whom (callers left), rows by name; what was placed once keeps its place in the
// browser, and newcomers take free ones.
import { OUTSIDE } from "./model.js";

export const DOT = 12, PAD = 14, HEAD = 30, GAP_X = 110, GAP_Y = 34, MIN_W = 150;

/** Columns and size of the grid of members inside a compartment. */
export function sizeOf(n) {
    const columns = Math.max(10, Math.ceil(Math.sqrt(n * 1.9)));
    const rows = Math.max(1, Math.ceil(n / columns));
    return { columns, width: Math.max(MIN_W, columns * DOT + 2 * PAD), height: HEAD + rows * DOT + PAD };
}

/** How far from the callers' side each stands: longest way along most traffic, cycles cut. */
function ranks(nodes, links) {
    const net = new Map(), rank = new Map(nodes.map((n) => [n.id, 0]));
    for (const l of links) {
        if (l.from === l.to || l.verdict === "deny") continue;
        const [a, b, sign] = l.from < l.to ? [l.from, l.to, 1] : [l.to, l.from, -1];
        net.set(`${a}\u0001${b}`, (net.get(`${a}\u0001${b}`) ?? 0) + sign * l.count);
    }
    const edges = [...net].map(([k, n]) => (n >= 0 ? k.split("\u0001") : k.split("\u0001").reverse()));
    const limit = Math.min(6, nodes.length);
    for (let round = 0; round < limit; round++) {
        let moved = false;
        for (const [from, to] of edges) {
            if (!rank.has(from) || !rank.has(to)) continue;
            const wanted = rank.get(from) + 1;
            if (wanted > rank.get(to) && wanted < limit) {
                rank.set(to, wanted);
                moved = true;
            }
        }
        if (!moved) break;
    }
    if (rank.has(OUTSIDE)) rank.set(OUTSIDE, 0);
    return rank;
}

/** Rows of about the screen's shape, for maps without order or with too many to rank. */
function shelves(nodes) {
    const area = nodes.reduce((n, x) => n + (x.width + GAP_Y) * (x.height + GAP_Y), 0);
    const wide = Math.sqrt(area * 1.7);
    let x = 0, y = 0, tall = 0;
    for (const n of nodes) {
        if (x > 0 && x + n.width > wide) {
            x = 0;
            y += tall + GAP_Y;
            tall = 0;
        }
        Object.assign(n, { x, y });
        x += n.width + GAP_Y;
        tall = Math.max(tall, n.height);
    }
}

function columnsOf(nodes, rank) {
    const columns = [];
    for (const n of nodes) (columns[rank.get(n.id)] ??= []).push(n);
    const filled = columns.filter(Boolean);
    const tallest = Math.max(...filled.map((c) => c.reduce((h, n) => h + n.height + GAP_Y, 0)));
    let x = 0;
    for (const column of filled) {
        const height = column.reduce((h, n) => h + n.height + GAP_Y, -GAP_Y);
        let y = (tallest - height) / 2;
        for (const n of column) {
            Object.assign(n, { x, y });
            y += n.height + GAP_Y;
        }
        x += Math.max(...column.map((n) => n.width)) + GAP_X;
    }
}

const MAX_RANKED = 60;

function overlaps(n, others) {
    return others.some((o) => o !== n && n.x < o.x + o.width + 8 && o.x < n.x + n.width + 8 &&
        n.y < o.y + o.height + 8 && o.y < n.y + n.height + 8);
}

/** Puts those back that had a place; whoever then stands in the way moves down. */
function keep(nodes, kept) {
    const fixed = nodes.filter((n) => kept[n.id]);
    for (const n of fixed) [n.x, n.y] = kept[n.id];
    const placed = fixed.slice();
    for (const n of nodes) {
        if (kept[n.id]) continue;
        while (overlaps(n, placed)) n.y += GAP_Y;
        placed.push(n);
    }
}

/** Gives each node x, y, width, height, columns. @param {Record<string, [number, number]>} kept */
export function layout(nodes, links, kept = {}) {
    for (const n of nodes) Object.assign(n, sizeOf(n.members.length));
    if (nodes.length === 0) return nodes;
    if (nodes.length <= MAX_RANKED) columnsOf(nodes, ranks(nodes, links));
    else shelves(nodes);
    if (nodes.length <= MAX_RANKED || Object.keys(kept).length > 0) keep(nodes, kept);
    return nodes;
}

/** The middle of a member's dot. */
export function placeOf(node, index) {
    return [node.x + PAD + (index % node.columns) * DOT + DOT / 2,
        node.y + HEAD + Math.floor(index / node.columns) * DOT + DOT / 2];
}
