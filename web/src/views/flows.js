// Connections with names at both ends: filter, sort, follow, and ask why.
import { useEffect, useMemo, useState } from "preact/hooks";
import { h, a, aside, button, div, h2, span } from "../ui/h.js";
import { Action, Answer, Badge, Choice, Facts, Name, Refusal, Tabs, Verdict } from "../ui/bits.js";
import { Icon } from "../ui/icons.js";
import { Filter } from "../ui/filter.js";
import { Saved } from "../ui/saved.js";
import { Table } from "../ui/table.js";
import { get, withQuery } from "../api.js";
import { has, takes } from "../features.js";
import { onEvent, useAnswer } from "../live.js";
import { href, route, setQuery } from "../router.js";
import { bytes, clock, moment, number } from "../format.js";
import { t, term } from "../i18n/index.js";
import { whyOf } from "../flows.js";
import { Rare } from "./rare.js";

const PAGE = 500, KEEP = 2000, POLL_MS = 5000;

/** Where the daemon does not filter by a field, it is done here. */
const HERE = {
    from: (f, v) => f.from === v || f.from_address === v,
    to: (f, v) => f.to === v || f.to_address === v,
    endpoint: (f, v) => f.from === v || f.to === v,
    verdict: (f, v) => f.verdict === v,
    process: (f, v) => f.process === v || f.script === v,
    user: (f, v) => f.user === v,
    port: (f, v) => String(f.port) === v || `${f.protocol}/${f.port}` === v,
    rule: (f, v) => f.rule === v,
    reporter: (f, v) => f.reporter === v,
};

const matches = (query) => (flow) =>
    Object.entries(HERE).every(([name, test]) => !query[name] || takes("/flows", name) || test(flow, query[name]));

/** What is asked of the daemon; of the past: until then. */
function pathOf(query) {
    const asked = [...Object.keys(HERE), "since", "until"].filter((k) => takes("/flows", k));
    const until = query.at && takes("/flows", "until") ? { until: query.at } : {};
    return withQuery("/flows", { ...Object.fromEntries(asked.map((k) => [k, query[k]])), ...until, denied: query.denied === "1", max: PAGE });
}

let ids = 0;
const marked = (page) => page.map((f) => ({ ...f, id: ++ids }));

/** Records, newest last; with live, new ones come as they happen; older() gets a page before them. */
function useFlows(query) {
    const [state, setState] = useState({ flows: undefined, error: null });
    const path = pathOf(query);
    useEffect(() => {
        const abort = new AbortController();
        let last = -1, busy = false, news = false, timer = 0;
        const load = async () => {
            clearTimeout(timer);
            busy = true;
            news = false;
            try {
                const answer = await get(last < 0 ? path : withQuery(path, { after: last }), { signal: abort.signal });
                const page = answer.flows, full = last >= 0 && page.length === PAGE && page[PAGE - 1].number;
                const first = last < 0;
                last = full || answer.last;
                news = news || Boolean(full);
                setState((old) => ({ error: null, next: first ? answer.next : old.next, missing: answer.incomplete ?? old.missing,
                    flows: [...(old.flows ?? []), ...marked(page)].slice(-KEEP) }));
            } catch (error) {
                if (abort.signal.aborted) return;
                setState((old) => ({ ...old, error }));
            }
            busy = false;
            if (query.live) timer = setTimeout(load, news ? 0 : POLL_MS);
        };
        const stop = query.live && onEvent((topic) => {
            news = news || topic === "flows";
            if (topic === "flows" && !busy && last >= 0) load();
        });
        setState({ flows: undefined, error: null });
        load();
        return () => {
            abort.abort();
            clearTimeout(timer);
            if (stop) stop();
        };
    }, [path, query.live]);
    const older = async () => {
        try {
            const answer = await get(withQuery(path, { cursor: state.next }));
            setState((old) => ({ ...old, next: answer.next, flows: [...marked(answer.flows), ...old.flows] }));
        } catch (error) {
            setState((old) => ({ ...old, error }));
        }
    };
    return { ...state, older };
}

const columns = () => [
    { key: "last", label: t("flows.last"), class: "num", cell: (f) => clock(f.last), sort: (f) => f.id },
    { key: "verdict", label: t("flows.verdict"), cell: (f) => h(Verdict, { value: f.verdict }), sort: (f) => f.verdict },
    { key: "from", label: t("flows.from"), cell: (f) => h(Name, { name: f.from, address: f.from_address }),
        sort: (f) => f.from || f.from_address },
    { key: "to", label: t("flows.to"), cell: (f) => h(Name, { name: f.to, address: f.to_address }),
        sort: (f) => f.to || f.to_address },
    { key: "service", label: t("flows.service"), class: "mono", cell: (f) => `${f.protocol}/${f.port}`, sort: (f) => f.port },
    { key: "program", label: t("flows.program"), class: "mono clip", cell: (f) => f.script || f.process, sort: (f) => f.process },
    { key: "user", label: t("flows.user"), cell: (f) => f.user, sort: (f) => f.user },
    { key: "count", label: t("flows.count"), class: "num", cell: (f) => number(f.count), sort: (f) => f.count },
    { key: "bytes", label: t("flows.bytes"), class: "num", cell: (f) => bytes(f.bytes_in + f.bytes_out),
        sort: (f) => f.bytes_in + f.bytes_out },
    { key: "rule", label: t("flows.rule"), cell: (f) => f.rule ? a({ href: href("policy", ["rules"], { rule: f.rule }) }, f.rule)
        : span({ class: "muted" }, term("layer", f.layer)), sort: (f) => f.rule || f.layer },
];

const Detail = ({ flow, onClose }) => aside({ class: "side", "aria-label": t("flows.detail") },
    div({ class: "dialog-head" }, h2(null, t("flows.detail")),
        button({ type: "button", class: "plain", "aria-label": t("close"), onClick: onClose }, h(Icon, { name: "close" }))),
    h(Facts, { rows: [
        [t("flows.verdict"), h(Verdict, { value: flow.verdict })],
        [t("flows.layer"), term("layer", flow.layer)],
        [t("flows.rule"), flow.rule || "–"],
        [t("flows.from"), [h(Name, { name: flow.from, address: "" }), " ", span({ class: "mono" }, flow.from_address)]],
        [t("flows.to"), [h(Name, { name: flow.to, address: "" }), " ", span({ class: "mono" }, flow.to_address)]],
        [t("flows.service"), span({ class: "mono" }, `${flow.protocol}/${flow.port}`)],
        [t("flows.program"), span({ class: "mono" }, flow.process || "–")],
        flow.script && [t("flows.script"), span({ class: "mono" }, flow.script)],
        [t("flows.user"), `${flow.user} ${flow.uid >= 0 ? `(${flow.uid})` : ""}`],
        [t("flows.first"), moment(flow.first)],
        [t("flows.last"), moment(flow.last)],
        [t("flows.count"), number(flow.count)],
        [t("flows.sent"), bytes(flow.bytes_out)],
        [t("flows.received"), bytes(flow.bytes_in)],
        [t("flows.enforced"), flow.enforced ? t("yes") : t("no")],
        [t("flows.reporter"), `${flow.reporter} (${term("direction", flow.direction)})`],
        [t("flows.revision"), number(flow.revision)],
    ] }),
    div({ class: "buttons" },
        a({ class: "action primary", href: href("why", [], whyOf(flow)) }, h(Icon, { name: "why", size: 15 }), t("flows.why")),
        a({ class: "action", href: href("map", [], { focus: flow.from || flow.to }) }, h(Icon, { name: "map", size: 15 }), t("flows.onmap"))));

function Records() {
    const { query } = route.value;
    const { flows, error, next, missing, older } = useFlows(query);
    const [chosen, setChosen] = useState(null);
    const names = useAnswer("/endpoints", { list: true, every: 0 });
    const seen = (f) => [...new Set((flows ?? []).map(f))].filter(Boolean);
    const fields = {
        from: { label: t("flows.from"), values: () => (names.data ?? []).map((e) => e.name) },
        to: { label: t("flows.to"), values: () => (names.data ?? []).map((e) => e.name) },
        verdict: { label: t("flows.verdict"), values: () => ["allow", "deny", "would-deny", "seen", "seen-deny"] },
        since: { label: t("flows.since"), values: () => ["5m", "1h", "24h", "7d"] },
        process: { label: t("flows.program"), values: () => seen((f) => f.process) },
        user: { label: t("flows.user"), values: () => seen((f) => f.user) },
        port: { label: t("flows.port"), values: () => seen((f) => `${f.protocol}/${f.port}`) },
        rule: { label: t("flows.rule"), values: () => seen((f) => f.rule) },
        reporter: { label: t("flows.reporter"), values: () => seen((f) => f.reporter) },
    };
    const rows = useMemo(() => (flows ?? []).filter(matches(query)).reverse(), [flows, query]);
    return div({ class: "fill" },
        div({ class: "toolbar" },
            h(Filter, { value: query, fields, free: "process", onChange: (q) => setQuery(q) }),
            h(Choice, { label: t("flows.show"), value: query.denied === "1" ? "denied" : "all",
                options: [["all", t("flows.all")], ["denied", t("flows.denied")]],
                onChange: (v) => setQuery({ denied: v === "denied" ? "1" : "" }) }),
            h(Saved, { view: "flows" }),
            button({ type: "button", class: "action", "aria-pressed": String(Boolean(query.live)),
                onClick: () => setQuery({ live: query.live ? "" : "1" }) },
            h(Icon, { name: query.live ? "pause" : "play", size: 14 }), t("flows.live"))),
        h(Refusal, { error }),
        div({ class: "split" },
            h(Answer, { of: { data: flows, error: null } }, () => h(Table, {
                rows, columns: columns(), id: (f) => f.id, label: t("nav.flows"), empty: t("flows.none"),
                chosen: chosen?.id, onOpen: setChosen, tone: (f) => `row-${f.verdict}`,
            })),
            chosen && h(Detail, { flow: chosen, onClose: () => setChosen(null) })),
        div({ class: "foot toolbar" }, span({ class: "muted", "aria-live": "polite" }, t("flows.n", { n: number(rows.length) })),
            next && h(Action, { onClick: older }, t("flows.older")),
            missing?.length > 0 && h(Badge, { tone: "warn", value: t("flows.incomplete", { n: number(missing.length) }) })));
}

export default function Flows() {
    if (!has("/flows/rare")) return h(Records);
    const rare = route.value.rest[0] === "rare";
    return div({ class: "fill" },
        h(Tabs, { label: t("nav.flows"), current: rare ? "rare" : "records",
            tabs: [["records", t("rare.records"), href("flows")], ["rare", t("rare.title"), href("flows", ["rare"])]] }),
        rare ? h(Rare) : h(Records));
}
