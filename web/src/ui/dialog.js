// A question that must be answered first, and short messages that go by themselves.
import { useEffect, useRef } from "preact/hooks";
import { signal } from "@preact/signals";
import { h, button, dialog, div, h2 } from "./h.js";
import { Icon } from "./icons.js";
import { phrase, t } from "../i18n/index.js";

/** The browser's own modal dialog: it keeps the focus inside and gives it back. */
export function Dialog({ title, onClose, children, wide }) {
    const ref = useRef(null);
    useEffect(() => {
        const element = ref.current;
        if (!element.open) element.showModal();
        return () => element.close();
    }, []);
    return dialog({
        ref, class: wide ? "wide" : "", "aria-label": title,
        onCancel: (e) => {
            e.preventDefault();
            onClose();
        },
        onClick: (e) => e.target === ref.current && onClose(),
    }, div({ class: "dialog-body" },
        div({ class: "dialog-head" }, h2(null, title),
            button({ type: "button", class: "plain", "aria-label": t("close"), onClick: onClose },
                h(Icon, { name: "close" }))),
        children));
}

const notes = signal([]);
let count = 0;

/** @param {string} text @param {"good" | "bad"} [tone] */
export function say(text, tone = "good") {
    const note = { text, tone, key: ++count };
    notes.value = [...notes.value, note];
    setTimeout(() => {
        notes.value = notes.value.filter((n) => n !== note);
    }, 6000);
}

/** What the controller has refused. */
export const tell = (error) => say(phrase(error.message), "bad");

export const Notes = () => div({ class: "notes", role: "status", "aria-live": "polite" },
    notes.value.map((n) => div({ key: n.key, class: `note ${n.tone}` }, n.text)));
