// Which way a link goes: round the compartments that stand between its ends, where that is possible.
// A link that went behind one would look like one of its own.
import { curve } from "./draw.js";
import { OVER } from "./model.js";

const BESIDE = 7, CLEAR = 8, STEP = 22, MOST = 16, POINTS = 32;
const ROUTED = { nodes: 60, links: 400 }; // Beyond, nobody could follow single links anyhow.

/** A point of a curve, at t of 0 to 1. */
export function pointOf([x1, y1, cx1, cy1, cx2, cy2, x2, y2], t) {
    const u = 1 - t, a = u * u * u, b = 3 * u * u * t, c = 3 * u * t * t, d = t * t * t;
    return [a * x1 + b * cx1 + c * cx2 + d * x2, a * y1 + b * cy1 + c * cy2 + d * y2];
}

const within = (n, [x, y]) => x > n.x - CLEAR && x < n.x + n.width + CLEAR && y > n.y - CLEAR && y < n.y + n.height + CLEAR;

/** How much of the curve lies behind others. */
function hidden(c, others) {
    let n = 0;
    for (let i = 1; i < POINTS; i++) {
        const at = pointOf(c, i / POINTS);
        if (others.some((o) => within(o, at))) n++;
    }
    return n;
}

/** The curve with the least bow that has the least behind others. */
function around(a, b, nodes) {
    const left = Math.min(a.x, b.x), right = Math.max(a.x + a.width, b.x + b.width);
    const others = nodes.filter((n) => n !== a && n !== b && n.x < right && n.x + n.width > left);
    let best = curve(a, b), least = hidden(best, others);
    for (let i = 1; i <= MOST && least > 0; i++)
        for (const bow of [-i * STEP, i * STEP]) {
            const c = curve(a, b, bow), n = hidden(c, others);
            if (n < least) [best, least] = [c, n];
        }
    return best;
}

/** Gives each link its curve; what is drawn over the traffic goes beside it. @param {Map<string, any>} byId */
export function bend(links, byId, nodes) {
    const routed = nodes.length <= ROUTED.nodes && links.length <= ROUTED.links;
    const ways = new Map();
    for (const l of links) {
        const key = `${l.from}\u0001${l.to}`, a = byId.get(l.from), b = byId.get(l.to);
        if (!ways.has(key)) ways.set(key, routed && a !== b ? around(a, b, nodes) : curve(a, b));
        const over = OVER.indexOf(l.verdict);
        l.curve = over < 0 ? ways.get(key) : ways.get(key).map((x, i) => (i % 2 ? x + BESIDE * (1 + over) : x));
    }
}
