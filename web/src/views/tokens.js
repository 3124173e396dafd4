// Tokens: of agents that enrol, and of programs that ask the API.  Each is shown once, when it is made.
import { useState } from "preact/hooks";
import { h, datalist, div, input, label, option, p, pre, select } from "../ui/h.js";
import { Action, Answer, Badge, Card, Labels } from "../ui/bits.js";
import { Dialog, say } from "../ui/dialog.js";
import { Table } from "../ui/table.js";
import { Task } from "../ui/task.js";
import { ask, post, segment } from "../api.js";
import { useAnswer } from "../live.js";
import { moment } from "../format.js";
import { t, term } from "../i18n/index.js";
import { may } from "../session.js";
import { ROLES, scopeOf } from "./rights.js";

const HOUR = 3600, DAY = 24 * HOUR;
const VALID = { enroll: [HOUR, 8 * HOUR, DAY], api: [7 * DAY, 30 * DAY, 90 * DAY] };
const lasting = (s) => (s < DAY ? t("tokens.hours", { n: s / HOUR }) : t("tokens.days", { n: s / DAY }));

const whose = (x) => x.endpoint ?? x.name;

const Lasts = ({ kind }) => label(null, t("tokens.valid"), select({ name: "valid" }, VALID[kind].map((s) => option({ key: s, value: s }, lasting(s)))));

function Enroll(props) {
    const endpoints = useAnswer("/endpoints", { list: true, every: 0 });
    return h(Task, { title: t("tokens.enroll"), verb: t("tokens.make"), done: t("tokens.made"), ...props,
        submit: (f) => props.make({ kind: "enroll", endpoint: String(f.get("endpoint")).trim(), valid_s: Number(f.get("valid")) }) },
    label(null, t("endpoints.name"), input({ name: "endpoint", list: "token-endpoints", required: true, maxLength: 63, spellcheck: false, autofocus: true })),
    datalist({ id: "token-endpoints" }, (endpoints.data ?? []).map((e) => option({ key: e.name, value: e.name }))), h(Lasts, { kind: "enroll" }));
}

const Api = (props) => h(Task, { title: t("tokens.api"), verb: t("tokens.make"), done: t("tokens.made"), ...props,
    submit: (f) => props.make({ kind: "api", name: String(f.get("name")).trim(), role: f.get("role"), scope: scopeOf(String(f.get("scope"))), valid_s: Number(f.get("valid")) }) },
label(null, t("login.name"), input({ name: "name", required: true, maxLength: 63, pattern: "[A-Za-z0-9_.\\-]+", autocomplete: "off", autofocus: true })),
label(null, t("accounts.role"), select({ name: "role" }, [...ROLES, "scraper"].map((r) => option({ key: r, value: r }, term("role", r))))),
label(null, t("accounts.scope"), input({ name: "scope", pattern: "[^=]+=.+", placeholder: "site=tokyo", spellcheck: false })), h(Lasts, { kind: "api" }));

/** Nothing keeps it but this dialog. */
function Shown({ made, onClose }) {
    const copy = () => navigator.clipboard.writeText(made.token).then(() => say(t("copied")), () => say(t("tokens.nocopy"), "bad"));
    return h(Dialog, { title: t("tokens.once.title"), onClose, wide: true },
        pre({ class: "quote token" }, made.token), p({ class: "muted" }, t("tokens.once")),
        made.kind === "enroll" && !made.known_endpoint && p({ class: "notice" }, t("tokens.unknown")),
        div({ class: "buttons" }, h(Action, { tone: "primary", onClick: copy }, t("tokens.copy")), h(Action, { onClick: onClose }, t("close"))));
}

const Revoke = ({ token, onClose }) => h(Task, { title: t("tokens.revoke.title", { name: whose(token) }), verb: t("tokens.revoke"), tone: "danger",
    done: t("tokens.revoked"), onClose, submit: () => ask("DELETE", `/tokens/${segment(token.id)}`) }, p(null, t("tokens.revoke.note")));

const State = ({ token }) => token.used ? h(Badge, { value: t("tokens.used") })
    : Date.parse(token.expires) < Date.now() ? h(Badge, { tone: "bad", value: t("tokens.expired") }) : h(Badge, { tone: "good", value: t("tokens.usable") });

const columns = (revoke) => [
    { key: "kind", label: t("tokens.kind"), sort: (x) => x.kind, cell: (x) => term("token", x.kind) },
    { key: "for", label: t("tokens.for"), sort: whose, cell: whose },
    { key: "role", label: t("accounts.role"), sort: (x) => x.role ?? "", cell: (x) => (x.role ? term("role", x.role) : "") },
    { key: "scope", label: t("accounts.scope.head"), cell: (x) => h(Labels, { labels: x.scope }) },
    { key: "state", label: t("accounts.state"), sort: (x) => Number(Boolean(x.used)), cell: (x) => h(State, { token: x }) },
    { key: "created", label: t("accounts.created"), sort: (x) => x.created, cell: (x) => moment(x.created) },
    { key: "expires", label: t("tokens.expires"), sort: (x) => x.expires, cell: (x) => moment(x.expires) },
    { key: "id", label: "ID", class: "mono", cell: (x) => x.id },
    ...(may.admin() ? [{ key: "do", label: t("incidents.do"), cell: (x) => h(Action, { tone: "danger", onClick: () => revoke(x) }, t("tokens.revoke")) }] : []),
];

export function Tokens() {
    const tokens = useAnswer("/tokens", { list: true, topics: ["audit"] });
    const [doing, setDoing] = useState(""), [made, setMade] = useState(null), [revoking, setRevoking] = useState(null);
    const make = async (body) => setMade({ ...await post("/tokens", body), kind: body.kind });
    const close = () => {
        setDoing("");
        setRevoking(null);
        tokens.reload();
    };
    return h(Card, { title: t("tokens.all"), action: may.admin() && div({ class: "buttons" },
        h(Action, { onClick: () => setDoing("enroll") }, t("tokens.enroll")), h(Action, { onClick: () => setDoing("api") }, t("tokens.api"))) },
    h(Answer, { of: tokens }, (list) => h(Table, { rows: list, columns: columns(setRevoking), id: (x) => x.id, label: t("tokens.all"), empty: t("tokens.none") })),
    doing === "enroll" && h(Enroll, { make, onClose: close }), doing === "api" && h(Api, { make, onClose: close }),
    revoking && h(Revoke, { token: revoking, onClose: close }), made && h(Shown, { made, onClose: () => setMade(null) }));
}
