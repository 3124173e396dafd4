// Who may log in, as what and where from; tokens; and one's own password.
import { useState } from "preact/hooks";
import { h, div, form, input, label, option, p, select } from "../ui/h.js";
import { Action, Answer, Badge, Card, Labels, Refusal } from "../ui/bits.js";
import { Table } from "../ui/table.js";
import { Task } from "../ui/task.js";
import { ask, post, segment, session } from "../api.js";
import { useAnswer } from "../live.js";
import { ago, moment } from "../format.js";
import { t, term } from "../i18n/index.js";
import { may } from "../session.js";
import { ROLES, scopeOf, scopeText } from "./rights.js";
import { Tokens } from "./tokens.js";

const PASSWORD = { type: "password", required: true, minLength: 12, maxLength: 256, autocomplete: "new-password" };

const Rights = ({ account }) => [
    label({ key: "role" }, t("accounts.role"), select({ name: "role", defaultValue: account?.role ?? "viewer" },
        ROLES.map((r) => option({ key: r, value: r, selected: r === (account?.role ?? "viewer") }, term("role", r))))),
    label({ key: "scope" }, t("accounts.scope"), input({ name: "scope", defaultValue: scopeText(account?.scope), pattern: "[^=]+=.+", placeholder: "site=tokyo", spellcheck: false }))];

const rightsOf = (fields) => ({ role: fields.get("role"), scope: scopeOf(String(fields.get("scope"))) });

function Doing({ what, account, onClose, reload }) {
    const path = account && `/accounts/${segment(account.name)}`, name = account?.name;
    const close = () => {
        onClose();
        reload();
    };
    if (what === "add") return h(Task, { title: t("accounts.add"), verb: t("accounts.add.do"), done: t("accounts.added"), onClose: close,
        submit: (f) => post("/accounts", { name: String(f.get("name")).trim(), password: String(f.get("password")), ...rightsOf(f) }) },
    label(null, t("login.name"), input({ name: "name", required: true, maxLength: 63, pattern: "[A-Za-z0-9_.\\-]+", autocomplete: "off", autofocus: true })),
    h(Rights, {}), label(null, t("accounts.first"), input({ name: "password", ...PASSWORD })));
    if (what === "change") return h(Task, { title: t("accounts.change.title", { name }), verb: t("accounts.change.do"), done: t("accounts.changed", { name }), onClose: close,
        submit: (f) => ask("PUT", path, { body: { ...rightsOf(f), disabled: f.get("disabled") === "on" } }) },
    h(Rights, { account }), label({ class: "inline" }, input({ name: "disabled", type: "checkbox", defaultChecked: account.disabled }), t("accounts.disabled.note")));
    if (what === "password") return h(Task, { title: t("accounts.password.title", { name }), verb: t("accounts.change.do"), done: t("accounts.changed", { name }), onClose: close,
        submit: (f) => post(`${path}/password`, { password: String(f.get("password")) }) },
    label(null, t("accounts.new"), input({ name: "password", ...PASSWORD, autofocus: true })), p({ class: "muted" }, t("accounts.password.note")));
    return h(Task, { title: t("accounts.remove.title", { name }), verb: t("accounts.remove"), tone: "danger", done: t("accounts.removed", { name }), onClose: close,
        submit: () => ask("DELETE", path) }, p(null, t("accounts.remove.note")));
}

const columns = (start) => [
    { key: "name", label: t("login.name"), sort: (x) => x.name, cell: (x) => x.name },
    { key: "role", label: t("accounts.role"), sort: (x) => x.role, cell: (x) => term("role", x.role) },
    { key: "scope", label: t("accounts.scope.head"), cell: (x) => h(Labels, { labels: x.scope }) },
    { key: "state", label: t("accounts.state"), sort: (x) => Number(x.disabled), cell: (x) => x.disabled
        ? h(Badge, { tone: "bad", value: t("accounts.disabled") }) : h(Badge, { tone: "good", value: t("accounts.enabled") }) },
    { key: "created", label: t("accounts.created"), sort: (x) => x.created, cell: (x) => moment(x.created) },
    { key: "changed", label: t("accounts.changed.head"), sort: (x) => x.changed, cell: (x) => moment(x.changed) },
    ...(may.admin() ? [{ key: "do", label: t("incidents.do"), cell: (x) => x.name === session.value.account ? t("accounts.you") : div({ class: "buttons" },
        h(Action, { onClick: () => start("change", x) }, t("accounts.change")), h(Action, { onClick: () => start("password", x) }, t("accounts.password")),
        h(Action, { tone: "danger", onClick: () => start("remove", x) }, t("accounts.remove"))) }] : []),
];

function Accounts() {
    const accounts = useAnswer("/accounts", { list: true, topics: ["audit"] });
    const [doing, setDoing] = useState(null);
    return h(Card, { title: t("accounts.all"), action: may.admin() && h(Action, { tone: "primary", onClick: () => setDoing({ what: "add" }) }, t("accounts.add")) },
        h(Answer, { of: accounts }, (list) => h(Table, { rows: list, columns: columns((what, account) => setDoing({ what, account })), id: (x) => x.name, label: t("accounts.all") })),
        doing && h(Doing, { ...doing, reload: accounts.reload, onClose: () => setDoing(null) }));
}

function Sessions() {
    const sessions = useAnswer("/sessions", { list: true, topics: ["audit"] });
    const rows = [
        { key: "account", label: t("login.name"), sort: (x) => x.account, cell: (x) => x.account },
        { key: "address", label: t("enforcers.address"), class: "mono", sort: (x) => x.address, cell: (x) => x.address },
        { key: "created", label: t("accounts.since"), sort: (x) => x.created, cell: (x) => moment(x.created) },
        { key: "seen", label: t("flows.last"), sort: (x) => x.seen, cell: (x) => ago(x.seen) }];
    return h(Card, { title: t("accounts.sessions") }, h(Answer, { of: sessions }, (list) => h(Table, { rows: list, columns: rows, id: (x) => list.indexOf(x), label: t("accounts.sessions") })));
}

function Mine() {
    const [error, setError] = useState(null);
    const submit = async (e) => {
        e.preventDefault();
        const fields = new FormData(e.target);
        if (fields.get("new") !== fields.get("again")) return setError({ status: 422, message: t("accounts.differ") });
        try {
            await post("/me/password", { old: String(fields.get("old")), new: String(fields.get("new")) });
            session.value = null; // All its sessions have ended; this one, too.
        } catch (problem) {
            setError(problem);
        }
        return undefined;
    };
    return h(Card, { title: t("accounts.mine") }, form({ class: "narrow", onSubmit: submit },
        label(null, t("accounts.old"), input({ name: "old", type: "password", required: true, autocomplete: "current-password" })),
        label(null, t("accounts.new"), input({ name: "new", ...PASSWORD })),
        label(null, t("accounts.again"), input({ name: "again", ...PASSWORD })),
        p({ class: "muted" }, t("accounts.mine.note")), h(Refusal, { error }),
        div({ class: "buttons" }, h(Action, { tone: "primary", type: "submit" }, t("accounts.change.do")))));
}

export default function AccountsView() {
    return div({ class: "stack" }, may.audit() && may.whole() && [h(Accounts, { key: "a" }), h(Tokens, { key: "t" }), h(Sessions, { key: "s" })], session.value?.account && h(Mine));
}
