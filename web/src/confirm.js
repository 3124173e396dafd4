// The clock of a change that takes itself back unless somebody confirms it.
import { useEffect, useState } from "preact/hooks";
import { h, div, span, strong } from "./ui/h.js";
import { Action } from "./ui/bits.js";
import { Icon } from "./ui/icons.js";
import { say, tell } from "./ui/dialog.js";
import { post } from "./api.js";
import { may } from "./session.js";
import { countdown } from "./format.js";
import { t } from "./i18n/index.js";

function useNow(active) {
    const [now, setNow] = useState(Date.now());
    useEffect(() => {
        if (!active) return undefined;
        const timer = setInterval(() => setNow(Date.now()), 500);
        return () => clearInterval(timer);
    }, [active]);
    return now;
}

export function ConfirmClock({ status, reload }) {
    const until = status?.confirm_by ? Date.parse(status.confirm_by) : NaN;
    const waits = !Number.isNaN(until);
    const now = useNow(waits);
    if (!waits) return null;
    const confirm = async () => {
        try {
            await post("/policy/confirm");
            say(t("confirm.done"));
        } catch (e) {
            tell(e);
        }
        reload();
    };
    return div({ class: "confirm-clock", role: "alert" }, h(Icon, { name: "clock" }),
        strong(null, countdown((until - now) / 1000)), span(null, t("confirm.waits")),
        may.apply() && h(Action, { tone: "primary", icon: "check", onClick: confirm }, t("confirm.keep")));
}
