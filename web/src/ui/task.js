// A form in a dialog: does what it says, and tells what was refused.
import { useState } from "preact/hooks";
import { h, div, form } from "./h.js";
import { Action, Refusal } from "./bits.js";
import { Dialog, say } from "./dialog.js";
import { t } from "../i18n/index.js";

/** @param {{title: string, verb: string, tone?: string, done: string, submit: (fields: FormData) => Promise<any>, onClose: () => void, children: any}} props */
export function Task({ title, verb, tone = "primary", done, submit, onClose, children }) {
    const [error, setError] = useState(null), [busy, setBusy] = useState(false);
    const onSubmit = async (e) => {
        e.preventDefault();
        setBusy(true);
        setError(null);
        try {
            await submit(new FormData(e.target));
            say(done);
            onClose();
        } catch (problem) {
            setError(problem);
            setBusy(false);
        }
    };
    return h(Dialog, { title, onClose }, form({ onSubmit }, children, h(Refusal, { error }),
        div({ class: "buttons" }, h(Action, { tone, type: "submit", disabled: busy }, verb), h(Action, { onClick: onClose }, t("cancel")))));
}
