// Drawing on Canvas 2D, with as much detail as the scale has room for.
//
// While somebody pans, the picture that was drawn, somewhat larger than the window, is moved by the
// compositor; it is drawn again only when its edge comes into sight or the scale changes.
import { DOT, HEAD, PAD, placeOf } from "./layout.js";

const NAMES_FROM = 2.6, EDGES_FROM = 2, DETAIL_MAX = 1200, NAMES_MAX = 700;
/** Links between compartments that are drawn at once, violations and heavy ones first: nobody could
 * tell more apart, and who looks closer sees the others. */
export const LINKS_MAX = 450;
const MANY = 400, DASHED = 100; // Links; beyond, no arrows, and no dashes where there are many of a kind.

/** Colours as the page has them now. */
export function palette() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(`--${name}`).trim();
    return Object.fromEntries(["ink", "muted", "line", "surface", "raised", "page", "accent", "allow", "deny", "would",
        "faint", "accent-soft", "deny-soft"].map((n) => [n, get(n)]));
}

const DASH = { allow: [], deny: [7, 4], "would-deny": [2, 4], seen: [1, 3], "seen-deny": [7, 2, 1, 2],
    "draft-deny": [11, 3, 2, 3], "draft-report": [11, 3, 2, 3, 2, 3], "draft-allow": [17, 6], wider: [3, 5, 1, 5], unused: [3, 10] };
/** As the legend draws it. */
export const dashOf = (verdict) => DASH[verdict] ?? [];
const colorOf = (colors, verdict) => ({ allow: colors.allow, deny: colors.deny, "would-deny": colors.would, "draft-deny": colors.deny,
    "draft-report": colors.would, "draft-allow": colors.accent })[verdict] ?? colors.muted;

/** Start, control points and end of a link between two boxes; 'bow' lifts its middle off the straight way. */
export function curve(a, b, bow = 0) {
    const ay = a.y + Math.min(a.height / 2, 60), by = b.y + Math.min(b.height / 2, 60);
    if (a === b) {
        const x = a.x + a.width, y = a.y + 14;
        return [x - 26, a.y, x - 26, y - 54, x + 42, y - 42, x, y + 4];
    }
    if (a.x + a.width < b.x) {
        const d = Math.max(40, (b.x - a.x - a.width) / 2);
        return [a.x + a.width, ay, a.x + a.width + d, ay + bow, b.x - d, by + bow, b.x, by];
    }
    if (b.x + b.width < a.x) {
        const d = Math.max(40, (a.x - b.x - b.width) / 2);
        return [a.x, ay + 10, a.x - d, ay + 10 + bow, b.x + b.width + d, by + 10 + bow, b.x + b.width, by + 10];
    }
    const out = Math.max(a.x + a.width, b.x + b.width) + 50;
    return [a.x + a.width, ay, out, ay, out, by, b.x + b.width, by];
}

const visible = (node, w) => node.x < w.right && node.x + node.width > w.left && node.y < w.bottom && node.y + node.height > w.top;

function arrow(g, [, , , , cx, cy, x, y], size) {
    const angle = Math.atan2(y - cy, x - cx);
    g.moveTo(x, y);
    g.lineTo(x - size * Math.cos(angle - 0.4), y - size * Math.sin(angle - 0.4));
    g.moveTo(x, y);
    g.lineTo(x - size * Math.cos(angle + 0.4), y - size * Math.sin(angle + 0.4));
}

/** Whether a curve may be in sight: it stays within the box of its four points. */
function crosses(c, view) {
    return Math.max(c[0], c[2], c[4], c[6]) >= view.left && Math.min(c[0], c[2], c[4], c[6]) <= view.right &&
        Math.max(c[1], c[3], c[5], c[7]) >= view.top && Math.min(c[1], c[3], c[5], c[7]) <= view.bottom;
}

/** Links between compartments, one path a style, so that thousands cost few strokes. */
function drawLinks(g, scene, colors, k, view, chosen) {
    const batches = new Map();
    let n = 0;
    const many = scene.links.length > MANY;
    for (const l of scene.byWeight) {
        if (!crosses(l.curve, view)) continue;
        if (++n > LINKS_MAX) break;
        const weight = Math.min(6, 1 + Math.log10(l.count + 1));
        const key = `${l.verdict} ${Math.round(weight)}`;
        if (!batches.has(key)) batches.set(key, []);
        batches.get(key).push(l);
    }
    for (const [key, list] of batches) {
        const [verdict, weight] = key.split(" ");
        g.strokeStyle = colorOf(colors, verdict);
        g.lineWidth = Number(weight) / Math.max(k, 0.35);
        g.setLineDash(many && list.length > DASHED ? [] : DASH[verdict].map((d) => d / Math.max(k, 0.35)));
        g.globalAlpha = verdict === "allow" ? (many ? 0.25 : 0.6) : 0.9;
        for (const { curve: c } of list) {
            g.beginPath();
            g.moveTo(c[0], c[1]);
            g.bezierCurveTo(c[2], c[3], c[4], c[5], c[6], c[7]);
            if (!many) arrow(g, c, 9 / Math.max(k, 0.5));
            g.stroke();
        }
    }
    g.setLineDash([]);
    g.globalAlpha = 1;
    if (!chosen) return;
    g.strokeStyle = colors.accent;
    g.lineWidth = 5 / Math.max(k, 0.35);
    g.beginPath();
    const c = chosen.curve;
    g.moveTo(c[0], c[1]);
    g.bezierCurveTo(c[2], c[3], c[4], c[5], c[6], c[7]);
    arrow(g, c, 12 / Math.max(k, 0.5));
    g.stroke();
}

function drawMembers(g, node, scene, colors, k, view) {
    const members = node.members;
    const rows = Math.ceil(members.length / node.columns);
    const first = Math.max(0, Math.floor((view.top - node.y - HEAD) / DOT));
    const last = Math.min(rows, Math.ceil((view.bottom - node.y - HEAD) / DOT));
    const left = Math.max(0, Math.floor((view.left - node.x - PAD) / DOT));
    const right = Math.min(node.columns, Math.ceil((view.right - node.x - PAD) / DOT));
    const groups = { calm: [], bad: [], would: [], black: [] };
    for (let row = first; row < last; row++)
        for (let column = left; column < right; column++) {
            const i = row * node.columns + column;
            if (i < members.length) groups[scene.stateOf(members[i])].push(i);
        }
    const size = DOT * 0.62, half = size / 2;
    for (const [state, list] of Object.entries(groups)) {
        if (list.length === 0) continue;
        g.fillStyle = { calm: colors.faint, bad: colors.deny, would: colors.would, black: colors.ink }[state];
        g.beginPath();
        for (const i of list) {
            const [x, y] = placeOf(node, i);
            g.rect(x - half, y - half, size, size);
        }
        g.fill();
    }
    if (k < NAMES_FROM * 4 && members.length > 60) return;
    if (k < NAMES_FROM) return;
    g.fillStyle = colors.ink;
    g.font = `${9 / k}px monospace`;
    const every = Math.max(1, Math.ceil(64 / (DOT * k)));
    for (const list of Object.values(groups)) for (const i of list) {
        if (i % node.columns % every !== 0 || --scene.namesLeft < 0) continue;
        const [x, y] = placeOf(node, i);
        g.fillText(members[i], x - half, y + half + 8.5 / k);
    }
}

function drawNode(g, node, scene, colors, k, view, chosen) {
    g.fillStyle = colors.surface;
    g.strokeStyle = chosen ? colors.accent : node.black ? colors.deny : colors.line;
    g.lineWidth = (chosen || node.black ? 2.5 : 1.2) / k;
    g.beginPath();
    g.roundRect(node.x, node.y, node.width, node.height, 7);
    g.fill();
    g.stroke();
    if (k * HEAD > 7) {
        g.fillStyle = colors.ink;
        g.font = `600 ${Math.min(22, Math.max(13, 9 / k))}px ${scene.font}`;
        g.save();
        g.beginPath();
        g.rect(node.x + 4, node.y, node.width - 36, HEAD);
        g.clip();
        g.fillText(node.title, node.x + PAD - 2, node.y + 20);
        g.restore();
        g.fillStyle = colors.muted;
        g.font = `11px ${scene.font}`;
        const count = String(node.members.length || "");
        g.fillText(count, node.x + node.width - PAD - g.measureText(count).width + 2, node.y + 20);
    }
    if (k * DOT > 2.4) drawMembers(g, node, scene, colors, k, view);
    else if (node.members.length > 0) {
        g.fillStyle = colors.line;
        g.fillRect(node.x + PAD, node.y + HEAD, node.width - 2 * PAD, Math.max(2, node.height - HEAD - PAD));
    }
}

const inside = (x, y, view) => x >= view.left && x <= view.right && y >= view.top && y <= view.bottom;

/** Connections of single endpoints, where the scale shows them: of the allowed ones those whose ends
 * are both in sight; where the others go the links between compartments tell. */
function drawDetail(g, scene, colors, k, view) {
    if (k < EDGES_FROM) return;
    let n = 0;
    for (const [verdict, lines] of Object.entries(scene.detail())) {
        g.strokeStyle = colorOf(colors, verdict);
        g.lineWidth = 0.8 / k;
        g.globalAlpha = verdict === "allow" ? 0.28 : 0.8;
        g.beginPath();
        for (let i = 0; i < lines.length && n < DETAIL_MAX; i += 4) {
            const x1 = lines[i], y1 = lines[i + 1], x2 = lines[i + 2], y2 = lines[i + 3];
            if (!inside(x1, y1, view) || (!inside(x2, y2, view) && verdict === "allow")) continue;
            g.moveTo(x1, y1);
            g.lineTo(x2, y2);
            n++;
        }
        g.stroke();
    }
    g.globalAlpha = 1;
}

/**
 * @param {CanvasRenderingContext2D} g @param {any} scene
 * @param {{x: number, y: number, k: number}} camera world point of the canvas' left upper corner
 * @param {{width: number, height: number, ratio: number, chosenLink?: any, chosenNode?: any, colors: any}} o
 */
export function drawScene(g, scene, camera, o) {
    const { k } = camera;
    const view = { left: camera.x, top: camera.y, right: camera.x + o.width / k, bottom: camera.y + o.height / k };
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.fillStyle = o.colors.page;
    g.fillRect(0, 0, o.width * o.ratio, o.height * o.ratio);
    g.setTransform(k * o.ratio, 0, 0, k * o.ratio, -camera.x * k * o.ratio, -camera.y * k * o.ratio);
    drawLinks(g, scene, o.colors, k, view, o.chosenLink);
    scene.namesLeft = NAMES_MAX;
    for (const node of scene.nodes)
        if (visible(node, view)) drawNode(g, node, scene, o.colors, k, view, node === o.chosenNode);
    drawDetail(g, scene, o.colors, k, view);
}
