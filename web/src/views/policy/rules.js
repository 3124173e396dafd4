// Each rule as one sentence, in the order in which they are asked.
import { useEffect, useState } from "preact/hooks";
import { h, a, details, div, li, ol, p, pre, span, summary, ul } from "../../ui/h.js";
import { Action, Answer, Badge, Empty, Progress, Refusal } from "../../ui/bits.js";
import { Dialog } from "../../ui/dialog.js";
import { Filter } from "../../ui/filter.js";
import { withQuery } from "../../api.js";
import { useLong } from "../../operation.js";
import { has } from "../../features.js";
import { useAnswer } from "../../live.js";
import { href, route, setQuery } from "../../router.js";
import { ago, number } from "../../format.js";
import { language, phrase, t } from "../../i18n/index.js";
import { may } from "../../session.js";
import { Outcome } from "./simulate.js";

const WINDOW = "30d";
const LAYER_TONE = { quarantine: "warn", never: "bad", allow: "good" };

const Use = ({ use }) => use ? span({ class: "muted" }, t("rules.hits", { n: number(use.hits) }),
    use.last && ` · ${ago(use.last)}`) : null;

/** What the recorded connections of the last days would lose without the rule. */
function WithoutIt({ id, onClose }) {
    const state = useLong();
    useEffect(() => state.ask("/try", { delete: [id], since: WINDOW }), []);
    return h(Dialog, { title: t("rules.without.title", { id }), onClose, wide: true },
        p({ class: "muted" }, t("rules.without.note")),
        h(Refusal, { error: state.error }), state.data && h(Outcome, { data: state.data }),
        state.busy && h(Progress, { of: state.busy, onCancel: onClose }));
}

const HYGIENE_TONE = { used: "good", unused: "bad", expired: "bad" };
const SINCE = "90d";

const isWider = (x) => x.told && (x.count === 0 || x.seen < x.n);

/** What of a rule nobody needed, by the history. */
const Wider = ({ report }) => div({ class: "wider" }, span({ class: "muted" }, t("rules.wider")),
    ul({ class: "lines" }, report.fields.filter(isWider).map((x) => li({ key: `${x.field} ${x.name}` }, span({ class: "mono" }, `${x.field} ${x.name}`),
        span(null, x.count === 0 ? t("rules.neverseen") : t("rules.seen", { seen: number(x.seen), n: number(x.n) })),
        x.count > 0 && x.never.length > 0 && span({ class: "muted grow" }, t("rules.without.these", { names: x.never.join(", ") }))))),
    report.proposal && details(null, summary(null, t("rules.narrower")), pre({ class: "quote" }, report.proposal)));

const Rule = ({ rule, use, report, mine, ask }) => li({ class: mine ? "rule mine" : "rule" },
    div({ class: "rule-head" }, h(Badge, { family: "layer", value: rule.layer, tone: LAYER_TONE[rule.layer] }),
        a({ class: "mono", href: href("policy", ["edit"], { file: rule.file, line: rule.line }) }, rule.id),
        report && h(Badge, { family: "hygiene", value: report.status, tone: HYGIENE_TONE[report.status] }),
        span({ class: "grow" }), h(Use, { use }),
        rule.expires && span({ class: "muted" }, t("rules.expires", { when: rule.expires.slice(0, 10) })),
        may.try() && h(Action, { onClick: () => ask(rule.id) }, t("rules.without")),
        a({ class: "muted", href: href("flows", [], { rule: rule.id }) }, t("rules.flows")),
        has("/edges") && a({ class: "muted", href: href("map", [], { rule: rule.id }) }, t("flows.onmap"))),
    div({ class: "sentence" }, rule.sentence),
    report && report.status !== "used" && report.why && p({ class: "muted" }, phrase(report.why)),
    report?.wider && h(Wider, { report }));

/** Used or not, where that is known, and wider than used; asked for only when somebody wants it. */
function useHygiene(wanted) {
    const answer = useAnswer(wanted && has("/rules/hygiene") ? `/rules/hygiene?since=${SINCE}` : null, { every: 0, topics: ["policy"], long: true });
    return { ...answer, of: new Map((wanted && answer.data?.rules || []).map((r) => [r.rule, r])) };
}

export function Rules() {
    const { query } = route.value;
    const [asked, setAsked] = useState("");
    const rules = useAnswer(withQuery("/policy/rules", { language: language.value }), { list: true, topics: ["policy"] });
    const usage = useAnswer(has("/rules/use") ? "/rules/use" : null, { list: true, topics: ["flows"], every: 60_000 });
    const used = new Map((usage.data ?? []).map((u) => [u.rule, u]));
    const hygiene = useHygiene(query.hygiene === "1");
    const all = (f) => [...new Set((rules.data ?? []).map(f))];
    const fields = {
        rule: { label: t("flows.rule"), values: () => all((r) => r.id) },
        owner: { label: t("rules.owner"), values: () => all((r) => r.owner) },
        layer: { label: t("flows.layer"), values: () => all((r) => r.layer) },
    };
    const shown = (rules.data ?? []).filter((r) => (!query.owner || r.owner === query.owner) &&
        (!query.layer || r.layer === query.layer) && (!query.rule || r.id === query.rule));
    return div({ class: "stack" },
        div({ class: "toolbar" }, h(Filter, { value: query, fields, free: "rule", onChange: (q) => setQuery(q) }),
            has("/rules/hygiene") && may.whole() && h(Action, { "aria-pressed": String(query.hygiene === "1"), onClick: () => setQuery({ hygiene: query.hygiene === "1" ? "" : "1" }) }, t("rules.hygiene")),
            a({ class: "action", href: href("map", [], { unused: "1" }) }, t("rules.unusedmap"))),
        query.hygiene === "1" && !hygiene.data && h(Answer, { of: hygiene, children: () => null }),
        h(Answer, { of: rules }, () => shown.length === 0 ? h(Empty, null, t("rules.none"))
            : ol({ class: "rules" }, shown.map((rule) =>
                h(Rule, { key: rule.id, rule, use: used.get(rule.id), report: hygiene.of.get(rule.id), ask: setAsked, mine: rule.id === query.rule })))),
        asked && h(WithoutIt, { key: asked, id: asked, onClose: () => setAsked("") }));
}
