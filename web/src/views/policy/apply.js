// Putting a checked text in force, with the clock that takes it back.
import { useState } from "preact/hooks";
import { h, div, form, input, label, p } from "../../ui/h.js";
import { Action, Refusal } from "../../ui/bits.js";
import { Dialog, say } from "../../ui/dialog.js";
import { DiffText } from "../../ui/diff.js";
import { ask } from "../../api.js";
import { phrase, t } from "../../i18n/index.js";

export const onlyTestsFail = (check) => Boolean(check.failed) && check.findings
    .every((f) => f.severity !== "error" || f.code === "E-TEST" || f.code === "E-PROOF");

/** What was shown is what is applied: the versions that the check compared with go along. */
function bodyOf(fields, files, check) {
    const force = fields.get("force");
    return {
        files, comment: String(fields.get("comment")), confirm_s: Math.round(Number(fields.get("confirm")) * 60),
        ...(check.base ? { base: check.base } : {}), ...(force ? { force: String(force) } : {}),
    };
}

export function Apply({ files, etag, check, onClose, onDone }) {
    const [error, setError] = useState(null);
    const failed = onlyTestsFail(check);
    const submit = async (e) => {
        e.preventDefault();
        try {
            const { data } = await ask("PUT", "/policy", { body: bodyOf(new FormData(e.target), files, check), etag });
            say(t("apply.done", { revision: data.revision }));
            onDone();
            onClose();
        } catch (problem) {
            setError(problem);
        }
    };
    return h(Dialog, { title: t("apply.title"), onClose, wide: true }, form({ onSubmit: submit },
        check.text && h(DiffText, { text: check.text }),
        label(null, t("apply.comment"), input({ name: "comment", maxLength: 400, autofocus: true })),
        label(null, t("apply.confirm"), input({ name: "confirm", type: "number", min: 0, max: 1440, defaultValue: 5 })),
        p({ class: "muted" }, t("apply.confirm.note")),
        failed && [p({ key: "p", class: "refusal" }, phrase(check.error.message)),
            label({ key: "l" }, t("apply.force"), input({ name: "force", required: true, maxLength: 400 }))],
        h(Refusal, { error }),
        div({ class: "buttons" }, h(Action, { tone: failed ? "danger" : "primary", type: "submit" }, t("apply.do")),
            h(Action, { onClick: onClose }, t("cancel")))));
}
