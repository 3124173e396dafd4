// What a link or a compartment is made of: programs, ports, rules, why, and a rule from it.
import { h, a, aside, button, div, h2, li, span, ul } from "../ui/h.js";
import { Name, Verdict } from "../ui/bits.js";
import { Icon } from "../ui/icons.js";
import { href } from "../router.js";
import { ago, number } from "../format.js";
import { t, term } from "../i18n/index.js";
import { kinds } from "./model.js";

const KINDS = 40;

const why = (k) => href("why", [], { from: k.from, to: k.to, service: `${k.protocol}/${k.port}`, process: k.process, user: k.user });

const Kind = ({ kind }) => li({ class: "kind" },
    div(null, h(Verdict, { value: kind.verdict }), span({ class: "mono" }, `${kind.protocol}/${kind.port}`), " ",
        span({ class: "mono muted" }, kind.process)),
    kind.sentence ? div(null, a({ href: href("policy", ["rules"], { rule: kind.rule }) }, kind.rule), div({ class: "muted" }, kind.sentence))
        : kind.grouped ? div({ class: "muted" }, `×${number(kind.count)} · ${ago(kind.last)}`) : div({ class: "muted" }, kind.rule ? a({ href: href("policy", ["rules"], { rule: kind.rule }) }, kind.rule) : term("layer", kind.layer),
        ` · ×${number(kind.count)} · ${ago(kind.last)}${kind.user ? ` · ${kind.user}` : ""}`),
    !kind.grouped && !kind.sentence && div({ class: "buttons" }, h(Name, { name: kind.from, address: t("outside") }), " → ", h(Name, { name: kind.to, address: t("outside") }),
        kind.from && kind.to && a({ href: why(kind) }, t("flows.why"))));

export function Detail({ picked, model, onClose }) {
    const { link, node, member } = picked;
    const title = (id) => model.nodes.find((n) => n.id === id)?.title ?? id;
    const facts = link ? link.facts : model.facts.filter((f) => (member ? f.from === member || f.to === member
        : model.keyOf(f.from) === node.id || model.keyOf(f.to) === node.id));
    const list = kinds(facts);
    const total = facts.reduce((n, f) => n + f.count, 0);
    return aside({ class: "side", "aria-label": t("map.edge") },
        div({ class: "dialog-head" }, h2(null, link ? `${title(link.from)} → ${title(link.to)}` : member || node.title),
            button({ type: "button", class: "plain", "aria-label": t("close"), onClick: onClose }, h(Icon, { name: "close" }))),
        node && div({ class: "buttons" },
            a({ class: "action", href: href("map", [], { focus: member || node.id }) }, t("map.focus")),
            member && a({ class: "action", href: href("endpoints", [member]) }, t("endpoints.name")),
            node.members.length > 0 && !member && span({ class: "muted" }, t("map.members", { n: number(node.members.length) }))),
        div({ class: "muted" }, `${t("map.kinds")}: ${number(list.length)} · ${t("map.total")}: ${number(total)}`),
        ul({ class: "kinds" }, list.slice(0, KINDS).map((kind) => h(Kind, { key: kind.key, kind }))),
        list.length > KINDS && div({ class: "muted" }, t("radius.more", { n: number(list.length - KINDS) })));
}
