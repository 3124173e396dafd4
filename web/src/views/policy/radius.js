// The blast radius: whom the fall of an endpoint or group reaches, hop by hop.
import { h, a, datalist, div, input, label, li, ol, option, p, span, strong } from "../../ui/h.js";
import { Answer, Badge, Card, Stat } from "../../ui/bits.js";
import { Table } from "../../ui/table.js";
import { withQuery } from "../../api.js";
import { useAnswer } from "../../live.js";
import { go, href, route, setQuery } from "../../router.js";
import { number } from "../../format.js";
import { t } from "../../i18n/index.js";

const SHOWN = 60;

const Hop = ({ hop }) => li(null,
    div({ class: "hop-head" }, strong(null, t("radius.hop", { n: hop.hops })), h(Badge, { value: `+${number(hop.new)}`, tone: "warn" })),
    div({ class: "pills" }, hop.endpoints.slice(0, SHOWN).map((e) => a({ key: e, class: "pill", href: href("endpoints", [e]) }, e)),
        hop.endpoints.length > SHOWN && span({ class: "muted" }, t("radius.more", { n: number(hop.endpoints.length - SHOWN) }))));

function Reach({ from }) {
    const answer = useAnswer(withQuery("/policy/radius", { from }), { topics: ["policy"], every: 60_000 });
    return h(Answer, { of: answer }, (data) => div({ class: "stack" },
        div({ class: "stats three" },
            h(Stat, { label: t("radius.fallen"), value: number(data.fallen), note: data.from, tone: "bad" }),
            h(Stat, { label: t("radius.reached"), value: number(data.reached), note: t("radius.hops", { n: data.hops.length }) }),
            h(Stat, { label: t("radius.outside"), value: data.outside_at ? t("radius.hop", { n: data.outside_at }) : t("no"),
                note: t("radius.outside.note") })),
        h(Card, null, ol({ class: "hops" }, data.hops.map((hop) => h(Hop, { key: hop.hops, hop }))))));
}

function Furthest() {
    const answer = useAnswer("/policy/radius", { topics: ["policy"], every: 60_000 });
    return h(Card, { title: t("radius.furthest") }, h(Answer, { of: answer }, (list) => h(Table, {
        rows: list, id: (r) => r.endpoint, label: t("radius.furthest"), empty: t("radius.nobody"),
        onOpen: (r) => go("policy", ["radius"], { from: r.endpoint }), columns: [
            { key: "endpoint", label: t("endpoints.name"), sort: (r) => r.endpoint,
                cell: (r) => a({ class: "name", href: href("policy", ["radius"], { from: r.endpoint }) }, r.endpoint) },
            { key: "reach", label: t("radius.reached"), class: "num", sort: (r) => r.reach, cell: (r) => number(r.reach) },
            { key: "alike", label: t("radius.alike"), class: "num", sort: (r) => r.alike, cell: (r) => number(r.alike) }],
    })));
}

export function Radius() {
    const from = route.value.query.from ?? "";
    const endpoints = useAnswer("/endpoints", { list: true, every: 0 });
    const groups = useAnswer("/groups", { list: true, every: 0 });
    const names = [...(groups.data ?? []), ...(endpoints.data ?? [])];
    return div({ class: "stack" },
        div({ class: "toolbar" }, label({ class: "inline" }, t("radius.from"), input({
            key: from, defaultValue: from, list: "radius-names", spellcheck: false,
            onChange: (e) => setQuery({ from: e.target.value.trim() }, false) })),
        datalist({ id: "radius-names" }, names.map((x) => option({ key: x.name, value: x.name }))),
        from && a({ href: href("policy", ["radius"]) }, t("radius.all"))),
        p({ class: "muted" }, t("radius.note")),
        from ? h(Reach, { key: from, from }) : h(Furthest));
}
