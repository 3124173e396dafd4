// What should run where, and what does: revision, state, losses, hooks.
import { h, a, div, h2, span } from "../ui/h.js";
import { Action, Answer, Badge, Card, Facts, Labels, State, Tabs } from "../ui/bits.js";
import { say, tell } from "../ui/dialog.js";
import { Table } from "../ui/table.js";
import { post, segment } from "../api.js";
import { has } from "../features.js";
import { useAnswer } from "../live.js";
import { go, href, route } from "../router.js";
import { ago, moment, number } from "../format.js";
import { phrase, t, term } from "../i18n/index.js";
import { may } from "../session.js";

const Revision = ({ e }) => e.refused ? h(Badge, { value: t("enforcers.refused"), tone: "bad" })
    : e.running === e.wanted ? h(Badge, { value: number(e.running), tone: "good" })
        : h(Badge, { value: `${number(e.running)} → ${number(e.wanted)}`, tone: "warn" });

/** "running", or "refused: map full: …" */
const resultOf = (text) => !text ? "–" : text.includes(" ") ? phrase(text) : term("result", text);

const place = (e) => e.edge ? t("enforcers.edge", { name: e.edge }) : t("enforcers.host");

const columns = () => [
    { key: "name", label: t("endpoints.name"), sort: (e) => e.name, cell: (e) => a({ class: "name", href: href("enforcers", [e.name]) }, e.name) },
    { key: "place", label: t("enforcers.place"), sort: place, cell: place },
    { key: "state", label: t("enforcers.state"), sort: (e) => e.state, cell: (e) => h(State, { value: e.state }) },
    { key: "revision", label: t("enforcers.revision"), sort: (e) => e.running, cell: (e) => h(Revision, { e }) },
    { key: "lost", label: t("enforcers.lost"), class: "num", sort: (e) => (e.lost_events ?? 0) + (e.lost_records ?? 0),
        cell: (e) => e.address ? number((e.lost_events ?? 0) + (e.lost_records ?? 0)) : "–" },
    { key: "since", label: t("enforcers.since"), sort: (e) => e.since ?? "", cell: (e) => e.since ? ago(e.since) : "–" },
    { key: "kernel", label: t("enforcers.kernel"), class: "mono", sort: (e) => e.kernel, cell: (e) => e.kernel ?? "–" },
    { key: "software", label: t("enforcers.software"), class: "mono", sort: (e) => e.software, cell: (e) => e.software || "–" },
];

function Controls({ name }) {
    if (!may.operate()) return null;
    const ask = (verb) => async () => {
        try {
            await post(`/enforcers/${segment(name)}/control`, { verb, count: 1 });
            say(t("enforcers.asked", { verb, name }));
        } catch (e) {
            tell(e);
        }
    };
    return ["report", "verify", "resync"].map((verb) => h(Action, { key: verb, onClick: ask(verb) }, t(`control.${verb}`)));
}

function One({ name }) {
    const all = useAnswer("/enforcers", { list: true, topics: ["enforcers"], every: 5000 });
    const notices = useAnswer("/notices", { list: true, topics: ["alerts"] });
    const mine = (all.data ?? []).filter((e) => e.name === name);
    const about = (notices.data ?? []).filter((n) => n.endpoint === name);
    return h(Answer, { of: all }, () => div({ class: "stack" },
        div({ class: "toolbar" }, h2({ class: "grow" }, span({ class: "mono" }, name)),
            a({ class: "action", href: href("endpoints", [name]) }, t("enforcers.endpoint")), h(Controls, { name })),
        div({ class: "columns" }, mine.map((e, i) => h(Card, { key: i, title: place(e) }, h(Facts, { rows: [
            [t("enforcers.state"), h(State, { value: e.state })],
            [t("enforcers.revision"), h(Revision, { e })],
            [t("enforcers.result"), resultOf(e.last_result)],
            e.address && [t("enforcers.address"), span({ class: "mono" }, e.address)],
            e.since && [t("enforcers.since"), moment(e.since)],
            e.kernel && [t("enforcers.kernel"), span({ class: "mono" }, e.kernel)],
            e.software && [t("enforcers.software"), span({ class: "mono" }, e.software)],
            e.features?.length > 0 && [t("enforcers.features"), e.features.join(", ")],
            e.address && [t("enforcers.lost"), t("enforcers.losses", { events: number(e.lost_events), records: number(e.lost_records) })],
            ...(e.status?.hooks ?? []).map((x) => [x.name, [h(Badge, { value: String(x.state), tone: x.state === "attached" ? "good" : "warn" }), ` ${number(x.hits)}`]]),
            e.status?.counters && !Array.isArray(e.status.counters) && [t("enforcers.counters"), h(Labels, { labels: e.status.counters })],
        ] }))), h(Card, { title: t("enforcers.notices") }, h(Table, {
            rows: about, id: (n) => JSON.stringify(n), label: t("enforcers.notices"), empty: t("enforcers.nonotices"), columns: [
                { key: "time", label: t("audit.time"), cell: (n) => moment(n.time) },
                { key: "kind", label: t("enforcers.kind"), cell: (n) => term("notice", n.kind) },
                { key: "object", label: t("audit.object"), class: "mono", cell: (n) => n.object },
                { key: "text", label: t("audit.detail"), cell: (n) => phrase(n.text) }],
        })))));
}

/** Who carries the policy out, and who only sees. */
export const SeenTabs = ({ current }) => has("/exporters") && h(Tabs, { label: t("nav.enforcers"), current,
    tabs: [["enforcers", t("nav.enforcers"), href("enforcers")], ["exporters", t("nav.exporters"), href("exporters")]] });

function All() {
    const all = useAnswer("/enforcers", { list: true, topics: ["enforcers"], every: 5000 });
    return div({ class: "fill" }, h(SeenTabs, { current: "enforcers" }), h(Answer, { of: all }, (list) => h(Table, {
        rows: list, columns: columns(), id: (e) => `${e.name} ${e.edge ?? ""}`, label: t("nav.enforcers"),
        empty: t("enforcers.none"), onOpen: (e) => go("enforcers", [e.name]),
        tone: (e) => (e.refused ? "row-deny" : ""),
    })));
}

export default function Enforcers() {
    const name = route.value.rest[0];
    return name ? h(One, { key: name, name }) : h(All);
}
