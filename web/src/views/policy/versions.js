// Versions, what changed in meaning between them, and the way back.
import { useState } from "preact/hooks";
import { h, div, form, input, label, p } from "../../ui/h.js";
import { Action, Answer, Card, Refusal } from "../../ui/bits.js";
import { Dialog, say } from "../../ui/dialog.js";
import { DiffText } from "../../ui/diff.js";
import { Table } from "../../ui/table.js";
import { post, withQuery } from "../../api.js";
import { useAnswer } from "../../live.js";
import { route, setQuery } from "../../router.js";
import { moment, number } from "../../format.js";
import { t } from "../../i18n/index.js";
import { may } from "../../session.js";

function Rollback({ version, onClose, done }) {
    const [error, setError] = useState(null);
    const submit = async (e) => {
        e.preventDefault();
        const fields = new FormData(e.target), force = String(fields.get("force") ?? "").trim();
        try {
            await post("/policy/rollback", { version, confirm_s: Math.round(Number(fields.get("confirm")) * 60),
                ...(force ? { force } : {}) });
            say(t("versions.rolled", { n: version }));
            done();
            onClose();
        } catch (problem) {
            setError(problem);
        }
    };
    return h(Dialog, { title: t("versions.rollback", { n: version }), onClose }, form({ onSubmit: submit },
        p({ class: "muted" }, t("versions.rollback.note")),
        label(null, t("apply.confirm"), input({ name: "confirm", type: "number", min: 0, max: 1440, defaultValue: 5 })),
        h(Refusal, { error }),
        error?.failed && label(null, t("apply.force"), input({ name: "force", maxLength: 400 })),
        div({ class: "buttons" }, h(Action, { tone: "danger", type: "submit" }, t("versions.do")),
            h(Action, { onClick: onClose }, t("cancel")))));
}

function Changes({ from, to }) {
    const diff = useAnswer(withQuery("/policy/diff", { from, to }), { every: 0 });
    return h(Card, { title: t("versions.changes", { from, to: to || t("versions.now") }) },
        h(Answer, { of: diff }, (data) => h(DiffText, { text: data.diff_text })));
}

export function Versions() {
    const { from, to } = route.value.query;
    const history = useAnswer("/policy/history", { list: true, topics: ["policy"] });
    const [back, setBack] = useState(0);
    const columns = [
        { key: "version", label: t("versions.version"), class: "num", sort: (v) => v.version, cell: (v) => number(v.version) },
        { key: "time", label: t("audit.time"), sort: (v) => v.version, cell: (v) => moment(v.time) },
        { key: "actor", label: t("audit.actor"), sort: (v) => v.actor, cell: (v) => v.actor },
        { key: "comment", label: t("versions.comment"), cell: (v) => v.comment },
        { key: "do", label: t("incidents.do"), cell: (v) => div({ class: "buttons" },
            h(Action, { onClick: () => setQuery({ from: v.version, to: "" }, false) }, t("versions.since")),
            may.apply() && h(Action, { onClick: () => setBack(v.version) }, t("versions.back"))) },
    ];
    return div({ class: "stack" },
        h(Card, null, h(Answer, { of: history }, (list) => h(Table, { rows: list, columns, id: (v) => v.version,
            label: t("policy.versions"), empty: t("versions.none") }))),
        from && h(Changes, { key: `${from} ${to}`, from, to }),
        back > 0 && h(Rollback, { version: back, done: history.reload, onClose: () => setBack(0) }));
}
