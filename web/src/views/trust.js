// Quarantine and release, with the reason that goes to the audit.
import { useState } from "preact/hooks";
import { h, button, div, form, input, label, p } from "../ui/h.js";
import { Action, Refusal } from "../ui/bits.js";
import { Dialog, say } from "../ui/dialog.js";
import { post, segment } from "../api.js";
import { may } from "../session.js";
import { t } from "../i18n/index.js";

const DO = { quarantine: "trust.quarantine", release: "trust.release" };

function Ask({ name, verb, onClose, done }) {
    const [error, setError] = useState(null);
    const submit = async (e) => {
        e.preventDefault();
        try {
            await post(`/endpoints/${segment(name)}/${verb}`, { reason: String(new FormData(e.target).get("reason")) });
            say(t(`trust.${verb}.done`, { name }));
            done();
            onClose();
        } catch (problem) {
            setError(problem);
        }
    };
    return h(Dialog, { title: t(`trust.${verb}.title`, { name }), onClose },
        form({ onSubmit: submit }, p({ class: "muted" }, t(`trust.${verb}.note`)),
            label(null, t("trust.reason"), input({ name: "reason", required: true, maxLength: 400, autofocus: true })),
            h(Refusal, { error }),
            div({ class: "buttons" },
                button({ class: `action ${verb === "quarantine" ? "danger" : "primary"}` }, t(DO[verb])),
                h(Action, { onClick: onClose }, t("cancel")))));
}

export function TrustButtons({ name, trust, done }) {
    const [verb, setVerb] = useState(null);
    if (!may.operate()) return null;
    const wanted = trust === "black" ? "release" : "quarantine";
    return [h(Action, { key: "button", tone: wanted === "quarantine" ? "danger" : "", onClick: () => setVerb(wanted) }, t(DO[wanted])),
        verb && h(Ask, { key: "ask", name, verb, done, onClose: () => setVerb(null) })];
}
