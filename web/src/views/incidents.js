// Who is held, and what led to it; hold or release.
import { useState } from "preact/hooks";
import { h, a, datalist, div, form, input, label, li, ol, option, span, time } from "../ui/h.js";
import { Answer, Card, Empty, Trust } from "../ui/bits.js";
import { Table } from "../ui/table.js";
import { actionOf, detailOf, objectOf } from "../audit.js";
import { useAnswer } from "../live.js";
import { href } from "../router.js";
import { moment } from "../format.js";
import { phrase, t, term } from "../i18n/index.js";
import { may } from "../session.js";
import { TrustButtons } from "./trust.js";

const ABOUT = /^(trust|endpoint|quarantine|release|reaction|alert)/;

const columns = (reload) => [
    { key: "name", label: t("endpoints.name"), sort: (e) => e.name, cell: (e) => a({ class: "name", href: href("endpoints", [e.name]) }, e.name) },
    { key: "trust", label: t("endpoints.trust"), sort: (e) => e.trust, cell: (e) => h(Trust, { value: e.trust }) },
    { key: "groups", label: t("endpoints.groups"), cell: (e) => e.groups.join(", ") },
    { key: "addresses", label: t("endpoints.addresses"), class: "mono", cell: (e) => e.addresses.join(" ") },
    { key: "do", label: t("incidents.do"), cell: (e) => h(TrustButtons, { name: e.name, trust: e.trust, done: reload }) },
];

function Pick({ list, reload }) {
    const [name, setName] = useState("");
    const found = list.find((e) => e.name === name && e.trust !== "black");
    if (!may.operate()) return null;
    return form({ class: "toolbar", onSubmit: (e) => e.preventDefault() },
        label({ class: "inline" }, t("incidents.pick"),
            input({ list: "endpoint-names", value: name, spellcheck: false, onInput: (e) => setName(e.target.value) })),
        datalist({ id: "endpoint-names" }, list.filter((e) => e.trust !== "black").map((e) => option({ key: e.name, value: e.name }))),
        found && h(TrustButtons, { key: name, name, trust: found.trust, done: reload }));
}

function TimeLine() {
    const audit = useAnswer(may.audit() ? "/audit" : null, { list: true, topics: ["audit"] });
    const notices = useAnswer("/notices", { list: true, topics: ["alerts"] });
    const events = [
        ...(audit.data ?? []).filter((x) => ABOUT.test(x.action)).map((x) => ({ time: x.time, head: `${actionOf(x)} ${objectOf(x)}`, who: x.actor, text: detailOf(x) })),
        ...(notices.data ?? []).map((x) => ({ time: x.time, head: term("notice", x.kind), who: x.endpoint, text: [x.object, phrase(x.text)].filter(Boolean).join(": ") })),
    ].sort((x, y) => String(y.time).localeCompare(String(x.time)));
    return h(Card, { title: t("incidents.timeline") }, h(Answer, { of: may.audit() ? audit : notices }, () => events.length === 0
        ? h(Empty, null, t("incidents.quiet"))
        : ol({ class: "timeline" }, events.map((x, i) => li({ key: i }, time({ dateTime: x.time, class: "muted" }, moment(x.time)),
            div(null, span({ class: "mono" }, x.head), span({ class: "muted" }, ` ${x.who}`)),
            x.text && div(null, x.text))))));
}

export default function Incidents() {
    const endpoints = useAnswer("/endpoints", { list: true, topics: ["trust"], every: 5000 });
    return h(Answer, { of: endpoints }, (list) => div({ class: "stack" },
        h(Card, { title: t("incidents.held") }, h(Pick, { list, reload: endpoints.reload }),
            h(Table, { rows: list.filter((e) => e.trust !== "white"), columns: columns(endpoints.reload), id: (e) => e.name,
                label: t("incidents.held"), empty: t("incidents.none") })),
        h(TimeLine)));
}
