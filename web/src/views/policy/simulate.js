// What a candidate would have done with the recorded connections: by owner, and one by one.
import { useState } from "preact/hooks";
import { h, div, label, option, p, select, span } from "../../ui/h.js";
import { Action, Badge, Card, Name, Progress, Refusal } from "../../ui/bits.js";
import { Table } from "../../ui/table.js";
import { useLong } from "../../operation.js";
import { ago, number } from "../../format.js";
import { language, phrase, t, term } from "../../i18n/index.js";

const SINCE = { d: "1d", w: "7d", m: "30d" };
const KINDS = ["blocked", "reported", "opened"];
const TONE = { blocked: "bad", reported: "warn", opened: "good" };
const LIKELY = { "likely needed": "needed", unclear: "unclear", "likely unwanted": "unwanted" };

const ownerColumns = () => [
    { key: "owner", label: t("rules.owner"), sort: (o) => o.owner, cell: (o) => o.owner || t("simulate.nobody") },
    ...KINDS.map((k) => ({ key: k, label: term("simulate", k), class: "num", sort: (o) => o[k].connections,
        cell: (o) => (o[k].connections ? t("simulate.times", { n: number(o[k].connections), times: number(o[k].times) }) : "") })),
];

const decision = (d) => [term("verdict", d.verdict), d.rule || term("layer", d.layer)].join(" · ");

const changeColumns = () => [
    { key: "kind", label: t("simulate.what"), sort: (c) => c.kind, cell: (c) => h(Badge, { family: "simulate", value: c.kind, tone: TONE[c.kind] }) },
    { key: "likely", label: t("simulate.likely"), sort: (c) => c.likely, cell: (c) => [term("likely", LIKELY[c.likely] ?? c.likely),
        c.reasons?.length > 0 && div({ class: "muted" }, c.reasons.map((r) => phrase(r)).join(language.value === "ja" ? "、" : ", "))] },
    { key: "from", label: t("flows.from"), sort: (c) => c.from, cell: (c) => h(Name, { name: c.from, address: c.from }) },
    { key: "to", label: t("flows.to"), sort: (c) => c.to, cell: (c) => h(Name, { name: c.to, address: c.to }) },
    { key: "service", label: t("flows.service"), class: "mono", sort: (c) => c.service, cell: (c) => c.service },
    { key: "process", label: t("flows.program"), class: "mono clip", sort: (c) => c.process, cell: (c) => c.script || c.process },
    { key: "count", label: t("flows.count"), class: "num", sort: (c) => c.count, cell: (c) => number(c.count) },
    { key: "last", label: t("flows.last"), sort: (c) => c.last, cell: (c) => ago(c.last) },
    { key: "was", label: t("compare.before"), cell: (c) => decision(c.was) },
    { key: "now", label: t("compare.after"), cell: (c) => decision(c.now) },
];

/** What POST /try has answered. */
export const Outcome = ({ data }) => div({ class: "stack simulated" },
    p(null, t("simulate.records", { records: number(data.records), connections: number(data.connections) }), " ",
        KINDS.map((k) => h(Badge, { key: k, tone: data[k].connections ? TONE[k] : "plain",
            value: `${term("simulate", k)} ${number(data[k].connections)}` })),
        data.redundant === true && h(Badge, { tone: "good", value: t("simulate.redundant") })),
    data.incomplete && p({ class: "notice" }, t("simulate.incomplete")),
    data.unjudged > 0 && p({ class: "muted" }, t("simulate.unjudged", { n: number(data.unjudged) })),
    data.owners.length > 0 && h(Table, { rows: data.owners, columns: ownerColumns(), id: (o) => o.owner, label: t("simulate.owners") }),
    h(Table, { rows: data.changes, columns: changeColumns(), id: (c) => data.changes.indexOf(c), label: t("simulate.changes"), empty: t("simulate.same") }),
    data.more > 0 && p({ class: "muted" }, t("radius.more", { n: number(data.more) })));

/** A button that asks; 'body' says what of. */
export function Simulate({ body }) {
    const [since, setSince] = useState("m"), answer = useLong();
    const ask = () => answer.ask("/try", { ...body, since: SINCE[since] });
    return h(Card, { title: t("simulate.title"), action: div({ class: "buttons" },
        label({ class: "inline" }, span({ class: "hidden" }, t("map.window")),
            select({ value: since, onChange: (e) => setSince(e.target.value) }, Object.keys(SINCE).map((k) => option({ key: k, value: k }, t(`map.${k}`))))),
        h(Action, { icon: "play", disabled: !!answer.busy, onClick: ask }, t("simulate.do"))) },
    p({ class: "muted" }, t("simulate.note")), h(Refusal, { error: answer.error }),
    answer.busy && h(Progress, { of: answer.busy, onCancel: answer.cancel }), answer.data && h(Outcome, { data: answer.data }));
}
