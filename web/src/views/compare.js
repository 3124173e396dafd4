// Two moments beside each other: who gained and lost what by policy, and which connections came and went.
import { h, div, input, label, option, p, select, span } from "../ui/h.js";
import { Answer, Badge, Card } from "../ui/bits.js";
import { DiffText } from "../ui/diff.js";
import { Table } from "../ui/table.js";
import { withQuery } from "../api.js";
import { has } from "../features.js";
import { useAnswer } from "../live.js";
import { route, setQuery } from "../router.js";
import { ago, moment, number } from "../format.js";
import { stepsOf, toIso, toLocal } from "../moment.js";
import { compareEdges } from "../map/compare.js";
import { WINDOWS, windowOf } from "../map/facts.js";
import { t, term } from "../i18n/index.js";

const EDGES = 1000, EVENTS = 500;
const TONE = { came: "good", went: "bad", other: "warn" };

/** A moment, typed or picked from what happened; "": now. */
const Picker = ({ name, value, steps }) => div({ class: "buttons" },
    label({ class: "inline" }, t(`compare.${name}`), input({ type: "datetime-local", step: 1, value: toLocal(value),
        onChange: (e) => setQuery({ [name]: toIso(e.target.value) }) })),
    label({ class: "inline" }, span({ class: "hidden" }, t("compare.event", { name: t(`compare.${name}`) })),
        select({ value: steps.some((s) => s.time === value) ? value : "", onChange: (e) => setQuery({ [name]: e.target.value }) },
            option({ value: "" }, name === "to" ? t("moment.now") : "–"),
            steps.slice().reverse().map((s) => option({ key: s.time, value: s.time },
                `${moment(s.time)} · ${s.events.map((e) => e.comment || e.endpoint || e.what.map((w) => term("change", w)).join(", ")).join(" / ").slice(0, 90)}`)))));

const columns = () => [
    { key: "change", label: t("compare.change"), sort: (r) => r.change, cell: (r) => h(Badge, { family: "came", value: r.change, tone: TONE[r.change] }) },
    { key: "from", label: t("flows.from"), sort: (r) => r.from, cell: (r) => r.from || t("outside") },
    { key: "to", label: t("flows.to"), sort: (r) => r.to, cell: (r) => r.to || t("outside") },
    { key: "service", label: t("flows.service"), class: "mono", sort: (r) => r.service, cell: (r) => r.service },
    { key: "program", label: t("flows.program"), class: "mono clip", sort: (r) => r.process, cell: (r) => r.process },
    { key: "before", label: t("compare.before"), sort: (r) => r.before, cell: (r) => term("verdict", r.before) || "–" },
    { key: "after", label: t("compare.after"), sort: (r) => r.after, cell: (r) => term("verdict", r.after) || "–" },
    { key: "last", label: t("flows.last"), sort: (r) => r.last, cell: (r) => ago(r.last) },
];

function Traffic({ from, to, name }) {
    const asked = windowOf(name, to), since = asked.until ? asked.since : new Date(Date.now() - 1000 * WINDOWS[name]).toISOString();
    const path = (query) => withQuery("/edges", { max: EDGES, ...query });
    const before = useAnswer(path(windowOf(name, from)), { every: 0 });
    const after = useAnswer(path({ ...asked, since: from > since ? from : asked.since }), { every: 0 }); // What was counted before is not counted again.
    return h(Card, { title: t("compare.traffic"), action: label({ class: "inline" }, t("compare.window"),
        select({ value: name, onChange: (e) => setQuery({ window: e.target.value }) }, Object.keys(WINDOWS).map((w) => option({ key: w, value: w }, t(`map.${w}`))))) },
    h(Answer, { of: before }, (x) => h(Answer, { of: after }, (y) => {
        const rows = compareEdges(x.edges, y.edges), all = Math.max(x.total ?? 0, y.total ?? 0);
        return [all > EDGES && p({ key: "cut", class: "muted" }, t("map.cut", { n: number(EDGES), all: number(all) })),
            h(Table, { key: "table", rows, columns: columns(), id: (r) => r.key, label: t("compare.traffic"), empty: t("compare.none") })];
    })));
}

export default function Compare() {
    const { query } = route.value, from = query.from ?? "", to = query.to ?? "";
    const timeline = useAnswer(withQuery("/timeline", { max: EVENTS }), { list: true, topics: ["policy", "trust"], every: 0 });
    const diff = useAnswer(from ? withQuery("/timeline/diff", { from, to }) : null, { every: 0 });
    const steps = stepsOf(timeline.data ?? []);
    return div({ class: "stack" },
        div({ class: "toolbar" }, h(Picker, { name: "from", value: from, steps }), h(Picker, { name: "to", value: to, steps })),
        from ? [h(Card, { key: "policy", title: t("compare.policy") }, h(Answer, { of: diff }, (data) => h(DiffText, { text: data.diff_text }))),
            to && to <= from ? p({ key: "order", class: "muted" }, t("compare.order")) : has("/edges") && h(Traffic, { key: `${from} ${to}`, from, to, name: query.window ?? "h" })]
            : p({ class: "muted" }, t("compare.choose")));
}
