// The frame around every view: navigation, what waits for confirmation, and the command line.
import { useEffect, useRef, useState } from "preact/hooks";
import { h, a, button, code, dd, div, dl, dt, footer, h1, header, kbd, li, main, nav, span, ul } from "./ui/h.js";
import { Icon, Mark } from "./ui/icons.js";
import { Loading, Refusal } from "./ui/bits.js";
import { Dialog, Notes, say } from "./ui/dialog.js";
import { session } from "./api.js";
import { stream, useAnswer } from "./live.js";
import { href, route } from "./router.js";
import { commandOf } from "./command.js";
import { t, term } from "./i18n/index.js";
import { helpOpen, onKey } from "./keys.js";
import { Preferences } from "./preferences.js";
import { ConfirmClock } from "./confirm.js";
import { MomentBar, MomentButton } from "./moment.js";
import { logOut, may } from "./session.js";
import { Login } from "./views/login.js";
import { VIEWS } from "./views/index.js";

const Navigation = ({ status }) => nav({ class: "rail", "aria-label": t("nav.label") },
    a({ class: "brand", href: href("overview") }, h(Mark), span(null, "Suimitsu")),
    ul(null, Object.keys(VIEWS).filter((name) => !VIEWS[name].aside && (name !== "audit" || may.audit())).map((name) => li({ key: name },
        a({
            href: href(name), title: t(`nav.${name}`),
            "aria-current": route.value.view === name ? "page" : undefined,
        }, h(Icon, { name }), span({ class: "rail-text" }, t(`nav.${name}`)),
        name === "incidents" && status?.quarantined > 0 && span({ class: "count" }, status.quarantined))))),
    div({ class: "rail-foot" }, span({ class: `stream ${stream.value}`, title: t(`stream.${stream.value}`) }),
        span({ class: "rail-text" }, status ? t("foot", { version: status.version, revision: status.revision }) : "")));

const TopBar = ({ title }) => header({ class: "top" },
    h1({ tabIndex: -1, id: "title" }, title),
    h(MomentButton), h(Preferences),
    button({ type: "button", class: "plain", "aria-label": t("keys.title"), title: t("keys.title"),
        onClick: () => (helpOpen.value = true) }, h(Icon, { name: "help" })),
    span({ class: "who" }, session.value.account || session.value.actor, span({ class: "muted" }, term("role", session.value.role))),
    button({ type: "button", class: "plain", "aria-label": t("logout"), title: t("logout"), onClick: logOut },
        h(Icon, { name: "out" })));

function CommandLine() {
    const text = commandOf(route.value);
    if (!text) return null;
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(text);
            say(t("copied"));
        } catch (e) {
            say(String(e.message), "bad");
        }
    };
    return footer({ class: "command" }, span({ class: "muted", "aria-hidden": "true" }, "$"), code(null, text),
        button({ type: "button", class: "plain", "aria-label": t("copy"), title: t("copy"), onClick: copy },
            h(Icon, { name: "copy", size: 16 })));
}

const Help = () => h(Dialog, { title: t("keys.title"), onClose: () => (helpOpen.value = false) },
    dl({ class: "keys" },
        Object.entries(VIEWS).map(([name, view]) =>
            div({ key: name }, dt(null, kbd(null, "g"), " ", kbd(null, view.key)), dd(null, t(`nav.${name}`)))),
        [["/", t("keys.filter")], ["j k", t("keys.rows")], ["T", t("theme")], ["?", t("keys.title")]].map(
            ([key, text]) => div({ key }, dt(null, key.split(" ").map((k) => kbd({ key: k }, k))), dd(null, text)))));

/** The view of the address, loaded when it is needed. */
function View({ name }) {
    const [loaded, setLoaded] = useState(null);
    const [error, setError] = useState(null);
    const first = useRef(true);
    useEffect(() => {
        let alive = true;
        setError(null);
        VIEWS[name].load().then((m) => alive && setLoaded({ name, View: m.default }),
            (e) => alive && setError(e));
        if (!first.current) document.getElementById("title")?.focus();
        first.current = false;
        return () => (alive = false);
    }, [name]);
    if (error) return h(Refusal, { error });
    return loaded?.name === name ? h(loaded.View, { key: name }) : h(Loading);
}

function Frame() {
    const status = useAnswer("/status", { topics: ["policy", "trust", "enforcers"], every: 5000 });
    const name = route.value.view in VIEWS ? route.value.view : "overview";
    const title = t(`nav.${name}`);
    useEffect(() => {
        document.title = `${title} · Suimitsu`;
    }, [title]);
    return div({ class: "frame" },
        a({ class: "skip", href: "#content", onClick: (e) => {
            e.preventDefault();
            document.getElementById("content").focus();
        } }, t("skip")),
        h(Navigation, { status: status.data }),
        div({ class: "page" }, h(TopBar, { title }),
            h(ConfirmClock, { status: status.data, reload: status.reload }),
            h(MomentBar),
            status.error && h(Refusal, { error: status.error }),
            main({ id: "content", class: `content view-${name}`, tabIndex: -1 }, h(View, { name })),
            h(CommandLine)),
        helpOpen.value && h(Help), h(Notes));
}

export function App() {
    useEffect(() => {
        addEventListener("keydown", onKey);
        return () => removeEventListener("keydown", onKey);
    }, []);
    if (session.value === undefined) return h(Loading);
    return session.value === null ? h(Login) : h(Frame);
}
