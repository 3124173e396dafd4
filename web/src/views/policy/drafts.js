// Changes that somebody proposes and somebody else applies: reviewed by what they mean and would have done.
import { useEffect, useState } from "preact/hooks";
import { h, a, div, form, h2, input, label, p, span } from "../../ui/h.js";
import { Action, Answer, Badge, Card, Empty, Facts, Findings, Loading, Refusal } from "../../ui/bits.js";
import { Dialog, say } from "../../ui/dialog.js";
import { DiffText } from "../../ui/diff.js";
import { Table } from "../../ui/table.js";
import { ask, get, post, segment, session } from "../../api.js";
import { useAnswer } from "../../live.js";
import { go, href, route } from "../../router.js";
import { moment, number } from "../../format.js";
import { t } from "../../i18n/index.js";
import { may } from "../../session.js";
import { Path, pathOf } from "./path.js";
import { Simulate } from "./simulate.js";

const isMine = (draft) => draft.author === session.value?.actor;

/** Whether this person may put it in force: with four eyes not its author. */
export const mayApply = (draft) => may.apply() && !(session.value?.four_eyes && isMine(draft));

const bodyOf = (draft) => ({ files: draft.files, ...(draft.inventory ? { inventory: draft.inventory } : {}) });

function Apply({ draft, onClose }) {
    const [error, setError] = useState(null);
    const submit = async (e) => {
        e.preventDefault();
        try {
            const data = await post(`/policy/drafts/${segment(draft.id)}/apply`, { confirm_s: Math.round(Number(new FormData(e.target).get("confirm")) * 60) });
            say(t("apply.done", { revision: data.revision }));
            go("policy", ["drafts"]);
        } catch (problem) {
            setError(problem);
        }
    };
    return h(Dialog, { title: t("drafts.apply.title"), onClose }, form({ onSubmit: submit },
        label(null, t("apply.confirm"), input({ name: "confirm", type: "number", min: 0, max: 1440, defaultValue: 5 })),
        p({ class: "muted" }, t("apply.confirm.note")), h(Refusal, { error }),
        div({ class: "buttons" }, h(Action, { tone: "primary", type: "submit" }, t("apply.do")), h(Action, { onClick: onClose }, t("cancel")))));
}

function Reject({ draft, onClose }) {
    const [error, setError] = useState(null);
    const submit = async () => {
        try {
            await ask("DELETE", `/policy/drafts/${segment(draft.id)}`);
            say(t("drafts.gone"));
            go("policy", ["drafts"]);
        } catch (problem) {
            setError(problem);
        }
    };
    return h(Dialog, { title: isMine(draft) ? t("drafts.withdraw") : t("drafts.reject"), onClose },
        p(null, t("drafts.reject.note", { author: draft.author })), h(Refusal, { error }),
        div({ class: "buttons" }, h(Action, { tone: "danger", onClick: submit }, isMine(draft) ? t("drafts.withdraw") : t("drafts.reject")),
            h(Action, { onClick: onClose }, t("cancel"))));
}

/** What it would mean now: a dry run; somebody whose role may not try reads the text alone. */
function useMeaning(draft) {
    const [state, setState] = useState({});
    useEffect(() => {
        if (!may.try()) return;
        ask("PUT", "/policy", { body: { ...bodyOf(draft), dry_run: true, base: draft.base } })
            .then(({ data }) => setState({ data }), (error) => setState({ error }));
    }, [draft.id]);
    return state;
}

function Meaning({ state }) {
    if (!state.data && !state.error) return h(Loading);
    const findings = state.data?.findings ?? state.error?.findings ?? [], failed = findings.filter((f) => f.code === "E-PROOF");
    return div({ class: "columns" },
        h(Card, { title: t("edit.meaning"), class: "wide" }, state.error?.status === 412 ? p({ class: "notice" }, t("drafts.stale")) : state.error && h(Refusal, { error: state.error }),
            state.data && (state.data.diff?.same ? p({ class: "muted" }, t("edit.same")) : h(DiffText, { text: state.data.diff_text }))),
        h(Card, { title: t("policy.proofs"), action: state.data && h(Badge, failed.length ? { tone: "bad", value: t("proofs.fails") } : { tone: "good", value: t("drafts.proofs.hold") }) },
            failed.map((f, i) => h(Path, { key: i, hops: pathOf(f.message) })), findings.length > 0 ? h(Findings, { findings }) : p({ class: "muted" }, t("findings.none"))));
}

function Review({ draft }) {
    const state = useMeaning(draft), [doing, setDoing] = useState("");
    return div({ class: "stack" },
        div({ class: "toolbar" }, h2({ class: "grow" }, draft.comment || draft.id),
            may.try() && a({ class: "action", href: href("policy", ["edit"], { draft: draft.id }) }, t("drafts.edit")),
            a({ class: "action", href: href("map", [], { draft: draft.id }) }, t("flows.onmap")),
            (isMine(draft) || may.apply()) && h(Action, { tone: "danger", onClick: () => setDoing("reject") }, isMine(draft) ? t("drafts.withdraw") : t("drafts.reject")),
            mayApply(draft) && h(Action, { tone: "primary", disabled: !state.data, onClick: () => setDoing("apply") }, t("edit.apply"))),
        h(Facts, { rows: [[t("drafts.author"), draft.author], [t("audit.time"), moment(draft.time)],
            [t("drafts.base"), t("overview.versions", { policy: draft.base.policy, inventory: draft.base.inventory })]] }),
        session.value?.four_eyes && isMine(draft) && p({ class: "notice" }, t("drafts.foureyes")),
        may.try() ? [h(Meaning, { key: "m", state }), h(Simulate, { key: "s", body: bodyOf(draft) })] : p({ class: "muted" }, t("edit.readonly")),
        doing === "apply" && h(Apply, { draft, onClose: () => setDoing("") }), doing === "reject" && h(Reject, { draft, onClose: () => setDoing("") }));
}

function One({ id }) {
    const [state, setState] = useState({});
    useEffect(() => {
        get(`/policy/drafts/${segment(id)}`).then((draft) => setState({ draft }), (error) => setState({ error }));
    }, [id]);
    if (state.error) return h(Refusal, { error: state.error });
    return state.draft ? h(Review, { draft: state.draft }) : h(Loading);
}

const columns = () => [
    { key: "comment", label: t("versions.comment"), sort: (d) => d.comment, cell: (d) => a({ href: href("policy", ["drafts", d.id]) }, d.comment || d.id) },
    { key: "author", label: t("drafts.author"), sort: (d) => d.author, cell: (d) => d.author },
    { key: "time", label: t("audit.time"), sort: (d) => d.time, cell: (d) => moment(d.time) },
    { key: "base", label: t("drafts.base"), cell: (d) => t("overview.versions", { policy: number(d.base.policy), inventory: number(d.base.inventory) }) },
];

export function Drafts() {
    const id = route.value.rest[1];
    const drafts = useAnswer("/policy/drafts", { list: true, topics: ["audit", "policy"], every: 10_000 });
    if (id) return h(One, { key: id, id });
    return div({ class: "stack" }, p({ class: "muted" }, session.value?.four_eyes ? t("drafts.note.foureyes") : t("drafts.note")),
        h(Card, null, h(Answer, { of: drafts }, (list) => list.length === 0 ? h(Empty, null, t("drafts.none"), " ", span(null))
            : h(Table, { rows: list, columns: columns(), id: (d) => d.id, label: t("policy.drafts"), onOpen: (d) => go("policy", ["drafts", d.id]) }))));
}
