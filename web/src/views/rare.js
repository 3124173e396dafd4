// Connections that stand out in a time, each with the reasons why it is listed.
import { h, a, div, li, p, span, ul } from "../ui/h.js";
import { Answer, Badge, Card, Choice, Empty, Name, Verdict } from "../ui/bits.js";
import { withQuery } from "../api.js";
import { useAnswer } from "../live.js";
import { href, route, setQuery } from "../router.js";
import { clock, moment, number } from "../format.js";
import { phrase, t, term } from "../i18n/index.js";
import { whyOf } from "../flows.js";

const KINDS = ["new", "once", "program", "scan"], WINDOWS = ["24h", "7d", "30d"];

/** A source that tried many destinations has none of its own to ask about. */
const Line = ({ line }) => li(null,
    div({ class: "finding-head" }, h(Verdict, { value: line.verdict }), h(Name, { name: line.from, address: line.from_address }), "→",
        line.kind === "scan" ? span({ class: "muted" }, t("rare.many")) : [h(Name, { name: line.to, address: line.to_address }),
            span({ class: "mono" }, line.service)],
        span({ class: "mono" }, line.script || line.process), line.user && span({ class: "muted" }, line.user), span({ class: "grow" }),
        line.kind !== "scan" && span({ class: "muted" }, `× ${number(line.count)}`), span({ class: "muted", title: moment(line.first) }, clock(line.first)),
        !/^$|^ip\//.test(line.service) && a({ href: href("why", [], whyOf({ ...line, protocol: line.service.split("/")[0] })) }, t("flows.why")),
        a({ href: href("flows", [], line.kind === "scan" ? { from: line.from, process: line.script || line.process }
            : { from: line.from, to: line.to, process: line.script || line.process }) }, t("rare.records"))),
    p({ class: "muted" }, phrase(line.why)));

const Kind = ({ kind, lines, total }) => h(Card, { title: `${term("rare", kind)} · ${number(total)}` },
    lines.length === 0 ? h(Empty, null, t("rare.none")) : ul({ class: "findings" }, lines.map((line, i) => h(Line, { key: i, line }))),
    total > lines.length && p({ class: "muted" }, t("rare.more", { n: number(total - lines.length) })));

/** How far the comparison reaches, and what it leaves out. */
const Reach = ({ data }) => div({ class: "toolbar" },
    span({ class: "muted" }, t("rare.window", { since: moment(data.since), n: number(data.connections) })),
    !data.oldest ? h(Badge, { tone: "warn", value: t("rare.empty") })
        : data.oldest >= data.since ? h(Badge, { tone: "warn", value: t("rare.nobefore", { when: moment(data.oldest) }) })
            : span({ class: "muted" }, t("rare.before", { when: moment(data.oldest) })),
    data.unknown_ends > 0 && span({ class: "muted" }, t("rare.unknown", { n: number(data.unknown_ends) })),
    data.incomplete?.length > 0 && h(Badge, { tone: "warn", value: t("flows.incomplete", { n: number(data.incomplete.length) }) }),
    data.over && h(Badge, { tone: "bad", value: t("rare.over") }));

export function Rare() {
    const { query } = route.value;
    const since = WINDOWS.includes(query.since) ? query.since : WINDOWS[0], wanted = KINDS.includes(query.kind) ? query.kind : "";
    const answer = useAnswer(withQuery("/flows/rare", { since, kind: wanted }), { every: 0, long: true });
    return div({ class: "stack" },
        div({ class: "toolbar" },
            h(Choice, { label: t("flows.since"), value: since, options: WINDOWS.map((w) => [w, w]), onChange: (w) => setQuery({ since: w }) }),
            h(Choice, { label: t("rare.kind"), value: wanted, options: [["", t("rare.all")], ...KINDS.map((k) => [k, term("rare", k)])],
                onChange: (kind) => setQuery({ kind }) })),
        h(Answer, { of: answer }, (data) => [h(Reach, { key: "reach", data }),
            ...KINDS.filter((k) => k in data.totals).map((kind) => h(Kind, { key: kind, kind, total: data.totals[kind],
                lines: data.lines.filter((x) => x.kind === kind) }))]));
}
