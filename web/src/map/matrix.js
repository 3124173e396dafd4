// The map as a matrix: rows call columns.
import { h, button, div, span, table, tbody, td, th, thead, tr } from "../ui/h.js";
import { number } from "../format.js";
import { t, term } from "../i18n/index.js";

const SHORT = ["", "k", "M", "G"];

function short(n) {
    let i = 0;
    while (n >= 1000 && i < SHORT.length - 1) {
        n /= 1000;
        i++;
    }
    return `${n < 10 && i ? n.toFixed(1) : Math.round(n)}${SHORT[i]}`;
}

export function Matrix({ model, onPick }) {
    const cells = new Map(model.links.map((l) => [l.id, l]));
    const busy = new Set(model.links.flatMap((l) => [l.from, l.to]));
    const nodes = model.nodes.filter((n) => busy.has(n.id));
    const cell = (from, to) => {
        const l = cells.get(`${from.id}\u0001${to.id}`);
        if (!l) return td({ key: to.id });
        const text = `${from.title} → ${to.title}: ${number(l.count)}, ${term("verdict", l.verdict)}`;
        return td({ key: to.id, class: l.verdict }, button({ type: "button", "aria-label": text, title: text, onClick: () => onPick({ link: l }) }, short(l.count)));
    };
    return div({ class: "matrix", tabIndex: 0, role: "region", "aria-label": t("map.matrix") }, table(null,
        thead(null, tr(null, td(null), nodes.map((n) => th({ key: n.id, scope: "col" }, span(null, n.title))))),
        tbody(null, nodes.map((from) => tr({ key: from.id }, th({ scope: "row" }, from.title), nodes.map((to) => cell(from, to)))))));
}
