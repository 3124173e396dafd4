// The door.
import { useState } from "preact/hooks";
import { h, button, div, form, h1, input, label, main, p } from "../ui/h.js";
import { Mark } from "../ui/icons.js";
import { Refusal } from "../ui/bits.js";
import { Preferences } from "../preferences.js";
import { logIn } from "../session.js";
import { t } from "../i18n/index.js";

export function Login() {
    const [error, setError] = useState(null);
    const [busy, setBusy] = useState(false);
    const submit = async (e) => {
        e.preventDefault();
        const fields = new FormData(e.target);
        setBusy(true);
        setError(null);
        try {
            await logIn(String(fields.get("name")), String(fields.get("password")));
        } catch (problem) {
            setError(problem);
            setBusy(false);
        }
    };
    return main({ class: "door" },
        form({ class: "card door-card", onSubmit: submit },
            div({ class: "brand" }, h(Mark, { size: 34 }), h1(null, "Suimitsu")),
            p({ class: "muted" }, t("login.lead")),
            label(null, t("login.name"),
                input({ name: "name", autocomplete: "username", required: true, autofocus: true, maxLength: 64 })),
            label(null, t("login.password"),
                input({ name: "password", type: "password", autocomplete: "current-password", required: true })),
            h(Refusal, { error }),
            button({ class: "action primary", disabled: busy }, t("login.enter"))),
        h(Preferences));
}
