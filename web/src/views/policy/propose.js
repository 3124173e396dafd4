// Proposing a checked text: somebody else looks at it and applies it.
import { useState } from "preact/hooks";
import { h, div, form, input, label, p } from "../../ui/h.js";
import { Action, Refusal } from "../../ui/bits.js";
import { Dialog, say } from "../../ui/dialog.js";
import { DiffText } from "../../ui/diff.js";
import { post } from "../../api.js";
import { go } from "../../router.js";
import { t } from "../../i18n/index.js";

export function Propose({ files, check, onClose }) {
    const [error, setError] = useState(null);
    const submit = async (e) => {
        e.preventDefault();
        try {
            const draft = await post("/policy/drafts", { files, comment: String(new FormData(e.target).get("comment")).trim() });
            say(t("drafts.done"));
            go("policy", ["drafts", draft.id]);
        } catch (problem) {
            setError(problem);
        }
    };
    return h(Dialog, { title: t("drafts.propose.title"), onClose, wide: true }, form({ onSubmit: submit },
        check.text && h(DiffText, { text: check.text }), p({ class: "muted" }, t("drafts.propose.note")),
        label(null, t("apply.comment"), input({ name: "comment", maxLength: 400, required: true, autofocus: true })),
        h(Refusal, { error }),
        div({ class: "buttons" }, h(Action, { tone: "primary", type: "submit" }, t("drafts.propose")), h(Action, { onClick: onClose }, t("cancel")))));
}
