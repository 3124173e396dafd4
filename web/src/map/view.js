// The map: who talks to whom, as a drawing, a matrix and a table with the same facts.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { h, button, canvas, div, label, option, select, span } from "../ui/h.js";
import { Choice, Empty, Loading, Refusal, Verdict } from "../ui/bits.js";
import { Filter } from "../ui/filter.js";
import { Saved } from "../ui/saved.js";
import { Table } from "../ui/table.js";
import { has } from "../features.js";
import { route, setQuery } from "../router.js";
import { ago, number } from "../format.js";
import { language, t, term } from "../i18n/index.js";
import { theme } from "../theme.js";
import { Detail } from "./detail.js";
import { dashOf, LINKS_MAX } from "./draw.js";
import { FIELDS, useFacts, WINDOWS } from "./facts.js";
import { Matrix } from "./matrix.js";
import { buildModel, labelsOf, OVER } from "./model.js";
import { unusedLinks, useDraft, useUnused } from "./overlay.js";
import { usePlaces } from "./places.js";
import { buildScene } from "./scene.js";
import { Stage } from "./stage.js";

const PLACES = "map-places";

function keptPlaces(by) {
    try {
        return JSON.parse(localStorage.getItem(PLACES) ?? "{}")[by] ?? {};
    } catch {
        return {};
    }
}

function keepPlaces(by, nodes) {
    try {
        const all = JSON.parse(localStorage.getItem(PLACES) ?? "{}");
        all[by] = Object.fromEntries(nodes.map((n) => [n.id, [Math.round(n.x), Math.round(n.y)]]));
        localStorage.setItem(PLACES, JSON.stringify(all));
    } catch { /* Full or forbidden: the places are worked out again. */ }
}

const LINES = ["allow", "would-deny", "deny", "seen", "seen-deny"];

/** What the line of a verdict looks like: by dashes, and by colour. */
const Line = ({ verdict }) => h("svg", { class: `line ${verdict}`, viewBox: "0 0 34 6", width: 34, height: 6, "aria-hidden": "true" },
    h("path", { d: "M0 3h34", "stroke-dasharray": dashOf(verdict).join(" ") || undefined }));

const Legend = ({ over }) => div({ class: "map-legend", "aria-label": t("map.legend"), role: "group" },
    [...LINES, ...over].map((v) => span({ key: v, title: t(`line.${v}`) }, h(Line, { verdict: v }), term("verdict", v))));

function Drawing({ model, endpoints, by, whole, picked, onPick, places, arranging }) {
    const host = useRef(null), stage = useRef(null), latest = useRef(null);
    latest.current = { onPick, save: places.save };
    const scene = useMemo(() => {
        const theirs = places.kept ?? {}, moved = Object.keys(theirs).length > 0;
        const made = buildScene(model, endpoints, moved ? theirs : whole ? keptPlaces(by) : {}, "system-ui, 'Noto Sans CJK JP', sans-serif");
        if (whole && !moved) keepPlaces(by, made.nodes);
        return made;
    }, [model, places.kept]);
    const shape = `${by} ${whole} ${model.nodes.map((n) => n.id).join()}`, shown = useRef("");
    useEffect(() => {
        stage.current = new Stage(host.current, (what) => latest.current.onPick(what), (nodes) => latest.current.save?.(nodes));
        host.current.stage = stage.current;
        return () => stage.current.destroy();
    }, []);
    useEffect(() => {
        const link = picked?.link && scene.links.find((l) => l.id === picked.link.id);
        stage.current.show(scene, { link, node: picked?.node && scene.byId.get(picked.node.id) }, shown.current !== shape);
        shown.current = shape;
    }, [scene, picked, theme.value]);
    useEffect(() => {
        stage.current.arranging = arranging;
    }, [arranging]);
    const over = OVER.filter((kind) => model.links.some((l) => l.verdict === kind));
    return div({ class: "map-stage", ref: host },
        canvas({ tabIndex: 0, role: "img",
            "aria-label": t("map.hint", { nodes: number(model.nodes.length), edges: number(model.links.length) }) }),
        h(Legend, { over }),
        div({ class: "map-zoom" }, [[t("map.in"), "+", (s) => s.zoom(1.4)], [t("map.out"), "−", (s) => s.zoom(0.7)], [t("map.fit"), "⤢", (s) => s.fit()]]
            .map(([text, sign, act]) => button({ key: sign, type: "button", class: "plain", "aria-label": text, title: text,
                onClick: () => act(stage.current) }, sign))));
}

const lastOf = (l) => Math.max(...l.facts.map((f) => Date.parse(f.last) || 0));

const linkColumns = (title) => [
    { key: "from", label: t("flows.from"), sort: (l) => title(l.from), cell: (l) => title(l.from) },
    { key: "to", label: t("flows.to"), sort: (l) => title(l.to), cell: (l) => title(l.to) },
    ...["allow", "would-deny", "deny", "seen", "seen-deny"].map((v) => ({ key: v, label: term("verdict", v), class: "num",
        sort: (l) => l.verdicts[v] ?? 0, cell: (l) => (l.verdicts[v] ? number(l.verdicts[v]) : "") })),
    { key: "worst", label: t("flows.verdict"), sort: (l) => l.verdict, cell: (l) => h(Verdict, { value: l.verdict }) },
    { key: "services", label: t("flows.service"), class: "mono clip", cell: (l) => [...new Set(l.facts.map((f) => (f.port === "" ? f.rule : `${f.protocol}/${f.port}`)))].join(" ") },
    { key: "last", label: t("flows.last"), sort: lastOf, cell: (l) => (lastOf(l) ? ago(lastOf(l)) : "–") },
];

const seen = (facts, f) => () => [...new Set(facts.map(f))].filter(Boolean);

function MapFilter({ query, endpoints, model, facts, edges }) {
    const names = () => [...new Set([...model.nodes.map((n) => n.title), ...endpoints.map((e) => e.name)])];
    const fields = { focus: { label: t("map.focus"), values: names }, ...(edges ? {
        port: { label: t("flows.service"), values: seen(facts, (f) => `${f.protocol}/${f.port}`) },
        process: { label: t("flows.program"), values: seen(facts, (f) => f.process) },
        user: { label: t("flows.user"), values: seen(facts, (f) => f.user) },
        rule: { label: t("flows.rule"), values: seen(facts, (f) => f.rule) },
        verdict: { label: t("flows.verdict"), values: () => ["allow", "deny", "would-deny"] } } : {}) };
    return h(Filter, { value: query, free: "focus", fields, onChange: (q) => setQuery(q) });
}

const Toggle = ({ on, onClick, children }) => button({ type: "button", class: "action", "aria-pressed": String(on), onClick }, children);

function Toolbar({ query, endpoints, model, by, view, edges, facts, draft, places, arranging, setArranging }) {
    return div({ class: "toolbar" },
        label({ class: "inline" }, t("map.by"), select({ value: by, onChange: (e) => setQuery({ by: e.target.value }) },
            option({ value: "group" }, t("map.group")),
            labelsOf(endpoints).map((k) => option({ key: k, value: `label:${k}` }, t("map.label", { name: k }))))),
        edges && label({ class: "inline" }, t("map.window"), select({ value: query.window ?? "d", onChange: (e) => setQuery({ window: e.target.value }) },
            Object.keys(WINDOWS).map((w) => option({ key: w, value: w }, t(`map.${w}`))))),
        h(Choice, { label: t("map.show"), value: query.show ?? "", options: [["", t("map.all")], ["violations", t("map.violations")]],
            onChange: (show) => setQuery({ show }) }),
        has("/rules/use") && h(Toggle, { on: query.unused === "1", onClick: () => setQuery({ unused: query.unused === "1" ? "" : "1" }) }, t("map.unused")),
        draft.drafts.length > 0 && label({ class: "inline" }, t("map.draft"), select({ value: draft.id, onChange: (e) => setQuery({ draft: e.target.value }) },
            option({ value: "" }, t("map.draft.none")), draft.drafts.map((d) => option({ key: d.id, value: d.id }, `${d.comment || d.id} · ${d.author}`)))),
        h(Choice, { label: t("map.view"), value: view, options: [["drawing", t("map.drawing")], ["matrix", t("map.matrix")], ["table", t("map.table")]],
            onChange: (v) => setQuery({ view: v === "drawing" ? "" : v }) }),
        view === "drawing" && places.save && h(Toggle, { on: arranging, onClick: () => setArranging(!arranging) }, t("map.arrange")),
        arranging && button({ type: "button", class: "action", onClick: places.reset }, t("map.arrange.reset")),
        h(Saved, { view: "map" }),
        h(MapFilter, { query, endpoints, model, facts, edges }));
}

/** What the drawing leaves out, or is made of. */
const NotesOf = ({ view, model, cut, partial, draft, arranging }) => [
    cut && t("map.cut", { n: number(cut.n), all: number(cut.all) }),
    view === "drawing" && model.links.length > LINKS_MAX && t("map.most", { n: LINKS_MAX, all: number(model.links.length) }),
    partial > 0 && t("map.partial", { n: number(partial) }),
    draft.busy && t("map.draft.busy"),
    draft.data && t("map.draft.told", { blocked: number(draft.data.blocked.connections), reported: number(draft.data.reported.connections),
        opened: number(draft.data.opened.connections) }),
    model.unused.anybody?.length > 0 && t("map.unused.anybody", { rules: model.unused.anybody.join(", ") }),
    model.unused.cut > 0 && t("map.unused.cut", { n: number(model.unused.cut) }),
    arranging && t("map.arrange.note"),
].filter(Boolean).map((text) => div({ key: text, class: "map-note muted" }, text));

const Body = ({ view, model, picked, onPick, ...more }) => {
    if (view === "drawing") return h(Drawing, { model, picked, onPick, ...more });
    if (model.links.length === 0) return div({ class: "map-pane" }, h(Empty, null, t("map.none")));
    if (view === "matrix") return div({ class: "map-pane" }, h(Matrix, { model, onPick }));
    const title = (id) => model.nodes.find((n) => n.id === id)?.title ?? id;
    return div({ class: "map-pane" }, h(Table, { rows: model.links, columns: linkColumns(title), id: (l) => l.id, label: t("map.edges"),
        empty: t("map.none"), chosen: picked?.link?.id, onOpen: (link) => onPick({ link }), tone: (l) => `row-${l.verdict}` }));
};

export default function MapView() {
    const { query } = route.value;
    const { endpoints, traffic, facts, edges, grouped, partial, cut } = useFacts(query);
    const draft = useDraft(query), idle = useUnused(query, language.value);
    const [picked, setPicked] = useState(null);
    const [arranging, setArranging] = useState(false);
    const by = query.by ?? "group", view = ["matrix", "table"].includes(query.view) ? query.view : "drawing";
    const places = usePlaces(by);
    const violations = query.show === "violations", focus = query.focus ?? "";
    const all = edges && !grouped && !cut && !violations && !FIELDS.some((k) => query[k]) ? facts : null;
    const outside = t("outside"), other = t("map.other");
    const model = useMemo(() => endpoints.data && facts && buildModel(endpoints.data, facts, { by, violations, focus, outside, other, grouped,
        draft: draft.facts, unused: idle && ((keyOf) => unusedLinks(idle.rules, idle.use, idle.groups, keyOf, all)) }),
        [endpoints.data, facts, by, violations, grouped, focus, outside, other, draft.facts, idle]);
    if (!model || (view === "drawing" && places.kept === undefined))
        return endpoints.error || traffic.error ? h(Refusal, { error: endpoints.error ?? traffic.error }) : h(Loading);
    return div({ class: "map" },
        h(Toolbar, { query, endpoints: endpoints.data, model, by, view, edges, facts, draft, places, arranging, setArranging }),
        h(NotesOf, { view, model, cut, partial, draft, arranging }),
        draft.error && h(Refusal, { error: draft.error }),
        div({ class: "map-body" },
            h(Body, { view, model, endpoints: endpoints.data, by, whole: !violations && !focus, picked, onPick: setPicked, places, arranging }),
            picked && h(Detail, { picked, model, onClose: () => setPicked(null) })));
}
