// The ledger: every endpoint with labels, addresses, groups, enforcers, mode and trust.
import { useMemo } from "preact/hooks";
import { h, a, div, span } from "../ui/h.js";
import { Answer, Badge, Labels, Mode, Trust } from "../ui/bits.js";
import { Filter } from "../ui/filter.js";
import { Table } from "../ui/table.js";
import { useAnswer } from "../live.js";
import { go, href, route, setQuery } from "../router.js";
import { number } from "../format.js";
import { t } from "../i18n/index.js";
import { Endpoint } from "./endpoint.js";

const has = (text, part) => text.toLowerCase().includes(part.toLowerCase());

const TESTS = {
    name: (e, v) => has(e.name, v) || e.addresses.some((x) => x.includes(v)),
    group: (e, v) => e.groups.includes(v),
    mode: (e, v) => e.mode === v,
    trust: (e, v) => e.trust === v,
    enforcer: (e, v) => (v === "none" ? e.enforcers.length === 0 : e.enforcers.includes(v)),
    label: (e, v) => {
        const [key, value] = v.split("=", 2);
        return key in e.labels && (value === undefined || e.labels[key] === value);
    },
};

const columns = () => [
    { key: "name", label: t("endpoints.name"), sort: (e) => e.name,
        cell: (e) => a({ class: "name", href: href("endpoints", [e.name]) }, e.name) },
    { key: "trust", label: t("endpoints.trust"), sort: (e) => e.trust, cell: (e) => h(Trust, { value: e.trust }) },
    { key: "mode", label: t("endpoints.mode"), sort: (e) => e.mode, cell: (e) => h(Mode, { value: e.mode }) },
    { key: "enforcers", label: t("endpoints.enforcers"), sort: (e) => e.enforcers.join(),
        cell: (e) => e.enforcers.length ? e.enforcers.map((x) => h(Badge, { key: x, family: "enforcer", value: x }))
            : h(Badge, { value: t("endpoints.nobody"), tone: "bad" }) },
    { key: "groups", label: t("endpoints.groups"), sort: (e) => e.groups.join(), cell: (e) => e.groups.join(", ") },
    { key: "labels", label: t("endpoints.labels"), sort: (e) => JSON.stringify(e.labels), cell: (e) => h(Labels, { labels: e.labels }) },
    { key: "addresses", label: t("endpoints.addresses"), class: "mono clip", sort: (e) => e.addresses[0], cell: (e) => e.addresses.join(" ") },
];

function Ledger() {
    const { query } = route.value;
    const endpoints = useAnswer("/endpoints", { list: true, topics: ["policy"] });
    const list = endpoints.data ?? [];
    const all = (f) => [...new Set(list.flatMap(f))];
    const fields = {
        name: { label: t("endpoints.name"), values: () => list.map((e) => e.name) },
        group: { label: t("endpoints.groups"), values: () => all((e) => e.groups) },
        label: { label: t("endpoints.labels"), values: () => all((e) => Object.entries(e.labels).map(([k, v]) => `${k}=${v}`)) },
        mode: { label: t("endpoints.mode"), values: () => ["learn", "test", "enforce"] },
        trust: { label: t("endpoints.trust"), values: () => ["white", "grey", "black"] },
        enforcer: { label: t("endpoints.enforcers"), values: () => ["host", "edge", "nft", "switch", "none"] },
    };
    const rows = useMemo(() => list.filter((e) =>
        Object.entries(TESTS).every(([k, test]) => !query[k] || test(e, query[k]))), [list, query]);
    return div({ class: "fill" },
        div({ class: "toolbar" }, h(Filter, { value: query, fields, free: "name", onChange: (q) => setQuery(q) }),
            span({ class: "muted" }, t("endpoints.n", { n: number(rows.length), all: number(list.length) }))),
        h(Answer, { of: endpoints }, () => h(Table, {
            rows, columns: columns(), id: (e) => e.name, label: t("nav.endpoints"), empty: t("endpoints.none"),
            onOpen: (e) => go("endpoints", [e.name]), tone: (e) => (e.trust === "black" ? "row-deny" : ""),
        })));
}

export default function Endpoints() {
    const name = route.value.rest[0];
    return name ? h(Endpoint, { key: name, name }) : h(Ledger);
}
