// One endpoint: what it is, who holds when somebody owns it, with whom it talks.
import { h, a, details, div, h2, li, pre, span, summary, ul } from "../ui/h.js";
import { Answer, Badge, Card, Facts, Labels, Mode, Name, State, Trust, Verdict } from "../ui/bits.js";
import { segment, withQuery } from "../api.js";
import { useAnswer } from "../live.js";
import { href } from "../router.js";
import { ago, number } from "../format.js";
import { phrase, t, term } from "../i18n/index.js";
import { TrustButtons } from "./trust.js";

const What = ({ e }) => h(Card, { title: t("endpoint.what") }, h(Facts, { rows: [
    [t("endpoints.trust"), h(Trust, { value: e.trust })],
    [t("endpoints.mode"), h(Mode, { value: e.mode })],
    [t("endpoints.labels"), h(Labels, { labels: e.labels })],
    [t("endpoints.groups"), e.groups.map((g) => a({ key: g, class: "pill", href: href("endpoints", [], { group: g }) }, g))],
    [t("endpoints.addresses"), span({ class: "mono" }, e.addresses.join("  "))],
    [t("endpoints.enforcers"), e.enforcers.length ? e.enforcers.map((x) => h(Badge, { key: x, family: "enforcer", value: x }))
        : h(Badge, { value: t("endpoints.nobody"), tone: "bad" })],
] }));

/** The daemon's lines, each in the language of whoever reads. */
const lines = (text) => String(text ?? "").split("\n").map((line) => line.replace(/\S.*$/, phrase)).join("\n");

function Owned({ name }) {
    const answer = useAnswer(`/endpoints/${segment(name)}/if-owned`, { topics: ["policy"], every: 60_000 });
    return h(Card, { title: t("endpoint.owned") }, h(Answer, { of: answer }, (data) => {
        const o = data.if_owned ?? {};
        return [h(Facts, { key: "facts", rows: [
            [t("owned.nolonger"), (o.no_longer ?? []).map((x) => term("enforcer", x)).join(", ") || "–"],
            [t("owned.still"), (o.still ?? []).map((x) => term("enforcer", x)).join(", ") || t("owned.nothing")],
            [t("owned.held"), number(o.held)],
            [t("owned.open"), [number(o.open), o.open_examples?.length > 0 && span({ class: "muted" }, ` ${o.open_examples.join(", ")}`)]],
            [t("owned.outside"), o.outside_open ? h(Badge, { value: t("owned.isopen"), tone: "bad" }) : h(Badge, { value: t("owned.isclosed"), tone: "good" })],
        ] }), details({ key: "text" }, summary({ class: "muted" }, t("endpoint.words")), pre({ class: "quote" }, lines(data.text)))];
    }));
}

function Talk({ name, end }) {
    const answer = useAnswer(withQuery("/flows", { [end]: name, max: 100 }), { topics: ["flows"] });
    const calls = end === "from", other = calls ? "to" : "from";
    return h(Card, { title: calls ? t("endpoint.calls") : t("endpoint.called"),
        action: a({ href: href("flows", [], { [end]: name }) }, t("overview.all")) },
    h(Answer, { of: answer }, (data) => {
        const seen = new Map();
        for (const f of data.flows) seen.set(`${f[other] || f[`${other}_address`]} ${f.protocol}/${f.port} ${f.process} ${f.verdict}`, f);
        const list = [...seen.values()].reverse().slice(0, 14);
        return list.length === 0 ? span({ class: "empty" }, t("flows.none")) : ul({ class: "lines" }, list.map((f, i) =>
            li({ key: i }, h(Verdict, { value: f.verdict }), span({ class: "grow" },
                h(Name, { name: f[other], address: f[`${other}_address`] }),
                span({ class: "mono muted" }, ` ${f.protocol}/${f.port} ${f.script || f.process}`)),
            span({ class: "muted" }, ago(f.last)))));
    }));
}

function Guards({ name }) {
    const all = useAnswer("/enforcers", { list: true, topics: ["enforcers"] });
    const mine = (all.data ?? []).filter((x) => x.name === name);
    return h(Card, { title: t("endpoint.enforcers") }, h(Answer, { of: all }, () => mine.length === 0
        ? span({ class: "empty" }, t("endpoint.unguarded"))
        : ul({ class: "lines" }, mine.map((x, i) => li({ key: i }, h(State, { value: x.state }),
            span({ class: "grow" }, x.edge ? t("enforcers.edge", { name: x.edge }) : t("enforcers.host")),
            span({ class: "muted" }, t("enforcers.runs", { running: x.running, wanted: x.wanted })))))));
}

export function Endpoint({ name }) {
    const answer = useAnswer(`/endpoints/${segment(name)}`, { topics: ["trust"] });
    return h(Answer, { of: answer }, (e) => div({ class: "stack" },
        div({ class: "toolbar" }, h2({ class: "grow" }, span({ class: "mono" }, e.name)),
            a({ class: "action", href: href("map", [], { focus: e.name }) }, t("flows.onmap")),
            a({ class: "action", href: href("policy", ["radius"], { from: e.name }) }, t("endpoint.radius")),
            h(TrustButtons, { name: e.name, trust: e.trust, done: answer.reload })),
        div({ class: "columns" }, h(What, { e }), h(Owned, { name }), h(Talk, { name, end: "from" }),
            h(Talk, { name, end: "to" }), h(Guards, { name }))));
}
