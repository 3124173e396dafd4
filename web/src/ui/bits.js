// Small parts that every view is made of.
import { h, a, button, dd, div, dl, dt, h2, li, p, section, span, strong, ul } from "./h.js";
import { Icon } from "./icons.js";
import { phrase, t, term } from "../i18n/index.js";
import { href } from "../router.js";
import { number } from "../format.js";

const VERDICT_SIGN = { "draft-deny": "✕", "draft-report": "!", "draft-allow": "✓", unused: "∅", wider: "◌", allow: "✓", deny: "✕", "would-deny": "!", seen: "○", "seen-deny": "⊘" };

/** A verdict by sign, word and colour. */
export const Verdict = ({ value }) => span({ class: `badge v-${value}` },
    span({ "aria-hidden": "true" }, VERDICT_SIGN[value] ?? "?"), term("verdict", value));

/** @param {{family?: string, value: string, tone?: string}} props */
export const Badge = ({ family, value, tone }) =>
    span({ class: `badge tone-${tone ?? "plain"}` }, family ? term(family, value) : value);

const TRUST_TONE = { white: "good", grey: "warn", black: "bad" };
export const Trust = ({ value }) => h(Badge, { family: "trust", value, tone: TRUST_TONE[value] });

const MODE_TONE = { enforce: "good", test: "warn", learn: "plain" };
export const Mode = ({ value }) => h(Badge, { family: "mode", value, tone: MODE_TONE[value] });

const STATE_TONE = { ACTIVE: "good", INACTIVE: "bad", TIMEOUT: "warn" };
export const State = ({ value }) => h(Badge, { family: "state", value, tone: STATE_TONE[value] });

const SEVERITY_TONE = { error: "bad", warning: "warn", notice: "plain" };
export const Severity = ({ value }) =>
    h(Badge, { family: "severity", value, tone: SEVERITY_TONE[value] });

/** The name of an endpoint, as a way to it; an address where it has no name. */
export const Name = ({ name, address }) => name
    ? a({ class: "name", href: href("endpoints", [name]) }, name)
    : span({ class: "name foreign" }, address || t("outside"));

/** label=value */
export const Label = ({ name, value }) => span({ class: "label" }, span(null, name), value);

export const Labels = ({ labels }) => span({ class: "labels" },
    Object.entries(labels ?? {}).map(([name, value]) => h(Label, { key: name, name, value })));

export const Card = ({ title, action, children, class: extra = "", level = h2 }) =>
    section({ class: `card ${extra}` },
        title && div({ class: "card-head" }, level(null, title), action), children);

/** A big number with what it means. */
export const Stat = ({ label, value, note, tone = "", to }) => {
    const inside = [span({ class: "stat-label" }, label), strong({ class: "stat-value" }, value),
        span({ class: "stat-note" }, note)];
    return to ? a({ class: `stat ${tone}`, href: to }, inside) : div({ class: `stat ${tone}` }, inside);
};

export const Facts = ({ rows }) => dl({ class: "facts" },
    rows.filter(Boolean).map(([name, value]) => div({ key: name }, dt(null, name), dd(null, value))));

export const Empty = ({ children }) => p({ class: "empty" }, children);

export const Loading = () => p({ class: "empty", role: "status" }, t("loading"));

/** How far an operation is, and a way to end it. */
export const Progress = ({ of, onCancel }) => div({ class: "progress", role: "status" },
    h("progress", { max: 100, value: of?.percent, "aria-label": t("progress") }),
    span({ class: "muted" }, of?.total ? t("progress.of", { done: number(of.done), total: number(of.total), percent: number(of.percent) }) : t("loading")),
    onCancel && h(Action, { onClick: onCancel }, t("cancel")));

/** What went wrong, in the daemon's words. */
export const Refusal = ({ error }) => error && div({ class: "refusal", role: "alert" },
    strong(null, error.status ? t("refused", { status: error.status }) : t("unreachable")),
    span(null, phrase(error.message)),
    error.body?.fix && p({ class: "fix" }, h(Icon, { name: "arrow", size: 14 }), phrase(error.body.fix)),
    error.findings?.length > 0 && h(Findings, { findings: error.findings }));

export const Findings = ({ findings, onPick }) => ul({ class: "findings" },
    findings.map((f, i) => li({ key: i },
        div({ class: "finding-head" }, h(Severity, { value: f.severity }), span({ class: "mono" }, f.code),
            f.file && (onPick
                ? button({ type: "button", class: "link mono", onClick: () => onPick(f) },
                    `${f.file}:${f.line}:${f.column}`)
                : span({ class: "mono muted" }, `${f.file}:${f.line}:${f.column}`))),
        p(null, phrase(f.message)),
        f.expected && p({ class: "muted" }, t("finding.expected"), " ", phrase(f.expected)),
        f.nearest && p({ class: "muted" }, t("finding.nearest"), " ", span({ class: "mono" }, f.nearest)),
        f.fix && p({ class: "fix" }, h(Icon, { name: "arrow", size: 14 }), phrase(f.fix)))));

/** Answer, loading or refusal of useAnswer(). */
export const Answer = ({ of, children }) => {
    if (of.data === undefined) return of.error ? h(Refusal, { error: of.error }) : of.busy ? h(Progress, { of: of.busy }) : h(Loading);
    return [of.error && h(Refusal, { error: of.error }), children(of.data)];
};

export const Action = ({ icon, children, tone = "", ...props }) =>
    button({ type: "button", class: `action ${tone}`, ...props }, icon && h(Icon, { name: icon, size: 15 }),
        children);

/** Tabs that are links: each has its address. */
export const Tabs = ({ label, current, tabs }) => h("nav", { class: "tabs", "aria-label": label },
    tabs.map(([name, text, to]) => a({
        key: name, href: to, "aria-current": current === name ? "page" : undefined,
    }, text)));

/** A choice of few. */
export const Choice = ({ label, value, options, onChange }) =>
    div({ class: "choice", role: "group", "aria-label": label },
        options.map(([name, text]) => button({
            key: name, type: "button", "aria-pressed": String(name === value),
            onClick: () => onChange(name),
        }, text)));
