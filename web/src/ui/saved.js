// Views that somebody has saved: names for addresses, kept with the account.
import { useRef } from "preact/hooks";
import { h, a, button, details, div, form, input, label, li, span, summary, ul } from "./h.js";
import { tell } from "./dialog.js";
import { ask, session } from "../api.js";
import { has } from "../features.js";
import { useAnswer } from "../live.js";
import { t } from "../i18n/index.js";

const MAX = 50;

/** What a saved address may be: one of the console itself. */
export const isOwn = (address) => /^#\/[\w-]/.test(String(address));

export function Saved({ view }) {
    const box = useRef(null);
    const answer = useAnswer(session.value?.account && has("/console/views") ? "/console/views" : null, { every: 0 });
    if (!answer.data) return null;
    const all = answer.data.views ?? [], mine = all.filter((v) => isOwn(v.address) && v.address.slice(2).split(/[/?]/)[0] === view);
    const put = async (views) => {
        try {
            await ask("PUT", "/console/views", { body: { views } });
        } catch (e) {
            tell(e);
        }
        answer.reload();
    };
    const save = (e) => {
        e.preventDefault();
        const name = String(new FormData(e.target).get("name")).trim();
        if (!name) return;
        e.target.reset();
        put([...all.filter((v) => v.name !== name), { name, address: location.hash }].slice(-MAX));
    };
    return details({ class: "menu", ref: box, onKeyDown: (e) => e.key === "Escape" && (box.current.open = false) },
        summary({ class: "action" }, t("saved.title", { n: mine.length })),
        div({ class: "menu-body" },
            ul({ class: "lines" }, mine.map((v) => li({ key: v.name },
                a({ class: "grow", href: v.address, onClick: () => (box.current.open = false) }, v.name),
                button({ type: "button", class: "plain", "aria-label": t("saved.remove", { name: v.name }),
                    onClick: () => put(all.filter((x) => x !== v)) }, "×")))),
            mine.length === 0 && span({ class: "muted" }, t("saved.none")),
            form({ class: "buttons", onSubmit: save }, label({ class: "inline" }, span({ class: "hidden" }, t("saved.name")),
                input({ name: "name", maxLength: 60, required: true, placeholder: t("saved.name"), autocomplete: "off" })),
            button({ class: "action" }, t("saved.do")))));
}
