// Long questions that somebody has asked: whose, since when, how far; their end, and what came of them.
import { useEffect, useState } from "preact/hooks";
import { h, a, code, div, h2, p, pre, span } from "../ui/h.js";
import { Action, Answer, Badge, Card, Empty, Facts, Refusal } from "../ui/bits.js";
import { say, tell } from "../ui/dialog.js";
import { Table } from "../ui/table.js";
import { post, Problem, segment } from "../api.js";
import { onEvent, useAnswer } from "../live.js";
import { hasEnded } from "../operation.js";
import { go, href, route } from "../router.js";
import { duration, moment, number } from "../format.js";
import { phrase, t } from "../i18n/index.js";

const SHOWN = 20_000; // Characters of an answer that has no lines for people; all of it can be saved.
const TONE = { waiting: "plain", running: "warn", done: "good", failed: "bad", cancelled: "plain" };

const State = ({ of }) => h(Badge, { family: "operation", value: of.state, tone: TONE[of.state] });

/** "GET /edges?by=site" */
const asked = (o) => (o.post ? `POST ${o.post}` : `GET ${o.get ?? ""}`).replace(" /api/v1/", " /");

const counted = (o) => o.total ? t("progress.of", { done: number(o.done), total: number(o.total), percent: number(o.percent) }) : number(o.done);

const Far = ({ of }) => of.state === "running"
    ? span({ class: "far" }, h("progress", { max: 100, value: of.total ? of.percent : undefined, "aria-label": `${t("progress")}: ${asked(of)}` }), counted(of))
    : counted(of);

async function cancel(o) {
    try {
        await post(`/operations/${segment(o.id)}/cancel`);
        say(t("operations.cancelled"));
    } catch (e) {
        tell(e);
    }
}

const Cancel = ({ of }) => !hasEnded(of) && h(Action, { "aria-label": `${t("cancel")}: ${asked(of)}`, onClick: () => cancel(of) }, t("cancel"));

const columns = () => [
    { key: "state", label: t("accounts.state"), sort: (o) => o.state, cell: (o) => h(State, { of: o }) },
    { key: "asked", label: t("operations.asked"), class: "mono clip", sort: asked,
        cell: (o) => a({ class: "name", href: href("operations", [o.id]), title: asked(o) }, asked(o)) },
    { key: "actor", label: t("audit.actor"), sort: (o) => o.actor, cell: (o) => o.actor },
    { key: "created", label: t("accounts.since"), sort: (o) => o.created, cell: (o) => moment(o.created) },
    { key: "elapsed", label: t("operations.took"), class: "num", sort: (o) => o.elapsed_s, cell: (o) => duration(o.elapsed_s * 1000) },
    { key: "far", label: t("progress"), sort: (o) => o.percent ?? 0, cell: (o) => h(Far, { of: o }) },
    { key: "do", label: t("incidents.do"), cell: (o) => o.state === "done"
        ? a({ class: "action", href: href("operations", [o.id]), "aria-label": `${t("operations.result")}: ${asked(o)}` }, t("operations.result")) : h(Cancel, { of: o }) },
];

/** The list, and what the stream has told since: the newer of both. */
function useOperations() {
    const answer = useAnswer("/operations", { list: true, topics: ["operations"] });
    const [told, setTold] = useState({});
    useEffect(() => setTold({}), [answer.data]);
    useEffect(() => onEvent((topic, data) => topic === "operations" && data?.id && setTold((old) => ({ ...old, [data.id]: data }))), []);
    const known = answer.data ?? [], ids = new Set(known.map((o) => o.id));
    const newer = (o) => (hasEnded(o) ? o : told[o.id] ?? o);
    return { ...answer, data: answer.data && [...Object.values(told).filter((o) => !ids.has(o.id)).reverse(), ...known.map(newer)] };
}

function save(id, body) {
    const url = URL.createObjectURL(new Blob([JSON.stringify(body, null, 2)], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = `operation-${id}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 0);
}

/** What the question was answered: its lines for people, or the document. */
function Result({ id }) {
    const answer = useAnswer(`/operations/${segment(id)}`, { every: 0 });
    return h(Answer, { of: answer }, ({ result }) => {
        if (!result) return h(Empty, null, t("operations.nothing"));
        if (result.status >= 400) return h(Refusal, { error: new Problem(result.status, result.body) });
        const text = typeof result.body?.text === "string" ? result.body.text : JSON.stringify(result.body, null, 2);
        return h(Card, { title: t("operations.result"), action: h(Action, { onClick: () => save(id, result.body) }, t("operations.save")) },
            pre({ class: "quote whole" }, text.slice(0, SHOWN)),
            text.length > SHOWN && h(Empty, null, t("operations.cut", { n: number(SHOWN), of: number(text.length) })));
    });
}

function One({ all, id }) {
    return h(Answer, { of: all }, (list) => {
        const o = list.find((x) => x.id === id);
        if (!o) return h(Empty, null, t("operations.forgotten"));
        return div({ class: "stack" },
            div({ class: "toolbar" }, h2({ class: "grow" }, code(null, asked(o))), a({ class: "action", href: href("operations") }, t("operations.all")), h(Cancel, { of: o })),
            h(Card, null, h(Facts, { rows: [
                [t("accounts.state"), h(State, { of: o })], [t("audit.actor"), o.actor], [t("accounts.since"), moment(o.created)],
                [t("operations.took"), duration(o.elapsed_s * 1000)], [t("progress"), h(Far, { of: o })], o.why && [t("operations.why"), phrase(o.why)],
            ] })),
            o.state === "done" && h(Result, { id }));
    });
}

export default function Operations() {
    const all = useOperations(), id = route.value.rest[0];
    if (id) return h(One, { all, id });
    return div({ class: "fill" }, p({ class: "muted" }, t("operations.note")),
        h(Answer, { of: all }, (list) => h(Table, { rows: list, columns: columns(), id: (o) => o.id, label: t("nav.operations"),
            empty: t("operations.none"), onOpen: (o) => go("operations", [o.id]) })));
}
